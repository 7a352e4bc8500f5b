"""Arithmetic and comparison, elementwise, broadcast as NumPy does.

Each operation stands beside its derivative. Where an input was broadcast, the engine sums its
gradient; no operation here has to. The public functions at the end accept Python numbers too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.tape import (
    TensorBase,
    differentiable,
    elementwise,
    laid,
    promoted,
    set_cast,
    wrap,
    wrap_as,
)
from ..device import device_of, is_array, mixed_devices, move, xp_of

# ------------------------------------------------------------------------------- dtype conversion


@elementwise
def cast(x, *, dtype):
    """x in another dtype; the gradient goes back in x's own."""
    before = x.array.dtype
    return x.array.astype(dtype), (lambda dy: cast(dy, dtype=before),)


set_cast(cast)


@differentiable
def to_device(x, *, device):
    """x on another device; the gradient comes back to x's own."""
    before = device_of(x.array)
    return move(x.array, device), (lambda dy: to_device(dy, device=before),)


to_device.__name__ = "to"

NUMBER = (int, float)  # Python's, bool among them


def operand(value: Any, like: TensorBase) -> Any:
    """A number (or array) as a tensor that can be combined with `like`.

    A Python number takes the dtype that PyTorch's rules give the result, so it never promotes.
    """
    if isinstance(value, NUMBER):
        array = like.array
        dtype = array.dtype
        if dtype.kind != "f":  # else, as usual, the number takes the tensor's dtype
            dtype = dtypes.result_type(array, value)
        xp = xp_of(array)  # a GPU fills memory by itself, sooner than it copies from the CPU
        return wrap(np.asarray(value, dtype) if xp is np else xp.full((), value, dtype))
    if isinstance(value, TensorBase):
        return value
    if isinstance(value, np.generic):
        return operand(value.item(), like)
    if is_array(value):
        dtypes.as_dtype(value.dtype)  # or a sentence about dtypes
        return wrap(value)
    raise TypeError(
        f"unsupported operand: a Tensor cannot be combined with {type(value).__name__!r}; make a "
        "tensor of it with tinynet.tensor(...)"
    )


def pair(x: Any, y: Any, name: str) -> tuple[Any, Any]:
    """Both operands as tensors on one device, of shapes that broadcast, or a sentence."""
    if not isinstance(x, TensorBase):
        if not isinstance(y, TensorBase):
            raise TypeError(f"{name}: at least one operand must be a Tensor")
        x = operand(x, y)
    elif not isinstance(y, TensorBase):
        y = operand(y, x)
    a, b = x.array, y.array
    if a.__class__ is not b.__class__:
        # One number on the CPU goes with tensors on a GPU, as a Python number does.
        if not a.ndim and xp_of(a) is np:
            x = to_device(x, device=device_of(b))
        elif not b.ndim and xp_of(b) is np:
            y = to_device(y, device=device_of(a))
        elif error := mixed_devices(name, (a, b)):
            raise error
    if a.shape != b.shape:
        check_broadcast(a.shape, b.shape, name)
    return x, y


def check_broadcast(x: tuple[int, ...], y: tuple[int, ...], name: str) -> None:
    """Raise RuntimeError if shapes x and y do not broadcast together."""
    for i in range(1, min(len(x), len(y)) + 1):
        if x[-i] != y[-i] and x[-i] != 1 and y[-i] != 1:
            raise RuntimeError(
                f"{name}: The size of tensor a ({x[-i]}) must match the size of tensor b ({y[-i]}) "
                f"at non-singleton dimension {max(len(x), len(y)) - i}; the shapes are {list(x)} "
                f"and {list(y)}, and sizes must be equal or 1, counted from the right."
            )


# -------------------------------------------------------------------------------------- arithmetic


def same(dz: Any) -> Any:
    return dz


@differentiable(promote=True)
def _add(x, y):
    return x.array + y.array, (same, same)


@differentiable(promote=True)
def _sub(x, y):
    return x.array - y.array, (lambda dz: dz, lambda dz: -dz)


@differentiable(promote=True)
def _mul(x, y):
    return x.array * y.array, (lambda dz: _mul(dz, y), lambda dz: _mul(dz, x))


@differentiable(promote=True)
def _div(x, y):
    """d(x/y)/dx = 1/y; d(x/y)/dy = -(x/y)/y."""
    return x.array / y.array, (lambda dz: dz / y, lambda dz, z: -dz * z / y)


@elementwise
def _neg(x):
    return -x.array, (lambda dy: -dy,)


