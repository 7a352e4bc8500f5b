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


# Kernels go through the filter positions (r, s) outside and along a line of outputs inside: loops
# without branches, which LLVM turns into vector instructions. Strides 1 and 2 are said apart,
# because it does so only for a stride that it knows.


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], int64[:, :, ::1], int64, _WINDOW))
def _max_task(task, x, y, index, planes, window):
    H, W = x.shape[1:]
    P, Q = y.shape[1:]
    for plane in range(task * planes, min((task + 1) * planes, len(x))):
        for p in range(P):
            best, place = y[plane, p], index[plane, p]
            for q in range(Q):
                best[q], place[q] = -np.inf, -1
            for r in range(window.R):
                h = p * window.row_stride - window.row_padding + r * window.row_dilation
                if h < 0 or h >= H:
                    continue
                for s in range(window.S):
                    first, last, w = _line(s, window, Q, W)
                    pixels, at = x[plane, h, w:], h * W + w
                    if window.column_stride == 1:
                        _take_larger(best[first:last], place[first:last], pixels, at, 1)
                    elif window.column_stride == 2:
                        _take_larger(best[first:last], place[first:last], pixels, at, 2)
                    else:
                        stride = window.column_stride
                        _take_larger(best[first:last], place[first:last], pixels, at, stride)


@jit.inline
def _line(s, window, Q, W):
    """The outputs first <= q < last whose position s lies in the image, and w where first's does."""
    offset = s * window.column_dilation - window.column_padding
    first = max(0, -(offset // window.column_stride))
    last = max(first, min(Q, (W - 1 - offset) // window.column_stride + 1))
    return first, last, first * window.column_stride + offset


@jit.inline
def _take_larger(best, place, pixels, at, stride):
    for q in range(len(best)):
        value, old = pixels[q * stride], best[q]
        # The first pixel, a larger one, or the first NaN, which then stays.
        better = (place[q] < 0) | (value > old) | ((value != value) & (old == old))
        best[q] = value if better else old
        place[q] = at + q * stride if better else place[q]


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
    for plane in range(task * planes, min((task + 1) * planes, len(x))):
        for p in range(P):
            total = y[plane, p]
            for q in range(Q):
                total[q] = 0
            for r in range(window.R):
                h = p * window.row_stride - window.row_padding + r
                if h < 0 or h >= H:
                    continue
                for s in range(window.S):
                    first, last, w = _line(s, window, Q, W)
                    if window.column_stride == 2:
                        _add(total[first:last], x[plane, h, w:], 2)
                    else:
                        _add(total[first:last], x[plane, h, w:], window.column_stride)
            for q in range(Q):
                total[q] /= count[p, q]


@jit.inline
def _add(total, pixels, stride):
    for q in range(len(total)):
        total[q] += pixels[q * stride]


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], T[:, ::1], int64, _WINDOW))
def _spread_task(task, dy, dx, count, planes, window):
    H, W = dx.shape[1:]
    P, Q = dy.shape[1:]
    share = np.empty(Q, dx.dtype)
    for plane in range(task * planes, min((task + 1) * planes, len(dx))):
        for p in range(P):
            for q in range(Q):
                share[q] = dy[plane, p, q] / count[p, q]
            for r in range(window.R):
                h = p * window.row_stride - window.row_padding + r
                if h < 0 or h >= H:
                    continue
                for s in range(window.S):
                    first, last, w = _line(s, window, Q, W)
                    pixels = dx[plane, h, w:]
                    for q in range(last - first):
                        pixels[q * window.column_stride] += share[first + q]
