"""Dropout on the CPU, with the random stream of reference.py, to the bit.

A task computes some blocks of the stream side by side: one loop over the blocks runs all rounds of
the cipher, which LLVM turns into vector instructions that never leave the registers.
"""

import numpy as np
from numba import int64, uint32, uint64
from numpy import ndarray

from .. import buffers, jit
from .reference import MULTIPLIERS, ROUNDS, WEYL, survivor_scale, threshold

TASK_BLOCKS = 16384  # blocks (of four words) of one task
SIDE_BY_SIDE = 64

_M0, _M1 = (np.uint64(m) for m in MULTIPLIERS)
_W0, _W1 = (np.uint32(w) for w in WEYL)


def apply(x: ndarray, *, p: float, key: int) -> ndarray:
    """x with each element set to zero with probability p, the others divided by 1 - p."""
    (x,) = jit.dense(x)
    y = buffers.empty_like(x)
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
    factors = np.empty(4 * SIDE_BY_SIDE, x.dtype)
    first = task * TASK_BLOCKS
    last = min(first + TASK_BLOCKS, (len(x) + 3) // 4)
    for block in range(first, last, SIDE_BY_SIDE):
        _philox(words[0], words[1], words[2], words[3], block, uint32(key0), uint32(key1))
        for i in range(SIDE_BY_SIDE):
            for j in range(4):
                factors[4 * i + j] = scale if int64(words[j, i]) >= threshold else zero
        part = slice(4 * block, 4 * (block + SIDE_BY_SIDE))
        x_here, y_here = x[part], y[part]
        for i in range(len(x_here)):
            y_here[i] = x_here[i] * factors[i]


@jit.inline
def _philox(words0, words1, words2, words3, block, key0, key1):
    """The four words of the SIDE_BY_SIDE blocks from `block` on."""
    for i in range(SIDE_BY_SIDE):
        word0, word1 = uint32(block + i), uint32((block + i) >> 32)
        word2 = word3 = uint32(0)
        k0, k1 = key0, key1
        for _ in range(ROUNDS):
            product0, product1 = _M0 * uint64(word0), _M1 * uint64(word2)
            word0 = uint32(product1 >> uint64(32)) ^ word1 ^ k0
            word1 = uint32(product1)
            word2 = uint32(product0 >> uint64(32)) ^ word3 ^ k1
            word3 = uint32(product0)
            k0, k1 = uint32(k0 + _W0), uint32(k1 + _W1)
        words0[i], words1[i], words2[i], words3[i] = word0, word1, word2, word3
