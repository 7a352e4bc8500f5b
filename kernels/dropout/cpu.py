"""Dropout on the CPU, with the random stream of reference.py, to the bit.

A task computes some blocks of the stream side by side: the words of many blocks are arrays, and a
round of the cipher is one loop over them, which LLVM turns into vector instructions.
"""

import numpy as np
from numba import int64, uint32, uint64
from numpy import ndarray

from .. import jit
from .reference import MULTIPLIERS, ROUNDS, WEYL, survivor_scale, threshold

TASK_BLOCKS = 16384  # blocks (of four words) of one task
SIDE_BY_SIDE = 64

_M0, _M1 = (np.uint64(m) for m in MULTIPLIERS)
_W0, _W1 = (np.uint32(w) for w in WEYL)


def apply(x: ndarray, *, p: float, key: int) -> ndarray:
    """x with each element set to zero with probability p, the others divided by 1 - p."""
    (x,) = jit.dense(x)
    y = np.empty_like(x)
    tasks = -(-x.size // (4 * TASK_BLOCKS))
    scale = x.dtype.type(survivor_scale(p))
    _apply_task(
        tasks, x.reshape(-1), y.reshape(-1), scale, key & 0xFFFFFFFF, key >> 32, threshold(p)
    )
    return y


@jit.kernel(lambda T: (T[::1], T[::1], T, int64, int64, int64))
def _apply_task(task, x, y, scale, key0, key1, threshold):
    zero = scale - scale  # of scale's type
    words = np.empty((4, SIDE_BY_SIDE), np.uint32)
    first = task * TASK_BLOCKS
    last = min(first + TASK_BLOCKS, (len(x) + 3) // 4)
    for block in range(first, last, SIDE_BY_SIDE):
        _philox(words, block, uint32(key0), uint32(key1))
        part = slice(4 * block, 4 * (block + SIDE_BY_SIDE))
        x_here, y_here = x[part], y[part]
        for i in range(len(x_here)):
            keep = int64(words[i % 4, i // 4]) >= threshold
            y_here[i] = x_here[i] * (scale if keep else zero)


@jit.inline
def _philox(words, block, key0, key1):
    """words (4, SIDE_BY_SIDE): the blocks from `block` on."""
    for i in range(SIDE_BY_SIDE):
        words[0, i] = uint32(block + i)
        words[1, i] = uint32((block + i) >> 32)
        words[2, i] = words[3, i] = 0
    for _ in range(ROUNDS):
        for i in range(SIDE_BY_SIDE):
            product0, product1 = _M0 * uint64(words[0, i]), _M1 * uint64(words[2, i])
            word1, word3 = words[1, i], words[3, i]
            words[0, i] = uint32(product1 >> uint64(32)) ^ word1 ^ key0
            words[1, i] = uint32(product1)
            words[2, i] = uint32(product0 >> uint64(32)) ^ word3 ^ key1
            words[3, i] = uint32(product0)
        key0, key1 = uint32(key0 + _W0), uint32(key1 + _W1)
