"""Writing the ledger of backprop.

    with tinynet.autograd.trace() as ledger:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
    print(ledger)
    ledger.save("page.html")

An observer (observe.py) of the operations and of the walk. Outside the block nothing is paid.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import engine, observe
from .formula import description, formulas, input_names, name_of, source_line
from .function import FunctionNode
from .ledger import Contribution, Input, Leaf, Ledger, Numbers, Remembered, Step, Visit
from .mode import mode
from .tape import AccumulateGrad, Node, Output, TensorBase, holds_data, tick

# Lines inside these do the calling for somebody; what a student wants to see is who that is.
MACHINERY = ("autograd", "kernels", "nn", "ops", "tensor", "utils", "profiler")
PLAIN = (bool, int, float, str, tuple)  # parameters that can be shown
PACKAGE = __name__.partition(".")[0]


@contextmanager
def trace(small: int = 64) -> Iterator[Ledger]:
    """Record each step, forward and backward, that this thread makes inside the block.

    small: arrays of at most so many elements are kept whole; of larger ones the norm, the mean,
    the extremes and a thumbnail.
    """
    ledger = Ledger()
    recorder = _Recorder(ledger, small)
    with observe.observing(recorder):
        try:
            yield ledger
        finally:
            recorder.settle()


class _Recorder(observe.Observer):
    def __init__(self, ledger: Ledger, small: int) -> None:
        self.ledger, self.small = ledger, small
        self.thread = threading.get_ident()
        self.nodes: weakref.WeakKeyDictionary[Node, Step | Leaf] = weakref.WeakKeyDictionary()
        self.arrays: dict[int, tuple[weakref.ref[Any], Step | Leaf]] = {}
        self.inside: list[Any] = []  # operations that have begun: what they call is their own
        self.last: Step | None = None  # ended, and perhaps to be recorded
        # Functions' nodes that were not yet looked at
        self.unread: list[tuple[weakref.ref[Node], Step]] = []
        self.in_place: list[tuple[Step, int, int]] = []  # the call that ran it, how far that was
        # modules
        self.modules: list[tuple[str, str]] = []  # (path, class) of those that run, outermost first
        self.roots: list[Any] = []  # held, so that no id is used twice
        self.paths: dict[int, str] = {}
        self.names: dict[int, tuple[str, str]] = {}  # a parameter's (name, module)
        # the walk
        self.walks: list[int] = []
        self.walked = 0
        self.visiting: list[Visit | None] = []
        self.waiting: weakref.WeakKeyDictionary[Node, list[Contribution]]
        self.waiting = weakref.WeakKeyDictionary()
        # per walk (a pullback may walk a graph of its own), for the node it is at:
        self.undo: list[list[Callable[[], None]]] = []
        self.sent: list[list[tuple[Any, Node, Contribution]]] = []

    def elsewhere(self) -> bool:
        """True in threads that this ledger is not about."""
        return threading.get_ident() != self.thread

    def read(self, array: Any) -> Numbers:
        return Numbers.of(array, self.small)

    # --------------------------------------------------------------------------------- modules

    def module_begins(self, module: Any, args: tuple) -> None:
        if self.elsewhere():
            return
        kind = type(module).__name__
        if not self.modules:
            if not any(module is root for root in self.roots):
                self.roots.append(module)
            self.paths = {id(m): name for name, m in module.named_modules()}
            path = _variable(module, _caller()[0]) or kind
            self.name_members(module, path)
        else:
            path = self.paths.get(id(module), kind)
        self.modules.append((path, kind))

    def module_ends(self, module: Any, result: Any) -> None:
        if not self.elsewhere():
            self.modules.pop()

    def name_members(self, module: Any, variable: str) -> None:
        for path, member in (*module.named_parameters(), *module.named_buffers()):
            owner = path.rpartition(".")[0]
            name = path if owner else f"{variable}.{path}"
            self.names[id(member)] = (name, owner or variable)

    def name_parameters(self, frame: Any) -> None:
        """The names of the parameters of every network that a variable of the program holds."""
        for names in (frame.f_locals, frame.f_globals) if frame is not None else ():
            for variable, value in list(names.items()):
                if callable(getattr(type(value), "named_parameters", None)):
                    self.roots.append(value)
                    self.name_members(value, variable)

    # ------------------------------------------------------------------------------ operations

    def operation_begins(self, operation: Any, inputs: tuple, parameters: dict[str, Any]) -> None:
        if self.elsewhere():
            return
        self.settle()
        visit = self.visiting[-1] if self.visiting else None
        name = operation.__name__.strip("_")
        if self.inside or (visit is not None and not mode.enabled):
            if visit is not None and not self.inside:
                visit.operations.append(name)
            self.inside.append(None)
            return
        frame, in_place = _caller()
        while self.in_place and self.in_place[-1][1] == in_place[0]:
            before, _, progress = self.in_place[-1]
            if progress >= in_place[1]:
                break
            # an in-place method starts again, from a copy of what it is about to overwrite
            self.in_place.pop()
            self.ledger.steps.remove(before)
        names = input_names(operation)
        step = Step(
            tick(),
            name,
            description(operation),
            [self.given(x, name_of(names, i), frame) for i, x in enumerate(inputs)],
            {
                k: v
                for k, v in parameters.items()
                if isinstance(v, bool | int | float | str | tuple)
            },
            [],
            modules=tuple(self.modules),
            during=visit,
        )
        if self.modules:
            step.module, step.module_kind = self.modules[-1]
        if frame is not None:
            step.file, step.line = frame.f_code.co_filename, frame.f_lineno
            step.text = source_line(step.file, step.line)
        self.inside.append((step, in_place))

    def operation_ends(self, operation: Any, inputs: tuple, value: Any) -> None:
        if self.elsewhere():
            return
        begun = self.inside.pop()
        if begun is None or value is None:
            return
        step, in_place = begun
        for one in value if isinstance(value, tuple) else (value,):
            array = one.array if isinstance(one, TensorBase) else one
            if holds_data(array):
                step.outputs.append(self.read(array))
                self.know(array, step)
        self.ledger.steps.append(step)
        if in_place[0]:
            self.in_place.append((step, *in_place))
        self.last = step

    def recorded(self, node: Node, result: Any) -> None:
        if self.elsewhere():
            return
        step, self.last = self.last, None
        if step is None:  # inside another operation: walk_begins finds it if backward does
            return
        step.recorded = True
        self.nodes[node] = step
        if isinstance(node, FunctionNode):
            self.unread.append((weakref.ref(node), step))
        else:
            self.describe(node, step)
        for tensor in result if isinstance(result, tuple) else (result,):
            self.know(tensor.array, step)

    def settle(self) -> None:
        """Read what new Functions' nodes remember: they have that only after they are recorded."""
        for reference, step in self.unread:
            node = reference()
            if node is not None:
                self.describe(node, step)
        self.unread.clear()
        self.last = None

    def describe(self, node: Node, step: Step) -> None:
        step.name = node.name()
        step.formulas = formulas(node)
        held: dict[int, tuple[str, Any]] = {}
        for name, value in node.remembers():
            array = value.array if isinstance(value, TensorBase) else value
            held.setdefault(id(array), (name, array))
        if node.output is not None:
            held.setdefault(id(node.output[0]), ("its output", node.output[0]))
        step.remembered = [
            Remembered(name, tuple(array.shape), int(array.nbytes)) for name, array in held.values()
        ]

    def know(self, array: Any, origin: Step | Leaf) -> None:
        try:
            self.arrays[id(array)] = (weakref.ref(array), origin)
        except TypeError:  # a NumPy scalar, which the tensor will not hold
            return

    def given(self, x: Any, name: str, frame: Any) -> Input:
        if not isinstance(x, TensorBase):
            return Input(name, None, None, False)
        node = x._node
        numbers = self.read(x.array)
        variable = _variable(x, frame)
        origin = self.origin(x, node, numbers, variable)
        if isinstance(origin, Step) and not origin.variable:
            origin.variable = variable
        if isinstance(origin, Leaf):
            variable = origin.name
        return Input(name, origin, numbers, node is not None, variable)

    def origin(self, x: Any, node: Node | None, numbers: Numbers, variable: str) -> Step | Leaf:
        source = node.source if isinstance(node, Output) else node
        known = self.nodes.get(source) if source is not None else None
        if known is None:
            reference, found = self.arrays.get(id(x.array), (None, None))
            if reference is not None and reference() is x.array:
                # An old value is known by its memory only as long as the tape knows no better.
                known = found if node is None or isinstance(found, Leaf) else None
        if known is not None:
            return known
        if source is not None and not isinstance(source, AccumulateGrad):
            self.from_tape(source)
            return self.nodes[source]
        name, module = self.names.get(id(x), (variable, None))
        leaf = Leaf(name, numbers, node is not None, module)
        self.ledger.leaves.append(leaf)
        self.know(x.array, leaf)
        if source is not None:
            self.nodes[source] = leaf
        return leaf

    # ------------------------------------------------------------------------- what ran before

    def from_tape(self, *roots: Node) -> None:
        """Steps for the nodes behind these that ran before the trace began."""
        for node in engine.behind(roots):
            if node in self.nodes or isinstance(node, Output):
                continue
            if isinstance(node, AccumulateGrad):
                x = node.variable
                if x is not None:
                    frame = _caller()[0]
                    self.name_parameters(frame)
                    name, module = self.names.get(id(x), (_variable(x, frame), None))
                    leaf = Leaf(name, self.read(x.array), True, module)
                    self.ledger.leaves.append(leaf)
                    self.nodes[node] = leaf
                    self.know(x.array, leaf)
                continue
            names = input_names(node.operation)
            remembered = dict(node.remembers())
            inputs = []
            for i, edge in enumerate(node.edges):
                name = name_of(names, i)
                source = edge.source if isinstance(edge, Output) else edge
                origin = None if source is None else self.nodes.get(source)
                value = remembered.get(name)
                numbers = None
                if value is not None:
                    numbers = self.read(value.array if isinstance(value, TensorBase) else value)
                elif isinstance(origin, Leaf):
                    numbers = origin.numbers
                variable = origin.name if isinstance(origin, Leaf) else ""
                inputs.append(Input(name, origin, numbers, edge is not None, variable))
            count = len(node.outputs) or 1
            made = None if node.output is None else self.read(node.output[0])
            step = Step(
                node.number,
                node.operation.__name__.strip("_"),
                description(node.operation),
                inputs,
                {},
                [made] * count,
                recorded=True,
                from_tape=True,
            )
            self.describe(node, step)
            self.nodes[node] = step
            self.ledger.steps.append(step)
        self.ledger.steps.sort(key=lambda step: step.number)

    # -------------------------------------------------------------------------------- backward

    def walk_begins(self, roots: list[Any]) -> None:
        if self.elsewhere():
            return
        self.settle()
        self.from_tape(*(node for node, _ in roots))
        self.walks.append(self.walked)
        self.walked += 1
        self.visiting.append(None)
        self.undo.append([])
        self.sent.append([])
        for node, gradient in roots:
            self.deliver(None, "", node, gradient, None)

    def walk_ends(self) -> None:
        if not self.elsewhere():
            self.walks.pop()
            self.visiting.pop()
            self.undo.pop()
            self.sent.pop()

    def node_begins(self, node: Node) -> None:
        if self.elsewhere():
            return
        self.settle()
        if isinstance(node, Output):
            # What arrived here waits at the operation for its other outputs.
            moved = self.waiting.pop(node, [])
            self.waiting.setdefault(node.source, []).extend(moved)
            self.visiting[-1] = None
            return
        at = self.nodes.get(node)
        if at is None:
            return
        visit = Visit(tick(), at, self.walks[-1], self.waiting.pop(node, []))
        visit.arrived = [None] * (len(node.outputs) or 1)
        at.visits.append(visit)
        self.ledger.visits.append(visit)
        self.visiting[-1] = visit
        if isinstance(node, AccumulateGrad):
            self.listen(node, visit)
            self.note_end(node, visit)
        else:
            visit.hooks = len(node.hooks or ())
            if visit.hooks:
                self.listen(node, visit)
            self.follow(node, visit)

    def node_ends(self, node: Node) -> None:
        if self.elsewhere():
            return
        self.settle()
        while self.undo[-1]:
            self.undo[-1].pop()()
        self.sent[-1].clear()
        self.visiting[-1] = None

    def listen(self, node: Node, visit: Visit) -> None:
        """Hear what arrives before and after the node's own hooks."""
        own = {} if node.hooks is None else node.hooks
        visit.hooks = len(own)
        kept = list(own.items())

        def first(gradient: Any) -> None:
            if kept:
                visit.before_hooks = self.read(gradient.array)

        def last(gradient: Any) -> None:
            visit.arrived[0] = self.read(gradient.array)

        # The dictionary stays the same object: handles that remove hooks refer to it.
        own.clear()
        own[-1] = first
        own.update(kept)
        own[-2] = last
        node.hooks = own

        def stop() -> None:
            own.pop(-1, None)
            own.pop(-2, None)
            if not own and not kept:
                node.hooks = None

        self.undo[-1].append(stop)

    def note_end(self, node: AccumulateGrad, visit: Visit) -> None:
        leaf = node.variable
        before = None if leaf is None else leaf.grad
        version = None if before is None else before._version

        def compare() -> None:
            after = None if leaf is None else leaf.grad
            if before is None and after is not None:
                visit.end = "becomes .grad"
            elif after is not before or (after is not None and after._version != version):
                visit.end = "is added to .grad, which was not None"
            else:
                visit.end = "is returned; .grad stays as it was"

        self.undo[-1].append(compare)

    def follow(self, node: Node, visit: Visit) -> None:
        """Hear what the node's pullbacks get and give."""
        plain = node.pullbacks
        if plain is None:
            return
        found = visit.at.formulas if isinstance(visit.at, Step) else []
        names = [i.name for i in visit.at.inputs] if isinstance(visit.at, Step) else []

        def one(i: int, arguments: Sequence[Any], dx: Any) -> None:
            visit.arrived[0] = visit.arrived[0] or self.read(arguments[0].array)
            self.send(visit, names, i, node.edges[i], dx, found[i] if i < len(found) else None)

        def tell(i: int) -> Callable[[Sequence[Any], Any], None]:
            return lambda arguments, dx: one(i, arguments, dx)

        def all_at_once(arguments: Sequence[Any], given: Sequence[Any]) -> None:
            for i, dy in enumerate(arguments):
                if dy is not None:
                    visit.arrived[i] = self.read(dy.array)
            for i, (edge, dx) in enumerate(zip(node.edges, given)):
                if edge is not None and dx is not None:
                    self.send(visit, names, i, edge, dx, found[0] if found else None)

        if node.joint:
            followed: Any = _Followed(plain, all_at_once)
        else:
            followed = [None if p is None else _Followed(p, tell(i)) for i, p in enumerate(plain)]
        node.pullbacks = followed

        def stop() -> None:
            if node.pullbacks is followed:  # else the node has forgotten them
                node.pullbacks = plain

        self.undo[-1].append(stop)

    def send(
        self, visit: Visit, names: list[str], i: int, edge: Any, dx: Any, formula: Any
    ) -> None:
        sent = self.deliver(visit.at, name_of(names, i), edge, dx, formula)
        if sent is not None:
            visit.outgoing.append(sent)
            self.sent[-1].append((dx, edge, sent))

    def deliver(
        self, source: Any, name: str, edge: Node, gradient: Any, formula: Any
    ) -> Contribution | None:
        target = self.nodes.get(edge.source if isinstance(edge, Output) else edge)
        if target is None:
            return None
        sent = Contribution(source, name, target, self.read(gradient.array), formula)
        sent.output = edge.index if isinstance(edge, Output) else 0
        self.waiting.setdefault(edge, []).append(sent)
        return sent

    def fitted(self, node: Node, edge: Node, before: Any, after: Any) -> None:
        if self.elsewhere() or not self.sent:
            return
        for gradient, to, sent in self.sent[-1]:
            if gradient is before and to is edge and not sent.summed:
                wide, narrow = before.array.shape, after.array.shape
                extra = len(wide) - len(narrow)
                sent.summed = tuple(
                    i for i, n in enumerate(wide) if i < extra or n != narrow[i - extra]
                )
                sent.before, sent.numbers = sent.numbers, self.read(after.array)
                return


