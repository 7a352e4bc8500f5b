"""Training a network that answers with numbers instead of classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..autograd import no_grad
from ..tensor import Tensor

Pairs = Iterable[tuple[Tensor, Tensor]]


def fit_epoch(model: Any, criterion: Any, optimizer: Any, batches: Pairs) -> float:
    """One pass over the batches (images, values), one step each; returns the mean loss.

    criterion: a loss of predictions and values of the same shape (N, outputs), such as MSELoss.
    """
    model.train()
    total, seen = 0.0, 0
    for images, values in batches:
        optimizer.zero_grad()
        loss = criterion(model(images), values)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
        seen += len(images)
    return total / seen


def evaluation_loss(model: Any, criterion: Any, batches: Pairs) -> float:
    """The mean loss in evaluation mode, remembering nothing for backward."""
    model.eval()
    total, seen = 0.0, 0
    with no_grad():
        for images, values in batches:
            total += criterion(model(images), values).item() * len(images)
            seen += len(images)
    return total / seen
