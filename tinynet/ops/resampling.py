"""Images and signals at another size, composed of indexing and products."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.tape import wrap
from ..device import xp_of
from ..kernels.errors import ShapeError

_LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}
_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}  # the axes that a mode is for


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Any:
    """Resample x (N, C, L), (N, C, H, W) or (N, C, D, H, W) to another size, axis by axis.

    Output position i lies at s = (i + 1/2) * in / out - 1/2 of the input, or, with align_corners,
    at s = i * (in - 1) / (out - 1). "linear", "bilinear" and "trilinear" (for 1, 2 and 3 axes)
    give (1 - t) * x[k] + t * x[k + 1] with k + t = s, "nearest-exact" the element that i + 1/2
    falls into, and "nearest" x[floor(i * in / out)], which is half a pixel off.

    size, scale_factor: one of them; a number, or one for each axis. A scale factor takes the place
        of out / in in the formulas, unless recompute_scale_factor is true.
    """
    axes = input.ndim - 2
    name, shape = f"interpolate {mode}", tuple(input.shape)
    if mode not in ("nearest", "nearest-exact", *_LINEAR):
        raise NotImplementedError(
            f"interpolate: there is no mode {mode!r}; there are nearest, nearest-exact, "
            f"{', '.join(_LINEAR)}."
        )
    possible = [_LINEAR[mode]] if mode in _LINEAR else list(_LAYOUTS)
    if axes not in possible:
        layouts = " or ".join(_LAYOUTS[axes] for axes in possible)
        raise NotImplementedError(f"{name}: x must be {layouts}, but it is {shape}.")
    if align_corners is not None and mode not in _LINEAR:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            f"{' | '.join(_LINEAR)}"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
    if size is not None:
        sizes, factors = _per_axis(name, "size", size, shape), [None] * axes
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    else:
        factors = _per_axis(name, "scale_factor", scale_factor, shape)
        sizes = [math.floor(n * factor) for n, factor in zip(shape[2:], factors, strict=True)]
        if recompute_scale_factor:
            factors = [None] * axes
    if min(*sizes, *shape[2:]) < 1:
        raise ShapeError(f"{name}: x is {shape} and the output {tuple(sizes)}; no axis may be 0.")
    y = input
    for dim, (out, factor) in enumerate(zip(sizes, factors, strict=True), start=2):
        if mode in _LINEAR:
            step = shape[dim] / out if factor is None else 1 / factor
            y = _resampled_linearly(y, dim, out, step, bool(align_corners))
        else:
            y = _resampled_nearest(y, dim, out, factor, int(mode == "nearest-exact"))
    return y


def _per_axis(name: str, argument: str, value: Any, shape: tuple[int, ...]) -> list[Any]:
    """One number for each axis behind (N, C), from one for all or a sequence."""
    if not isinstance(value, list | tuple):
        return [value] * (len(shape) - 2)
    if len(value) != len(shape) - 2:
        raise ValueError(
            f"{name}: x is {shape}, with {len(shape) - 2} axes behind (N, C), but {argument} is "
            f"{tuple(value)}."
        )
    return list(value)


def _resampled_nearest(x: Any, dim: int, out: int, factor: float | None, twice: int) -> Any:
    """x[floor(s * in / out)] or x[floor(s / factor)] for s = i + twice / 2, i < out, along dim."""
    xp, n = xp_of(x.array), x.shape[dim]
    doubled = 2 * xp.arange(out) + twice
    # whole numbers are exact; PyTorch's places in float32 are off by one here and there
    places = doubled * n // (2 * out) if factor is None else xp.floor(doubled / (2 * factor))
    return x.index_select(dim, wrap(xp.minimum(places.astype(xp.int64), n - 1)))


def _resampled_linearly(x: Any, dim: int, out: int, step: float, corners: bool) -> Any:
    """(1 - t) * x[k] + t * x[k + 1] with k + t = the place of each i < out, along dim."""
    xp, last = xp_of(x.array), x.shape[dim] - 1
    if corners:
        places = xp.arange(out) * (last / (out - 1) if out > 1 else 0.0)
    else:
        places = xp.maximum((xp.arange(out) + 0.5) * step - 0.5, 0)
    k = xp.minimum(places.astype(xp.int64), last)
    t = xp.where(k < last, places - k, 0)
    low = x.index_select(dim, wrap(k))
    high = x.index_select(dim, wrap(k + (t > 0)))  # not x[k + 1]: 0 * inf would be nan
    t = wrap(t.astype(x.array.dtype).reshape((-1,) + (1,) * (x.ndim - dim - 1)))
    return (1 - t) * low + t * high
