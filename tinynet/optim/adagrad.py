"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.creation import full_like, tensor
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, count_step


class Adagrad(Optimizer):
    """The gradient divided by the root of the sum of all its squares so far.

        s += g^2        param -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Duchi et al. 2011.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "lr_decay": at_least_zero("lr_decay value", lr_decay),
            "eps": at_least_zero("epsilon value", eps),
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "initial_accumulator_value": at_least_zero(
                "initial_accumulator_value value", initial_accumulator_value
            ),
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param] = {
                    "step": tensor(0.0, dtype="float32"),
                    "sum": full_like(param, group["initial_accumulator_value"]),
                }

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        step = count_step(state)
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + group["weight_decay"] * param
        lr = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        total = state["sum"].add_(grad * grad)
        param.sub_(lr * (grad / (total.sqrt() + group["eps"])))
