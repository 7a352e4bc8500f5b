"""A Conv2d or a BatchNorm2d and the ReLU behind it in one pass: the same numbers, unnoticed."""

import numpy as np
import pytest
from tinynet.kernels.errors import ShapeError

import tinynet
from tinynet import kernels, nn
from tinynet.autograd import observe


def chain(**options):
    tinynet.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(**options), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.AvgPool2d(2), nn.Conv2d(8, 3, 2),
    )  # fmt: skip


def run(net, x):
    x = x.detach().requires_grad_()
    y = net(x)
    (y * y).sum().backward()
    return [y.detach().numpy(), x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]


@pytest.mark.parametrize("backend", ["reference", "cpu", "cuda-host"])
def test_the_same_bits(backend, monkeypatch):
    tinynet.manual_seed(1)
    x = tinynet.randn(3, 2, 24, 24)
    with kernels.use(backend):
        fused = run(chain(), x)
        monkeypatch.setattr(nn.Sequential, "fuses", False)
        for one, other in zip(fused, run(chain(), x), strict=True):
            np.testing.assert_array_equal(one, other)


def test_gradients_of_gradients():
    net = chain().double()
    x = tinynet.randn(1, 2, 6, 6).double().requires_grad_()
    assert tinynet.autograd.gradgradcheck(net, (x,))


def calls_of(net, monkeypatch, x):
    """How often ReLUs are called by themselves."""
    calls = []
    plain = nn.ReLU.forward
    monkeypatch.setattr(
        nn.ReLU, "forward", lambda self, x: calls.append(1) or plain(self, x), raising=True
    )
    net(x)
    return len(calls)


def test_only_where_nobody_looks(monkeypatch):
    x = tinynet.zeros(1, 2, 8, 8)
    assert calls_of(chain(), monkeypatch, x) == 0
    assert calls_of(chain(inplace=True), monkeypatch, x) == 0
    for module in (0, 1):
        net, seen = chain(), []
        net[module].register_forward_hook(lambda m, args, y, seen=seen: seen.append(y.shape))
        assert calls_of(net, monkeypatch, x) == 1
        assert seen == [(1, 8, 8, 8)]
    with observe.observing(observe.Observer()):
        assert calls_of(chain(), monkeypatch, x) == 2
    net = chain()
    net.fuses = False
    assert calls_of(net, monkeypatch, x) == 2


def test_subclasses_are_called_themselves(monkeypatch):
    class Mine(nn.Conv2d):
        def forward(self, input):
            return super().forward(input) - 100

    net = nn.Sequential(Mine(2, 3, 1), nn.ReLU())
    assert float(net(tinynet.ones(1, 2, 2, 2)).sum()) == 0
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU())
    net[0].forward = lambda x: x - 100
    assert float(net(tinynet.ones(1, 2, 2, 2)).sum()) == 0


def test_a_convolution_at_the_end_and_errors_with_their_path():
    net = nn.Sequential(nn.Sequential(nn.Conv2d(2, 3, 1)), nn.ReLU())
    assert net(tinynet.ones(1, 2, 2, 2)).shape == (1, 3, 2, 2)
    net = nn.Sequential(nn.Identity(), nn.Conv2d(2, 3, 1), nn.ReLU())
    with pytest.raises(ShapeError, match="x has 4 channels but w expects 2") as error:
        net(tinynet.ones(1, 4, 2, 2))
    assert str(error.value).startswith("1: conv2d: ")


def test_nothing_is_remembered_twice():
    """The convolution's output and relu's are one array."""
    net = chain()
    y = net[:2](tinynet.randn(1, 2, 8, 8))
    names = []
    node = y.grad_fn
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0]
    assert names[:2] == ["ReluBackward0", "Conv2dBackward0"]


def normalised(**options):
    tinynet.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(**options), nn.BatchNorm2d(2, affine=False))
    net(tinynet.randn(3, 2, 5, 5) + 1)  # statistics
    return net.eval()


@pytest.mark.parametrize("order", [tinynet.contiguous_format, tinynet.channels_last])
@pytest.mark.parametrize("backend", ["reference", "cpu", "cuda-host"])
def test_batch_norm_in_evaluation(backend, order, monkeypatch):
    """The same bits, NaN too, and gradients."""
    tinynet.manual_seed(1)
    x = tinynet.randn(3, 2, 6, 5).contiguous(memory_format=order)
    x[0, 0, 0, 0] = float("nan")
    with kernels.use(backend):
        fused = run(normalised(), x)
        monkeypatch.setattr(nn.Sequential, "fuses", False)
        for one, other in zip(fused, run(normalised(), x), strict=True):
            np.testing.assert_array_equal(one, other)
    assert (fused[0] == fused[0]).mean() > 0.9


def test_batch_norm_only_in_evaluation(monkeypatch):
    x = tinynet.randn(2, 2, 8, 8)
    assert calls_of(normalised(), monkeypatch, x) == 0
    assert calls_of(normalised().train(), monkeypatch, x) == 1
    net = normalised()
    net[0].register_forward_hook(lambda m, args, y: None)
    assert calls_of(net, monkeypatch, x) == 1
    with pytest.raises(ShapeError, match="Make num_features of the layer 3") as error:
        nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()).eval()(tinynet.zeros(1, 3, 2, 2))
    assert str(error.value).startswith("0: batch_norm: ")
