"""Softmax cross-entropy on the CPU: one task is some rows. See reference.py."""

import numpy as np
from numba import bool_, int64
from numpy import ndarray

from .. import jit
from .reference import valid_rows

TASK_NUMBERS = 8192  # logits of one task: short rows go together


def forward(logits: ndarray, target: ndarray, *, ignore_index: int) -> tuple[ndarray, ndarray]:
    """loss (N,) and logsumexp (N,); rows labelled ignore_index lose 0.

    Raises IndexError for a label that is no class, ShapeError for shapes that do not match.
    """
    kept = valid_rows(logits, target, ignore_index=ignore_index)
    (logits,) = jit.dense(logits)
    loss, logsumexp = np.empty(len(logits), logits.dtype), np.empty(len(logits), logits.dtype)
    tasks, rows = _tasks(logits)
    _forward_task(tasks, logits, np.ascontiguousarray(target), kept, loss, logsumexp, rows)
    return loss, logsumexp


def backward(
    dloss: ndarray, logits: ndarray, target: ndarray, logsumexp: ndarray, *, ignore_index: int
) -> ndarray:
    """dlogits (N, C) from dloss (N,)."""
    kept = valid_rows(logits, target, ignore_index=ignore_index)
    dloss, logits, logsumexp = jit.dense(dloss, logits, logsumexp)
    dlogits = np.empty_like(logits)
    tasks, rows = _tasks(logits)
    target = np.ascontiguousarray(target)
    _backward_task(tasks, dloss, logits, target, kept, logsumexp, dlogits, rows)
    return dlogits


def _tasks(logits: ndarray) -> tuple[int, int]:
    rows = max(1, TASK_NUMBERS // max(1, logits.shape[1]))
    return -(-len(logits) // rows), rows


@jit.kernel(lambda T: (T[:, ::1], int64[::1], bool_[::1], T[::1], T[::1], int64))
def _forward_task(task, logits, target, kept, loss, logsumexp, rows):
    for n in range(task * rows, min((task + 1) * rows, len(logits))):
        row = logits[n]
        highest = -np.inf
        for c in range(len(row)):
            if row[c] > highest or row[c] != row[c]:
                highest = row[c]
        total = 0.0
        for c in range(len(row)):
            total += np.exp(row[c] - highest)
        logsumexp[n] = highest + np.log(total)
        loss[n] = (highest - row[target[n]]) + np.log(total) if kept[n] else 0


@jit.kernel(
    lambda T: (
        T[::1], T[:, ::1], int64[::1], bool_[::1], T[::1], T[:, ::1], int64,
    )
)  # fmt: skip
def _backward_task(task, dloss, logits, target, kept, logsumexp, dlogits, rows):
    for n in range(task * rows, min((task + 1) * rows, len(logits))):
        row, out = logits[n], dlogits[n]
        if not kept[n]:
            for c in range(len(row)):
                out[c] = 0
            continue
        total = 0.0
        for c in range(len(row)):
            out[c] = np.exp(row[c] - logsumexp[n])
            total += out[c]
        for c in range(len(row)):
            out[c] = out[c] / total * dloss[n]
        out[target[n]] = (np.exp(row[target[n]] - logsumexp[n]) / total - 1) * dloss[n]
