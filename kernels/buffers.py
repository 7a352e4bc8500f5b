"""Large arrays on memory that is used again.

Fresh memory costs: the system hands out empty pages one by one, when they are first touched, and
clears each. For a pass over a large array that is up to half its time. So `empty` lends memory
that an earlier array has left. The array's `base` is the loan; when the last array on it is gone,
the memory comes back and waits for the next.

Memory is taken from the system in blocks. An array gets the smallest waiting piece that is large
enough, of which the rest goes on waiting; pieces that come back grow together with their waiting
neighbours. So the activations of a forward pass find room in what was a large gradient, and after
a few steps training needs no fresh memory. If there is no such piece, the pool first gives whole
waiting blocks back to the system, as far as it would otherwise hold a sixteenth more, lent and
waiting together, than was once lent at the same time. Blocks of which a part is lent must stay.
"""

import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

SMALLEST = 2**20  # bytes; the C library's own lists serve smaller arrays well
ALIGNMENT = 64  # a cache line
ROOM = 17 / 16  # of what was once lent: pieces do not fit together without gaps


class _Piece(NamedTuple):
    """A part of a block; pieces are sorted by size, and by age where they are equal."""

    size: int  # bytes, whole cache lines
    block: int  # its number
    start: int

    @property
    def end(self) -> int:
        return self.start + self.size


class _Loan:
    """The base of a lent array; when it dies, its memory comes back."""

    def __init__(self, memory: ndarray, piece: _Piece, returned: "deque[_Piece]") -> None:
        self._memory, self._piece, self._returned = memory, piece, returned
        self.__array_interface__ = {
            "data": (memory.ctypes.data + piece.start, False),
            "shape": (piece.size,),
            "typestr": "|u1",
            "version": 3,
        }

    def __del__(self) -> None:
        self._returned.append(self._piece)  # takes no lock: it may run in the middle of `empty`


class Pool:
    """Memory of past arrays."""

    def __init__(self) -> None:
        self.enabled = True
        self._lock = threading.Lock()
        self._blocks: dict[int, ndarray] = {}
        self._returned: deque[_Piece] = deque()
        self._waiting: list[_Piece] = []  # sorted
        self._starting: dict[tuple[int, int], _Piece] = {}  # (block, start): the waiting piece
        self._ending: dict[tuple[int, int], _Piece] = {}  # (block, end)
        self._number = 0
        self.lent = self.most_lent = self.held = 0  # bytes

    def empty(self, shape: Sequence[int], dtype: Any) -> ndarray:
        """A C-contiguous array with whatever its memory holds."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if size < SMALLEST or not self.enabled:
            return np.empty(shape, dtype)
        if not self._lock.acquire(blocking=False):  # another thread, or a finalizer in this one
            return np.empty(shape, dtype)
        try:
            self._collect()
            piece = self._find(-(-size // ALIGNMENT) * ALIGNMENT)
            self.lent += piece.size
            self.most_lent = max(self.most_lent, self.lent)
            memory = self._blocks[piece.block]
        finally:
            self._lock.release()
        loan = np.asarray(_Loan(memory, piece, self._returned))
        return loan[:size].view(dtype).reshape(shape)

    def clear(self) -> None:
        """Give all waiting blocks back to the system."""
        with self._lock:
            self._collect()
            self._shrink(0)
            self.most_lent = self.lent

    def _collect(self) -> None:
        """Let what has come back wait."""
        while self._returned:
            piece = self._returned.popleft()
            self.lent -= piece.size
            self._wait(piece)
        if not self.enabled:
            self._shrink(0)

    def _wait(self, piece: _Piece) -> None:
        size, block, start = piece
        before = self._ending.get((block, start))
        after = self._starting.get((block, piece.end))
        for neighbour in (before, after):
            if neighbour is not None:
                self._take(neighbour)
                size += neighbour.size
        piece = _Piece(size, block, start if before is None else before.start)
        self._starting[block, piece.start] = self._ending[block, piece.end] = piece
        insort(self._waiting, piece)

    def _take(self, piece: _Piece) -> None:
        """It waits no longer."""
        del self._waiting[bisect_left(self._waiting, piece)]
        del self._starting[piece.block, piece.start], self._ending[piece.block, piece.end]

    def _find(self, size: int) -> _Piece:
        """A piece of this size: of the smallest waiting one that will do, or fresh."""
        at = bisect_left(self._waiting, (size,))
        if at == len(self._waiting):
            self._shrink(ROOM * max(self.most_lent, self.lent + size) - size)
            return self._fresh(size)
        piece = self._waiting[at]
        self._take(piece)
        if piece.size > size:
            self._wait(_Piece(piece.size - size, piece.block, piece.start + size))
        return _Piece(size, piece.block, piece.start)

    def _fresh(self, size: int) -> _Piece:
        memory = np.empty(size + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self._number += 1
        self._blocks[self._number] = memory[start : start + size]
        self.held += size
        return _Piece(size, self._number, 0)

    def _shrink(self, most: float) -> None:
        """Give whole waiting blocks back until at most `most` is held: the smallest that will do,
        or else the largest."""
        whole = [piece for piece in self._waiting if piece.size == self._blocks[piece.block].nbytes]
        while whole and self.held > most:
            at = bisect_left(whole, (self.held - most,))
            piece = whole.pop(min(at, len(whole) - 1))
            self._take(piece)
            del self._blocks[piece.block]
            self.held -= piece.size


pool = Pool()
empty = pool.empty
clear = pool.clear


def empty_like(x: ndarray) -> ndarray:
    """An array of x's shape and dtype, C-contiguous."""
    return pool.empty(x.shape, x.dtype)


@contextmanager
def reused(enabled: bool) -> Iterator[None]:
    """Whether large arrays are made on used memory, within a `with` block."""
    before, pool.enabled = pool.enabled, enabled
    try:
        yield
    finally:
        pool.enabled = before
