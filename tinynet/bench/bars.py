"""What was to be reached: tinynet's time over PyTorch's, for a training step with two threads.

The medians' ratio and the bests' have both to be at or below the bar. "Default" is PyTorch eager as
installed, "best" the fastest of its layouts, allocators and settings that were tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """Ratios: to the default, to the best, and the one to the default that none may be above."""

    default: float
    best: float
    first: float


BARS = {
    "vgg16": Bar(0.28, 0.48, 0.6),
    "alexnet": Bar(0.42, 0.75, 0.8),
    "vgg16_bn": Bar(0.4, 0.7, 0.9),
    "convnet": Bar(0.35, 0.65, 0.9),
    "lenet5": Bar(0.6, 0.8, 1.0),
    "mlp": Bar(0.7, 0.9, 1.1),
}


def ratio(entry: dict[str, Any], other: dict[str, Any]) -> float:
    """The larger of the medians' ratio and the bests'."""
    return max(entry["median"] / other["median"], entry["best"] / other["best"])


def judge(row: dict[str, Any]) -> str:
    """ "reached", "above the best's bar", ... for a row of the models; "" where there is no bar."""
    bar = BARS.get(row.get("model", ""))
    entries = row["entries"]
    if bar is None or row["mode"] != "training" or row["threads"] != 2:
        return ""
    if not {"tinynet", "pytorch", "pytorch best"} <= entries.keys():
        return "not measured"
    to_default = ratio(entries["tinynet"], entries["pytorch"])
    to_best = ratio(entries["tinynet"], entries["pytorch best"])
    if to_default <= bar.default and to_best <= bar.best:
        return "reached"
    if to_default > bar.first:
        return "missed"
    return "first bar reached"
