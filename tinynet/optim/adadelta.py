"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.creation import zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, count_step


class Adadelta(Optimizer):
    """The gradient scaled so that steps have the units of the parameter.

        v = rho * v + (1 - rho) * g^2
        d = sqrt(u + eps) / sqrt(v + eps) * g      u = rho * u + (1 - rho) * d^2
        param -= lr * d

    Zeiler 2012.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "rho": rho,
            "eps": at_least_zero("epsilon value", eps),
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        rho, eps = group["rho"], group["eps"]
        if count_step(state) == 1:
            state["square_avg"] = zeros_like(param)
            state["acc_delta"] = zeros_like(param)
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + group["weight_decay"] * param
        square = state["square_avg"].mul_(rho).add_(grad * grad * (1 - rho))
        delta = (state["acc_delta"] + eps).sqrt() / (square + eps).sqrt() * grad
        state["acc_delta"].mul_(rho).add_(delta * delta * (1 - rho))
        param.sub_(group["lr"] * delta)
