"""From indices to a batch: the part of a `DataLoader` that runs in its workers, or without any."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .collate import default_collate
from .dataset import IterableDataset, Subset, TensorDataset


@dataclass(frozen=True)
class FetchPlan:
    """How a loader makes a batch; small enough to be sent to a worker once."""

    dataset: Any
    batched: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool

    @property
    def iterable(self) -> bool:
        """True if the dataset has no indices, only an order."""
        return isinstance(self.dataset, IterableDataset)

    def fetcher(self) -> Callable[[Any], Any]:
        """A function from indices to a batch, for one pass; StopIteration ends an iterable's."""
        if self.iterable:
            items = iter(self.dataset)
            return lambda indices: self._next(items, indices)
        if self.batched:
            return self._batch
        return lambda index: self.collate_fn(self.dataset[index])

    def _next(self, items: Any, indices: Any) -> Any:
        if not self.batched:
            return self.collate_fn(next(items))
        batch = list(itertools.islice(items, len(indices)))
        if not batch or (self.drop_last and len(batch) < len(indices)):
            raise StopIteration
        return self.collate_fn(batch)

    def _batch(self, indices: list[int]) -> Any:
        if self.collate_fn is default_collate:
            batch = _rows(self.dataset, indices)
            if batch is not None:
                return batch
        get_many = getattr(self.dataset, "__getitems__", None)
        if get_many:
            return self.collate_fn(get_many(indices))
        return self.collate_fn([self.dataset[index] for index in indices])


def _rows(dataset: Any, indices: list[int]) -> Any:
    """A TensorDataset's batch by indexing each tensor once, not item by item; None for others."""
    while type(dataset) is Subset:
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    # a subclass may have a __getitem__ of its own
    if type(dataset) is not TensorDataset:
        return None
    rows = np.asarray(indices, np.int64)
    return [tensor[rows] for tensor in dataset.tensors]
