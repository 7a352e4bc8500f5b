"""Rprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.creation import full_like, zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, count_step


class Rprop(Optimizer):
    """Each element has a step size of its own; of the gradient only the sign counts.

    The step grows by etas[1] while the sign stays, and shrinks by etas[0] when it changes, when no
    step is taken; it stays within step_sizes. For gradients of the whole training set.
    Riedmiller and Braun 1993.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        shrink, grow = group["etas"]
        if count_step(state) == 1:
            state["prev"] = zeros_like(param)
            state["step_size"] = full_like(grad, group["lr"])
        if group["maximize"]:
            grad = -grad
        agreement = grad * state["prev"]
        factor = full_like(grad, 1.0).masked_fill(agreement > 0, grow)
        factor = factor.masked_fill(agreement < 0, shrink)
        size = state["step_size"].mul_(factor).clamp_(*group["step_sizes"])
        grad = grad.masked_fill(agreement < 0, 0)
        param.sub_(grad.sign() * size)
        state["prev"].copy_(grad)
