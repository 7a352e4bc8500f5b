"""Softmax cross-entropy in NumPy.

For logits (N, C) and labels target (N,), row by row:

    loss = logsumexp(logits) - logits[target] = -log softmax(logits)[target]
    dlogits = dloss (softmax(logits) - onehot(target))

The row's own maximum is subtracted before exp: exp(89) overflows in float32, and a maximum taken
over the whole array would let small rows underflow to log(0).
"""

import numpy as np
from numpy import ndarray

from ..errors import ShapeError


def forward(logits: ndarray, target: ndarray, *, ignore_index: int) -> tuple[ndarray, ndarray, int]:
    """loss (N,), logsumexp (N,) and how many rows count; those labelled ignore_index lose 0.

    Raises IndexError for a label that is no class, ShapeError for shapes that do not match.
    """
    kept = valid_rows(logits, target, ignore_index=ignore_index)
    highest = logits.max(axis=1, initial=-np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):  # a row of infinities has no softmax: NaN
        log_total = np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        # (highest - chosen) + log, because highest + log would round the logarithm away
        chosen = (
            logits[np.arange(len(target)), np.where(kept, target, 0)] if logits.size else highest
        )
        loss = np.where(kept, (highest - chosen) + log_total, 0)
        return loss.astype(logits.dtype), highest + log_total, int(kept.sum())


def backward(
    dloss: ndarray, logits: ndarray, target: ndarray, logsumexp: ndarray, *, ignore_index: int
) -> ndarray:
    """dlogits (N, C) from dloss (N,)."""
    kept = valid_rows(logits, target, ignore_index=ignore_index)
    with np.errstate(invalid="ignore"):
        softmax = np.exp(logits - logsumexp[:, None])
        # logsumexp carries its own rounding error as a factor of the whole row; this removes it.
        softmax /= softmax.sum(axis=1, keepdims=True)
    softmax[kept, target[kept]] -= 1
    return np.where(kept[:, None], softmax * dloss[:, None], 0).astype(logits.dtype)


def valid_rows(logits: ndarray, target: ndarray, *, ignore_index: int) -> ndarray:
    """Which rows count, (N,) bool, after checking that their labels are classes."""
    check_shapes(logits, target)
    kept = target != ignore_index
    wrong = kept & ((target < 0) | (target >= logits.shape[1]))
    if wrong.any():
        n = int(wrong.argmax())
        raise invalid_label(n, int(target[n]), logits.shape, ignore_index)
    return kept


def check_shapes(logits: ndarray, target: ndarray) -> None:
    """Raise ShapeError unless logits are (N, C) and target is (N,)."""
    if logits.ndim != 2 or target.shape != logits.shape[:1]:
        raise ShapeError(
            f"cross_entropy: logits must be (N, C) and target (N,), but logits has shape "
            f"{logits.shape} and target has shape {target.shape}."
        )


def invalid_label(n: int, label: int, shape: tuple[int, ...], ignore_index: int) -> IndexError:
    """The error for row n of logits of this shape."""
    return IndexError(
        f"cross_entropy: target[{n}] = {label} is not a class: logits are (N, C) = {shape}, so "
        f"labels run from 0 to {shape[1] - 1}. Number the classes from 0, or mark rows to be left "
        f"out with ignore_index = {ignore_index}."
    )
