from collections import OrderedDict, UserDict, namedtuple

import numpy as np
import pytest

import tinynet
from tinynet.tensor import Tensor
from tinynet.utils.data import default_collate, default_convert

Point = namedtuple("Point", "x y")


def described(value, framework):
    """The structure of a batch, with tensors as (dtype, shape, values)."""
    if isinstance(value, framework.Tensor):
        return str(value.dtype).split(".")[-1], tuple(value.shape), value.tolist()
    if isinstance(value, dict | UserDict):
        return type(value).__name__, {k: described(v, framework) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [described(v, framework) for v in value]
    return value


BATCHES = [
    [1, 2, 3],
    [True, False],
    [1.5, 2.5],
    ["a", "b"],
    [b"a", b"b"],
    [np.float32(1), np.float32(2)],
    [np.int16(1), np.int16(2)],
    [np.bool_(True), np.bool_(False)],
    [np.arange(3), np.arange(3) + 1],
    [np.ones((2, 1), np.float32)] * 2,
    [np.array(1.5), np.array(2.5)],
    [(1, 2.0, "x"), (3, 4.0, "y")],
    [[1, 2], [3, 4]],
    [{"a": 1, "b": np.zeros(2)}, {"a": 2, "b": np.ones(2)}],
    [OrderedDict(a=1), OrderedDict(a=2)],
    [UserDict(a=1), UserDict(a=2)],
    [Point(1, 2.0), Point(3, 4.0)],
    [(np.zeros((1, 2), np.float32), {"label": (1, [2, 3])})] * 3,
]


@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("function", ["default_collate", "default_convert"])
def test_agrees_with_pytorch(batch, function):
    torch = pytest.importorskip("torch")
    expected = getattr(torch.utils.data, function)(batch)
    got = {"default_collate": default_collate, "default_convert": default_convert}[function](batch)
    assert described(got, tinynet) == described(expected, torch)


def test_by_hand():
    x, label = default_collate(
        [(np.array([1.0, 2.0], np.float32), 3), (np.zeros(2, np.float32), 4)]
    )
    assert isinstance(x, Tensor)
    assert x.dtype == tinynet.float32
    assert x.tolist() == [[1, 2], [0, 0]]
    assert label.dtype == tinynet.int64
    assert label.tolist() == [3, 4]


def test_tensors_are_stacked():
    batch = default_collate([tinynet.tensor([1.0, 2.0]), tinynet.tensor([3.0, 4.0])])
    assert batch.tolist() == [[1, 2], [3, 4]]
    assert default_convert({"a": tinynet.ones(2)})["a"].tolist() == [1, 1]


def test_a_batch_does_not_share_memory_with_its_items():
    item = np.zeros(2)
    default_collate([item]).numpy()[:] = 1
    assert item.tolist() == [0, 0]


def test_refusals():
    with pytest.raises(TypeError, match="batch must contain tensors, numpy arrays, numbers, dicts"):
        default_collate([object(), object()])
    with pytest.raises(TypeError, match="found <U1"):
        default_collate([np.array(["a"])])
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        default_collate([[1], [1, 2]])
    with pytest.raises(RuntimeError, match="equal"):
        default_collate([np.zeros(2), np.zeros(3)])
