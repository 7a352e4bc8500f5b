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


def _checked(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    shape, target = np.shape(prediction), np.asarray(target)
    if len(shape) not in (1, 2) or target.shape != shape[:1] or target.size == 0:
        raise ShapeError(
            f"{name}: prediction is scores (N, C) or classes (N,) and target is classes (N,), with "
            f"N > 0, but they are {tuple(shape)} and {target.shape}."
        )
    return predicted_classes(prediction), target
