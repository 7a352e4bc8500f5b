"""A convolution or linear layer and the batch norm behind it as one layer, for evaluation.

In evaluation batch norm is y = (x - mean) * s + b with s = weight / sqrt(var + eps), so

    bn(w * x + c) = (s * w) * x + (c - mean) * s + b
"""

from __future__ import annotations

import copy
from typing import Any

from ...ops.creation import ones_like, zeros_like
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter


def _check(layer: Module, bn: Module) -> None:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A copy of `conv` that does what conv and bn do one after the other, in evaluation."""
    _check(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight,
        fused.bias,
        bn.running_mean,
        bn.running_var,
        bn.eps,
        bn.weight,
        bn.bias,
        transpose,
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of the fused layer; transpose: channels are the weight's second axis."""
    axis = 1 if transpose else 0
    sizes = [1] * conv_w.ndim
    sizes[axis] = -1
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, sizes)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """A copy of `linear` that does what linear and bn do one after the other, in evaluation."""
    _check(linear, bn)
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of the fused layer."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])


def _fused(
    w: Tensor,
    b: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    sizes: Any,
) -> tuple[Parameter, Parameter]:
    scale = (ones_like(mean) if bn_w is None else bn_w) * (var + eps).rsqrt()
    before = zeros_like(mean) if b is None else b
    after = (before - mean) * scale + (zeros_like(mean) if bn_b is None else bn_b)
    weight = (w * scale.reshape(*sizes)).detach().to(w.dtype)
    trained = b is None or b.requires_grad
    return (
        Parameter(weight, w.requires_grad),
        Parameter(after.detach().to(w.dtype if b is None else b.dtype), trained),
    )
