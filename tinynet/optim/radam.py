"""RAdam."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..ops.creation import zeros_like
from ..tensor import Tensor
from .nadam import decayed
from .optimizer import Optimizer, at_least_zero, checked_betas, count_step


class RAdam(Optimizer):
    """Adam that divides by the mean square only once it knows enough of it: rectified Adam.

        n = 2 / (1 - beta2) - 1        n_t = n - 2 * t * beta2^t / (1 - beta2^t)
        r = sqrt((n_t - 4) * (n_t - 2) * n / ((n - 4) * (n - 2) * n_t))
        param -= lr * mhat * (r * sqrt(1 - beta2^t) / (sqrt(v) + eps)   if n_t > 5, else 1)

    with mhat and v as in `Adam`.  Liu et al. 2020.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "betas": checked_betas(betas),
            "eps": at_least_zero("epsilon value", eps),
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        step = count_step(state)
        if step == 1:
            state["exp_avg"] = zeros_like(param)
            state["exp_avg_sq"] = zeros_like(param)
        grad = decayed(grad, param, group)
        mean = state["exp_avg"].mul_(beta1).add_((1 - beta1) * grad)
        square = state["exp_avg_sq"].mul_(beta2).add_((1 - beta2) * grad * grad)
        change = mean / (1 - beta1**step)
        left = 1 - beta2**step
        n = 2 / (1 - beta2) - 1
        n_t = n - 2 * step * beta2**step / left
        if n_t > 5:
            r = math.sqrt((n_t - 4) * (n_t - 2) * n / ((n - 4) * (n - 2) * n_t))
            change = change * (r * math.sqrt(left) / (square.sqrt() + group["eps"]))
        param.sub_(group["lr"] * change)
