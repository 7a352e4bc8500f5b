"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.creation import zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, checked_betas, count_step, uphill


class Adamax(Optimizer):
    """Adam with the largest of the recent gradients in place of their mean square.

        m = beta1 * m + (1 - beta1) * g        u = max(beta2 * u, |g| + eps)
        param -= lr / (1 - beta1^t) * m / u

    Kingma and Ba 2015.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "betas": checked_betas(betas),
            "eps": at_least_zero("epsilon value", eps),
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
        beta1, beta2 = group["betas"]
        step = count_step(state)
        if step == 1:
            state["exp_avg"] = zeros_like(param)
            state["exp_inf"] = zeros_like(param)
        grad = uphill(grad, param, group)
        mean = state["exp_avg"].mul_(beta1).add_((1 - beta1) * grad)
        largest = state["exp_inf"]
        largest.copy_((beta2 * largest).maximum(grad.abs() + group["eps"]))
        param.sub_(group["lr"] / (1 - beta1**step) * (mean / largest))
