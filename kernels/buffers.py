"""Large arrays on memory that is used again.

Fresh memory costs: the system hands out empty pages one by one, when they are first touched, and
clears each. For a pass over a large array that is up to half its time. So `empty` lends memory
that an earlier array has left. The array's `base` is the loan; when the last array on it is gone,
the memory comes back and waits for the next.

The pool never holds more, lent and waiting together, than was once lent at the same time. When it
may take no fresh memory for that reason, it lends waiting memory of up to twice the size, and if
there is none gives waiting memory back to the system.
"""

import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

SMALLEST = 2**20  # bytes; the C library's own lists serve smaller arrays well
ALIGNMENT = 64  # a cache line
ROOM = 1.125  # waiting memory that is larger by more is kept for larger arrays
TIGHT = 2  # the same when no fresh memory may be taken


class _Loan:
    """The base of a lent array; when it dies, its memory comes back."""

    def __init__(self, memory: ndarray, size: int, returned: "deque[ndarray]") -> None:
        self._memory, self._returned = memory, returned
        self.__array_interface__ = {**memory.__array_interface__, "shape": (size,)}

    def __del__(self) -> None:
        self._returned.append(self._memory)  # takes no lock: it may run in the middle of `empty`


class Pool:
    """Memory of past arrays."""

    def __init__(self) -> None:
        self.enabled = True
        self._lock = threading.Lock()
        self._returned: deque[ndarray] = deque()
        self._waiting: list[tuple[int, int, ndarray]] = []  # (bytes, number, memory), by size
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
            memory = self._find(size)
            self.lent += memory.nbytes
            self.most_lent = max(self.most_lent, self.lent)
        finally:
            self._lock.release()
        loan = np.asarray(_Loan(memory, size, self._returned))
        return loan.view(dtype).reshape(shape)

    def clear(self) -> None:
        """Give all waiting memory back to the system."""
        with self._lock:
            self._collect()
            self._shrink(self.lent)
            self.most_lent = self.lent

    def _collect(self) -> None:
        while self._returned:
            memory = self._returned.popleft()
            self.lent -= memory.nbytes
            self._number += 1
            insort(self._waiting, (memory.nbytes, self._number, memory))
        if not self.enabled:
            self._shrink(self.lent)

    def _find(self, size: int) -> ndarray:
        """The smallest waiting memory that will do, or fresh memory."""
        at = bisect_left(self._waiting, (size,))
        if at < len(self._waiting):
            full = self.held + size > self.most_lent
            if self._waiting[at][0] <= (TIGHT if full else ROOM) * size:
                return self._waiting.pop(at)[2]
        self._shrink(max(self.most_lent, self.lent + size) - size)
        self.held += size
        memory = np.empty(size + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        return memory[start : start + size]

    def _shrink(self, most: int) -> None:
        """Give waiting memory back, the longest waiting first, until at most `most` is held."""
        while self._waiting and self.held > most:
            oldest = min(range(len(self._waiting)), key=lambda i: self._waiting[i][1])
            self.held -= self._waiting.pop(oldest)[0]


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
