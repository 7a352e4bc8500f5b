"""The kernel families' cases as programs: what is called, with which arrays."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import tinynet.kernels as kernels

Call = Callable[[Any], Any]  # takes a backend, gives an array or several


def cases(family: str) -> list[Any]:
    """The case table of a family."""
    return importlib.import_module(f"tinynet.kernels.{family}.cases").CASES


def case_of(family: str, name: str, times: int = 1) -> Any:
    """The case of this name; a convolution's with so many times the images.

    Raises ValueError if there is none.
    """
    for case in cases(family):
        if case.name == name:
            return case if times == 1 else replace(case, x=(times * case.x[0], *case.x[1:]))
    raise ValueError(f"the table of {family} has no case {name!r}")


def arrays_of(
    family: str, name: str, dtype: str, move: Callable[[Any, int], Any], times: int = 1
) -> tuple[Any, ...]:
    """The case's arrays on a device: `move(array, n)` gives the array n times, one behind another.

    x and dy of a convolution with so many times the images are those of the case, again and again.
    """

    def moved(value: Any, n: int) -> Any:
        if isinstance(value, list):
            return [moved(part, n) for part in value]
        return None if value is None else move(value, n)

    images = {0, 3} if times > 1 else ()  # x, w, bias, dy
    given = case_of(family, name).arrays(dtype)
    return tuple(moved(a, times if i in images else 1) for i, a in enumerate(given))


def calls(
    family: str,
    name: str,
    dtype: str,
    *,
    times: int = 1,
    arrays: tuple[Any, ...] | None = None,
) -> dict[str, Call]:
    """The family's functions on this case, or on the same arrays elsewhere: name -> call."""
    case = case_of(family, name, times)
    return _CALLS[family](case, case.arrays(dtype) if arrays is None else arrays)


def functions(family: str, name: str) -> list[str]:
    """The names of the family's functions for this case."""
    if family == "optimizer":
        return [case_of(family, name).step]
    return _FUNCTIONS[family]


def algorithms(family: str) -> list[str]:
    """The reference, and every algorithm by name; "auto" where there is no choice."""
    return ["reference", "auto", *kernels.ALGORITHMS.get(family, {})]


def _conv2d(case: Any, arrays: Any) -> dict[str, Call]:
    x, w, bias, dy = arrays
    dims = case.dims
    return {
        "forward": lambda on: on.conv2d.forward(x, w, bias, dims=dims),
        "grad_input": lambda on: on.conv2d.grad_input(dy, w, dims=dims),
        "grad_weight": lambda on: on.conv2d.grad_weight(dy, x, dims=dims),
    }


def _pool2d(case: Any, arrays: Any) -> dict[str, Call]:
    x, dy = arrays
    dims = case.dims
    _, index = kernels.of(x).pool2d.max_forward(x, dims=dims)
    return {
        "max_forward": lambda on: on.pool2d.max_forward(x, dims=dims),
        "max_backward": lambda on: on.pool2d.max_backward(dy, index, dims=dims),
        "avg_forward": lambda on: on.pool2d.avg_forward(x, dims=dims),
        "avg_backward": lambda on: on.pool2d.avg_backward(dy, dims=dims),
    }


def _batch_norm(case: Any, arrays: Any) -> dict[str, Call]:
    x, weight, bias, dy = arrays
    _, mean, var = kernels.of(x).batch_norm.forward(x, weight, bias, eps=case.eps)
    return {
        "forward": lambda on: on.batch_norm.forward(x, weight, bias, eps=case.eps),
        "backward": lambda on: on.batch_norm.backward(dy, x, weight, mean, var, eps=case.eps),
    }


def _cross_entropy(case: Any, arrays: Any) -> dict[str, Call]:
    logits, target, dloss = arrays
    ignored = {"ignore_index": case.ignore_index}
    _, logsumexp, _ = kernels.of(logits).cross_entropy.forward(logits, target, **ignored)
    inputs = dloss, logits, target, logsumexp
    return {
        "forward": lambda on: on.cross_entropy.forward(logits, target, **ignored),
        "backward": lambda on: on.cross_entropy.backward(*inputs, **ignored),
    }


def _dropout(case: Any, arrays: Any) -> dict[str, Call]:
    (x,) = arrays
    return {"apply": lambda on: on.dropout.apply(x, p=case.p, key=case.key)}


def _optimizer(case: Any, arrays: Any) -> dict[str, Call]:
    def step(on: Any) -> None:  # goes on from where the last one stopped
        getattr(on.optimizer, case.step)(*arrays, **case.options)

    return {case.step: step}


def _matmul(case: Any, arrays: Any) -> dict[str, Call]:
    a, b = arrays
    return {"matmul": lambda on: on.matmul.matmul(a, b)}


def _activation(case: Any, arrays: Any) -> dict[str, Call]:
    x, dy = arrays
    y = kernels.of(x).activation.relu(x)
    return {
        "relu": lambda on: on.activation.relu(x),
        "relu_backward": lambda on: on.activation.relu_backward(dy, y),
    }


def _pointwise(case: Any, arrays: Any) -> dict[str, Call]:
    (x,) = arrays
    return {"tanh": lambda on: on.pointwise.tanh(x), "erf": lambda on: on.pointwise.erf(x)}


_CALLS: dict[str, Callable[[Any, Any], dict[str, Call]]] = {
    "conv2d": _conv2d,
    "matmul": _matmul,
    "pool2d": _pool2d,
    "batch_norm": _batch_norm,
    "cross_entropy": _cross_entropy,
    "dropout": _dropout,
    "activation": _activation,
    "pointwise": _pointwise,
    "optimizer": _optimizer,
}
_FUNCTIONS = {
    "conv2d": ["forward", "grad_input", "grad_weight"],
    "matmul": ["matmul"],
    "pool2d": ["max_forward", "max_backward", "avg_forward", "avg_backward"],
    "batch_norm": ["forward", "backward"],
    "cross_entropy": ["forward", "backward"],
    "dropout": ["apply"],
    "activation": ["relu", "relu_backward"],
    "pointwise": ["tanh", "erf"],
}
FAMILIES = tuple(_CALLS)
