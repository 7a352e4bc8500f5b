"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.creation import zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, count_step


class RMSprop(Optimizer):
    """The gradient divided by the root of its running mean square.

        v = alpha * v + (1 - alpha) * g^2      (centered: minus the square of g's running mean)
        param -= lr * g / (sqrt(v) + eps)      (with momentum, of a running sum of these)

    Hinton 2012, lecture 6e.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "momentum": at_least_zero("momentum value", momentum),
            "alpha": at_least_zero("alpha value", alpha),
            "eps": at_least_zero("epsilon value", eps),
            "centered": centered,
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        alpha, momentum = group["alpha"], group["momentum"]
        if count_step(state) == 1:
            state["square_avg"] = zeros_like(param)
            if momentum > 0:
                state["momentum_buffer"] = zeros_like(param)
            if group["centered"]:
                state["grad_avg"] = zeros_like(param)
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + group["weight_decay"] * param
        square = state["square_avg"].mul_(alpha).add_(grad * grad * (1 - alpha))
        if group["centered"]:
            mean = state["grad_avg"].mul_(alpha).add_(grad * (1 - alpha))
            square = square - mean * mean
        change = grad / (square.sqrt() + group["eps"])
        if momentum > 0:
            change = state["momentum_buffer"].mul_(momentum).add_(change)
        param.sub_(group["lr"] * change)
