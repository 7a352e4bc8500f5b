"""A learning rate by trying them all (Smith 2017, "Cyclical Learning Rates", arXiv:1506.01186)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..random import default_generator
from ..tensor import Tensor

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class RateSearch:
    """What `find_lr` saw: rates (n,), the losses before each step (n,), and these smoothed (n,)."""

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls most steeply over log rate.

        Raises ValueError if it never fell.
        """
        bottom = int(np.argmin(self.smoothed))
        if bottom == 0:
            raise ValueError("find_lr: the loss did not fall at any rate; begin with a lower one.")
        log_rates = np.log(self.rates[: bottom + 1])
        slope = np.diff(self.smoothed[: bottom + 1]) / np.diff(log_rates)
        return float(self.rates[int(np.argmin(slope))])


def find_lr(
    model: Any,
    optimizer: Any,
    criterion: Any,
    batches: Batches,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
) -> RateSearch:
    """Train a copy for some steps while the learning rate grows from lowest to highest.

    It grows by equal factors. Where the loss falls fastest is a good rate to begin with
    (`suggestion`); where it rises again is too much. Losses are smoothed by an exponential mean,
    whose start is corrected. The search ends early where the smoothed loss is above four times
    its least, or not finite.

    criterion: a loss of the model's outputs and the targets.
    batches: (inputs, targets), such as a DataLoader; gone through as often as needed.
    Model and optimizer stay as they are, and so does the random stream.
    """
    if not (0 < lowest < highest and steps > 1):
        raise ValueError("find_lr: 0 < lowest < highest and at least 2 steps are needed.")
    stream = default_generator.get_state()
    try:
        # copied together, so that the copied optimizer has the copied parameters
        model, optimizer = copy.deepcopy((model, optimizer))
        model.train()
        rates, losses, smoothed = np.geomspace(lowest, highest, steps), [], []
        mean, least = 0.0, math.inf
        for rate, (x, y) in zip(rates, _again_and_again(batches), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = float(rate)
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            if not math.isfinite(loss.item()):
                break
            losses.append(loss.item())
            mean = smoothing * mean + (1 - smoothing) * losses[-1]
            smoothed.append(mean / (1 - smoothing ** len(losses)))
            least = min(least, smoothed[-1])
            if smoothed[-1] > 4 * least:
                break
            loss.backward()
            optimizer.step()
    finally:
        default_generator.set_state(stream)
    return RateSearch(rates[: len(losses)], np.array(losses), np.array(smoothed))


def _again_and_again(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """All batches over and over; an iterator that is used up ends it."""
    while True:
        found = False
        for batch in batches:
            found = True
            yield batch
        if not found:
            return
