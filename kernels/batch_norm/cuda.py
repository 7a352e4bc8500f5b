"""Launches the CUDA batch normalisation: on CuPy arrays on the GPU, on NumPy arrays on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device_arrays import THREADS, dense, run, xp_of
from ..divisor import DIVISOR, divisor
from ..launch import Kernels

KERNELS = Kernels(
    "batch_norm/batch_norm.cu",
    {
        f"batch_norm_{name}<T>": {"float": registers, "double": registers}
        for registers, names in (
            (72, ("statistics", "apply", "normalize", "backward_sums")),
            (88, ("backward",)),
        )
        for name in names
    },
)

LEAST_CHUNK = 2048  # values of a channel that one block takes
MOST_CHUNKS = 64  # of a channel; every block of the second launch adds them all
LARGEST_GRID_Y = 65535

CHANNELS = np.dtype(
    [
        *((name, np.int64) for name in ("image", "plane")),
        *((name, np.int32) for name in ("C", "count", "chunk", "chunks")),
        ("spatial", DIVISOR),
    ],
    align=True,
)


def forward(x: Any, weight: Any, bias: Any, *, eps: float) -> tuple[Any, Any, Any]:
    """y like x, and the batch's mean (C,) and biased variance (C,)."""
    x, weight, bias = dense(x, weight, bias)
    xp = xp_of(x)
    y, (mean, var) = xp.empty_like(x), xp.zeros((2, x.shape[1]), x.dtype)
    if x.size:
        channels = _channels(x)
        sums = xp.empty((x.shape[1], int(channels["chunks"]), 2))
        _run("statistics", channels, x, x, sums)
        _run("apply", channels, x, x, sums, weight, bias, y, mean, var, eps=eps)
    return y, mean, var


def normalize(x: Any, mean: Any, var: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """y like x with statistics from elsewhere, such as running averages in evaluation."""
    x, mean, var, weight, bias = dense(x, mean, var, weight, bias)
    y = xp_of(x).empty_like(x)
    if x.size:
        _run("normalize", _channels(x), x, x, mean, var, weight, bias, y, eps=eps)
    return y


def backward(
    dy: Any, x: Any, weight: Any, mean: Any, var: Any, *, eps: float
) -> tuple[Any, Any, Any]:
    """dx like x, dweight (C,), dbias (C,)."""
    dy, x, weight, mean, var = dense(dy, x, weight, mean, var)
    xp = xp_of(x)
    dx, (dweight, dbias) = xp.empty_like(x), xp.zeros((2, x.shape[1]), x.dtype)
    if x.size:
        channels = _channels(x)
        sums = xp.empty((x.shape[1], int(channels["chunks"]), 3))
        _run("backward_sums", channels, x, dy, x, mean, sums)
        arrays = dy, x, weight, mean, var, sums, dx, dweight, dbias
        _run("backward", channels, x, *arrays, eps=eps)
    return dx, dweight, dbias


def _run(name: str, channels: np.ndarray, x: Any, *args: Any, eps: float | None = None) -> None:
    """One block for each chunk of each channel."""
    grid = int(channels["chunks"]), min(int(channels["C"]), LARGEST_GRID_Y)
    last = () if eps is None else (np.float64(eps),)
    run(KERNELS, f"batch_norm_{name}<T>", x, grid, (THREADS,), *args, channels, *last)


def _channels(x: Any) -> np.ndarray:
    """struct Channels of batch_norm.cu: how the values of a channel are cut into chunks."""
    C = x.shape[1]
    count = x.size // C
    spatial = count // len(x)
    if count + THREADS >= 2**31:
        raise ValueError(
            f"batch_norm: x is (N, C, *spatial) = {x.shape}, but a channel must have fewer than "
            f"2^31 values. Use a smaller batch."
        )
    chunk = max(LEAST_CHUNK, -(-count // MOST_CHUNKS))
    return np.array(
        (C * spatial, spatial, C, count, chunk, -(-count // chunk), divisor(spatial)), CHANNELS
    )
