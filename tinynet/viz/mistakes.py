"""The images a network got wrong, the surest mistakes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .figure import FAINT, INK, TEST, new_figure, picture


def mistakes(
    images: Sequence[np.ndarray] | np.ndarray,
    target: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    columns: int = 8,
    rows: int = 5,
    title: str = "",
) -> Any:
    """A grid of wrongly classified images, with what it saw, how sure it was, and the truth.

    images: (N, H, W) or (N, C, H, W) with C = 1 or 3, of any numeric range; only those shown are
        looked at.
    target: classes (N,).  probabilities: (N, number of classes).
    """
    target, probabilities = np.asarray(target), np.asarray(probabilities)
    predicted = probabilities.argmax(axis=1)
    sureness = probabilities[np.arange(len(predicted)), predicted]
    wrong = np.flatnonzero(predicted != target)
    shown = wrong[np.argsort(-sureness[wrong], kind="stable")][: columns * rows]
    used_rows = max(1, -(-len(shown) // columns))
    figure = new_figure(1.25 * columns, 0.55 + 1.6 * used_rows)
    grid = figure.subplots(used_rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, shown, strict=False):
        axes.imshow(picture(images[i]), cmap="gray", interpolation="nearest")
        axes.set_title(
            f"{classes[predicted[i]]} {sureness[i]:.0%}", fontsize=7.5, color=TEST, pad=13
        )
        axes.text(
            0.5,
            1.03,
            f"is {classes[target[i]]}",
            transform=axes.transAxes,
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=INK,
        )
    heading = f"{len(wrong):,} of {len(target):,} wrong; the {len(shown)} surest mistakes"
    if not len(wrong):
        heading = f"None of {len(target):,} wrong"
    figure.suptitle(
        f"{title}   {heading}" if title else heading, x=0.01, ha="left", fontsize=9, color=FAINT
    )
    return figure
