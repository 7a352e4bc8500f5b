"""Sums, extremes, products and order: what makes one number out of many along some dimensions.

`dim` may be one dimension, several, or None for all. A gradient is spread back over the reduced
dimensions; where a value came from one element (max, median, sort) it goes to that element alone,
except that `amax`, `amin`, `max()` and `min()` share it evenly among equals.
"""

from __future__ import annotations

import builtins
import functools
import math
import warnings
from typing import Any

import numpy as np

from .. import dtypes, return_types
from ..autograd import layout
from ..autograd.tape import TensorBase, differentiable, laid, wrap
from ..device import xp_of
from . import arithmetic
from .dims import Dim, many_dims, one_dim
from .indexing import gather
from .shape import broadcast_array, cat, flip, narrow, reshape, stack

# ------------------------------------------------------------------------------ what they share


def kept(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with size 1 in place of the reduced dimensions."""
    return tuple([1 if i in dims else n for i, n in enumerate(shape)])


@differentiable(view=True)
def _spread(dy, *, shape, dims):
    """dy, reduced over `dims` (kept or not), repeated over them again, to `shape`.

    A view, unless it is small: then a copy is made sooner, and computed with sooner.
    """
    keepdim = dy.array.ndim == len(shape)
    array = dy.array
    if not keepdim and dims[-1] >= len(dims):  # else the dimensions that are left are the last
        array = array.reshape(kept(shape, dims))
    if array.shape != shape:
        if math.prod(shape) < LONG:
            copy = xp_of(array).empty(shape, array.dtype)
            copy[...] = array
            array = copy
        else:
            array = broadcast_array(array, shape)
    return array, (lambda g: _sum(g, dims=dims, keepdim=keepdim),)


def spread(dy: Any, shape: tuple[int, ...], dims: tuple[int, ...]) -> Any:
    """The gradient of what was summed over `dims`, from dy, the gradient of the sum."""
    return dy if dy.array.shape == shape else _spread(dy, shape=shape, dims=dims)


def count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many elements make one."""
    return math.prod([shape[i] for i in dims])


LONG = 1024  # elements that are too many to add one by one
WIDE = 2048  # elements of a row that NumPy adds to another at full speed
_add_up: Any = np.add.reduce  # NumPy's types of it have no word for a flag that varies


def sum_array(a: Any, dims: tuple[int, ...], keepdim: bool = False, dtype: Any = None) -> Any:
    """The sum of an array over dimensions, accurate in float32 too.

    NumPy adds pairwise only along the dimension that lies closest in memory; along another one it
    adds one by one, and a million times 0.1 gives 100958. So a long one is summed in blocks of
    about the square root of its length, whose error grows with that root.
    """
    if dims == (0, 2, 3) and layout.lies_channels_last(a):  # all pixels are one dimension there
        C = a.shape[1]
        total = sum_array(a.transpose(0, 2, 3, 1).reshape(-1, C), (0,), False, dtype)
        return total.reshape(1, C, 1, 1) if keepdim else total
    if a.size < LONG:
        plain = type(a) is np.ndarray and dtype is None and a.dtype.char in "fd"
        if plain and dims == (0,) and a.ndim == 2:
            # NumPy takes three times as long to begin a sum as a product.
            total = _ones(a.shape[0], a.dtype.char).dot(a)
            return total[None] if keepdim else total
        return _add_up(a, axis=dims, keepdims=keepdim, dtype=dtype)
    shape = a.shape
    if a.ndim == 2 and dims == (0,) and dtype is None and isinstance(a, np.ndarray):
        wide = builtins.min(WIDE // shape[1], math.isqrt(shape[0]))
        if wide > 1 and a.flags.c_contiguous:
            total = _sum_in_wide_rows(a, wide)
            return total[None] if keepdim else total
    if dims and dtype is None and a.dtype == np.float32:
        n = builtins.max([shape[i] for i in dims])
        longest = next(i for i in dims if shape[i] == n)
        if n >= LONG and longest != (nearest := _nearest(a)) and nearest not in dims:
            block = math.isqrt(n)
            key = [slice(None)] * a.ndim
            key[longest] = slice(0, n - n % block)
            # Cutting one dimension in two never copies.
            blocks = a[tuple(key)].reshape(*shape[:longest], -1, block, *shape[longest + 1 :])
            key[longest] = slice(n - n % block, n)
            partial = blocks.sum(longest + 1)
            return partial.sum(dims, keepdims=keepdim) + a[tuple(key)].sum(dims, keepdims=keepdim)
    return _add_up(a, axis=dims, keepdims=keepdim, dtype=dtype)


@functools.cache
def _ones(n: int, kind: str) -> Any:
    return np.ones(n, kind)


def _sum_in_wide_rows(a: Any, wide: int) -> Any:
    """The sums of the columns of a (M, C): NumPy is slow at adding many short rows.

    So `wide` rows at a time are taken as one, and the sum of such wide rows, taken in blocks, is
    cut into its parts, which are added last.
    """
    M, C = a.shape
    whole = M - M % wide
    total = sum_array(a[:whole].reshape(-1, wide * C), (0,)).reshape(wide, C).sum(0)
    return total + a[whole:].sum(0) if whole < M else total


def _nearest(a: Any) -> int:
    """The dimension along which neighbours lie closest in memory."""
    return builtins.min(range(a.ndim), key=lambda i: (a.shape[i] == 1, abs(a.strides[i])))


def _floats(input: Any, name: str) -> Any:
    """input, if it is of a floating-point dtype; else a sentence."""
    if input.array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be a floating point dtype. "
            f"Got: {input.array.dtype}; call .float() first."
        )
    return input


def _needs_elements(input: Any, dims: tuple[int, ...], dim: Any, name: str) -> None:
    """An extreme of no elements does not exist."""
    shape = input.array.shape
    if 0 not in [shape[d] for d in dims]:
        return
    if dim is None:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            f"reduction dim with the 'dim' argument; the shape is {list(shape)}."
        )
    empty = next(d for d in dims if shape[d] == 0)
    raise IndexError(
        f"{name}(): Expected reduction dim {empty} to have non-zero size; the shape is "
        f"{list(shape)}."
    )


