"""Optimiser steps to agree on and to time."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from ..samples import Size, normal


@dataclass(frozen=True)
class OptimizerCase:
    """The shapes of the parameters and the keywords of one step."""

    name: str
    step: Literal["sgd_step", "adam_step"]
    params: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    state: bool = True  # momentum buffers, or for Adam the AMSGrad maxima
    strided: bool = False
    size: Size = "awkward"

    @property
    def numbers(self) -> int:
        """Elements of all parameters."""
        return sum(math.prod(shape) for shape in self.params)

    @property
    def flops(self) -> int:
        return (5 if self.step == "sgd_step" else 14) * self.numbers

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: each array read, all but the gradient written."""
        arrays = 2 + self.state if self.step == "sgd_step" else 4 + self.state
        return (2 * arrays - 1) * self.numbers * np.dtype(dtype).itemsize

    def arrays(self, dtype: np.typing.DTypeLike, seed: int = 0) -> tuple[list[ndarray] | None, ...]:
        """The step's lists in order; second moments are positive."""
        rng = np.random.default_rng(seed)
        count = 3 if self.step == "sgd_step" else 5
        lists: list[list[ndarray] | None] = [
            [normal(rng, shape, dtype, self.strided) for shape in self.params] for _ in range(count)
        ]
        if self.step == "adam_step":
            lists[3:] = [[np.asarray(abs(a)) for a in arrays or ()] for arrays in lists[3:]]
        if not self.state:
            lists[-1] = None
        return tuple(lists)

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Relative and absolute: a dozen roundings of numbers around one."""
        return float(32 * np.finfo(dtype).eps)


def _sgd(**options: Any) -> dict[str, Any]:
    return {"lr": 0.1, **options}


def _momentum(**options: Any) -> dict[str, Any]:
    return {"lr": 0.1, "momentum": 0.9, **options}


def _adam(**options: Any) -> dict[str, Any]:
    return {
        "lr": 1e-2,
        "beta1": 0.9,
        "beta2": 0.99,
        "eps": 1e-3,
        "step": 3,
        "weight_decay": 0.0,
        "decoupled": False,
        **options,
    }


LENET5 = (
    (6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,),
)  # fmt: skip

CASES = [
    OptimizerCase("SGD", "sgd_step", ((7,),), _sgd(), state=False, size="small"),
    OptimizerCase(
        "SGD, decay", "sgd_step", ((3, 4),), _sgd(weight_decay=0.1, maximize=True), False
    ),
    OptimizerCase("SGD, strided", "sgd_step", ((3, 4),), _sgd(), state=False, strided=True),
    OptimizerCase("momentum", "sgd_step", ((9,),), _momentum(), size="small"),
    OptimizerCase("momentum, first", "sgd_step", ((9,),), _momentum(first=True, dampening=0.5)),
    OptimizerCase("dampening", "sgd_step", ((3, 5),), _momentum(dampening=0.3, weight_decay=0.1)),
    OptimizerCase("Nesterov", "sgd_step", ((3, 5),), _momentum(nesterov=True, maximize=True)),
    OptimizerCase("momentum, strided", "sgd_step", ((3, 5),), _momentum(), strided=True),
    OptimizerCase("Adam", "adam_step", ((9,),), _adam(), state=False, size="small"),
    OptimizerCase("Adam, first", "adam_step", ((9,),), _adam(step=1, weight_decay=0.1), False),
    OptimizerCase("AdamW", "adam_step", ((4, 3),), _adam(decoupled=True, weight_decay=0.1), False),
    OptimizerCase("AMSGrad", "adam_step", ((4, 3),), _adam(maximize=True)),
    OptimizerCase("Adam, strided", "adam_step", ((4, 3),), _adam(), strided=True),
    OptimizerCase("empty", "adam_step", ((0, 3),), _adam()),
    OptimizerCase("SGD, more than a task", "sgd_step", ((140001,),), _momentum()),
    OptimizerCase("SGD, many", "sgd_step", ((5,), (9000, 2), (), (0,), (40000,)), _momentum()),
    OptimizerCase("SGD, very many", "sgd_step", ((3, 2),) * 19, _momentum(), strided=True),
    OptimizerCase("Adam, many", "adam_step", ((5,), (9000, 2), (), (3, 4)) * 3, _adam(), False),
    OptimizerCase("SGD, LeNet-5", "sgd_step", LENET5, _momentum(), size="large"),
    OptimizerCase("SGD, 4 million", "sgd_step", ((4_000_000,),), _momentum(), size="large"),
    OptimizerCase("Adam, 4 million", "adam_step", ((4_000_000,),), _adam(), False, size="large"),
]
