"""What launches have to know while a CUDA graph is captured.

A graph launches kernels again with the arguments they had when they were captured. So what changes
from step to step has to lie in the GPU's memory: the number of the replay, by which dropout draws
new numbers, and where a kernel reports what it found wrong. What needs the CPU in every step cannot
be captured, and is refused with a sentence.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, NamedTuple


class Capture(NamedTuple):
    """A graph that is being captured."""

    replay: Any  # () of uint64 on the GPU: 1 in the first replay, 2 in the second, ...
    board: Any  # where its kernels report; see reports.py


_current: ContextVar[Capture | None] = ContextVar("tinynet.kernels.capture", default=None)
current, begin, end = _current.get, _current.set, _current.reset


def refuse(what: str, instead: str) -> None:
    """RuntimeError if a graph is being captured: what it cannot have, and what to do instead."""
    if current() is not None:
        raise RuntimeError(f"A CUDA graph is being captured, but {what}. {instead}")


def replay_number() -> Any:
    """The array () that counts the replays of the graph being captured; None outside of one."""
    graph = current()
    return None if graph is None else graph.replay