# ------------------------------------------------------------------------------- sums and means


@differentiable(contiguous=True)
def _sum(x, *, dims, keepdim):
    shape = x.array.shape
    return sum_array(x.array, dims, keepdim), (lambda dy: spread(dy, shape, dims),)


def sum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over `dim`; integers and booleans are summed as int64."""
    dims = many_dims(dim, input.array.ndim, "sum")
    if dtype is None and input.array.dtype.kind == "f":  # the usual case
        return _sum(input, dims=dims, keepdim=keepdim)
    if dtype is not None:
        target = dtypes.numpy_dtype(dtype)
        if target != input.array.dtype:
            input = arithmetic.cast(input, dtype=target)
    elif input.array.dtype.kind != "f":
        return wrap(sum_array(input.array, dims, keepdim, np.int64))
    if input.array.dtype.kind != "f":
        return wrap(sum_array(input.array, dims, keepdim, input.array.dtype))
    return _sum(input, dims=dims, keepdim=keepdim)


@differentiable(contiguous=True)
def _mean(x, *, dims, keepdim):
    shape = x.array.shape
    n = count(shape, dims)
    total = sum_array(x.array, dims, keepdim)
    # The mean of no elements is NaN, without NumPy's warning.
    value = total / x.array.dtype.type(n) if n else total + x.array.dtype.type(math.nan)
    return value, (lambda dy: spread(dy / n if n else dy, shape, dims),)


def mean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean over `dim`; RuntimeError for integers."""
    if dtype is not None:
        input = arithmetic.cast(input, dtype=dtypes.numpy_dtype(dtype))
    dims = many_dims(dim, input.array.ndim, "mean")
    return _mean(_floats(input, "mean"), dims=dims, keepdim=keepdim)