@differentiable(promote=True)
def _pow(x, y):
    """d(x^y)/dx = y x^(y-1), 0 where y = 0; d(x^y)/dy = x^y log x, 0 where x = 0 and y >= 0."""

    # Where the formula would meet 0 * infinity, the factor that decides is 0 and the other is
    # replaced by something finite; so the second derivatives are right there too.
    def dx(dz: Any) -> Any:
        return dz * y * _pow(x, where(x.eq(0) & y.eq(0), 0, y - 1))

    def dy(dz: Any, z: Any) -> Any:
        return dz * z * where(x.eq(0) & y.ge(0), 1, x).log()

    if x.array.dtype.kind in "iu":
        return _integer_power(x.array, y.array), (None, None)
    z = x.array**y.array
    return z.astype(x.array.dtype) if z.dtype != x.array.dtype else z, (dx, dy)


def _integer_power(x: Any, y: Any) -> Any:
    """x^y of integers; to a negative power only 1 and -1 are not rounded to 0."""
    z = x ** xp_of(y).maximum(y, 0)
    if (y < 0).any():
        sign_of = xp_of(x).where(y % 2 == 0, 1, x)
        z = xp_of(x).where(y < 0, xp_of(x).where(abs(x) == 1, sign_of, 0), z).astype(z.dtype)
    return z


@elementwise
def _pow_number(x, *, exponent):
    """x to a fixed power: d/dx = exponent x^(exponent - 1)."""
    if exponent == 0:
        return xp_of(x.array).ones_like(x.array), (lambda dy: dy * 0,)
    if exponent == 2:
        return x.array * x.array, (lambda dy: dy * x * 2,)
    if exponent == 0.5:
        return xp_of(x.array).sqrt(x.array), (lambda dy, y: dy / (2 * y),)
    return x.array**exponent, (lambda dy: dy * (exponent * _pow_number(x, exponent=exponent - 1)),)


@elementwise
def _abs(x):
    """|x|, with derivative sign(x), 0 at 0."""
    return abs(x.array), (lambda dy: dy * sign(x),)


@differentiable(promote=True)
def _maximum(x, y):
    """The larger of both, NaN if either is; a tie's gradient is shared evenly."""
    z = xp_of(x.array).maximum(x.array, y.array)
    return z, (lambda dz: dz * preference(x, y), lambda dz: dz * preference(y, x))


@differentiable(promote=True)
def _minimum(x, y):
    """The smaller of both, NaN if either is; a tie's gradient is shared evenly."""
    z = xp_of(x.array).minimum(x.array, y.array)
    return z, (lambda dz: dz * preference(y, x), lambda dz: dz * preference(x, y))


def preference(x: Any, y: Any) -> Any:
    """1 where x > y, 1/2 where they are equal, else 0."""
    a, b = x.array, y.array
    return wrap((a > b).astype(a.dtype) + (a == b).astype(a.dtype) * a.dtype.type(0.5))


@elementwise
def _clamp(x, *, min, max):
    """x limited to [min, max]; the gradient passes where min <= x <= max."""

    def inside() -> Any:
        a = x.array
        keep = xp_of(a).ones(a.shape, bool)
        if min is not None:
            keep &= a >= min
        if max is not None:
            keep &= a <= max
        return wrap(keep)

    return xp_of(x.array).clip(x.array, min, max), (lambda dy: dy.where(inside(), 0),)


@elementwise
def _where(condition, x, y):
    """x where condition holds, else y (dtypes brought together by the caller)."""
    z = xp_of(x.array).where(condition.array, x.array, y.array)
    return z, (
        None,
        lambda dz: _where(condition, dz, zero_like(dz)),
        lambda dz: _where(condition, zero_like(dz), dz),
    )


def zero_like(x: Any) -> Any:
    """One 0 of x's dtype, which broadcasts."""
    return wrap(xp_of(x.array).zeros((), x.array.dtype))


@differentiable(promote=True)
def _fmod(x, y):
    """The remainder with x's sign: x - y trunc(x / y)."""
    return xp_of(x.array).fmod(x.array, y.array), (
        lambda dz: dz,
        lambda dz: -dz * (x / y).trunc(),
    )


@differentiable(promote=True)
def _remainder(x, y):
    """The remainder with y's sign: x - y floor(x / y)."""
    return xp_of(x.array).remainder(x.array, y.array), (
        lambda dz: dz,
        lambda dz: -dz * (x / y).floor(),
    )


@differentiable(promote=True)
def _atan2(x, y):
    """The angle of the point (y, x): d/dx = y / (x^2 + y^2), d/dy = -x / (x^2 + y^2)."""
    return xp_of(x.array).arctan2(x.array, y.array), (
        lambda dz: dz * y / (x * x + y * y),
        lambda dz: -dz * x / (x * x + y * y),
    )


# ------------------------------------------------------------------- public functions, with numbers


