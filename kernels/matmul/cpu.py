"""Matrix products on the CPU, by the micro-kernel.

A task is a block of c, some rows by some columns. It takes K in pieces; of each piece it packs b,
2 vectors of columns at a time, into a panel that fits the first-level cache, and multiplies it with
all its rows of a, which are read where they lie, whatever the strides. Tiles that lie in c
altogether are summed there, those at its edges in a copy.

If the numbers to be summed lie in a row in both operands, as in x @ w.T of a fully connected layer,
nothing is packed at all, unless b is so large that c.T = b.T @ a.T pays, which reads b in order and
packs a. Nor is b packed if a has few rows: then b is larger than all else and read only once or
twice.

NumPy's own product would start the threads of its BLAS, which then fight with Numba's; only for
small products, which it does in the calling thread, it is used, being sooner begun.
"""

from functools import cache
from math import prod

import numpy as np
from numba import int64
from numpy import ndarray

from .. import buffers, jit
from ..microkernel import (
    DOT_COLUMNS,
    DOT_ROWS,
    ROWS,
    VECTORS,
    copy_panel,
    lanes,
    multiply_rows,
    multiply_tile,
)
from ..tiling import even_split, round_up
from ..transpose import transposed
from . import SMALL
from .reference import batch_shape

DEPTH = 256  # of K, packed at once: 256 x 2 vectors, 16 KiB with AVX2
MOST_ROWS, MOST_PANELS = 128, 10  # of c in one task
STREAM_ROWS = 2 * ROWS  # up to so many rows of a, b is not packed: it is used too rarely for that
STREAM, STREAM_DEPTH = 512, 16  # columns and rows of b read at once
DOT_DEPTH = 1024  # of K at once: the rows of a tile fit the first-level cache
DOT_BLOCK = 32 * DOT_DEPTH  # numbers of a: if it has few rows, more of them are taken
DOT_MOST_ROWS, DOT_MOST_COLUMNS = 96, 256  # of c in one task: its rows of a fit the second level
LARGE = 1 << 22  # numbers: more than fit the caches
LEAST_PACKED = 16  # columns of c.T: fewer would leave half of a panel empty
LEAST_ROWS = 4 * ROWS  # below that, packing b would take longer than multiplying it
TASKS, TASK_FLOPS = 32, 4_000_000  # so many tasks, unless they would be smaller than this


def matmul(a: ndarray, b: ndarray) -> ndarray:
    """c (..., M, N) = a (..., M, K) @ b (..., K, N), batches broadcast; any strides.

    Raises ShapeError if the inner sizes differ or the batches do not broadcast.
    """
    batch = batch_shape(a, b)
    jit.check_dtypes(a, b)
    (M, K), N = a.shape[-2:], b.shape[-1]
    if M * N * K * prod(batch) <= SMALL:
        return np.ascontiguousarray(np.matmul(a, b))
    c = buffers.empty((*batch, M, N), a.dtype)
    if c.size == 0 or K == 0:
        c[...] = 0
        return c
    products = c.reshape(-1, M, N)
    if batch:
        a = np.broadcast_to(a, (*batch, M, K)).reshape(-1, M, K)
        b = np.broadcast_to(b, (*batch, K, N)).reshape(-1, K, N)
    else:
        a, b = a[None], b[None]
    a, b = a if _in_elements(a) else a.copy(), b if _in_elements(b) else b.copy()
    if a.strides[2] == b.strides[1] == a.itemsize and (M < LEAST_PACKED or K * N < LARGE):
        _multiply_rows(a, b.swapaxes(1, 2), products)
        return c
    if b.strides[2] != b.itemsize and (a.strides[1] == a.itemsize or N > M):
        # Columns of b are long, rows are not. c.T = b.T @ a.T packs a instead, or packs less often.
        a, b, products = b.swapaxes(1, 2), a.swapaxes(1, 2), products.swapaxes(1, 2)
    _multiply(a, b, products)
    return c


