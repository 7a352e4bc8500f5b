"""Launches the CUDA optimiser steps: on CuPy arrays on the GPU, on NumPy arrays on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..device_arrays import THREADS, address, dense, run, xp_of
from ..dtypes import check_dtypes
from ..launch import Kernels

KERNELS = Kernels(
    "optimizer/optimizer.cu",
    {
        "sgd_step<T>": {"float": 48, "double": 56},
        "adam_step<T>": {"float": 56, "double": 72},
        "sum_squares<T>": {"float": 56, "double": 56},
    },
)

BLOCK_NUMBERS = 1024
MOST_TENSORS, MOST_ARRAYS = 64, 5  # of one launch: its parameters may take 4 KB

TENSORS = np.dtype(
    [
        ("array", np.uint64, (MOST_ARRAYS, MOST_TENSORS)),
        ("size", np.int64, MOST_TENSORS),
        ("first_block", np.int32, MOST_TENSORS),
        ("count", np.int32),
    ],
    align=True,
)


def sgd_step(
    params: Sequence[Any],
    grads: Sequence[Any],
    momentum_buffers: Sequence[Any] | None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """Stochastic gradient descent with momentum; updates params and momentum_buffers."""
    lists = params, grads, momentum_buffers if momentum else None
    numbers = lr, momentum, 1 - dampening, weight_decay
    _step("sgd_step", lists, numbers, int(nesterov), int(maximize), int(first))


def adam_step(
    params: Sequence[Any],
    grads: Sequence[Any],
    exp_avgs: Sequence[Any],
    exp_avg_sqs: Sequence[Any],
    max_exp_avg_sqs: Sequence[Any] | None,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    decoupled: bool,
    maximize: bool = False,
) -> None:
    """Adam, AdamW and AMSGrad; updates params and all averages."""
    numbers = (
        1 - beta1,
        beta2,
        1 - beta2,
        eps,
        0 if decoupled else weight_decay,
        1 - lr * weight_decay if decoupled else 1,
        lr / (1 - beta1**step),
        (1 - beta2**step) ** 0.5,
    )
    lists = params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs
    _step("adam_step", lists, numbers, int(maximize))


def norm(arrays: Sequence[Any]) -> Any:
    """The 2-norm of all arrays' elements together (), added up in float64; stays on the device."""
    total: Any = 0.0
    for part in _launches([[array] for array in arrays]):
        with _contiguous(part) as tensors:
            like = tensors[0][0]
            table, blocks = _table(tensors)
            sums = xp_of(like).empty(blocks)
            grid, args = (blocks,), (table, sums)
            reaches = [array for (array,) in tensors]
            run(KERNELS, "sum_squares<T>", like, grid, (THREADS,), *args, reaches=reaches)
            total = total + sums.sum()
    return total**0.5


def _step(
    name: str, lists: Sequence[Sequence[Any] | None], numbers: Sequence[float], *last: int
) -> None:
    """One launch for up to 64 parameters, each with its gradient and state."""
    rows = [[None] * len(lists[0] or ()) if given is None else given for given in lists]
    for part in _launches(list(zip(*rows, strict=True))):
        with _contiguous(part) as tensors:
            like = tensors[0][0]
            table, blocks = _table(tensors)
            values = (like.dtype.type(number) for number in numbers)
            args = table, *values, *last
            reaches = [array for arrays in tensors for array in arrays if array is not None]
            run(KERNELS, f"{name}<T>", like, (blocks,), (THREADS,), *args, reaches=reaches)


def _launches(tensors: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """As many parameters as one launch takes, and so on; the empty ones are left out."""
    tensors = [arrays for arrays in tensors if arrays[0].size]
    for first in range(0, len(tensors), MOST_TENSORS):
        yield tensors[first : first + MOST_TENSORS]


def _table(tensors: Sequence[Sequence[Any]]) -> tuple[np.ndarray, int]:
    """struct Tensors of optimizer.cu, and how many blocks it needs."""
    table = np.zeros((), TENSORS)
    blocks = 0
    for i, arrays in enumerate(tensors):
        table["array"][: len(arrays), i] = [0 if a is None else address(a) for a in arrays]
        table["size"][i], table["first_block"][i] = arrays[0].size, blocks
        blocks += -(-arrays[0].size // BLOCK_NUMBERS)
    table["count"] = len(tensors)
    return table, blocks


@contextmanager
def _contiguous(tensors: Sequence[Sequence[Any]]) -> Iterator[list[list[Any]]]:
    """The arrays in C order; what had to be copied for that, but for gradients, is written back."""
    check_dtypes(*(array for arrays in tensors for array in arrays))
    copies = [dense(*arrays) for arrays in tensors]
    yield copies
    for arrays, given in zip(tensors, copies, strict=True):
        for i, (array, copy) in enumerate(zip(arrays, given, strict=True)):
            if copy is not array and i != 1:
                array[...] = copy
