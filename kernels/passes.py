"""Every kernel of a family on one of its cases: what must not depend on how it is run.

`passes(family, functions, case, dtype)` gives name -> array; `functions` is the family on some
backend, such as kernels.of(x).conv2d. cases.py says what a case is, and how far results may differ.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy import ndarray

Results = dict[str, ndarray]


def cases(family: str, *, large: bool = False) -> list[Any]:
    """The case table of a family, without its large cases unless they are asked for."""
    table = import_module(f".{family}.cases", __package__).CASES
    return [case for case in table if large or case.size != "large"]


def passes(family: str, functions: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    """The results of every function of the family on this case, by name."""
    return _PASSES[family](functions, case, dtype)


def _activation(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    x, dy = case.arrays(dtype)
    y = f.relu(x)
    return {"relu": y, "relu_backward": f.relu_backward(dy, y)}


def _batch_norm(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    x, weight, bias, dy = case.arrays(dtype)
    y, mean, var = f.forward(x, weight, bias, eps=case.eps)
    dx, dweight, dbias = f.backward(dy, x, weight, mean, var, eps=case.eps)
    normalized = f.normalize(x, mean, var, weight, bias, eps=case.eps)
    return {"y": y, "mean": mean, "var": var, "normalize": normalized} | {
        "dx": dx,
        "dweight": dweight,
        "dbias": dbias,
    }


def _conv2d(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    x, w, bias, dy = case.arrays(dtype)
    dims = case.dims
    return {
        "forward": f.forward(x, w, bias, dims=dims),
        "grad_input": f.grad_input(dy, w, dims=dims),
        "grad_weight": f.grad_weight(dy, x, dims=dims),
    }


def _cross_entropy(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    logits, target, dloss = case.arrays(dtype)
    ignore = {"ignore_index": case.ignore_index}
    loss, logsumexp, count = f.forward(logits, target, **ignore)
    dlogits = f.backward(dloss, logits, target, logsumexp, **ignore)
    return {"loss": loss, "logsumexp": logsumexp, "count": np.asarray(count), "dlogits": dlogits}


def _dropout(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    (x,) = case.arrays(dtype)
    return {"apply": f.apply(x, p=case.p, key=case.key)}


def _matmul(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    a, b = case.arrays(dtype)
    return {"matmul": f.matmul(a, b)}


def _optimizer(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    lists = case.arrays(dtype)
    getattr(f, case.step)(*lists, **case.options)
    results = {
        f"{i}, {j}": array for i, given in enumerate(lists) for j, array in enumerate(given or ())
    }
    return results | {"norm": np.asarray(f.norm(lists[1]))}


def _pointwise(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    (x,) = case.arrays(dtype)
    return {
        "tanh": f.tanh(x),
        "tanh_backward": f.tanh_backward(x, np.tanh(x)),
        "erf": f.erf(x),
    }


def _pool2d(f: Any, case: Any, dtype: np.typing.DTypeLike) -> Results:
    x, dy = case.arrays(dtype)
    dims = case.dims
    y, winners = f.max_forward(x, dims=dims)
    results = {
        "max_forward": y,
        "max_backward": f.max_backward(dy, winners, dims=dims),
        "max_gather": f.max_gather(x, winners, dims=dims),
    }
    if dims.dilation == (1, 1):
        results["avg_forward"] = f.avg_forward(x, dims=dims)
        results["avg_backward"] = f.avg_backward(dy, dims=dims)
    return results


_PASSES: dict[str, Callable[[Any, Any, np.typing.DTypeLike], Results]] = {
    "activation": _activation,
    "batch_norm": _batch_norm,
    "conv2d": _conv2d,
    "cross_entropy": _cross_entropy,
    "dropout": _dropout,
    "matmul": _matmul,
    "optimizer": _optimizer,
    "pointwise": _pointwise,
    "pool2d": _pool2d,
}
