"""Losses, element by element or row by row. Weights and reductions are `nn.functional`'s."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import tinynet.kernels as kernels

from ..autograd.tape import differentiable, elementwise, wrap
from ..device import xp_of
from .softmax import softmax

if TYPE_CHECKING:
    from ..tensor import Tensor


@differentiable
def softmax_cross_entropy(
    logits: Tensor, target: Tensor, *, ignore_index: int, reduction: str
) -> Any:
    """loss[n] = log(sum over c of exp(logits[n, c])) - logits[n, target[n]].

    logits (N, C), target (N,) of integers, loss (N,), or () if they are summed ("sum", or "mean"
    over the rows that count); a row whose target is `ignore_index` gives 0 and does not count.
    Raises IndexError for a label that is not a class.
    """
    backend = kernels.of(logits.array, target.array).cross_entropy
    loss, logsumexp, count = backend.forward(logits.array, target.array, ignore_index=ignore_index)
    divisor: Any = 1.0
    if reduction != "none":
        loss = loss.sum()
        if reduction == "mean":
            divisor = _divisor(count, loss.dtype)
            loss = loss / divisor

    def pullback(dloss: Tensor) -> Tensor:
        return softmax_cross_entropy_backward(
            dloss,
            logits,
            target,
            logsumexp=logsumexp,
            divisor=divisor,
            ignore_index=ignore_index,
            backend=backend,
        )

    return loss, (pullback, None)


@differentiable
def softmax_cross_entropy_backward(
    dloss: Tensor,
    logits: Tensor,
    target: Tensor,
    *,
    logsumexp: Any,
    divisor: Any,
    ignore_index: int,
    backend: Any,
) -> Any:
    """dlogits[n, c] = dloss[n] / divisor * (softmax(logits)[n, c] - [c == target[n]]).

    It is 0 in ignored rows; dloss may be one number () for all rows. Its own derivative, for a
    cotangent g (N, C): with p = softmax(logits), ddloss[n] = sum over c of g * (p - onehot) /
    divisor, and dlogits is softmax's pullback of g * dloss / divisor.
    """
    rows = dloss.array / divisor
    if not rows.ndim:
        each = rows
        rows = xp_of(logits.array).empty(logits.array.shape[0], logits.array.dtype)
        rows[...] = each  # CuPy's `full` would wait for the GPU, to see whether it is 0
    dlogits = backend.backward(
        rows, logits.array, target.array, logsumexp, ignore_index=ignore_index
    )

    def dloss_gradient(g: Tensor) -> Tensor:
        kept, onehot = _kept_and_onehot(target, logits, ignore_index)
        return (g * (softmax(logits, dim=1) * kept - onehot)).sum(1) / divisor

    def logits_gradient(g: Tensor) -> Tensor:
        kept, _ = _kept_and_onehot(target, logits, ignore_index)
        p = softmax(logits, dim=1)
        dp = g * (dloss / divisor).reshape(-1, 1) * kept
        return p * (dp - (dp * p).sum(1, keepdim=True))

    return dlogits, (dloss_gradient, logits_gradient, None)


def _divisor(count: Any, dtype: Any) -> Any:
    """How many rows a mean is over; NaN for none. A GPU's count stays there: to ask is to wait."""
    if isinstance(count, int):
        return float(count) if count else math.nan
    return (count / (count != 0)).astype(dtype)


def _kept_and_onehot(target: Tensor, logits: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """(N, 1) of 1 where the row counts, and (N, C) of 1 where the row counts and c is its label."""
    xp = xp_of(target.array)
    labels = target.array[:, None]
    kept = labels != ignore_index
    onehot = kept & (labels == xp.arange(logits.shape[1]))
    dtype = logits.array.dtype
    return wrap(kept.astype(dtype)), wrap(onehot.astype(dtype))


@differentiable(promote=True)
def squared_error(x: Tensor, target: Tensor) -> Any:
    """(x - target)^2."""
    difference = x.array - target.array
    return difference * difference, (
        lambda dy: squared_error_backward(dy, x, target),
        lambda dy: squared_error_backward(dy, target, x),
    )


@elementwise
def squared_error_backward(dy: Tensor, x: Tensor, target: Tensor) -> Any:
    """2 dy (x - target), in one operation."""
    return 2 * dy.array * (x.array - target.array), (
        lambda g: squared_error_backward(g, x, target),
        lambda g: 2 * g * dy,
        lambda g: -2 * g * dy,
    )


@elementwise
def smooth_absolute_error(x: Tensor, target: Tensor, *, beta: float) -> Any:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta/2, of d = x - target.  Girshick 2015."""
    xp = xp_of(x.array)
    d = xp.abs(x.array - target.array)
    y = xp.where(d < beta, d * d * (0.5 / beta), d - 0.5 * beta)
    return y, (
        lambda dy: dy * ((x - target) / beta).clamp(-1, 1),
        lambda dy: dy * ((target - x) / beta).clamp(-1, 1),
    )


@elementwise
def binary_cross_entropy(x: Tensor, target: Tensor) -> Any:
    """-(target * log(x) + (1 - target) * log(1 - x)) of probabilities x.

    As in PyTorch the logarithms are cut at -100 and the derivative's denominator x * (1 - x) at
    1e-12, so that a certain and wrong answer costs 100 and gets a large, finite gradient.
    """
    xp = xp_of(x.array)
    log_x = xp.maximum(xp.log(x.array), -100)
    log_not_x = xp.maximum(xp.log1p(-x.array), -100)
    y = (target.array - 1) * log_not_x - target.array * log_x
    return y, (
        lambda dy: dy * (x - target) / (x * (1 - x)).clamp(min=1e-12),
        lambda dy: dy * ((-x).log1p().clamp(min=-100) - x.log().clamp(min=-100)),
    )
