import math

import numpy as np
import pytest

import tinynet
from tinynet import nn, optim
from tinynet.nn import functional as F
from tinynet.train import evaluate, train_epoch


class Constant:
    """A schedule that does nothing but count."""

    steps = 0

    def step(self):
        self.steps += 1


def problem(n=60, classes=3, seed=0):
    """Points around `classes` corners, easy to tell apart."""
    tinynet.manual_seed(seed)
    y = tinynet.arange(n) % classes
    corners = 3 * tinynet.eye(classes)
    return corners[y] + 0.1 * tinynet.randn(n, classes), y


def test_an_epoch_is_forward_loss_backward_step():
    x, y = problem(6)
    tinynet.manual_seed(1)
    model = nn.Linear(3, 3)
    start = {name: t.detach().clone() for name, t in model.named_parameters()}
    schedule = Constant()
    # the whole epoch is one batch: one step of gradient descent, whatever the order
    loss, accuracy = train_epoch(model, optim.SGD(model.parameters(), lr=0.5), schedule, x, y, 6)
    reference = nn.Linear(3, 3)
    reference.load_state_dict(start)
    expected = F.cross_entropy(reference(x), y)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert accuracy == pytest.approx((reference(x).argmax(dim=1) == y).float().mean().item())
    for name, parameter in model.named_parameters():
        gradient = dict(reference.named_parameters())[name].grad
        np.testing.assert_allclose(
            parameter.detach().numpy(), (start[name] - 0.5 * gradient).numpy(), atol=1e-6
        )
    assert schedule.steps == 1


def test_every_image_once_in_a_new_order():
    x = tinynet.arange(10).float().reshape(10, 1)
    y = tinynet.zeros(10, dtype=tinynet.int64)
    shown = []

    class Watch(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(tinynet.zeros(1, 2))

        def forward(self, x):
            shown.append([int(v) for v in x.flatten().tolist()])
            return x @ self.weight

    model = Watch()
    progress = []
    for _ in range(2):
        optimizer = optim.SGD(model.parameters(), lr=0.0)
        train_epoch(model, optimizer, Constant(), x, y, 4, lambda *args: progress.append(args))
    assert [len(batch) for batch in shown] == [4, 4, 2] * 2
    first, second = sum(shown[:3], []), sum(shown[3:], [])  # noqa: RUF017
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert [images for images, _, _ in progress] == [4, 8, 10] * 2
    assert progress[0][1] == pytest.approx(math.log(2), rel=1e-6)


def test_a_last_batch_of_one_is_left_out():
    x, y = problem(9)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    schedule = Constant()
    train_epoch(model, optim.SGD(model.parameters(), lr=0.1), schedule, x, y, 4)
    assert schedule.steps == 2
    with pytest.raises(ValueError, match=r"[Ee]xpected more than 1 value"):
        train_epoch(model, optim.SGD(model.parameters(), lr=0.1), schedule, x, y, 1)


def test_it_learns():
    x, y = problem()
    model = nn.Linear(3, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    history = [train_epoch(model, optimizer, Constant(), x, y, 10) for _ in range(5)]
    assert history[-1][0] < 0.2 < history[0][0]
    assert history[-1][1] == 1.0


def test_evaluate_by_hand():
    x, y = problem(7)
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.9))
    result = evaluate(model, x, y, batch_size=3)
    assert not model.training
    scores = model(x).detach().numpy().astype(np.float64)
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(result.probabilities, probabilities, rtol=1e-5)
    target = y.numpy()
    assert result.loss == pytest.approx(-np.log(probabilities[range(7), target]).mean(), rel=1e-5)
    assert result.accuracy == (scores.argmax(1) == target).mean()
    assert all(p.grad is None for p in model.parameters())
