"""The layers as functions: PyTorch's signatures, arguments and errors over `tinynet.ops`."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy as np

import tinynet.kernels as kernels

from .. import parity as _parity
from ..autograd.mode import no_grad
from ..autograd.tape import promoted, wrap, wrap_as
from ..device import xp_of
from ..kernels.conv2d.dims import Conv2dDims
from ..kernels.errors import ShapeError
from ..kernels.geometry import pair
from ..kernels.pool2d.dims import Pool2dDims
from ..ops import activation, loss, normalization, pooling
from ..ops import conv as convolution
from ..ops import dropout as dropping
from ..ops import softmax as softmax_ops
from ..ops.linalg import linear as linear
from ..ops.resampling import interpolate as interpolate
from ..ops.shape import pad as pad
from ..random import default_generator
from ..tensor import Tensor, in_place
from .functions.attention import (
    multi_head_attention_forward,
    scaled_dot_product_attention,
)
from .functions.checks import same_dtype as _same_dtype
from .functions.convolution import (
    conv1d,
    conv3d,
    conv_padding,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from .functions.distance import (
    cosine_similarity,
    pairwise_distance,
    pdist,
)
from .functions.embedding import (
    embedding,
    embedding_bag,
)
from .functions.margins import (
    cosine_embedding_loss,
    ctc_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from .functions.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool3d,
    fractional_max_pool2d,
    fractional_max_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from .functions.reduction import (
    LossShapeError,
    reduced,
    reduction_of,
    same_shape,
)
from .functions.sampling import (
    affine_grid,
    channel_shuffle,
    grid_sample,
    pixel_shuffle,
    pixel_unshuffle,
)

Pair = int | Sequence[int]


# ------------------------------------------------------------------------------------ activations


def _activate(function: Callable[[Tensor], Tensor], input: Tensor, inplace: bool) -> Tensor:
    """function(input), written into input's memory if asked to.

    What the derivative remembers is then a copy, as the original is about to be overwritten.
    """
    if not inplace:
        return function(input)
    return in_place(lambda x: function(x.clone()), "inplace activation")(input)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), with derivative 0 at 0."""
    # The derivative needs only the output: nothing is copied, in place or not.
    return input.relu_() if inplace else activation.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return _activate(
        lambda x: activation.leaky_relu(x, negative_slope=negative_slope), input, inplace
    )


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    return _activate(
        lambda x: activation.threshold(x, threshold=threshold, value=value), input, inplace
    )


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0."""
    outside = wrap_as((input.array < -lambd) | (input.array > lambd), input)
    return input.where(outside, 0)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0, and 0 where that would pass it."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return input - input.clamp(-lambd, lambd)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x; weight has one element or one per channel."""
    if weight.numel() != 1:
        if input.ndim < 2 or input.shape[1] != weight.numel():
            raise ShapeError(
                f"prelu: x is (N, C, ...) = {tuple(input.shape)}, weight has {weight.numel()} "
                "elements; it must have 1, or C."
            )
        weight = weight.reshape((1, -1) + (1,) * (input.ndim - 2))
    elif input.ndim == 0:
        weight = weight.reshape(())
    return input.where(input > 0, weight * input)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """x where x > 0, else a * x, a drawn from [lower, upper) for each element in training.

    Otherwise a is the middle.  Xu et al. 2015.
    """
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = input.new_empty(tuple(input.shape)).uniform_(lower, upper)
    return _activate(lambda x: x.where(x > 0, x * slopes), input, inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return _activate(lambda x: activation.elu(x, alpha=alpha), input, inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha), whose constants keep mean 0 and variance 1.  Klambauer et al. 2017."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return _activate(lambda x: activation.elu(x, alpha=alpha) * scale, input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x / alpha) - 1).  Barron 2017."""
    return _activate(lambda x: activation.elu(x / alpha, alpha=1.0) * alpha, input, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function, or its approximation by "tanh"."""
    if approximate == "none":
        return activation.gelu(input)
    if approximate != "tanh":
        raise RuntimeError(f"approximate argument must be either none or tanh, not {approximate!r}")
    inner = math.sqrt(2 / math.pi) * (input + 0.044715 * (input * input * input))
    return 0.5 * input * (1 + inner.tanh())


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)."""
    return _activate(activation.silu, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)).  Misra 2019."""
    return _activate(lambda x: x * softplus(x).tanh(), input, inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x cut to [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _activate(
        lambda x: activation.hardtanh(x, min_val=min_val, max_val=max_val), input, inplace
    )


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x cut to [0, 6]."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1/2, cut to [0, 1]."""
    return _activate(lambda x: hardtanh(x + 3, 0.0, 6.0) / 6, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x).  Howard et al. 2019."""
    return _activate(lambda x: x * hardsigmoid(x), input, inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""
    return activation.softplus(input, beta=beta, threshold=threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x)))."""
    return activation.logsigmoid(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (1 + input.abs())


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - input.tanh()


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), where a and b are the halves of the input along `dim`."""
    size = input.shape[dim]
    if size % 2:
        raise RuntimeError(
            f"glu: Halving dimension must be even, but dimension {dim} is size {size}"
        )
    a, b = input.split(size // 2, dim)
    return a * b.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return input.tanh()


def sigmoid(input: Tensor, slope: float = 1.0) -> Tensor:
    """1 / (1 + exp(-slope * x)), the logistic function; its derivative at 0 is slope / 4."""
    return input.sigmoid() if slope == 1 else (input * slope).sigmoid()


def _softmax_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`."""
    dim = _softmax_dim("softmax", input.ndim) if dim is None else dim
    return softmax_ops.softmax(input, dim, dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x)."""
    dim = _softmax_dim("softmin", input.ndim) if dim is None else dim
    return softmax_ops.softmax(-input, dim, dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(x)) along `dim`, without softmax's underflow."""
    dim = _softmax_dim("log_softmax", input.ndim) if dim is None else dim
    return softmax_ops.log_softmax(input, dim, dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): samples of classes that can be differentiated.

    hard: one-hot samples, with the derivative of the soft ones.  Jang et al. 2017.
    """
    noise = -logits.new_empty(tuple(logits.shape)).exponential_().log()
    soft = softmax_ops.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.detach().max(dim, keepdim=True)[1]
    onehot = soft.new_zeros(tuple(soft.shape)).scatter(dim, index, 1.0)
    return onehot - soft.detach() + soft


def relu_(input: Tensor) -> Tensor:
    """`relu`, written into x's memory."""
    return relu(input, True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, written into x's memory."""
    return leaky_relu(input, negative_slope, True)


_threshold = threshold  # the next function's argument has its name


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, written into x's memory."""
    return _threshold(input, threshold, value, True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, written into x's memory."""
    return hardtanh(input, min_val, max_val, True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, written into x's memory."""
    return elu(input, alpha, True)


def selu_(input: Tensor) -> Tensor:
    """`selu`, written into x's memory."""
    return selu(input, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu`, written into x's memory."""
    return celu(input, alpha, True)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """`rrelu`, written into x's memory."""
    return rrelu(input, lower, upper, training, True)


# --------------------------------------------------------------------------------- linear and conv


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[..., k] = x1 @ weight[k] @ x2 + bias[k], with weight (K, in1, in2)."""
    if (
        input1.shape[:-1] != input2.shape[:-1]
        or (input1.shape[-1], input2.shape[-1]) != weight.shape[1:]
    ):
        raise ShapeError(
            f"bilinear: x1 is (..., in1) = {tuple(input1.shape)}, x2 is (..., in2) = "
            f"{tuple(input2.shape)}, weight is (K, in1, in2) = {tuple(weight.shape)}; the leading "
            "sizes must be equal and the last must fit weight."
        )
    # (..., 1, in1) @ (K, in1, in2) -> (..., K, 1, in2), then the dot product with x2
    left = input1.unsqueeze(-2).unsqueeze(-2).matmul(weight).squeeze(-2)
    y = (left * input2.unsqueeze(-2)).sum(-1)
    return y if bias is None else y + bias


def _planes(input: Tensor) -> tuple[Tensor, bool]:
    """(C, H, W) -> (1, C, H, W), True; anything else as it is, False."""
    return (input.unsqueeze(0), True) if input.ndim == 3 else (input, False)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: str | Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """y[n,k,p,q] = bias[k] + sum of w[k,c,r,s] * x[n,c,h,w], h = p*stride + r*dilation - padding.

    x (N, C, H, W) or (C, H, W), weight (K, C/groups, R, S), bias (K,), y (N, K, P, Q).
    Raises ShapeError, a RuntimeError, where these do not fit.
    """
    return _conv2d(input, weight, bias, stride, padding, dilation, groups, rectified=False)


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: str | Pair,
    dilation: Pair,
    groups: int,
    *,
    rectified: bool,
) -> Tensor:
    """`conv2d`, or with `rectified` relu of it, in one pass over y where the kernels can."""
    _same_dtype("conv2d", input, weight=weight, bias=bias)
    x, single = _planes(input)
    if isinstance(padding, str):
        if padding == "same" and pair(stride, "stride", "conv2d", least=1) != (1, 1):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        (top, bottom), (left, right) = conv_padding(padding, weight.shape[2:], dilation)
        # An even kernel needs one more element after than before.
        x = pad(x, (0, right - left, 0, bottom - top)) if (top, left) != (bottom, right) else x
        padding = (top, left)
    dims = Conv2dDims.of(
        x.array.shape,
        weight.array.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    if bias is not None and bias.array.shape != (dims.K,):
        raise ShapeError(
            f"conv2d: w is (K, C, R, S) = {tuple(weight.shape)}, bias is {tuple(bias.shape)}; "
            f"bias must be (K,) = ({dims.K},)"
        )
    backend = kernels.of(x.array, weight.array).conv2d
    y = convolution.conv2d(x, weight, bias, dims=dims, backend=backend, rectified=rectified)
    y = activation.rectified(y) if rectified else y
    return y.squeeze(0) if single else y


# ----------------------------------------------------------------------------------------- pooling


def max_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window: (N, C, H, W) -> (N, C, P, Q); with its index if asked."""
    x, single = _planes(input)
    dims = Pool2dDims.of(
        x.array.shape,
        kernel_size=kernel_size,
        stride=None if stride in (None, (), []) else stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    backend = kernels.of(x.array).pool2d
    result = pooling.max_pool2d(x, dims=dims, return_indices=return_indices, backend=backend)
    if not single:
        return result
    return tuple(t.squeeze(0) for t in result) if return_indices else result.squeeze(0)


def avg_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window: (N, C, H, W) -> (N, C, P, Q)."""
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    x, single = _planes(input)
    dims = Pool2dDims.of(
        x.array.shape,
        kernel_size=kernel_size,
        stride=None if stride in (None, (), []) else stride,
        padding=padding,
        ceil_mode=ceil_mode,
    )
    y = pooling.avg_pool2d(
        x,
        dims=dims,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
        backend=kernels.of(x.array).pool2d,
    )
    return y.squeeze(0) if single else y


def _with_indices(pool: Callable[..., Any]) -> Callable[..., Any]:
    """`max_pool2d_with_indices` for `max_pool2d`, and so on: always with the indices."""

    @functools.wraps(pool)
    def with_indices(*args: Any, **kwargs: Any) -> Any:
        bound = signature(pool).bind(*args, **kwargs)
        bound.arguments["return_indices"] = True
        return pool(*bound.args, **bound.kwargs)

    return with_indices


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)
fractional_max_pool2d_with_indices = _with_indices(fractional_max_pool2d)
fractional_max_pool3d_with_indices = _with_indices(fractional_max_pool3d)


# ----------------------------------------------------------------------------------------- resizing


def _old_resize(name: str, input: Tensor, *arguments: Any) -> Tensor:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.",
        UserWarning,
        stacklevel=3,
    )
    return interpolate(input, *arguments)


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The old name of `interpolate`."""
    return _old_resize("upsample", input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The old name of `interpolate` with mode "nearest"."""
    return _old_resize("upsample_nearest", input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The old name of `interpolate` with mode "bilinear" and align_corners."""
    return _old_resize("upsample_bilinear", input, size, scale_factor, "bilinear", True)


# ------------------------------------------------------------------------ normalisation and dropout


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel of x (N, C, *spatial).

    In training with the batch's statistics (biased variance), which then move the running ones
    (unbiased variance) by `momentum`; otherwise with the running ones.
    """
    return _batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps, rectified=False
    )


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    *,
    rectified: bool,
) -> Tensor:
    """`batch_norm`, or with `rectified` relu of it, in evaluation in one pass over y."""
    _same_dtype("batch_norm", input, weight=weight, bias=bias)
    if input.ndim < 2:
        raise ShapeError(f"batch_norm: x must be (N, C, ...), but is {tuple(input.shape)}")
    channels = input.shape[1]
    members = {"running_mean": running_mean, "running_var": running_var}
    for name, member in {**members, "weight": weight, "bias": bias}.items():
        if member is not None and member.array.shape != (channels,):
            raise ShapeError(
                f"batch_norm: x is (N, C, ...) = {tuple(input.shape)}, {name} is "
                f"{tuple(member.shape)}; {name} must be (C,) = ({channels},). Make num_features "
                f"of the layer {channels}."
            )
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "Expected running_mean and running_var to be defined when training=False"
            )
        _same_dtype("batch_norm", input, running_mean=running_mean, running_var=running_var)
        y = normalization.normalize(
            input, weight, bias, running_mean, running_var, eps=eps, rectified=rectified
        )
        return activation.rectified(y) if rectified else y
    count = input.numel() // max(channels, 1)
    if count == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{tuple(input.shape)}: one value has no variance. Use a larger batch, or eval()."
        )
    y, mean, var = normalization.batch_norm(input, weight, bias, eps=eps)
    if count:  # else no values: the running statistics stay
        with no_grad():
            for running, new in ((running_mean, mean), (running_var, var * (count / (count - 1)))):
                if running is not None:
                    running.mul_(1 - momentum).add_(new * momentum)
    return activation.relu(y) if rectified else y


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, row by row.

    normalized_shape, weight and bias have the sizes of those dimensions.  Ba et al. 2016.
    """
    sizes = tuple(normalized_shape)
    _same_dtype("layer_norm", input, weight=weight, bias=bias)
    _check_last_sizes("layer_norm", input, sizes, weight=weight, bias=bias)
    y = _normalised_rows(input, math.prod(input.shape[: -len(sizes)]), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions, row by row.

    eps: that of x's dtype, if not given.  Zhang and Sennrich 2019.
    """
    sizes = tuple(normalized_shape)
    _same_dtype("rms_norm", input, weight=weight)
    _check_last_sizes("rms_norm", input, sizes, weight=weight)
    dims = tuple(range(-len(sizes), 0))
    eps = float(np.finfo(input.array.dtype).eps) if eps is None else eps
    y = input * ((input * input).mean(dims, keepdim=True) + eps).rsqrt()
    return y if weight is None else y * weight


def _check_last_sizes(
    name: str, input: Tensor, sizes: tuple[int, ...], **members: Tensor | None
) -> None:
    if not sizes or tuple(input.shape[-len(sizes) :]) != sizes:
        raise ShapeError(
            f"{name}: x is {tuple(input.shape)}, normalized_shape is {sizes}; it must be the "
            "last sizes of x, at least one. Make normalized_shape of the layer these."
        )
    for member_name, member in members.items():
        if member is not None and tuple(member.shape) != sizes:
            raise ShapeError(
                f"{name}: {member_name} is {tuple(member.shape)} but normalized_shape is {sizes}; "
                "they must be equal."
            )


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over groups of channels of each image.

    x (N, C, ...), weight and bias (C,).  Wu and He 2018.
    """
    _check_channels("group_norm", input, weight=weight, bias=bias)
    if num_groups <= 0 or input.shape[1] % num_groups:
        raise ShapeError(
            f"group_norm: x is (N, C, ...) = {tuple(input.shape)}; its {input.shape[1]} channels "
            f"cannot be divided into {num_groups} groups of equal size."
        )
    y = _normalised_rows(input, input.shape[0] * num_groups, eps)
    return _affine(y, weight, bias)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over each plane of x (N, C, *spatial).

    The running statistics, if given, move towards the mean over the batch of the planes'; with
    use_input_stats False they are what normalises.  Ulyanov et al. 2016.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_channels("instance_norm", input, weight=weight, bias=bias)
    N, C = input.shape[:2]
    count = math.prod(input.shape[2:])
    if count == 1:
        raise ValueError(
            "Expected more than 1 spatial element when training, got input size "
            f"{tuple(input.shape)}: one value has no variance."
        )
    if running_mean is not None and running_var is not None:
        with no_grad():
            planes = input.detach().reshape(N, C, count)
            mean, var = planes.mean((0, 2)), planes.var(2).mean(0)
            for running, new in ((running_mean, mean), (running_var, var)):
                running.mul_(1 - momentum).add_(new * momentum)
    return _affine(_normalised_rows(input, N * C, eps), weight, bias)


def _check_channels(name: str, input: Tensor, **members: Tensor | None) -> None:
    _same_dtype(name, input, **members)
    if input.ndim < 2:
        raise ShapeError(f"{name}: x must be (N, C, ...), but is {tuple(input.shape)}")
    for member_name, member in members.items():
        if member is not None and tuple(member.shape) != (input.shape[1],):
            raise ShapeError(
                f"{name}: x is (N, C, ...) = {tuple(input.shape)}, {member_name} is "
                f"{tuple(member.shape)}; {member_name} must be (C,) = ({input.shape[1]},)."
            )


def _normalised_rows(input: Tensor, rows: int, eps: float) -> Tensor:
    """Each of so many equal parts of x with its own mean and variance.

    That is batch norm of one image whose channels are the rows.
    """
    if input.numel() == 0:
        return input * 1
    y, _, _ = normalization.batch_norm(input.reshape(1, rows, -1), None, None, eps=eps)
    return y.reshape(input.shape)


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """y * weight + bias, channel by channel."""
    sizes = (1, -1) + (1,) * (y.ndim - 2)
    y = y if weight is None else y * weight.reshape(sizes)
    return y if bias is None else y + bias.reshape(sizes)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta, of x (N, C, ...).

    Channels that do not exist count as 0 in the mean.  Krizhevsky et al. 2012, whose alpha
    multiplies the sum: theirs is this one divided by `size`.
    """
    if input.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)"
        )
    before, after = size // 2, (size - 1) // 2
    squares = normalization.channel_sums(input * input, before=before, after=after)
    return input * (squares * (alpha / size) + k) ** -beta


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, x with each element 0 with probability p and otherwise divided by 1 - p."""
    if not _drops(p, training):
        return input
    if inplace:
        return in_place(lambda x: _dropped(x, p), "dropout_")(input)
    return _dropped(input, p)


def _drops(p: float, training: bool) -> bool:
    if p < 0 or p > 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return training and p > 0


def _dropped_channels(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, single: bool
) -> Tensor:
    """x (N, C, ...), or (C, ...) if single, with whole channels dropped."""
    if not _drops(p, training):
        return input
    if input.ndim < 2:
        raise ShapeError(f"{name}: x must be (N, C, ...), but is {tuple(input.shape)}")
    kept = _dropped(input.new_ones(_channel_sizes(input, single)), p)
    return in_place(lambda x: x * kept, f"{name}_")(input) if inplace else input * kept


def _channel_sizes(input: Tensor, single: bool) -> tuple[int, ...]:
    """The sizes of what has one number for each channel of each image."""
    channels = 1 if single else 2
    return (*input.shape[:channels], *(1,) * (input.ndim - channels))


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, x (N, C, L) or (C, L) with whole channels dropped with probability p."""
    if input.ndim not in (2, 3):
        raise ShapeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input.")
    return _dropped_channels("dropout1d", input, p, training, inplace, input.ndim == 2)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, x (N, C, ...) with whole channels of an image dropped with probability p."""
    return _dropped_channels("dropout2d", input, p, training, inplace, False)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, x (N, C, D, H, W) or (C, D, H, W) with whole channels dropped."""
    return _dropped_channels("dropout3d", input, p, training, inplace, input.ndim == 4)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """In training, elements become SELU's lower limit with probability p; then mean 0, variance 1.

    y = a * (x * keep + low * (1 - keep)) + b, with low = -scale * alpha of `selu` and the a and b
    that bring mean and variance back.  Klambauer et al. 2017.
    """
    return _alpha_dropped("alpha_dropout_", input, p, training, inplace, tuple(input.shape))


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels of x (N, C, ...)."""
    if input.ndim < 2:
        raise ShapeError(
            f"feature_alpha_dropout: x must be (N, C, ...), but is {tuple(input.shape)}"
        )
    sizes = _channel_sizes(input, False)
    return _alpha_dropped("feature_alpha_dropout_", input, p, training, inplace, sizes)


def _alpha_dropped(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, sizes: tuple[int, ...]
) -> Tensor:
    if not _drops(p, training):
        return input
    if p == 1:
        return input * 0
    low = -1.7580993408473766
    a = ((1 - p) * (1 + p * low * low)) ** -0.5
    # keep is 0 or 1; the rest of the formula does not depend on x
    keep = _dropped(input.new_ones(sizes), p) * (1 - p)
    rest = (1 - keep) * (a * low) - a * low * p

    def drop(x: Tensor) -> Tensor:
        return x * (keep * a) + rest

    return in_place(drop, name)(input) if inplace else drop(input)


def _dropped(x: Tensor, p: float) -> Tensor:
    return x * 0 if p == 1 else dropping.dropout(x, p=p, key=default_generator.key())


# ------------------------------------------------------------------------------------------ losses


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """(input - target)^2, averaged over all elements. Shapes must be equal."""
    reduction = reduction_of(size_average, reduce, reduction)
    same_shape("mse_loss", input, target)
    return reduced(loss.squared_error(input, target), reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """|input - target|, averaged over all elements. Shapes must be equal."""
    reduction = reduction_of(size_average, reduce, reduction)
    same_shape("l1_loss", input, target)
    return reduced((input - target).abs(), reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta/2, of d = input - target."""
    reduction = reduction_of(size_average, reduce, reduction)
    same_shape("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return reduced(_smooth_absolute_error(input, target, beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """d^2 / 2 where |d| < delta, else delta * (|d| - delta/2), of d = input - target."""
    reduction_of(None, None, reduction)
    same_shape("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    return reduced(_smooth_absolute_error(input, target, delta) * delta, reduction)


def _smooth_absolute_error(input: Tensor, target: Tensor, beta: float) -> Tensor:
    return loss.smooth_absolute_error(*promoted(input, target), beta=beta)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)) of probabilities, logs cut at -100."""
    reduction = reduction_of(size_average, reduce, reduction)
    same_shape("binary_cross_entropy", input, target)
    _same_dtype("binary_cross_entropy", input, target=target)
    if not bool(((input.array >= 0) & (input.array <= 1)).all()):
        raise RuntimeError(
            "binary_cross_entropy: all elements of input should be between 0 and 1; for scores "
            "without a sigmoid use binary_cross_entropy_with_logits"
        )
    elements = loss.binary_cross_entropy(input, target)
    return reduced(elements if weight is None else elements * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy(sigmoid(x), target) = (1 - target) * x - w * log(sigmoid(x)), stable.

    w = 1 + (pos_weight - 1) * target weighs the positive examples.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    same_shape("binary_cross_entropy_with_logits", input, target)
    log_p = activation.logsigmoid(input)
    if pos_weight is not None:
        log_p = log_p * (1 + (pos_weight - 1) * target)
    elements = (1 - target) * input - log_p
    return reduced(elements if weight is None else elements * weight, reduction)


def _rows(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, d1, ...) and (N, d1, ...) as rows: (M, C) and (M,). (C,) and () are one row."""
    sizes = input.array.shape
    if not sizes:
        raise LossShapeError(f"{name}: input must be (N, C, ...) or (C,), but it is a scalar")
    expected = sizes[:1] + sizes[2:] if len(sizes) > 1 else ()
    if target.array.shape != expected:
        raise LossShapeError(
            f"{name}: input is (N, C, ...) = {sizes}, target of class labels is (N, ...) = "
            f"{target.array.shape}; it must be {expected}, one label for each row of scores."
        )
    if target.array.dtype.kind not in "iu":
        raise RuntimeError(
            f"{name}: expected scalar type Long but found {target.dtype}: class labels must be "
            "integers; convert them: target.long()"
        )
    target = target.long()
    if len(sizes) == 2:
        return input, target
    channels = sizes[1] if len(sizes) > 1 else sizes[0]
    rows = input.movedim(1, -1) if len(sizes) > 2 else input
    return rows.reshape(-1, channels), target.reshape(-1)


def _reduced_rows(rows: Tensor, weights: Tensor, reduction: str, sizes: Sequence[int]) -> Tensor:
    """The mean divides by the sum of the rows' weights: ignored rows and rare classes count so."""
    if reduction == "none":
        return rows.reshape(sizes)
    return rows.sum() if reduction == "sum" else rows.sum() / weights.sum()


def _class_weights(
    labels: Tensor, like: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """For each row its weight (0 where ignored), and its label (0 where ignored)."""
    kept = labels != ignore_index
    safe = labels * kept
    classes = like.shape[1]
    if weight is None:
        return kept.to(like.dtype), safe
    if tuple(weight.shape) != (classes,):
        raise LossShapeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )
    return weight[safe] * kept, safe


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[n, target[n]] of log-probabilities input (N, C, ...), target (N, ...)."""
    reduction = reduction_of(size_average, reduce, reduction)
    rows, labels = _rows("nll_loss", input, target)
    bad = (labels.array != ignore_index) & ((labels.array < 0) | (labels.array >= rows.shape[1]))
    if bad.any():
        raise IndexError(
            f"nll_loss: Target {int(labels.array[bad][0])} is out of bounds: input has "
            f"{rows.shape[1]} classes, labelled 0 to {rows.shape[1] - 1}"
        )
    weights, safe = _class_weights(labels, rows, weight, ignore_index)
    picked = rows[wrap(xp_of(rows.array).arange(rows.shape[0])), safe]
    return _reduced_rows(-picked * weights, weights, reduction, target.shape)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log(softmax(input))[n, target[n]] of scores input (N, C, ...), target (N, ...).

    target may also hold probabilities of all classes, in input's shape. label_smoothing e mixes
    the target with the uniform distribution: (1 - e) * target + e / C. The mean is weighted by
    the rows' class weights.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if target.array.dtype.kind == "f" and target.array.shape == input.array.shape:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    scores, labels = _rows("cross_entropy", input, target)
    _same_dtype("cross_entropy", scores, weight=weight)
    plain = weight is None and label_smoothing == 0
    rows = loss.softmax_cross_entropy(
        scores, labels, ignore_index=ignore_index, reduction=reduction if plain else "none"
    )
    if plain:
        return rows.reshape(target.shape) if reduction == "none" else rows
    weights, _ = _class_weights(labels, scores, weight, ignore_index)
    if weight is not None:
        rows = rows * weights
    if label_smoothing:
        log_p = softmax_ops.log_softmax(scores, 1)
        uniform = -(log_p if weight is None else log_p * weight).sum(1)
        share = label_smoothing / scores.shape[1]
        rows = (1 - label_smoothing) * rows + share * uniform * (labels != ignore_index)
    return _reduced_rows(rows, weights, reduction, target.shape)


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    """-sum over c of target * log(softmax(input)), target of input's shape; mean over the rows."""
    dim = 0 if input.ndim == 1 else 1
    classes = input.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    log_p = softmax_ops.log_softmax(input, dim)
    if weight is not None:
        log_p = log_p * weight.reshape((-1,) + (1,) * (input.ndim - 1 - dim))
    rows = -(log_p * target).sum(dim)
    return reduced(rows, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input) of log-probabilities input; "batchmean" divides by N."""
    per_batch = reduction == "batchmean"
    reduction = reduction_of(size_average, reduce, "sum" if per_batch else reduction)
    same_shape("kl_div", input, target)
    if log_target:
        elements = target.exp() * (target - input)
    else:
        log_t = target.where(target != 0, 1).log()  # 0 * log(0) is 0
        elements = target * (log_t - input)
    total = reduced(elements, reduction)
    return total / input.shape[0] if per_batch and input.ndim else total


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 of shape (*, num_classes): 1 at the label, else 0; -1: as many as the labels need."""
    if tensor.array.dtype.kind not in "iu":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    xp = xp_of(tensor.array)
    if tensor.numel() and int(tensor.array.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        if not tensor.numel():
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.array.max()) + 1
    elif tensor.numel() and int(tensor.array.max()) >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap((tensor.array[..., None] == xp.arange(num_classes)).astype(xp.int64))


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(norm_p(x), eps) along `dim`."""
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


__getattr__ = _parity.module_getattr(__name__)
