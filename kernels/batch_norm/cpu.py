"""Batch normalisation on the CPU: one task is one channel, which stays in the cache meanwhile.

The formulas are those of reference.py, sums in float64, the spread in a second pass.
"""

import numpy as np
from numba import float64
from numpy import ndarray

from .. import jit


def forward(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, *, eps: float
) -> tuple[ndarray, ndarray, ndarray]:
    """y like x, and the batch's mean (C,) and biased variance (C,)."""
    x, weight, bias = jit.dense(x, weight, bias)
    y = np.empty_like(x)
    C = x.shape[1]
    mean, var = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    if x.size:
        weight, bias = _filled(weight, 1, x), _filled(bias, 0, x)
        _forward_task(
            C, _channels(x), _channels(y), weight, bias, mean, var, eps, nanoseconds=x.size
        )
    return y, mean, var


def normalize(
    x: ndarray,
    mean: ndarray,
    var: ndarray,
    weight: ndarray | None,
    bias: ndarray | None,
    *,
    eps: float,
) -> ndarray:
    """y like x with statistics from elsewhere, such as running averages in evaluation."""
    x, mean, var, weight, bias = jit.dense(x, mean, var, weight, bias)
    y = np.empty_like(x)
    if x.size:
        weight, bias = _filled(weight, 1, x), _filled(bias, 0, x)
        _normalize_task(
            x.shape[1], _channels(x), _channels(y), weight, bias, mean, var, eps, nanoseconds=x.size
        )
    return y


def backward(
    dy: ndarray, x: ndarray, weight: ndarray | None, mean: ndarray, var: ndarray, *, eps: float
) -> tuple[ndarray, ndarray, ndarray]:
    """dx like x, dweight (C,), dbias (C,)."""
    dy, x, weight, mean, var = jit.dense(dy, x, weight, mean, var)
    dx = np.empty_like(x)
    C = x.shape[1]
    dweight, dbias = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    if x.size:
        arrays = _channels(dy), _channels(x), _channels(dx), _filled(weight, 1, x)
        _backward_task(C, *arrays, mean, var, dweight, dbias, eps, nanoseconds=x.size)
    return dx, dweight, dbias


def _channels(x: ndarray) -> ndarray:
    """(N, C, *spatial) as (N, C, L)."""
    return x.reshape(*x.shape[:2], -1)


@jit.inline
def _centered(value, center, offset):
    # Compiled without reorder_sums: center + offset, added first, would be rounded again.
    return (value - center) - offset


def _filled(a: ndarray | None, value: float, x: ndarray) -> ndarray:
    return np.full(x.shape[1], value, x.dtype) if a is None else a


@jit.kernel(
    lambda T: (T[:, :, ::1], T[:, :, ::1], T[::1], T[::1], T[::1], T[::1], float64),
    reorder_sums=True,
)
def _forward_task(c, x, y, weight, bias, mean, var, eps):
    N, _, L = x.shape
    total = 0.0
    for n in range(N):
        for i in range(L):
            total += x[n, c, i]
    center = total / (N * L)
    offset = total = 0.0
    for n in range(N):
        for i in range(L):
            deviation = x[n, c, i] - center
            offset += deviation
            total += deviation * deviation
    offset /= N * L  # what rounding took from the mean (see reference.py)
    spread = total / (N * L) - offset * offset
    mean[c], var[c] = center + offset, spread
    scale = weight[c] / np.sqrt(spread + eps)
    for n in range(N):
        for i in range(L):
            y[n, c, i] = _centered(x[n, c, i], center, offset) * scale + bias[c]


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], T[::1], T[::1], T[::1], T[::1], float64))
def _normalize_task(c, x, y, weight, bias, mean, var, eps):
    N, _, L = x.shape
    center = float64(mean[c])
    scale = weight[c] / np.sqrt(float64(var[c]) + eps)
    for n in range(N):
        for i in range(L):
            y[n, c, i] = (x[n, c, i] - center) * scale + bias[c]


@jit.kernel(
    lambda T: (
        T[:, :, ::1], T[:, :, ::1], T[:, :, ::1], T[::1], T[::1], T[::1], T[::1], T[::1], float64,
    ),
    reorder_sums=True,
)  # fmt: skip
def _backward_task(c, dy, x, dx, weight, mean, var, dweight, dbias, eps):
    N, _, L = x.shape
    center = float64(mean[c])
    inverse = 1 / np.sqrt(float64(var[c]) + eps)
    offset = total = product = 0.0
    for n in range(N):
        for i in range(L):
            deviation = x[n, c, i] - center
            offset += deviation
            total += dy[n, c, i]
            product += dy[n, c, i] * deviation
    offset /= N * L  # what rounding took from the mean (see reference.py)
    product -= offset * total
    dweight[c], dbias[c] = product * inverse, total
    scale = weight[c] * inverse
    slope, level = product * inverse * inverse / (N * L), total / (N * L)
    for n in range(N):
        for i in range(L):
            deviation = _centered(x[n, c, i], center, offset)
            dx[n, c, i] = scale * (dy[n, c, i] - level - deviation * slope)
