"""Learning-rate schedules number by number against PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import tinynet
from tinynet import nn, optim
from tinynet.optim import lr_scheduler

Make = Callable[[Any, Any], Any]  # (lr_scheduler module, optimizer) -> scheduler

SCHEDULES: dict[str, Make] = {
    "StepLR": lambda s, o: s.StepLR(o, 3, gamma=0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5], gamma=0.3),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.1, 0.8, 6),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 5, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, eta_min=0.01),
    "CosineAnnealingWarmRestarts longer": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 2),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 8, 1.7),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "LambdaLR per group": lambda s, o: s.LambdaLR(o, [lambda e: 1 / (e + 1), lambda e: 0.5]),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 3),
    "CyclicLR lopsided": lambda s, o: s.CyclicLR(
        o, [0.01, 0.02], [0.3, 0.2], 4, 1, mode="triangular2", base_momentum=0.6
    ),
    "CyclicLR falling": lambda s, o: s.CyclicLR(o, 0.1, 1.0, 2, 3, mode="exp_range", gamma=0.8),
    "CyclicLR scaled": lambda s, o: s.CyclicLR(
        o, 0.1, 1.0, 2, scale_fn=lambda n: 1 / n, cycle_momentum=False
    ),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=13),
    "OneCycleLR linear": lambda s, o: s.OneCycleLR(
        o, [0.3, 0.2], epochs=5, steps_per_epoch=3, anneal_strategy="linear", pct_start=0.4
    ),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(
        o, 0.3, total_steps=14, three_phase=True, base_momentum=0.7, cycle_momentum=True
    ),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 8)], milestones=[4]
    ),
    "chained": lambda s, o: (s.LinearLR(o, 0.1, total_iters=4), s.ExponentialLR(o, 0.9)),
}


def optimizer_of(library: Any, kind: str = "SGD") -> Any:
    groups = [
        {"params": [library.nn.Parameter(library.zeros(1))]},
        {"params": [library.nn.Parameter(library.zeros(1))], "lr": 0.7},
    ]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(library.optim, kind)(groups, lr=0.1, **options)


def history(library: Any, make: Make, kind: str, steps: int = 12) -> list[Any]:
    optimizer = optimizer_of(library, kind)
    schedulers = make(library.optim.lr_scheduler, optimizer)
    schedulers = schedulers if isinstance(schedulers, tuple) else (schedulers,)
    seen = []
    for _ in range(steps):
        settings = [(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups]
        seen.append((settings, schedulers[-1].get_last_lr()))
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_against_pytorch(name: str, kind: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = history(tinynet, SCHEDULES[name], kind), history(torch, SCHEDULES[name], kind)
    assert ours == theirs  # the very same floating-point numbers
    assert len({str(settings) for settings, _ in ours}) > 1


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateau_against_pytorch(mode: str, threshold_mode: str) -> None:
    torch = pytest.importorskip("torch")
    measures = [5, 4, 4, 4, 4, -1, -1, -1, -1.05, -1.2, 7, 7.5, 7, 7, 7, 7, 7, 7, 0, 0]
    histories = []
    for library in (tinynet, torch):
        optimizer = optimizer_of(library)
        scheduler = library.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode,
            factor=0.5,
            patience=1,
            threshold=0.1,
            threshold_mode=threshold_mode,
            cooldown=1,
            min_lr=[0.02, 0.1],
        )
        seen = []
        for measure in measures:
            scheduler.step(library.tensor(float(measure)))
            seen.append((scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.best))
        histories.append(seen)
    assert histories[0] == histories[1]
    assert len({str(lr) for lr, _, _ in histories[0]}) > 2


@pytest.mark.parametrize("name", [n for n in SCHEDULES if n != "chained"])
def test_resuming_from_the_state_dicts(name: str) -> None:
    plain = history(tinynet, SCHEDULES[name], "SGD")
    optimizer = optimizer_of(tinynet)
    scheduler = SCHEDULES[name](lr_scheduler, optimizer)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    states = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    other = optimizer_of(tinynet)
    resumed = SCHEDULES[name](lr_scheduler, other)
    other.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    for settings, last in plain[5:]:
        assert [(g["lr"], g["momentum"], None) for g in other.param_groups] == settings
        assert resumed.get_last_lr() == last
        other.step()
        resumed.step()


def test_resuming_with_last_epoch() -> None:
    torch = pytest.importorskip("torch")
    for make in (
        lambda s, o: s.CosineAnnealingLR(o, 5, last_epoch=3),
        lambda s, o: s.StepLR(o, 2, last_epoch=3),
    ):
        rates = []
        for library in (tinynet, torch):
            optimizer = optimizer_of(library)
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
            scheduler = make(library.optim.lr_scheduler, optimizer)
            optimizer.step()
            scheduler.step()
            rates.append(scheduler.get_last_lr())
        assert rates[0] == rates[1]
    with pytest.raises(KeyError, match="'initial_lr' is not specified"):
        lr_scheduler.StepLR(optimizer_of(tinynet), 2, last_epoch=3)


def test_jumping_to_an_epoch() -> None:
    for make in SCHEDULES["StepLR"], SCHEDULES["CosineAnnealingLR"], SCHEDULES["LinearLR"]:
        optimizer, other = optimizer_of(tinynet), optimizer_of(tinynet)
        scheduler, jumping = make(lr_scheduler, optimizer), make(lr_scheduler, other)
        optimizer.step()
        other.step()
        for _ in range(4):
            scheduler.step()
        jumping.step(4)
        assert jumping.get_last_lr() == pytest.approx(scheduler.get_last_lr())


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_warm_restarts_within_an_epoch(factor: int) -> None:
    torch = pytest.importorskip("torch")
    rates = []
    for library in (tinynet, torch):
        optimizer = optimizer_of(library)
        scheduler = library.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, factor)
        optimizer.step()
        seen = []
        for epoch in (0, 0.5, 2.9, 3.0, 4.25, 8, 11.5, 20, 2):
            scheduler.step(epoch)
            seen += [*scheduler.get_last_lr(), scheduler.last_epoch, scheduler.T_i]
        for _ in range(5):
            scheduler.step()
            seen += scheduler.get_last_lr()
        rates.append(seen)
    assert rates[0] == pytest.approx(rates[1], rel=1e-12)


def test_the_wrong_order_is_warned_of() -> None:
    scheduler = lr_scheduler.StepLR(optimizer_of(tinynet), 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


def test_errors() -> None:
    optimizer = optimizer_of(tinynet)
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(3, 2)
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        lr_scheduler.LambdaLR(optimizer, [lambda e: 1])
    with pytest.raises(ValueError, match="positive integer T_0, but got 0"):
        lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 0)
    with pytest.raises(ValueError, match=r"integer T_mult >= 1, but got 0\.5"):
        lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, 0.5)
    restarts = lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(tinynet), 2)
    restarts.optimizer.step()
    with pytest.raises(ValueError, match="non-negative epoch, but got -1"):
        restarts.step(-1)
    with pytest.raises(ValueError, match="total_steps OR"):
        lr_scheduler.OneCycleLR(optimizer, 0.1)
    with pytest.raises(ValueError, match="must support momentum"):
        lr_scheduler.OneCycleLR(optim.Adagrad([nn.Parameter(tinynet.zeros(1))]), 0.1, total_steps=3)
    with pytest.raises(ValueError, match=r"Factor should be < 1.0"):
        lr_scheduler.ReduceLROnPlateau(optimizer, factor=1.0)
    with pytest.raises(ValueError, match="mode x is unknown"):
        lr_scheduler.ReduceLROnPlateau(optimizer, mode="x")
    with pytest.raises(ValueError, match="greater than 0"):
        lr_scheduler.LinearLR(optimizer, 0.0)
    one = lr_scheduler.OneCycleLR(optimizer_of(tinynet), 0.1, total_steps=2)
    one.optimizer.step()
    one.step()
    one.step()
    with pytest.raises(ValueError, match="Tried to step 3 times"):
        one.step()
