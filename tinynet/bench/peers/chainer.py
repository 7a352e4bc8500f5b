"""Chainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..functional import scores
from ..networks import network
from ..programs import LR, MOMENTUM, WEIGHT_DECAY
from ..verify import digests, training_answers
from .old_names import load

chainer, F = load("chainer"), load("chainer.functions")


def start(threads: int) -> dict[str, str]:
    return {"chainer": chainer.__version__}


class functions:
    """See functional.py."""

    conv = staticmethod(F.convolution_2d)
    linear = staticmethod(F.linear)
    relu = staticmethod(F.relu)
    tanh = staticmethod(F.tanh)
    reshape = staticmethod(F.reshape)

    @staticmethod
    def max_pool(x: Any, size: int, stride: int) -> Any:
        return F.max_pooling_2d(x, size, stride, cover_all=False)

    @staticmethod
    def avg_pool(x: Any, size: int) -> Any:
        return F.average_pooling_2d(x, size)


def training(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    x, labels = net.data(task["batch"])
    labels = labels.astype(np.int32)
    weights = {name: chainer.Parameter(w) for name, w in net.weights().items()}
    model = chainer.Link()
    with model.init_scope():
        for name, weight in weights.items():
            setattr(model, f"p{name.replace('.', '_')}", weight)
    optimizer = chainer.optimizers.MomentumSGD(LR, MOMENTUM).setup(model)
    optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(WEIGHT_DECAY))

    def differentiate() -> Any:
        loss = F.softmax_cross_entropy(scores(functions, net, weights, chainer.Variable(x)), labels)
        model.cleargrads()
        loss.backward()
        return loss

    def step() -> float:
        loss = differentiate()
        optimizer.update()
        return float(loss.array)

    differentiate()
    first = {name: weight.grad.copy() for name, weight in weights.items()}
    return step, training_answers([step() for _ in range(task["steps"])], first)


def inference(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    weights = {name: chainer.Variable(w) for name, w in net.weights().items()}
    x = chainer.Variable(net.data(task["batch"])[0])

    def run() -> Any:
        with chainer.no_backprop_mode(), chainer.using_config("train", False):
            return scores(functions, net, weights, x)

    return run, digests(run().array)
