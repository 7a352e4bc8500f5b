"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.creation import tensor, zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, count_step, uphill


class ASGD(Optimizer):
    """Gradient descent with falling steps; the mean of the parameters is kept in state["ax"].

        eta = lr / (1 + lambd * lr * t)^alpha        param -= eta * (lambd * param + g)
        ax += (param - ax) / max(1, t - t0)

    Polyak and Juditsky 1992.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        lr, lambd = group["lr"], group["lambd"]
        step = count_step(state)
        if step == 1:
            state["eta"] = tensor(lr, dtype="float32")
            state["mu"] = tensor(1.0, dtype="float32")
            state["ax"] = zeros_like(param)
        grad = uphill(grad, param, group)
        eta, mu = state["eta"].item(), state["mu"].item()
        param.mul_(1 - lambd * eta).sub_(eta * grad)
        mean = state["ax"]
        if mu == 1:
            mean.copy_(param)
        else:
            mean.add_((param - mean) * mu)
        state["eta"].fill_(lr / (1 + lambd * lr * step) ** group["alpha"])
        state["mu"].fill_(1 / max(1, step - group["t0"]))
