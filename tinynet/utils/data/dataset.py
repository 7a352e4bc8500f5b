"""Datasets: something with items, and the ways to put them together and take them apart."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from ...random import Generator, default_generator
from ...tensor import Tensor

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Items by number: a subclass writes `__getitem__(index)` and, for most uses, `__len__()`."""

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Items one after another: a subclass writes `__iter__()`.

    With several workers each has its own copy, and `get_worker_info()` tells it which share of the
    items to give; without that every item comes once per worker.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ChainDataset([self, other])


class ChainDataset(IterableDataset[T_co]):
    """Iterable datasets one behind another; each worker goes through all of them."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not all(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ChainDataset only supports IterableDataset")

    def __iter__(self) -> Iterator[T_co]:
        for dataset in self.datasets:
            yield from cast("IterableDataset[T_co]", dataset)

    def __len__(self) -> int:
        return sum(_length(dataset) for dataset in self.datasets)


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of equal first dimension; item i is the tuple of their i-th rows."""

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        if any(tensor.shape[0] != tensors[0].shape[0] for tensor in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class StackDataset(Dataset[Any]):
    """Datasets side by side: item i is the tuple, or the dict, of their items i.

    Raises ValueError unless all have one length and all are given in one way.
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError(
                "StackDataset takes datasets as positional arguments, or as keywords, not both"
            )
        self.datasets: Any = kwargs or args
        lengths = {_length(dataset) for dataset in (kwargs.values() or args)}
        if len(lengths) != 1:
            raise ValueError(f"Size mismatch between datasets: {sorted(lengths)}")
        self._length = lengths.pop()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Datasets one behind another."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(_length(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - start]


class Subset(Dataset[T_co]):
    """The items of a dataset at `indices`, in that order."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[T_co],
    lengths: Sequence[int | float],
    generator: Generator | None = None,
) -> list[Subset[T_co]]:
    """Deal the items of a dataset out at random into subsets that share none.

    lengths: how many items each subset gets, or fractions that add up to 1 (rounded down, and what
        remains is dealt out from the first subset on).
    Raises ValueError if the lengths do not add up to the dataset's.
    """
    size = _length(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {i} is not between 0 and 1")
        counts = [math.floor(size * fraction) for fraction in lengths]
        for i in range(size - sum(counts)):
            counts[i % len(counts)] += 1
        for i, count in enumerate(counts):
            if count == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.",
                    stacklevel=2,
                )
    else:
        counts = cast("list[int]", list(lengths))
    if sum(counts) != size:
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = (generator or default_generator).numpy.permutation(size).tolist()
    return [
        Subset(dataset, order[stop - count : stop])
        for stop, count in zip(itertools.accumulate(counts), counts, strict=True)
    ]


def redrawn_splits(
    dataset: Dataset[T_co],
    lengths: Sequence[int | float],
    times: int,
    generator: Generator | None = None,
) -> Iterator[list[Subset[T_co]]]:
    """A new `random_split` each time it is asked for the next, `times` in all: one per epoch.

    for train, test in redrawn_splits(dataset, [0.8, 0.2], epochs): ...

    An item is then sometimes trained on and sometimes tested with, so a test says how well the
    network fits, not how well it does on what it has never seen.
    """
    for _ in range(times):
        yield random_split(dataset, lengths, generator)


def _length(dataset: Any) -> int:
    return len(dataset)
