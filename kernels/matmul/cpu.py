"""Matrix products on the CPU, by the micro-kernel.

A task is a block of c, some rows by some columns, summed in a scratch tile. It takes K in pieces;
of each piece it packs b, 2 vectors of columns at a time, into a panel that fits the first-level
cache, and multiplies it with all its rows of a, which are read where they lie, whatever the
strides. NumPy's own product would start the threads of its BLAS, which then fight with Numba's;
only for small products, which it does in the calling thread, it is used, being sooner begun.
"""

from math import prod

import numpy as np
from numba import int64
from numpy import ndarray

from .. import buffers, jit
from ..microkernel import ROWS, VECTORS, copy_panel, lanes, multiply_tile
from ..tiling import even_split, round_up
from . import SMALL
from .reference import batch_shape

DEPTH = 256  # of K, packed at once: 256 x 2 vectors, 16 KiB with AVX2
MOST_ROWS, MOST_PANELS = 128, 10  # of c in one task
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
    packed = np.empty(DEPTH * VECTORS * lanes, c.dtype)
    sums = np.empty(-(-rows // ROWS) * ROWS * line, c.dtype)
    row = np.empty(ROWS, np.int64)
    starts = np.empty(DEPTH, np.int64)
    for k in range(0, K, DEPTH):
        depth = min(DEPTH, K - k)
        for panel in range(panels):
            first, last = panel * vectors // panels, (panel + 1) * vectors // panels
            _pack(packed, starts, b, n, k, depth, j_first + first * lanes, last - first, lanes)
            for m in range(0, rows, ROWS):
                for i in range(ROWS):  # rows beyond the last repeat it
                    row[i] = (m_first + min(m + i, rows - 1)) * a_row
                multiply_tile(
                    last - first, a, n * a_item + k * a_step, row, 0, a_step, packed, 0,
                    sums, m * line + first * lanes, line, 1, depth, k,
                )  # fmt: skip
    for m in range(rows):
        for j in range(columns):
            c[n, m_first + m, j_first + j] = sums[m * line + j]


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