def nansum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over `dim` of what is not NaN."""
    if input.array.dtype.kind == "f":
        input = arithmetic.where(arithmetic.isnan(input), 0, input)
    return sum(input, dim, keepdim, dtype=dtype)


def _moments(array: Any, dims: tuple[int, ...], correction: float) -> tuple[Any, float]:
    """(sum of squared distances from the mean with the dimensions kept, n - correction)."""
    n = count(array.shape, dims)
    centered = array - sum_array(array, dims, True) / array.dtype.type(builtins.max(n, 1))
    return sum_array(centered * centered, dims, True), builtins.max(n - correction, 0)


@differentiable(contiguous=True)
def _var(x, *, dims, keepdim, correction):
    """sum (x - mean)^2 / (n - correction); d/dx = 2 (x - mean) / (n - correction)."""
    shape = x.array.shape
    squares, degrees = _moments(x.array, dims, correction)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = squares / x.array.dtype.type(degrees)

    def dx(dy: Any) -> Any:
        centered = x - _mean(x, dims=dims, keepdim=True)
        scale = 2 / degrees if degrees else math.nan
        return spread(dy * scale, shape, dims) * centered

    return value if keepdim else value.reshape(_without(shape, dims)), (dx,)


def _without(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([n for i, n in enumerate(shape) if i not in dims])


@differentiable
def _sqrt_or_flat(x):
    """sqrt(x), with derivative 0 where x is 0: what std and the 2-norm take at their minimum."""

    def dx(dy: Any, y: Any) -> Any:
        at_zero = y.eq(0)
        return arithmetic.where(at_zero, 0, dy / (arithmetic.where(at_zero, 1, y) * 2))

    with np.errstate(invalid="ignore"):
        return xp_of(x.array).sqrt(x.array), (dx,)


def _variance(
    name: str, input: Any, dim: Any, unbiased: bool | None, keepdim: bool, correction: Any
) -> Any:
    if isinstance(dim, bool):  # the older form var(input, unbiased)
        dim, unbiased = None, dim
    if input.array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: std and var only support floating point dtypes, but got {input.array.dtype}; "
            "call .float() first."
        )
    dims = many_dims(dim, input.array.ndim, name)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    if count(input.array.shape, dims) <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).",
            stacklevel=3,
        )
    return _var(input, dims=dims, keepdim=keepdim, correction=correction)


def var(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Any:
    """The variance over `dim`: sum (x - mean)^2 / (n - correction), correction 1 unless given.

    unbiased: False means correction 0 (as batch normalisation uses it), True means 1.
    """
    return _variance("var", input, dim, unbiased, keepdim, correction)


def std(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Any:
    """The standard deviation over `dim`: the root of `var`; its derivative is 0 where it is 0."""
    return _sqrt_or_flat(_variance("std", input, dim, unbiased, keepdim, correction))


def var_mean(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Any, Any]:
    """(variance, mean) over `dim`; see `var`."""
    where = None if isinstance(dim, bool) else dim
    spread = var(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, where, keepdim)


def std_mean(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Any, Any]:
    """(standard deviation, mean) over `dim`; see `var`."""
    where = None if isinstance(dim, bool) else dim
    spread = std(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, where, keepdim)


# ------------------------------------------------------------------------------------- products


def _constant(like: Any, shape: tuple[int, ...], value: float) -> Any:
    """A tensor of one value, in the dtype of another tensor."""
    return wrap(xp_of(like.array).full(shape, value, like.array.dtype))


@differentiable(contiguous=True)
def _prod(x, *, dim):
    """The product along one dimension; d/dx_i is the product of all others (zeros or not)."""
    value = x.array.prod(axis=dim, keepdims=True, dtype=x.array.dtype)
    return value, (lambda dy: dy * _product_of_others(x, dim),)


def _product_of_others(x: Any, dim: int) -> Any:
    """For each element, the product of all others along `dim`: n multiplications, no division.

    With pairs (a, b) of neighbours, the others of a are b and everything that is not in the pair,
    which the same question about the products of the pairs answers.
    """
    n = x.array.shape[dim]
    if n <= 1:
        return _constant(x, x.array.shape, 1)
    odd = n % 2
    half = n // 2
    pairs = (
        x.unflatten(dim, (half, 2))
        if not odd
        else narrow(x, dim, 0, n - 1).unflatten(dim, (half, 2))
    )
    a, b = pairs.unbind(dim + 1)
    products = cat([a * b, narrow(x, dim, n - 1, 1)], dim) if odd else a * b
    outside = _product_of_others(products, dim)
    around = narrow(outside, dim, 0, half)
    both = stack([around * b, around * a], dim + 1).flatten(dim, dim + 1)
    return cat([both, narrow(outside, dim, half, 1)], dim) if odd else both


def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product over `dim` (over everything without it); integers are multiplied as int64."""
    if dtype is not None:
        input = arithmetic.cast(input, dtype=dtypes.numpy_dtype(dtype))
    elif input.array.dtype.kind != "f":
        input = arithmetic.cast(input, dtype=np.dtype(np.int64))
    if dim is None:
        result = _prod(reshape(input, (-1,)), dim=0)
        return reshape(result, (1,) * input.array.ndim if keepdim else ())
    if not input.array.ndim:
        one_dim(dim, 0, "prod")
        return input.clone()
    dim = one_dim(dim, input.array.ndim, "prod")
    result = _prod(input, dim=dim)
    return result if keepdim else result.squeeze(dim)