def binary(operation: Any, name: str) -> Any:
    """The public form of a two-operand operation: numbers allowed, shapes and devices checked."""

    def function(input: Any, other: Any) -> Any:
        try:
            if not isinstance(other, TensorBase):
                return operation(input, operand(other, input))
            return operation(input, other)
        except (AttributeError, ValueError, TypeError, RuntimeError):
            # Refused, or input is a number: `pair` makes a tensor of it, moves one, or says why.
            return operation(*pair(input, other, name))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = operation.__doc__
    operation.__name__ = name  # the graph shows the public name
    return function


def binary_of_floats(operation: Any, name: str) -> Any:
    """As `binary`, for a function of floating-point numbers: integers are converted first."""
    general = binary(operation, name)

    def function(input: Any, other: Any) -> Any:
        for x in (input, other):
            if isinstance(x, TensorBase) and x.array.dtype.kind != "f":
                return operation(*map(floating, promoted(*pair(input, other, name))))
        return general(input, other)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = operation.__doc__
    return function


add_ = binary(_add, "add")
sub_ = binary(_sub, "sub")
mul = binary(_mul, "mul")
maximum = binary(_maximum, "maximum")
minimum = binary(_minimum, "minimum")
fmod = binary(_fmod, "fmod")
remainder = binary(_remainder, "remainder")
atan2 = binary_of_floats(_atan2, "atan2")
_true_divide = binary_of_floats(_div, "div")
_pow_tensor = binary(_pow, "pow")
_where.__name__, _clamp.__name__, _abs.__name__, _neg.__name__ = "where", "clamp", "abs", "neg"
_pow_number.__name__ = "pow"


def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input + alpha other."""
    return add_(input, other if alpha == 1 else mul(other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input - alpha other; booleans have no difference (use ^ or logical_not)."""
    input, other = pair(input, other, "sub")
    if input.array.dtype.kind == "b" and other.array.dtype.kind == "b":
        raise RuntimeError(
            "sub: Subtraction, the `-` operator, with two bool tensors is not supported. Use the "
            "`^` or `logical_xor()` operator instead."
        )
    return sub_(input, other if alpha == 1 else mul(other, alpha))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """input / other; integers give floating point, as in PyTorch.

    rounding_mode: "floor" or "trunc" rounds the quotient (and has no gradient).
    """
    if rounding_mode is None:
        return _true_divide(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise ValueError(
            f"div: rounding_mode must be None, 'trunc' or 'floor', not {rounding_mode!r}"
        )
    x, y = pair(input, other, "div")
    return _rounded_quotient(*promoted(x, y), mode=rounding_mode)


@elementwise
def _rounded_quotient(x, y, *, mode):
    """x / y rounded down (floor) or towards 0 (trunc): constant between its jumps."""
    xp = xp_of(x.array)
    if mode == "floor":
        value = xp.floor_divide(x.array, y.array)
    elif x.array.dtype.kind == "f":
        value = xp.trunc(x.array / y.array)
    else:
        value = xp.floor_divide(abs(x.array), abs(y.array)) * xp.sign(x.array) * xp.sign(y.array)
    return value, (lambda dz: dz * 0, lambda dz: dz * 0)


def floating(x: Any) -> Any:
    """x itself if it is of a floating-point dtype, else x in the default one."""
    return x if x.array.dtype.kind == "f" else cast(x, dtype=dtypes.get_default_dtype().numpy)


def floor_divide(input: Any, other: Any) -> Any:
    """floor(input / other); no gradient."""
    return div(input, other, rounding_mode="floor")


def neg(input: Any) -> Any:
    """-input."""
    if input.array.dtype.kind == "b":
        raise RuntimeError(
            "neg: Negation, the `-` operator, on a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    return _neg(input)


def pow(input: Any, exponent: Any) -> Any:
    """input to the power of exponent, elementwise."""
    if isinstance(exponent, NUMBER) and not isinstance(exponent, bool):
        if input.array.dtype.kind != "f":
            if isinstance(exponent, float):
                input = floating(input)
            elif input.array.dtype.kind == "b":
                input = cast(input, dtype=np.dtype(np.int64))
            if exponent < 0 and isinstance(exponent, int):
                raise RuntimeError(
                    "pow: Integers to negative integer powers are not allowed; use .float() first"
                )
        return _pow_number(input, exponent=exponent)
    return _pow_tensor(input, exponent)


def abs_(input: Any) -> Any:
    """|input|; derivative sign(input), 0 at 0."""
    return _abs(input)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """input limited to [min, max]; numbers or tensors."""
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, TensorBase) or isinstance(max, TensorBase):
        result = input if min is None else maximum(input, min)
        return laid(result if max is None else minimum(result, max), input, min, max)
    if input.array.dtype.kind != "f" and (isinstance(min, float) or isinstance(max, float)):
        input = floating(input)
    return _clamp(input, min=min, max=max)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """input where condition is true, else other; gradients go where the values came from."""
    if not isinstance(condition, TensorBase):
        raise TypeError("where: condition must be a Tensor of dtype bool")
    if condition.array.dtype != np.bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got {condition.array.dtype}; "
            "compare it with something, or call .bool()"
        )
    if not isinstance(input, TensorBase) and not isinstance(other, TensorBase):
        xp = xp_of(condition.array)
        kind = dtypes.result_type(input, other)
        input, other = wrap(xp.asarray(input, kind)), wrap(xp.asarray(other, kind))
    x, y = pair(input, other, "where")
    if x.array.dtype != y.array.dtype:
        x, y = promoted(x, y)
    check_broadcast(condition.array.shape, x.array.shape, "where")
    check_broadcast(condition.array.shape, y.array.shape, "where")
    return _where(condition, x, y)


