"""What rests on order: running extremes, ranks, quantiles, searching in sorted numbers."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from .. import dtypes, return_types
from ..autograd.tape import TensorBase, wrap
from ..device import xp_of
from . import arithmetic
from .arithmetic import where
from .dims import Dim, many_dims, one_dim
from .indexing import gather
from .reduction import _dropped, _needs_elements, _order, mean, nansum, sort
from .shape import narrow, reshape, unsqueeze

# -------------------------------------------------------------------------------- running extremes


def _running(input: Any, dim: int, largest: bool, name: str) -> tuple[Any, Any]:
    x = input.array
    dim = one_dim(dim, x.ndim, name)
    if not x.ndim:
        return input.clone(), wrap(np.zeros((), np.int64))
    best = (np.maximum if largest else np.minimum).accumulate(x, axis=dim) if x.size else x
    hit = (x == best) | (x != x)  # the last that equals the best so far is the one that counts
    number = np.arange(x.shape[dim]).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    indices = (
        np.maximum.accumulate(np.where(hit, number, 0), axis=dim) if x.size else number + 0 * hit
    )
    index = wrap(xp_of(x).asarray(indices.astype(np.int64)))
    return gather(input, dim, index), index


def cummax(input: Any, dim: int) -> Any:
    """(values, indices) of the largest element so far along `dim`, the last of equals."""
    return return_types.cummax(*_running(input, dim, True, "cummax"))


def cummin(input: Any, dim: int) -> Any:
    """(values, indices) of the smallest element so far along `dim`, the last of equals."""
    return return_types.cummin(*_running(input, dim, False, "cummin"))


# --------------------------------------------------------------------------------------- ranks


def msort(input: Any) -> Any:
    """input sorted along its first dimension."""
    return sort(input, 0)[0] if input.array.ndim else input.clone()


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the k-th smallest element along `dim`, counted from 1."""
    ndim = input.array.ndim
    dim = one_dim(dim, ndim, "kthvalue")
    n = input.array.shape[dim] if ndim else 1
    if ndim:
        _needs_elements(input, (dim,), dim, "kthvalue")
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    values, indices = sort(input, dim)
    if ndim:
        values, indices = (narrow(v, dim, k - 1, 1) for v in (values, indices))
    return return_types.kthvalue(*(_dropped(v, dim, keepdim) for v in (values, indices)))


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the most frequent element along `dim`, the smallest of equals."""
    x = input.array
    dim = one_dim(dim, x.ndim, "mode")
    if not x.ndim:
        return return_types.mode(input.clone(), wrap(np.zeros((), np.int64)))
    _needs_elements(input, (dim,), dim, "mode")
    order = _order(x, dim, False)
    ranked = np.moveaxis(np.take_along_axis(x, order, dim), dim, -1)
    n = ranked.shape[-1]
    number = np.arange(n)
    # Where each run of equals begins; an element's place in its run is how often it came so far.
    begins = np.ones(ranked.shape, bool)
    begins[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    place = number - np.maximum.accumulate(np.where(begins, number, 0), axis=-1)
    winner = np.expand_dims(place.argmax(-1), dim)
    indices = wrap(np.take_along_axis(order, winner, dim))
    values = gather(input, dim, indices)
    return return_types.mode(*(_dropped(v, dim, keepdim) for v in (values, indices)))


def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """`median` of what is not NaN; along `dim` (values, indices)."""
    if dim is None:
        if not input.array.size:
            return input.new_full((), math.nan if input.array.dtype.kind == "f" else 0)
        return nanmedian(reshape(input, (-1,)), 0).values
    x = input.array
    dim = one_dim(dim, x.ndim, "nanmedian")
    if not x.ndim:
        return return_types.nanmedian(input.clone(), wrap(np.zeros((), np.int64)))
    _needs_elements(input, (dim,), dim, "nanmedian")
    known = (x == x).sum(axis=dim, keepdims=True)  # NaN is sorted last
    middle = np.maximum(known - 1, 0) // 2
    indices = wrap(np.take_along_axis(_order(x, dim, False), middle, dim))
    values = gather(input, dim, indices)
    return return_types.nanmedian(*(_dropped(v, dim, keepdim) for v in (values, indices)))


def nanmean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean over `dim` of what is not NaN."""
    if dtype is not None:
        input = arithmetic.cast(input, dtype=dtypes.numpy_dtype(dtype))
    if input.array.dtype.kind != "f":
        raise RuntimeError(
            f"nanmean(): expected input to have floating point dtype but got {input.array.dtype}"
        )
    dims = many_dims(dim, input.array.ndim, "nanmean")
    known = (input.array == input.array).sum(axis=dims, keepdims=keepdim)
    return (
        nansum(input, dims, keepdim) / wrap(known.astype(input.array.dtype))
        if dims
        else mean(input, dims, keepdim)
    )


