"""Batch normalisation on the CPU, for both orders in memory. The formulas are reference.py's.

Planes (N, C, L): a task is one channel, which stays in the cache meanwhile. Sums are taken in
float64, the spread in a second pass.

Rows (M, C), which is how a matrix lies and images whose channels are innermost: a task is some
rows, all channels side by side in vectors. It reads the memory once, in blocks of rows that stay in
the cache: a block's mean, then its spread about that mean, are joined to those of the blocks before
it (Chan, Golub and LeVeque 1983). Sums within a block are in x's own type, those of the blocks in
float64; nothing cancels where the mean is large beside the spread.
"""

import numpy as np
from numba import float64, int64
from numpy import ndarray

from .. import buffers, jit
from ..layout import channels_innermost, from_memory, to_memory
from ..tiling import even_split

BLOCK_ROWS = 32
TASK_NUMBERS = 65536  # numbers of one task in rows, at least, and
TASKS = 64  # that many tasks at most: each leaves its sums to be joined


def forward(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, *, eps: float
) -> tuple[ndarray, ndarray, ndarray]:
    """y like x, and the batch's mean (C,) and biased variance (C,)."""
    in_rows, inner = _order(x)
    x, weight, bias = jit.dense(to_memory(x, inner), weight, bias)
    y = buffers.empty_like(x)
    C = x.shape[-1 if inner else 1]
    mean, var = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    if x.size:
        weight, bias = _filled(weight, 1, C, x), _filled(bias, 0, C, x)
        if in_rows:
            center, spread = _moments(x.reshape(-1, C))
            mean, var = center.astype(x.dtype), spread.astype(x.dtype)
            _apply_rows(x, y, center, weight / np.sqrt(spread + eps), bias)
        else:
            _forward_task(
                C, _channels(x), _channels(y), weight, bias, mean, var, eps, nanoseconds=x.size
            )
    return from_memory(y, inner), mean, var


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
    return _normalize(x, mean, var, weight, bias, eps, 0)


def normalize_relu(
    x: ndarray,
    mean: ndarray,
    var: ndarray,
    weight: ndarray | None,
    bias: ndarray | None,
    *,
    eps: float,
) -> ndarray:
    """max(y, 0) of what `normalize` gives, in the same pass."""
    return _normalize(x, mean, var, weight, bias, eps, 1)


def _normalize(
    x: ndarray,
    mean: ndarray,
    var: ndarray,
    weight: ndarray | None,
    bias: ndarray | None,
    eps: float,
    relu: int,
) -> ndarray:
    in_rows, inner = _order(x)
    x, mean, var, weight, bias = jit.dense(to_memory(x, inner), mean, var, weight, bias)
    y = buffers.empty_like(x)
    C = x.shape[-1 if inner else 1]
    if x.size:
        numbers = _filled(weight, 1, C, x), _filled(bias, 0, C, x), mean, var, eps, relu
        if in_rows:
            rows = x.reshape(-1, C), y.reshape(-1, C)
            tasks, count = _row_tasks(rows[0])
            _normalize_rows_task(tasks, *rows, *numbers, count, nanoseconds=x.size / 4)
        else:
            _normalize_task(C, _channels(x), _channels(y), *numbers, nanoseconds=x.size)
    return from_memory(y, inner)


def backward(
    dy: ndarray, x: ndarray, weight: ndarray | None, mean: ndarray, var: ndarray, *, eps: float
) -> tuple[ndarray, ndarray, ndarray]:
    """dx like x, dweight (C,), dbias (C,)."""
    in_rows, inner = _order(x)
    dy, x, weight, mean, var = jit.dense(
        to_memory(dy, inner), to_memory(x, inner), weight, mean, var
    )
    dx = buffers.empty_like(x)
    C = x.shape[-1 if inner else 1]
    dweight, dbias = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    if x.size:
        weight = _filled(weight, 1, C, x)
        if in_rows:
            dweight, dbias = _backward_rows(dy, x, dx, weight, mean, var, eps)
        else:
            arrays = _channels(dy), _channels(x), _channels(dx), weight
            _backward_task(C, *arrays, mean, var, dweight, dbias, eps, nanoseconds=x.size)
    return from_memory(dx, inner), dweight, dbias


