"""Losses of distances, ranks and labels beside `functional`'s: each a formula of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...autograd.tape import wrap
from ...device import xp_of
from ...ops import activation
from ...ops.creation import as_tensor
from ...tensor import Tensor
from .checks import same_dtype
from .distance import pairwise_distance
from .reduction import LossShapeError, reduced, reduction_of, same_shape

Flag = bool | None


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """x where target is 1, max(0, margin - x) where it is -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    near = input * (target != -1)
    far = (margin - input).clamp(min=0) * (target != 1)
    return reduced(near + far, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    x1, x2 (N, D) and target (N,), or (D,) and ().
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if target.ndim not in (0, 1) or input1.ndim != target.ndim + 1 != input2.ndim:
        raise LossShapeError(
            f"cosine_embedding_loss: {target.ndim}D target tensor expects {target.ndim + 1}D input "
            f"tensors, but found inputs with sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    eps = 1e-12
    lengths = ((input1 * input1).sum(-1) + eps) * ((input2 * input2).sum(-1) + eps)
    cosine = (input1 * input2).sum(-1) / lengths.sqrt()
    apart = (cosine - margin).clamp(min=0)
    return reduced((1 - cosine) * (target == 1) + apart * (target == -1), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (x1 - x2) + margin): target 1 wants x1 above x2, -1 below."""
    reduction = reduction_of(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise LossShapeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, positive) - d(a, negative) + margin), d the `pairwise_distance`.

    swap: the negative's distance is the smaller of those to the anchor and to the positive.
    Balntas et al. 2016.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, positive) - d(a, negative) + margin) with any distance d."""
    reduction_of(None, None, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise LossShapeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + near - far).clamp(min=0), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * x)), target 1 or -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    same_shape("soft_margin_loss", input, target)
    return reduced(-activation.logsigmoid(target * input), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over all classes c but the target t of max(0, margin - x[t] + x[c])^p / C.

    x (N, C) and target (N,), or (C,) and (); `weight` (C,) weighs by the target's class.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if input.ndim not in (1, 2) or target.array.shape not in (input.array.shape[:-1], (1,)):
        raise LossShapeError(
            f"multi_margin_loss: x is {tuple(input.shape)}, target is {tuple(target.shape)}; "
            "inconsistent target size: (N, C) goes with (N,), (C,) with ()."
        )
    rows, labels = input.reshape(-1, input.shape[-1]), target.reshape(-1, 1)
    classes = rows.shape[1]
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise IndexError(f"multi_margin_loss: target out of range: there are {classes} classes")
    violations = (margin - rows.gather(1, labels) + rows).clamp(min=0)
    if p == 2:
        violations = violations * violations
    if weight is not None:
        if weight.ndim != 1 or len(weight) != classes:
            raise LossShapeError("multi_margin_loss: weight must be one-dimensional, one per class")
        violations = violations * weight[labels]
    others = wrap(xp_of(rows.array).arange(classes)) != labels
    loss = (violations * others).sum(1) / classes
    return reduced(loss.reshape(target.shape) if input.ndim > 1 else loss.squeeze(0), reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over right classes t and wrong classes c of max(0, 1 - (x[t] - x[c])) / C.

    x (N, C) or (C,); target in its shape holds the right classes, up to the first -1.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if input.ndim > 2 or input.array.shape != target.array.shape:
        raise LossShapeError(
            f"multilabel_margin_loss: inconsistent target size: {list(target.shape)} for input of "
            f"size: {list(input.shape)}"
        )
    xp = xp_of(input.array)
    classes = input.shape[-1] if input.ndim else 1
    rows, labels = input.reshape(-1, classes), target.array.reshape(-1, classes)
    counts = xp.cumprod(labels >= 0, axis=1).astype(bool)  # up to the first -1
    safe = xp.where(counts, labels, 0)
    right = ((safe[:, :, None] == xp.arange(classes)) & counts[:, :, None]).any(1)
    apart = 1 - rows.gather(1, wrap(safe)).unsqueeze(2) + rows.unsqueeze(1)  # (N, targets, C)
    pairs = wrap(counts[:, :, None] & ~right[:, None, :])
    loss = (apart.clamp(min=0) * pairs).sum((1, 2)) / classes
    return reduced(loss if input.ndim > 1 else loss.squeeze(0), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target * log(sigmoid(x)) + (1 - target) * log(sigmoid(-x))), averaged over the classes."""
    reduction = reduction_of(size_average, reduce, reduction)
    elements = -(
        target * activation.logsigmoid(input) + (1 - target) * activation.logsigmoid(-input)
    )
    if weight is not None:
        elements = elements * weight
    return reduced(elements.mean(-1), reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Flag = None,
    eps: float = 1e-8,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - target * x, or x - target * log(x + eps) if x is not a logarithm.

    full: with Stirling's t * log(t) - t + log(2 pi t) / 2 for log(t!), where t > 1.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        t = target.where(target > 1, 1)
        stirling = t * t.log() - t + 0.5 * (2 * math.pi * t).log()
        loss = loss + stirling * (target > 1)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log(var) + (x - target)^2 / var) / 2, with log(2 pi) / 2 if full; var is at least eps.

    var has x's shape, or lacks its last axis, or has size 1 along one axis.  Nix and Weigend 1994.
    """
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        spread = as_tensor(float(var), dtype=input.dtype, device=input.device).expand(input.shape)
    else:
        spread = var
    if spread.shape != input.shape:
        if input.shape[:-1] == spread.shape:
            spread = spread.unsqueeze(-1)
        elif input.ndim != spread.ndim or [
            b for a, b in zip(input.shape, spread.shape) if a != b
        ] != [1]:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    if bool((spread < 0).any()):
        raise ValueError("var has negative entry/entries")
    # the limit is not differentiated, as in PyTorch
    spread = spread + (spread.detach().clamp(min=eps) - spread.detach())
    loss = 0.5 * (spread.log() + (input - target) ** 2 / spread)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of all ways to spread the labels over time, blanks between them.

    log_probs (T, N, C) or (T, C), targets (N, S) or all behind one another, lengths (N,). The mean
    divides each loss by its number of labels. As PyTorch's, the gradient is that through a
    log_softmax, which the log-probabilities are taken to come from.  Graves et al. 2006.
    """
    from ...ops.shape import cat, stack
    from ...ops.softmax import log_softmax

    reduction = reduction_of(None, None, reduction)
    same_dtype("ctc_loss", log_probs)
    single = log_probs.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    xp = xp_of(x.array)
    steps, images, classes = x.shape
    lengths = [int(n) for n in xp.atleast_1d(as_tensor(target_lengths).array)]
    durations = [int(n) for n in xp.atleast_1d(as_tensor(input_lengths).array)]
    if len(lengths) != images or len(durations) != images:
        raise LossShapeError("ctc_loss: input_lengths and target_lengths must have batch size")
    if not 0 <= blank < classes:
        raise RuntimeError("ctc_loss: blank must be in label range")
    if max(durations, default=0) > steps:
        raise RuntimeError(
            f"ctc_loss: Expected input_lengths to have value at most {steps}, but got value "
            f"{max(durations)}"
        )
    longest = max(lengths, default=0)
    labels = xp.full((images, 2 * longest + 1), blank, xp.int64)
    flat, start = targets.array.reshape(-1), 0
    for n, count in enumerate(lengths):
        row = targets.array[n] if targets.ndim == 2 else flat[start : start + count]
        labels[n, 1 : 2 * count + 1 : 2] = row[:count]
        start += count

    # log(0), but finite: exp(a - a) of what cannot happen must not be nan in the derivative
    never = -1e30
    p = log_softmax(x, 2)
    p = p + (x.detach() - p.detach())
    of_label = p.gather(2, wrap(xp.broadcast_to(labels, (steps, *labels.shape)).copy()))
    skips = xp.zeros(labels.shape, bool)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    first = wrap(xp.broadcast_to(xp.arange(labels.shape[1]) < 2, labels.shape).copy())
    alpha = of_label[0].where(first, never)
    edge = x.new_full((images, 2), never)
    for t in range(1, steps):
        before = cat([edge, alpha], 1)  # two columns that cannot be come from
        stay, step = alpha, before[:, 1:-1]
        skip = before[:, :-2].where(wrap(skips), never)
        new = stack([stay, step, skip]).logsumexp(0) + of_label[t]
        running = wrap(xp.array([[t < n] for n in durations]))
        alpha = new.where(running, alpha)
    ends = wrap(xp.array([[2 * n] for n in lengths]))
    last = alpha.gather(1, ends)
    label = alpha.gather(1, (ends - 1).clamp(min=0)).where(ends > 0, never)
    losses = -stack([last, label]).logsumexp(0).squeeze(1)
    impossible = losses > -never / 10
    losses = losses.where(~impossible, 0.0 if zero_infinity else math.inf)
    if reduction == "mean":
        return (losses / wrap(xp.array([max(n, 1) for n in lengths], x.array.dtype))).mean()
    losses = losses.squeeze(0) if single and reduction == "none" else losses
    return reduced(losses, reduction)
