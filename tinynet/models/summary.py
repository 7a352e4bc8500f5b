"""What a network is made of and what one training step of it costs, measured on a forward pass."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import nn
from ..autograd.mode import enable_grad
from ..autograd.tape import Node, tick
from ..ops import creation
from ..random import default_generator
from ..tensor import Tensor


@dataclass(slots=True)
class Row:
    """One call of a layer; or, of a module made of others, what its own `forward` adds to them."""

    name: str  # the path, such as "features.0"; "" is the network itself
    kind: str  # the class
    output_shape: tuple[int, ...]
    parameters: int  # its own, at its first call
    multiply_adds: int  # of convolutions and linear layers, forward, for the whole batch
    forward_bytes: int  # of outputs in memory that was not there before (a view has none)
    backward_bytes: int = 0  # remembered for backward, without the parameters


@dataclass(frozen=True, slots=True)
class Summary:
    """The rows in the order of the calls, and their totals."""

    rows: list[Row]
    parameters: int
    trainable: int
    parameter_bytes: int

    @property
    def multiply_adds(self) -> int:
        """Of one forward pass; a backward pass takes about twice as many."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def forward_bytes(self) -> int:
        """The outputs of all layers together."""
        return sum(row.forward_bytes for row in self.rows)

    @property
    def backward_bytes(self) -> int:
        """What is remembered between forward and backward, each array counted once."""
        return sum(row.backward_bytes for row in self.rows)


def summarize(model: nn.Module, input_size: Sequence[int], batch_size: int = 1) -> Summary:
    """Run `model` forward on zeros of (batch_size, *input_size) and take the measure of each layer.

    The model is run as it is set, in training or in evaluation; buffers and the random stream are
    put back afterwards. What two layers remember (an output that is the next one's input) counts
    for the first of them.
    """
    where = next(iter(model.parameters()), None)
    x = creation.zeros(
        (batch_size, *input_size),
        dtype=None if where is None else where.dtype,
        device=None if where is None else where.device,
    )
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    state = default_generator.get_state()
    measure = _Measure(model, x)
    try:
        with enable_grad():
            output = model(x)
        measure.read_graph(output)
    finally:
        measure.remove_hooks()
        default_generator.set_state(state)
        for buffer, before in buffers:
            buffer.array[...] = before.array
    return Summary(
        [call.row for call in measure.finished if call.counts()],
        sum(p.numel() for p in model.parameters()),
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        sum(p.nbytes for p in model.parameters()),
    )


@dataclass(slots=True)
class _Call:
    """A module's call: its row, and which nodes were recorded meanwhile."""

    row: Row
    composite: bool
    start: int
    end: int = 0
    inner: list[_Call] = field(default_factory=list)

    def counts(self) -> bool:
        row = self.row
        own = row.parameters or row.forward_bytes or row.backward_bytes
        return bool(not self.composite or own)

    def owner(self, number: int) -> _Call | None:
        """The innermost call that recorded the node of this number."""
        if not self.start < number < self.end:
            return None
        return next((c for call in self.inner if (c := call.owner(number))), self)


class _Measure:
    """Hooks on every module that time-stamp its calls on the tape's clock."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self.finished: list[_Call] = []
        self._open: list[_Call] = []
        self._counted: set[int] = set()  # ids of modules whose parameters are in a row
        self._seen: dict[int, Any] = {}  # memory that is known, by id, weakly
        self._parameters = {id(_memory(p)) for p in [*model.parameters(), *model.buffers()]}
        self._is_new(x)
        self._handles = []
        for name, module in model.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._enter(name)))
            self._handles.append(module.register_forward_hook(self._leave))

    def remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            row = Row(name, type(module).__name__, (), 0, 0, 0)
            composite = bool(module._modules)
            call = _Call(row, composite, tick())
            if self._open:
                self._open[-1].inner.append(call)
            self._open.append(call)

        return enter

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        call = self._open.pop()
        call.end = tick()
        row = call.row
        outputs = list(_tensors(output))
        row.output_shape = tuple(outputs[0].shape) if outputs else ()
        row.forward_bytes = sum(t.nbytes for t in outputs if self._is_new(t))
        row.multiply_adds = sum(multiply_adds(module, t.shape) for t in outputs)
        if id(module) not in self._counted:
            self._counted.add(id(module))
            row.parameters = sum(p.numel() for p in module.parameters(recurse=False))
        self.finished.append(call)

    def _is_new(self, t: Tensor) -> bool:
        """False for a view, or an output that was written into its input."""
        memory = _memory(t)
        known = self._seen.get(id(memory))
        if known is not None and known() is memory:
            return False
        self._seen[id(memory)] = weakref.ref(memory)
        return True

    def read_graph(self, output: Any) -> None:
        """Find for each array that the graph holds the call that first remembered it."""
        outermost = self.finished[-1]
        nodes = sorted(_graph(t.grad_fn for t in _tensors(output)), key=lambda n: n.number)
        held = set(self._parameters)
        for node in nodes:
            call = outermost.owner(node.number)
            for memory in _held(node):
                if call is not None and id(memory) not in held:
                    held.add(id(memory))
                    call.row.backward_bytes += memory.nbytes


def multiply_adds(module: nn.Module, output_shape: Sequence[int]) -> int:
    """Products in one forward pass of a convolution or linear layer; 0 for every other module."""
    if isinstance(module, nn.Conv2d):
        return math.prod(output_shape) * math.prod(module.weight.shape[1:])
    if isinstance(module, nn.Linear):
        return math.prod(output_shape) * module.in_features
    return 0


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in what a module returned."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _memory(value: Any) -> Any:
    """The array that owns the memory of a tensor or array."""
    array = value.array if isinstance(value, Tensor) else value
    while hasattr(array.base, "nbytes") and hasattr(array.base, "dtype"):
        array = array.base
    return array


def _graph(roots: Any) -> set[Node]:
    """All nodes from which the results were made."""
    found: set[Node] = set()
    waiting = [node for node in roots if node is not None]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [before for before, _ in node.next_functions if before is not None]
    return found


def _held(node: Node) -> Iterator[Any]:
    """The memory that a node keeps for backward."""
    for _, value in node.remembers():
        yield _memory(value)
    if node.output is not None:
        yield _memory(node.output[0])
