"""Convolution layers: over lines, planes and volumes, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..ops import creation
from ..tensor import Tensor
from . import functional as F
from . import init
from .functions.checks import Sizes, per_axis
from .functions.convolution import border
from .module import Module
from .parameter import Parameter


class _Conv(Module):
    """What all convolutions share: sizes, the weight and bias, and how they print."""

    axes: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: str | Sizes,
        dilation: Sizes,
        output_padding: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.stride = self._each(stride, "stride", 1)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {padding!r}, should be one of ('same', 'valid')"
                )
            if padding == "same" and set(self.stride) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
        modes = ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(
                f"padding_mode must be one of {list(modes)}, but got padding_mode={padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = self._each(kernel_size, "kernel_size", 1)
        self.padding = padding if isinstance(padding, str) else self._each(padding, "padding", 0)
        self.dilation = self._each(dilation, "dilation", 1)
        self.output_padding = self._each(output_padding, "output_padding", 0)
        self.groups = groups
        self.padding_mode = padding_mode
        self.weight = Parameter(
            creation.empty(*self._weight_channels(), *self.kernel_size, device=device, dtype=dtype)
        )
        if bias:
            self.bias = Parameter(creation.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _each(self, value: Any, name: str, least: int) -> tuple[int, ...]:
        return per_axis(value, self.axes, name, type(self).__name__, least=least)

    def _weight_channels(self) -> tuple[int, int]:
        if self.transposed:
            return self.in_channels, self.out_channels // self.groups
        return self.out_channels, self.in_channels // self.groups

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init.uniform_bias_(self.bias, self.weight)

    def extra_repr(self) -> str:
        nothing, once = (0,) * self.axes, (1,) * self.axes
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != nothing:
            text += f", padding={self.padding}"
        if self.dilation != once:
            text += f", dilation={self.dilation}"
        if self.output_padding != nothing:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _PlainConv(_Conv):
    convolve: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: str | Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        return self._run(type(self).convolve, input)

    def _run(self, convolve: Callable[..., Tensor], input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            both = F.conv_padding(padding, self.kernel_size, self.dilation)
            input = F.pad(input, border(both), mode=self.padding_mode)
            padding = 0
        return convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class Conv1d(_PlainConv):
    """One-dimensional convolution: K filters of length R slide along the line.

    x (N, C, L) or (C, L), weight (K, C/groups, R), bias (K,), y (N, K, P) with
    P = floor((L + 2*padding - dilation*(R - 1) - 1) / stride) + 1.
    Weights and bias start uniform in +-1/sqrt(C/groups * R).
    """

    axes = 1
    convolve = staticmethod(F.conv1d)


class Conv2d(_PlainConv):
    """Two-dimensional convolution: K filters of R by S slide over the H by W plane.

    x (N, C, H, W) or (C, H, W), weight (K, C/groups, R, S), bias (K,), y (N, K, P, Q) with
    P = floor((H + 2*padding - dilation*(R - 1) - 1) / stride) + 1 and Q alike.
    Weights and bias start uniform in +-1/sqrt(C/groups * R * S).
    """

    axes = 2
    convolve = staticmethod(F.conv2d)

    def forward_relu(self, input: Tensor) -> Tensor:
        """relu(y), in one pass over y where the kernels can."""
        return self._run(partial(F._conv2d, rectified=True), input)


class Conv3d(_PlainConv):
    """Three-dimensional convolution: K filters of T by R by S slide through the volume.

    x (N, C, D, H, W) or (C, D, H, W), weight (K, C/groups, T, R, S), bias (K,); sizes of y as in
    `Conv2d`.
    """

    axes = 3
    convolve = staticmethod(F.conv3d)


class _TransposedConv(_Conv):
    transposed = True
    convolve: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {type(self).__name__}, '
                f"but got {padding_mode!r}"
            )
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding,
            groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return type(self).convolve(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self._output_padding(input, output_size),
            self.groups,
            self.dilation,
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> Any:
        """What must be added at the end to reach the size that is asked for."""
        if output_size is None:
            return self.output_padding
        sizes = tuple(output_size)[-self.axes :]
        if len(output_size) not in (self.axes, input.ndim):
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have "
                f"{self.axes} or {input.ndim} elements (got {len(output_size)})"
            )
        paddings = self._each(self.padding, "padding", 0)  # no word: those are refused
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.axes :],
                self.stride,
                paddings,
                self.dilation,
                self.kernel_size,
                strict=True,
            )
        ]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not a <= n <= b for n, a, b in zip(sizes, least, most, strict=True)):
            raise ValueError(
                f"requested an output size of {sizes}, but valid sizes range from {least} to "
                f"{most} (for an input of {tuple(input.shape[2:])})"
            )
        return tuple(n - a for n, a in zip(sizes, least, strict=True))


class ConvTranspose1d(_TransposedConv):
    """The transpose of `Conv1d`: each element is spread over a window of its output.

    x (N, K, P), weight (K, C/groups, R), bias (C,), y (N, C, L) with
    L = (P - 1)*stride - 2*padding + dilation*(R - 1) + output_padding + 1.
    """

    axes = 1
    convolve = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_TransposedConv):
    """The transpose of `Conv2d`: each element is spread over a window of its output.

    x (N, K, P, Q), weight (K, C/groups, R, S), bias (C,), y (N, C, H, W) with
    H = (P - 1)*stride - 2*padding + dilation*(R - 1) + output_padding + 1 and W alike.
    """

    axes = 2
    convolve = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_TransposedConv):
    """The transpose of `Conv3d`, sizes as in `ConvTranspose2d`."""

    axes = 3
    convolve = staticmethod(F.conv_transpose3d)
