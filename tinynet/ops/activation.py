"""Activations of neural networks, each beside its derivative.

`tanh`, `sigmoid` and `exp` are ordinary mathematics and live in `pointwise`.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import kernels
from ..autograd.tape import as_array, differentiable, elementwise, wrap
from ..device import xp_of
from .pointwise import _erf

if TYPE_CHECKING:
    from ..tensor import Tensor

SMALL = 2**10  # elements up to which NumPy is done before a kernel has begun


@functools.cache
def _zero(kind: str) -> Any:
    """0 as an array without dimensions, which NumPy takes sooner than a number."""
    return np.zeros((), kind)


def _for_kernel(a: Any) -> bool:
    """True for an array that a kernel is better at than NumPy, or that NumPy cannot take."""
    return a.__class__ is not np.ndarray or (a.size > SMALL and a.dtype.char in "fd")


@elementwise
def relu(x: Tensor) -> Any:
    """max(x, 0), with relu'(0) = 0.

    The derivative is read off the output, so an in-place ReLU needs no copy of its input.
    """
    a = x.array
    value = (
        kernels.of(a).activation.relu(a) if _for_kernel(a) else np.maximum(a, _zero(a.dtype.char))
    )
    return value, (lambda dy, y: relu_backward(dy, y),)


@elementwise
def relu_over(x: Tensor) -> Any:
    """`relu`, written over x: only for `relu_`, which tells the tape."""
    a = x.array
    if _for_kernel(a):
        kernels.of(a).activation.relu(a, a)
    else:
        np.maximum(a, _zero(a.dtype.char), out=a)
    return a, (lambda dy, y: relu_backward(dy, y),)


@elementwise
def rectified(x: Tensor) -> Any:
    """`relu` of what is max(x, 0) already and nobody else holds: only its derivative is missing."""
    return x.array, (lambda dy, y: relu_backward(dy, y),)


rectified.__name__ = "relu"


@elementwise
def relu_backward(dy: Tensor, y: Tensor) -> Any:
    """dy where y > 0 (or NaN), else 0; it does not change with y."""
    a, b = dy.array, y.array
    if _for_kernel(a):
        dx = kernels.of(a, b).activation.relu_backward(a, b)
    else:
        zero = _zero(a.dtype.char)
        dx = a.copy("K")  # and overwritten in places: np.where takes twice as long
        np.putmask(dx, b <= zero, zero)
    return dx, (lambda g: relu_backward(g, y), None)


@elementwise
def leaky_relu(x: Tensor, *, negative_slope: float) -> Any:
    """x where x > 0, else negative_slope * x.  Maas et al. 2013."""
    xp = xp_of(x.array)
    number = x.array.dtype.type
    slope = xp.where(x.array > 0, number(1), number(negative_slope))
    return x.array * slope, (lambda dy: dy * wrap(slope),)


@elementwise
def threshold(x: Tensor, *, threshold: float, value: float) -> Any:
    """x where x > threshold, else value."""
    above = x.array > threshold
    y = xp_of(x.array).where(above, x.array, x.array.dtype.type(value))
    return y, (lambda dy: dy * wrap(above),)


@elementwise
def hardtanh(x: Tensor, *, min_val: float, max_val: float) -> Any:
    """x cut to [min_val, max_val]; the derivative is 0 at both ends and outside."""
    xp = xp_of(x.array)
    y = xp.clip(x.array, min_val, max_val)
    return y, (lambda dy, y: dy * ((y > min_val) & (y < max_val)),)


@elementwise
def elu(x: Tensor, *, alpha: float) -> Any:
    """x where x > 0, else alpha * (exp(x) - 1), with derivative y + alpha there.

    Clevert et al. 2016.
    """
    xp = xp_of(x.array)
    negative = x.array <= 0
    y = xp.where(negative, alpha * xp.expm1(xp.minimum(x.array, 0)), x.array)
    return y, (lambda dy, y: dy * ((y + alpha) * wrap(negative) + ~wrap(negative)),)


@elementwise
def softplus(x: Tensor, *, beta: float, threshold: float) -> Any:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""
    xp = xp_of(x.array)
    z = beta * x.array
    linear = z > threshold
    y = xp.where(linear, x.array, xp.logaddexp(z, z.dtype.type(0)) / beta)

    def pullback(dy: Tensor) -> Tensor:
        steep = wrap(linear)
        return dy * ((beta * x).sigmoid() * ~steep + steep)

    return y, (pullback,)


@differentiable(contiguous=True)
def logsigmoid(x: Tensor) -> Any:
    """log(1 / (1 + exp(-x))) = min(x, 0) - log(1 + exp(-|x|)), which never overflows."""
    xp = xp_of(x.array)
    y = xp.minimum(x.array, 0) - xp.log1p(xp.exp(-xp.abs(x.array)))
    return y, (lambda dy: dy * (-x).sigmoid(),)


@elementwise
def silu(x: Tensor) -> Any:
    """x * sigmoid(x), also called swish.  Elfwing et al. 2018."""

    def pullback(dy: Tensor) -> Tensor:
        s = x.sigmoid()
        return dy * s * (1 + x * (1 - s))

    return x.array * x.detach().sigmoid().array, (pullback,)


@elementwise
def gelu(x: Tensor) -> Any:
    """x * Phi(x), where Phi is the normal distribution function.  Hendrycks and Gimpel 2016."""
    y = _normal_cdf(x.array)
    y *= x.array
    return y, (lambda dy: gelu_backward(dy, x),)


@elementwise
def gelu_backward(dy: Tensor, x: Tensor) -> Any:
    """dy (Phi(x) + x Phi'(x)), in one operation; its derivative in x is dy Phi'(x) (2 - x^2)."""
    a = x.array
    dx = _normal_density(a)
    dx *= a
    dx += _normal_cdf(a)
    dx *= dy.array

    def dx_x(g: Tensor) -> Tensor:
        density = (-0.5 * x * x).exp() * (1 / math.sqrt(2 * math.pi))
        return g * dy * density * (2 - x * x)

    return dx, (lambda g: gelu_backward(g, x), dx_x)


def _normal_cdf(a: Any) -> Any:
    """Phi(a) = (1 + erf(a / sqrt(2))) / 2 of an array."""
    p = as_array(_erf(as_array(a * math.sqrt(0.5))))
    p += 1
    p *= 0.5
    return p


def _normal_density(a: Any) -> Any:
    """Phi'(a) = exp(-a^2 / 2) / sqrt(2 pi) of an array."""
    p = as_array(a * a)
    p *= -0.5
    np.exp(p, out=p)
    p *= 1 / math.sqrt(2 * math.pi)
    return p
