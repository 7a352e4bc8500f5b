"""The rectified linear unit in NumPy.

    y = max(x, 0),   dx = dy where y > 0, else 0

A NaN passes in both directions: it is not at or below 0. The derivative is read off the output, so
that y may be written over x and x need not be kept.
"""

import numpy as np
from numpy import ndarray


def relu(x: ndarray, out: ndarray | None = None) -> ndarray:
    """y like x; written into `out`, which may be x itself, if given."""
    return np.maximum(x, x.dtype.type(0), out=out)


def relu_backward(dy: ndarray, y: ndarray) -> ndarray:
    """dx like y."""
    return np.where(y <= 0, dy.dtype.type(0), dy)
