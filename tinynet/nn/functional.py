"""The layers as functions: PyTorch's signatures, arguments and errors over `tinynet.ops`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tinynet.kernels as kernels

from ..autograd.mode import no_grad
from ..autograd.tape import promoted, wrap
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

Pair = int | Sequence[int]


class LossShapeError(ShapeError, ValueError):
    """Prediction and target do not fit; PyTorch raises now RuntimeError, now ValueError here."""


def _same_dtype(name: str, x: Tensor, **others: Tensor | None) -> None:
    """Raise RuntimeError unless all have x's floating-point dtype."""
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: x has dtype {x.dtype}, but must be floating point; convert it: x.float()"
        )
    for other_name, other in others.items():
        if other is not None and other.array.dtype != x.array.dtype:
            raise RuntimeError(
                f"{name}: x has dtype {x.dtype} but {other_name} has {other.dtype}; they must be "
                f"the same. Convert one: x.to({other_name}.dtype), or the model: model.to(x.dtype)"
            )


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
    outside = wrap((input.array < -lambd) | (input.array > lambd))
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
    return activation.relu(input) - weight * activation.relu(-input)


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


def conv_padding(
    padding: str | Pair, kernel_size: Sequence[int], dilation: Pair
) -> list[tuple[int, int]]:
    """(before, after) for each direction: "valid" is none, "same" keeps the size at stride 1."""
    if not isinstance(padding, str):
        return [(p, p) for p in pair(padding, "padding", "conv2d", least=0)]
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'; expected 'same' or 'valid'")
    both = []
    for d, k in zip(pair(dilation, "dilation", "conv2d", least=1), kernel_size, strict=True):
        total = d * (k - 1)
        both.append((total // 2, total - total // 2))
    return both


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
    y = convolution.conv2d(x, weight, bias, dims=dims, backend=backend)
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


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) in each window, p = norm_type: (N, C, H, W) -> (N, C, P, Q).

    p = 1 adds up, p = 2 gives the L2 norm, large p come near the maximum. A window whose sum is 0
    has derivative 0, as abs has there (PyTorch's is NaN).
    """
    p = float(norm_type)
    area = math.prod(pair(kernel_size, "kernel_size", "lp_pool2d", least=1))
    total = avg_pool2d(input**p, kernel_size, stride, ceil_mode=ceil_mode) * area
    positive = total != 0
    return total.where(positive, 1) ** (1 / p) * positive


def _adaptive_size(name: str, input: Tensor, output_size: Any) -> tuple[int, int]:
    """(P, Q): how many windows in each direction; None keeps that side."""
    if input.ndim not in (3, 4):
        raise ShapeError(
            f"{name}: x must be (N, C, H, W) or (C, H, W), but is {tuple(input.shape)}"
        )
    H, W = input.shape[-2:]
    P, Q = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    return H if P is None else P, W if Q is None else Q


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of P by Q windows that cover the plane; None in output_size keeps that side."""
    P, Q = _adaptive_size("adaptive_avg_pool2d", input, output_size)
    H, W = input.shape[-2:]
    if P and Q and H % P == 0 and W % Q == 0:
        return avg_pool2d(input, (H // P, W // Q))
    return pooling.adaptive_avg_pool2d(input, output_size=(P, Q))


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of P by Q windows that cover the plane; with their index if asked."""
    P, Q = _adaptive_size("adaptive_max_pool2d", input, output_size)
    H, W = input.shape[-2:]
    if P and Q and H % P == 0 and W % Q == 0:
        return max_pool2d(input, (H // P, W // Q), return_indices=return_indices)
    return pooling.adaptive_max_pool2d(input, output_size=(P, Q), return_indices=return_indices)


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
        return normalization.normalize(input, weight, bias, running_mean, running_var, eps=eps)
    count = input.numel() // max(channels, 1)
    if count == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{tuple(input.shape)}: one value has no variance. Use a larger batch, or eval()."
        )
    y, mean, var = normalization.batch_norm(input, weight, bias, eps=eps)
    with no_grad():
        for running, new in ((running_mean, mean), (running_var, var * (count / (count - 1)))):
            if running is not None:
                running.mul_(1 - momentum).add_(new * momentum)
    return y


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
    if not sizes or tuple(input.shape[-len(sizes) :]) != sizes:
        raise ShapeError(
            f"layer_norm: x is {tuple(input.shape)}, normalized_shape is {sizes}; it must be the "
            "last sizes of x, at least one. Make normalized_shape of the layer these."
        )
    for name, member in (("weight", weight), ("bias", bias)):
        if member is not None and tuple(member.shape) != sizes:
            raise ShapeError(
                f"layer_norm: {name} is {tuple(member.shape)} but normalized_shape is {sizes}; "
                "they must be equal."
            )
    y = _normalised_rows(input, math.prod(input.shape[: -len(sizes)]), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


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
    if p < 0 or p > 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    if inplace:
        return in_place(lambda x: _dropped(x, p), "dropout_")(input)
    return _dropped(input, p)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, x (N, C, ...) with whole channels of an image dropped with probability p."""
    if p < 0 or p > 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    if input.ndim < 2:
        raise ShapeError(f"dropout2d: x must be (N, C, ...), but is {tuple(input.shape)}")
    sizes = (*input.shape[:2], *(1,) * (input.ndim - 2))
    kept = _dropped(input.new_ones(sizes), p)
    return in_place(lambda x: x * kept, "dropout2d_")(input) if inplace else input * kept


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """In training, elements become SELU's lower limit with probability p; then mean 0, variance 1.

    y = a * (x * keep + low * (1 - keep)) + b, with low = -scale * alpha of `selu` and the a and b
    that bring mean and variance back.  Klambauer et al. 2017.
    """
    if p < 0 or p > 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0
    low = -1.7580993408473766
    a = ((1 - p) * (1 + p * low * low)) ** -0.5
    # keep is 0 or 1; the rest of the formula does not depend on x
    keep = _dropped(input.new_ones(tuple(input.shape)), p) * (1 - p)
    rest = (1 - keep) * (a * low) - a * low * p

    def drop(x: Tensor) -> Tensor:
        return x * (keep * a) + rest

    return in_place(drop, "alpha_dropout_")(input) if inplace else drop(input)


def _dropped(x: Tensor, p: float) -> Tensor:
    return x * 0 if p == 1 else dropping.dropout(x, p=p, key=default_generator.key())


# ------------------------------------------------------------------------------------------ losses


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that the arguments mean, PyTorch's old pair of booleans included."""
    if size_average is not None or reduce is not None:
        old = {(True, True): "mean", (False, True): "sum"}.get(
            (size_average is not False, reduce is not False), "none"
        )
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{old}' instead.",
            stacklevel=3,
        )
        return old
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def _same_shape(name: str, input: Tensor, target: Tensor) -> None:
    if input.array.shape != target.array.shape:
        raise LossShapeError(
            f"{name}: input has shape {tuple(input.shape)} and target has shape "
            f"{tuple(target.shape)}; they must be equal, because broadcasting would compare every "
            "prediction with every target. Reshape one of them: target.view_as(input), or "
            "input.squeeze(1)."
        )


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """(input - target)^2, averaged over all elements. Shapes must be equal."""
    reduction = reduction_of(size_average, reduce, reduction)
    _same_shape("mse_loss", input, target)
    return _reduced(loss.squared_error(input, target), reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """|input - target|, averaged over all elements. Shapes must be equal."""
    reduction = reduction_of(size_average, reduce, reduction)
    _same_shape("l1_loss", input, target)
    return _reduced((input - target).abs(), reduction)


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
    _same_shape("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return _reduced(_smooth_absolute_error(input, target, beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """d^2 / 2 where |d| < delta, else delta * (|d| - delta/2), of d = input - target."""
    reduction_of(None, None, reduction)
    _same_shape("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    return _reduced(_smooth_absolute_error(input, target, delta) * delta, reduction)


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
    _same_shape("binary_cross_entropy", input, target)
    _same_dtype("binary_cross_entropy", input, target=target)
    if not bool(((input.array >= 0) & (input.array <= 1)).all()):
        raise RuntimeError(
            "binary_cross_entropy: all elements of input should be between 0 and 1; for scores "
            "without a sigmoid use binary_cross_entropy_with_logits"
        )
    elements = loss.binary_cross_entropy(input, target)
    return _reduced(elements if weight is None else elements * weight, reduction)


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
    _same_shape("binary_cross_entropy_with_logits", input, target)
    log_p = activation.logsigmoid(input)
    if pos_weight is not None:
        log_p = log_p * (1 + (pos_weight - 1) * target)
    elements = (1 - target) * input - log_p
    return _reduced(elements if weight is None else elements * weight, reduction)


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
    return _reduced(rows, reduction)


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
    _same_shape("kl_div", input, target)
    if log_target:
        elements = target.exp() * (target - input)
    else:
        positive = target > 0  # 0 * log(0) is 0
        log_t = target.where(positive, 1).log()
        elements = target * (log_t - input)
    total = _reduced(elements, reduction)
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
