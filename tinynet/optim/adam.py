"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tinynet.kernels as kernels

from ..autograd.tape import mark_all_modified
from ..ops.creation import zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, checked_betas, count_step


class Adam(Optimizer):
    """Steps of similar size in every direction, from running means of the gradient and its square.

        g = grad + weight_decay * param                        (-grad if maximize)
        m = beta1 * m + (1 - beta1) * g        mhat = m / (1 - beta1^t)
        v = beta2 * v + (1 - beta2) * g^2      vhat = v / (1 - beta2^t)
        param -= lr * mhat / (sqrt(vhat) + eps)

    amsgrad takes the largest v so far.  Kingma and Ba 2015; Reddi et al. 2018.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        lr = at_least_zero("learning rate", lr)
        eps = at_least_zero("epsilon value", eps)
        defaults = {
            "lr": lr,
            "betas": checked_betas(betas),
            "eps": eps,
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def update_all(self, params: list[Tensor], group: dict[str, Any]) -> None:
        kept = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]
        # One kernel takes parameters of one dtype that have taken equally many steps.
        together: dict[Any, tuple[list[Any], ...]] = {}
        for param in params:
            state = self.state[param]
            step = count_step(state)
            if step == 1:
                for name in kept:
                    state[name] = zeros_like(param)
            lists = together.setdefault((param.array.dtype, step), ([], [], [], [], []))
            arrays = [param.array, param.grad.array, *[state[name].array for name in kept]]
            for many, array in zip(lists, arrays):
                many.append(array)
        for (_, step), (arrays, grads, exp_avgs, exp_avg_sqs, largest) in together.items():
            kernels.of(*arrays, *grads).optimizer.adam_step(
                arrays,
                grads,
                exp_avgs,
                exp_avg_sqs,
                largest if group["amsgrad"] else None,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                step=step,
                decoupled=group["decoupled_weight_decay"],
                maximize=group["maximize"],
            )
        mark_all_modified(params, f"{type(self).__name__}.step")


class AdamW(Adam):
    """Adam whose weight decay acts on the parameter itself: param *= 1 - lr * weight_decay.

    Loshchilov and Hutter 2019.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
