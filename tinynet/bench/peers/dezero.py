"""DeZero."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from ..functional import scores
from ..networks import network
from ..programs import LR, MOMENTUM, WEIGHT_DECAY
from ..verify import digests, training_answers
from .old_names import load

dezero, F = load("dezero"), load("dezero.functions")


def start(threads: int) -> dict[str, str]:
    return {"dezero": version("dezero")}


class functions:
    """See functional.py."""

    conv = staticmethod(F.conv2d)
    relu = staticmethod(F.relu)
    tanh = staticmethod(F.tanh)
    reshape = staticmethod(F.reshape)

    @staticmethod
    def linear(x: Any, w: Any, b: Any) -> Any:
        return F.linear(x, F.transpose(w), b)

    @staticmethod
    def max_pool(x: Any, size: int, stride: int) -> Any:
        return F.pooling(x, size, stride)

    @staticmethod
    def avg_pool(x: Any, size: int) -> Any:
        return F.average_pooling(x, size, size)


def training(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    x, labels = net.data(task["batch"])
    model = dezero.Layer()
    weights = {name: dezero.Parameter(w) for name, w in net.weights().items()}
    for name, weight in weights.items():
        setattr(model, name.replace(".", "_"), weight)
    optimizer = dezero.optimizers.MomentumSGD(LR, MOMENTUM).setup(model)
    optimizer.add_hook(dezero.optimizers.WeightDecay(WEIGHT_DECAY))

    def differentiate() -> Any:
        loss = F.softmax_cross_entropy(scores(functions, net, weights, dezero.Variable(x)), labels)
        model.cleargrads()
        loss.backward()
        return loss

    def step() -> float:
        loss = differentiate()
        optimizer.update()
        return float(loss.data)

    differentiate()
    first = {name: weight.grad.data.copy() for name, weight in weights.items()}
    return step, training_answers([step() for _ in range(task["steps"])], first)


def inference(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    weights = {name: dezero.Variable(w) for name, w in net.weights().items()}
    x = dezero.Variable(net.data(task["batch"])[0])

    def run() -> Any:
        with dezero.no_grad():
            return scores(functions, net, weights, x)

    return run, digests(run().data)
