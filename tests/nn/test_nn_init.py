"""Starting values: their distributions, and the helpers in nn.utils."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinynet
import tinynet.nn as nn
from tinynet.nn import init


def spread(t: Any) -> tuple[float, float, float]:
    a = t.detach().numpy()
    return float(a.mean()), float(a.std()), float(abs(a).max())


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (lambda t: init.uniform_(t, -2, 2), 2 / math.sqrt(3), 2),
        (lambda t: init.normal_(t, 0, 0.5), 0.5, None),
        (lambda t: init.xavier_uniform_(t, 2), 2 * math.sqrt(2 / 300), 2 * math.sqrt(6 / 300)),
        (init.xavier_normal_, math.sqrt(2 / 300), None),
        (init.kaiming_uniform_, math.sqrt(2 / 200), math.sqrt(6 / 200)),
        (
            lambda t: init.kaiming_uniform_(t, math.sqrt(5)),
            1 / math.sqrt(600),
            1 / math.sqrt(200),
        ),
        (
            lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
            math.sqrt(2 / 100),
            None,
        ),
        (lambda t: init.trunc_normal_(t, std=2, a=-2, b=2), 1.0792, 2),
        (init.orthogonal_, 1 / math.sqrt(200), None),
    ],
)
def test_distributions(fill: Any, std: float, bound: float | None) -> None:
    tinynet.manual_seed(0)
    t = nn.Parameter(tinynet.empty(100, 200))
    assert fill(t) is t
    assert t.requires_grad
    assert t.grad_fn is None
    mean, actual, largest = spread(t)
    assert abs(mean) < 0.03 * std
    assert actual == pytest.approx(std, rel=0.03)
    if bound is not None:
        assert 0.99 * bound < largest <= bound * (1 + 1e-6)


def test_fans_of_a_convolution() -> None:
    tinynet.manual_seed(0)
    t = init.kaiming_normal_(tinynet.empty(64, 32, 3, 3), nonlinearity="linear")
    assert spread(t)[1] == pytest.approx(1 / math.sqrt(32 * 9), rel=0.03)


def test_constants() -> None:
    t = tinynet.empty(2, 3)
    assert init.ones_(t).tolist() == [[1] * 3] * 2
    assert init.zeros_(t).tolist() == [[0] * 3] * 2
    assert init.constant_(t, 2.5).tolist() == [[2.5] * 3] * 2
    assert init.eye_(t).tolist() == [[1, 0, 0], [0, 1, 0]]
    q = init.orthogonal_(tinynet.empty(3, 5, dtype=tinynet.float64), gain=2).numpy()
    np.testing.assert_allclose(q @ q.T, 4 * np.eye(3), atol=1e-12)
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_uniform_(tinynet.empty(0, 3))


@pytest.mark.parametrize(
    ("shape", "groups"), [((3, 5, 3), 1), ((6, 2, 3, 2), 3), ((4, 3, 1, 1), 2)]
)
def test_dirac_keeps_the_input(shape: tuple[int, ...], groups: int) -> None:
    torch = pytest.importorskip("torch")
    ours = init.dirac_(tinynet.empty(shape), groups)
    assert ours.tolist() == torch.nn.init.dirac_(torch.empty(shape), groups).tolist()
    x = tinynet.randn(2, 3, 5, 5)
    w = init.dirac_(tinynet.empty(3, 3, 3, 3))
    assert (nn.functional.conv2d(x, w, padding=1) == x).all()


def test_sparse() -> None:
    tinynet.manual_seed(0)
    values = init.sparse_(tinynet.empty(50, 40), 0.3, std=2.0).numpy()
    assert ((values == 0).sum(0) == 15).all()
    assert values[values != 0].std() == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("name", ["constant", "xavier_uniform", "kaiming_normal", "orthogonal"])
def test_old_spellings(name: str) -> None:
    torch = pytest.importorskip("torch")
    arguments = [3.0] if name == "constant" else []
    with pytest.warns(FutureWarning) as ours:
        t = getattr(init, name)(tinynet.zeros(4, 4), *arguments)
    assert (t != 0).all()
    with pytest.warns(FutureWarning) as theirs:
        getattr(torch.nn.init, name)(torch.zeros(4, 4), *arguments)
    assert str(ours[0].message) == str(theirs[0].message)


def test_gains() -> None:
    torch = pytest.importorskip("torch")
    for name, param in (("relu", None), ("tanh", None), ("leaky_relu", 0.3), ("selu", None)):
        expected = torch.nn.init.calculate_gain(name, param)
        assert init.calculate_gain(name, param) == expected


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [(lambda nn: nn.Linear(300, 200), 300), (lambda nn: nn.Conv2d(32, 64, 3), 288)],
)
def test_layers_start_as_pytorchs_do(make: Any, fan_in: int) -> None:
    torch = pytest.importorskip("torch")
    tinynet.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = make(nn), make(torch.nn)
    bound = 1 / math.sqrt(fan_in)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        mean, std, largest = spread(p)
        few = p.numel() < 1000
        assert largest <= bound * (1 + 1e-6)
        assert std == pytest.approx(spread(q)[1], rel=0.2 if few else 0.03)
        assert abs(mean) < (0.3 if few else 0.03) * std


def test_the_seed_decides() -> None:
    tinynet.manual_seed(3)
    a = nn.Linear(4, 4).weight
    tinynet.manual_seed(3)
    b = nn.Linear(4, 4).weight
    assert (a == b).all()
    assert (a != nn.Linear(4, 4).weight).any()


# ----------------------------------------------------------------------------------- nn.utils


def with_gradients(library: Any) -> list[Any]:
    random = np.random.default_rng(0)
    params = []
    for shape in ((3, 4), (5,), (2,)):
        p = library.nn.Parameter(library.zeros(shape))
        p.grad = library.tensor(random.standard_normal(shape).astype("float32"))
        params.append(p)
    params[-1].grad = None
    return params


@pytest.mark.parametrize("norm", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_by_norm(norm: float, limit: float) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = with_gradients(tinynet), with_gradients(torch)
    total = nn.utils.clip_grad_norm_(ours, limit, norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit, norm)
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    for p, q in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


def test_clipping_by_value_and_bad_norms() -> None:
    params = with_gradients(tinynet)
    nn.utils.clip_grad_value_(params, 0.3)
    assert all(abs(p.grad.numpy()).max() <= 0.3 for p in params[:2])
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    params[0].grad[0, 0] = math.nan
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector() -> None:
    net = nn.Linear(3, 2)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (8,)
    vector.sum().backward()
    assert (net.weight.grad == 1).all()
    weight = net.weight
    nn.utils.vector_to_parameters(tinynet.arange(8.0), net.parameters())
    assert net.weight is weight
    assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert net.bias.tolist() == [6, 7]
