import numpy as np
import pytest

import tinynet
from tinynet.utils.data import (
    BatchSampler,
    ConcatDataset,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    random_split,
)


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if not -self.n <= index < self.n:
            raise IndexError(index)
        return index**2


def items(dataset):
    return [dataset[i] for i in range(len(dataset))]


def test_tensor_dataset():
    x, y = tinynet.arange(6).reshape(3, 2), tinynet.tensor([0.5, 1.5, 2.5])
    dataset = TensorDataset(x, y)
    assert len(dataset) == 3
    row, value = dataset[1]
    assert row.tolist() == [2, 3]
    assert value.item() == 1.5


def test_tensor_dataset_wants_equal_lengths():
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        TensorDataset(tinynet.zeros(3), tinynet.zeros(4))


def test_dataset_without_getitem():
    with pytest.raises(NotImplementedError, match="should implement __getitem__"):
        Dataset()[0]


def test_concatenation():
    joined = Squares(3) + Squares(2)
    assert isinstance(joined, ConcatDataset)
    assert items(joined) == [0, 1, 4, 0, 1]
    assert joined[-1] == 1
    assert joined[-5] == 0
    assert joined.cumulative_sizes == [3, 5]
    with pytest.raises(ValueError, match="absolute value of index"):
        joined[-6]
    with pytest.raises(AssertionError, match="should not be an empty iterable"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        ConcatDataset([IterableDataset()])


def test_subset():
    subset = Subset(Squares(10), [3, 1, 4])
    assert items(subset) == [9, 1, 16]
    assert items(Subset(subset, [2, 0])) == [16, 9]


def test_random_split_by_lengths_shares_nothing_and_loses_nothing():
    parts = random_split(range(20), [12, 5, 3], tinynet.Generator().manual_seed(1))
    assert [len(part) for part in parts] == [12, 5, 3]
    assert sorted(item for part in parts for item in items(part)) == list(range(20))
    assert items(parts[0]) != sorted(items(parts[0]))


@pytest.mark.parametrize(
    ("n", "fractions", "lengths"),
    [(10, [0.5, 0.5], [5, 5]), (11, [0.5, 0.3, 0.2], [6, 3, 2]), (7, [0.3, 0.3, 0.4], [3, 2, 2])],
)
def test_random_split_by_fractions(n, fractions, lengths):
    assert [len(part) for part in random_split(range(n), fractions)] == lengths


def test_random_split_is_reproducible():
    splits = [
        items(random_split(range(50), [25, 25], tinynet.Generator().manual_seed(seed))[0])
        for seed in (1, 1, 2)
    ]
    assert splits[0] == splits[1] != splits[2]
    tinynet.manual_seed(3)
    first = items(random_split(range(50), [25, 25])[0])
    tinynet.manual_seed(3)
    assert items(random_split(range(50), [25, 25])[0]) == first


def test_random_split_refuses_what_does_not_add_up():
    with pytest.raises(ValueError, match="Sum of input lengths does not equal"):
        random_split(range(10), [3, 3])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        random_split(range(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(range(1), [0.5, 0.5])


def test_random_split_lengths_are_pytorchs():
    data = pytest.importorskip("torch.utils.data")
    for n, fractions in ((10, [0.33, 0.67]), (13, [0.1, 0.2, 0.7]), (101, [0.25] * 4)):
        expected = [len(part) for part in data.random_split(range(n), fractions)]
        assert [len(part) for part in random_split(range(n), fractions)] == expected


def test_random_sampler_gives_every_item_once():
    tinynet.manual_seed(0)
    sampler = RandomSampler(range(100))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    tinynet.manual_seed(0)
    assert list(sampler) == first
    assert len(sampler) == 100


def test_random_sampler_beyond_the_dataset():
    drawn = list(RandomSampler(range(4), num_samples=10))
    assert [sorted(drawn[:4]), sorted(drawn[4:8])] == [[0, 1, 2, 3]] * 2
    assert len(drawn) == 10


def test_random_sampler_with_replacement():
    drawn = list(RandomSampler(range(3), True, 200, tinynet.Generator().manual_seed(0)))
    counts = np.bincount(drawn, minlength=3)
    assert counts.sum() == 200
    assert counts.min() > 40


def test_samplers_refuse_nonsense():
    with pytest.raises(TypeError, match="replacement should be a boolean value, but got"):
        RandomSampler(range(3), replacement=1)
    with pytest.raises(ValueError, match="num_samples should be a positive integer value, but got"):
        RandomSampler(range(3), num_samples=0)
    with pytest.raises(ValueError, match="num_samples=0"):
        RandomSampler([])
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="batch_size should be a positive integer value"):
            BatchSampler(range(3), wrong)
    with pytest.raises(ValueError, match="drop_last should be a boolean value, but got drop_last"):
        BatchSampler(range(3), 2, drop_last=1)


def test_sequential_and_subset_samplers():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    generator = tinynet.Generator().manual_seed(0)
    sampler = SubsetRandomSampler([5, 7, 9], generator)
    assert sorted(sampler) == [5, 7, 9]
    assert len({tuple(sampler) for _ in range(20)}) > 1


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("n", "size"), [(0, 3), (1, 3), (6, 3), (7, 3), (2, 1)])
def test_batch_sampler(n, size, drop_last):
    batches = BatchSampler(SequentialSampler(range(n)), size, drop_last)
    expected = [list(range(i, min(i + size, n))) for i in range(0, n, size)]
    if drop_last:
        expected = [batch for batch in expected if len(batch) == size]
    assert list(batches) == expected
    assert len(batches) == len(expected)
