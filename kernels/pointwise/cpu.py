"""tanh and erf on the CPU, with more than one element at a time.

For float32 both are x P(x^2) / Q(x^2), computed in float64 so that the only rounding that shows is
the last one. P and Q are fitted to the least greatest relative error, 1.6e-9 for tanh and 3e-9 for
erf, where half a unit in the last place is 6e-8; beyond LIMIT the function rounds to 1. In float64
NumPy's tanh and the C library's erf are taken, the latter with several threads.
"""

import math

import numpy as np
from numba import float64
from numpy import ndarray

from .. import buffers, jit
from ..layout import channels_innermost, from_memory, to_memory

TASK_NUMBERS = 8192

TANH_LIMIT = 9.2
TANH_P = (
    0.9999999983729401, 0.1367139873756536, 0.003857660486140189, 2.779259396933246e-05,
    3.007048604922862e-08, -1.182459737308121e-11,
)  # fmt: skip
TANH_Q = (
    1.0, 0.4700473050962606, 0.02720678716499388, 0.0003919835280480349, 1.272380159022146e-06,
)  # fmt: skip
ERF_LIMIT = 3.93
ERF_P = (
    1.128379169584262, 0.1924949940164793, 0.05559303828625191, 0.004196782773875488,
    0.00040604427470805187, 6.599465245839891e-06,
)  # fmt: skip
ERF_Q = (
    1.0, 0.503927668005627, 0.11724336236328023, 0.016218653731514928, 0.0014083828119447993,
    7.118818524992312e-05, 2.496267659076832e-07,
)  # fmt: skip


def tanh(x: ndarray) -> ndarray:
    """The hyperbolic tangent; x may be a view with any strides."""
    jit.check_dtypes(x)
    return _apply(_tanh_task, x, 2.0) if x.dtype == np.float32 else np.tanh(x)


def tanh_backward(dy: ndarray, y: ndarray) -> ndarray:
    """dx = dy - dy y^2, like y = tanh(x)."""
    inner = channels_innermost(y)
    y, dy = jit.dense(to_memory(y, inner), to_memory(dy, inner))
    dx = buffers.empty_like(y)
    flat = dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
    _tanh_backward_task(-(-y.size // TASK_NUMBERS), *flat, nanoseconds=y.size / 3)
    return from_memory(dx, inner)


def erf(x: ndarray) -> ndarray:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; any strides."""
    jit.check_dtypes(x)
    return _apply(_erf_task, x, 2.0) if x.dtype == np.float32 else _apply(_libm_erf_task, x, 15.0)


def _apply(kernel: jit.Kernel, x: ndarray, nanoseconds: float) -> ndarray:
    """The function of every element, in an array that lies as x does (if x has no gaps)."""
    inner = channels_innermost(x)
    memory = to_memory(x, inner)
    if memory.flags.c_contiguous and memory.flags.aligned:
        y = buffers.empty_like(memory)
    else:
        memory, inner = x.copy(order="K"), False
        y = np.empty_like(memory)
    tasks = -(-x.size // TASK_NUMBERS)
    flat = memory.ravel(order="K"), y.ravel(order="K")
    kernel(tasks, *flat, nanoseconds=nanoseconds * x.size)
    return from_memory(y, inner)


@jit.kernel(lambda T: (jit.read_only(T[::1]), T[::1]), contract=True)
def _tanh_task(task, x, y):
    for i in range(task * TASK_NUMBERS, min((task + 1) * TASK_NUMBERS, len(x))):
        z = float64(x[i])
        z = TANH_LIMIT if z > TANH_LIMIT else -TANH_LIMIT if z < -TANH_LIMIT else z  # NaN stays
        u = z * z
        p = TANH_P[4] + u * TANH_P[5]
        p = TANH_P[0] + u * (TANH_P[1] + u * (TANH_P[2] + u * (TANH_P[3] + u * p)))
        q = TANH_Q[3] + u * TANH_Q[4]
        q = TANH_Q[0] + u * (TANH_Q[1] + u * (TANH_Q[2] + u * q))
        y[i] = z * p / q


@jit.kernel(lambda T: (T[::1], T[::1], T[::1]))
def _tanh_backward_task(task, dy, y, dx):
    here = slice(task * TASK_NUMBERS, (task + 1) * TASK_NUMBERS)
    dy, y, dx = dy[here], y[here], dx[here]
    for i in range(len(y)):
        dx[i] = dy[i] - y[i] * y[i] * dy[i]


@jit.kernel(lambda T: (jit.read_only(T[::1]), T[::1]), contract=True)
def _erf_task(task, x, y):
    for i in range(task * TASK_NUMBERS, min((task + 1) * TASK_NUMBERS, len(x))):
        z = float64(x[i])
        z = ERF_LIMIT if z > ERF_LIMIT else -ERF_LIMIT if z < -ERF_LIMIT else z  # NaN stays
        u = z * z
        p = ERF_P[4] + u * ERF_P[5]
        p = ERF_P[0] + u * (ERF_P[1] + u * (ERF_P[2] + u * (ERF_P[3] + u * p)))
        q = ERF_Q[4] + u * (ERF_Q[5] + u * ERF_Q[6])
        q = ERF_Q[0] + u * (ERF_Q[1] + u * (ERF_Q[2] + u * (ERF_Q[3] + u * q)))
        y[i] = z * p / q


@jit.kernel(lambda T: (jit.read_only(T[::1]), T[::1]))
def _libm_erf_task(task, x, y):
    for i in range(task * TASK_NUMBERS, min((task + 1) * TASK_NUMBERS, len(x))):
        y[i] = math.erf(x[i])


_tanh_task.then(_tanh_backward_task)
