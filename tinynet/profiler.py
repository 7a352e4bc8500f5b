"""Where the time and the memory go: every operation, forward and backward, with its module.

    with tinynet.profiler.profile() as p:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(p.table(sort_by="self_cpu_time_total"))
    print(p.by_module())
    p.export_chrome_trace("trace.json")  # for chrome://tracing or ui.perfetto.dev

The names are those of `torch.profiler`. Nothing is paid outside the `with` block; inside, each
operation costs some microseconds more (see autograd/observe.py).

Memory is that of results: the arrays that operations return, the gradients that arrive in `.grad`
and the state an optimiser keeps, from when they are made until they are freed. A kernel's scratch
memory within one operation is not in it, nor what was there before the profile began.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from .autograd import observe
from .autograd.tape import AccumulateGrad, Node, Output, TensorBase, caller, tick

__all__ = ["Average", "Event", "EventList", "ModuleTable", "profile", "record_function"]

OPERATION, NODE, WALK, MODULE, STEP, RANGE = (
    "operation",
    "backward",
    "walk",
    "module",
    "optimizer",
    "range",
)


@dataclass(slots=True, eq=False)
class Event:
    """Something that began and ended: times in nanoseconds, memory in bytes."""

    name: str
    kind: str  # operation, backward (one node), walk, module, optimizer or range
    start: int
    module: str | None = None  # the path of the module it belongs to; "" is the network itself
    source: str = ""  # "train.py:12", the caller's line
    shapes: tuple[tuple[int, ...], ...] = ()  # of the tensors that came in
    thread: int = 0
    backward: bool = False  # within a backward walk
    end: int = 0
    inner: int = 0  # the time of the events directly inside
    memory: int = 0  # made minus freed between start and end
    inner_memory: int = 0
    number: int = 0  # on the tape's clock, when it ended
    forward: Event | None = None  # a node's: what recorded it
    operation: Any = None

    @property
    def time(self) -> int:
        """From start to end, in nanoseconds."""
        return self.end - self.start

    @property
    def self_time(self) -> int:
        """Without the events inside, in nanoseconds."""
        return self.time - self.inner

    @property
    def self_memory(self) -> int:
        """Made minus freed, without the events inside, in bytes."""
        return self.memory - self.inner_memory


@dataclass(slots=True)
class Average:
    """The events of one key together; times in microseconds, as in PyTorch."""

    key: str
    count: int = 0
    cpu_time_total: float = 0.0
    self_cpu_time_total: float = 0.0
    cpu_memory_usage: int = 0
    self_cpu_memory_usage: int = 0
    input_shapes: tuple[tuple[int, ...], ...] = ()
    module: str = ""
    source: str = ""
    direction: str = ""  # forward or backward, where they are kept apart

    @property
    def cpu_time(self) -> float:
        """The mean of one call, in microseconds."""
        return self.cpu_time_total / self.count

    def add(self, event: Event) -> None:
        self.count += 1
        self.cpu_time_total += event.time / 1e3
        self.self_cpu_time_total += event.self_time / 1e3
        self.cpu_memory_usage += event.memory
        self.self_cpu_memory_usage += event.self_memory


class EventList(list[Average]):
    """Averages with a table."""

    def table(self, sort_by: str | None = None, row_limit: int = 100) -> str:
        """A row per key, the largest `sort_by` first (without: in the order they happened).

        sort_by: cpu_time_total, self_cpu_time_total, cpu_time, cpu_memory_usage,
        self_cpu_memory_usage or count. row_limit: rows at most; -1 is all.
        Raises ValueError for another column.
        """
        if sort_by is not None and sort_by not in SORTABLE:
            raise ValueError(f"sort_by is one of {', '.join(SORTABLE)}, not {sort_by!r}")
        rows = list(self)
        if sort_by is not None:
            rows.sort(key=lambda row: getattr(row, sort_by), reverse=True)
        shown = rows if row_limit < 0 else rows[:row_limit]
        whole = sum(row.self_cpu_time_total for row in self) or 1.0
        optional = [
            (title, read)
            for title, read in (
                ("Pass", lambda row: row.direction),
                ("Module", lambda row: row.module),
                ("Source", lambda row: row.source),
                ("Input Shapes", lambda row: _shapes(row.input_shapes)),
            )
            if any(read(row) for row in shown)
        ]
        lines = [
            [
                row.key,
                f"{row.self_cpu_time_total / whole:.1%}",
                _time(row.self_cpu_time_total),
                f"{row.cpu_time_total / whole:.1%}",
                _time(row.cpu_time_total),
                _time(row.cpu_time),
                _bytes(row.cpu_memory_usage),
                _bytes(row.self_cpu_memory_usage),
                str(row.count),
                *(read(row) for _, read in optional),
            ]
            for row in shown
        ]
        titles = [*TITLES, *(title for title, _ in optional)]
        text = _table(titles, lines, left={0, *range(len(TITLES), len(titles))})
        left_out = len(rows) - len(shown)
        tail = f"\n... and {left_out} rows more" if left_out else ""
        return f"{text}{tail}\nSelf CPU time total: {_time(whole)}"

    def __str__(self) -> str:
        return self.table()


SORTABLE = (
    "cpu_time_total",
    "self_cpu_time_total",
    "cpu_time",
    "cpu_memory_usage",
    "self_cpu_memory_usage",
    "count",
)
TITLES = (
    "Name",
    "Self CPU %",
    "Self CPU",
    "CPU total %",
    "CPU total",
    "CPU time avg",
    "CPU Mem",
    "Self CPU Mem",
    "# of Calls",
)


@dataclass(slots=True)
class ModuleRow:
    """One module's time, in microseconds, and memory, those of the modules inside it included."""

    path: str
    kind: str  # its class
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    memory: int = 0  # of the forward pass

    @property
    def total(self) -> float:
        return self.forward + self.backward


