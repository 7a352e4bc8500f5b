"""The programs that are timed, one text for tinynet and PyTorch: `lib` is the one or the other."""

from __future__ import annotations

import contextlib
import math
import time
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


class TooSlow(Exception):
    """A step took longer than was worth waiting for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"a step took {seconds:.3g} s")
        self.seconds = seconds


class Training:
    """Forward, loss, backward and SGD with momentum and weight decay, again and again.

    On a GPU `graph` captures the step, and launches it as a whole from then on.
    """

    def __init__(
        self,
        lib: Any,
        network: Network,
        batch: int,
        *,
        device: str = "cpu",
        graph: bool = False,
        prepare: Callable[[Any, Any], tuple[Any, Any]] = lambda net, x: (net, x),
        **sgd: Any,
    ) -> None:
        x, labels = network.data(batch)
        self.lib, self.graph = lib, graph
        self.net = build(lib, network).to(device)
        self.parameters = dict(self.net.named_parameters())
        run, images = prepare(self.net, lib.from_numpy(x).to(device))
        targets = lib.from_numpy(labels).to(device)
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

        self.step = self._plain_step = step
        self.seconds: list[float] = []  # of the verified steps

    def answers(
        self, steps: int, limit: float | None = None
    ) -> tuple[list[float], dict[str, ndarray]]:
        """The losses of the first steps, and the gradients of the first one, without dropout.

        Libraries draw different random numbers, so that only what is certain can be compared. A
        captured step is captured after the first one. Raises TooSlow if a step takes longer than
        `limit` seconds, or the first one, which has more to do, twice as long.
        """
        drops = [layer.p for layer in self.dropout]
        for layer in self.dropout:
            layer.p = 0.0
        with _beside(self.lib) if self.graph else contextlib.nullcontext():
            losses = [self._timed_step(2 * (limit or math.inf))]
        gradients = {name: p.grad.detach().cpu().numpy() for name, p in self.parameters.items()}
        gradients = {name: gradient.copy() for name, gradient in gradients.items()}
        if self.graph:
            self.capture()
        losses += [self._timed_step(limit or math.inf) for _ in range(steps - 1)]
        for layer, p in zip(self.dropout, drops, strict=True):
            layer.p = p
        if self.graph and self.dropout:  # which is in force only now
            self.capture()
        return losses, gradients

    def _timed_step(self, limit: float) -> float:
        start = time.perf_counter()
        loss = self.step().item()
        self.seconds.append(time.perf_counter() - start)
        if self.seconds[-1] > limit:
            raise TooSlow(self.seconds[-1])
        return float(loss)

    def capture(self) -> None:
        """Capture the step; from now on it launches what was captured."""
        captured = self.lib.cuda.CUDAGraph()
        with self.lib.cuda.graph(captured):
            loss = self._plain_step()

        def replay() -> Any:
            captured.replay()
            return loss

        self.step = replay


@contextlib.contextmanager
def _beside(lib: Any) -> Any:
    """On a stream beside the default one, as PyTorch wants it before a capture."""
    stream = lib.cuda.Stream()
    stream.wait_stream(lib.cuda.current_stream())
    with lib.cuda.stream(stream):
        yield
    lib.cuda.current_stream().wait_stream(stream)


def inference(
    lib: Any,
    network: Network,
    batch: int,
    *,
    device: str = "cpu",
    prepare: Callable[[Any, Any], tuple[Any, Any]] = lambda net, x: (net, x),
    mode: Any = None,
) -> Callable[[], Any]:
    """A function that runs the network forward under no_grad and gives the scores."""
    x, _ = network.data(batch)
    net = build(lib, network).to(device).eval()
    run, images = prepare(net, lib.from_numpy(x).to(device))
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
