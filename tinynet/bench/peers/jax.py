"""JAX: each program is one jitted function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..functional import scores
from ..networks import network
from ..programs import LR, MOMENTUM, WEIGHT_DECAY
from ..verify import digests, training_answers


def start(threads: int) -> dict[str, str]:
    if threads != len(jax.devices()[0].client.local_devices()) and threads == 1:
        raise ImportError("XLA on the CPU takes all cores, and offers no way to take one")
    return {"jax": jax.__version__}


class functions:
    """See functional.py."""

    @staticmethod
    def conv(x: Any, w: Any, b: Any, stride: int, padding: int) -> Any:
        y = lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2)
        return y + b[:, None, None]

    @staticmethod
    def linear(x: Any, w: Any, b: Any) -> Any:
        return x @ w.T + b

    relu = staticmethod(jax.nn.relu)
    tanh = staticmethod(jnp.tanh)
    reshape = staticmethod(jnp.reshape)

    @staticmethod
    def max_pool(x: Any, size: int, stride: int) -> Any:
        window, strides = (1, 1, size, size), (1, 1, stride, stride)
        return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "VALID")

    @staticmethod
    def avg_pool(x: Any, size: int) -> Any:
        window = (1, 1, size, size)
        return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / size**2


def training(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    net = network(task["model"])
    x, labels = map(jnp.asarray, net.data(task["batch"]))
    weights = {name: jnp.asarray(w) for name, w in net.weights().items()}

    def loss(weights: Any) -> Any:
        logits = scores(functions, net, weights, x)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(weights: Any, momenta: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights)
        decayed = jax.tree.map(lambda g, w: g + WEIGHT_DECAY * w, gradients, weights)
        momenta = jax.tree.map(lambda m, g: MOMENTUM * m + g, momenta, decayed)
        return value, jax.tree.map(lambda w, m: w - LR * m, weights, momenta), momenta

    gradients = {name: jnp.asarray(g) for name, g in jax.grad(loss)(weights).items()}
    state = [weights, jax.tree.map(jnp.zeros_like, weights)]

    def step() -> float:
        value, *state[:] = update(*state)
        return float(value)

    import numpy as np

    arrays = {name: np.asarray(g) for name, g in gradients.items()}
    return step, training_answers([step() for _ in range(task["steps"])], arrays)


def inference(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    import numpy as np

    net = network(task["model"])
    x = jnp.asarray(net.data(task["batch"])[0])
    weights = {name: jnp.asarray(w) for name, w in net.weights().items()}
    forward = jax.jit(lambda weights, x: scores(functions, net, weights, x))

    def run() -> Any:
        return forward(weights, x).block_until_ready()

    return run, digests(np.asarray(run()))
