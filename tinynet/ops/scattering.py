"""Writing into copies: through views, by mask, and with a reduction where positions meet.

`x.select_scatter(src, ...)` and its kin are "take the view of a copy, write src into it": the tape
knows both steps, and so their derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd import layout, tape
from ..autograd.mode import mode
from ..autograd.tape import differentiable, node_of, wrap
from ..device import xp_of
from ..kernels.errors import ShapeError
from . import arithmetic, reduction
from .arithmetic import where
from .dims import one_dim
from .indexing import (
    _along,
    _at,
    _positions,
    _slice,
    array_key,
    getitem,
    index_add_into,
)
from .indexing import (
    index_put as put_at,
)
from .shape import cat, clone, diagonal, expand, reshape, select

# --------------------------------------------------------------------------------- through views


def _written(input: Any, view: Callable[[Any], Any], src: Any, name: str) -> Any:
    """A copy of input in which `view` of it has src's values."""
    copy = clone(input)
    target = view(copy)
    if target.array.shape != src.array.shape:
        raise ShapeError(
            f"{name}: expected src to have a size equal to the slice of self. src size = "
            f"{list(src.array.shape)}, slice size = {list(target.array.shape)}"
        )
    target.copy_(src)
    return copy


def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """A copy of input in which the slice at `index` along `dim` is src."""
    return _written(input, lambda x: select(x, dim, index), src, "select_scatter")