@differentiable(contiguous=True)
def _cumsum(x, *, dim):
    def dx(dy: Any) -> Any:
        return flip(_cumsum(flip(dy, (dim,)), dim=dim), (dim,))

    return x.array.cumsum(axis=dim), (dx,)


@differentiable(contiguous=True)
def _cumprod(x, *, dim):
    """y_k = x_0 ... x_k along `dim`.

    dx_i = (x_0 ... x_(i-1)) s_i, where s_i = sum over k >= i of dy_k x_(i+1) ... x_k obeys
    s_i = dy_i + x_(i+1) s_(i+1). No division, so zeros are nothing special.
    """

    def dx(dy: Any) -> Any:
        n = x.array.shape[dim]
        row = kept(x.array.shape, (dim,))
        before = cat([_constant(x, row, 1), narrow(_cumprod(x, dim=dim), dim, 0, n - 1)], dim)
        following = cat([narrow(x, dim, 1, n - 1), _constant(x, row, 0)], dim)
        return before * _recurrence(dy, following, dim)

    return x.array.cumprod(axis=dim), (dx,) if x.array.size else (lambda dy: dy,)


def _recurrence(b: Any, a: Any, dim: int) -> Any:
    """s with s_i = b_i + a_i s_(i+1), in log2(n) steps that each double how far s_i looks ahead."""
    n = b.array.shape[dim]
    step = 1
    while step < n:
        shape = b.array.shape
        zeros = _constant(b, (*shape[:dim], step, *shape[dim + 1 :]), 0)
        ahead = cat([narrow(b, dim, step, n - step), zeros], dim)
        b = b + a * ahead
        a = a * cat([narrow(a, dim, step, n - step), zeros], dim)
        step *= 2
    return b


def _cumulative(name: str, operation: Any, input: Any, dim: int, dtype: Any) -> Any:
    if dtype is not None:
        input = arithmetic.cast(input, dtype=dtypes.numpy_dtype(dtype))
    elif input.array.dtype.kind != "f":
        input = arithmetic.cast(input, dtype=np.dtype(np.int64))
    dim = one_dim(dim, input.array.ndim, name)
    return operation(input, dim=dim) if input.array.ndim else input.clone()


def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """y_k = x_0 + ... + x_k along `dim`; integers give int64."""
    return _cumulative("cumsum", _cumsum, input, dim, dtype)


def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """y_k = x_0 x_1 ... x_k along `dim`; integers give int64."""
    return _cumulative("cumprod", _cumprod, input, dim, dtype)


# ------------------------------------------------------------------------------------- extremes


