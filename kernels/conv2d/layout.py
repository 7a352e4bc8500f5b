"""Images with their channels innermost, (N, H, W, C) in memory, as the fast kernels want them."""

import numpy as np
from numpy import ndarray

from ..transpose import transposed


def channels_last(x: ndarray) -> ndarray:
    """x (N, C, H, W) as an array (N, H, W, C) for kernels: x itself, seen so, where it can be."""
    seen = x.transpose(0, 2, 3, 1)
    if seen.flags.carray:
        return seen
    if x.flags.c_contiguous and x.flags.aligned:
        N, C, H, W = x.shape
        return transposed(x.reshape(N, C, H * W)).reshape(N, H, W, C)
    return np.array(seen, order="C")


def channels_first_view(y: ndarray) -> ndarray:
    """y (N, P, Q, K) seen as (N, K, P, Q)."""
    return y.transpose(0, 3, 1, 2)
