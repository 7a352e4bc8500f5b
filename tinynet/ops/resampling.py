"""Images and signals at another size, composed of indexing and products."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.tape import wrap
from ..device import xp_of
from ..kernels.errors import ShapeError

_LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}
_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}  # the axes that a mode is for
_SMOOTH = {**_LINEAR, "bicubic": 2}
_CUBIC = -0.75  # the slope of the cubic kernel at 1, as PyTorch has it


def cubic_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """Of the elements at -1, 0, 1 and 2 for a place t between 0 and 1.  Keys 1981."""

    def near(s: Any) -> Any:
        return ((_CUBIC + 2) * s - (_CUBIC + 3)) * s * s + 1

    def far(s: Any) -> Any:
        return ((_CUBIC * s - 5 * _CUBIC) * s + 8 * _CUBIC) * s - 4 * _CUBIC

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """Resample x (N, C, L), (N, C, H, W) or (N, C, D, H, W) to another size, axis by axis.

    Output position i lies at s = (i + 1/2) * in / out - 1/2 of the input, or, with align_corners,
    at s = i * (in - 1) / (out - 1). "linear", "bilinear" and "trilinear" (for 1, 2 and 3 axes)
    give (1 - t) * x[k] + t * x[k + 1] with k + t = s, "nearest-exact" the element that i + 1/2
    falls into, and "nearest" x[floor(i * in / out)], which is half a pixel off. "bicubic" weighs
    four elements along each axis, "area" takes the mean of those that fall into a window of it.

    size, scale_factor: one of them; a number, or one for each axis. A scale factor takes the place
        of out / in in the formulas, unless recompute_scale_factor is true.
    """
    axes = input.ndim - 2
    name, shape = f"interpolate {mode}", tuple(input.shape)
    if mode not in ("nearest", "nearest-exact", "area", *_SMOOTH):
        raise NotImplementedError(
            f"interpolate: there is no mode {mode!r}; there are nearest, nearest-exact, area, "
            f"{', '.join(_SMOOTH)}."
        )
    if antialias:
        raise NotImplementedError(
            "interpolate: antialias=True is not supported; to make an image smaller without "
            'artefacts use mode="area".'
        )
    possible = [_SMOOTH[mode]] if mode in _SMOOTH else list(_LAYOUTS)
    if axes not in possible:
        layouts = " or ".join(_LAYOUTS[axes] for axes in possible)
        raise NotImplementedError(f"{name}: x must be {layouts}, but it is {shape}.")
    if align_corners is not None and mode not in _SMOOTH:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            f"{' | '.join(_SMOOTH)}"
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
        if mode in _SMOOTH:
            step = shape[dim] / out if factor is None else 1 / factor
            resampled = _resampled_linearly if mode in _LINEAR else _resampled_cubically
            y = resampled(y, dim, out, step, bool(align_corners))
        elif mode == "area":
            y = _means(y, dim, out)
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


def _resampled_cubically(x: Any, dim: int, out: int, step: float, corners: bool) -> Any:
    """The four elements around the place of each i < out, weighted, along dim."""
    xp, last = xp_of(x.array), x.shape[dim] - 1
    if corners:
        places = xp.arange(out) * (last / (out - 1) if out > 1 else 0.0)
    else:
        places = (xp.arange(out) + 0.5) * step - 0.5
    k = xp.floor(places).astype(xp.int64)
    sizes = (-1,) + (1,) * (x.ndim - dim - 1)
    y: Any = 0
    for offset, weight in zip((-1, 0, 1, 2), cubic_weights(places - k), strict=True):
        taken = x.index_select(dim, wrap(xp.clip(k + offset, 0, last)))
        y = y + taken * wrap(weight.astype(x.array.dtype).reshape(sizes))
    return y


def _means(x: Any, dim: int, out: int) -> Any:
    """The mean of the elements floor(i * in / out) to ceil((i + 1) * in / out), i < out."""
    xp, n = xp_of(x.array), x.shape[dim]
    i = xp.arange(out)
    starts, ends = i * n // out, -(-(i + 1) * n // out)
    places = xp.arange(n)
    inside = (places >= starts[:, None]) & (places < ends[:, None])
    share = (inside / (ends - starts)[:, None]).astype(x.array.dtype)  # (out, n)
    return x.movedim(dim, -1).matmul(wrap(share.T.copy())).movedim(-1, dim)
