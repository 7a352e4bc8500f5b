"""Convolution on CUDA by its definition, one thread a number; see naive.cu."""

from __future__ import annotations

from typing import Any

from ..device_arrays import THREADS, blocks_for, dense, run, xp_of
from ..launch import Kernels
from .algorithm import Algorithm
from .dims import Conv2dDims
from .shape import shape_record

KERNELS = Kernels(
    "conv2d/naive.cu",
    {
        f"naive_{name}<T>": {"float": 64, "double": 72}
        for name in ("forward", "grad_input", "grad_weight")
    },
)


def forward(x: Any, w: Any, bias: Any, *, dims: Conv2dDims, relu: bool = False) -> Any:
    x, w, bias = dense(x, w, bias)
    y = xp_of(x).empty(dims.y_shape, x.dtype)
    _run("forward", y, x, w, bias, y, shape_record(dims), int(relu))
    return y


def grad_input(dy: Any, w: Any, *, dims: Conv2dDims) -> Any:
    dy, w = dense(dy, w)
    dx = xp_of(dy).empty(dims.x_shape, dy.dtype)
    _run("grad_input", dx, dy, w, dx, shape_record(dims))
    return dx


def grad_weight(dy: Any, x: Any, *, dims: Conv2dDims) -> Any:
    dy, x = dense(dy, x)
    dw = xp_of(x).empty(dims.w_shape, x.dtype)
    _run("grad_weight", dw, dy, x, dw, shape_record(dims))
    return dw


def _run(name: str, out: Any, *args: Any) -> None:
    if out.size:
        run(KERNELS, f"naive_{name}<T>", out, blocks_for(out.size), (THREADS,), *args)


NAIVE = Algorithm(forward, grad_input, grad_weight)
