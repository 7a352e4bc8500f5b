"""Convolutions over lines and volumes, their transposes, and windows laid out as columns.

All of them are made of the two-dimensional operations: a line is a plane of height 1, a volume a
row of planes, and a transposed convolution is the derivative of a convolution.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

import tinynet.kernels as kernels

from ...kernels.conv2d.dims import Conv2dDims
from ...kernels.errors import ShapeError
from ...kernels.geometry import window_count
from ...ops import conv as convolution
from ...ops import im2col as columns
from ...ops.creation import arange, zeros
from ...ops.shape import pad
from ...tensor import Tensor
from .checks import LETTERS, Sizes, per_axis, same_dtype, with_batch


def conv_padding(
    padding: str | Sizes, kernel_size: Sequence[int], dilation: Sizes
) -> list[tuple[int, int]]:
    """(before, after) for each direction: "valid" is none, "same" keeps the size at stride 1."""
    axes = len(kernel_size)
    if not isinstance(padding, str):
        return [(p, p) for p in per_axis(padding, axes, "padding", "convolution", least=0)]
    if padding == "valid":
        return [(0, 0)] * axes
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'; expected 'same' or 'valid'")
    both = []
    dilations = per_axis(dilation, axes, "dilation", "convolution", least=1)
    for d, k in zip(dilations, kernel_size, strict=True):
        total = d * (k - 1)
        both.append((total // 2, total - total // 2))
    return both


def border(both: Sequence[tuple[int, int]]) -> list[int]:
    """(before, after) of each axis as `pad` takes them: the last axis first."""
    return [width for widths in reversed(both) for width in widths]


def _prepared(
    name: str, axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, **parameters: Any
) -> tuple[Any, ...]:
    """x with a batch and its padding, whether it was without a batch, stride, dilation."""
    same_dtype(name, input, weight=weight, bias=bias)
    x, single = with_batch(name, input, axes)
    if weight.ndim != axes + 2:
        raise ShapeError(
            f"{name}: w must be (K, C, {LETTERS[axes]}), but is {tuple(weight.shape)}; its kernel "
            f"has {axes} axes."
        )
    stride = per_axis(parameters["stride"], axes, "stride", name, least=1)
    dilation = per_axis(parameters["dilation"], axes, "dilation", name, least=1)
    padding = parameters["padding"]
    if padding == "same" and set(stride) != {1}:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    both = conv_padding(padding, weight.shape[2:], dilation)
    if any(a or b for a, b in both):
        x = pad(x, border(both))
    return x, single, stride, dilation


def _check_bias(name: str, bias: Tensor | None, channels: int) -> None:
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ShapeError(
            f"{name}: bias is {tuple(bias.shape)}, but must have one element for each channel of "
            f"the output, ({channels},)."
        )


def _over_planes(
    x: Tensor, w: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int
) -> Tensor:
    dims = Conv2dDims.of(
        x.array.shape, w.array.shape, stride=stride, dilation=dilation, groups=groups
    )
    backend = kernels.of(x.array, w.array).conv2d
    return convolution.conv2d(x, w, None, dims=dims, backend=backend)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """y[n,k,p] = bias[k] + sum of w[k,c,r] * x[n,c,l], l = p*stride + r*dilation - padding.

    x (N, C, L) or (C, L), weight (K, C/groups, R), bias (K,), y (N, K, P).
    Raises ShapeError, a RuntimeError, where these do not fit.
    """
    x, single, steps, spacing = _prepared(
        "conv1d", 1, input, weight, bias, stride=stride, padding=padding, dilation=dilation
    )
    _check_bias("conv1d", bias, weight.shape[0])
    planes, kernel = x.unsqueeze(2), weight.unsqueeze(2)
    y = _over_planes(planes, kernel, (1, *steps), (1, *spacing), groups).squeeze(2)
    y = y if bias is None else y + bias.reshape(-1, 1)
    return y.squeeze(0) if single else y


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """The sum over the kernel's planes of the convolutions of the image's planes they lie on.

    x (N, C, D, H, W) or (C, D, H, W), weight (K, C/groups, T, R, S), bias (K,), y (N, K, O, P, Q).
    Raises ShapeError, a RuntimeError, where these do not fit.
    """
    x, single, steps, spacing = _prepared(
        "conv3d", 3, input, weight, bias, stride=stride, padding=padding, dilation=dilation
    )
    _check_bias("conv3d", bias, weight.shape[0])
    depth, T = x.shape[2], weight.shape[2]
    count = window_count(depth, T, stride=steps[0], padding=0, dilation=spacing[0])
    if count < 1:
        raise ShapeError(
            f"conv3d: x with its padding is (N, C, D, H, W) = {tuple(x.shape)}, w is "
            f"{tuple(weight.shape)}; Kernel size can't be greater than actual input size."
        )

    def under(t: int) -> Tensor:
        first = t * spacing[0]
        below = x[:, :, first : first + steps[0] * (count - 1) + 1 : steps[0]]
        y = _over_planes(_row_of_planes(below), weight[:, :, t], steps[1:], spacing[1:], groups)
        return _volume(y, len(x))

    y = reduce(operator.add, [under(t) for t in range(T)])
    y = y if bias is None else y + bias.reshape(-1, 1, 1, 1)
    return y.squeeze(0) if single else y


def _row_of_planes(x: Tensor) -> Tensor:
    """(N, C, D, H, W) -> (N * D, C, H, W)."""
    return x.transpose(1, 2).flatten(0, 1)


def _volume(x: Tensor, images: int) -> Tensor:
    """(N * D, C, H, W) -> (N, C, D, H, W)."""
    return x.unflatten(0, (images, -1)).transpose(1, 2)


# --------------------------------------------------------------------------------------- transposes


def _transposed(
    name: str,
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Tensor:
    same_dtype(name, input, weight=weight, bias=bias)
    x, single = with_batch(name, input, axes)
    strides = per_axis(stride, axes, "stride", name, least=1)
    paddings = per_axis(padding, axes, "padding", name, least=0)
    extras = per_axis(output_padding, axes, "output_padding", name, least=0)
    dilations = per_axis(dilation, axes, "dilation", name, least=1)
    if weight.ndim != axes + 2 or weight.shape[0] != x.shape[1] or x.shape[1] % groups:
        raise ShapeError(
            f"{name}: x is (N, K, {LETTERS[axes]}) = {tuple(x.shape)}, w is (K, C/groups, kernel) "
            f"= {tuple(weight.shape)} with {groups} groups; both must have the same K, and groups "
            f"must divide it. Make in_channels of the layer {x.shape[1]}."
        )
    for extra, s, d in zip(extras, strides, dilations, strict=True):
        if extra >= max(s, d):
            raise RuntimeError(
                f"{name}: output padding must be smaller than either stride or dilation, but got "
                f"output_padding: {extras}, stride: {strides}, dilation: {dilations}"
            )
    _check_bias(name, bias, weight.shape[1] * groups)
    y = _TRANSPOSED[axes](x, weight, strides, paddings, extras, groups, dilations)
    y = y if bias is None else y + bias.reshape((-1,) + (1,) * axes)
    return y.squeeze(0) if single else y


def _grown(n: int, s: int, p: int, extra: int, kernel: int, d: int) -> int:
    """(n - 1) * s - 2 * p + d * (kernel - 1) + extra + 1: the size that n windows were made of."""
    return (n - 1) * s - 2 * p + d * (kernel - 1) + extra + 1


def _transposed_planes(
    x: Tensor,
    w: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    dilation: Sequence[int],
) -> Tensor:
    """The derivative of the convolution that makes x of the result.

    Where the further rows at the end would hold a window more, x is taken to have it, as zeros.
    """
    sizes = tuple(map(_grown, x.shape[2:], stride, padding, output_padding, w.shape[2:], dilation))
    if min(sizes) < 1:
        raise ShapeError(
            f"conv_transpose2d: x is (N, K, P, Q) = {tuple(x.shape)}; the output would have the "
            f"size {sizes}. Use less padding or a larger kernel."
        )
    rows, cols = (extra // s for extra, s in zip(output_padding, stride, strict=True))
    if rows or cols:
        x = pad(x, (0, cols, 0, rows))
    dims = Conv2dDims.of(
        (x.shape[0], w.shape[1] * groups, *sizes),
        w.array.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    backend = kernels.of(x.array, w.array).conv2d
    return convolution.conv2d_grad_input(x, w, dims=dims, backend=backend)


def _transposed_line(x: Tensor, w: Tensor, s: Any, p: Any, extra: Any, groups: int, d: Any) -> Any:
    y = _transposed_planes(
        x.unsqueeze(2), w.unsqueeze(2), (1, *s), (0, *p), (0, *extra), groups, (1, *d)
    )
    return y.squeeze(2)


def _transposed_volume(
    x: Tensor, w: Tensor, s: Any, p: Any, extra: Any, groups: int, d: Any
) -> Tensor:
    """Each plane of the kernel spreads each plane of x over a plane of the result."""
    T, depth = w.shape[2], x.shape[2]
    size = _grown(depth, s[0], p[0], extra[0], T, d[0])
    planes = _row_of_planes(x)
    spread = [
        _volume(
            _transposed_planes(planes, w[:, :, t], s[1:], p[1:], extra[1:], groups, d[1:]), len(x)
        )
        for t in range(T)
    ]
    sizes = spread[0].shape
    y = zeros(*sizes[:2], size + 2 * p[0], *sizes[3:], dtype=x.dtype, device=x.device)
    for t, part in enumerate(spread):
        y = y.index_add(2, arange(depth, device=x.device) * s[0] + t * d[0], part)
    return y.narrow(2, p[0], size)


_TRANSPOSED: dict[int, Any] = {1: _transposed_line, 2: _transposed_planes, 3: _transposed_volume}


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv1d`: each element of x is spread over the window it was made of.

    x (N, K, P) or (K, P), weight (K, C/groups, R), bias (C,), y (N, C, L) with
    L = (P - 1)*stride - 2*padding + dilation*(R - 1) + output_padding + 1.
    """
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv2d`: each element of x is spread over the window it was made of.

    x (N, K, P, Q) or (K, P, Q), weight (K, C/groups, R, S), bias (C,), y (N, C, H, W) with
    H = (P - 1)*stride - 2*padding + dilation*(R - 1) + output_padding + 1.
    """
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv3d`, sizes as in `conv_transpose2d`: y (N, C, D, H, W)."""
    return _transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


# ------------------------------------------------------------------------------ windows as columns


def unfold(
    input: Tensor,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The windows of x (N, C, H, W) as the columns of (N, C*R*S, P*Q): im2col."""
    x, single = with_batch("unfold", input, 2)
    windows = _windows("unfold", x.shape[2:], kernel_size, dilation, padding, stride)
    y = columns.im2col(x, windows=windows)
    return y.squeeze(0) if single else y