def _order(x: ndarray) -> tuple[bool, bool]:
    """(whether x is taken as rows (M, C), whether its channels must be turned to the end)."""
    inner = channels_innermost(x)
    return inner or x.ndim == 2, inner


def _row_tasks(x: ndarray) -> tuple[int, int]:
    """(how many tasks, rows of each) for x (M, C), from the sizes alone."""
    M, C = x.shape
    rows = even_split(M, max(TASK_NUMBERS // C, -(-M // TASKS), 1))
    return -(-M // rows), rows


def _moments(x: ndarray) -> tuple[ndarray, ndarray]:
    """Mean and biased variance of the columns of x (M, C), in float64."""
    tasks, rows = _row_tasks(x)
    mean, squares = np.zeros((2, tasks, x.shape[1]))
    _moments_task(tasks, x, mean, squares, rows, nanoseconds=x.size / 4)
    count = np.minimum(rows, len(x) - rows * np.arange(tasks))[:, None]
    total = (mean * count).sum(axis=0) / len(x)
    return total, (squares + count * (mean - total) ** 2).sum(axis=0) / len(x)


def _apply_rows(x: ndarray, y: ndarray, mean: ndarray, scale: ndarray, bias: ndarray) -> None:
    """y = (x - mean) scale + bias; mean and scale in float64, of which x's type holds a part."""
    C = x.shape[-1]
    center = mean.astype(x.dtype)
    shift = bias - (mean - center) * scale
    x, y = x.reshape(-1, C), y.reshape(-1, C)
    tasks, rows = _row_tasks(x)
    numbers = center, scale.astype(x.dtype), shift.astype(x.dtype)
    _apply_rows_task(tasks, x, y, *numbers, rows, nanoseconds=x.size / 4)


def _backward_rows(
    dy: ndarray,
    x: ndarray,
    dx: ndarray,
    weight: ndarray,
    mean: ndarray,
    var: ndarray,
    eps: float,
) -> tuple[ndarray, ndarray]:
    """Fills dx; gives dweight and dbias."""
    C = x.shape[-1]
    x, dy, dx = (a.reshape(-1, C) for a in (x, dy, dx))
    tasks, rows = _row_tasks(x)
    sums = np.zeros((tasks, 3, C))
    _gradient_sums_task(tasks, x, dy, mean, sums, rows, nanoseconds=x.size / 3)
    total, product, offset = sums.sum(axis=0)
    offset /= len(x)  # what rounding took from the mean (see reference.py)
    product -= offset * total
    inverse = 1 / np.sqrt(var.astype(np.float64) + eps)
    # dx = scale (dy - level - deviation slope), sorted by what is multiplied
    scale = weight * inverse
    slope, level = product * inverse * inverse / len(x), total / len(x)
    exact = (scale, -scale * slope, scale * (offset * slope - level))
    numbers = (n.astype(x.dtype) for n in exact)
    _gradient_task(tasks, x, dy, dx, mean, *numbers, rows, nanoseconds=x.size / 3)
    return (product * inverse).astype(x.dtype), total.astype(x.dtype)


def _channels(x: ndarray) -> ndarray:
    """(N, C, *spatial) as (N, C, L)."""
    return x.reshape(*x.shape[:2], -1)


@jit.inline
def _centered(value, center, offset):
    # Compiled without reorder_sums: center + offset, added first, would be rounded again.
    return (value - center) - offset


def _filled(a: ndarray | None, value: float, C: int, x: ndarray) -> ndarray:
    return np.full(C, value, x.dtype) if a is None else a


# --------------------------------------------------------------------------------------- rows


@jit.kernel(lambda T: (T[:, ::1], float64[:, ::1], float64[:, ::1], int64))
def _moments_task(task, x, mean, squares, rows):
    """mean[task], squares[task]: of the task's rows, the squares of deviations summed."""
    C = x.shape[1]
    center, rest, square = np.empty((3, C), x.dtype)
    last = min((task + 1) * rows, len(x))
    seen = 0
    for start in range(task * rows, last, BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, last)
        count = end - start
        center[:] = 0
        rest[:] = 0
        square[:] = 0
        for i in range(start, end):
            for c in range(C):
                center[c] += x[i, c]
        for c in range(C):
            center[c] /= count
        for i in range(start, end):
            for c in range(C):
                deviation = x[i, c] - center[c]
                rest[c] += deviation
                square[c] += deviation * deviation
        seen += count
        for c in range(C):
            offset = float64(rest[c]) / count  # what rounding took from the block's mean
            distance = center[c] + offset - mean[task, c]
            mean[task, c] += distance * count / seen
            squares[task, c] += (
                square[c]
                - count * offset * offset
                + distance * distance * (seen - count) * count / seen
            )


@jit.kernel(lambda T: (T[:, ::1], T[:, ::1], T[::1], T[::1], T[::1], int64))
def _apply_rows_task(task, x, y, center, scale, shift, rows):
    for i in range(task * rows, min((task + 1) * rows, len(x))):
        for c in range(x.shape[1]):
            y[i, c] = (x[i, c] - center[c]) * scale[c] + shift[c]


@jit.kernel(lambda T: (T[:, ::1], T[:, ::1], T[::1], T[::1], T[::1], T[::1], float64, int64, int64))
def _normalize_rows_task(task, x, y, weight, bias, mean, var, eps, relu, rows):
    C = x.shape[1]
    scale = np.empty(C, x.dtype)
    for c in range(C):
        scale[c] = weight[c] / np.sqrt(float64(var[c]) + eps)
    for i in range(task * rows, min((task + 1) * rows, len(x))):
        for c in range(C):
            value = (x[i, c] - mean[c]) * scale[c] + bias[c]
            y[i, c] = 0 if relu and value <= 0 else value


@jit.kernel(lambda T: (T[:, ::1], T[:, ::1], T[::1], float64[:, :, ::1], int64))
def _gradient_sums_task(task, x, dy, center, sums, rows):
    """sums[task]: of dy, of dy times the deviation from center, and of that deviation."""
    C = x.shape[1]
    total, product, offset = np.empty((3, C), x.dtype)
    last = min((task + 1) * rows, len(x))
    for start in range(task * rows, last, BLOCK_ROWS):
        total[:] = 0
        product[:] = 0
        offset[:] = 0
        for i in range(start, min(start + BLOCK_ROWS, last)):
            for c in range(C):
                deviation = x[i, c] - center[c]
                total[c] += dy[i, c]
                product[c] += dy[i, c] * deviation
                offset[c] += deviation
        for c in range(C):
            sums[task, 0, c] += total[c]
            sums[task, 1, c] += product[c]
            sums[task, 2, c] += offset[c]


@jit.kernel(lambda T: (T[:, ::1], T[:, ::1], T[:, ::1], T[::1], T[::1], T[::1], T[::1], int64))
def _gradient_task(task, x, dy, dx, center, scale, slope, level, rows):
    for i in range(task * rows, min((task + 1) * rows, len(x))):
        for c in range(x.shape[1]):
            dx[i, c] = dy[i, c] * scale[c] + ((x[i, c] - center[c]) * slope[c] + level[c])


# ------------------------------------------------------------------------------------- planes


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


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, ::1], T[::1], T[::1], T[::1], T[::1], float64, int64))
def _normalize_task(c, x, y, weight, bias, mean, var, eps, relu):
    N, _, L = x.shape
    center = float64(mean[c])
    scale = weight[c] / np.sqrt(float64(var[c]) + eps)
    for n in range(N):
        for i in range(L):
            value = (x[n, c, i] - center) * scale + bias[c]
            y[n, c, i] = 0 if relu and value <= 0 else value


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


_forward_task.then(_backward_task)
_moments_task.then(_apply_rows_task, _gradient_sums_task, _gradient_task)
