"""Chainer."""

from __future__ import annotations

import collections
import collections.abc
from collections.abc import Callable
from typing import Any

import numpy as np

for _old, _type in (("int", int), ("bool", bool), ("float", float), ("object", object)):
    if not hasattr(np, _old):  # names that Chainer uses and NumPy has dropped
        setattr(np, _old, _type)
if not hasattr(np, "sctypes"):
    np.sctypes = {  # type: ignore[attr-defined]
        "int": [np.int8, np.int16, np.int32, np.int64],
        "float": [np.float16, np.float32, np.float64],
    }
for _name in ("Iterable", "Mapping", "MutableMapping", "Sequence"):  # and Python has moved
    if not hasattr(collections, _name):
        setattr(collections, _name, getattr(collections.abc, _name))

import chainer
import chainer.functions as F

from ..functional import scores
from ..networks import network
from ..programs import LR, MOMENTUM, WEIGHT_DECAY
from ..verify import digests, training_answers


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
