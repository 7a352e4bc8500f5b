"""Pooling on the CPU, for both orders in memory. See reference.py for what is computed.

With channels innermost all channels of an output are computed side by side, in vectors. A task is
some planes, or, channels innermost, some rows of an image: of y forward, of dx backward.

Of a winner its number r S + s in the window is kept, one byte: `offset`.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import int64, types, uint8
from numpy import ndarray

from .. import buffers, jit
from ..layout import channels_innermost, from_memory, to_memory
from ..tiling import even_split
from . import reference
from .dims import Pool2dDims
from .reference import divisors
from .vectors import collected, largest

TASK_NUMBERS = 16384  # numbers of x in one task: small planes go together


class _Window(NamedTuple):
    """Pool2dDims' numbers, as a kernel takes them, and how the work is cut."""

    R: int
    S: int
    row_stride: int
    column_stride: int
    row_padding: int
    column_padding: int
    row_dilation: int
    column_dilation: int
    part: int  # planes or rows of one task

    @staticmethod
    def of(dims: Pool2dDims, part: int) -> "_Window":
        return _Window(dims.R, dims.S, *dims.stride, *dims.padding, *dims.dilation, part)


_WINDOW = types.NamedUniTuple(int64, len(_Window._fields), _Window)


def max_forward(x: ndarray, *, dims: Pool2dDims) -> tuple[ndarray, ndarray]:
    """y (N, C, P, Q), the largest value of each window, and offset (N, C, P, Q), where it stood."""
    if dims.R * dims.S > 256:  # such windows are few, and an offset would need two bytes
        return reference.max_forward(x, dims=dims)
    inner = channels_innermost(x)
    (x,) = jit.dense(to_memory(x, inner))
    y = _empty(dims.y_shape, x.dtype, inner)
    offset = _empty(dims.y_shape, np.uint8, inner)
    if inner:
        tasks, window = _row_tasks(dims, dims.P)
        _max_rows_task(tasks, x, y, offset, window, nanoseconds=x.size / 2)
    else:
        tasks, window = _plane_tasks(dims)
        _max_planes_task(
            tasks, _planes(x), _planes(y), _planes(offset), window, nanoseconds=x.size / 2
        )
    return from_memory(y, inner), from_memory(offset, inner)


def max_backward(dy: ndarray, offset: ndarray, *, dims: Pool2dDims) -> ndarray:
    """dx (N, C, H, W): each dy is added to the pixel that won its window."""
    if offset.dtype != np.uint8:
        return reference.max_backward(dy, offset, dims=dims)
    inner = channels_innermost(offset)
    (dy,) = jit.dense(to_memory(dy, inner))
    offset = np.ascontiguousarray(to_memory(offset, inner))
    dx = _empty(dims.x_shape, dy.dtype, inner)
    if inner:
        tasks, window = _row_tasks(dims, dims.H)
        _scatter_rows_task(tasks, dy, offset, dx, window, nanoseconds=dx.size / 2)
    else:
        tasks, window = _plane_tasks(dims)
        _scatter_planes_task(
            tasks, _planes(dy), _planes(offset), _planes(dx), window, nanoseconds=dx.size / 2
        )
    return from_memory(dx, inner)


def max_gather(x: ndarray, offset: ndarray, *, dims: Pool2dDims) -> ndarray:
    """y (N, C, P, Q) = the winners' pixels of another x: the adjoint of max_backward."""
    return reference.max_gather(x, max_index(offset, dims=dims), dims=dims)


def max_index(offset: ndarray, *, dims: Pool2dDims) -> ndarray:
    """index (N, C, P, Q), int64: each winner's flat position h W + w in its plane."""
    if offset.dtype != np.uint8:
        return reference.max_index(offset, dims=dims)
    r, s = np.divmod(np.ascontiguousarray(offset).astype(np.int64), dims.S)
    p, q = np.ogrid[: dims.P, : dims.Q]
    h = p * dims.stride[0] - dims.padding[0] + r * dims.dilation[0]
    return h * dims.W + q * dims.stride[1] - dims.padding[1] + s * dims.dilation[1]


