"""Functions of one variable, elementwise, each beside its derivative.

A pullback with a second parameter is handed the output: exp, tanh and sigmoid are cheaper to
differentiate from their value than from their argument. Integers are taken as floating point.
NumPy's functions called on a CuPy array are CuPy's.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .. import kernels
from ..autograd.tape import as_array, elementwise
from ..kernels.pointwise import SMALL
from .arithmetic import floating


def _for_kernel(a: Any) -> bool:
    """True for an array for which it is worth calling a kernel."""
    return a.size > SMALL and a.dtype.char == "f"


def of_floats(operation: Any) -> Any:
    """The public form: integers and booleans are converted first."""

    @functools.wraps(operation)
    def function(input: Any) -> Any:
        return operation(input if input.array.dtype.kind == "f" else floating(input))

    return function


@of_floats
@elementwise
def exp(x):
    return np.exp(x.array), (lambda dy, y: dy * y,)


@of_floats
@elementwise
def exp2(x):
    return np.exp2(x.array), (lambda dy, y: dy * y * math.log(2),)


@of_floats
@elementwise
def expm1(x):
    return np.expm1(x.array), (lambda dy, y: dy * (y + 1),)


@of_floats
@elementwise
def log(x):
    return np.log(x.array), (lambda dy: dy / x,)


@of_floats
@elementwise
def log2(x):
    return np.log2(x.array), (lambda dy: dy / (x * math.log(2)),)


@of_floats
@elementwise
def log10(x):
    return np.log10(x.array), (lambda dy: dy / (x * math.log(10)),)


@of_floats
@elementwise
def log1p(x):
    return np.log1p(x.array), (lambda dy: dy / (x + 1),)


@of_floats
@elementwise
def sqrt(x):
    return np.sqrt(x.array), (lambda dy, y: dy / (2 * y),)


@of_floats
@elementwise
def rsqrt(x):
    """1 / sqrt(x); derivative -y^3 / 2."""
    return 1 / np.sqrt(x.array), (lambda dy, y: dy * (y * y * y) * -0.5,)


@of_floats
@elementwise
def reciprocal(x):
    """1 / x; derivative -y^2."""
    return 1 / x.array, (lambda dy, y: -dy * (y * y),)


@elementwise
def _square(x):
    return x.array * x.array, (lambda dy: dy * x * 2,)


def square(input: Any) -> Any:
    """input times itself; booleans give integers."""
    return _square(input.long() if input.array.dtype.kind == "b" else input)


@of_floats
@elementwise
def tanh(x):
    a = x.array
    y = kernels.of(a).pointwise.tanh(a) if _for_kernel(a) else np.tanh(a)
    return y, (lambda dy, y: tanh_backward(dy, y),)


@elementwise
def tanh_backward(dy, y):
    """dy (1 - y^2), in one operation: small networks take this step often."""
    a = dy.array
    if _for_kernel(a):
        dx = kernels.of(a, y.array).pointwise.tanh_backward(a, y.array)
    else:
        # As dy - dy y^2: a number among the operands would cost NumPy more than a small array.
        dx = as_array(y.array * y.array)
        dx *= a
        dx = np.subtract(a, dx, out=dx)
    return dx, (
        lambda g: tanh_backward(g, y),
        lambda g: g * dy * y * -2,
    )


@of_floats
@elementwise
def sigmoid(x):
    """1 / (1 + exp(-x)); exp overflows to infinity below -88 in float32, which gives the right 0.

    (1 + tanh(x / 2)) / 2 would not, but is exactly 0 from -17 on: the loss of a confident and wrong
    answer, -log(sigmoid(x)), and its gradient would be lost.
    """
    e = np.exp(-x.array)
    e += 1
    return 1 / e, (lambda dy, y: sigmoid_backward(dy, y),)


@elementwise
def sigmoid_backward(dy, y):
    """dy y (1 - y), in one operation."""
    slope = y.array.dtype.type(1) - y.array
    slope *= y.array
    slope *= dy.array
    return slope, (lambda g: sigmoid_backward(g, y), lambda g: g * dy * (1 - 2 * y))


@of_floats
@elementwise
def sin(x):
    return np.sin(x.array), (lambda dy: dy * cos(x),)


@of_floats
@elementwise
def cos(x):
    return np.cos(x.array), (lambda dy: -dy * sin(x),)


@of_floats
@elementwise
def tan(x):
    return np.tan(x.array), (lambda dy, y: dy * (1 + y * y),)


@of_floats
@elementwise
def asin(x):
    return np.arcsin(x.array), (lambda dy: dy / sqrt(1 - x * x),)


@of_floats
@elementwise
def acos(x):
    return np.arccos(x.array), (lambda dy: -dy / sqrt(1 - x * x),)


@of_floats
@elementwise
def atan(x):
    return np.arctan(x.array), (lambda dy: dy / (1 + x * x),)


@of_floats
@elementwise
def sinh(x):
    return np.sinh(x.array), (lambda dy: dy * cosh(x),)


@of_floats
@elementwise
def cosh(x):
    return np.cosh(x.array), (lambda dy: dy * sinh(x),)


@of_floats
@elementwise
def asinh(x):
    return np.arcsinh(x.array), (lambda dy: dy / sqrt(x * x + 1),)


@of_floats
@elementwise
def acosh(x):
    return np.arccosh(x.array), (lambda dy: dy / (sqrt(x - 1) * sqrt(x + 1)),)


@of_floats
@elementwise
def atanh(x):
    return np.arctanh(x.array), (lambda dy: dy / (1 - x * x),)


@of_floats
@elementwise
def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; derivative 2/sqrt(pi) exp(-x^2)."""
    return _erf(x.array), (lambda dy: dy * exp(-(x * x)) * (2 / math.sqrt(math.pi)),)


def _erf(a: Any) -> Any:
    if a.dtype.char == "e":  # half precision
        return _erf(a.astype(np.float32)).astype(a.dtype)
    return kernels.of(a).pointwise.erf(a)
