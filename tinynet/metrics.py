"""How good predictions are."""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels.errors import ShapeError


def predicted_classes(scores: Any) -> np.ndarray:
    """The class with the highest score in each row: (N, C) -> (N,); (N,) is taken as classes."""
    scores = np.asarray(scores)
    return scores.argmax(axis=1) if scores.ndim == 2 else scores


def accuracy(prediction: Any, target: Any) -> float:
    """The share of predictions that are right, between 0 and 1.

    prediction: scores (N, C), of which the highest counts, or classes (N,).  target: classes (N,).
    Raises ShapeError if they do not fit together or there are none.
    """
    predicted, target = _checked("accuracy", prediction, target)
    return float(np.mean(predicted == target))


def confusion_matrix(prediction: Any, target: Any, num_classes: int | None = None) -> np.ndarray:
    """How often each class was taken for each: counts (C, C), true classes in rows.

    prediction: scores (N, C) or classes (N,).  target: classes (N,).
    num_classes: C; default: the number of scores, or the highest class there is plus one.
    """
    predicted, target = _checked("confusion_matrix", prediction, target)
    scores = np.asarray(prediction)
    if num_classes is None:
        highest = int(max(predicted.max(), target.max())) + 1
        num_classes = scores.shape[1] if scores.ndim == 2 else highest
    for name, labels in (("prediction", predicted), ("target", target)):
        if labels.min() < 0 or labels.max() >= num_classes:
            raise IndexError(
                f"confusion_matrix: the classes of {name} must lie in 0 to {num_classes - 1}, but "
                f"go from {labels.min()} to {labels.max()}."
            )
    cells = target.astype(np.int64) * num_classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def top_k_accuracy(scores: Any, target: Any, k: int = 5) -> float:
    """The share of rows whose true class is among the k with the highest scores.

    scores: (N, C).  target: classes (N,).  Of equal scores the first classes count as higher.
    """
    scores = np.asarray(scores)
    _, target = _checked("top_k_accuracy", scores, target)
    if scores.ndim != 2 or not 1 <= k <= scores.shape[1]:
        raise ShapeError(
            f"top_k_accuracy: scores are (N, C) with C of at least k, but they are {scores.shape} "
            f"and k is {k}."
        )
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.mean((best == target[:, None]).any(axis=1)))


def precision(prediction: Any, target: Any, average: str | None = "macro") -> Any:
    """Of what was taken for a class, the share that was it: TP / (TP + FP).

    average: "macro" (the mean over the classes that occur in prediction or target), "micro" (of
        all counts together), None (an array (C,), one number per class, 0 for a class that does
        not occur).
    A share of nothing is 0.  prediction, target: as in `accuracy`.
    """
    return _averaged("precision", prediction, target, average)


def recall(prediction: Any, target: Any, average: str | None = "macro") -> Any:
    """Of a class, the share that was found: TP / (TP + FN).  Arguments as for `precision`."""
    return _averaged("recall", prediction, target, average)


def f1_score(prediction: Any, target: Any, average: str | None = "macro") -> Any:
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Arguments as for `precision`; the macro average is the mean of the classes' F1.
    """
    return _averaged("f1_score", prediction, target, average)


def average_precision(scores: Any, targets: Any) -> float:
    """The area under the precision-recall curve: sum over n of (R_n - R_(n-1)) P_n.

    P_n and R_n are precision and recall when all rows that score at least the n-th highest score
    are taken for positive; equal scores are taken together.
    scores: (N,), higher for more likely.  targets: (N,), 1 (true) for positive, 0 for negative.
    Raises ValueError if there is no positive, or if targets hold anything but 0 and 1.
    """
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
    if scores.ndim != 1 or scores.shape != targets.shape:
        raise ShapeError(
            f"average_precision: scores and targets are (N,), but they are {scores.shape} and "
            f"{targets.shape}."
        )
    if not np.isin(targets, (0, 1)).all() or not targets.any():
        raise ValueError("average_precision: targets are 0 or 1, and at least one of them is 1.")
    if np.isnan(scores).any():
        raise ValueError("average_precision: a score is not a number.")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(targets[order], dtype=np.int64)[last]
    gained = np.diff(found, prepend=0) / found[-1]
    return float(np.sum(gained * found / (last + 1)))


def mean_average_precision(scores: Any, labels: Any) -> float:
    """The mean over the classes of the average precision of each against the others.

    scores: (N, C).  labels: classes (N,), or 0 and 1 in (N, C) where a row may have several.
    Classes without a positive row are left out, as nothing can be said of them.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape not in (scores.shape, scores.shape[:1]):
        raise ShapeError(
            "mean_average_precision: scores are (N, C) and labels (N,) or (N, C), but they are "
            f"{scores.shape} and {labels.shape}."
        )
    C = scores.shape[1]
    if labels.ndim == 1:
        if labels.size and not 0 <= labels.min() <= labels.max() < C:
            raise IndexError(
                f"mean_average_precision: labels must lie in 0 to {C - 1}, but go from "
                f"{labels.min()} to {labels.max()}."
            )
        labels = labels[:, None] == np.arange(C)
    present = [c for c in range(C) if labels[:, c].any()]
    if not present:
        raise ValueError("mean_average_precision: no class has a positive row.")
    return float(np.mean([average_precision(scores[:, c], labels[:, c]) for c in present]))


def _averaged(name: str, prediction: Any, target: Any, average: str | None) -> Any:
    _checked(name, prediction, target)
    matrix = confusion_matrix(prediction, target)
    right, taken, true = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    if average not in ("macro", "micro", None):
        raise ValueError(f'{name}: average is "macro", "micro" or None, not {average!r}.')
    occurs = taken + true > 0
    if average == "micro":
        right, taken, true = right.sum(), taken.sum(), true.sum()
    whole = {"precision": taken, "recall": true, "f1_score": (taken + true) / 2}[name]
    share = right / np.where(whole == 0, 1, whole)
    if average is None:
        return share
    return float(share[occurs].mean() if average == "macro" else share)


def _checked(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    shape, target = np.shape(prediction), np.asarray(target)
    if len(shape) not in (1, 2) or target.shape != shape[:1] or target.size == 0:
        raise ShapeError(
            f"{name}: prediction is scores (N, C) or classes (N,) and target is classes (N,), with "
            f"N > 0, but they are {tuple(shape)} and {target.shape}."
        )
    return predicted_classes(prediction), target
