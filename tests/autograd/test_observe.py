"""Observers see everything that happens, in order, and leave nothing behind."""

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.autograd import Function, engine, tape
from tinynet.autograd.observe import Observer, observing


class Log(Observer):
    """Everything as indented lines."""

    def __init__(self):
        self.lines, self.depth = [], 0

    def begins(self, *what):
        self.lines.append("  " * self.depth + " ".join(what))
        self.depth += 1

    def ends(self, *_):
        self.depth -= 1

    def operation_begins(self, operation, inputs, parameters):
        self.begins("operation", operation.__name__.strip("_"))

    def node_begins(self, node):
        self.begins("node", node.name())

    def walk_begins(self, roots):
        self.begins("walk")

    def module_begins(self, module, args):
        self.begins("module", type(module).__name__)

    def step_begins(self, optimizer):
        self.begins("step", type(optimizer).__name__)

    operation_ends = node_ends = walk_ends = module_ends = step_ends = ends


class Twice(Function):
    @staticmethod
    def forward(ctx, x):
        return x + x

    @staticmethod
    def backward(ctx, dy):
        return dy + dy


def test_a_training_step_in_order():
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Tanh())
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    with observing(Log()) as log:
        Twice.apply(model(tn.ones(1, 3))).sum().backward()
        optimizer.step()
    assert log.depth == 0
    walk = log.lines.index("walk")
    assert log.lines[:walk] == [
        "module Sequential",
        "  module Linear",
        "    operation linear",
        "  module Tanh",
        "    operation tanh",
        "operation Twice",
        "  operation add",
        "operation sum",
    ]
    rest = log.lines[walk:]
    assert [line for line in rest if "operation" not in line] == [
        "walk",
        "  node SumBackward0",
        "  node TwiceBackward",
        "  node TanhBackward0",
        "  node LinearBackward0",
        "  node AccumulateGrad",
        "step SGD",
    ]
    assert rest[rest.index("  node TwiceBackward") + 1] == "    operation add"


def test_afterwards_everything_is_as_it_was():
    x = tn.ones(3, requires_grad=True)
    functions = engine.walk, engine.heappop, nn.Module.__call__, tn.optim.Optimizer.step
    operations = {operation: operation.exchange(None) for operation in tape.operations}
    for operation, plain in operations.items():
        operation.exchange(plain)
    outer, inner = Log(), Log()
    with observing(outer):
        x.exp()
        with observing(inner):
            x.sin()
        with pytest.raises(RuntimeError):
            x @ tn.ones(4)
    x.cos()
    assert outer.lines[:2] == ["operation exp", "operation sin"]
    assert inner.lines == ["operation sin"]
    assert outer.depth == 0  # what failed has ended, too
    assert functions == (engine.walk, engine.heappop, nn.Module.__call__, tn.optim.Optimizer.step)
    for operation, plain in operations.items():
        assert operation.exchange(plain) is plain


def test_a_walk_within_a_walk():
    class Inner(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            with tn.enable_grad():
                x = x.detach().requires_grad_()
                (x * x).sum().backward()
            return dy * x.grad

    x = tn.tensor([3.0], requires_grad=True)
    y = Inner.apply(x).sum()
    with observing(Log()) as log:
        y.backward()
    assert x.grad.item() == 6
    nested = [line for line in log.lines if line.strip().startswith(("walk", "node"))]
    assert nested == [
        "walk",
        "  node SumBackward0",
        "  node InnerBackward",
        "    walk",
        "      node SumBackward0",
        "      node MulBackward0",
        "      node AccumulateGrad",
        "  node AccumulateGrad",
    ]
    assert log.depth == 0


def test_an_observer_that_comes_in_the_middle_of_a_walk_sees_the_operations():
    x = tn.ones(2, requires_grad=True)
    y = x.exp()
    log = Log()
    stack = observing(log)
    y.register_hook(lambda dy: stack.__enter__() and None)
    y.sum().backward()
    stack.__exit__(None, None, None)
    assert log.lines == ["operation mul"]
