"""Matrix products on the CPU, by the micro-kernel.

A task is a block of c, some rows by some columns. It takes K in pieces; of each piece it packs b,
2 vectors of columns at a time, into a panel that fits the first-level cache, and multiplies it with
all its rows of a, which are read where they lie, whatever the strides. Tiles that lie in c
altogether are summed there, those at its edges in a copy.

If a has few rows, as in a fully connected layer with few samples, b is larger than all else and
read only once or twice: then it is not packed, but read where it lies.

NumPy's own product would start the threads of its BLAS, which then fight with Numba's; only for
small products, which it does in the calling thread, it is used, being sooner begun.
"""

from math import prod

import numpy as np
from numba import int64
from numpy import ndarray

from .. import buffers, jit
from ..microkernel import ROWS, VECTORS, copy_panel, lanes, multiply_tile
from ..tiling import even_split, round_up
from ..transpose import transposed
from . import SMALL
from .reference import batch_shape

DEPTH = 256  # of K, packed at once: 256 x 2 vectors, 16 KiB with AVX2
MOST_ROWS, MOST_PANELS = 128, 10  # of c in one task
STREAM_ROWS = 2 * ROWS  # up to so many rows of a, b is not packed: it is used too rarely for that
STREAM, STREAM_DEPTH = 512, 16  # columns and rows of b read at once
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
    a, b = (x if _in_elements(x) else x.copy() for x in (a, b))
    if b.strides[2] != b.itemsize and (a.strides[1] == a.itemsize or N > M):
        # Columns of b are long, rows are not. c.T = b.T @ a.T packs a instead, or packs less often.
        a, b, products = b.swapaxes(1, 2), a.swapaxes(1, 2), products.swapaxes(1, 2)
    _multiply(a, b, products)
    return c


def _in_elements(x: ndarray) -> bool:
    return x.flags.aligned and all(stride % x.itemsize == 0 for stride in x.strides)


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
    _multiply_task(tasks, a, b, c, rows, panels * panel, lanes(a.dtype))


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
                        last - first, a, n * a_item + k * a_step, row, 0, a_step, packed, 0, width,
                        c, c_start + m * c_row + j, c_row, 1, depth, k,
                    )  # fmt: skip
                else:
                    multiply_tile(
                        last - first, a, n * a_item + k * a_step, row, 0, a_step, packed, 0, width,
                        sums, m * line + j, line, 1, depth, k,
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
                        VECTORS, a, k * a_step, row[m:], 0, a_step, b, b_start + j, b_row,
                        sums, m * line + j, line, 1, depth, k,
                    )  # fmt: skip
                else:
                    multiply_tile(
                        VECTORS, a, k * a_step, row[m:], 0, a_step, packed, 0, width,
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
