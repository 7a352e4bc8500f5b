"""The networks of the benchmark as lists of layers, with their first weights and their data.

Every library builds the same network from the same list. Weights and data come from NumPy's seeded
generators, so that each process can make them for itself.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy import ndarray


@dataclass(frozen=True)
class Conv:
    """K filters of (size, size)."""

    K: int
    size: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Linear:
    units: int


@dataclass(frozen=True)
class BatchNorm:
    pass


@dataclass(frozen=True)
class ReLU:
    pass


@dataclass(frozen=True)
class Tanh:
    pass


@dataclass(frozen=True)
class MaxPool:
    size: int
    stride: int


@dataclass(frozen=True)
class AvgPool:
    """Without overlap."""

    size: int


@dataclass(frozen=True)
class AdaptiveAvgPool:
    """To planes of (size, size), which they have already."""

    size: int


@dataclass(frozen=True)
class Flatten:
    pass


@dataclass(frozen=True)
class Dropout:
    p: float = 0.5


Layer = (
    Conv
    | Linear
    | BatchNorm
    | ReLU
    | Tanh
    | MaxPool
    | AvgPool
    | AdaptiveAvgPool
    | Flatten
    | Dropout
)


@dataclass(frozen=True)
class Network:
    """Layers, the (C, H, W) of an image, and the batch it is trained with."""

    title: str
    image: tuple[int, int, int]
    batch: int
    classes: int
    layers: tuple[Layer, ...]

    def shapes(self) -> Iterator[tuple[int, Layer, tuple[int, ...]]]:
        """(position, layer, shape of what comes in, without the batch) of each layer."""
        shape: tuple[int, ...] = self.image
        for i, layer in enumerate(self.layers):
            yield i, layer, shape
            match layer:
                case Conv(K, size, stride, padding):
                    H, W = ((n + 2 * padding - size) // stride + 1 for n in shape[1:])
                    shape = (K, H, W)
                case MaxPool(size, stride):
                    shape = (shape[0], *((n - size) // stride + 1 for n in shape[1:]))
                case AvgPool(size):
                    shape = (shape[0], *(n // size for n in shape[1:]))
                case Flatten():
                    shape = (math.prod(shape),)
                case Linear(units):
                    shape = (units,)

    def start(self) -> Iterator[tuple[str, ndarray]]:
        """First weights, one after the other, by the names of an nn.Sequential.

        Normal with variance 2 / fan-in (He et al. 2015); biases 0, batch norm's weights 1.
        """
        for i, layer, shape in self.shapes():
            match layer:
                case Conv(K, size):
                    yield f"{i}.weight", _normal(f"{i}", (K, shape[0], size, size))
                    yield f"{i}.bias", np.zeros(K, np.float32)
                case Linear(units):
                    yield f"{i}.weight", _normal(f"{i}", (units, shape[0]))
                    yield f"{i}.bias", np.zeros(units, np.float32)
                case BatchNorm():
                    yield f"{i}.weight", np.ones(shape[0], np.float32)
                    yield f"{i}.bias", np.zeros(shape[0], np.float32)

    def weights(self) -> dict[str, ndarray]:
        """All first weights."""
        return dict(self.start())

    def data(self, batch: int) -> tuple[ndarray, ndarray]:
        """Images (N, C, H, W) of noise and labels (N)."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch, *self.image), dtype=np.float32)
        return x, rng.integers(0, self.classes, batch)


def _normal(name: str, shape: tuple[int, ...]) -> ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    weights = rng.standard_normal(shape, dtype=np.float32)
    weights *= np.float32(math.sqrt(2 / math.prod(shape[1:])))
    return weights


def _vgg(*blocks: tuple[int, int], batch_norm: bool = False) -> Iterator[Layer]:
    """(how many convolutions, their filters) of each block."""
    for count, K in blocks:
        for _ in range(count):
            yield Conv(K, 3, padding=1)
            if batch_norm:
                yield BatchNorm()
            yield ReLU()
        yield MaxPool(2, 2)


def _head(*units: int) -> Iterator[Layer]:
    for n in units[:-1]:
        yield from (Linear(n), ReLU())
    yield Linear(units[-1])


_D = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

NETWORKS = {
    "vgg16": Network(
        "VGG-16, 224x224",
        (3, 224, 224),
        8,
        1000,
        (
            *_vgg(*_D),
            *(AdaptiveAvgPool(7), Flatten()),
            *(Linear(4096), ReLU(), Dropout()),
            *(Linear(4096), ReLU(), Dropout()),
            Linear(1000),
        ),
    ),
    "alexnet": Network(
        "AlexNet (torchvision's), 224x224",
        (3, 224, 224),
        32,
        1000,
        (
            *(Conv(64, 11, 4, 2), ReLU(), MaxPool(3, 2)),
            *(Conv(192, 5, padding=2), ReLU(), MaxPool(3, 2)),
            *(Conv(384, 3, padding=1), ReLU()),
            *(Conv(256, 3, padding=1), ReLU()),
            *(Conv(256, 3, padding=1), ReLU(), MaxPool(3, 2)),
            *(AdaptiveAvgPool(6), Flatten()),
            *(Dropout(), Linear(4096), ReLU()),
            *(Dropout(), Linear(4096), ReLU()),
            Linear(1000),
        ),
    ),
    "vgg16_bn": Network(
        "VGG-16 with batch norm, 32x32",
        (3, 32, 32),
        64,
        10,
        (*_vgg(*_D, batch_norm=True), Flatten(), Linear(10)),
    ),
    "convnet": Network(
        "ConvNet 32-64-fc, 32x32",
        (3, 32, 32),
        128,
        10,
        (*_vgg((1, 32), (1, 64)), Flatten(), Linear(10)),
    ),
    "lenet5": Network(
        "LeNet-5, 28x28",
        (1, 28, 28),
        64,
        10,
        (
            *(Conv(6, 5, padding=2), Tanh(), AvgPool(2)),
            *(Conv(16, 5), Tanh(), AvgPool(2)),
            Flatten(),
            *(Linear(120), Tanh(), Linear(84), Tanh(), Linear(10)),
        ),
    ),
    "mlp": Network("MLP 784-100-10", (1, 28, 28), 64, 10, (Flatten(), *_head(100, 10))),
}

# Small enough to try everything out.
TINY = {
    "tiny": Network(
        "ConvNet of two filters",
        (1, 8, 8),
        4,
        3,
        (*_vgg((1, 2)), Flatten(), Dropout(), Linear(3)),
    ),
    "tiny_mlp": Network("MLP 4-5-3", (1, 2, 2), 4, 3, (Flatten(), *_head(5, 3))),
}


def network(name: str) -> Network:
    """The network of this name. Raises ValueError if there is none."""
    both = NETWORKS | TINY
    if name not in both:
        raise ValueError(f"there is no model {name!r}; there are {', '.join(NETWORKS)}")
    return both[name]
