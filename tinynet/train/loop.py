"""The training loop: forward, loss, backward, step; and the test."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import metrics
from ..autograd import no_grad
from ..nn import functional as F
from ..random import default_generator
from ..tensor import Tensor


def train_epoch(
    model: Any,
    optimizer: Any,
    schedule: Any,
    x: Tensor,
    y: Tensor,
    batch_size: int,
    on_batch: Callable[[int, float, float], None] = lambda images, loss, accuracy: None,
) -> tuple[float, float]:
    """Show the network every image once, in a new random order; returns loss and accuracy.

    As `train_batches`, for images in memory.
    """
    return train_batches(model, optimizer, schedule, shuffled(x, y, batch_size), on_batch)


def train_batches(
    model: Any,
    optimizer: Any,
    schedule: Any,
    batches: Iterable[tuple[Tensor, Tensor]],
    on_batch: Callable[[int, float, float], None] = lambda images, loss, accuracy: None,
    micro_batch: int | None = None,
) -> tuple[float, float]:
    """One step of the optimizer and the schedule per batch; returns loss and accuracy.

    Both are means over the epoch, measured while the network learns. A last batch of one image
    is left out, as batch norm has nothing to normalise there.
    micro_batch: the most images that go through the network at once. A batch's loss is the mean of
        its parts' weighted by their sizes, so without batch norm the gradient is the same.
    on_batch: called after each step with the images so far, the mean loss and accuracy so far.
    """
    training_mode(model)
    seen = 0
    sums = _Sums()
    for x, y in batches:
        n = len(x)
        if n == 1 < seen:
            break
        optimizer.zero_grad()
        # parts of nearly equal size: batch norm cannot do with a last part of one image
        count = math.ceil(n / (micro_batch or n))
        for part in np.array_split(np.arange(n), count):
            inside = slice(int(part[0]), int(part[-1]) + 1)
            target = y[inside]
            scores = model(x[inside])
            loss = F.cross_entropy(scores, target)
            (loss if count == 1 else loss * (len(part) / n)).backward()
            sums.add(loss.detach(), (scores.detach().argmax(dim=1) == target).sum(), len(part))
        optimizer.step()
        schedule.step()
        seen += n
        if sums.due():
            total_loss, right = sums.read()
            on_batch(seen, total_loss / seen, right / seen)
    total_loss, right = sums.read()
    return total_loss / seen, right / seen


READ_EVERY = 20  # batches; on a GPU


class _Sums:
    """The sums of loss and right answers, read from a GPU only now and then.

    To read a number is to wait until it has been computed, and meanwhile the GPU gets no work.
    """

    def __init__(self) -> None:
        self._loss, self._right = 0.0, 0
        self._waiting: list[tuple[Tensor, Tensor, int]] = []

    def add(self, loss: Tensor, right: Tensor, images: int) -> None:
        """The mean loss and the right answers of some images."""
        self._waiting.append((loss, right, images))

    def due(self) -> bool:
        """True if it is time to read them."""
        return not self._waiting[-1][0].is_cuda or len(self._waiting) >= READ_EVERY

    def read(self) -> tuple[float, int]:
        """The sum of the losses of all images so far, and the number of right answers."""
        for loss, right, images in self._waiting:
            self._loss += loss.item() * images
            self._right += int(right.item())
        self._waiting.clear()
        return self._loss, self._right


def training_mode(model: Any) -> None:
    """Training mode, but evaluation mode for frozen parts.

    A module whose parameters all stay as they are keeps its running statistics too: batch norm
    would otherwise change what the frozen features are.
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def shuffled(x: Tensor, y: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All rows once, in a new random order."""
    order = default_generator.numpy.permutation(len(x))
    for start in range(0, len(x), batch_size):
        rows = order[start : start + batch_size]
        yield x[rows], y[rows]


def in_order(x: Tensor, y: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All rows in their order."""
    for i in range(0, len(x), batch_size):
        yield x[i : i + batch_size], y[i : i + batch_size]


@dataclass(frozen=True)
class Evaluation:
    """How a network does on images: mean loss, accuracy, and its probabilities (N, classes)."""

    loss: float
    accuracy: float
    probabilities: np.ndarray


def evaluate(model: Any, x: Tensor, y: Tensor, batch_size: int = 250) -> Evaluation:
    """Test the network in evaluation mode; it is left in that mode."""
    return evaluate_batches(model, in_order(x, y, batch_size))


def evaluate_batches(model: Any, batches: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
    """Test the network in evaluation mode, remembering nothing for backward."""
    from ..ops.shape import cat

    model.eval()
    with no_grad():
        parts = [(model(x), y) for x, y in batches]
        scores, targets = (cat(list(tensors), dim=0) for tensors in zip(*parts))
        loss = F.cross_entropy(scores, targets).item()
        probabilities = F.softmax(scores, dim=1).cpu().numpy()
    return Evaluation(loss, metrics.accuracy(probabilities, targets.cpu().numpy()), probabilities)


def predict(model: Any, x: Tensor, batch_size: int = 250) -> Tensor:
    """The network's scores (N, classes), computed without remembering anything."""
    from ..ops.shape import cat

    model.eval()
    with no_grad():
        parts = [model(x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        return cat(parts, dim=0)


def peak_memory() -> int | None:
    """The most bytes of memory this process has had at once; None where that is not known."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
