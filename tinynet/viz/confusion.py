"""The confusion matrix as a picture: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .figure import INK, new_figure


def confusion(matrix: np.ndarray, classes: Sequence[str], title: str = "") -> Any:
    """The matrix with true classes in rows: shaded by each row's share, labelled with counts.

    matrix: counts (C, C), as `tinynet.metrics.confusion_matrix` gives them.
    """
    matrix = np.asarray(matrix)
    n = len(classes)
    if matrix.shape != (n, n):
        raise ValueError(
            f"confusion: the matrix is (C, C) with C = {n} classes, but it is {matrix.shape}."
        )
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.46 * n
    figure = new_figure(side + 0.5, side)
    axes = figure.subplots()
    # the square root lets a rare confusion show beside a diagonal near 1
    image = axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)
    for row in range(n):
        for column in range(n):
            if matrix[row, column]:
                axes.text(
                    column,
                    row,
                    f"{matrix[row, column]:,}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    fontweight="bold" if row == column else "normal",
                    color="white" if share[row, column] > 0.36 else INK,
                )
    axes.set_xticks(range(n), classes, rotation=40, ha="right", fontsize=9, color=INK)
    axes.set_yticks(range(n), classes, fontsize=9, color=INK)
    axes.set_xlabel("predicted", fontsize=9, color=INK)
    axes.set_ylabel("true", fontsize=9, color=INK)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, ticks=np.sqrt([0, 0.05, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0 %", "5 %", "25 %", "50 %", "100 %"], fontsize=8, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    right = np.trace(matrix) / max(matrix.sum(), 1)
    heading = f"Right: {right:.1%} of {matrix.sum():,}"
    axes.set_title(f"{title}\n{heading}" if title else heading, loc="left", fontsize=10, color=INK)
    return figure
