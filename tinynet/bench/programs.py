"""The programs that are timed, one text for tinynet and PyTorch: `lib` is the one or the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import ndarray

from . import networks as layers
from .networks import Network

# What all libraries train with.
LR, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 5e-4


def build(lib: Any, network: Network) -> Any:
    """The network as an nn.Sequential, with its first weights."""
    nn = lib.nn
    modules = []
    for _, layer, shape in network.shapes():
        match layer:
            case layers.Conv(K, size, stride, padding):
                modules.append(nn.Conv2d(shape[0], K, size, stride=stride, padding=padding))
            case layers.Linear(units):
                modules.append(nn.Linear(shape[0], units))
            case layers.BatchNorm():
                modules.append(nn.BatchNorm2d(shape[0]))
            case layers.ReLU():
                modules.append(nn.ReLU())
            case layers.Tanh():
                modules.append(nn.Tanh())
            case layers.MaxPool(size, stride):
                modules.append(nn.MaxPool2d(size, stride))
            case layers.AvgPool(size):
                modules.append(nn.AvgPool2d(size))
            case layers.AdaptiveAvgPool(size):
                modules.append(nn.AdaptiveAvgPool2d(size))
            case layers.Flatten():
                modules.append(nn.Flatten())
            case layers.Dropout(p):
                modules.append(nn.Dropout(p))
    net = nn.Sequential(*modules)
    with lib.no_grad():
        # one at a time: VGG-16's are half a gigabyte
        parameters = dict(net.named_parameters())
        for name, weight in network.start():
            parameters.pop(name).copy_(lib.from_numpy(weight))
        assert not parameters
    return net


class Training:
    """Forward, loss, backward and SGD with momentum and weight decay, again and again."""

    def __init__(
        self,
        lib: Any,
        network: Network,
        batch: int,
        *,
        prepare: Callable[[Any, Any], tuple[Any, Any]] = lambda net, x: (net, x),
        **sgd: Any,
    ) -> None:
        x, labels = network.data(batch)
        self.net = build(lib, network)
        self.parameters = dict(self.net.named_parameters())
        run, images = prepare(self.net, lib.from_numpy(x))
        targets = lib.from_numpy(labels)
        optimizer = lib.optim.SGD(
            self.net.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, **sgd
        )
        cross_entropy = lib.nn.CrossEntropyLoss()
        self.dropout = [m for m in self.net.modules() if isinstance(m, lib.nn.Dropout)]

        def step() -> Any:
            optimizer.zero_grad()
            loss = cross_entropy(run(images), targets)
            loss.backward()
            optimizer.step()
            return loss

        self.step = step

    def answers(self, steps: int) -> tuple[list[float], dict[str, ndarray]]:
        """The losses of the first steps, and the gradients of the first one, without dropout.

        Libraries draw different random numbers, so that only what is certain can be compared.
        """
        drops = [layer.p for layer in self.dropout]
        for layer in self.dropout:
            layer.p = 0.0
        losses = [self.step().item()]
        gradients = {name: p.grad.detach().numpy() for name, p in self.parameters.items()}
        gradients = {name: gradient.copy() for name, gradient in gradients.items()}
        losses += [self.step().item() for _ in range(steps - 1)]
        for layer, p in zip(self.dropout, drops, strict=True):
            layer.p = p
        return losses, gradients


def inference(
    lib: Any,
    network: Network,
    batch: int,
    *,
    prepare: Callable[[Any, Any], tuple[Any, Any]] = lambda net, x: (net, x),
    mode: Any = None,
) -> Callable[[], Any]:
    """A function that runs the network forward under no_grad and gives the scores."""
    x, _ = network.data(batch)
    net = build(lib, network).eval()
    run, images = prepare(net, lib.from_numpy(x))
    no_grad = mode or lib.no_grad

    def forward() -> Any:
        with no_grad():
            return run(images)

    return forward


CHAIN = 1000  # operations in a row
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda y, w: y + w,
    "mul": lambda y, w: y * w,
    "tanh": lambda y, w: y.tanh(),
    "relu": lambda y, w: y.relu(),
    "mul by a number": lambda y, w: y * 0.999,
    "matmul": lambda y, w: y @ w,
    "sum, broadcast": lambda y, w: w * y.sum(0),
    "reshape": lambda y, w: y.reshape(64).reshape(8, 8),
}


def chain(lib: Any, operation: str, backward: bool, length: int) -> Callable[[], tuple[Any, Any]]:
    """A function that applies an 8x8 operation `length` times; gives the value and dx (or None)."""
    step = OPERATIONS[operation]
    x = lib.ones(8, 8, requires_grad=True)
    w = (lib.eye(8) * 0.9 + 0.01).requires_grad_()
    cotangent = lib.ones(8, 8)

    def run() -> tuple[Any, Any]:
        x.grad = w.grad = None
        y = x
        for _ in range(length):
            y = step(y, w)
        if backward:
            y.backward(cotangent)
        return y.detach(), x.grad

    return run