# --------------------------------------------------------------- comparison and logic: no gradients


def _comparison(ufunc: str, name: str) -> Any:
    def function(input: Any, other: Any) -> Any:
        x, y = pair(input, other, name)
        if x.array.dtype != y.array.dtype:
            x, y = promoted(x, y)
        return wrap_as(getattr(xp_of(x.array), ufunc)(x.array, y.array), x, y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Elementwise {ufunc.replace('_', ' ')}; a tensor of dtype bool."
    return function


eq = _comparison("equal", "eq")
ne = _comparison("not_equal", "ne")
lt = _comparison("less", "lt")
le = _comparison("less_equal", "le")
gt = _comparison("greater", "gt")
ge = _comparison("greater_equal", "ge")
logical_and = _comparison("logical_and", "logical_and")
logical_or = _comparison("logical_or", "logical_or")
logical_xor = _comparison("logical_xor", "logical_xor")
bitwise_and = _comparison("bitwise_and", "bitwise_and")
bitwise_or = _comparison("bitwise_or", "bitwise_or")
bitwise_xor = _comparison("bitwise_xor", "bitwise_xor")


def logical_not(input: Any) -> Any:
    """True where input is zero."""
    return wrap_as(xp_of(input.array).logical_not(input.array), input)


def bitwise_not(input: Any) -> Any:
    """Every bit inverted (of a boolean: the opposite)."""
    return wrap_as(~input.array, input)


def isnan(input: Any) -> Any:
    """True where input is not a number."""
    return wrap_as(xp_of(input.array).isnan(input.array), input)


def isinf(input: Any) -> Any:
    """True where input is infinite."""
    return wrap_as(xp_of(input.array).isinf(input.array), input)


def isfinite(input: Any) -> Any:
    """True where input is neither infinite nor NaN."""
    return wrap_as(xp_of(input.array).isfinite(input.array), input)


def isclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """True where |input - other| <= atol + rtol |other|."""
    if rtol < 0 or atol < 0:
        raise RuntimeError(
            f"isclose: rtol and atol must be greater than or equal to zero, but got {rtol}, {atol}"
        )
    if input.array.dtype != other.array.dtype:
        raise RuntimeError(
            f"isclose: {input.array.dtype} did not match {other.array.dtype}; convert one."
        )
    xp = xp_of(input.array)
    close = xp.isclose(input.array, other.array, rtol=rtol, atol=atol, equal_nan=equal_nan)
    return wrap_as(close, input, other)


def allclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """True if |input - other| <= atol + rtol |other| everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


def equal(input: Any, other: Any) -> bool:
    """True if both have the same shape and the same elements."""
    return input.array.shape == other.array.shape and bool((input.array == other.array).all())


def sign(input: Any) -> Any:
    """-1, 0 or 1; its derivative is 0."""
    if input.array.dtype.kind == "b":
        return input.clone()
    return _step(input, ufunc="sign")


@elementwise
def _step(x, *, ufunc):
    """A function that is constant between its jumps: its derivative is 0."""
    return getattr(xp_of(x.array), ufunc)(x.array), (lambda dy: dy * 0,)


def floor(input: Any) -> Any:
    """The largest integer that is not above input; derivative 0."""
    return input.clone() if input.array.dtype.kind != "f" else _step(input, ufunc="floor")


def ceil(input: Any) -> Any:
    """The smallest integer that is not below input; derivative 0."""
    return input.clone() if input.array.dtype.kind != "f" else _step(input, ufunc="ceil")


def trunc(input: Any) -> Any:
    """input without its fractional part; derivative 0."""
    return input.clone() if input.array.dtype.kind != "f" else _step(input, ufunc="trunc")


def round(input: Any, *, decimals: int = 0) -> Any:
    """The nearest integer, halves to even; derivative 0."""
    if input.array.dtype.kind != "f":
        return input.clone()
    if decimals:
        scale = 10.0**decimals
        return _step(input * scale, ufunc="rint") / scale
    return _step(input, ufunc="rint")