@differentiable(contiguous=True)
def _extreme(x, *, dims, keepdim, largest):
    """The largest (or smallest) element over `dims`; equal ones share its gradient evenly."""
    shape = x.array.shape
    value = (x.array.max if largest else x.array.min)(axis=dims, keepdims=keepdim)

    def dx(dy: Any, y: Any) -> Any:
        a, b = x.array, y.array.reshape(kept(shape, dims))
        chosen = (a == b) | ((a != a) & (b != b))  # NaN counts as equal to NaN
        share = chosen.astype(a.dtype)
        share /= chosen.sum(axis=dims, keepdims=True, dtype=a.dtype)
        return spread(dy, shape, dims) * wrap(share)

    return value, (dx,)


def amax(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """The largest element over `dim` (NaN if there is one); equals share the gradient evenly."""
    return _amax(input, dim, keepdim, True, "amax")


def amin(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """The smallest element over `dim` (NaN if there is one); equals share the gradient evenly."""
    return _amax(input, dim, keepdim, False, "amin")


def _amax(input: Any, dim: Dim, keepdim: bool, largest: bool, name: str) -> Any:
    dims = many_dims(dim, input.array.ndim, name)
    _needs_elements(input, dims, None if dim == () else dim, name)
    return _extreme(input, dims=dims, keepdim=keepdim, largest=largest)


def _max(name: str, input: Any, dim: Any, keepdim: bool, largest: bool) -> Any:
    if dim is None:
        return _amax(input, None, keepdim, largest, name)
    if isinstance(dim, TensorBase):
        return (arithmetic.maximum if largest else arithmetic.minimum)(input, dim)
    indices = _arg(name, input, dim, True, largest)
    values = gather(input, dim, indices)
    kind = return_types.max if largest else return_types.min
    return kind(*(_dropped(v, dim, keepdim) for v in (values, indices)))


def _dropped(x: Any, dim: int, keepdim: bool) -> Any:
    """x without its dimension `dim` of size 1, unless that is to be kept."""
    return x if keepdim or not x.array.ndim else x.squeeze(dim)


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element, or along `dim` the pair (values, indices).

    Without `dim`, equal elements share the gradient; with it, the first of them takes it all.
    A tensor in place of `dim` gives the elementwise `maximum`.
    """
    return _max("max", input, dim, keepdim, True)


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element, or along `dim` the pair (values, indices); see `max`."""
    return _max("min", input, dim, keepdim, False)


def _arg(name: str, input: Any, dim: int | None, keepdim: bool, largest: bool) -> Any:
    x = input.array
    if dim is None:
        if not x.size:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        position = (x.argmax if largest else x.argmin)()
        return wrap(xp_of(x).asarray(position).reshape((1,) * x.ndim if keepdim else ()))
    dim = one_dim(dim, x.ndim, name)
    if not x.ndim:
        return wrap(np.zeros((), np.int64))
    _needs_elements(input, (dim,), dim, name)
    return wrap((x.argmax if largest else x.argmin)(axis=dim, keepdims=keepdim))


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The position of the largest element along `dim` (or when flattened), the first of equals."""
    return _arg("argmax", input, dim, keepdim, True)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The position of the smallest element along `dim` (or when flattened), the first of equals."""
    return _arg("argmin", input, dim, keepdim, False)


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(smallest, largest) element over `dim`."""
    return return_types.aminmax(amin(input, dim, keepdim), amax(input, dim, keepdim))


# ------------------------------------------------------------------------------- logic and counts


def _logic(name: str, input: Any, dim: Dim, keepdim: bool) -> Any:
    x = input.array
    dims = () if dim == () else many_dims(dim, x.ndim, name)
    result = getattr(x.astype(bool), name)(axis=dims, keepdims=keepdim)
    return wrap(result.astype(np.uint8) if x.dtype == np.uint8 else result)


def all(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """True where all elements over `dim` are true (not zero)."""
    return _logic("all", input, dim, keepdim)


def any(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """True where any element over `dim` is true (not zero)."""
    return _logic("any", input, dim, keepdim)


def count_nonzero(input: Any, dim: Dim = None) -> Any:
    """How many elements over `dim` are not zero."""
    dims = many_dims(dim, input.array.ndim, "count_nonzero")
    return wrap((input.array != 0).sum(axis=dims, dtype=np.int64))


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each value 0, 1, 2, ... occurs in a vector of non-negative integers."""
    x = input.array
    if x.ndim != 1 or x.dtype.kind not in "iu" or (x.size and x.min() < 0):
        raise RuntimeError(
            "bincount only supports 1-d non-negative integral inputs, but got shape "
            f"{list(x.shape)} and dtype {x.dtype}."
        )
    counts = np.bincount(x, None if weights is None else weights.array, minlength)
    if weights is not None and weights.array.dtype == np.float32:
        counts = counts.astype(np.float32)
    return wrap(counts)


# ---------------------------------------------------------------------------- exponents and norms


@differentiable(contiguous=True)
def _logsumexp(x, *, dims, keepdim):
    """y = log sum exp(x), shifted by the largest element, to not overflow; dx = dy exp(x - y)."""
    xp = xp_of(x.array)
    shape = x.array.shape
    if x.array.size:
        largest = x.array.max(axis=dims, keepdims=True)
    else:  # of no elements there is no largest
        largest = xp.zeros([1 if i in dims else n for i, n in enumerate(shape)])
    largest = xp.where(xp.isfinite(largest), largest, 0).astype(x.array.dtype)
    with np.errstate(divide="ignore"):  # log 0 is -inf: every element was, or there is none
        y = xp.log(sum_array(xp.exp(x.array - largest), dims, True)) + largest

    def dx(dy: Any, y: Any) -> Any:
        finite = arithmetic.where(y.eq(-math.inf), 0, y)  # exp(-inf - 0) is 0, as it should be
        return spread(dy, shape, dims) * (x - spread(finite, shape, dims)).exp()

    return y if keepdim else y.reshape(_without(shape, dims)), (dx,)


def logsumexp(input: Any, dim: Dim, keepdim: bool = False) -> Any:
    """log(sum(exp(input))) over `dim`, without overflow."""
    input = arithmetic.floating(input)
    return _logsumexp(input, dims=many_dims(dim, input.array.ndim, "logsumexp"), keepdim=keepdim)


@differentiable(contiguous=True)
def _power_norm(x, *, dims, keepdim, p):
    """(sum |x|^p)^(1/p); d/dx = sign(x) (|x| / y)^(p-1), 0 where y or (for p < 1) x is 0."""
    shape = x.array.shape
    value = (abs(x.array) ** p).sum(axis=dims, keepdims=keepdim) ** (1 / p)

    def dx(dy: Any, y: Any) -> Any:
        y = spread(y, shape, dims)
        flat = y.eq(0) | x.eq(0)
        ratio = arithmetic.where(flat, 1, x.abs() / arithmetic.where(flat, 1, y))
        slope = arithmetic.where(flat, 0, x.sign() * ratio ** (p - 1))
        return spread(dy, shape, dims) * slope

    return value, (dx,)


def vector_norm(
    x: Any, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """(sum |x|^ord)^(1/ord) over `dim`; inf, -inf and 0 give max |x|, min |x|, the count of x != 0.

    The derivative is 0 where the norm is 0.
    """
    if dtype is not None:
        x = arithmetic.cast(x, dtype=dtypes.numpy_dtype(dtype))
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            f"norm: Expected a floating point tensor as input. Got {x.array.dtype}; call .float()."
        )
    dims = many_dims(dim, x.array.ndim, "norm")
    if ord == 2:
        return _sqrt_or_flat(_sum(x * x, dims=dims, keepdim=keepdim))
    if ord == 1:
        return _sum(x.abs(), dims=dims, keepdim=keepdim)
    if math.isinf(ord):
        return _amax(x.abs(), dims or None, keepdim, ord > 0, "norm")
    if ord == 0:
        return _sum(arithmetic.sign(x).abs(), dims=dims, keepdim=keepdim)
    return _power_norm(x, dims=dims, keepdim=keepdim, p=float(ord))


def norm(
    input: Any, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None
) -> Any:
    """The vector norm of order p over `dim` ("fro" is 2); see `vector_norm`."""
    if p == "nuc":
        from .factorization import matrix_norm

        return matrix_norm(input, p, dim or (-2, -1), keepdim, dtype=dtype)  # type: ignore
    if isinstance(p, str) and p != "fro":
        raise ValueError(
            f'norm: p={p!r} is not supported; give a number, inf, -inf, "nuc" or "fro" (the root '
            "of the sum of squares)."
        )
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


# ----------------------------------------------------------------------------------------- order


def _order(x: Any, dim: int, descending: bool) -> Any:
    """The positions that sort an array along `dim`: equals in their order, NaN as the largest."""
    xp = xp_of(x)
    if not descending:
        return xp.argsort(x, axis=dim, kind="stable")
    # Reversing the ascending order would reverse equals as well, so x is reversed first.
    backwards = xp.flip(xp.argsort(xp.flip(x, dim), axis=dim, kind="stable"), dim)
    return x.shape[dim] - 1 - backwards


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The positions that sort input along `dim`, equals in their order (NaN is the largest)."""
    dim = one_dim(dim, input.array.ndim, "argsort")
    x = input.array
    return wrap(_order(x, dim, descending) if x.ndim else np.zeros((), np.int64))


def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) of input sorted along `dim`; always stable, NaN is the largest."""
    indices = argsort(input, dim, descending)
    values = laid(gather(input, dim, indices), input)
    return return_types.sort(values, laid(indices, input))


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) elements along `dim`, in order."""
    ndim = input.array.ndim
    dim = one_dim(dim, ndim, "topk")
    n = input.array.shape[dim] if ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: selected index k out of range: k is {k}, but dim {dim} has {n}")
    indices = argsort(input, dim, largest)
    if ndim:
        indices = narrow(indices, dim, 0, k)
    return return_types.topk(gather(input, dim, indices), indices)


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower of two (NaN if there is one); along `dim` (values, indices)."""
    if dim is None:
        if not input.array.size:
            return input.new_full((), math.nan)
        return median(reshape(input, (-1,)), 0).values
    x = input.array
    dim = one_dim(dim, x.ndim, "median")
    if not x.ndim:
        return return_types.median(input.clone(), wrap(np.zeros((), np.int64)))
    _needs_elements(input, (dim,), dim, "median")
    xp = xp_of(x)
    middle = xp.take(_order(x, dim, False), [(x.shape[dim] - 1) // 2], axis=dim)
    if x.dtype.kind == "f":
        unknown = xp.isnan(x)
        middle = xp.where(
            unknown.any(axis=dim, keepdims=True), unknown.argmax(axis=dim, keepdims=True), middle
        )
    indices = wrap(middle)
    values = gather(input, dim, indices)
    return return_types.median(*(_dropped(v, dim, keepdim) for v in (values, indices)))


def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements in ascending order (or slices along `dim`); no gradient.

    With return_inverse, also where each element went; with return_counts, how often each occurs.
    """
    x = input.array
    found = np.unique(x, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    values, inverse, counts = (wrap(np.ascontiguousarray(v)) for v in found)
    inverse = reshape(inverse, x.shape if dim is None else (-1,))
    parts = [values]
    if return_inverse:
        parts.append(inverse)
    if return_counts:
        parts.append(counts)
    return parts[0] if len(parts) == 1 else tuple(parts)


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The differences x_(i+1) - x_i along `dim`, taken n times.

    prepend, append: what is put before and behind input first.
    """
    if n < 0:
        raise RuntimeError(f"diff: order must be non-negative but got {n}")
    if not input.array.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n:
        input = cat([x for x in (prepend, input, append) if x is not None], dim)
    dim = one_dim(dim, input.array.ndim, "diff")
    for _ in range(n):
        size = input.array.shape[dim]
        rest = builtins.max(size - 1, 0)
        later, earlier = narrow(input, dim, size - rest, rest), narrow(input, dim, 0, rest)
        input = later ^ earlier if input.array.dtype.kind == "b" else later - earlier
    return input