def _in_elements(x: ndarray) -> bool:
    flags = x.flags
    return flags.aligned and (
        flags.c_contiguous
        or flags.f_contiguous
        or all(stride % x.itemsize == 0 for stride in x.strides)
    )


def _multiply_rows(a: ndarray, b: ndarray, c: ndarray) -> None:
    """c (batch, M, N) = a (batch, M, K) times b (batch, N, K) transposed; rows without gaps."""
    batch, M, N = c.shape
    K = a.shape[2]
    tasks, rows, columns, depth = _rows_cut(batch, M, N, K)
    _multiply_rows_task(
        tasks, a, b, c, rows, columns, depth, lanes(a.dtype), nanoseconds=c.size * K / 50
    )


@cache
def _rows_cut(batch: int, M: int, N: int, K: int) -> tuple[int, int, int, int]:
    """(tasks, rows and columns of c in one, how much of K it takes at once)."""
    rows, columns = even_split(M, DOT_MOST_ROWS), even_split(N, DOT_MOST_COLUMNS)
    pieces = batch * -(-M // rows)  # of which each is cut into some columns
    wanted = min(TASKS, 2 * batch * M * N * K // TASK_FLOPS)
    if pieces * -(-N // columns) < wanted:
        columns = -(-N // -(-wanted // pieces))
    columns = round_up(columns, DOT_COLUMNS)
    return pieces * -(-N // columns), rows, columns, min(K, max(DOT_DEPTH, DOT_BLOCK // M))


@jit.kernel(
    lambda T: (
        jit.read_only(T[:, :, :]),
        jit.read_only(T[:, :, :]),
        T[:, :, ::1],
        int64,
        int64,
        int64,
        int64,
    )
)
def _multiply_rows_task(task, a, b, c, rows, columns, depth, lanes):
    """c[n, m : m + rows, j : j + columns] of one product of the batch."""
    _, M, N = c.shape
    K = a.shape[2]
    task, j_block = divmod(task, -(-N // columns))
    n, m_block = divmod(task, -(-M // rows))
    m_first, j_first = m_block * rows, j_block * columns
    m_last, j_last = min(m_first + rows, M), min(j_first + columns, N)
    a_row, b_row = a.strides[1] // a.itemsize, b.strides[1] // b.itemsize
    a_item, b_item = n * (a.strides[0] // a.itemsize), n * (b.strides[0] // b.itemsize)
    c_row = c.strides[1] // c.itemsize
    a_rows, b_rows = np.empty(DOT_ROWS, np.int64), np.empty(DOT_COLUMNS, np.int64)
    tile = np.empty(DOT_ROWS * DOT_COLUMNS, c.dtype)  # for what lies across the edge of c
    for first in range(0, K, depth):
        last = min(first + depth, K)
        steps = (last - first) // lanes
        rest = first + steps * lanes
        for j in range(j_first, j_last, DOT_COLUMNS):
            width = min(DOT_COLUMNS, j_last - j)
            for i in range(DOT_COLUMNS):  # rows beyond the last repeat it
                b_rows[i] = min(j + i, N - 1) * b_row
            m = m_first
            while m < m_last:
                height = 1 if m == m_last - 1 else DOT_ROWS
                count = min(height, m_last - m)
                for i in range(height):
                    a_rows[i] = min(m + i, m_last - 1) * a_row
                if steps and count == height and width == DOT_COLUMNS:
                    multiply_rows(
                        height, a, a_item + first, a_rows, b, b_item + first, b_rows,
                        c, (n * M + m) * c_row + j, c_row, steps, first,
                    )  # fmt: skip
                else:
                    if steps:
                        multiply_rows(
                            height, a, a_item + first, a_rows, b, b_item + first, b_rows,
                            tile, 0, DOT_COLUMNS, steps, 0,
                        )  # fmt: skip
                    for i in range(count):
                        for l in range(width):
                            total = tile[i * DOT_COLUMNS + l] if steps else 0
                            c[n, m + i, j + l] = total + (c[n, m + i, j + l] if first else 0)
                for k in range(rest, last):
                    for i in range(count):
                        for l in range(width):
                            c[n, m + i, j + l] += a[n, m + i, k] * b[n, j + l, k]
                m += height


def _multiply(a: ndarray, b: ndarray, c: ndarray) -> None:
    """c (batch, M, N) = a (batch, M, K) @ b (batch, K, N), cut into tasks by shape alone."""
    batch, M, N = c.shape
    if M <= STREAM_ROWS and b.strides[2] == b.itemsize:
        tasks = batch * -(-N // STREAM)
        _stream_task(tasks, a, b, c, lanes(a.dtype), nanoseconds=c.size * a.shape[2] / 50)
        return
    panel = VECTORS * lanes(a.dtype)
    rows, panels = round_up(even_split(M, MOST_ROWS), ROWS), even_split(-(-N // panel), MOST_PANELS)
    wanted = min(TASKS, 2 * c.size * a.shape[2] // TASK_FLOPS)
    while (tasks := batch * -(-M // rows) * -(-N // (panels * panel))) < wanted:
        if panels > 1:
            panels = -(-panels // 2)
        elif rows > LEAST_ROWS:
            rows = round_up(rows // 2, ROWS)
        else:
            break
    if rows < M and b.strides[2] != b.itemsize and b.swapaxes(1, 2).flags.c_contiguous:
        b = transposed(b.swapaxes(1, 2))  # packed by several tasks: turn it once
    _multiply_task(
        tasks, a, b, c, rows, panels * panel, lanes(a.dtype), nanoseconds=c.size * a.shape[2] / 50
    )


@jit.kernel(
    lambda T: (
        jit.read_only(T[:, :, :]),
        jit.read_only(T[:, :, :]),
        T[:, :, :],
        int64,
        int64,
        int64,
    )
)
def _multiply_task(task, a, b, c, rows, columns, lanes):
    """c[n, m : m + rows, j : j + columns] of one product of the batch."""
    _, M, N = c.shape
    K = a.shape[2]
    task, j_block = divmod(task, -(-N // columns))
    n, m_block = divmod(task, -(-M // rows))
    m_first, j_first = m_block * rows, j_block * columns
    rows, columns = min(rows, M - m_first), min(columns, N - j_first)
    a_item, a_row, a_step = (
        a.strides[0] // a.itemsize,
        a.strides[1] // a.itemsize,
        a.strides[2] // a.itemsize,
    )
    vectors = -(-columns // lanes)
    panels = -(-vectors // VECTORS)
    line = vectors * lanes
    # Tiles that lie in c altogether are summed there; the others in a copy of the block.
    in_c = c.strides[2] == c.itemsize
    c_row = c.strides[1] // c.itemsize
    c_start = n * (c.strides[0] // c.itemsize) + m_first * c_row + j_first
    whole_rows = rows // ROWS * ROWS if in_c else 0
    whole_columns = columns if line == columns else (panels - 1) * vectors // panels * lanes
    packed = np.empty(DEPTH * VECTORS * lanes, c.dtype)
    copied = whole_rows < rows or whole_columns < columns
    sums = np.empty(-(-rows // ROWS) * ROWS * line if copied else 0, c.dtype)
    row = np.empty(ROWS, np.int64)
    starts = np.empty(DEPTH, np.int64)
    for k in range(0, K, DEPTH):
        depth = min(DEPTH, K - k)
        for panel in range(panels):
            first, last = panel * vectors // panels, (panel + 1) * vectors // panels
            j, width = first * lanes, (last - first) * lanes
            _pack(packed, starts, b, n, k, depth, j_first + j, last - first, lanes)
            for m in range(0, rows, ROWS):
                for i in range(ROWS):  # rows beyond the last repeat it
                    row[i] = (m_first + min(m + i, rows - 1)) * a_row
                if m < whole_rows and j < whole_columns:
                    multiply_tile(
                        last - first, a, n * a_item + k * a_step, row, 0, 0, a_step,
                        packed, 0, width, c, c_start + m * c_row + j, c_row, 1, depth, k,
                    )  # fmt: skip
                else:
                    multiply_tile(
                        last - first, a, n * a_item + k * a_step, row, 0, 0, a_step,
                        packed, 0, width, sums, m * line + j, line, 1, depth, k,
                    )  # fmt: skip
    for m in range(rows):
        for j in range(whole_columns if m < whole_rows else 0, columns):
            c[n, m_first + m, j_first + j] = sums[m * line + j]


@jit.kernel(lambda T: (jit.read_only(T[:, :, :]), jit.read_only(T[:, :, :]), T[:, :, :], int64))
def _stream_task(task, a, b, c, lanes):
    """c[n, :, j : j + STREAM] for few rows of a, reading b where it lies, a few rows at a time."""
    _, M, N = c.shape
    K = a.shape[2]
    n, j_block = divmod(task, -(-N // STREAM))
    first = j_block * STREAM
    columns = min(STREAM, N - first)
    width = VECTORS * lanes
    line = -(-columns // width) * width
    tiles = -(-M // ROWS)
    a_row, a_step = a.strides[1] // a.itemsize, a.strides[2] // a.itemsize
    b_row = b.strides[1] // b.itemsize
    sums = np.empty(tiles * ROWS * line, c.dtype)
    packed = np.empty(STREAM_DEPTH * width, c.dtype)
    starts = np.empty(STREAM_DEPTH, np.int64)
    row = np.empty(tiles * ROWS, np.int64)
    for i in range(tiles * ROWS):  # rows beyond the last repeat it
        row[i] = n * (a.strides[0] // a.itemsize) + min(i, M - 1) * a_row
    for k in range(0, K, STREAM_DEPTH):
        depth = min(STREAM_DEPTH, K - k)
        b_start = n * (b.strides[0] // b.itemsize) + k * b_row + first
        for j in range(0, columns, width):
            whole = j + width <= columns
            if not whole:
                _pack(packed, starts, b, n, k, depth, first + j, VECTORS, lanes)
            for m in range(0, tiles * ROWS, ROWS):
                if whole:
                    multiply_tile(
                        VECTORS, a, k * a_step, row, m, 0, a_step, b, b_start + j, b_row,
                        sums, m * line + j, line, 1, depth, k,
                    )  # fmt: skip
                else:
                    multiply_tile(
                        VECTORS, a, k * a_step, row, m, 0, a_step, packed, 0, width,
                        sums, m * line + j, line, 1, depth, k,
                    )  # fmt: skip
    for m in range(M):
        for j in range(columns):
            c[n, m, first + j] = sums[m * line + j]


@jit.inline
def _pack(packed, starts, b, n, k_first, depth, j, vectors, lanes):
    """packed (depth, vectors lanes) = b[n, k_first:, j:], zero beyond the last column."""
    width = vectors * lanes
    columns = min(width, b.shape[2] - j)
    if columns == width and b.strides[2] == b.itemsize:
        for k in range(depth):
            starts[k] = k * (b.strides[1] // b.itemsize)
        start = (n * b.strides[0] + k_first * b.strides[1]) // b.itemsize + j
        copy_panel(vectors, b, start, starts, depth, packed, 0)
        return
    for i in range(width):
        for k in range(depth):
            packed[k * width + i] = b[n, k_first + k, j + i] if i < columns else 0


_multiply_rows_task.then(_stream_task, _multiply_task)
# What a linear layer's training step takes, the first kernel last.
LINEAR = (_stream_task, _multiply_task, _multiply_rows_task)
