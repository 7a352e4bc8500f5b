"""Functions of two or three numbers beyond the four operations, elementwise, and tests of numbers.

Most are compositions of operations that stand beside their derivatives elsewhere. `xp_of` is not
needed where NumPy's functions are called: on a CuPy array they are CuPy's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes, return_types
from ..autograd.tape import TensorBase, differentiable, laid, promoted, wrap, wrap_as
from . import arithmetic, pointwise
from .arithmetic import NUMBER, binary, binary_of_floats, cast, floating, operand, pair, where

# --------------------------------------------------------------------------- two floating numbers


@differentiable(promote=True)
def _copysign(x, y):
    """|x| with the sign of y; d/dx is 1 or -1, 0 where x is 0."""
    return np.copysign(x.array, y.array), (
        lambda dz, z: dz * (arithmetic.sign(x) * arithmetic.sign(z)),
        None,
    )


copysign = binary_of_floats(_copysign, "copysign")


@differentiable(promote=True)
def _hypot(x, y):
    """sqrt(x^2 + y^2) without overflow; d/dx = x / z, 0 at the origin."""
    return np.hypot(x.array, y.array), (
        lambda dz, z: dz * _fraction(x, z),
        lambda dz, z: dz * _fraction(y, z),
    )


def _fraction(x: Any, z: Any) -> Any:
    """x / z, 0 where z is 0."""
    return where(z.eq(0), 0, x / where(z.eq(0), 1, z))


hypot = binary(_hypot, "hypot")


@differentiable(promote=True)
def _logaddexp(x, y):
    """log(e^x + e^y) without overflow; d/dx = e^x / (e^x + e^y)."""
    return np.logaddexp(x.array, y.array), (
        lambda dz: dz * (x - y).sigmoid(),
        lambda dz: dz * (y - x).sigmoid(),
    )


logaddexp = binary(_logaddexp, "logaddexp")


def logaddexp2(input: Any, other: Any) -> Any:
    """log2(2^input + 2^other) without overflow."""
    log2 = math.log(2)
    return logaddexp(input * log2, other * log2) / log2


@differentiable(promote=True)
def _xlogy(x, y):
    """x log y, 0 where x is 0 (unless y is NaN); d/dx = log y, 0 where x is 0; d/dy = x / y."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where((x.array == 0) & ~np.isnan(y.array), 0, x.array * np.log(y.array))
    return z.astype(x.array.dtype, copy=False), (
        lambda dz: dz * where(x.eq(0) & y.le(0), 0, y.log()),
        lambda dz: dz * x / y,
    )


xlogy = binary_of_floats(_xlogy, "xlogy")


def xlog1py(input: Any, other: Any) -> Any:
    """input log(1 + other), 0 where input is 0."""
    return xlogy(input, other + 1)


def fmax(input: Any, other: Any) -> Any:
    """The larger of both; of a number and NaN the number."""
    x, y = promoted(*pair(input, other, "fmax"))
    return laid(where(arithmetic.ge(x, y) | arithmetic.isnan(y), x, y), x, y)


def fmin(input: Any, other: Any) -> Any:
    """The smaller of both; of a number and NaN the number."""
    x, y = promoted(*pair(input, other, "fmin"))
    return laid(where(arithmetic.le(x, y) | arithmetic.isnan(y), x, y), x, y)


def nextafter(input: Any, other: Any) -> Any:
    """The next number after input towards other that the dtype has; no gradient."""
    x, y = pair(input, other, "nextafter")
    x, y = promoted(x, y)
    return wrap_as(np.nextafter(x.array, y.array), x, y)


def heaviside(input: Any, values: Any) -> Any:
    """0 where input < 0, values where it is 0, 1 above; no gradient."""
    x, v = pair(input, values, "heaviside")
    if x.array.dtype != v.array.dtype:
        raise RuntimeError(
            "heaviside is not yet implemented for tensors with different dtypes: input has "
            f"{x.array.dtype}, values has {v.array.dtype}."
        )
    step = np.where(x.array == 0, v.array, (x.array > 0).astype(x.array.dtype))
    if x.array.dtype.kind == "f":
        step = np.where(np.isnan(x.array), x.array, step)
    return wrap_as(step, x, v)


