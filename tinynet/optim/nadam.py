"""NAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.creation import tensor, zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, checked_betas, count_step, uphill


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the step looks one momentum step ahead.

        mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)        M_t = mu_1 * ... * mu_t
        param -= lr * ((1 - mu_t) / (1 - M_t) * g + mu_{t+1} / (1 - M_{t+1}) * m)
                 / (sqrt(v / (1 - beta2^t)) + eps)

    with m and v as in `Adam`.  Dozat 2016.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": at_least_zero("momentum_decay value", momentum_decay),
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        step = count_step(state)
        if step == 1:
            state["mu_product"] = tensor(1.0, dtype="float32")
            state["exp_avg"] = zeros_like(param)
            state["exp_avg_sq"] = zeros_like(param)
        grad = decayed(grad, param, group)
        mu, ahead = (
            beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
        )
        state["mu_product"].mul_(mu)
        product = state["mu_product"].item()
        mean = state["exp_avg"].mul_(beta1).add_((1 - beta1) * grad)
        square = state["exp_avg_sq"].mul_(beta2).add_((1 - beta2) * grad * grad)
        scale = (square / (1 - beta2**step)).sqrt() + group["eps"]
        param.sub_(lr * (1 - mu) / (1 - product) * (grad / scale))
        param.sub_(lr * ahead / (1 - product * ahead) * (mean / scale))


def decayed(grad: Tensor, param: Tensor, group: dict[str, Any]) -> Tensor:
    """`uphill`, or with decoupled_weight_decay the gradient alone, and the parameter shortened."""
    if not group["decoupled_weight_decay"]:
        return uphill(grad, param, group)
    param.mul_(1 - group["lr"] * group["weight_decay"])
    return -grad if group["maximize"] else grad
