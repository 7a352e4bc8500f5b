"""Pixels moved: between channels and the plane, and to where a grid says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from ...autograd.tape import wrap
from ...device import xp_of
from ...kernels.errors import ShapeError
from ...ops.creation import linspace, ones, zeros
from ...ops.resampling import cubic_weights
from ...ops.shape import meshgrid, stack
from ...tensor import Tensor


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C * r * r, H, W) -> (..., C, H * r, W * r), r = upscale_factor.  Shi et al. 2016."""
    r = upscale_factor
    if input.ndim < 3:
        raise ShapeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *batch, channels, H, W = input.shape
    if channels % (r * r):
        raise ShapeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}"
        )
    x = input.reshape(-1, channels // (r * r), r, r, H, W).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(*batch, channels // (r * r), H * r, W * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H * r, W * r) -> (..., C * r * r, H, W): the inverse of `pixel_shuffle`."""
    r = downscale_factor
    if input.ndim < 3:
        raise ShapeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *batch, channels, H, W = input.shape
    for name, size in (("height", H), ("width", W)):
        if size % r:
            raise ShapeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but {size} "
                f"is not divisible by {r}"
            )
    x = input.reshape(-1, channels, H // r, r, W // r, r).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(*batch, channels * r * r, H // r, W // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of x (N, C, ...), in `groups` groups, dealt out in turn.  Zhang et al. 2018."""
    if input.ndim < 3:
        raise ShapeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{list(input.shape)}"
        )
    if groups <= 0 or input.shape[1] % groups:
        raise ShapeError(
            f"channel_shuffle: Number of groups to divide channels in must be positive and divide "
            f"the {input.shape[1]} channels, but it is {groups}."
        )
    return input.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where output pixels lie in the input: theta (N, 2, 3), size (N, C, H, W) -> (N, H, W, 2).

    Coordinates (x, y) go from -1 to 1; align_corners: between the centres of the corner pixels,
    else between the outer edges. In three dimensions theta (N, 3, 4) gives (N, D, H, W, 3).
    """
    sizes = list(size)[2:]
    axes = len(sizes)
    if axes not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {list(size)}."
        )
    if tuple(theta.shape) != (size[0], axes, axes + 1):
        raise ValueError(
            f"Expected a batch of {axes}D affine matrices of shape Nx{axes}x{axes + 1} for size "
            f"{list(size)}. Got {list(theta.shape)}."
        )
    if min(size) <= 0:
        raise ValueError("Expected non-zero, positive output size")
    where: dict[str, Any] = {"dtype": theta.dtype, "device": theta.device}
    lines = [
        linspace(-1, 1, n, **where) * (1 if align_corners else (n - 1) / n)
        if n > 1
        else zeros(1, **where)
        for n in sizes
    ]
    grids = meshgrid(*lines, indexing="ij")
    base = stack([*reversed(grids), ones(*sizes, **where)], -1)  # (..., x y z 1)
    places = base.reshape(1, -1, axes + 1).matmul(theta.transpose(1, 2))
    return places.reshape(size[0], *sizes, axes)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """x (N, C, H, W) at the places (x, y) of grid (N, P, Q, 2), from -1 to 1: (N, C, P, Q).

    mode: bilinear, nearest or bicubic; padding_mode: what lies outside, zeros, the border or the
    reflection; align_corners: -1 and 1 are the centres of the corner pixels, else the outer edges.
    In three dimensions x is (N, C, D, H, W) and grid (N, O, P, Q, 3).  Jaderberg et al. 2015.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    axes = input.ndim - 2
    if axes not in (2, 3) or grid.ndim != input.ndim or grid.shape[-1] != axes:
        raise ShapeError(
            f"grid_sample: x is (N, C, H, W) or (N, C, D, H, W) = {tuple(input.shape)}, grid must "
            f"be (N, P, Q, 2) or (N, O, P, Q, 3) but is {tuple(grid.shape)}"
        )
    if grid.shape[0] != input.shape[0]:
        raise ShapeError(
            "grid_sample(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if mode == "bicubic" and axes == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    sizes = input.shape[2:]
    places = [
        _unnormalised(grid[..., axes - 1 - axis], n, bool(align_corners))
        for axis, n in enumerate(sizes)
    ]
    if mode != "bicubic":
        places = [
            _brought_inside(place, n, padding_mode, bool(align_corners))
            for place, n in zip(places, sizes, strict=True)
        ]
    taps = [_taps(place, mode) for place in places]  # per axis: (place, weight) of each tap
    total: Any = None
    for corner in itertools.product(*taps):
        index, inside, weight = None, None, None
        for (place, share), n in zip(corner, sizes, strict=True):
            if mode == "bicubic":
                place = _brought_inside(wrap(place), n, padding_mode, bool(align_corners)).array
            k, valid = _pixel(place, n)
            index = k if index is None else index * n + k
            inside = valid if inside is None else inside & valid
            weight = share if weight is None or share is None else weight * share
        picked = _picked(input, index) * wrap(inside)[:, None]
        part = picked if weight is None else picked * weight.unsqueeze(1)
        total = part if total is None else total + part
    return total


def _unnormalised(g: Tensor, n: int, corners: bool) -> Tensor:
    """From -1 ... 1 to pixels 0 ... n - 1."""
    return (g + 1) / 2 * (n - 1) if corners else ((g + 1) * n - 1) / 2


def _brought_inside(place: Tensor, n: int, padding_mode: str, corners: bool) -> Tensor:
    """What lies outside 0 ... n - 1, to the border or mirrored at it."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        low, span = (0.0, n - 1.0) if corners else (-0.5, float(n))
        xp, a = xp_of(place.array), place.array
        if span == 0:
            return place * 0
        far = xp.abs(a - low)
        flips = xp.floor(far / span)
        rest = xp.fmod(far, span)
        back = flips % 2 == 1
        value = xp.where(back, span - rest, rest) + low
        slope = xp.where(a < low, -1, 1) * xp.where(back, -1, 1)
        slope = slope.astype(a.dtype)
        place = place * wrap(slope) + wrap((value - a * slope).astype(a.dtype))
    return place.clamp(0, n - 1)


def _taps(place: Tensor, mode: str) -> list[tuple[Any, Tensor | None]]:
    """The pixels that a place is made of along one axis, with their weights (None: 1)."""
    xp = xp_of(place.array)
    if mode == "nearest":
        return [(xp.rint(place.array), None)]
    low = xp.floor(place.array)
    t = place - wrap(low)
    if mode == "bilinear":
        return [(low, 1 - t), (low + 1, t)]
    return [(low + i - 1, weight) for i, weight in enumerate(cubic_weights(t))]


def _pixel(place: Any, n: int) -> tuple[Any, Any]:
    """The number of the pixel, and whether there is one."""
    xp = xp_of(place)
    valid = (place >= 0) & (place <= n - 1)
    return xp.where(valid, place, 0).astype(xp.int64), valid


def _picked(x: Tensor, index: Any) -> Tensor:
    """x[n, c, index[n, ...]] of the flattened plane: (N, C, ...)."""
    N, C = x.shape[:2]
    flat = index.reshape(N, 1, -1)
    places = wrap(xp_of(index).broadcast_to(flat, (N, C, math.prod(index.shape[1:]))).copy())
    return x.flatten(2).gather(2, places).reshape(N, C, *index.shape[1:])