def float_power(input: Any, exponent: Any) -> Any:
    """input to the power of exponent, both taken as float64."""
    double: list[Any] = [
        cast(v, dtype=np.dtype(np.float64)) if isinstance(v, TensorBase) else float(v)
        for v in (input, exponent)
    ]
    if not isinstance(double[0], TensorBase):
        double[0] = operand(double[0], double[1])
    return arithmetic.pow(*double)


def ldexp(input: Any, other: Any) -> Any:
    """input 2^other."""
    x, y = pair(input, other, "ldexp")
    return laid(x * arithmetic.pow(operand(2.0, floating(y)), floating(y)), x, y)


def frexp(input: Any) -> Any:
    """(mantissa, exponent) with input = mantissa 2^exponent and 1/2 <= |mantissa| < 1."""
    if input.array.dtype.kind != "f":
        raise RuntimeError("frexp() only supports floating-point dtypes; call .float()")
    exponent = np.frexp(input.array)[1]
    half = exponent // 2  # 2^exponent alone may overflow
    a, b = (np.exp2(e.astype(input.array.dtype)) for e in (-half, half - exponent))
    return return_types.frexp(input * wrap(a) * wrap(b), wrap(exponent.astype(np.int32)))


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """other - alpha input."""
    if not isinstance(other, TensorBase):
        other = operand(other, input)
    return arithmetic.sub(other, input, alpha=alpha)


# -------------------------------------------------------------------------------- three operands


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """input + value tensor1 tensor2."""
    product = tensor1 * tensor2
    return laid(input + (product if value == 1 else product * value), input, tensor1, tensor2)


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """input + value tensor1 / tensor2."""
    if all(t.array.dtype.kind != "f" for t in (tensor1, tensor2)):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: call .float() on tensor1 first, "
            "or use div(..., rounding_mode='trunc')."
        )
    quotient = tensor1 / tensor2
    return laid(input + (quotient if value == 1 else quotient * value), input, tensor1, tensor2)


def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight (end - input): input at weight 0, end at weight 1."""
    for x in (end, weight):
        if isinstance(x, TensorBase) and x.array.dtype != input.array.dtype:
            raise RuntimeError(
                f"lerp: expected dtype {input.array.dtype} for `end` and `weight` but got dtype "
                f"{x.array.dtype}"
            )
    return laid(input + weight * (end - input), input, end, weight)


# -------------------------------------------------------------------------------- integers and bits


def _of_integers(ufunc: Any, name: str, what: str) -> Any:
    def function(input: Any, other: Any) -> Any:
        x, y = promoted(*pair(input, other, name))
        if x.array.dtype.kind not in "iu":
            raise NotImplementedError(f'"{name}" not implemented for {dtypes.of(x.array)}')
        return wrap_as(ufunc(x.array, y.array), x, y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what} of integers, elementwise; no gradient."
    return function


gcd = _of_integers(np.gcd, "gcd", "The greatest common divisor")
lcm = _of_integers(np.lcm, "lcm", "The least common multiple")
bitwise_left_shift = _of_integers(np.left_shift, "bitwise_left_shift", "input 2^other, by bits,")
bitwise_right_shift = _of_integers(
    np.right_shift, "bitwise_right_shift", "input / 2^other rounded down, by bits,"
)

# ------------------------------------------------------------------------------------ one number


def clamp_min(input: Any, min: Any) -> Any:
    """The larger of input and min."""
    return arithmetic.clamp(input, min=min)


def clamp_max(input: Any, max: Any) -> Any:
    """The smaller of input and max."""
    return arithmetic.clamp(input, max=max)


def frac(input: Any) -> Any:
    """input - trunc(input), which has input's sign."""
    if input.array.dtype.kind != "f":
        raise NotImplementedError(f'"frac" not implemented for {dtypes.of(input.array)}')
    return input - arithmetic.trunc(input)


