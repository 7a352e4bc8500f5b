"""Launches the CUDA poolings: on CuPy arrays on the GPU, on NumPy arrays on the CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from ..device_arrays import MOST_NUMBERS, THREADS, blocks_for, dense, run, xp_of
from ..divisor import DIVISOR, divisor
from ..launch import Kernels
from .dims import Pool2dDims

KERNELS = Kernels(
    "pool2d/pool2d.cu",
    {
        "max_forward<T>": {"float": 40, "double": 40},
        "max_backward<T>": {"float": 48, "double": 48},
        "max_gather<T>": {"float": 24, "double": 24},
        "avg_forward<T>": {"float": 72, "double": 80},
        "avg_backward<T>": {"float": 72, "double": 80},
    },
)

POOL = np.dtype(
    [
        *((name, np.int32) for name in ("count", "H", "W", "R", "S", "P", "Q")),
        *((f"{what}_{axis}", np.int32) for what in ("stride", "pad", "dilation") for axis in "hw"),
        *((name, DIVISOR) for name in ("plane", "row")),
    ],
    align=True,
)


def max_forward(x: Any, *, dims: Pool2dDims) -> tuple[Any, Any]:
    """y (N, C, P, Q), the largest value of each window, and index (N, C, P, Q), where it stood."""
    (x,) = dense(x)
    xp = xp_of(x)
    y, index = xp.empty(dims.y_shape, x.dtype), xp.empty(dims.y_shape, np.int64)
    _run("max_forward", dims, (x, y, index), over_windows=True)
    return y, index


def max_backward(dy: Any, index: Any, *, dims: Pool2dDims) -> Any:
    """dx (N, C, H, W): each dy is added to the pixel that won its window."""
    (dy,) = dense(dy)
    xp = xp_of(dy)
    dx = xp.empty(dims.x_shape, dy.dtype)
    _run("max_backward", dims, (dy, xp.ascontiguousarray(index), dx), over_windows=False)
    return dx


def max_index(index: Any, *, dims: Pool2dDims) -> Any:
    """The index as everyone is shown it: max_forward gives it so."""
    return index.copy()


def max_gather(x: Any, index: Any, *, dims: Pool2dDims) -> Any:
    """y (N, C, P, Q) = x at `index`: the adjoint of max_backward."""
    (x,) = dense(x)
    xp = xp_of(x)
    y = xp.empty(dims.y_shape, x.dtype)
    _run("max_gather", dims, (x, xp.ascontiguousarray(index), y), over_windows=True)
    return y


def avg_forward(
    x: Any,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """y (N, C, P, Q), the mean of each window."""
    (x,) = dense(x)
    y = xp_of(x).empty(dims.y_shape, x.dtype)
    how = int(count_include_pad), divisor_override or 0
    _run("avg_forward", dims, (x, y), *how, over_windows=True)
    return y


def avg_backward(
    dy: Any,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """dx (N, C, H, W): every pixel of a window receives its dy / divisor."""
    (dy,) = dense(dy)
    dx = xp_of(dy).empty(dims.x_shape, dy.dtype)
    how = int(count_include_pad), divisor_override or 0
    _run("avg_backward", dims, (dy, dx), *how, over_windows=False)
    return dx


def _run(
    name: str, dims: Pool2dDims, arrays: tuple[Any, ...], *args: int, over_windows: bool
) -> None:
    """One thread for each window, or for each pixel; as many images at once as can be counted."""
    plane = dims.P * dims.Q if over_windows else dims.H * dims.W
    if not dims.N * dims.C * plane:
        return
    images = max(1, (MOST_NUMBERS - THREADS) // (dims.C * plane))
    for first in range(0, dims.N, images):
        part = [array[first : first + images] for array in arrays]
        count = len(part[0]) * dims.C * plane
        pool = _pool(dims, count, over_windows)
        run(KERNELS, f"{name}<T>", arrays[0], blocks_for(count), (THREADS,), *part, pool, *args)


@lru_cache(maxsize=1024)
def _pool(d: Pool2dDims, count: int, over_windows: bool) -> ndarray:
    """struct Pool of pool2d.cu."""
    rows, columns = (d.P, d.Q) if over_windows else (d.H, d.W)
    sizes = (count, d.H, d.W, d.R, d.S, d.P, d.Q)
    fields = (*sizes, *d.stride, *d.padding, *d.dilation, divisor(rows * columns), divisor(columns))
    return np.array(fields, POOL)
