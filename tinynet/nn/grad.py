"""The gradients of convolutions as functions of their own."""

from __future__ import annotations

from collections.abc import Sequence

import tinynet.kernels as kernels

from ..kernels.conv2d.dims import Conv2dDims
from ..ops import conv
from ..tensor import Tensor
from .functions.checks import Sizes


def conv2d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """dx (N, C, H, W) = input_size of y = conv2d(x, weight), given dy = grad_output."""
    dims = _dims(input_size, weight.shape, stride, padding, dilation, groups)
    backend = kernels.of(grad_output.array, weight.array).conv2d
    return conv.conv2d_grad_input(grad_output, weight, dims=dims, backend=backend)


def conv2d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """dw (K, C/groups, R, S) = weight_size of y = conv2d(input, w), given dy = grad_output."""
    dims = _dims(input.shape, weight_size, stride, padding, dilation, groups)
    backend = kernels.of(grad_output.array, input.array).conv2d
    return conv.conv2d_grad_weight(grad_output, input, dims=dims, backend=backend)


def _dims(
    x: Sequence[int], w: Sequence[int], stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Conv2dDims:
    return Conv2dDims.of(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)
