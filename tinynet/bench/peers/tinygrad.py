"""tinygrad on the CPU: each program is one `TinyJit` function."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn.optim import SGD

from ..functional import scores
from ..networks import network
from ..programs import LR, MOMENTUM, WEIGHT_DECAY
from ..verify import digests, training_answers


def start(threads: int) -> dict[str, str]:
    Tensor.ones(1).contiguous().realize()  # finds out whether there is a compiler
    return {"tinygrad": version("tinygrad")}


class functions:
    """See functional.py."""

    @staticmethod
    def conv(x: Any, w: Any, b: Any, stride: int, padding: int) -> Any:
        return x.conv2d(w, b, stride=stride, padding=padding)

    @staticmethod
    def linear(x: Any, w: Any, b: Any) -> Any:
        return x @ w.T + b

    relu = staticmethod(Tensor.relu)
    tanh = staticmethod(Tensor.tanh)
    reshape = staticmethod(Tensor.reshape)

    @staticmethod
    def max_pool(x: Any, size: int, stride: int) -> Any:
        return x.max_pool2d((size, size), stride)

    @staticmethod
    def avg_pool(x: Any, size: int) -> Any:
        return x.avg_pool2d((size, size))


def training(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    x, labels = map(Tensor, net.data(task["batch"]))
    weights = {name: Tensor(w) for name, w in net.weights().items()}
    for weight in weights.values():
        weight.is_param_()
    optimizer = SGD(list(weights.values()), lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def loss() -> Any:
        return scores(functions, net, weights, x).sparse_categorical_crossentropy(labels)

    @TinyJit
    def update() -> Any:
        optimizer.zero_grad()
        value = loss().backward()
        return value.realize(*optimizer.schedule_step())

    def step() -> float:
        with Context(TRAINING=1):
            return float(update().item())

    with Context(TRAINING=1):
        loss().backward()
        first = {name: weight.grad.numpy() for name, weight in weights.items()}
    return step, training_answers([step() for _ in range(task["steps"])], first)


def inference(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    weights = {name: Tensor(w) for name, w in net.weights().items()}
    x = Tensor(net.data(task["batch"])[0]).realize()
    forward = TinyJit(lambda x: scores(functions, net, weights, x).realize())

    def run() -> np.ndarray:
        return forward(x).numpy()

    return run, digests(run())
