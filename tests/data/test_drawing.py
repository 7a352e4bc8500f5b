"""Weighted samples, splits drawn anew, chains."""

import numpy as np
import pytest

import tinynet
from tinynet.utils.data import (
    ChainDataset,
    DataLoader,
    IterableDataset,
    TensorDataset,
    WeightedRandomSampler,
    redrawn_splits,
)


def test_weights_are_proportions():
    generator = tinynet.Generator().manual_seed(0)
    sampler = WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=generator)
    drawn = list(sampler)
    assert len(sampler) == len(drawn) == 4000
    counts = np.bincount(drawn, minlength=3)
    assert counts[0] == 0
    assert counts[2] / counts[1] == pytest.approx(3, rel=0.1)
    generator.manual_seed(0)
    assert drawn == list(sampler)


def test_without_replacement_each_comes_once():
    tinynet.manual_seed(0)
    sampler = WeightedRandomSampler(tinynet.tensor([1.0, 100.0, 1.0, 0.0]), 3, replacement=False)
    orders = [list(sampler) for _ in range(50)]
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert sum(order[0] == 1 for order in orders) > 40
    batches = DataLoader(TensorDataset(tinynet.arange(4)), 2, sampler=sampler)
    assert [len(batch) for (batch,) in batches] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], 0), "num_samples should be a positive integer"),
        (([1.0], 1, 2), "replacement should be a boolean"),
        (([[1.0]], 1), "should be a 1d sequence"),
        (([-1.0, 2.0], 1), "not negative"),
        (([0.0], 1), "not all zero"),
        (([1.0, 0.0], 2, False), "only 1 weights are positive"),
    ],
)
def test_weights_that_cannot_be_drawn_with(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightedRandomSampler(*arguments)


def test_splits_are_drawn_anew():
    tinynet.manual_seed(0)
    data = TensorDataset(tinynet.arange(50))
    tests = []
    for train, test in redrawn_splits(data, [0.8, 0.2], times=4):
        assert (len(train), len(test)) == (40, 10)
        assert sorted([*train.indices, *test.indices]) == list(range(50))
        tests.append(tuple(sorted(test.indices)))
    assert len(set(tests)) == 4
    first = [
        [part.indices for part in parts]
        for parts in redrawn_splits(data, [40, 10], 2, tinynet.Generator().manual_seed(1))
    ]
    again = [
        [part.indices for part in parts]
        for parts in redrawn_splits(data, [40, 10], 2, tinynet.Generator().manual_seed(1))
    ]
    assert first == again


class Count(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


def test_chain():
    chain = ChainDataset([Count(2), Count(3)])
    assert list(chain) == list(Count(2) + Count(3)) == [0, 1, 0, 1, 2]
    assert len(chain) == 5
    assert [batch.tolist() for batch in DataLoader(chain, 2)] == [[0, 1], [0, 1], [2]]
    with pytest.raises(AssertionError, match="only supports IterableDataset"):
        ChainDataset([[1, 2]])
