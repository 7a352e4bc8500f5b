"""Dropout in NumPy, and the random stream that all backends share.

    y = x keep / (1 - p),   keep[i] = (word[i] >= p 2^32)

word is the Philox4x32-10 stream (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as
easy as 1, 2, 3"). The element at flat (C order) position i takes word i % 4 of block i // 4. Block
b is the cipher applied to the counter (b mod 2^32, b div 2^32, 0, 0) under the key
(key mod 2^32, key div 2^32). Nothing depends on what was drawn before, so threads, GPUs and the
backward pass can each compute the piece of the mask that they need.

y is linear in x with a diagonal matrix, so the function is its own adjoint: dx = apply(dy).
"""

import numpy as np
from numpy import ndarray

# Multipliers and Weyl sequence of Philox4x32, from the paper; the CPU and CUDA versions use them.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def apply(x: ndarray, *, p: float, key: int) -> ndarray:
    """x with each element set to zero with probability p, the others divided by 1 - p."""
    factor = np.where(philox(x.size, key) >= threshold(p), survivor_scale(p), 0).astype(x.dtype)
    return x * factor.reshape(x.shape)


def threshold(p: float) -> int:
    """Words below this are dropped: p 2^32, rounded (2^32, which no word reaches, for p = 1)."""
    return round(p * 2**32)


def survivor_scale(p: float) -> float:
    """1 / (1 - p), which keeps the expected value; 0 for p = 1, where nothing survives."""
    return 1 / (1 - p) if p < 1 else 0.0


def philox(count: int, key: int) -> ndarray:
    """The first `count` words (uint64 holding 32 bits) of the stream of a 64-bit key."""
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    block = np.arange(-(-count // 4), dtype=np.uint64)
    c0, c1 = block & low, block >> shift
    c2, c3 = np.zeros_like(block), np.zeros_like(block)
    k0, k1 = key & 0xFFFFFFFF, (key >> 32) & 0xFFFFFFFF
    for _ in range(ROUNDS):
        product0, product1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1 = (product1 >> shift) ^ c1 ^ np.uint64(k0), product1 & low
        c2, c3 = (product0 >> shift) ^ c3 ^ np.uint64(k1), product0 & low
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return np.stack((c0, c1, c2, c3), axis=1).reshape(-1)[:count]
