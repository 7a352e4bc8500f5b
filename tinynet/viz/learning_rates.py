"""The loss against the learning rate, as `tinynet.train.find_lr` tried them."""

from __future__ import annotations

from typing import Any

from .figure import FAINT, INK, TEST, TRAIN, new_figure, quiet


def learning_rates(search: Any, title: str = "") -> Any:
    """The losses of a search over learning rates, smoothed and as they were, and the suggestion.

    search: what `tinynet.train.find_lr` returned.
    """
    figure = new_figure(6.0, 3.6)
    axes = figure.subplots()
    quiet(axes)
    axes.plot(search.rates, search.losses, color=TRAIN, alpha=0.3, linewidth=1)
    axes.plot(search.rates, search.smoothed, color=TRAIN, linewidth=2)
    best = search.suggestion
    axes.axvline(best, color=TEST, linewidth=1.2)
    axes.annotate(
        f"steepest at {best:.2g}",
        (best, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(-5, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color=TEST,
    )
    axes.set_xscale("log")
    # a last loss that went through the roof would flatten all others
    start = float(search.smoothed[0])
    lowest, highest = float(search.losses.min()), float(search.losses.max())
    axes.set_ylim(lowest - 0.05 * start, min(highest, 1.6 * start) + 0.05 * start)
    axes.set_xlabel("learning rate", fontsize=9, color=INK)
    axes.set_ylabel("loss", fontsize=9, color=INK)
    if title:
        axes.set_title(title, loc="left", fontsize=9, color=FAINT)
    return figure
