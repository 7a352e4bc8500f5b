"""Sequential may compute ReLU after the pooling that follows it: nobody can tell."""

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.autograd.observe import Observer, observing

VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "ties": lambda rng, shape: np.sign(rng.standard_normal(shape)),
    "nothing positive": lambda rng, shape: -abs(rng.standard_normal(shape)),
    "NaN": lambda rng, shape: np.where(rng.random(shape) < 0.3, np.nan, rng.random(shape) - 0.5),
    "infinite": lambda rng, shape: np.where(rng.random(shape) < 0.6, -np.inf, rng.random(shape)),
    "negative zero": lambda rng, shape: np.full(shape, -0.0),
}


class Order(Observer):
    as_written = False

    def __init__(self):
        self.names = []

    def module_begins(self, module, args):
        self.names.append(type(module).__name__)


def computed(chain, x, dy):
    """The value and the gradient, as bits: a NaN differs from itself."""
    x = tinynet.tensor(x, requires_grad=True)
    y = chain(x)
    y.backward(tinynet.tensor(dy))
    return y.detach().numpy().tobytes(), x.grad.numpy().tobytes()


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize(("size", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (2, 1, 0)])
def test_the_order_of_relu_and_max_pooling_changes_no_bit(values, size, stride, padding):
    rng = np.random.default_rng(0)
    x = VALUES[values](rng, (2, 3, 9, 8)).astype(np.float32)
    chain = nn.Sequential(nn.ReLU(), nn.MaxPool2d(size, stride, padding))
    dy = rng.standard_normal(chain(tinynet.tensor(x)).shape).astype(np.float32)
    with observing(Order()) as order:
        reordered = computed(chain, x, dy)
    assert order.names == ["Sequential", "MaxPool2d", "ReLU"]
    chain.fuses = False
    with observing(Order()) as order:
        assert computed(chain, x, dy) == reordered
    assert order.names == ["Sequential", "ReLU", "MaxPool2d"]


def written(chain, x):
    """True if the modules of the chain are called in the order they are written in."""
    with observing(Order()) as order:
        chain(x)
    return order.names == ["Sequential", *(type(module).__name__ for module in chain)]


def test_who_looks_between_them_sees_what_is_written():
    x = tinynet.randn(2, 3, 8, 8)
    relu, pool = nn.ReLU(), nn.MaxPool2d(2)
    chain = nn.Sequential(relu, pool)
    assert not written(chain, x)
    for module in (relu, pool):
        handle = module.register_forward_hook(lambda *call: None)
        assert written(chain, x)
        handle.remove()
    assert not written(chain, x)
    with observing(Observer()):
        assert written(chain, x)
    assert written(nn.Sequential(relu, nn.MaxPool2d(2, return_indices=True)), x)
    assert written(nn.Sequential(relu, nn.AvgPool2d(2), pool), x)
    assert written(nn.Sequential(pool, relu), x)


def test_relu_in_place_overtakes_nothing_that_others_may_hold():
    x = tinynet.randn(2, 3, 8, 8)
    assert written(nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2)), x.clone())
    assert written(nn.Sequential(nn.Identity(), nn.ReLU(inplace=True), nn.MaxPool2d(2)), x.clone())
    conv = nn.Conv2d(3, 4, 3)
    chain = nn.Sequential(conv, nn.ReLU(inplace=True), nn.MaxPool2d(2))
    assert not written(chain, x)
    kept = []
    conv.register_forward_hook(lambda module, args, y: kept.append(y))
    assert written(chain, x)
    assert kept[0].min().item() == 0  # as in PyTorch, the hook's tensor was written in place
