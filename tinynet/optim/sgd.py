"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tinynet.kernels as kernels
from tinynet.kernels import capture

from ..autograd.tape import mark_all_modified
from ..ops.creation import zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero


class SGD(Optimizer):
    """Gradient descent, with momentum and weight decay if wanted.

        g = grad + weight_decay * param                        (-grad if maximize)
        b = momentum * b + (1 - dampening) * g                 (at first b = g)
        param -= lr * (g + momentum * b if nesterov else b)

    Sutskever et al. 2013.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "momentum": at_least_zero("momentum value", momentum),
            "dampening": dampening,
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, defaults)

    def update_all(self, params: list[Tensor], group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        # One kernel takes parameters of one dtype, which are all at their first step or none is.
        together: dict[Any, tuple[list[Any], list[Any], list[Any]]] = {}
        for param in params:
            array, first = param.array, False
            if momentum:
                state = self.state[param]
                first = state.get("momentum_buffer") is None
                if first:
                    capture.refuse(
                        "SGD's first step, which starts the momentum, would be every replay's",
                        "Take a step before, outside of the graph.",
                    )
                    state["momentum_buffer"] = zeros_like(param)
            arrays, grads, buffers = together.setdefault((array.dtype, first), ([], [], []))
            arrays.append(array)
            grads.append(param.grad.array)
            if momentum:
                buffers.append(state["momentum_buffer"].array)
        for (_, first), (arrays, grads, buffers) in together.items():
            kernels.of(*arrays, *grads).optimizer.sgd_step(
                arrays,
                grads,
                buffers if momentum else None,
                lr=group["lr"],
                momentum=momentum,
                dampening=group["dampening"],
                weight_decay=group["weight_decay"],
                nesterov=group["nesterov"],
                maximize=group["maximize"],
                first=first,
            )
        mark_all_modified(params, "SGD.step")
