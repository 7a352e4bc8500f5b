"""Images with their channels innermost, (N, H, W, C) in memory, as the fast kernels want them."""

import numpy as np
from numpy import ndarray

from .. import buffers, jit

BLOCK = 64  # pixels that are turned at once


def channels_last(x: ndarray) -> ndarray:
    """x (N, C, H, W) as an array (N, H, W, C) without gaps: x itself, seen so, where it can be."""
    turned = x.transpose(0, 2, 3, 1)
    if turned.flags.c_contiguous and turned.flags.aligned:
        return turned
    if not (x.flags.c_contiguous and x.flags.aligned):
        return np.ascontiguousarray(turned)
    N, C, H, W = x.shape
    y = buffers.empty((N, H, W, C), x.dtype)
    tasks = N * -(-H * W // BLOCK)
    _turn_task(tasks, x.reshape(N, C, H * W), y.reshape(N, H * W, C), nanoseconds=x.size)
    return y


def channels_first_view(y: ndarray) -> ndarray:
    """y (N, P, Q, K) seen as (N, K, P, Q)."""
    return y.transpose(0, 3, 1, 2)


@jit.kernel(lambda T: (jit.read_only(T[:, :, ::1]), T[:, :, ::1]))
def _turn_task(task, x, y):
    """y[n, i : i + BLOCK] (pixels, channels) from x[n] (channels, pixels)."""
    _, C, pixels = x.shape
    n, block = divmod(task, -(-pixels // BLOCK))
    first = block * BLOCK
    last = min(pixels, first + BLOCK)
    for c_first in range(0, C, 16):
        for i in range(first, last):
            for c in range(c_first, min(C, c_first + 16)):
                y[n, i, c] = x[n, c, i]
