import itertools

import numpy as np
import pytest

import tinynet
from tinynet.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    get_worker_info,
)


class Numbered(Dataset):
    """Item i is (i as an array, i)."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return np.full(3, index, np.float32), index


class Stream(IterableDataset):
    """0 ... n - 1, dealt out to the workers in turn."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return iter(range(first, self.n, step))

    def __len__(self):
        return self.n


WORKERS = pytest.mark.parametrize("workers", [0, 2])


def labels(loader):
    return [label for _, batch in loader for label in batch.tolist()]


@WORKERS
def test_batches_in_order(workers):
    loader = DataLoader(Numbered(7), batch_size=3, num_workers=workers)
    batches = list(loader)
    assert [batch[1].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [batch[0].shape for batch in batches] == [(3, 3), (3, 3), (1, 3)]
    assert batches[1][0].tolist() == [[3] * 3, [4] * 3, [5] * 3]
    assert len(loader) == 3


@WORKERS
def test_drop_last(workers):
    loader = DataLoader(Numbered(7), 3, drop_last=True, num_workers=workers)
    assert labels(loader) == [0, 1, 2, 3, 4, 5]
    assert len(loader) == 2


@WORKERS
def test_shuffle_gives_every_item_once_in_a_new_order(workers):
    tinynet.manual_seed(5)
    loader = DataLoader(Numbered(50), 8, shuffle=True, num_workers=workers)
    first, second = labels(loader), labels(loader)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != list(range(50))
    tinynet.manual_seed(5)
    assert labels(loader) == first


def test_the_order_does_not_depend_on_the_number_of_workers():
    orders = []
    for workers, persistent in ((0, False), (1, False), (3, False), (2, True)):
        tinynet.manual_seed(1)
        loader = DataLoader(
            Numbered(40), 4, True, num_workers=workers, persistent_workers=persistent
        )
        orders.append([labels(loader), labels(loader), tinynet.rand(1).item()])
    assert all(order == orders[0] for order in orders)


def test_generator_decides_the_order_alone():
    orders = []
    for seed in (0, 1):
        tinynet.manual_seed(seed)
        generator = tinynet.Generator().manual_seed(7)
        orders.append(labels(DataLoader(Numbered(20), 4, True, generator=generator)))
    assert orders[0] == orders[1]


def test_single_items():
    items = list(DataLoader(Numbered(3), batch_size=None))
    assert [label for _, label in items] == [0, 1, 2]
    assert isinstance(items[2][0], tinynet.Tensor)
    assert items[2][0].tolist() == [2, 2, 2]


def test_own_samplers_and_collation():
    assert labels(DataLoader(Numbered(9), 2, sampler=[8, 0, 8])) == [8, 0, 8]
    batches = BatchSampler(SequentialSampler(range(5)), 4)
    loader = DataLoader(Numbered(5), batch_sampler=batches, collate_fn=len)
    assert list(loader) == [4, 1]
    assert loader.batch_size is None
    assert len(loader) == 2


@WORKERS
def test_getitems_is_used(workers):
    class Many(Numbered):
        def __getitems__(self, indices):
            return [-i for i in indices]

    batches = list(DataLoader(Many(4), 2, num_workers=workers))
    assert [batch.tolist() for batch in batches] == [[0, -1], [-2, -3]]


@WORKERS
def test_iterable_dataset(workers):
    loader = DataLoader(Stream(10), batch_size=4, num_workers=workers)
    batches = [batch.tolist() for batch in loader]
    expected = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    if workers:
        expected = [[0, 2, 4, 6], [1, 3, 5, 7], [8], [9]]
    assert batches == expected
    assert [batch.tolist() for batch in loader] == expected
    assert len(loader) == 3


@WORKERS
def test_iterable_dataset_drop_last_and_single_items(workers):
    dropped = DataLoader(Stream(11), 4, drop_last=True, num_workers=workers)
    assert [b.tolist() for b in dropped] == (
        [[0, 2, 4, 6], [1, 3, 5, 7]] if workers else [[0, 1, 2, 3], [4, 5, 6, 7]]
    )
    singles = DataLoader(Stream(5), batch_size=None, num_workers=workers)
    assert list(singles) == [0, 1, 2, 3, 4]


def test_iterable_dataset_that_never_ends():
    class Endless(IterableDataset):
        def __iter__(self):
            return itertools.count()

    batches = itertools.islice(DataLoader(Endless(), 2), 3)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2, 3], [4, 5]]