# ------------------------------------------------------------------------------------- quantiles

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    input: Any,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Any:
    """The element below which a fraction q of input lies along `dim`, interpolated between two.

    q is a number or a vector (Q), which gives a new first dimension. NaN if there is a NaN.
    Raises RuntimeError unless 0 <= q <= 1.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


def nanquantile(
    input: Any,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Any:
    """`quantile` of what is not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


def _quantile(
    name: str, input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str, skip: bool
) -> Any:
    x = input.array
    if x.dtype.kind != "f" or x.dtype.itemsize < 4:
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if isinstance(q, TensorBase) and q.array.dtype != x.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if not x.size:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of {', '.join(INTERPOLATIONS)}, but got "
            f"{interpolation}"
        )
    q = q if isinstance(q, TensorBase) else wrap(np.asarray(q, x.dtype))
    points = q.array
    if points.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if not ((points >= 0) & (points <= 1)).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    ndim = x.ndim
    if dim is None:
        flat, axis = reshape(input, (-1,)), 0
        kept = (1,) * ndim
    else:
        axis = one_dim(dim, ndim, name)
        flat = input if ndim else reshape(input, (1,))
        kept = tuple([1 if i == axis else n for i, n in enumerate(x.shape)])
    ranked = sort(flat.transpose(axis, -1), -1)[0]  # (..., n)
    n = ranked.array.shape[-1]
    unknown = ranked.array != ranked.array
    known = (~unknown).sum(-1, keepdims=True)
    last = np.maximum(known if skip else np.full_like(known, n), 1) - 1  # (..., 1)
    place = reshape(q, (-1,)) * wrap(last.astype(x.dtype))  # (..., Q)
    if not skip:  # a NaN, if there is one, is last
        place = where(wrap(known < n), float(n - 1), place)
    exact = place.array
    rounded = {"nearest": np.rint, "higher": np.ceil}.get(interpolation, np.floor)
    below = rounded(exact)
    above = np.ceil(exact) if interpolation in ("linear", "midpoint") else below
    low, high = (gather(ranked, -1, wrap(v.astype(np.int64))) for v in (below, above))
    if interpolation == "linear":
        share = place - wrap(below)
    else:
        share = wrap(np.where(above > below, x.dtype.type(0.5), x.dtype.type(0)))
    same = wrap(above == below)  # where both may be infinite
    found = where(same, low, low + share * where(same, 0, high - low))  # (..., Q)
    lead = found.movedim(-1, 0)  # (Q, rest with `axis` exchanged for the last)
    if dim is None:
        lead = reshape(lead, (points.size, *(kept if keepdim else ())))
    else:
        lead = unsqueeze(lead, -1).transpose(axis + 1, -1) if ndim else reshape(lead, (-1, 1))
        if not keepdim or not ndim:
            lead = lead.squeeze(axis + 1)
    return lead if points.ndim else lead.squeeze(0)


# --------------------------------------------------------------------- searching and counting