class ModuleTable(list[ModuleRow]):
    """The modules in the order they were first called; prints itself as a table."""

    def __str__(self) -> str:
        whole = sum(row.total for row in self if not row.path) or sum(row.total for row in self)
        titles = ("Module", "Type", "Forward", "Backward", "Total", "Total %", "Memory", "Calls")
        rows = [
            [
                _name(row.path),
                row.kind,
                _time(row.forward),
                _time(row.backward),
                _time(row.total),
                f"{row.total / (whole or 1):.1%}",
                _bytes(row.memory),
                str(row.calls),
            ]
            for row in self
        ]
        return _table(titles, rows, left={0, 1})


class _Running(threading.local):
    """What has begun and not ended in this thread, outermost first."""

    def __init__(self) -> None:
        self.stack: list[Event] = []
        self.modules: list[str] = []
        self.walks = 0
        self.root: dict[int, str] = {}  # the paths of the outermost module's modules


class _Memory(weakref.ref):
    """A result's memory, until it is freed."""

    __slots__ = ("nbytes",)
    nbytes: int


class profile(observe.Observer):
    """Records what happens inside its `with` block, or between `start()` and `stop()`.

    record_shapes: keep the shapes of the inputs, for `key_averages(group_by_input_shape=True)`.
    with_stack: keep the caller's line of each operation.
    """

    as_written = False  # the time goes where it goes without a profile

    def __init__(self, *, record_shapes: bool = True, with_stack: bool = True) -> None:
        self.record_shapes, self.with_stack = record_shapes, with_stack
        self._events: list[Event] = []
        self._running = _Running()
        self._paths: dict[int, dict[int, str]] = {}  # a root's modules: id -> path
        self._owners: dict[int, str] = {}  # a parameter's module
        self._kinds: dict[str, str] = {}  # path -> class
        self._roots: list[Any] = []  # held, so that no id is used twice
        self._memories: dict[int, _Memory] = {}
        self._live: list[tuple[int, int]] = []  # (time, live bytes) at each change
        self._began = 0
        self.live_bytes = self.peak_bytes = 0
        self._peak_event: Event | None = None

    def start(self) -> None:
        """Begin to record. Raises RuntimeError if it is recording."""
        if self in observe.observers:
            raise RuntimeError("this profile is already running; make another one")
        self._began = perf_counter_ns()
        _profiles.append(self)
        observe.watch(self)

    def stop(self) -> None:
        """Stop recording."""
        observe.unwatch(self)
        _profiles.remove(self)
        now = perf_counter_ns()
        for event in self._events:
            if not event.end:  # it goes on
                event.end = now
        self._connect()

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # ------------------------------------------------------------------------------- recording

    def operation_begins(self, operation: Any, inputs: tuple, parameters: dict[str, Any]) -> None:
        event = self._begin(operation.__name__.strip("_"), OPERATION)
        event.operation = operation
        if self.record_shapes:
            event.shapes = tuple(x.array.shape for x in inputs if isinstance(x, TensorBase))
        if not event.backward and self.with_stack:
            event.source = _call_site()

    def operation_ends(self, operation: Any, inputs: tuple, value: Any) -> None:
        for one in value if isinstance(value, tuple) else (value,):
            self._keep(one)
        self._finish().number = tick()

    def walk_begins(self, roots: list[Any]) -> None:
        event = self._begin("backward", WALK)
        self._running.walks += 1
        event.backward = True
        if self.with_stack:
            event.source = _call_site()

    def walk_ends(self) -> None:
        self._running.walks -= 1
        self._finish()

    def node_begins(self, node: Node) -> None:
        event = self._begin(node.name(), NODE)
        # enough to find what recorded it, without holding the node itself
        event.number = node.source.number if isinstance(node, Output) else node.number
        event.operation = getattr(node, "operation", None)

    def node_ends(self, node: Node) -> None:
        if isinstance(node, AccumulateGrad) and node.variable is not None:
            self._keep(node.variable.grad)
        event = self._finish()
        if isinstance(node, AccumulateGrad) and node.variable is not None:
            event.module = self._owners.get(id(node.variable))

    def module_begins(self, module: Any, args: tuple) -> None:
        path = self._path(module)
        event = self._begin(path or type(module).__name__, MODULE)
        event.module = path
        self._running.modules.append(path)

    def module_ends(self, module: Any, result: Any) -> None:
        self._running.modules.pop()
        self._finish()

    def step_begins(self, optimizer: Any) -> None:
        event = self._begin(f"Optimizer.step#{type(optimizer).__name__}.step", STEP)
        if self.with_stack:
            event.source = _call_site()

    def step_ends(self, optimizer: Any) -> None:
        for state in optimizer.state.values():
            for value in state.values():
                self._keep(value)
        self._finish()

    def _begin(self, name: str, kind: str) -> Event:
        running = self._running
        event = Event(name, kind, 0)
        event.thread = threading.get_ident()
        event.module = running.modules[-1] if running.modules else None
        event.backward = running.walks > 0
        event.memory = -self.live_bytes  # at the end the difference is left
        running.stack.append(event)
        self._events.append(event)
        event.start = perf_counter_ns()
        return event

    def _finish(self) -> Event:
        end = perf_counter_ns()
        stack = self._running.stack
        event = stack.pop()
        event.end = end
        event.memory += self.live_bytes
        if stack:
            stack[-1].inner += event.time
            stack[-1].inner_memory += event.memory
        return event

    def _path(self, module: Any) -> str:
        """The module's path in the network whose call this is."""
        running = self._running
        if not running.modules:
            if id(module) not in self._paths:
                self._roots.append(module)
                self._paths[id(module)] = {id(m): name for name, m in module.named_modules()}
                for name, parameter in module.named_parameters():
                    self._owners[id(parameter)] = name.rpartition(".")[0]
            running.root = self._paths[id(module)]
        # a module that its network does not know, such as a loss made on the way
        path = running.root.get(id(module), type(module).__name__)
        self._kinds.setdefault(path, type(module).__name__)
        return path

    def _keep(self, value: Any) -> None:
        """Count the memory of a result until it is freed; a view's was counted before."""
        array = getattr(value, "array", value)
        if not hasattr(array, "nbytes"):
            return
        while isinstance(getattr(array, "base", None), np.ndarray):
            array = array.base
        key = id(array)
        if key in self._memories:
            return
        try:
            memory = _Memory(array, lambda memory: self._freed(key, memory))
        except TypeError:  # not ours to follow
            return
        memory.nbytes = array.nbytes
        self._memories[key] = memory
        self.live_bytes += memory.nbytes
        self._live.append((perf_counter_ns(), self.live_bytes))
        if self.live_bytes > self.peak_bytes:
            self.peak_bytes = self.live_bytes
            self._peak_event = self._running.stack[-1] if self._running.stack else None

    def _freed(self, key: int, memory: _Memory) -> None:
        del self._memories[key]
        if self in _profiles:
            self.live_bytes -= memory.nbytes
            self._live.append((perf_counter_ns(), self.live_bytes))

    def _connect(self) -> None:
        """Give each node of the backward walk the module and the line of what recorded it."""
        recorded = sorted(
            (e for e in self._events if e.kind == OPERATION), key=lambda event: event.number
        )
        numbers = [event.number for event in recorded]
        covering: list[Event] = []  # nodes that have not ended, to pass on what they know
        for event in self._events:
            while covering and not (
                event.thread == covering[-1].thread and event.end <= covering[-1].end
            ):
                covering.pop()
            if event.kind == NODE:
                i = bisect_left(numbers, event.number) - 1
                if i >= 0 and recorded[i].operation is event.operation:
                    event.forward = recorded[i]
                    event.module, event.source = recorded[i].module, recorded[i].source
                    event.shapes = recorded[i].shapes
                covering.append(event)
            elif event.backward and covering and event.module is None:
                event.module, event.source = covering[-1].module, covering[-1].source
        for event in self._events:
            event.operation = None  # a Function's class is not ours to keep alive

    # --------------------------------------------------------------------------------- reading

    def events(self) -> list[Event]:
        """Everything, in the order it began."""
        return list(self._events)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0
    ) -> EventList:
        """The events added up by name; by input shapes, or by the caller's line, if wanted."""
        return self._averages(
            lambda event: {
                "input_shapes": event.shapes if group_by_input_shape else (),
                "source": event.source if group_by_stack_n else "",
            }
        )

    def _averages(self, group: Callable[[Event], dict[str, Any]]) -> EventList:
        """The events added up by name and by what `group` says."""
        found: dict[Any, Average] = {}
        for event in self._events:
            if event.kind != MODULE:  # `by_module` has those
                by = group(event)
                key = event.name, *by.values()
                found.setdefault(key, Average(event.name, **by)).add(event)
        return EventList(found.values())

    def table(self, sort_by: str = "self_cpu_time_total", row_limit: int = 30) -> str:
        """A row for each operation of each module, with the line that called it."""
        rows = self._averages(
            lambda event: {
                "direction": "backward" if event.backward else "forward",
                "module": _name(event.module),
                "source": event.source,
            }
        )
        text = rows.table(sort_by=sort_by, row_limit=row_limit)
        peak = f"Peak memory of results: {_bytes(self.peak_bytes)}"
        event = self._peak_event
        if event is not None:
            where = event.name if event.module is None else f"{event.name} of {_name(event.module)}"
            peak += f", reached in {where}"
        return f"{text}\n{peak}; {_bytes(self.live_bytes)} are left"

    def __str__(self) -> str:
        return self.table()

    def by_module(self) -> ModuleTable:
        """Forward time, backward time and memory of each module, what is inside it included."""
        rows: dict[str, ModuleRow] = {}
        for event in self._events:
            if event.kind == MODULE and event.module is not None:
                row = rows.setdefault(
                    event.module, ModuleRow(event.module, self._kinds[event.module])
                )
                row.calls += 1
                row.forward += event.time / 1e3
                row.memory += event.memory
        for event in self._events:
            if event.kind == NODE and event.module is not None:
                for path in _upwards(event.module):
                    if path in rows:
                        rows[path].backward += event.time / 1e3
        return ModuleTable(rows.values())

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the events in the Trace Event Format of Chrome, which Perfetto opens too.

        Each thread is a row of nested bars; arrows lead from an operation to its backward; a curve
        shows the memory of results.
        """
        Path(path).write_text(json.dumps({"traceEvents": list(self._trace_events())}))

    def _trace_events(self) -> Iterator[dict[str, Any]]:
        process = os.getpid()
        threads = list(dict.fromkeys(event.thread for event in self._events))
        common = {"pid": process}
        yield {**common, "ph": "M", "name": "process_name", "args": {"name": "tinynet"}}
        for number, thread in enumerate(threads):
            name = {"name": f"thread {number}" if number else "main thread"}
            yield {**common, "ph": "M", "tid": thread, "name": "thread_name", "args": name}
        for number, event in enumerate(self._events):
            arguments = {
                "module": _name(event.module),
                "source": event.source,
                "input shapes": _shapes(event.shapes),
                "memory bytes": event.memory,
            }
            place = {**common, "tid": event.thread}
            yield {
                **place,
                "ph": "X",
                "name": event.name,
                "cat": event.kind,
                "ts": (event.start - self._began) / 1e3,
                "dur": event.time / 1e3,
                "args": {name: value for name, value in arguments.items() if value},
            }
            if event.forward is not None:
                arrow = {**common, "name": "backward of", "cat": "backward", "id": number}
                begin = event.forward
                yield {
                    **arrow,
                    "ph": "s",
                    "tid": begin.thread,
                    "ts": (begin.start - self._began) / 1e3,
                }
                yield {
                    **arrow,
                    "ph": "f",
                    "bp": "e",
                    "tid": event.thread,
                    "ts": (event.start - self._began) / 1e3,
                }
        for when, live in self._live:
            yield {
                **common,
                "ph": "C",
                "name": "memory of results",
                "ts": (when - self._began) / 1e3,
                "args": {"bytes": live},
            }


_profiles: list[profile] = []  # those that are recording


class record_function(ContextDecorator):
    """A name for a stretch of the program, in the tables and the trace.

    with record_function("augmentation"): ...        or as a decorator
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._open: list[tuple[profile, ...]] = []

    def __enter__(self) -> record_function:
        recording = tuple(_profiles)
        for one in recording:
            one._begin(self.name, RANGE)
        self._open.append(recording)
        return self

    def __exit__(self, *exc: object) -> None:
        for one in self._open.pop():
            if one in _profiles:
                one._finish()


