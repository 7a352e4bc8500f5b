"""CUDA kernels on the CPU: the same .cu files, compiled by this machine's C++ compiler.

    with tinynet.kernels.use("cuda-host"): ...         # every kernel of tinynet
    with cuda_host.settings(order=7, mode="check"): ... # how

A block's threads are fibers, which change places at barriers and warp operations only; include/ is
what kernels see of CUDA, runtime/ is what runs them. docs/cuda.md has the limits.
"""

from .build import CompilerMissing, compiler
from .library import CudaHostError, Settings, runners, settings

__all__ = ["CompilerMissing", "CudaHostError", "Settings", "compiler", "runners", "settings"]
