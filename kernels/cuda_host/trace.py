"""What one thread of one block reads and writes, step by step."""

from __future__ import annotations

import ctypes
import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cuda_source import ROOT
from .library import _traced, settings

if TYPE_CHECKING:
    from .checked import Where
    from .library import Access, Launch

ACTIONS = ("reads", "writes", "changes", "waits")
Three = tuple[int, int, int]


@dataclass(frozen=True)
class Step:
    """One access of the thread, or a barrier at which it waits."""

    action: str  # reads, writes, changes (atomically), waits
    name: str  # of the array, or of the variable in shared memory
    index: str  # "[0, 1, 2]"
    value: str
    place: str  # kernels/conv2d/tiled.cu:31
    source: str  # that line

    @property
    def what(self) -> str:
        """The element, as in x[0, 1, 2]."""
        return self.name + self.index


class Trace(Sequence[Step]):
    """The steps of one thread: a table, as text and, in a notebook, as HTML."""

    def __init__(
        self, kernel: str, block: Three, thread: Three, steps: list[Step], more: bool
    ) -> None:
        self.kernel, self.block, self.thread = kernel, block, thread
        self.steps, self.more = steps, more

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, i: Any) -> Any:
        return self.steps[i]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def title(self) -> str:
        """Which thread of which kernel."""
        return f"{self.kernel}, thread {self.thread} of block {self.block}"

    def _table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        head: tuple[str, ...] = ("step", "", "element", "value", "line", "source")
        rows: list[tuple[str, ...]] = [
            (str(i), s.action, s.what, s.value, s.place.rpartition("/")[2], s.source)
            for i, s in enumerate(self.steps, 1)
        ]
        return head, rows

    def __str__(self) -> str:
        head, rows = self._table()
        widths = [max(map(len, column)) for column in zip(head, *rows)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in (head, *rows)
        ]
        return "\n".join([self.title, *lines, *(["..."] if self.more else [])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, rows = self._table()
        cells = "".join(f"<th>{html.escape(c)}</th>" for c in head)
        body = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(c)}</td>" for c in row[:-1])
            + f"<td><code>{html.escape(row[-1])}</code></td></tr>"
            for row in rows
        )
        more = "<p>...</p>" if self.more else ""
        return (
            f"<table><caption>{html.escape(self.title)}</caption>"
            f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>{more}"
        )


class Request:
    """To trace one thread in the first launch of a kernel."""

    def __init__(self, kernel: str, block: Three, thread: Three, most: int) -> None:
        self.kernel, self.block, self.thread, self.most = kernel, block, thread, most
        self.result: Trace | None = None
        self.seen: dict[str, None] = {}  # kernels that were launched
        self._expression = ""
        self._room: Any = None

    def wants(self, expression: str) -> bool:
        """True if this launch is the one."""
        self.seen[expression.partition("<")[0]] = None
        self._expression = expression
        return self.result is None and self.kernel in (expression, expression.partition("<")[0])

    def begin(self, launch: Launch, access: type[Access]) -> None:
        """Ask the runtime for the trace; ValueError if there is no such block or thread."""
        for what, position, sizes in (
            ("block", self.block, launch.grid),
            ("thread", self.thread, launch.block),
        ):
            if not all(0 <= i < size for i, size in zip(position, sizes)):
                raise ValueError(
                    f"trace: there is no {what} {position}; {self._expression} is launched with "
                    f"{tuple(launch.grid)} blocks of {tuple(launch.block)} threads."
                )
        self._room = (access * self.most)()
        launch.traced_thread = _flat(self.thread, launch.block)
        launch.traced_block = _flat(self.block, launch.grid)
        launch.trace, launch.trace_room = ctypes.addressof(self._room), self.most

    def end(self, launch: Launch, where: Where) -> None:
        """Read what the runtime has recorded."""
        steps = [_step(access, where) for access in self._room[: launch.trace_length]]
        more = launch.trace_length == self.most
        self.result = Trace(self._expression, self.block, self.thread, steps, more)


def _flat(position: Sequence[int], sizes: Sequence[int]) -> int:
    return position[0] + sizes[0] * (position[1] + sizes[1] * position[2])


def _step(access: Access, where: Where) -> Step:
    place = where.line(access)
    source = _source(place)
    if ACTIONS[access.kind] == "waits":
        return Step("waits", "", "", "", place, source)
    name, index = where.element(access.address, access.bytes)
    numbers = [f"{number:.6g}" for number in where.value(access)]
    value = numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"
    return Step(ACTIONS[access.kind], name, index, value, place, source)


def _source(place: str) -> str:
    name, _, line = place.rpartition(":")
    file = ROOT.parent / name if name.startswith("kernels/") else Path(name)
    file = ROOT / name.removeprefix("kernels/") if not file.exists() else file
    try:
        return file.read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()
    except (OSError, ValueError, IndexError):
        return ""


def trace(
    kernel: str,
    run: Callable[[], Any],
    *,
    block: int | Sequence[int] = 0,
    thread: int | Sequence[int] = 0,
    most: int = 2000,
) -> Trace:
    """What one thread does in the first launch of `kernel` while `run` runs.

    Raises ValueError if `run` does not launch it, or not with such a block and thread.
    """
    request = Request(kernel, _three(block), _three(thread), most)
    token = _traced.set(request)
    try:
        with settings(mode="check"):
            run()
    finally:
        _traced.reset(token)
    if request.result is None:
        raise ValueError(
            f"trace: {kernel} was not launched; there were {', '.join(request.seen) or 'none'}."
        )
    return request.result


def _three(position: int | Sequence[int]) -> Three:
    given = (position,) if isinstance(position, int | np.integer) else tuple(position)
    x, y, z = (*given, 0, 0)[:3]
    return int(x), int(y), int(z)
