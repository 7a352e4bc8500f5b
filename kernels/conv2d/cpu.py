"""Convolution on the CPU: for every shape and direction the algorithm that `plan.py` chooses."""

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy import ndarray

from .dims import Conv2dDims
from .estimate import Direction
from .plan import choose


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C / groups, R, S) and bias (K,) or None."""
    return _algorithm(dims, "forward", x.dtype).forward(x, w, bias, dims=dims)


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    return _algorithm(dims, "grad_input", dy.dtype).grad_input(dy, w, dims=dims)


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C / groups, R, S) from dy (N, K, P, Q)."""
    return _algorithm(dims, "grad_weight", dy.dtype).grad_weight(dy, x, dims=dims)


@lru_cache(maxsize=4096)
def _algorithm(dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Any:
    return import_module(f".{choose(dims, direction, dtype).algorithm}", __package__)
