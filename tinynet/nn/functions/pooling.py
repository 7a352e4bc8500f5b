"""Pooling over lines and volumes, over windows that fit any size, and pooling undone.

Made of the pooling of planes: a line is a plane of height 1; in a volume the maximum, the mean and
the sum over a window are those over its planes first, then over its depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tinynet.kernels as kernels

from ...autograd.tape import wrap
from ...device import xp_of
from ...kernels.errors import ShapeError
from ...kernels.pool2d.dims import Pool2dDims
from ...ops import pooling
from ...ops.creation import rand, zeros
from ...tensor import Tensor
from .checks import Sizes, per_axis, with_batch


def _dims(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Any:
    return Pool2dDims.of(
        x.array.shape,
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil,
    )


def _largest(
    x: Tensor, kernel: Any, stride: Any, padding: Any = 0, dilation: Any = 1, ceil: bool = False
) -> tuple[Tensor, Tensor]:
    """Of x (N, C, H, W): the largest element of each window, and its place in the plane."""
    dims = _dims(x, kernel, stride, padding, dilation, ceil)
    backend = kernels.of(x.array).pool2d
    return pooling.max_pool2d(x, dims=dims, return_indices=True, backend=backend)


def _mean(
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any = 0,
    ceil: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Of x (N, C, H, W): the mean of each window."""
    return pooling.avg_pool2d(
        x,
        dims=_dims(x, kernel, stride, padding, 1, ceil),
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
        backend=kernels.of(x.array).pool2d,
    )


