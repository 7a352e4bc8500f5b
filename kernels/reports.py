"""What a kernel on a GPU found wrong, to be raised when somebody reads a result.

A kernel cannot raise an exception, and asking it after every launch would make the CPU wait. So a
launch that can find something wrong is given a number in device memory, which the kernel lowers to
say what it found; whoever waits for the device anyway, to read a result, calls `check`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import capture

NOTHING = np.uint64(2**64 - 1)
SLOTS = 256  # launches that can be told apart; the next one shares the oldest one's number


class Board:
    """The numbers of one device, or of the launches of one captured graph."""

    def __init__(self, xp: Any) -> None:
        self.numbers = xp.full(SLOTS, NOTHING, np.uint64)
        self.errors: list[Callable[[int], Exception] | None] = [None] * SLOTS
        self.launches = 0

    def slot(self, error: Callable[[int], Exception]) -> Any:
        i = self.launches % SLOTS
        self.errors[i] = error
        self.launches += 1
        return self.numbers[i : i + 1]

    def check(self) -> None:
        if not self.launches:
            return
        found = self.numbers.get() if hasattr(self.numbers, "get") else self.numbers.copy()
        launches, self.launches = self.launches, 0
        if (found != NOTHING).any():
            self.numbers.fill(NOTHING)
            for launch in range(max(0, launches - SLOTS), launches):
                error, number = self.errors[launch % SLOTS], int(found[launch % SLOTS])
                if error is not None and number != NOTHING:
                    raise error(number)


_boards: dict[Any, Board] = {}  # by array module and device; of graphs by their own id


def slot(xp: Any, error: Callable[[int], Exception]) -> Any:
    """A number (1,) of uint64 for a kernel to lower; `error(number)` makes the exception of it."""
    graph = capture.current()
    if graph is not None:
        return graph.board.slot(error)
    device = None if xp is np else xp.cuda.Device().id
    board = _boards.get((xp, device))
    if board is None:
        board = _boards[xp, device] = Board(xp)
    return board.slot(error)


def watch(board: Board) -> None:
    """Ask this board, too, when somebody checks."""
    _boards[id(board)] = board


def forget(board: Board) -> None:
    """Ask this board no more."""
    _boards.pop(id(board), None)


def check() -> None:
    """Raises the error of the first launch that found something wrong; waits for the devices."""
    for board in list(_boards.values()):
        board.check()
