"""Tensors themselves: dtypes, conversion, printing, operators; compared with PyTorch."""

import copy
import itertools
import multiprocessing
import pickle

import numpy as np
import pytest

import tinynet as tn

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")

DTYPES = ["float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
@pytest.mark.parametrize(("ndim_a", "ndim_b"), [(1, 1), (0, 1), (1, 0), (0, 0)])
def test_type_promotion(a, b, ndim_a, ndim_b):
    def result(lib):
        x = lib.ones([2] * ndim_a, dtype=getattr(lib, a))
        y = lib.ones([2] * ndim_b, dtype=getattr(lib, b))
        return [str((f(x, y)).dtype).split(".")[1] for f in (lib.mul, lib.div, lib.maximum)]

    assert result(tn) == result(torch)


@pytest.mark.parametrize("number", [2, 2.5, True])
@pytest.mark.parametrize("d", DTYPES)
@pytest.mark.parametrize("ndim", [0, 1])
def test_promotion_with_python_numbers(d, number, ndim):
    def result(lib):
        x = lib.ones([2] * ndim, dtype=getattr(lib, d))
        y = [x * number, number * x, x / number, x + number, x**number]
        return [(str(z.dtype).split(".")[1], z.tolist()) for z in y]

    assert result(tn) == result(torch)


def test_numpy_scalars_never_promote():
    """float32 times a NumPy scalar becomes float64 in DeZero and MyGrad on NumPy 2."""
    x = tn.ones(2)
    for y in (x * np.float64(2), np.float64(2) * x, x / np.float64(3), x + np.int64(1)):
        assert y.dtype is tn.float32
        assert isinstance(y, tn.Tensor)


VALUES = [
    [1.0, 2.0, 3.0],
    [0.1, 1000.5, -3.25],
    [1e-5, 1.0],
    [1e10, 1.0],
    [float("nan"), float("inf"), -1.0],
    [[1.5, 2], [3, 4]],
    [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
    [1, -200, 3],
    [True, False],
    3.5,
    7,
    [],
    [[]],
    [0.0, -0.0],
]


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_printed_form(values):
    assert repr(tn.tensor(values)) == repr(torch.tensor(values))


def test_printed_form_of_long_and_special_tensors():
    def texts(lib):
        x = lib.arange(2000)
        y = lib.arange(3000, dtype=lib.float32).reshape(50, 60) / 7
        z = lib.ones(3, requires_grad=True)
        return [
            repr(t).replace("torch.", "tinynet.")
            for t in (
                x,
                y,
                z,
                z * 2,
                lib.ones(2, dtype=lib.float64),
                lib.zeros(2, dtype=lib.int32),
                lib.arange(30) * 1000,
                lib.linspace(0, 1, 40),
                lib.ones(1, 20, 7, 7),
                lib.zeros(0, 3),
            )
        ]

    assert texts(tn) == texts(torch)


def test_item_and_conversion():
    x = tn.tensor([[1.5]])
    assert (x.item(), float(x), int(x), bool(x), f"{x[0, 0]:.2f}") == (1.5, 1.5, 1, True, "1.50")
    assert tn.tensor([3]).__index__() == 3
    with pytest.raises(RuntimeError, match="2 elements cannot be converted to Scalar"):
        tn.ones(2).item()
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(tn.ones(2))
    with pytest.raises(TypeError, match="0-d"):
        len(tn.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(tn.tensor(1.0))
    assert [row.tolist() for row in tn.arange(4).reshape(2, 2)] == [[0, 1], [2, 3]]


def test_numpy_bridge():
    x = tn.arange(3.0)
    array = x.numpy()
    array[0] = 9
    assert x[0].item() == 9
    assert np.asarray(x).tolist() == [9, 1, 2]
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(RuntimeError, match=r"detach\(\).numpy\(\)"):
        tn.ones(1, requires_grad=True).numpy()
    source = np.zeros(2)
    assert np.shares_memory(tn.from_numpy(source).numpy(), source)
    assert isinstance(np.ones(2, np.float32) * tn.ones(2), tn.Tensor)


@pytest.mark.parametrize("name", ["float", "double", "long", "int", "short", "bool", "half"])
def test_converters(name):
    def convert(lib):
        y = getattr(lib.tensor([0.0, 1.7, -2.2]), name)()
        return str(y.dtype).split(".")[1], y.tolist()

    assert convert(tn) == convert(torch)


def test_to():
    x = tn.ones(2, requires_grad=True)
    assert x.to("cpu") is x
    assert x.to(tn.float64).dtype is tn.float64
    assert x.to(tn.ones(1, dtype=tn.float64)).dtype is tn.float64
    assert x.to("cpu", tn.float64).dtype is tn.float64
    assert x.to(dtype=tn.float32, copy=True) is not x
    assert x.type() == "tinynet.FloatTensor"
    assert x.type(tn.float64).type() == "tinynet.DoubleTensor"
    x.double().sum().backward()
    assert x.grad.dtype is tn.float32


def test_asking_for_a_gpu_without_one_gives_the_reason_and_the_cure():
    from tinynet.device import why_no_cuda

    if why_no_cuda() is None:
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match="CUDA was asked for, but"):
        tn.ones(2).cuda()
    with pytest.raises(RuntimeError, match="use device cpu"):
        tn.ones(2, device="cuda")
    with pytest.raises(RuntimeError, match="expected cpu or cuda"):
        tn.device("tpu")


def test_copies():
    x = tn.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    assert (y.requires_grad, y.grad.tolist(), y is x) == (True, [3, 3], False)
    assert not np.shares_memory(x.array, y.array)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(x * 2)
    z = pickle.loads(pickle.dumps(x))
    assert (z.tolist(), z.requires_grad, z.dtype) == ([1, 1], True, tn.float32)
    assert pickle.loads(pickle.dumps(tn.float64)) is tn.float64


def test_shape_is_a_size():
    x = tn.zeros(2, 3)
    assert x.shape == (2, 3)
    assert repr(x.shape) == "tinynet.Size([2, 3])"
    assert (x.shape.numel(), x.numel(), x.dim(), x.size(1), len(x)) == (6, 6, 2, 3, 2)
    assert x.t().stride() == (1, 3)
    assert not x.t().is_contiguous()


def test_operands_of_unequal_shapes_are_a_sentence():
    with pytest.raises(
        RuntimeError,
        match=r"add: The size of tensor a \(3\) must match the size of tensor b \(4\) at "
        r"non-singleton dimension 1; the shapes are \[2, 3\] and \[4\]",
    ):
        tn.ones(2, 3) + tn.ones(4)
    with pytest.raises(TypeError, match="cannot be combined with 'str'"):
        tn.ones(2) * "a"


def test_seeds_repeat():
    def numbers():
        tn.manual_seed(7)
        return [
            tn.rand(3).tolist(),
            tn.randn(3).tolist(),
            tn.randperm(9).tolist(),
            tn.empty(3).uniform_().tolist(),
            tn.empty(3).normal_().tolist(),
        ]

    assert numbers() == numbers()
    g = tn.Generator().manual_seed(3)
    state = g.get_state()
    first = tn.rand(4, generator=g).tolist()
    g.set_state(state)
    assert tn.rand(4, generator=g).tolist() == first
    assert tn.rand(4, generator=g).tolist() != first


def test_old_and_new_fill_methods():
    x = tn.zeros(1000)
    tn.manual_seed(0)
    assert abs(x.normal_(2, 0.5).mean().item() - 2) < 0.1
    assert 0.4 < x.bernoulli_(0.5).mean().item() < 0.6
    assert x.fill_(3).sum().item() == 3000
    assert x.zero_().sum().item() == 0
    assert x.new_ones(2, 2).tolist() == [[1, 1], [1, 1]]


def test_shared_memory_is_written_by_a_child():
    from tinynet import nn, optim

    model = nn.Linear(2, 1)
    before = [p.detach().clone() for p in model.parameters()]
    assert not model.weight.is_shared()
    assert model.share_memory() is model
    assert model.weight.is_shared()
    assert model.weight[0].is_shared()
    assert all(p.equal(was) for p, was in zip(model.parameters(), before, strict=True))

    def train():
        model(tn.ones(3, 2)).sum().backward()
        optim.SGD(model.parameters(), lr=1).step()

    process = multiprocessing.get_context("fork").Process(target=train)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert model.bias.item() == pytest.approx(before[1].item() - 3)
