"""Launches the CUDA dropout: on CuPy arrays on the GPU, on NumPy arrays on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import capture
from ..device_arrays import THREADS, blocks_for, dense, run, xp_of
from ..launch import Kernels
from .reference import survivor_scale, threshold

KERNELS = Kernels("dropout/dropout.cu", {"dropout<T>": {"float": 32, "double": 40}})


def apply(x: Any, *, p: float, key: int) -> Any:
    """x with each element set to zero with probability p, the others divided by 1 - p.

    In a captured graph each replay has a key of its own, `key` plus the replay's number.
    """
    (x,) = dense(x)
    y = xp_of(x).empty_like(x)
    if x.size:
        scale = x.dtype.type(survivor_scale(p))
        stream = np.uint64(key), capture.replay_number()
        args = x, y, np.int64(x.size), np.uint64(threshold(p)), scale, *stream
        grid = blocks_for(-(-x.size // 4))
        run(KERNELS, "dropout<T>", x, grid, (THREADS,), *args)
    return y
