"""Two results of one machine: what became slower, and what is only noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .result import Result, entries_of

THRESHOLD = 0.05  # a smaller change is not worth a word
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Change:
    """How one program's median changed: after / before, and where that ratio may lie."""

    key: str
    label: str
    before: float
    after: float
    unit: str
    low: float
    high: float
    threshold: float

    @property
    def ratio(self) -> float:
        return self.after / self.before if self.before else float("inf")

    @property
    def verdict(self) -> str:
        """regression or improvement: beyond the threshold, and the whole interval is on one side
        of 1. Otherwise noise."""
        if self.ratio > 1 + self.threshold and self.low > 1:
            return "regression"
        if self.ratio < 1 / (1 + self.threshold) and self.high < 1:
            return "improvement"
        return "noise"


def compare(before: Result, after: Result, threshold: float = THRESHOLD) -> list[Change]:
    """The changes of tinynet's own entries that both results have, the worst first."""
    changes = []
    for key, row in after.rows.items():
        old = before.rows.get(key)
        if old is None:
            continue
        known = dict(entries_of(old, "tinynet"))
        for label, entry in entries_of(row, "tinynet"):
            if label in known:
                low, high = interval(known[label]["samples"], entry["samples"])
                medians = known[label]["median"], entry["median"]
                changes.append(Change(key, label, *medians, row["unit"], low, high, threshold))
    return sorted(changes, key=lambda change: -change.ratio)


def interval(before: list[float], after: list[float]) -> tuple[float, float]:
    """The bootstrap interval of the ratio of the medians (Efron 1979, the percentile method).

    Seeded: the same samples give the same answer. A single sample has no spread: its ratio is the
    whole interval, as it is for bytes.
    """
    rng = np.random.default_rng(0)
    medians = [
        np.median(rng.choice(np.asarray(samples, float), (RESAMPLES, len(samples))), axis=1)
        for samples in (before, after)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians[1] / medians[0], [tail, 1 - tail])
    return float(low), float(high)


def warnings(before: Result, after: Result) -> list[str]:
    """What makes the two hard to compare."""
    found = [
        f"{name}: {before.machine.get(name)} and {after.machine.get(name)}"
        for name in ("cpu", "isa", "cores")
        if before.machine.get(name) != after.machine.get(name)
    ]
    found += [
        f"{name}: {before.versions[name]} and {after.versions[name]}"
        for name in sorted(before.versions.keys() & after.versions.keys())
        if before.versions[name] != after.versions[name] and name != "tinynet"
    ]
    return found
