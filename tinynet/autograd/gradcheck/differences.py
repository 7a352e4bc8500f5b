"""Derivatives by finite differences, and what the samples themselves say about their worth.

    central     (f(x + h) - f(x - h)) / 2h        truncation  h^2 |f'''| / 6,  rounding  e |f| / h
    one-sided   (f(x + h) - f(x)) / h             truncation  h |f''| / 2

(e is 2^-53.) The two one-sided differences come free with the central one, and their disagreement
shows a kink: of a smooth function it is h f'', so it grows as h does; at a kink it is the jump of
the slope, whatever h is; at a jump of f itself it grows as h shrinks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Problem
from .report import Sweep

ROUNDING = float(np.finfo(np.float64).eps)
RATIO = 8.0  # between the step sizes that tell a kink from curvature


class Sample:
    """f at x - h d, x and x + h d, for a direction d: the differences and their noise."""

    def __init__(self, down: Any, y: Any, up: Any, low: float, high: float) -> None:
        with np.errstate(all="ignore"):
            self.central = (up - down) / (high + low)
            right, left = (up - y) / high, (y - down) / low
            self.right, self.left = right, left
            self.jump = np.abs(right - left)
            size = np.maximum(np.abs(up), np.abs(down))
            self.noise = 16 * ROUNDING * size / min(low, high)
        # Infinite or undefined on one side of a point where it is finite: an edge of the domain.
        self.edge = np.isfinite(y) & ~(np.isfinite(up) & np.isfinite(down))


class Mover:
    """Moves one element of an input, or all of it in a direction, and puts it back."""

    def __init__(self, problem: Problem, k: int, y: Any) -> None:
        self.problem, self.array, self.y = problem, problem.arrays[k], y

    def element(self, index: tuple[int, ...], h: float) -> Sample:
        """The sample along one element of the input."""
        array, before = self.array, float(self.array[index])
        try:
            array[index] = before + h
            high = float(array[index]) - before  # what the step is after rounding
            up = self.problem.value()
            array[index] = before - h
            low = before - float(array[index])
            down = self.problem.value()
        finally:
            array[index] = before
        return Sample(down, self.y, up, low, high)

    def along(self, direction: Any, h: float) -> Sample:
        """The sample along a direction in the space of the whole input."""
        before = self.array.copy()
        try:
            self.array[...] = before + h * direction
            up = self.problem.value()
            self.array[...] = before - h * direction
            down = self.problem.value()
        finally:
            self.array[...] = before
        return Sample(down, self.y, up, h, h)


def kinks(sample: Any, suspicious: Any, again: Any, h: float) -> Any:
    """Which of the suspicious outputs (M,) have a kink within h; `again(h)` samples once more."""
    found = sample.edge.copy()
    if not suspicious.any():
        return found
    near = again(h / RATIO)
    # Curvature makes the jump proportional to h. A kink at x leaves it as it is, a jump of the
    # function itself makes it grow, and a kink between x and x + h makes it vanish faster.
    with np.errstate(invalid="ignore"):
        steady = near.jump > sample.jump / 3
        vanishing = near.jump < sample.jump / (2 * RATIO)
        loud = sample.jump > 20 * sample.noise
    return found | (suspicious & loud & (steady | vanishing))


def sweep(measure: Any, got: float, eps: float) -> Sweep:
    """Measure one derivative (`measure(h)`) with step sizes from 0.1 down to 1e-12."""
    steps = [10.0**-k for k in range(1, 13)]
    values = [float(measure(h)) for h in steps]
    change = np.abs(np.diff(values))
    change = np.where(np.isfinite(change), change, np.inf)
    k = int(np.argmin(change))  # the neighbours that agree best: past truncation, before rounding
    return Sweep(
        steps, values, got, settled=values[k + 1], best_step=steps[k + 1], spread=float(change[k])
    )
