"""Special functions: the gamma function's family, the error function's, Bessel's.

NumPy has none of them. What the standard library has (lgamma, erfc, the normal quantile) is called
element by element, on the CPU; the others are summed from published series, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tape import elementwise, wrap_as
from ..device import move, xp_of
from . import arithmetic
from .arithmetic import floating, where
from .elementwise import xlogy
from .pointwise import exp, of_floats


def _each(function: Callable[[float], float], a: Any) -> Any:
    """A function of one number applied to every element."""
    values = np.array([function(v) for v in move(a, "cpu").ravel().tolist()], a.dtype)
    return xp_of(a).asarray(values.reshape(a.shape))


# --------------------------------------------------------------------------- the error function


@of_floats
@elementwise
def erfc(x):
    """1 - erf(x), with all its digits where erf is close to 1; derivative -2/sqrt(pi) exp(-x^2)."""
    return _each(math.erfc, x.array), (lambda dy: dy * exp(-(x * x)) * (-2 / math.sqrt(math.pi)),)


@of_floats
@elementwise
def erfinv(x):
    """y with erf(y) = x; derivative sqrt(pi)/2 exp(y^2)."""
    return _each(_erfinv, x.array), (lambda dy, y: dy * exp(y * y) * (math.sqrt(math.pi) / 2),)


def _erfinv(x: float) -> float:
    if not -1 < x < 1:
        return math.copysign(math.inf, x) if abs(x) == 1 else math.nan
    y = _ndtri((x + 1) / 2) / math.sqrt(2)
    if abs(x) < 0.5:  # there (x + 1) / 2 has lost digits of x: a step of Newton's brings them back
        y -= (math.erf(y) - x) * math.sqrt(math.pi) / 2 * math.exp(y * y)
    return y


def ndtr(input: Any) -> Any:
    """The normal distribution function: the chance of a number below input."""
    return erfc(floating(input) * -math.sqrt(0.5)) / 2


@of_floats
@elementwise
def log_ndtr(x):
    """log of `ndtr`, far below 0 too; derivative exp(-x^2 / 2 - y) / sqrt(2 pi)."""
    return _each(_log_ndtr, x.array), (
        lambda dy, y: dy * exp(x * x * -0.5 - y) * (1 / math.sqrt(2 * math.pi)),
    )


def _log_ndtr(x: float) -> float:
    if x > -10:
        return (
            math.log1p(-math.erfc(x * math.sqrt(0.5)) / 2)
            if x > 1
            else math.log(math.erfc(-x * math.sqrt(0.5)) / 2)
        )
    # Abramowitz and Stegun 26.2.12: density / |x| (1 - 1/x^2 + 1 3/x^4 - 1 3 5/x^6 + ...)
    u = 1 / (x * x)
    series = 1 - u * (1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u * (1 - 11 * u)))))
    return -x * x / 2 - math.log(-x) - 0.5 * math.log(2 * math.pi) + math.log(series)


@of_floats
@elementwise
def ndtri(p):
    """x with ndtr(x) = p; derivative sqrt(2 pi) exp(x^2 / 2)."""
    return _each(_ndtri, p.array), (lambda dx, x: dx * exp(x * x * 0.5) * math.sqrt(2 * math.pi),)


def _ndtri(p: float) -> float:
    if not 0 < p < 1:
        return {0.0: -math.inf, 1.0: math.inf}.get(p, math.nan)
    from statistics import NormalDist  # which imports a dozen modules

    return NormalDist().inv_cdf(p)


def entr(input: Any) -> Any:
    """-x log x, 0 at 0 and minus infinity below it."""
    x = floating(input)
    return where(x.lt(0), -math.inf, -xlogy(x, x))


# -------------------------------------------------------------------------- the gamma function


@of_floats
@elementwise
def lgamma(x):
    """log |Gamma(x)|, infinite at 0, -1, -2, ...; derivative digamma(x)."""
    return _each(_lgamma, x.array), (lambda dy: dy * digamma(x),)


def _lgamma(x: float) -> float:
    return math.inf if x <= 0 and (math.isinf(x) or x == math.floor(x)) else math.lgamma(x)


# B_2, B_4, ...: the Bernoulli numbers of the asymptotic series.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
FAR = 12  # from where the series are exact to float64's last digits


@of_floats
@elementwise
def digamma(x):
    """The derivative of log |Gamma(x)|, NaN at -1, -2, ...; its own is polygamma(1, x)."""
    return _digamma(x.array), (lambda dy: dy * polygamma(1, x),)


def _digamma(a: Any) -> Any:
    """Abramowitz and Stegun 6.3.5 up to FAR, 6.3.18 beyond, 6.3.7 below 0."""
    with np.errstate(all="ignore"):
        x = a.astype(np.float64)
        low = x < 0.5
        z = np.where(low, 1 - x, x)
        value = np.zeros_like(z)
        for _ in range(FAR):
            near = z < FAR
            value -= np.where(near, 1 / z, 0)
            z = z + near
        value += np.log(z) - 0.5 / z
        for k, b in enumerate(BERNOULLI, 1):
            value -= b / (2 * k * z ** (2 * k))
        value = np.where(low, value - np.pi / np.tan(np.pi * (x - np.rint(x))), value)
        value = np.where((x < 0) & (x == np.floor(x)), np.nan, value)
        value = np.where(x == 0, -np.copysign(np.inf, x), value)
    return value.astype(a.dtype)


def polygamma(n: int, input: Any) -> Any:
    """The n-th derivative of digamma: (-1)^(n+1) n! zeta(n + 1, input) for n >= 1."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return digamma(input) if n == 0 else _polygamma(floating(input), n=n)