def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Where each number of input would be put into the sorted last dimension of sorted_sequence.

    Before its equals; with right (or side="right") behind them. No gradient.
    """
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"searchsorted(): side can only be 'left' or 'right' but got {side}")
        if right and side == "left":
            raise RuntimeError("searchsorted(): side and right can't be set to opposites")
        right = side == "right"
    numbers = sorted_sequence.array
    wanted = input.array if isinstance(input, TensorBase) else np.asarray(input, numbers.dtype)
    if sorter is not None:
        numbers = np.take_along_axis(numbers, sorter.array, -1)
    if numbers.ndim != 1 and numbers.shape[:-1] != wanted.shape[:-1]:
        raise RuntimeError(
            "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions "
            f"of both must match, but the boundaries have shape {list(numbers.shape)}, the values"
            f" and {list(wanted.shape)}"
        )
    kind = np.int32 if out_int32 else np.int64
    which: Any = "right" if right else "left"
    if numbers.ndim == 1:
        return wrap(np.asarray(np.searchsorted(numbers, wanted, which)).astype(kind))
    found = np.empty(wanted.shape, kind)
    for row in np.ndindex(wanted.shape[:-1]):
        found[row] = np.searchsorted(numbers[row], wanted[row], which)
    return wrap(found)


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """Which of the buckets between sorted boundaries each number falls into; no gradient."""
    if boundaries.array.ndim != 1:
        raise RuntimeError(
            f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """input without the repetitions of equal neighbours (or of equal slices along `dim`)."""
    x = input.array
    rows = x.reshape(-1, 1) if dim is None else np.moveaxis(x, one_dim(dim, x.ndim, "unique"), 0)
    n = rows.shape[0]
    flat = rows.reshape(n, -1) if rows.size else rows.reshape(n, 0)
    begins = np.ones(n, bool)
    begins[1:] = (flat[1:] != flat[:-1]).any(1)
    kept = rows[begins]
    values = kept.reshape(-1) if dim is None else np.ascontiguousarray(np.moveaxis(kept, 0, dim))
    inverse = begins.cumsum() - 1
    starts = np.flatnonzero(begins)
    parts = [wrap(values)]
    if return_inverse:
        parts.append(wrap(inverse.reshape(x.shape if dim is None else -1)))
    if return_counts:
        parts.append(wrap(np.diff(np.append(starts, n))))
    return parts[0] if len(parts) == 1 else tuple(parts)


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many numbers fall into each of `bins` equal parts of [min, max]; no gradient.

    min = max stands for the range of the numbers themselves. What lies outside is not counted.
    """
    x = input.array
    if bins <= 0:
        raise RuntimeError(f"histc(): bins must be > 0, but got {bins}")
    if min == max and x.size:
        min, max = float(x.min()), float(x.max())
    if min == max:
        min, max = min - 1, max + 1
    if not (math.isfinite(min) and math.isfinite(max)):
        raise RuntimeError(f"histc(): range of [{min}, {max}] is not finite")
    if min > max:
        raise RuntimeError("histc(): max must be larger than min")
    inside = x[(x >= min) & (x <= max)].astype(np.float64)
    place = np.minimum(((inside - min) / (max - min) * bins).astype(np.int64), bins - 1)
    return wrap(np.bincount(place, minlength=bins).astype(x.dtype))


def histogram(
    input: Any,
    bins: Any,
    *,
    range: Any = None,
    weight: Any = None,
    density: bool = False,
) -> Any:
    """(hist, bin_edges): how many numbers (or how much weight) fall between edges; no gradient.

    bins: how many equal parts of range (of the numbers' own without it), or the edges themselves.
    """
    x = input.array
    kind = x.dtype
    if isinstance(bins, TensorBase):
        edges = bins.array
    else:
        low, high = range or ((x.min(), x.max()) if x.size else (0, 1))
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, bins + 1, dtype=kind)
    weights = None if weight is None else weight.array.ravel()
    counts, _ = np.histogram(x.ravel(), edges, weights=weights, density=False)
    hist = counts.astype(kind)
    if density:
        hist = hist / (hist.sum() * np.diff(edges)).astype(kind)
    return return_types.histogram(wrap(hist), wrap(np.asarray(edges, kind)))


def nonzero_static(input: Any, *, size: int, fill_value: int = -1) -> Any:
    """The first `size` positions of what is not zero, (size, ndim), filled up with fill_value."""
    found = (
        np.stack(input.array.nonzero(), axis=1) if input.array.ndim else np.zeros((0, 0), np.int64)
    )
    result = np.full((size, input.array.ndim), fill_value, np.int64)
    count = builtins.min(size, len(found))
    result[:count] = found[:count]
    return wrap(result)
