"""The first NaN or infinity is named with its line, and slips of a training loop are told."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn, optim
from tinynet.autograd import AnomalyError, detect_anomaly, set_detect_anomaly
from tinynet.autograd.observe import observers
from tinynet.nn import functional as F


@pytest.fixture(autouse=True)
def nobody_left_watching():
    yield
    assert not observers


def line(text):
    """The number of this file's only line that ends with `text`."""
    lines = Path(__file__).read_text().splitlines()
    (number,) = (i for i, one in enumerate(lines, 1) if one.endswith("  " + text))
    return number


class Root(nn.Module):
    def forward(self, x):
        return (x - 2).sqrt()  # the guilty line


def test_the_first_nan_is_named_with_line_and_module():
    model = nn.Sequential(nn.Identity(), nn.Sequential(Root()))
    with pytest.raises(AnomalyError) as error, tn.anomaly():
        model(tn.ones(2, 3)) * 5
    text = str(error.value)
    assert f"test_anomaly.py:{line('# the guilty line')}" in text
    assert "sqrt made the first NaN" in text
    assert "in the module 1.0" in text
    assert "from -1 to -1" in text


def test_infinities_have_their_cure():
    with tn.anomaly(), pytest.raises(AnomalyError, match=r"log made the first infinity.*log_soft"):
        tn.tensor([0.5, 0.0]).log()
    with tn.anomaly(), pytest.raises(AnomalyError, match=r"div made the first infinity"):
        tn.ones(2) / tn.zeros(2)
    with tn.anomaly(infinity=False):
        assert tn.tensor([0.0]).log().item() == -np.inf


def test_what_came_in_is_told_apart_from_what_was_made():
    x = tn.tensor([1.0, float("nan")])
    with tn.anomaly(), pytest.raises(AnomalyError, match=r"input 0 holds NaN already.*in the data"):
        x * 2


def test_backward_names_the_forward_line():
    x = tn.zeros(3, requires_grad=True)
    with tn.anomaly():
        y = x.norm()  # its derivative at 0
        z = x.sqrt().sum()  # is infinite at 0
        y.backward()  # PyTorch and tinynet agree on 0 there
        with pytest.raises(AnomalyError) as error:
            z.backward()
    text = str(error.value)
    assert f"test_anomaly.py:{line('# is infinite at 0')}" in text
    assert "'SqrtBackward0' returned infinity values in its 0th output" in text


def test_joint_pullbacks_and_functions_are_looked_at():
    class Broken(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, dy):
            return dy * float("nan")

    x = tn.ones(2, requires_grad=True)
    with tn.anomaly(), pytest.raises(AnomalyError, match="BrokenBackward"):
        Broken.apply(x).sum().backward()


def test_gradients_are_the_same_while_watched():
    def gradients():
        tn.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)
        )
        x = tn.randn(5, 1, 6, 6)
        F.cross_entropy(model(x), tn.tensor([0, 1, 2, 3, 0])).backward()
        return [p.grad for p in model.parameters()]

    plain = gradients()
    with tn.anomaly():
        watched = gradients()
    assert all(tn.equal(a, b) for a, b in zip(plain, watched, strict=True))
    with tn.anomaly():  # the derivative of the derivative
        x = tn.tensor([2.0], requires_grad=True)
        (dx,) = tn.autograd.grad(x**3, x, create_graph=True)
        (ddx,) = tn.autograd.grad(dx, x)
    assert ddx.item() == 12


def test_detect_anomaly_looks_at_nan_in_backward_only():
    x = tn.zeros(1, requires_grad=True)
    with detect_anomaly():
        y = x.log() * 0  # -inf * 0 is NaN, but forward is not looked at
        with pytest.raises(RuntimeError, match=r"'LogBackward0' returned nan values in its 0th"):
            y.backward()
    with detect_anomaly(check_nan=False):
        (x.log() * 0).backward()


def test_set_detect_anomaly_is_a_switch_and_a_context():
    set_detect_anomaly(True)
    assert len(observers) == 1
    set_detect_anomaly(False)
    assert not observers
    with set_detect_anomaly(True):
        assert len(observers) == 1
    assert not observers


def train(layer, optimizer, steps):
    for _ in range(steps):
        layer(tn.ones(1, 2)).sum().backward()
        optimizer.step()


def test_forgotten_zero_grad():
    layer = nn.Linear(2, 1)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    with tn.anomaly(), pytest.warns(UserWarning, match=r"zero_grad\(\) before backward") as told:
        train(layer, optimizer, steps=3)
    assert [warning.filename for warning in told] == [__file__]  # once, at the caller's line


@pytest.mark.parametrize("to_none", [True, False])
def test_cleared_gradients_are_no_slip(to_none):
    layer = nn.Linear(2, 1)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    with tn.anomaly(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            optimizer.zero_grad(set_to_none=to_none)
            for _ in range(2):  # accumulating over two parts of a batch is no slip either
                layer(tn.ones(1, 2)).sum().backward()
            optimizer.step()


def test_forgotten_eval_and_forgotten_backward():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    with tn.anomaly(), tn.no_grad(), pytest.warns(UserWarning, match=r"Dropout.*model\.eval\(\)"):
        model(tn.ones(1, 2))
    model.eval()
    with tn.anomaly(), tn.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        model(tn.ones(1, 2))
    optimizer = optim.Adam(model.parameters())
    with tn.anomaly(), pytest.warns(UserWarning, match=r"no parameter has a gradient"):
        optimizer.step()
