"""Optimiser steps on the CPU: one pass over the memory, formulas in reference.py.

All elements of several parameters are counted through, and a task is a block of that count:
it may be a part of a large parameter or hold many small ones, and all blocks take as long.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numba import float64, int64, types
from numpy import ndarray

from .. import jit

TOGETHER = 8  # parameters in one call: a kernel has a fixed number of arguments
BLOCK = 16384  # elements of one task


def sgd_step(
    params: Sequence[ndarray],
    grads: Sequence[ndarray],
    momentum_buffers: Sequence[ndarray] | None,
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
    _step(
        sgd_task,
        (params, grads, momentum_buffers),
        (lr, momentum, 1 - dampening, weight_decay),
        (bool(momentum), nesterov, maximize, first),
        nanoseconds=0.4,
    )


def adam_step(
    params: Sequence[ndarray],
    grads: Sequence[ndarray],
    exp_avgs: Sequence[ndarray],
    exp_avg_sqs: Sequence[ndarray],
    max_exp_avg_sqs: Sequence[ndarray] | None,
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
    _step(
        _adam_task,
        (params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs),
        (
            1 - beta1,
            beta2,
            1 - beta2,
            eps,
            0 if decoupled else weight_decay,
            1 - lr * weight_decay if decoupled else 1,
            lr / (1 - beta1**step),
            (1 - beta2**step) ** 0.5,
        ),
        (max_exp_avg_sqs is not None, maximize),
        nanoseconds=1.5,
    )


def norm(arrays: Sequence[ndarray]) -> float:
    """The 2-norm of all arrays' elements together, added up in float64."""
    total = 0.0
    for i in range(0, len(arrays), TOGETHER):
        dense = jit.dense(*arrays[i : i + TOGETHER])
        vectors = _vectors(dense, dense[0].dtype)
        starts, tasks = _blocks(vectors)
        sums = np.empty(tasks)
        _squares_task(tasks, vectors[0], starts, vectors, sums, nanoseconds=0.2 * BLOCK * tasks)
        total += float(sums.sum())
    return math.sqrt(total)


def _step(
    kernel: jit.Kernel,
    lists: tuple[Sequence[ndarray] | None, ...],
    numbers: tuple[float, ...],
    flags: tuple[bool, ...],
    *,
    nanoseconds: float,
) -> None:
    """Run a step on lists of parameters, gradients and state (None: the kernel uses none).

    nanoseconds: about how long one element takes.
    """
    for i in range(0, len(lists[0] or ()), TOGETHER):
        parts = [() if arrays is None else arrays[i : i + TOGETHER] for arrays in lists]
        arrays = [array for part in parts for array in part]
        dense = jit.dense(*arrays)
        dtype, n = dense[0].dtype, len(parts[0])
        vectors = [_vectors(dense[k : k + n], dtype) for k in range(0, len(dense), n)]
        vectors += [_vectors([], dtype)] * (len(parts) - len(vectors))
        starts, tasks = _blocks(vectors[0])
        kernel(
            tasks, np.array(numbers, dtype), starts, *vectors, *flags,
            nanoseconds=nanoseconds * BLOCK * tasks,
        )  # fmt: skip
        for k, (array, copy) in enumerate(zip(arrays, dense, strict=True)):
            if copy is not array and not n <= k < 2 * n:  # all but the gradients have changed
                array[...] = copy


def _vectors(dense: list[ndarray], dtype: Any) -> tuple[ndarray, ...]:
    """The arrays in one dimension, and empty ones up to the number that a kernel takes."""
    missing = [np.empty(0, dtype)] * (TOGETHER - len(dense))
    return tuple([array.ravel() for array in dense] + missing)


def _blocks(vectors: tuple[ndarray, ...]) -> tuple[ndarray, int]:
    """Where each vector starts when all are counted through, and the number of blocks."""
    starts = [0, *accumulate([vector.size for vector in vectors])]
    return np.array(starts), -(-starts[-1] // BLOCK)


def _several(T: Any) -> Any:
    return types.UniTuple(T[::1], TOGETHER)


@jit.inline
def _part(task, starts, k):
    """The slice of vector k that belongs to a task's block."""
    first = max(task * BLOCK - starts[k], 0)
    return first, min((task + 1) * BLOCK, starts[k + 1]) - starts[k]


@jit.kernel(
    lambda T: (
        T[::1], int64[::1], _several(T), _several(T), _several(T), int64, int64, int64, int64
    )
)  # fmt: skip
def sgd_task(task, numbers, starts, params, grads, buffers, momentum, nesterov, maximize, first):
    lr, factor, gain, weight_decay = numbers[0], numbers[1], numbers[2], numbers[3]
    for k in range(TOGETHER):
        start, stop = _part(task, starts, k)
        if start >= stop:
            continue
        param, grad = params[k][start:stop], grads[k][start:stop]
        buffer = buffers[k][start:stop]
        for i in range(len(param)):
            step = -grad[i] if maximize else grad[i]
            if weight_decay != 0:
                step += weight_decay * param[i]
            if momentum:
                buffer[i] = step if first else factor * buffer[i] + gain * step
                step = step + factor * buffer[i] if nesterov else buffer[i]
            param[i] -= lr * step


@jit.kernel(
    lambda T: (
        T[::1], int64[::1], _several(T), _several(T), _several(T), _several(T), _several(T),
        int64, int64,
    )
)  # fmt: skip
def _adam_task(
    task, numbers, starts, params, grads, exp_avgs, exp_avg_sqs, largests, amsgrad, maximize
):
    weight1, beta2, weight2, eps = numbers[0], numbers[1], numbers[2], numbers[3]
    weight_decay, shrink, rate, root = numbers[4], numbers[5], numbers[6], numbers[7]
    for k in range(TOGETHER):
        start, stop = _part(task, starts, k)
        if start >= stop:
            continue
        param, grad = params[k][start:stop], grads[k][start:stop]
        exp_avg, exp_avg_sq = exp_avgs[k][start:stop], exp_avg_sqs[k][start:stop]
        largest = largests[k][start:stop]
        for i in range(len(param)):
            g = -grad[i] if maximize else grad[i]
            if weight_decay != 0:
                g += weight_decay * param[i]
            m = exp_avg[i] + weight1 * (g - exp_avg[i])
            v = beta2 * exp_avg_sq[i] + weight2 * g * g
            exp_avg[i], exp_avg_sq[i] = m, v
            if amsgrad:
                v = v if v > largest[i] or v != v else largest[i]  # NaN stays, from either
                largest[i] = v
            param[i] = param[i] * shrink - rate * m / (np.sqrt(v) / root + eps)


@jit.kernel(lambda T: (T[::1], int64[::1], _several(T), float64[::1]), reorder_sums=True)
def _squares_task(task, typed, starts, vectors, sums):
    """sums[task] is the sum of the squares of a block; `typed` only says the dtype."""
    total = 0.0
    for k in range(TOGETHER):
        start, stop = _part(task, starts, k)
        vector = vectors[k][start : max(start, stop)]
        for i in range(len(vector)):
            total += float64(vector[i]) * float64(vector[i])
    sums[task] = total