def sgn(input: Any) -> Any:
    """-1, 0 or 1: `sign`, as for real numbers they are the same."""
    return arithmetic.sign(input)


def signbit(input: Any) -> Any:
    """True where the sign is minus, -0.0 among them."""
    x = input.array
    return wrap_as(np.signbit(x) if x.dtype.kind == "f" else x < 0, input)


def positive(input: Any) -> Any:
    """input itself; RuntimeError for booleans."""
    if input.array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def deg2rad(input: Any) -> Any:
    """Degrees as radians."""
    return floating(input) * (math.pi / 180)


def rad2deg(input: Any) -> Any:
    """Radians as degrees."""
    return floating(input) * (180 / math.pi)


def nan_to_num(
    input: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """input with numbers in place of NaN (0) and infinity (the dtype's extremes)."""
    x = input.array
    if x.dtype.kind != "f":
        return input.clone()
    limits = np.finfo(x.dtype)
    result = input
    for special, value in (
        (np.isnan(x), 0.0 if nan is None else nan),
        (np.isposinf(x), limits.max if posinf is None else posinf),
        (np.isneginf(x), limits.min if neginf is None else neginf),
    ):
        result = where(wrap(special), float(value), result)
    return laid(result, input)


def logit(input: Any, eps: float | None = None) -> Any:
    """log(p / (1 - p)), the inverse of sigmoid; with eps, p is limited to [eps, 1 - eps]."""
    p = floating(input)
    if eps is not None:
        p = arithmetic.clamp(p, eps, 1 - eps)
    return pointwise.log(p / (1 - p))


def sinc(input: Any) -> Any:
    """sin(pi x) / (pi x), 1 at 0."""
    x = floating(input)
    zero = x.eq(0)
    z = where(zero, 1, x) * math.pi
    return where(zero, 1, pointwise.sin(z) / z)


def isposinf(input: Any) -> Any:
    """True where input is infinity."""
    return wrap_as(input.array == math.inf, input)


def isneginf(input: Any) -> Any:
    """True where input is minus infinity."""
    return wrap_as(input.array == -math.inf, input)


def isreal(input: Any) -> Any:
    """True everywhere: every number of tinynet is real."""
    return wrap_as(np.ones_like(input.array, dtype=bool), input)


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Any:
    """True where an element occurs in test_elements (with invert, where it does not)."""
    a, b = (
        v.array if isinstance(v, TensorBase) else np.asarray(v) for v in (elements, test_elements)
    )
    return wrap(np.isin(a, b, assume_unique=assume_unique, invert=invert))


def is_nonzero(input: Any) -> bool:
    """True if the only element is not 0; RuntimeError unless there is exactly one."""
    if input.array.size != 1:
        raise RuntimeError(
            "Boolean value of Tensor with no values is ambiguous"
            if not input.array.size
            else "Boolean value of Tensor with more than one value is ambiguous"
        )
    return bool(input)


def result_type(tensor1: Any, tensor2: Any) -> Any:
    """The dtype that arithmetic with both (tensors or numbers) gives."""
    given = [v.array if isinstance(v, TensorBase) else v for v in (tensor1, tensor2)]
    if all(isinstance(v, NUMBER) for v in given):
        return dtypes.promote_types(type(given[0]), type(given[1]))
    return dtypes.as_dtype(dtypes.result_type(*given))


# ----------------------------------------------- complex numbers' functions, for real numbers


def real(input: Any) -> Any:
    """input itself: its real part."""
    return input


conj = conj_physical = resolve_conj = resolve_neg = real


def angle(input: Any) -> Any:
    """The angle of a real number: pi if it is negative, else 0 (NaN for NaN); derivative 0."""
    x = floating(input)
    return where(arithmetic.isnan(x), x, where(x.lt(0), math.pi, x * 0))
