"""Optimisers step by step against PyTorch, and the behaviour of Optimizer."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import nn, optim

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"alpha": 0.5, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "weight_decay": 0.1, "maximize": True}),
]


def ids(case: Any) -> str:
    return "-".join(map(str, case)) if isinstance(case, tuple) else str(case)


def parameters(library: Any, dtype: str) -> list[Any]:
    random = np.random.default_rng(0)
    return [
        library.nn.Parameter(library.tensor(random.standard_normal(shape).astype(dtype)))
        for shape in ((3, 4), (5,), ())
    ]


def give_gradients(library: Any, params: list[Any], step: int) -> None:
    random = np.random.default_rng(step + 100)
    for i, p in enumerate(params):
        values = np.asarray(random.standard_normal(tuple(p.shape)))
        # The second parameter has a gradient in every second step only.
        kind = p.detach().numpy().dtype
        p.grad = None if i == 1 and step % 2 else library.tensor(values.astype(kind))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_steps_against_pytorch(case: tuple[str, dict[str, Any]], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    name, options = case
    ours, theirs = parameters(tinynet, dtype), parameters(torch, dtype)
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    for step in range(6):
        give_gradients(tinynet, ours, step)
        give_gradients(torch, theirs, step)
        a.step()
        b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance
            )
    state, other = a.state_dict(), b.state_dict()
    assert repr(a) == repr(b)
    assert state["param_groups"] == other["param_groups"]
    assert state["state"].keys() == other["state"].keys()
    for key, values in state["state"].items():
        assert values.keys() == other["state"][key].keys()
        for what, value in values.items():
            expected = other["state"][key][what]
            assert str(value.dtype).replace("tinynet", "torch") == str(expected.dtype)
            np.testing.assert_allclose(
                value.numpy(), expected.numpy(), rtol=10 * tolerance, atol=tolerance
            )


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_training_resumes_from_the_state_dict(case: tuple[str, dict[str, Any]]) -> None:
    name, options = case
    first, second = parameters(tinynet, "float64"), parameters(tinynet, "float64")
    a, b = getattr(optim, name)(first, **options), getattr(optim, name)(second, lr=0.7)
    for step in range(6):
        if step == 3:
            for p, q in zip(first, second, strict=True):
                q.data.copy_(p.data)
            b.load_state_dict(pickle.loads(pickle.dumps(a.state_dict())))
        for params, optimizer in ((first, a), (second, b)):
            give_gradients(tinynet, params, step)
            optimizer.step()
    for p, q in zip(first, second, strict=True):
        assert (p == q).all()
    assert repr(a) == repr(b)


def test_loading_converts_to_the_parameters_dtype_and_copies() -> None:
    a = optim.Adam(parameters(tinynet, "float64"))
    give_gradients(tinynet, a.param_groups[0]["params"], 0)
    a.step()
    params = parameters(tinynet, "float32")
    b = optim.Adam(params)
    saved = a.state_dict()
    b.load_state_dict(saved)
    assert b.state[params[0]]["exp_avg"].dtype == tinynet.float32
    b.state[params[0]]["exp_avg"].fill_(0)
    b.param_groups[0]["lr"] = 9
    assert (saved["state"][0]["exp_avg"] != 0).all()
    assert saved["param_groups"][0]["lr"] == 0.001


def test_groups_have_settings_of_their_own() -> None:
    p, q, r = parameters(tinynet, "float64")
    optimizer = optim.SGD([{"params": [p]}, {"params": q, "lr": 1.0}], lr=0.1, momentum=0.5)
    optimizer.add_param_group({"params": [r], "momentum": 0.0})
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 1.0, 0.1]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.5, 0.5, 0.0]
    assert optimizer.state_dict()["param_groups"][2]["params"] == [2]
    before = [t.clone() for t in (p, q, r)]
    for t in (p, q, r):
        t.grad = tinynet.ones_like(t)
    optimizer.step()
    changes = [(b - t).detach().numpy().max() for b, t in zip(before, (p, q, r), strict=True)]
    np.testing.assert_allclose(changes, [0.1, 1.0, 0.1])


def test_zero_grad() -> None:
    params = parameters(tinynet, "float32")
    optimizer = optim.SGD(params)
    give_gradients(tinynet, params, 0)
    gradient = params[0].grad
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad is gradient
    assert (gradient == 0).all()
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


def test_closure_runs_with_gradients_and_its_loss_is_returned() -> None:
    (p, *_) = parameters(tinynet, "float64")
    optimizer = optim.SGD([p], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tinynet.no_grad():
        first = optimizer.step(closure)
    assert optimizer.step(closure).item() == pytest.approx(first.item() * 0.64)


def test_a_step_is_noticed_by_the_tape() -> None:
    w = nn.Parameter(tinynet.ones(2))
    for make in (optim.SGD, optim.Adam, optim.RMSprop):
        y = (w * w).sum()
        w.grad = tinynet.ones(2)
        make([w], lr=0.1).step()
        with pytest.raises(RuntimeError, match=r"modified by an inplace operation"):
            y.backward()


def test_steps_see_parameters_of_any_strides() -> None:
    data = tinynet.arange(12.0).reshape(3, 4)
    for make in (optim.SGD, optim.Adam):
        p = nn.Parameter(data.clone().t())
        q = nn.Parameter(data.clone().t().contiguous())
        for t in (p, q):
            t.grad = tinynet.ones(4, 3)
            make([t], lr=0.1).step()
        assert (p == q).all()
        assert (p != data.t()).all()


def test_hooks_and_copies() -> None:
    params = parameters(tinynet, "float32")
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9)
    seen: list[str] = []
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after"))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert seen == ["before", "after", "after"]
    net = nn.Linear(2, 2)
    other_net, other = copy.deepcopy((net, optim.Adam(net.parameters())))
    assert other.param_groups[0]["params"][0] is other_net.weight


ERRORS: dict[str, Callable[[Any], Any]] = {
    "a tensor": lambda t: t.optim.SGD(t.nn.Parameter(t.zeros(2))),
    "nothing": lambda t: t.optim.SGD([]),
    "a non-leaf": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2)) * 2]),
    "twice": lambda t: t.optim.SGD([{"params": [p := t.nn.Parameter(t.zeros(2))]}, {"params": p}]),
    "a set": lambda t: t.optim.SGD([{"params": {t.nn.Parameter(t.zeros(2))}}]),
    "a group that is none": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2))]).add_param_group(3),
    "lr": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2))], lr=-1),
    "momentum": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2))], momentum=-1.0),
    "weight decay": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2))], weight_decay=-1.0),
    "nesterov": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2))], nesterov=True),
    "Adam lr": lambda t: t.optim.Adam([t.nn.Parameter(t.zeros(2))], lr=-1.0),
    "eps": lambda t: t.optim.Adam([t.nn.Parameter(t.zeros(2))], eps=-1.0),
    "beta": lambda t: t.optim.Adam([t.nn.Parameter(t.zeros(2))], betas=(0.9, 1.0)),
    "alpha": lambda t: t.optim.RMSprop([t.nn.Parameter(t.zeros(2))], alpha=-1.0),
    "rho": lambda t: t.optim.Adadelta([t.nn.Parameter(t.zeros(2))], rho=1.5),
    "lr decay": lambda t: t.optim.Adagrad([t.nn.Parameter(t.zeros(2))], lr_decay=-1.0),
    "groups": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2))]).load_state_dict(
        {"state": {}, "param_groups": []}
    ),
    "sizes": lambda t: t.optim.SGD([t.nn.Parameter(t.zeros(2))]).load_state_dict(
        {"state": {}, "param_groups": [{"params": [0, 1]}]}
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    texts = []
    for library in (tinynet, torch):
        with pytest.raises((TypeError, ValueError)) as caught:
            ERRORS[name](library)
        texts.append((caught.type, str(caught.value).replace("torch", "tinynet")))
    assert texts[0] == texts[1]


def test_what_is_not_supported_says_so() -> None:
    with pytest.raises(NotImplementedError, match="SGD: differentiable=True is not supported"):
        optim.SGD([nn.Parameter(tinynet.zeros(2))], differentiable=True)
    with pytest.raises(TypeError, match="one of the params is int"):
        optim.SGD([3])
    p = nn.Parameter(tinynet.zeros(2))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p])


def test_an_optimiser_of_ones_own() -> None:
    class SignDescent(optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        def step(self, closure: Any = None) -> None:
            with tinynet.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(group["lr"] * p.grad.sign())

    p = nn.Parameter(tinynet.tensor([1.0, -1.0]))
    optimizer = SignDescent([p], lr=0.5)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    (p * p).sum().backward()
    optimizer.step()
    scheduler.step()
    assert p.tolist() == [0.5, -0.5]
    assert scheduler.get_last_lr() == [0.05]


SETTINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    "SGD without momentum": (optim.SGD, {"lr": 0.1}),
    "Adam": (optim.Adam, {"lr": 0.1, "amsgrad": True}),
    "AdamW": (optim.AdamW, {"lr": 0.1}),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_all_parameters_at_once_as_one_by_one(name: str) -> None:
    """Mixed dtypes, gradients that come later, a parameter that lies transposed: one result."""
    make, settings = SETTINGS[name]
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (5,), (), (2, 1, 3), (7, 2), (4,), (1,), (6,), (2, 2), (3,), (20000,)]
    kinds = ["float32", "float64"]

    def params() -> list[Any]:
        made = [
            nn.Parameter(tinynet.ones(*s, dtype=kinds[i % 5 == 0])) for i, s in enumerate(shapes)
        ]
        return [*made, nn.Parameter(tinynet.ones(3, 5).T)]

    together, alone = params(), params()
    one = make(together, **settings)
    many = [make([p], **settings) for p in alone]
    for step in range(4):
        for i, (p, q) in enumerate(zip(together, alone, strict=True)):
            if step >= i % 3:
                p.grad = tinynet.tensor(rng.standard_normal(p.shape), dtype=p.dtype)
                q.grad = p.grad.clone()
        one.step()
        for optimizer in many:
            optimizer.step()
        for p, q in zip(together, alone, strict=True):
            assert p.equal(q)
    assert not any(p.equal(tinynet.ones_like(p)) for p in together)


def test_a_parameter_that_appears_twice_is_updated_twice() -> None:
    p, q = nn.Parameter(tinynet.ones(3)), nn.Parameter(tinynet.ones(3))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        twice = optim.SGD([p, p], lr=0.1, momentum=0.5)
    once = optim.SGD([q], lr=0.1, momentum=0.5)
    p.grad, q.grad = tinynet.ones(3), tinynet.ones(3)
    twice.step()
    once.step()
    once.step()
    assert p.equal(q)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_step_is_noticed_by_what_remembers_the_parameters(name: str) -> None:
    make, settings = SETTINGS[name]
    params = [nn.Parameter(tinynet.ones(3)) for _ in range(2)]
    optimizer = make(params, **settings)
    loss = (params[0] * params[1]).sum()
    for p in params:
        p.grad = tinynet.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match=rf"{name}.step at .*test_optimizers.py"):
        loss.backward()