def _window(
    name: str, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[tuple[int, ...], ...]:
    """Kernel, stride, padding and dilation, one number for each axis."""
    kernel = per_axis(kernel_size, axes, "kernel_size", name, least=1)
    return (
        kernel,
        kernel if stride in (None, (), []) else per_axis(stride, axes, "stride", name, least=1),
        per_axis(padding, axes, "padding", name, least=0),
        per_axis(dilation, axes, "dilation", name, least=1),
    )


def _result(y: Any, index: Any, single: bool, return_indices: bool) -> Any:
    """y, with the index if wanted, without the batch that was added."""
    if single:
        y, index = y.squeeze(0), index.squeeze(0)
    return (y, index) if return_indices else y


# ---------------------------------------------------------------------------------------- largest


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window: (N, C, L) -> (N, C, P); with its index if asked."""
    x, single = with_batch("max_pool1d", input, 1)
    k, s, p, d = _window("max_pool1d", 1, kernel_size, stride, padding, dilation)
    y, index = _largest(x.unsqueeze(2), (1, *k), (1, *s), (0, *p), (1, *d), ceil_mode)
    return _result(y.squeeze(2), index.squeeze(2), single, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window: (N, C, D, H, W) -> (N, C, O, P, Q); with its index."""
    x, single = with_batch("max_pool3d", input, 3)
    k, s, p, d = _window("max_pool3d", 3, kernel_size, stride, padding, dilation)
    y, index = _largest_in_volume(
        x,
        lambda planes: _largest(planes, k[1:], s[1:], p[1:], d[1:], ceil_mode),
        lambda depth: _largest(depth, (k[0], 1), (s[0], 1), (p[0], 0), (d[0], 1), ceil_mode),
    )
    return _result(y, index, single, return_indices)


def _largest_in_volume(
    x: Tensor, over_planes: Callable[[Tensor], Any], over_depth: Callable[[Tensor], Any]
) -> tuple[Tensor, Tensor]:
    """The largest of the planes' largest, and where it lies: (z * H + h) * W + w."""
    depth, H, W = x.shape[2:]
    planes, flat = over_planes(x.flatten(1, 2))  # (N, C*D, P, Q)
    P, Q = planes.shape[2:]
    y, place = over_depth(planes.unflatten(1, (-1, depth)).flatten(3))  # (N, C, O, P*Q)
    z = place // (P * Q)  # the plane that each came from
    index = flat.unflatten(1, (-1, depth)).flatten(3).gather(2, z) + z * (H * W)
    return y.unflatten(3, (P, Q)), index.unflatten(3, (P, Q))


# ------------------------------------------------------------------------------------------- mean


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (N, C, L) -> (N, C, P)."""
    x, single = with_batch("avg_pool1d", input, 1)
    k, s, p, _ = _window("avg_pool1d", 1, kernel_size, stride, padding)
    y = _mean(x.unsqueeze(2), (1, *k), (1, *s), (0, *p), ceil_mode, count_include_pad).squeeze(2)
    return y.squeeze(0) if single else y


def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window: (N, C, D, H, W) -> (N, C, O, P, Q)."""
    if divisor_override == 0:
        raise RuntimeError("avg_pool3d: divisor must be not zero")
    x, single = with_batch("avg_pool3d", input, 3)
    k, s, p, _ = _window("avg_pool3d", 3, kernel_size, stride, padding)
    one = None if divisor_override is None else 1  # sums, to be divided at the end
    planes = _mean(x.flatten(1, 2), k[1:], s[1:], p[1:], ceil_mode, count_include_pad, one)
    depth = planes.unflatten(1, (-1, x.shape[2])).flatten(3)
    how = ceil_mode, count_include_pad, divisor_override
    y = _mean(depth, (k[0], 1), (s[0], 1), (p[0], 0), *how)
    y = y.unflatten(3, planes.shape[2:])
    return y.squeeze(0) if single else y


def _power_sum(
    name: str, axes: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil: Any
) -> Tensor:
    """(sum of x^p)^(1/p) in each window, p = norm_type.

    p = 1 adds up, p = 2 gives the L2 norm, large p come near the maximum. A window whose sum is 0
    has derivative 0, as abs has there (PyTorch's is NaN).
    """
    p = float(norm_type)
    kernel = per_axis(kernel_size, axes, "kernel_size", name, least=1)
    x, single = with_batch(name, input**p, axes)
    total = _AVERAGE[axes](x, kernel, stride, ceil) * math.prod(kernel)
    positive = total != 0
    y = total.where(positive, 1) ** (1 / p) * positive
    return y.squeeze(0) if single else y


def _average_planes(x: Tensor, kernel: Any, stride: Any, ceil: bool) -> Tensor:
    return _mean(x, kernel, None if stride in (None, (), []) else stride, 0, ceil)


_AVERAGE: dict[int, Any] = {
    1: lambda x, kernel, stride, ceil: avg_pool1d(x, kernel, stride, 0, ceil),
    2: _average_planes,
    3: lambda x, kernel, stride, ceil: avg_pool3d(x, kernel, stride, 0, ceil),
}


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) in each window, p = norm_type: (N, C, L) -> (N, C, P)."""
    return _power_sum("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) in each window, p = norm_type: (N, C, H, W) -> (N, C, P, Q)."""
    return _power_sum("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) in each window, p = norm_type: (N, C, D, H, W) -> (N, C, O, P, Q)."""
    return _power_sum("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


# ------------------------------------------------------------------------ windows that fit any size


def _output(name: str, axes: int, input: Tensor, output_size: Any) -> tuple[Tensor, bool, Any]:
    """x with its batch, whether it had none, how many windows along each axis (None: its size)."""
    x, single = with_batch(name, input, axes)
    given = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,)
    given = given * axes if len(given) == 1 else given
    if len(given) != axes:
        raise ShapeError(f"{name}: output_size is {output_size!r}, but must be one int or {axes}.")
    counts = tuple(n if c is None else int(c) for c, n in zip(given, x.shape[2:], strict=True))
    if min(counts) < 0:
        raise ShapeError(f"{name}: output_size is {output_size!r}, but no size can be negative.")
    return x, single, counts


def _even(x: Tensor, counts: tuple[int, int]) -> tuple[int, int] | None:
    """The size of the windows if they are all alike and do not overlap."""
    (H, W), (P, Q) = x.shape[2:], counts
    return (H // P, W // Q) if P and Q and H % P == 0 and W % Q == 0 and H and W else None


def _adaptive_mean(x: Tensor, counts: tuple[int, int]) -> Tensor:
    window = _even(x, counts)
    if window is not None:
        return _mean(x, window, window)
    return pooling.adaptive_avg_pool2d(x, output_size=counts)


def _adaptive_largest(x: Tensor, counts: tuple[int, int]) -> tuple[Tensor, Tensor]:
    window = _even(x, counts)
    if window is not None:
        return _largest(x, window, window)
    return pooling.adaptive_max_pool2d(x, output_size=counts, return_indices=True)


def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """The means of P windows that cover the line."""
    x, single, (P,) = _output("adaptive_avg_pool1d", 1, input, output_size)
    y = _adaptive_mean(x.unsqueeze(2), (1, P)).squeeze(2)
    return y.squeeze(0) if single else y


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of P by Q windows that cover the plane; None in output_size keeps that side."""
    x, single, counts = _output("adaptive_avg_pool2d", 2, input, output_size)
    y = _adaptive_mean(x, counts)
    return y.squeeze(0) if single else y


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The means of O by P by Q windows that cover the volume; None keeps that side."""
    x, single, (depth, *counts) = _output("adaptive_avg_pool3d", 3, input, output_size)
    planes = _adaptive_mean(x.flatten(1, 2), (counts[0], counts[1]))
    lines = planes.unflatten(1, (-1, x.shape[2])).flatten(3)
    y = _adaptive_mean(lines, (depth, lines.shape[3])).unflatten(3, counts)
    return y.squeeze(0) if single else y


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest elements of P windows that cover the line; with their index if asked."""
    x, single, (P,) = _output("adaptive_max_pool1d", 1, input, output_size)
    y, index = _adaptive_largest(x.unsqueeze(2), (1, P))
    return _result(y.squeeze(2), index.squeeze(2), single, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of P by Q windows that cover the plane; with their index if asked."""
    x, single, counts = _output("adaptive_max_pool2d", 2, input, output_size)
    y, index = _adaptive_largest(x, counts)
    return _result(y, index, single, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of O by P by Q windows that cover the volume; with their index."""
    x, single, (depth, *counts) = _output("adaptive_max_pool3d", 3, input, output_size)
    y, index = _largest_in_volume(
        x,
        lambda planes: _adaptive_largest(planes, (counts[0], counts[1])),
        lambda lines: _adaptive_largest(lines, (depth, lines.shape[3])),
    )
    return _result(y, index, single, return_indices)


# -------------------------------------------------------------------------------- random windows


def _fractional(
    name: str,
    axes: int,
    input: Tensor,
    kernel_size: Sizes,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Tensor | None,
) -> Any:
    """Windows of a fixed size whose steps vary at random around in / out.  Graham 2015.

    Window i of an axis starts at floor((i + u) * a) - floor(u * a) with a = (size - kernel) /
    (count - 1) and u random, the last at size - kernel.
    """
    x, single = with_batch(name, input, axes)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    kernel = per_axis(kernel_size, axes, "kernel_size", name, least=1)
    sizes = x.shape[2:]
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, Sequence) else (output_ratio,) * axes
        output_size = [int(n * ratio) for n, ratio in zip(sizes, ratios, strict=True)]
    counts = per_axis(output_size, axes, "output_size", name, least=1)
    for size, count, k in zip(sizes, counts, kernel, strict=True):
        if count + k - 1 > size:
            raise ShapeError(f"{name}: kernel {kernel} is too large relative to input {sizes}")
    if samples is None:
        samples = rand(*x.shape[:2], axes, dtype=x.dtype, device=x.device)
    xp = xp_of(x.array)
    u = samples.array[: x.shape[0]]
    u = u[..., ::-1] if axes == 2 else u  # PyTorch draws that of the columns first
    N, C = x.shape[:2]
    flat = xp.zeros((N, C) + (1,) * 2 * axes, xp.int64)
    for axis, (size, count, k) in enumerate(zip(sizes, counts, kernel, strict=True)):
        step = (size - k) / (count - 1) if count > 1 else 0.0
        offset = u[..., axis, None]
        starts = (((xp.arange(count) + offset) * u.dtype.type(step)).astype(xp.int64)) - (
            offset * u.dtype.type(step)
        ).astype(xp.int64)
        starts[..., -1] = size - k
        shape = [N, C] + [1] * 2 * axes
        shape[2 + axis], shape[2 + axes + axis] = count, k
        flat = flat * size + (starts[..., None] + xp.arange(k)).reshape(shape)
    places = wrap(flat.reshape(N, C, -1))
    windows = x.flatten(2).gather(2, places).reshape(N, C, *counts, math.prod(kernel))
    y, best = windows.max(-1)
    index = places.reshape(windows.shape).gather(-1, best.unsqueeze(-1)).squeeze(-1)
    return _result(y, index, single, return_indices)


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest elements of P by Q windows at random steps: (N, C, H, W) -> (N, C, P, Q)."""
    return _fractional(
        "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices,
        _random_samples,
    )  # fmt: skip


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest elements of windows at random steps: (N, C, D, H, W) -> (N, C, O, P, Q)."""
    return _fractional(
        "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices,
        _random_samples,
    )  # fmt: skip


# ----------------------------------------------------------------------------------- pooling undone


def _unpooled(
    name: str,
    axes: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    x, single = with_batch(name, input, axes)
    k, s, p, _ = _window(name, axes, kernel_size, stride, padding)
    default = tuple(
        (n - 1) * step - 2 * pad + kernel
        for n, kernel, step, pad in zip(x.shape[2:], k, s, p, strict=True)
    )
    sizes = default
    if output_size is not None:
        sizes = tuple(output_size)[-axes:]
        if len(sizes) != axes:
            raise ValueError(
                f"output_size should be a sequence containing {axes} or {axes + 2} elements, but "
                f"it has a length of '{len(output_size)}'"
            )
        for size, usual, step in zip(sizes, default, s, strict=True):
            if not usual - step < size < usual + step:
                raise ValueError(
                    f'invalid output_size "{tuple(output_size)}" (each must be less than a stride '
                    f"from {default})"
                )
    if indices.dtype.numpy.name != "int64":
        raise RuntimeError("elements in indices should be type int64")
    if indices.shape != input.shape:
        raise ShapeError(
            f"{name}: Expected shape of indices to be same as that of the input tensor "
            f"({list(input.shape)}), but got indices tensor with shape: {list(indices.shape)}"
        )
    total = math.prod(sizes)
    if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < total:
        raise RuntimeError(
            f"{name}: Found an invalid max index: {int(indices.max())} (output volumes are of size "
            f"{'x'.join(map(str, sizes))}"
        )
    empty = zeros(*x.shape[:2], total, dtype=x.dtype, device=x.device)
    y = empty.scatter(2, indices.reshape(*x.shape[:2], -1), x.flatten(2))
    y = y.reshape(*x.shape[:2], *sizes)
    return y.squeeze(0) if single else y


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Each element of x (N, C, P) where its index, as `max_pool1d` gives it, says; else 0."""
    return _unpooled("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Each element of x (N, C, P, Q) where its index, as `max_pool2d` gives it, says; else 0."""
    return _unpooled("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Each element of x (N, C, O, P, Q) where its index, as `max_pool3d` gives it, says; else 0."""
    return _unpooled("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
