"""Launches the CUDA convolutions: on CuPy arrays on the GPU, on NumPy arrays on the CPU.

`ALGORITHMS` holds the steps of the staircase; `forward`, `grad_input` and `grad_weight` take the
one that should be the fastest for the shape (see cuda_plan.py).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import precision
from .algorithm import Algorithm
from .cuda_im2col import IM2COL, IM2COL_LIBRARY
from .cuda_naive import NAIVE
from .cuda_plan import choose
from .cuda_tiles import IMPLICIT_GEMM, IMPLICIT_GEMM_TF32, TILED
from .cuda_winograd import WINOGRAD, WINOGRAD_4
from .dims import Conv2dDims
from .estimate import Direction

STEPS = {
    "naive": NAIVE,
    "tiled": TILED,
    "im2col": IM2COL,
    "im2col_library": IM2COL_LIBRARY,  # cuBLAS on the GPU
    "implicit_gemm": IMPLICIT_GEMM,
    "implicit_gemm_tf32": IMPLICIT_GEMM_TF32,
    "winograd": WINOGRAD,
    "winograd_4x4": WINOGRAD_4,
}
ALGORITHMS = {
    name: {**step._asdict(), "forward_relu": partial(step.forward, relu=True)}
    for name, step in STEPS.items()
}


def forward(x: Any, w: Any, bias: Any, *, dims: Conv2dDims, relu: bool = False) -> Any:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C / groups, R, S) and bias (K,) or None.

    With `relu` max(y, 0), in the same pass over y.
    """
    return _suited("forward", dims, x).forward(x, w, bias, dims=dims, relu=relu)


def forward_relu(x: Any, w: Any, bias: Any, *, dims: Conv2dDims) -> Any:
    """max(y, 0) of `forward`, in the same pass."""
    return forward(x, w, bias, dims=dims, relu=True)


def grad_input(dy: Any, w: Any, *, dims: Conv2dDims) -> Any:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    return _suited("grad_input", dims, dy).grad_input(dy, w, dims=dims)


def grad_weight(dy: Any, x: Any, *, dims: Conv2dDims) -> Any:
    """dw (K, C / groups, R, S) from dy (N, K, P, Q)."""
    return _suited("grad_weight", dims, dy).grad_weight(dy, x, dims=dims)


def _suited(direction: Direction, dims: Conv2dDims, like: Any) -> Algorithm:
    return STEPS[choose(dims, direction, like.dtype, tf32=precision.tf32["conv2d"]).algorithm]
