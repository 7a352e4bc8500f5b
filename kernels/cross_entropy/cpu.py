"""Softmax cross-entropy on the CPU: one task is some rows. See reference.py."""

import numpy as np
from numba import int64
from numpy import ndarray

from .. import jit
from .reference import check_shapes, valid_rows

TASK_NUMBERS = 8192  # logits of one task: short rows go together
NUMBER_TIME = 8  # nanoseconds for a logit: most of it is the exponential


def forward(logits: ndarray, target: ndarray, *, ignore_index: int) -> tuple[ndarray, ndarray, int]:
    """loss (N,), logsumexp (N,) and how many rows count; those labelled ignore_index lose 0.

    Raises IndexError for a label that is no class, ShapeError for shapes that do not match.
    """
    check_shapes(logits, target)
    (dense,) = jit.dense(logits)
    labels = np.ascontiguousarray(target)
    loss, logsumexp = np.empty(len(logits), logits.dtype), np.empty(len(logits), logits.dtype)
    tasks, rows = _tasks(logits)
    kept = np.empty(tasks, np.int64)
    _forward_task(
        tasks, dense, labels, ignore_index, loss, logsumexp, kept, rows,
        nanoseconds=logits.size * NUMBER_TIME,
    )  # fmt: skip
    counts = kept.tolist()
    if min(counts, default=0) < 0:
        valid_rows(logits, target, ignore_index=ignore_index)  # says which label is no class
    return loss, logsumexp, sum(counts)


def backward(
    dloss: ndarray, logits: ndarray, target: ndarray, logsumexp: ndarray, *, ignore_index: int
) -> ndarray:
    """dlogits (N, C) from dloss (N,)."""
    check_shapes(logits, target)
    dloss, logits, logsumexp = jit.dense(dloss, logits, logsumexp)
    dlogits = np.empty_like(logits)
    tasks, rows = _tasks(logits)
    labels = np.ascontiguousarray(target)
    _backward_task(
        tasks, dloss, logits, labels, ignore_index, logsumexp, dlogits, rows,
        nanoseconds=logits.size * NUMBER_TIME,
    )  # fmt: skip
    return dlogits


def _tasks(logits: ndarray) -> tuple[int, int]:
    rows = max(1, TASK_NUMBERS // max(1, logits.shape[1]))
    return -(-len(logits) // rows), rows


@jit.kernel(lambda T: (T[:, ::1], int64[::1], int64, T[::1], T[::1], int64[::1], int64))
def _forward_task(task, logits, target, ignore_index, loss, logsumexp, kept, rows):
    """kept[task] counts the rows that are not ignored; -1 says that a label is no class."""
    count = 0
    for n in range(task * rows, min((task + 1) * rows, len(logits))):
        row, label = logits[n], target[n]
        highest = -np.inf
        for c in range(len(row)):
            if row[c] > highest or row[c] != row[c]:
                highest = row[c]
        total = 0.0
        for c in range(len(row)):
            total += np.exp(row[c] - highest)
        logsumexp[n] = highest + np.log(total)
        loss[n] = 0
        if label != ignore_index:
            if not 0 <= label < len(row):
                kept[task] = -1
                return
            loss[n] = (highest - row[label]) + np.log(total)
            count += 1
    kept[task] = count


@jit.kernel(
    lambda T: (
        T[::1], T[:, ::1], int64[::1], int64, T[::1], T[:, ::1], int64,
    )
)  # fmt: skip
def _backward_task(task, dloss, logits, target, ignore_index, logsumexp, dlogits, rows):
    for n in range(task * rows, min((task + 1) * rows, len(logits))):
        row, out, label = logits[n], dlogits[n], target[n]
        # Forward has refused a label that is no class; if it came later, nothing is written by it.
        if label == ignore_index or not 0 <= label < len(row):
            for c in range(len(row)):
                out[c] = 0
            continue
        total = 0.0
        for c in range(len(row)):
            out[c] = np.exp(row[c] - logsumexp[n])
            total += out[c]
        for c in range(len(row)):
            out[c] = out[c] / total * dloss[n]
        out[label] = (np.exp(row[label] - logsumexp[n]) / total - 1) * dloss[n]


_forward_task.then(_backward_task)
