"""Averaged models, the schedules beside the common ones, hooks and names of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinynet
import tinynet.nn as nn
import tinynet.optim as optim
from tinynet.optim import swa_utils
from tinynet.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

torch = pytest.importorskip("torch")

SCHEDULES: dict[str, Any] = {
    "multiplicative": lambda s, swa, o: s.MultiplicativeLR(o, lambda epoch: 0.9 + 0.01 * epoch),
    "chained": lambda s, swa, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.5, total_iters=3), s.ExponentialLR(o, 0.9)]
    ),
    "averaging, cosine": lambda s, swa, o: swa.SWALR(o, 0.02, anneal_epochs=4),
    "averaging, straight": lambda s, swa, o: swa.SWALR(o, 0.02, 3, "linear"),
    "averaging, at once": lambda s, swa, o: swa.SWALR(o, 0.02, 0),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_learning_rates(name: str) -> None:
    rates = []
    for lib, swa in ((tinynet, swa_utils), (torch, torch.optim.swa_utils)):
        optimizer = lib.optim.SGD([lib.zeros(1, requires_grad=True)], lr=0.1)
        schedule = SCHEDULES[name](lib.optim.lr_scheduler, swa, optimizer)
        seen = [optimizer.param_groups[0]["lr"]]
        for _ in range(8):
            optimizer.step()
            schedule.step()
            seen.append(optimizer.param_groups[0]["lr"])
        assert schedule.get_last_lr() == [seen[-1]]
        rates.append(seen)
    np.testing.assert_allclose(*rates, rtol=1e-12)


def test_chained_schedules_remember_where_they_are() -> None:
    def made() -> tuple[Any, Any]:
        optimizer = optim.SGD([tinynet.zeros(1, requires_grad=True)], lr=0.1)
        return optimizer, SCHEDULES["chained"](optim.lr_scheduler, swa_utils, optimizer)

    (first, one), (second, two) = made(), made()
    for _ in range(2):
        first.step()
        one.step()
    two.load_state_dict(one.state_dict())
    second.load_state_dict(first.state_dict())
    for optimizer, schedule in ((first, one), (second, two)):
        optimizer.step()
        schedule.step()
    assert one.get_last_lr() == two.get_last_lr()


@pytest.mark.parametrize("mean", ["plain", "forgetting"])
def test_averaged_model(mean: str) -> None:
    results = []
    for lib, swa in ((tinynet, swa_utils), (torch, torch.optim.swa_utils)):
        net = lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.BatchNorm1d(2))
        settings = {} if mean == "plain" else {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.8)}
        average = swa.AveragedModel(net, **settings)
        with lib.no_grad():
            for value in (1.0, 2.0, 6.0):
                for i, p in enumerate(net.parameters()):
                    p.fill_(value + i)
                average.update_parameters(net)
        data = [(lib.tensor([[1.0, 2.0], [3.0, 5.0]]), None), (lib.tensor([[0.0, 1.0]] * 3), None)]
        swa.update_bn(data, average)
        assert int(average.n_averaged) == 3
        results.append({k: v.tolist() for k, v in average.state_dict().items()})
    assert list(results[0]) == list(results[1])
    for key, value in results[0].items():
        np.testing.assert_allclose(value, results[1][key], rtol=1e-5)


def test_hooks() -> None:
    seen: list[str] = []
    p = tinynet.zeros(1, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)
    everywhere = [
        register_optimizer_step_pre_hook(lambda *_: seen.append("before any")),
        register_optimizer_step_post_hook(lambda *_: seen.append("after any")),
    ]
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(
        lambda o, state: {k: v for k, v in state.items() if k != "more"}
    )
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    optimizer.step()
    assert seen == ["before any", "before", "after", "after any"]
    state = optimizer.state_dict()
    assert state["more"] == 1
    optimizer.load_state_dict(state)
    assert seen[-1] == "loaded"
    for handle in everywhere:
        handle.remove()
    optimizer.step()
    assert seen[5:] == ["before", "after"]


def test_names_of_parameters() -> None:
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    optimizer.load_state_dict(optim.SGD(net.parameters(), lr=0.3).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.3
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="without names"):
        optimizer.add_param_group({"params": [tinynet.zeros(1, requires_grad=True)]})


def test_lbfgs_finds_the_bottom_of_rosenbrocks_valley() -> None:
    found = []
    for lib in (tinynet, torch):
        p = lib.tensor([-1.2, 1.0], dtype=lib.float64, requires_grad=True)
        settings = {"line_search_fn": "strong_wolfe", "max_iter": 100}
        optimizer = lib.optim.LBFGS([p], tolerance_change=1e-14, **settings)
        evaluations = []

        def closure(lib: Any = lib, p: Any = p, o: Any = optimizer, seen: Any = evaluations) -> Any:
            o.zero_grad()
            loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
            loss.backward()
            seen.append(loss.item())
            return loss

        assert optimizer.step(closure).item() == pytest.approx(24.2)
        np.testing.assert_allclose(p.detach().numpy(), [1, 1], rtol=1e-6)
        found.append(evaluations)
    assert len(found[0]) == len(found[1])
    np.testing.assert_allclose(found[0][:20], found[1][:20], rtol=1e-6)
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([tinynet.zeros(1, requires_grad=True)]).step()
