"""Pooling on the CPU: one task is some planes (images times channels). See reference.py."""

from typing import NamedTuple

import numpy as np
from numba import int64, types
from numpy import ndarray

from .. import jit
from .dims import Pool2dDims
from .reference import divisors

TASK_PIXELS = 16384  # pixels of one task: small planes go together


class _Window(NamedTuple):
    """Pool2dDims' numbers, as a kernel takes them."""

    R: int
    S: int
    row_stride: int
    column_stride: int
    row_padding: int
    column_padding: int
    row_dilation: int
    column_dilation: int

    @staticmethod
    def of(dims: Pool2dDims) -> "_Window":
        return _Window(dims.R, dims.S, *dims.stride, *dims.padding, *dims.dilation)


_WINDOW = types.NamedUniTuple(int64, len(_Window._fields), _Window)


def max_forward(x: ndarray, *, dims: Pool2dDims) -> tuple[ndarray, ndarray]:
    """y (N, C, P, Q), the largest value of each window, and index (N, C, P, Q), where it stood."""
    (x,) = jit.dense(x)
    y, index = np.empty(dims.y_shape, x.dtype), np.empty(dims.y_shape, np.int64)
    tasks, planes = _tasks(dims)
    _max_task(tasks, _planes(x), _planes(y), _planes(index), planes, _Window.of(dims))
    return y, index


def max_backward(dy: ndarray, index: ndarray, *, dims: Pool2dDims) -> ndarray:
    """dx (N, C, H, W): each dy is added to the pixel that won its window."""
    (dy,) = jit.dense(dy)
    dx = np.zeros(dims.x_shape, dy.dtype)
    tasks, planes = _tasks(dims)
    _scatter_task(tasks, _rows(dy), _rows(np.ascontiguousarray(index)), _rows(dx), planes)
    return dx


def max_gather(x: ndarray, index: ndarray, *, dims: Pool2dDims) -> ndarray:
    """y (N, C, P, Q) = x at `index`: the adjoint of max_backward."""
    (x,) = jit.dense(x)
    y = np.empty(dims.y_shape, x.dtype)
    tasks, planes = _tasks(dims)
    _gather_task(tasks, _rows(x), _rows(np.ascontiguousarray(index)), _rows(y), planes)
    return y


