"""The networks for libraries without modules: a loop over the layers, given the functions."""

from __future__ import annotations

import math
from typing import Any, Protocol

from . import networks as layers
from .networks import Network


class Functions(Protocol):
    """A library's functions, on its own arrays; images are (N, C, H, W)."""

    def conv(self, x: Any, w: Any, b: Any, stride: int, padding: int) -> Any: ...
    def linear(self, x: Any, w: Any, b: Any) -> Any: ...
    def relu(self, x: Any) -> Any: ...
    def tanh(self, x: Any) -> Any: ...
    def max_pool(self, x: Any, size: int, stride: int) -> Any: ...
    def avg_pool(self, x: Any, size: int) -> Any: ...
    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any: ...


def scores(f: Functions, network: Network, weights: dict[str, Any], x: Any) -> Any:
    """(N, C, H, W) -> (N, classes). Raises NotImplementedError for layers that are not here."""
    batch = x.shape[0]
    for i, layer, shape in network.shapes():
        w, b = weights.get(f"{i}.weight"), weights.get(f"{i}.bias")
        match layer:
            case layers.Conv(_, _, stride, padding):
                x = f.conv(x, w, b, stride, padding)
            case layers.Linear():
                x = f.linear(x, w, b)
            case layers.ReLU():
                x = f.relu(x)
            case layers.Tanh():
                x = f.tanh(x)
            case layers.MaxPool(size, stride):
                x = f.max_pool(x, size, stride)
            case layers.AvgPool(size):
                x = f.avg_pool(x, size)
            case layers.Flatten():
                x = f.reshape(x, (batch, math.prod(shape)))
            case _:
                raise NotImplementedError(f"its adapter has no {type(layer).__name__}")
    return x