class _Followed:
    """Stands in for a pullback while its node is visited."""

    def __init__(self, pullback: Any, tell: Callable[[Sequence[Any], Any], None]) -> None:
        self.pullback, self.tell = pullback, tell
        self.__code__ = getattr(pullback, "__code__", None)
        self.__closure__ = pullback.__closure__
        self.wants_zeros = getattr(pullback, "wants_zeros", True)

    def __call__(self, *arguments: Any) -> Any:
        result = self.pullback(*arguments)
        self.tell(arguments, result)
        return result


def _caller() -> tuple[Any, tuple[int, int]]:
    """The nearest frame that is not machinery, and the in-place method on the way there, if any.

    That is (its frame's id, how far it has run).
    """
    frame: Any = sys._getframe(1)
    in_place = (0, 0)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        package, _, rest = name.partition(".")
        if package != PACKAGE or (rest and rest.partition(".")[0] not in MACHINERY):
            return frame, in_place
        if frame.f_code.co_qualname == "in_place.<locals>.method":
            in_place = (id(frame), frame.f_lasti)
        frame = frame.f_back
    return None, in_place


def _variable(value: Any, frame: Any) -> str:
    """The name of the caller's variable that holds this value, if there is one."""
    for names in (frame.f_locals, frame.f_globals) if frame is not None else ():
        for name, held in list(names.items()):
            if held is value and not name.startswith("_"):
                return name
    return ""
