"""Adafactor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..ops.creation import zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero, count_step


class Adafactor(Optimizer):
    """Adam whose mean square of a matrix is kept as the product of a column and a row.

        v = rows @ columns / mean(rows)        u = g / sqrt(v)
        param -= max(eps2, rms(param)) * min(lr, 1/sqrt(t)) * u / max(1, rms(u) / d)

    The means forget with t^beta2_decay.  Shazeer and Stern 2018.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        for name, value, limit, holds in (
            ("beta2_decay", beta2_decay, "<= 0", beta2_decay <= 0),
            ("epsilon1", eps[0], ">= 0", eps[0] is None or eps[0] >= 0),
            ("epsilon2", eps[1], ">= 0", eps[1] >= 0),
            ("Clipping threshold d", d, ">= 1", d >= 1),
        ):
            if not holds:
                raise ValueError(f"{name} should be {limit} but is: {value}")
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "beta2_decay": beta2_decay,
            "eps": tuple(eps),
            "d": d,
            "weight_decay": at_least_zero("weight_decay value", weight_decay),
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        eps1, eps2 = group["eps"]
        eps1 = float(np.finfo(param.array.dtype).eps) if eps1 is None else eps1
        lr = group["lr"]
        step = count_step(state)
        if step == 1:
            if grad.ndim > 1:
                state["row_var"] = grad.new_zeros((*grad.shape[:-1], 1))
                state["col_var"] = grad.new_zeros((*grad.shape[:-2], 1, grad.shape[-1]))
            else:
                state["variance"] = zeros_like(grad)
        if group["maximize"]:
            grad = -grad
        share = step ** group["beta2_decay"]
        size = max(eps2, _rms(param)) * min(lr, 1 / step**0.5)
        if group["weight_decay"]:
            param.mul_(1 - lr * group["weight_decay"])
        square = grad * grad
        if grad.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows.add_((square.mean(-1, keepdim=True) - rows) * share)
            columns.add_((square.mean(-2, keepdim=True) - columns) * share)
            mean = (rows @ columns) / rows.mean(-2, keepdim=True).clamp(min=eps1)
        else:
            mean = state["variance"].add_((square - state["variance"]) * share)
        change = mean.clamp(min=eps1 * eps1).rsqrt() * grad
        param.sub_(size / max(1.0, _rms(change) / group["d"]) * change)


def _rms(x: Tensor) -> float:
    """The root of the mean square."""
    return x.norm(2).item() / x.numel() ** 0.5
