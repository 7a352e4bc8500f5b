"""tanh by NumPy, and erf by the standard library, element by element."""

import math

import numpy as np
from numpy import ndarray


def tanh(x: ndarray) -> ndarray:
    """The hyperbolic tangent; x may be a view with any strides."""
    return np.tanh(x)


def erf(x: ndarray) -> ndarray:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; any strides.

    NumPy has no erf, and the standard library's is exact but scalar.
    """
    return np.vectorize(math.erf, otypes=[x.dtype])(x) if x.size else x.copy()
