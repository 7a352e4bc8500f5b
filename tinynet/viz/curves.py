"""Learning curves: loss and accuracy over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .figure import FAINT, INK, TEST, TRAIN, new_figure, quiet


def learning_curves(history: Sequence[Mapping[str, Any]], title: str = "") -> Any:
    """Loss and accuracy, on training and test images, against the epoch.

    history: one mapping per epoch with `epoch`, `loss`, `train_accuracy`, `test_loss` and
        `test_accuracy` (the lines of a run's metrics.jsonl); series that are absent are left out.
    """
    if not history:
        raise ValueError("learning_curves: the history is empty; there is no epoch to draw.")
    figure = new_figure(9.0, 3.7)
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    left, right = figure.subplots(1, 2)
    for axes, name, series in (
        (left, "Loss", (("loss", "training", TRAIN), ("test_loss", "test", TEST))),
        (
            right,
            "Accuracy",
            (("train_accuracy", "training", TRAIN), ("test_accuracy", "test", TEST)),
        ),
    ):
        quiet(axes)
        for key, label, colour in series:
            points = [(row["epoch"], row[key]) for row in history if row.get(key) is not None]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            marker = "o" if len(points) <= 40 else None
            axes.plot(x, y, color=colour, linewidth=2, marker=marker, markersize=4, label=label)
        axes.set_title(name, loc="left", fontsize=11, fontweight="bold", color=INK)
        axes.set_xlabel("epoch", color=INK, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.lines:
            axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    right.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    last = history[-1]
    if last.get("test_accuracy") is not None:
        right.annotate(
            f"{last['test_accuracy']:.1%}",
            (last["epoch"], last["test_accuracy"]),
            xytext=(0, -14),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            fontweight="bold",
            color=TEST,
        )
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=FAINT)
    return figure
