"""Optimiser steps on the CPU: one pass over the memory, formulas in reference.py."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numba import int64
from numpy import ndarray

from .. import jit

TASK_NUMBERS = 65536  # elements of one task


def sgd_step(
    param: ndarray,
    grad: ndarray,
    momentum_buffer: ndarray | None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """Stochastic gradient descent with momentum; updates param and momentum_buffer."""
    (grad,) = jit.dense(grad)
    buffer = np.empty(0, param.dtype) if momentum_buffer is None else momentum_buffer
    with _flat(param, buffer) as (p, b):
        numbers = _numbers(param, lr, momentum, 1 - dampening, weight_decay)
        _sgd_task(
            _tasks(p), p, grad.reshape(-1), b, numbers, bool(momentum), nesterov, maximize, first
        )


def adam_step(
    param: ndarray,
    grad: ndarray,
    exp_avg: ndarray,
    exp_avg_sq: ndarray,
    max_exp_avg_sq: ndarray | None,
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
    """Adam, AdamW and AMSGrad; updates param and the averages."""
    (grad,) = jit.dense(grad)
    amsgrad = max_exp_avg_sq is not None
    largest = np.empty(0, param.dtype) if max_exp_avg_sq is None else max_exp_avg_sq
    with _flat(param, exp_avg, exp_avg_sq, largest) as (p, m, v, vmax):
        numbers = _numbers(
            param,
            1 - beta1,
            beta2,
            1 - beta2,
            eps,
            0 if decoupled else weight_decay,
            1 - lr * weight_decay if decoupled else 1,
            lr / (1 - beta1**step),
            (1 - beta2**step) ** 0.5,
        )
        _adam_task(_tasks(p), p, grad.reshape(-1), m, v, vmax, numbers, amsgrad, maximize)


def _tasks(flat: ndarray) -> int:
    return -(-flat.size // TASK_NUMBERS)


def _numbers(param: ndarray, *values: float) -> ndarray:
    return np.array(values, param.dtype)


@contextmanager
def _flat(*arrays: ndarray) -> Iterator[list[ndarray]]:
    """The arrays as one dimension; what had to be copied for that is written back at the end."""
    jit.check_dtypes(*arrays)
    dense = jit.dense(*arrays)
    yield [array.reshape(-1) for array in dense]
    for array, copy in zip(arrays, dense, strict=True):
        if copy is not array:
            array[...] = copy


@jit.kernel(lambda T: (T[::1], T[::1], T[::1], T[::1], int64, int64, int64, int64))
def _sgd_task(task, param, grad, buffer, numbers, momentum, nesterov, maximize, first):
    lr, factor, gain, weight_decay = numbers[0], numbers[1], numbers[2], numbers[3]
    part = slice(task * TASK_NUMBERS, (task + 1) * TASK_NUMBERS)
    param, grad, buffer = param[part], grad[part], buffer[part]
    for i in range(len(param)):
        step = -grad[i] if maximize else grad[i]
        if weight_decay != 0:
            step += weight_decay * param[i]
        if momentum:
            buffer[i] = step if first else factor * buffer[i] + gain * step
            step = step + factor * buffer[i] if nesterov else buffer[i]
        param[i] -= lr * step


@jit.kernel(lambda T: (T[::1], T[::1], T[::1], T[::1], T[::1], T[::1], int64, int64))
def _adam_task(task, param, grad, exp_avg, exp_avg_sq, largest, numbers, amsgrad, maximize):
    weight1, beta2, weight2, eps = numbers[0], numbers[1], numbers[2], numbers[3]
    weight_decay, shrink, rate, root = numbers[4], numbers[5], numbers[6], numbers[7]
    part = slice(task * TASK_NUMBERS, (task + 1) * TASK_NUMBERS)
    param, grad, largest = param[part], grad[part], largest[part]
    exp_avg, exp_avg_sq = exp_avg[part], exp_avg_sq[part]
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
