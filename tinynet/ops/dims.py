"""Dimension numbers and sizes as PyTorch's functions take them, made plain tuples of ints."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.tape import TensorBase
from ..kernels.errors import ShapeError

Dim = int | Sequence[int] | None


def one_dim(dim: Any, ndim: int, name: str) -> int:
    """A dimension counted from the front; IndexError if there is none of that number.

    A 0-dimensional tensor is taken as one with a single dimension, as in PyTorch.
    """
    dim = as_int(dim, name)
    count = ndim or 1
    if not -count <= dim < count:
        raise IndexError(
            f"{name}: Dimension out of range (expected to be in range of [{-count}, {count - 1}], "
            f"but got {dim}); the tensor has {ndim} dimensions, counted from 0, or from -1 back."
        )
    return dim % count


def many_dims(dim: Dim, ndim: int, name: str) -> tuple[int, ...]:
    """The dimensions that `dim` means, in ascending order: all of them for None or ()."""
    only = dim[0] if dim.__class__ is tuple and len(dim) == 1 else dim
    if only.__class__ is int and -ndim <= only < ndim:  # the usual case
        return (only % ndim,)
    if dim is None or (isinstance(dim, tuple | list) and not dim):
        return tuple(range(ndim))
    found = distinct_dims(dim if isinstance(dim, tuple | list) else (dim,), ndim, name)
    return tuple(sorted(found)) if ndim else ()


def distinct_dims(dims: Sequence[Any], ndim: int, name: str) -> tuple[int, ...]:
    """Dimensions counted from the front, in the order given; RuntimeError if one comes twice."""
    found = tuple([one_dim(d, ndim, name) for d in dims])
    if len(set(found)) != len(found):
        raise RuntimeError(
            f"{name}: dim {next(d for d in found if found.count(d) > 1)} appears multiple times in "
            f"the list of dims {list(dims)}; name each dimension once."
        )
    return found


def as_int(value: Any, name: str) -> int:
    """A Python int from an int, a NumPy integer or a one-element integer tensor."""
    if value.__class__ is int:
        return value
    if isinstance(value, TensorBase) and value.array.dtype.kind in "iu" and value.array.size == 1:
        return int(value.array.item())
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name}: expected an int, but got {value!r} of type {type(value).__name__}"
        ) from None


def takes_sizes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the last argument, a sequence of ints, be written out: f(x, (2, 3)) or f(x, 2, 3)."""
    name = function.__name__

    @functools.wraps(function)
    def spread(input: Any, *sizes: Any, **keywords: Any) -> Any:
        if not sizes:
            return function(input, **keywords)
        if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
            sizes = tuple(sizes[0])
        for n in sizes:
            if n.__class__ is not int:
                sizes = tuple([as_int(n, name) for n in sizes])
                break
        return function(input, sizes, **keywords) if keywords else function(input, sizes)

    return spread


@functools.lru_cache(maxsize=1024)  # a program reshapes the same few shapes again and again
def complete(sizes: tuple[int, ...], old: tuple[int, ...], name: str) -> tuple[int, ...]:
    """`sizes` with its -1, if it has one, replaced so that it holds as many elements as `old`."""
    if math.prod(sizes) == math.prod(old) and min(sizes, default=0) >= 0:
        return sizes
    unknown = [i for i, n in enumerate(sizes) if n == -1]
    known = math.prod(n for n in sizes if n != -1)
    total = math.prod(old)
    if len(unknown) > 1:
        problem = "only one size can be -1"
    elif any(n < -1 for n in sizes):
        problem = "a size cannot be negative, except one -1, which is worked out from the others"
    elif unknown and known == 0:
        problem = "the size -1 could be anything, because another size is 0"
    elif unknown and total % known == 0:
        return (*sizes[: unknown[0]], total // known, *sizes[unknown[0] + 1 :])
    else:
        problem = f"the new sizes hold {'a multiple of ' if unknown else ''}{known} elements"
    raise ShapeError(
        f"{name}: shape '{list(sizes)}' is invalid for input of size {total}: x has shape "
        f"{list(old)}, {total} elements; {problem}."
    )