def test_tensor_dataset_equals_its_items_one_by_one():
    tinynet.manual_seed(0)
    x, y = tinynet.randn(10, 2, 3), tinynet.arange(10)
    for dataset in (TensorDataset(x, y), Subset(TensorDataset(x, y), [9, 2, 2, 5, 7])):
        loader = DataLoader(dataset, 4)
        slow = DataLoader(dataset, 4, collate_fn=lambda batch: default_collate(batch))
        for fast_batch, slow_batch in zip(loader, slow, strict=True):
            assert type(fast_batch) is list
            for fast, reference in zip(fast_batch, slow_batch, strict=True):
                assert fast.dtype == reference.dtype
                np.testing.assert_array_equal(fast.numpy(), reference.numpy())


def test_tensor_dataset_is_indexed_once_per_batch():
    calls = []

    class Watched(tinynet.Tensor):
        def __getitem__(self, index):
            calls.append(index)
            return super().__getitem__(index)

    x = Watched(tinynet.zeros(10, 2))
    assert len(list(DataLoader(TensorDataset(x), 5))) == 2
    assert len(calls) == 2


def test_subclass_of_tensor_dataset_keeps_its_own_items():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return [2 * tensor for tensor in super().__getitem__(index)]

    (batch,) = next(iter(DataLoader(Doubled(tinynet.arange(4)), 4)))
    assert batch.tolist() == [0, 2, 4, 6]


def test_gradients_reach_a_dataset_of_tensors():
    x = tinynet.ones(4, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(x), 2):
        batch.sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 1]


MISTAKES = [
    {"num_workers": -1},
    {"timeout": -1},
    {"prefetch_factor": 2},
    {"num_workers": 1, "prefetch_factor": -2},
    {"persistent_workers": True},
    {"sampler": [0], "shuffle": True},
    {"batch_sampler": [[0]], "batch_size": 2},
    {"batch_sampler": [[0]], "drop_last": True},
    {"batch_size": None, "drop_last": True},
    {"batch_size": 0},
    {"multiprocessing_context": "fork"},
    {"multiprocessing_context": "spoon", "num_workers": 1},
]


@pytest.mark.parametrize("arguments", MISTAKES, ids=str)
def test_mistakes_are_pytorchs(arguments):
    data = pytest.importorskip("torch.utils.data")
    with pytest.raises(ValueError, match=r"\w") as expected:
        data.DataLoader([1, 2, 3], **arguments)
    with pytest.raises(ValueError, match=r"\w") as got:
        DataLoader([1, 2, 3], **arguments)
    assert str(got.value) == str(expected.value)


def test_mistakes_with_an_iterable_dataset():
    for name, value in (("shuffle", True), ("sampler", [0]), ("batch_sampler", [[0]])):
        with pytest.raises(ValueError, match=f"expected unspecified {name} option, but got"):
            DataLoader(Stream(3), **{name: value})
    assert len(DataLoader(Stream(3), shuffle=False)) == 3


def test_settled_attributes_cannot_be_changed():
    loader = DataLoader(Numbered(3))
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader"):
        loader.batch_size = 2
    loader.num_workers = 0
    assert loader.batch_size == 1


def test_batches_are_pytorchs():
    data = pytest.importorskip("torch.utils.data")
    for arguments in ({"batch_size": 3}, {"batch_size": 4, "drop_last": True}, {"sampler": [2, 1]}):
        expected = [(x.tolist(), y.tolist()) for x, y in data.DataLoader(Numbered(8), **arguments)]
        got = [(x.tolist(), y.tolist()) for x, y in DataLoader(Numbered(8), **arguments)]
        assert got == expected
