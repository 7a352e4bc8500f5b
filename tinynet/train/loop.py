"""The training loop: forward, loss, backward, step; and the test."""

from __future__ import annotations

from collections.abc import Callable
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

    Both are means over the epoch, measured while the network learns. A last batch of one image
    is left out, as batch norm has nothing to normalise there.
    on_batch: called after each step with the images so far, the mean loss and accuracy so far.
    """
    model.train()
    order = default_generator.numpy.permutation(len(x))
    seen, total_loss, right = 0, 0.0, 0
    for start in range(0, len(x), batch_size):
        rows = order[start : start + batch_size]
        if len(rows) == 1 < batch_size and seen:
            break
        target = y[rows]
        scores = model(x[rows])
        loss = F.cross_entropy(scores, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

        seen += len(rows)
        total_loss += loss.item() * len(rows)
        right += int((scores.argmax(dim=1) == target).sum().item())
        on_batch(seen, total_loss / seen, right / seen)
    return total_loss / seen, right / seen


@dataclass(frozen=True)
class Evaluation:
    """How a network does on images: mean loss, accuracy, and its probabilities (N, classes)."""

    loss: float
    accuracy: float
    probabilities: np.ndarray


def evaluate(model: Any, x: Tensor, y: Tensor, batch_size: int = 250) -> Evaluation:
    """Test the network in evaluation mode; it is left in that mode."""
    scores = predict(model, x, batch_size)
    loss = F.cross_entropy(scores, y).item()
    probabilities = F.softmax(scores, dim=1).cpu().numpy()
    return Evaluation(loss, metrics.accuracy(probabilities, y.cpu().numpy()), probabilities)


def predict(model: Any, x: Tensor, batch_size: int = 250) -> Tensor:
    """The network's scores (N, classes), computed without remembering anything."""
    from ..ops.shape import cat

    model.eval()
    with no_grad():
        parts = [model(x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        return cat(parts, dim=0)