def avg_forward(
    x: ndarray,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ndarray:
    """y (N, C, P, Q), the mean of each window; see `divisors` for what it is divided by."""
    (x,) = jit.dense(x)
    y = np.empty(dims.y_shape, x.dtype)
    count = divisors(dims, count_include_pad=count_include_pad, divisor_override=divisor_override)
    tasks, planes = _tasks(dims)
    _mean_task(tasks, _planes(x), _planes(y), count.astype(x.dtype), planes, _Window.of(dims))
    return y


def avg_backward(
    dy: ndarray,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ndarray:
    """dx (N, C, H, W): every pixel of a window receives its dy / divisor."""
    (dy,) = jit.dense(dy)
    dx = np.zeros(dims.x_shape, dy.dtype)
    count = divisors(dims, count_include_pad=count_include_pad, divisor_override=divisor_override)
    tasks, planes = _tasks(dims)
    _spread_task(tasks, _planes(dy), _planes(dx), count.astype(dy.dtype), planes, _Window.of(dims))
    return dx


def _tasks(dims: Pool2dDims) -> tuple[int, int]:
    """(how many tasks, planes of each), from the sizes alone."""
    planes = max(1, TASK_PIXELS // (dims.H * dims.W + 1))
    return -(-dims.N * dims.C // planes), planes


def _planes(a: ndarray) -> ndarray:
    return a.reshape(-1, *a.shape[2:]) if a.size else np.empty((0, 1, 1), a.dtype)


def _rows(a: ndarray) -> ndarray:
    return a.reshape(a.shape[0] * a.shape[1], a.shape[2] * a.shape[3])


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], int64[:, :, ::1], int64, _WINDOW))
def _max_task(task, x, y, index, planes, window):
    H, W = x.shape[1:]
    P, Q = y.shape[1:]
    rows = _inside(P, window.row_stride, window.row_padding, window.row_dilation, window.R, H)
    columns = _inside(
        Q, window.column_stride, window.column_padding, window.column_dilation, window.S, W
    )
    for plane in range(task * planes, min((task + 1) * planes, len(x))):
        pixels = x[plane].reshape(H * W)
        for p in range(P):
            for q in range(Q):
                place = rows[p, 0] * W + columns[q, 0]
                best = pixels[place]
                for r in range(rows[p, 1]):
                    line = (rows[p, 0] + r * window.row_dilation) * W + columns[q, 0]
                    for s in range(columns[q, 1]):
                        at = line + s * window.column_dilation
                        value = pixels[at]
                        # Larger, or the first NaN, which then stays. Without a branch: which pixel
                        # wins is a matter of chance, and a CPU would often guess it wrong.
                        better = (not value <= best) & (best == best)
                        best = value if better else best
                        place = at if better else place
                y[plane, p, q] = best
                index[plane, p, q] = place


@jit.inline
def _inside(outputs, stride, padding, dilation, window, size):
    """(outputs, 2): each window's first pixel inside the image along an axis, and how many."""
    bounds = np.empty((outputs, 2), np.int64)
    for output in range(outputs):
        start = output * stride - padding
        first = max(0, -(start // dilation))
        bounds[output, 0] = start + first * dilation
        bounds[output, 1] = min(window, (size - 1 - start) // dilation + 1) - first
    return bounds


@jit.kernel(lambda T: (T[:, ::1], int64[:, ::1], T[:, ::1], int64))
def _scatter_task(task, dy, index, dx, planes):
    for plane in range(task * planes, min((task + 1) * planes, len(dx))):
        for t in range(dy.shape[1]):
            dx[plane, index[plane, t]] += dy[plane, t]


@jit.kernel(lambda T: (T[:, ::1], int64[:, ::1], T[:, ::1], int64))
def _gather_task(task, x, index, y, planes):
    for plane in range(task * planes, min((task + 1) * planes, len(x))):
        for t in range(y.shape[1]):
            y[plane, t] = x[plane, index[plane, t]]


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], T[:, ::1], int64, _WINDOW))
def _mean_task(task, x, y, count, planes, window):
    H, W = x.shape[1:]
    P, Q = y.shape[1:]
    rows = _inside(P, window.row_stride, window.row_padding, 1, window.R, H)
    columns = _inside(Q, window.column_stride, window.column_padding, 1, window.S, W)
    for plane in range(task * planes, min((task + 1) * planes, len(x))):
        pixels = x[plane].reshape(H * W)
        for p in range(P):
            for q in range(Q):
                line = rows[p, 0] * W + columns[q, 0]
                total = count[p, q] - count[p, q]  # 0, of x's type
                for r in range(rows[p, 1]):
                    for s in range(columns[q, 1]):
                        total += pixels[line + r * W + s]
                y[plane, p, q] = total / count[p, q]


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], T[:, ::1], int64, _WINDOW))
def _spread_task(task, dy, dx, count, planes, window):
    H, W = dx.shape[1:]
    P, Q = dy.shape[1:]
    rows = _inside(P, window.row_stride, window.row_padding, 1, window.R, H)
    columns = _inside(Q, window.column_stride, window.column_padding, 1, window.S, W)
    for plane in range(task * planes, min((task + 1) * planes, len(dx))):
        pixels = dx[plane].reshape(H * W)
        for p in range(P):
            for q in range(Q):
                line = rows[p, 0] * W + columns[q, 0]
                share = dy[plane, p, q] / count[p, q]
                for r in range(rows[p, 1]):
                    for s in range(columns[q, 1]):
                        pixels[line + r * W + s] += share
