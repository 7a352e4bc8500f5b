"""What was to be reached: tinynet's time over PyTorch's, for a training step.

The medians' ratio and the bests' have both to be at or below the bar. On the CPU two threads count:
"default" is PyTorch eager as installed, "best" the fastest of its layouts, allocators and settings
that were tried. On a GPU (an H200) the bar is to PyTorch as installed, with the same precision; a
captured graph of ours may meet it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NOT_MEASURED = "not measured"


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


# (model, precision): to PyTorch, and the first bar
CUDA_BARS = {
    ("vgg16", "fp32"): (1.0, 1.3),
    ("vgg16", "tf32"): (1.2, 1.8),
    ("alexnet", "fp32"): (1.0, 1.3),
    ("alexnet", "tf32"): (1.2, 1.8),
    ("lenet5", "fp32"): (0.7, 1.0),
    ("lenet5", "tf32"): (0.7, 1.0),
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
        return NOT_MEASURED
    to_default = ratio(entries["tinynet"], entries["pytorch"])
    to_best = ratio(entries["tinynet"], entries["pytorch best"])
    if to_default <= bar.default and to_best <= bar.best:
        return "reached"
    if to_default > bar.first:
        return "missed"
    return "first bar reached"


def cuda_ratio(row: dict[str, Any]) -> float | None:
    """Of our faster step, captured or not, to PyTorch as installed; None if one is missing."""
    entries = row["entries"]
    ours = [entries[name] for name in ("tinynet", "tinynet graph") if name in entries]
    if not ours or "pytorch" not in entries:
        return None
    return min(ratio(entry, entries["pytorch"]) for entry in ours)


def judge_cuda(row: dict[str, Any]) -> str:
    """As `judge`, for a row of the GPU's models."""
    bar = CUDA_BARS.get((row["model"], row["precision"]))
    if bar is None or row["mode"] != "training":
        return ""
    reached = cuda_ratio(row)
    if reached is None:
        return NOT_MEASURED
    return (
        "reached" if reached <= bar[0] else "first bar reached" if reached <= bar[1] else "missed"
    )