def slice_scatter(
    input: Any,
    src: Any,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Any:
    """A copy of input in which input[start:end:step] along `dim` is src."""
    dim = one_dim(dim, input.array.ndim, "slice_scatter")
    key = (*[slice(None)] * dim, slice(start, end, step))
    return _written(input, lambda x: _slice(x, key=key), src, "slice_scatter")


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A copy of input in which the diagonal of dimensions dim1 and dim2 is src."""
    return _written(input, lambda x: diagonal(x, offset, dim1, dim2), src, "diagonal_scatter")


def as_strided_scatter(
    input: Any,
    src: Any,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Any:
    """A copy of input in which the elements that `as_strided` shows are src."""
    offset = storage_offset or 0
    return _written(
        input.contiguous(),
        lambda x: _strided(x, size=tuple(size), stride=tuple(stride), offset=offset),
        src,
        "as_strided_scatter",
    )


# ------------------------------------------------------------------------------------ any strides


def storage_offset(input: Any) -> int:
    """How many elements of the memory that input shows lie before its first."""
    array = layout.settle(input)
    return (_address(array) - _address(_whole(array))) // array.itemsize


def _address(array: Any) -> int:
    return array.__array_interface__["data"][0] if xp_of(array) is np else array.data.ptr


def _whole(array: Any) -> Any:
    """The array that holds the memory, if it holds elements of the same kind."""
    while isinstance(array.base, type(array)) and array.base.dtype == array.dtype:
        array = array.base
    return array


@differentiable(view=True)
def _strided(x, *, size, stride, offset):
    """The elements at `offset` + sum of index times stride, counted in x's own order.

    An element that is shown several times gets the sum of its gradients.
    """
    shape, n = x.array.shape, x.array.size
    value = _restrided(x.array.reshape(-1), size, stride, offset)

    def dx(dy: Any) -> Any:
        key = (xp_of(dy.array).asarray(offset + _places(size, stride)),)
        return reshape(index_add_into(dy, key=key, shape=(n,)), shape)

    return value, (dx,)


def _restrided(flat: Any, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    """A view of a vector with other sizes and strides; RuntimeError beyond its ends."""
    last = offset + sum((n - 1) * s for n, s in zip(size, stride))
    if math.prod(size) and not (offset >= 0 and last < flat.size):
        raise RuntimeError(
            f"as_strided: setStorage: sizes {list(size)}, strides {list(stride)}, storage offset "
            f"{offset} are out of bounds for storage of {flat.size} elements"
        )
    steps = tuple([s * flat.strides[0] for s in stride])
    return xp_of(flat).lib.stride_tricks.as_strided(flat[max(offset, 0) :], size, steps)


def _places(size: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    """Where each element lies, counted from the first."""
    grid = np.ogrid[tuple([slice(n) for n in size])]
    return sum((g * s for g, s in zip(grid, stride)), np.zeros(size, np.int64))


def as_strided(
    input: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """A view of input's memory with any sizes and strides (in elements), from an offset on.

    Without one, from input's own first element. Raises RuntimeError beyond the memory; where a
    gradient is wanted, beyond input's own elements, which must lie in order without gaps.
    """
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError(
            f"as_strided: mismatch in length of strides and shape: {list(stride)}, {list(size)}"
        )
    if any(s < 0 for s in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported: {list(stride)}")
    start = _offset(input)
    offset = start if storage_offset is None else storage_offset
    array = input.array
    last = offset - start + sum((n - 1) * s for n, s in zip(size, stride))
    if array.flags.c_contiguous and offset >= start and (last < array.size or not math.prod(size)):
        return _strided(input, size=size, stride=stride, offset=offset - start)
    if mode.enabled and node_of(input) is not None:
        raise RuntimeError(
            "as_strided: a gradient goes back to the tensor's own elements, which must lie in "
            "order without gaps; this would show other memory. Call .contiguous() first."
        )
    whole = _whole(array)
    flat = xp_of(whole).lib.stride_tricks.as_strided(whole, (whole.size,), (whole.itemsize,))
    result = tape.alias(input)
    result.array = _restrided(flat, size, stride, offset)
    return result


_offset = storage_offset

# ---------------------------------------------------------------------------- by index and by mask


def index_put(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """A copy of input in which input[indices] is values; with accumulate, values are added."""
    key = array_key(tuple(indices), input.array)
    if values.array.dtype != input.array.dtype:
        raise RuntimeError(
            "index_put: Index put requires the source and destination dtypes match, got "
            f"{input.array.dtype} for the destination and {values.array.dtype} for the source."
        )
    if not accumulate:
        return put_at(input, values, key=key)
    spot = _at(input, *key)
    return input + _added(expand(values, spot.array.shape), key, input.array.shape)


def _added(values: Any, key: Any, shape: tuple[int, ...]) -> Any:
    basic, advanced = key
    if not advanced:
        return index_add_into(values, key=basic, shape=shape)
    inner = np.empty(shape, bool)[(*basic, Ellipsis)].shape
    values = index_add_into(values, key=advanced, shape=inner)
    return values if inner == shape else index_add_into(values, key=basic, shape=shape)


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """A copy of input with source's elements at positions of the flattened input."""
    if index.array.size != source.array.size:
        raise IndexError(
            f"put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.array.size}, index.numel() = {index.array.size}"
        )
    flat = index_put(
        reshape(input, (-1,)), (wrap(_positions(index, "put").reshape(-1)),),
        reshape(source, (-1,)), accumulate,
    )  # fmt: skip
    return reshape(flat, input.array.shape)


def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """A copy of input with source's first elements, in order, where mask is true."""
    if mask.array.dtype != np.bool_:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}"
        )
    if source.array.dtype != input.array.dtype:
        raise RuntimeError(
            "masked_scatter_: expected self and source to have same dtypes but got "
            f"{input.array.dtype} and {source.array.dtype}"
        )
    shape = np.broadcast_shapes(input.array.shape, mask.array.shape)
    flags = np.broadcast_to(mask.array, shape)
    count = int(flags.sum())
    if source.array.size < count:
        raise RuntimeError(
            "masked_scatter: expected the number of elements in source >= the number of ones in "
            f"mask, but got {source.array.size} and {count}"
        )
    values = _slice(reshape(source, (-1,)), key=(slice(count),))
    return put_at(expand(input, shape), values, key=array_key(wrap(flags), np.empty(shape, bool)))