def avg_forward(
    x: ndarray,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ndarray:
    """y (N, C, P, Q), the mean of each window; see `divisors` for what it is divided by."""
    inner = channels_innermost(x)
    (x,) = jit.dense(to_memory(x, inner))
    y = _empty(dims.y_shape, x.dtype, inner)
    count = _divisors(dims, count_include_pad, divisor_override, x.dtype)
    if inner:
        tasks, window = _row_tasks(dims, dims.P)
        _mean_rows_task(tasks, x, y, count, window, nanoseconds=x.size / 2)
    else:
        tasks, window = _plane_tasks(dims)
        _mean_planes_task(tasks, _planes(x), _planes(y), count, window, nanoseconds=x.size / 2)
    return from_memory(y, inner)


def avg_backward(
    dy: ndarray,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ndarray:
    """dx (N, C, H, W): every pixel of a window receives its dy / divisor."""
    inner = channels_innermost(dy)
    (dy,) = jit.dense(to_memory(dy, inner))
    dx = _empty(dims.x_shape, dy.dtype, inner)
    count = _divisors(dims, count_include_pad, divisor_override, dy.dtype)
    if inner:
        tasks, window = _row_tasks(dims, dims.H)
        _spread_rows_task(tasks, dy, dx, count, window, nanoseconds=dx.size / 2)
    else:
        tasks, window = _plane_tasks(dims)
        _spread_planes_task(tasks, _planes(dy), _planes(dx), count, window, nanoseconds=dx.size / 2)
    return from_memory(dx, inner)


@lru_cache(maxsize=256)  # a network asks for the same few again and again
def _divisors(dims: Pool2dDims, include_pad: bool, override: int | None, dtype: Any) -> ndarray:
    return divisors(dims, count_include_pad=include_pad, divisor_override=override).astype(dtype)


def _empty(shape: tuple[int, int, int, int], dtype: np.typing.DTypeLike, inner: bool) -> ndarray:
    """An array for (N, C, H, W) as it shall lie in memory."""
    N, C, H, W = shape
    return buffers.empty((N, H, W, C) if inner else shape, dtype)


def _plane_tasks(dims: Pool2dDims) -> tuple[int, _Window]:
    """(how many tasks, the window), from the sizes alone."""
    planes = max(1, TASK_NUMBERS // (dims.H * dims.W + 1))
    return -(-dims.N * dims.C // planes), _Window.of(dims, planes)


def _row_tasks(dims: Pool2dDims, rows: int) -> tuple[int, _Window]:
    """The same for tasks of some of the `rows` of an image, be it x or y."""
    part = even_split(rows, max(1, TASK_NUMBERS * rows // max(1, dims.H * dims.W * dims.C)))
    return (dims.N * -(-rows // part) if dims.C else 0), _Window.of(dims, part)


def _planes(a: ndarray) -> ndarray:
    return a.reshape(-1, *a.shape[2:]) if a.size else np.empty((0, 1, 1), a.dtype)


@jit.inline
def _inside(outputs, stride, padding, dilation, window, size):
    """(outputs, 2): each window's positions first <= r < last inside the image along an axis."""
    bounds = np.empty((outputs, 2), np.int64)
    for output in range(outputs):
        start = output * stride - padding
        bounds[output, 0] = max(0, -(start // dilation))
        bounds[output, 1] = min(window, (size - 1 - start) // dilation + 1)
    return bounds


# ------------------------------------------------------------------------------------ planes


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], uint8[:, :, ::1], _WINDOW))
def _max_planes_task(task, x, y, offset, window):
    """Row by row: all outputs of a row side by side, on lines of x that have their padding."""
    H, W = x.shape[1:]
    P, Q = y.shape[1:]
    left, reach = window.column_padding, (window.S - 1) * window.column_dilation + 1
    width = (Q - 1) * window.column_stride + reach
    inside = left == 0 and width <= W
    lines = np.empty(0 if inside else window.R * width, x.dtype)
    rows = _inside(P, window.row_stride, window.row_padding, window.row_dilation, window.R, H)
    columns = _inside(Q, window.column_stride, left, window.column_dilation, window.S, W)
    place, code = np.empty(window.R * window.S, np.int64), np.empty(window.R * window.S, np.uint8)
    row_place = window.row_dilation * W if inside else width
    for plane in range(task * window.part, min((task + 1) * window.part, len(x))):
        for p in range(P):
            h = p * window.row_stride - window.row_padding + rows[p, 0] * window.row_dilation
            count = rows[p, 1] - rows[p, 0]
            for i in range(count * window.S):
                r, s = divmod(i, window.S)
                place[i] = r * row_place + s * window.column_dilation
                code[i] = i + rows[p, 0] * window.S
            y_start = (plane * P + p) * Q
            if inside:
                start = (plane * H + h) * W
                largest(
                    x, start, window.column_stride, place, code, count * window.S,
                    y, y_start, offset, y_start, Q,
                )  # fmt: skip
                continue
            for r in range(count):
                pixels = x[plane, h + r * window.row_dilation]
                for w in range(width):
                    known = 0 <= w - left < W
                    lines[r * width + w] = pixels[w - left] if known else -np.inf
            largest(
                lines, 0, window.column_stride, place, code, count * window.S,
                y, y_start, offset, y_start, Q,
            )  # fmt: skip
            for q in range(Q):
                # If all of a window is -inf, so that the padding has won, the first pixel has.
                s = int64(offset[plane, p, q]) % window.S
                if not columns[q, 0] <= s < columns[q, 1]:
                    offset[plane, p, q] = rows[p, 0] * window.S + columns[q, 0]


@jit.kernel(lambda T: (T[:, :, ::1], uint8[:, :, ::1], T[:, :, ::1], _WINDOW))
def _scatter_planes_task(task, dy, offset, dx, window):
    P, Q = dy.shape[1:]
    for plane in range(task * window.part, min((task + 1) * window.part, len(dx))):
        dx[plane] = 0
        for p in range(P):
            h = p * window.row_stride - window.row_padding
            for q in range(Q):
                r, s = divmod(int64(offset[plane, p, q]), window.S)
                w = q * window.column_stride - window.column_padding
                dx[plane, h + r * window.row_dilation, w + s * window.column_dilation] += dy[
                    plane, p, q
                ]


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], T[:, ::1], _WINDOW))
def _mean_planes_task(task, x, y, count, window):
    H, W = x.shape[1:]
    P, Q = y.shape[1:]
    rows = _inside(P, window.row_stride, window.row_padding, 1, window.R, H)
    columns = _inside(Q, window.column_stride, window.column_padding, 1, window.S, W)
    known = np.empty((window.S, 2), np.int64)  # the windows whose position s is inside the image
    for s in range(window.S):
        first, last = 0, Q
        while first < last and s < columns[first, 0]:
            first += 1
        while last > first and s >= columns[last - 1, 1]:
            last -= 1
        known[s, 0], known[s, 1] = first, last
    # Pairs of rows and columns without padding: said apart, so that vectors are loaded and added.
    pairs = window.R == 2 and window.S == 2 and window.column_stride == 2
    pairs &= window.row_padding == 0 and window.column_padding == 0
    pairs &= (P - 1) * window.row_stride + 2 <= H and 2 * Q <= W
    for plane in range(task * window.part, min((task + 1) * window.part, len(x))):
        for p in range(P):
            total = y[plane, p]
            if pairs:
                h = p * window.row_stride
                above, below = x[plane, h], x[plane, h + 1]
                for q in range(Q):
                    upper = above[2 * q] + above[2 * q + 1]
                    total[q] = (upper + below[2 * q] + below[2 * q + 1]) / count[p, q]
                continue
            total[:] = 0
            for r in range(rows[p, 0], rows[p, 1]):
                pixels = x[plane, p * window.row_stride - window.row_padding + r]
                for s in range(window.S):
                    first, last = known[s, 0], known[s, 1]
                    line = pixels[first * window.column_stride - window.column_padding + s :]
                    # The usual strides are said apart, so that vectors are loaded.
                    if window.column_stride == 1:
                        for q in range(last - first):
                            total[first + q] += line[q]
                    elif window.column_stride == 2:
                        for q in range(last - first):
                            total[first + q] += line[2 * q]
                    else:
                        for q in range(last - first):
                            total[first + q] += line[q * window.column_stride]
            for q in range(Q):
                total[q] /= count[p, q]


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], T[:, ::1], _WINDOW))
def _spread_planes_task(task, dy, dx, count, window):
    H, W = dx.shape[1:]
    P, Q = dy.shape[1:]
    rows = _inside(P, window.row_stride, window.row_padding, 1, window.R, H)
    columns = _inside(Q, window.column_stride, window.column_padding, 1, window.S, W)
    # Windows side by side, without gaps: each row of dx is written once.
    apart = window.row_stride == window.R and window.column_stride == window.S
    apart &= window.row_padding == 0 and window.column_padding == 0
    apart &= H == P * window.R and W == Q * window.S
    share = np.empty(Q, dx.dtype)
    for plane in range(task * window.part, min((task + 1) * window.part, len(dx))):
        if not apart:
            dx[plane] = 0
        for p in range(P):
            for q in range(Q):
                share[q] = dy[plane, p, q] / count[p, q]
            if apart:
                line = dx[plane, p * window.R]
                if window.S == 2:  # said apart, so that vectors are stored
                    for q in range(Q):
                        line[2 * q] = share[q]
                        line[2 * q + 1] = share[q]
                else:
                    for q in range(Q):
                        for s in range(window.S):
                            line[q * window.S + s] = share[q]
                for r in range(1, window.R):
                    below = dx[plane, p * window.R + r]
                    for w in range(W):
                        below[w] = line[w]
                continue
            for q in range(Q):
                for r in range(rows[p, 0], rows[p, 1]):
                    h = p * window.row_stride - window.row_padding + r
                    w = q * window.column_stride - window.column_padding
                    for s in range(columns[q, 0], columns[q, 1]):
                        dx[plane, h, w + s] += share[q]


# ------------------------------------------------------------------------- channels innermost


@jit.kernel(lambda T: (T[:, :, :, ::1], T[:, :, :, ::1], uint8[:, :, :, ::1], _WINDOW))
def _max_rows_task(task, x, y, offset, window):
    _, H, W, C = x.shape
    P, Q = y.shape[1:3]
    n, block = divmod(task, -(-P // window.part))
    rows = _inside(P, window.row_stride, window.row_padding, window.row_dilation, window.R, H)
    columns = _inside(
        Q, window.column_stride, window.column_padding, window.column_dilation, window.S, W
    )
    place, code = np.empty(window.R * window.S, np.int64), np.empty(window.R * window.S, np.uint8)
    for p in range(block * window.part, min((block + 1) * window.part, P)):
        h = p * window.row_stride - window.row_padding + rows[p, 0] * window.row_dilation
        count = 0
        for q in range(Q):
            # The table is that of the window before, unless one of them reaches over the edge.
            if q == 0 or columns[q, 0] != columns[q - 1, 0] or columns[q, 1] != columns[q - 1, 1]:
                count = 0
                for r in range(rows[p, 0], rows[p, 1]):
                    for s in range(columns[q, 0], columns[q, 1]):
                        down = (r - rows[p, 0]) * window.row_dilation
                        right = (s - columns[q, 0]) * window.column_dilation
                        place[count] = (down * W + right) * C
                        code[count] = r * window.S + s
                        count += 1
            w = q * window.column_stride - window.column_padding
            w += columns[q, 0] * window.column_dilation
            start = ((n * H + h) * W + w) * C
            y_start = ((n * P + p) * Q + q) * C
            largest(x, start, 1, place, code, count, y, y_start, offset, y_start, C)


@jit.inline
def _meeting(place, stride, padding, dilation, window, outputs):
    """The windows first <= p < last that may reach a pixel at h or w = place."""
    reach = place + padding - (window - 1) * dilation
    return max(0, -(-reach // stride)), min(outputs, (place + padding) // stride + 1)


@jit.kernel(lambda T: (T[:, :, :, ::1], uint8[:, :, :, ::1], T[:, :, :, ::1], _WINDOW))
def _scatter_rows_task(task, dy, offset, dx, window):
    """Each pixel of dx collects from the windows that it lies in."""
    _, H, W, C = dx.shape
    P, Q = dy.shape[1:3]
    n, block = divmod(task, -(-H // window.part))
    place, code = np.empty(window.R * window.S, np.int64), np.empty(window.R * window.S, np.uint8)
    for h in range(block * window.part, min((block + 1) * window.part, H)):
        p_first, p_last = _meeting(
            h, window.row_stride, window.row_padding, window.row_dilation, window.R, P
        )
        for w in range(W):
            q_first, q_last = _meeting(
                w, window.column_stride, window.column_padding, window.column_dilation, window.S, Q
            )
            count = 0
            for p in range(p_first, p_last):
                down = h + window.row_padding - p * window.row_stride
                r = down // window.row_dilation
                if r * window.row_dilation != down:
                    continue
                for q in range(q_first, q_last):
                    right = w + window.column_padding - q * window.column_stride
                    s = right // window.column_dilation
                    if s * window.column_dilation == right:
                        place[count] = (p * Q + q) * C
                        code[count] = r * window.S + s
                        count += 1
            if count > 0:
                start = n * P * Q * C
                collected(
                    dy, offset, start, place, code, count, dx, ((n * H + h) * W + w) * C, C
                )  # fmt: skip
            else:
                dx[n, h, w, :] = 0


@jit.kernel(lambda T: (T[:, :, :, ::1], T[:, :, :, ::1], T[:, ::1], _WINDOW))
def _mean_rows_task(task, x, y, count, window):
    _, H, W, C = x.shape
    P, Q = y.shape[1:3]
    n, block = divmod(task, -(-P // window.part))
    rows = _inside(P, window.row_stride, window.row_padding, 1, window.R, H)
    columns = _inside(Q, window.column_stride, window.column_padding, 1, window.S, W)
    for p in range(block * window.part, min((block + 1) * window.part, P)):
        for q in range(Q):
            total = y[n, p, q]
            for c in range(C):
                total[c] = 0
            for r in range(rows[p, 0], rows[p, 1]):
                h = p * window.row_stride - window.row_padding + r
                for s in range(columns[q, 0], columns[q, 1]):
                    pixels = x[n, h, q * window.column_stride - window.column_padding + s]
                    for c in range(C):
                        total[c] += pixels[c]
            for c in range(C):
                total[c] /= count[p, q]


@jit.kernel(lambda T: (T[:, :, :, ::1], T[:, :, :, ::1], T[:, ::1], _WINDOW))
def _spread_rows_task(task, dy, dx, count, window):
    """Each pixel of dx collects from the windows that it lies in."""
    _, H, W, C = dx.shape
    P, Q = dy.shape[1:3]
    n, block = divmod(task, -(-H // window.part))
    for h in range(block * window.part, min((block + 1) * window.part, H)):
        p_first, p_last = _meeting(h, window.row_stride, window.row_padding, 1, window.R, P)
        for w in range(W):
            q_first, q_last = _meeting(
                w, window.column_stride, window.column_padding, 1, window.S, Q
            )
            pixel, empty = dx[n, h, w], True
            for p in range(p_first, p_last):
                for q in range(q_first, q_last):
                    gradient = dy[n, p, q]
                    if empty:
                        empty = False
                        for c in range(C):
                            pixel[c] = gradient[c] / count[p, q]
                    else:
                        for c in range(C):
                            pixel[c] += gradient[c] / count[p, q]
            if empty:
                pixel[:] = 0


_max_planes_task.then(_scatter_planes_task)
_mean_planes_task.then(_spread_planes_task)
_max_rows_task.then(_scatter_rows_task)
_mean_rows_task.then(_spread_rows_task)