@elementwise
def _polygamma(x, *, n):
    a = x.array
    value = (-1) ** (n + 1) * math.factorial(n) * _zeta(n + 1.0, a.astype(np.float64))
    if n == 1:  # Abramowitz and Stegun 6.4.7: reflection
        with np.errstate(all="ignore"):
            z = a.astype(np.float64)
            mirrored = (np.pi / np.sin(np.pi * z)) ** 2 - _zeta(2.0, 1 - z)
            value = np.where(z < 0.5, mirrored, value)
    return value.astype(a.dtype), (lambda dy: dy * polygamma(n + 1, x),)


def _zeta(s: Any, q: Any) -> Any:
    """Hurwitz's zeta, sum over k >= 0 of (k + q)^-s, by Euler and Maclaurin (DLMF 25.11.28)."""
    with np.errstate(all="ignore"):
        total = np.zeros_like(q + s)
        z = q + np.zeros_like(total)
        for _ in range(FAR):
            total += z**-s
            z = z + 1
        total += z ** (1 - s) / (s - 1) + 0.5 * z**-s
        term = s * z ** (-s - 1)  # s (s+1) ... (s+2k-2) z^(-s-2k+1), over (2k)! below
        for k, b in enumerate(BERNOULLI, 1):
            total += b / math.factorial(2 * k) * term
            term = term * (s + 2 * k - 1) * (s + 2 * k) / (z * z)
    return total


def zeta(input: Any, other: Any) -> Any:
    """Hurwitz's zeta: the sum over k >= 0 of (k + other)^-input, for input > 1; no gradient."""
    s, q = (floating(v) for v in arithmetic.pair(input, other, "zeta"))
    with np.errstate(all="ignore"):
        a, b = s.array.astype(np.float64), q.array.astype(np.float64)
        value = _zeta(a, b)
        pole = (b <= 0) & (b == np.floor(b))
        value = np.where(pole, np.inf, np.where((b < 0) & (a != np.floor(a)), np.nan, value))
        value = np.where(a < 1, np.nan, np.where(a == 1, np.inf, value))
    return wrap_as(value.astype(np.result_type(s.array.dtype, q.array.dtype)), s, q)


def mvlgamma(input: Any, p: int) -> Any:
    """log of the multivariate gamma function of dimension p, for input > (p - 1) / 2."""
    if p < 1:
        raise RuntimeError("mvlgamma: p has to be greater than or equal to 1")
    x = floating(input)
    total = p * (p - 1) / 4 * math.log(math.pi)
    for j in range(p):
        total = lgamma(x - j / 2) + total
    return total


# ----------------------------------------------------------------------- modified Bessel functions


def _bessel_scaled(order: int, a: Any) -> Any:
    """exp(-|x|) I_order(x): the power series (DLMF 10.25.2), beyond 30 the asymptotic (10.40.1)."""
    x = abs(a.astype(np.float64))
    near = np.minimum(x, 30.0)
    quarter = near * near / 4
    term = (near / 2) ** order / math.factorial(order)
    small = term.copy()
    for k in range(1, 80):
        term = term * quarter / (k * (k + order))
        small += term
    far = np.maximum(x, 30.0)
    term = np.ones_like(far)
    large = term.copy()
    for k in range(1, 20):
        term = term * -(4 * order * order - (2 * k - 1) ** 2) / (8 * k * far)
        large += term
    with np.errstate(invalid="ignore"):
        value = np.where(x < 30, small * np.exp(-near), large / np.sqrt(2 * np.pi * far))
    value = np.where(np.isnan(a), np.nan, value)
    return (value * np.sign(a) if order % 2 else value).astype(a.dtype)


def _bessel(order: int, a: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        return (
            _bessel_scaled(order, a.astype(np.float64)) * np.exp(abs(a.astype(np.float64)))
        ).astype(a.dtype)


@of_floats
@elementwise
def i0(x):
    """The modified Bessel function of the first kind, of order 0; derivative i1(x)."""
    return _bessel(0, x.array), (lambda dy: dy * i1(x),)


@of_floats
@elementwise
def i1(x):
    """The modified Bessel function of order 1; derivative i0(x) - i1(x) / x, 1/2 at 0."""
    return _bessel(1, x.array), (lambda dy, y: dy * (i0(x) - _over(y, x)),)


def _over(y: Any, x: Any) -> Any:
    """I_1(x) / x (scaled or not), 1/2 at 0."""
    return where(x.eq(0), 0.5, y / where(x.eq(0), 1, x))


@of_floats
@elementwise
def i0e(x):
    """exp(-|x|) i0(x); derivative i1e(x) - sign(x) i0e(x)."""
    return _bessel_scaled(0, x.array), (lambda dy, y: dy * (i1e(x) - x.sign() * y),)


@of_floats
@elementwise
def i1e(x):
    """exp(-|x|) i1(x); derivative i0e(x) - i1e(x) (sign(x) + 1/x), 1/2 at 0."""
    return _bessel_scaled(1, x.array), (lambda dy, y: dy * (i0e(x) - _over(y, x) - x.sign() * y),)