# --------------------------------------------------------------------------- where positions meet

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """input reduced with the elements of src that `index` sends to the same place along `dim`.

    reduce: sum, prod, mean, amax or amin. With include_self=False, input counts only where
    nothing is sent. Equal extremes share the gradient evenly.
    """
    if reduce not in REDUCTIONS:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}."
        )
    x = input if input.array.ndim else reshape(input, (1,))
    key = _along(x, dim, index, "scatter_reduce")
    if src.array.dtype != x.array.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype, but they are "
            f"{x.array.dtype} and {src.array.dtype}"
        )
    src = src if src.array.ndim else reshape(src, (1,))
    sent = np.broadcast_shapes(*[np.shape(k) for k in key]) if key else ()
    src = _slice(src, key=tuple([slice(n) for n in sent]))
    size = x.array.size
    place = (
        np.ravel_multi_index(np.broadcast_arrays(*key), x.array.shape).ravel()
        if size
        else np.zeros(0, int)
    )
    values = reshape(src, (-1,))
    flat = reshape(x, (-1,))
    count = np.bincount(place, minlength=size)
    own = np.ones(size, bool) if include_self else count == 0
    if reduce in ("sum", "mean"):
        total = where(wrap(own), flat, 0) + index_add_into(values, key=(place,), shape=(size,))
        if reduce == "mean":
            number = wrap(np.maximum(count + own, 1).astype(flat.array.dtype))
            whole = flat.array.dtype.kind != "f"
            total = arithmetic.div(total, number, rounding_mode="floor" if whole else None)
        result = total if total.array.dtype == flat.array.dtype else total.to(input.dtype)
    else:
        result = _folded(flat, values, place, count, own, reduce)
    return reshape(result, input.array.shape)


def _folded(flat: Any, values: Any, place: Any, count: Any, own: Any, reduce: str) -> Any:
    """Products or extremes of what meets at each place: (places, most that meet), then reduced.

    Places with fewer are filled up with what changes nothing: 1, or the first that is there.
    """
    size = flat.array.size
    order = np.argsort(place, kind="stable")
    starts = np.cumsum(count) - count
    column = np.arange(place.size) - starts[place[order]]
    most = int(count.max(initial=0))
    table = np.full((size, most + 1), -1)
    table[own, 0] = np.flatnonzero(own)
    table[place[order], column + 1] = size + order
    kind = flat.array.dtype
    if reduce == "prod":
        filler: Any = 1
    elif kind.kind == "f":
        filler = -math.inf if reduce == "amax" else math.inf
    elif kind.kind == "b":
        filler = reduce == "amin"
    else:
        filler = np.iinfo(kind).min if reduce == "amax" else np.iinfo(kind).max
    everything = cat([flat, values, wrap(np.full(1, filler, kind))], 0)
    # A table entry of -1 is the filler, the last of all.
    met = getitem(everything, wrap(table))
    result = getattr(reduction, reduce)(met, 1)
    return result if result.array.dtype == kind else arithmetic.cast(result, dtype=kind)


def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """input reduced with the slices of source at the indices along `dim`; see `scatter_reduce`."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be prod, mean, amax or amin but got {reduce}."
        )
    x, s = (v if v.array.ndim else reshape(v, (1,)) for v in (input, source))
    dim = one_dim(dim, x.array.ndim, "index_reduce")
    rows = reshape(index, (*(1,) * dim, -1, *(1,) * (x.array.ndim - dim - 1)))
    full = expand(rows, s.array.shape)
    result = scatter_reduce(x, dim, full, s, reduce, include_self=include_self)
    return reshape(result, input.array.shape)


def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Any:
    """input with its slices along `dim` scaled down where their p-norm is above maxnorm."""
    if input.array.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.array.ndim} dimensions"
        )
    if p <= 0 or maxnorm < 0:
        raise RuntimeError(
            f"renorm: non-positive-norm not supported, and maxnorm must be >= 0, but p is {p} "
            f"and maxnorm {maxnorm}"
        )
    dim = one_dim(dim, input.array.ndim, "renorm")
    others = tuple([i for i in range(input.array.ndim) if i != dim])
    norms = reduction.vector_norm(input, p, others, True)
    factor = where(norms.gt(maxnorm), maxnorm / (norms + 1e-7), 1)
    return input * factor