# ------------------------------------------------------------------------------------- words


def _call_site() -> str:
    """`train.py:12`, the line of the user's program."""
    frame = caller()
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _name(path: str | None) -> str:
    """The path of a module as it is shown: nothing outside of modules, a point for the network."""
    return "" if path is None else path or "."


def _upwards(path: str) -> Iterator[str]:
    """features.3 -> features.3, features and the network itself."""
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield path


def _time(microseconds: float) -> str:
    """1234.5 -> "1.234ms"."""
    if microseconds < 1e3:
        return f"{microseconds:.3f}us"
    if microseconds < 1e6:
        return f"{microseconds / 1e3:.3f}ms"
    return f"{microseconds / 1e6:.3f}s"


def _bytes(number: int) -> str:
    """3145728 -> "3.00 MB" (of 1024 each, as PyTorch's table has it)."""
    size, sign = float(abs(number)), "-" if number < 0 else ""
    for unit in ("b", "Kb", "Mb"):
        if size < 1024:
            return f"{sign}{size:.0f} b" if unit == "b" else f"{sign}{size:.2f} {unit}"
        size /= 1024
    return f"{sign}{size:.2f} Gb"


def _shapes(shapes: Iterable[tuple[int, ...]]) -> str:
    return " ".join(str(list(shape)) for shape in shapes)


def _table(titles: Iterable[str], rows: list[list[str]], left: set[int]) -> str:
    lines = [list(titles), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([rule, text[0], rule, *text[1:], rule])
