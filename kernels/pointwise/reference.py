"""tanh and its derivative by NumPy, and erf by the standard library, element by element."""

import math

import numpy as np
from numpy import ndarray


def tanh(x: ndarray) -> ndarray:
    """The hyperbolic tangent; x may be a view with any strides."""
    return np.tanh(x)


def tanh_backward(dy: ndarray, y: ndarray) -> ndarray:
    """dx = dy - dy y^2, like y = tanh(x)."""
    dx = np.multiply(y, y)
    dx *= dy
    return np.subtract(dy, dx, out=dx)


def erf(x: ndarray) -> ndarray:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; any strides.

    NumPy has no erf, and the standard library's is exact but scalar.
    """
    return np.vectorize(math.erf, otypes=[x.dtype])(x) if x.size else x.copy()
