"""autograd (HIPS): derivatives of NumPy programs. It has no convolution for images: ours is a sum
of matrix products, one for each place in the filter."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import value_and_grad

from ..functional import scores
from ..networks import network
from ..programs import LR, MOMENTUM, WEIGHT_DECAY
from ..verify import digests, training_answers


def start(threads: int) -> dict[str, str]:
    return {"autograd": version("autograd")}


class functions:
    """See functional.py."""

    @staticmethod
    def conv(x: Any, w: Any, b: Any, stride: int, padding: int) -> Any:
        if stride != 1:
            raise NotImplementedError("its adapter has no convolution with a stride")
        x = anp.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)], "constant")
        K, _, R, S = w.shape
        P, Q = x.shape[2] - R + 1, x.shape[3] - S + 1
        places = [(r, s) for r in range(R) for s in range(S)]
        y = sum(
            anp.tensordot(w[:, :, r, s], x[:, :, r : r + P, s : s + Q], ((1,), (1,)))
            for r, s in places
        )
        return anp.transpose(y, (1, 0, 2, 3)) + anp.reshape(b, (K, 1, 1))

    @staticmethod
    def linear(x: Any, w: Any, b: Any) -> Any:
        return anp.dot(x, w.T) + b

    @staticmethod
    def relu(x: Any) -> Any:
        return x * (x > 0)

    tanh = staticmethod(anp.tanh)
    reshape = staticmethod(anp.reshape)

    @staticmethod
    def max_pool(x: Any, size: int, stride: int) -> Any:
        if size != stride:
            raise NotImplementedError("its adapter has no overlapping pooling")
        return anp.max(_windows(x, size), axis=(3, 5))

    @staticmethod
    def avg_pool(x: Any, size: int) -> Any:
        return anp.mean(_windows(x, size), axis=(3, 5))


def _windows(x: Any, size: int) -> Any:
    N, C, H, W = x.shape
    return anp.reshape(x, (N, C, H // size, size, W // size, size))


def training(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    x, labels = net.data(task["batch"])
    weights = net.weights()
    momenta = {name: np.zeros_like(w) for name, w in weights.items()}

    def loss(weights: Any) -> Any:
        logits = scores(functions, net, weights, x)
        logits = logits - anp.max(logits, axis=1, keepdims=True)
        right = logits[np.arange(len(labels)), labels]
        return anp.mean(anp.log(anp.sum(anp.exp(logits), axis=1)) - right)

    differentiate = value_and_grad(loss)
    first = differentiate(weights)[1]

    def step() -> float:
        value, gradients = differentiate(weights)
        for name, w in weights.items():
            momenta[name] = MOMENTUM * momenta[name] + gradients[name] + WEIGHT_DECAY * w
            weights[name] = w - np.float32(LR) * momenta[name]
        return float(value)

    return step, training_answers([step() for _ in range(task["steps"])], first)


def inference(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    weights, x = net.weights(), net.data(task["batch"])[0]

    def run() -> Any:
        return scores(functions, net, weights, x)

    return run, digests(run())
