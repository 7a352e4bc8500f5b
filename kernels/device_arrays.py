"""Arrays on a device as the CUDA launchers take them: NumPy's run the kernels on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .dtypes import check_dtypes
from .launch import Kernels

THREADS = 256  # of a block, where a thread computes one number
LARGEST_GRID_Z = 65535
MOST_NUMBERS = 2**31 - 1  # what an index of 31 bits can count


def xp_of(array: Any) -> Any:
    """The module an array belongs to: NumPy or CuPy."""
    return np if isinstance(array, np.ndarray) else sys.modules["cupy"]


def dense(first: Any, *others: Any) -> list:
    """The arrays in C order, copied where they are not; None stays None.

    Raises TypeError unless all are float32 or all are float64.
    """
    check_dtypes(first, *others)
    asarray = xp_of(first).asarray
    return [None if array is None else asarray(array, order="C") for array in (first, *others)]


def run(
    kernels: Kernels,
    name: str,
    like: Any,
    grid: Sequence[int],
    block: Sequence[int],
    *args: Any,
    shared: int = 0,
    reaches: Sequence[Any] = (),
) -> None:
    """Launch one kernel where the array `like` lives, in its dtype; ints go as 32-bit ints.

    `reaches`: the arrays whose addresses are in a structure among the arguments.
    """
    given = tuple(np.int32(a) if isinstance(a, int) else a for a in args)
    kernels.kernel(name, like)(grid, block, given, shared, reaches)


def blocks_for(count: int) -> tuple[int]:
    """The grid for one thread a number."""
    return (-(-count // THREADS),)


def address(array: Any) -> int:
    """Where the array's numbers begin."""
    return array.ctypes.data if xp_of(array) is np else array.data.ptr
