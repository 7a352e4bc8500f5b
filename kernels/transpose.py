"""Matrices with rows and columns exchanged in memory."""

from numpy import ndarray

from . import buffers, jit

BLOCK = 64  # columns of x that are turned by one task
SIDE = 16  # rows turned at once: so many lines of the cache are read, and one is written


def transposed(x: ndarray) -> ndarray:
    """x (batch, rows, columns), C-contiguous, as a new array (batch, columns, rows)."""
    batch, rows, columns = x.shape
    y = buffers.empty((batch, columns, rows), x.dtype)
    _transpose_task(batch * -(-columns // BLOCK), x, y, nanoseconds=x.size)
    return y


@jit.kernel(lambda T: (jit.read_only(T[:, :, ::1]), T[:, :, ::1]))
def _transpose_task(task, x, y):
    """y[n, j : j + BLOCK] from x[n, :, j : j + BLOCK]."""
    _, rows, columns = x.shape
    n, block = divmod(task, -(-columns // BLOCK))
    for first in range(0, rows, SIDE):
        for j in range(block * BLOCK, min(columns, (block + 1) * BLOCK)):
            for i in range(first, min(rows, first + SIDE)):
                y[n, j, i] = x[n, i, j]
