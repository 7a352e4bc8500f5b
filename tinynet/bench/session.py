"""What the selections have in common: options, the result they fill, somebody who watches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .peers import PEERS
from .result import Result
from .timing import RETRIES, Worker


class Watcher(Protocol):
    """Sees how it goes."""

    def progress(self, text: str) -> None: ...
    def row(self, row: dict[str, Any]) -> None: ...


class Nobody:
    """Sees nothing."""

    def progress(self, text: str) -> None:
        pass

    def row(self, row: dict[str, Any]) -> None:
        pass


@dataclass
class Session:
    """One run of the benchmark."""

    result: Result
    watcher: Watcher = field(default_factory=Nobody)
    threads: Sequence[int] = (2, 1)
    peers: Sequence[str] = PEERS
    seconds: float | None = None  # for each row; None is what the selection finds right
    rounds: tuple[int, int] | None = None
    retries: int = RETRIES  # of a sample that was disturbed
    resume: bool = False

    def wanted(self, key: str) -> bool:
        """False for a row that a continued run has already."""
        return not (self.resume and key in self.result.rows)

    def done(self, row: dict[str, Any]) -> None:
        """A row is finished."""
        self.result.add(row)
        self.watcher.row(row)

    def present(self, worker: Worker) -> bool:
        """True if the worker's library is there; the result learns its version, or why not."""
        if worker.absent is not None:
            self.result.absent[worker.peer] = worker.absent
            return False
        self.result.versions |= worker.versions
        return True
