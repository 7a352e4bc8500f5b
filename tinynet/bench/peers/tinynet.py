"""tinynet itself."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
import tinynet.kernels as kernels
from tinynet.kernels import buffers

from .. import programs
from ..families import calls
from ..machine import copy_ceiling, gemm_ceiling
from ..networks import network
from ..verify import digests, training_answers


def start(threads: int) -> dict[str, str]:
    reason = kernels.unavailable("cpu")
    if reason is not None:
        raise ImportError(f"there is nothing to compare: {reason}")
    import numba

    import tinynet.kernels.jit as jit

    jit.start_pool()

    numba.set_num_threads(threads)
    return {
        "tinynet": tn.__version__,
        "numpy": np.__version__,
        "numba": numba.__version__,
        "python": platform.python_version(),
    }


def training(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    one = programs.Training(tn, network(task["model"]), task["batch"])
    return one.step, training_answers(*one.answers(task["steps"]))


def inference(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    run = programs.inference(tn, network(task["model"]), task["batch"])
    return run, digests(run().numpy())


def operation(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    run = programs.chain(tn, task["operation"], task["backward"], task["length"])
    value, dx = run()
    return run, digests(value.numpy(), None if dx is None else dx.numpy())


def kernel(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    """task: family, case, function, dtype, algorithm ("reference" is the NumPy backend)."""
    family, algorithm = task["family"], task["algorithm"]
    if algorithm == "reference":
        chosen = kernels.use("reference")
    else:
        chosen = kernels.use("cpu", **{family: algorithm})
    with chosen as backend:
        pass
    call = calls(family, task["case"], task["dtype"])[task["function"]]
    # A step in place gives nothing: the tests compare those.
    return (lambda: call(backend)), digests(*as_tuple(call(backend)))


def workspace(task: dict[str, Any]) -> int:
    """Bytes that a kernel takes beside its result while it runs."""
    import tracemalloc

    run, _ = kernel(task)
    with buffers.reused(False):  # memory that is lent again would not be seen
        tracemalloc.start()
        try:
            run()
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            value = run()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    made = sum(np.asarray(array).nbytes for array in as_tuple(value) if array is not None)
    return max(0, peak - before - made)


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def gemm(dtype: str) -> float:
    """Float operations per second of the faster of NumPy's matrix product and ours."""
    a, b = np.random.default_rng(0).standard_normal((2, 1536, 1536)).astype(dtype)
    return max(gemm_ceiling(np.matmul, a, b), gemm_ceiling(kernels.of(a).matmul.matmul, a, b))


def copy(threads: int) -> float:
    """Bytes per second of copying memory."""
    return copy_ceiling(threads)