def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The columns of (N, C*R*S, P*Q) added up where their windows lie in (N, C, H, W): col2im."""
    plane = per_axis(output_size, 2, "output_size", "fold", least=1)
    windows = _windows("fold", plane, kernel_size, dilation, padding, stride)
    x, single = (input.unsqueeze(0), True) if input.ndim == 2 else (input, False)
    R, S = windows.kernel
    P, Q = windows.counts
    if x.ndim != 3 or x.shape[1] % (R * S) or x.shape[2] != P * Q:
        raise ShapeError(
            f"fold: x is (N, C*R*S, P*Q) = {tuple(x.shape)}, but the output {plane} has "
            f"P*Q = {P}*{Q} windows of R*S = {R}*{S}; x.shape[1] must be a multiple of {R * S} and "
            f"x.shape[2] must be {P * Q}."
        )
    y = columns.col2im(x, windows=windows)
    return y.squeeze(0) if single else y


def _windows(name: str, plane: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    windows = columns.Windows(
        plane=tuple(plane),
        kernel=per_axis(kernel, 2, "kernel_size", name, least=1),
        dilation=per_axis(dilation, 2, "dilation", name, least=1),
        padding=per_axis(padding, 2, "padding", name, least=0),
        stride=per_axis(stride, 2, "stride", name, least=1),
    )
    if min(windows.counts) < 1:
        raise ShapeError(
            f"{name}: the plane is {tuple(plane)} and the kernel {windows.kernel} with dilation "
            f"{windows.dilation} and padding {windows.padding}: no window fits."
        )
    return windows
