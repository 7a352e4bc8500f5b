"""The rectified linear unit on the CPU: one task is a run of memory. See reference.py."""

import numpy as np
from numpy import ndarray

from .. import buffers, jit
from ..layout import channels_innermost, from_memory, to_memory
from . import reference

TASK_NUMBERS = 32768
LINE = 1024  # divides TASK_NUMBERS


def relu(x: ndarray, out: ndarray | None = None) -> ndarray:
    """y like x; written into `out`, which may be x itself, if given."""
    inner = channels_innermost(x)
    memory = to_memory(x, inner)
    if out is x and memory.flags.carray:
        tasks, run = _runs(memory)
        _relu_in_place_task(tasks, run, nanoseconds=x.size / 4)
        return x
    if out is not None:
        return reference.relu(x, out)
    (memory,) = jit.dense(memory)
    y = buffers.empty_like(memory)
    tasks, run = _runs(memory)
    _relu_task(tasks, run, y.reshape(-1), nanoseconds=x.size / 4)
    return from_memory(y, inner)


def relu_backward(dy: ndarray, y: ndarray) -> ndarray:
    """dx like y."""
    inner = channels_innermost(y)
    y, dy = jit.dense(to_memory(y, inner), to_memory(dy, inner))
    dx = buffers.empty_like(y)
    tasks, y = _runs(y)
    _relu_backward_task(tasks, dy.reshape(-1), y, dx.reshape(-1), nanoseconds=y.size / 3)
    return from_memory(dx, inner)


def _runs(memory: ndarray) -> tuple[int, ndarray]:
    """(how many tasks, the elements in a row)."""
    return -(-memory.size // TASK_NUMBERS), memory.reshape(-1)


@jit.kernel(lambda T: (T[::1], T[::1]))
def _relu_task(task, x, y):
    here = slice(task * TASK_NUMBERS, (task + 1) * TASK_NUMBERS)
    x, y = x[here], y[here]
    for i in range(len(x)):
        value = x[i]
        y[i] = 0 if value <= 0 else value


@jit.kernel(lambda T: (T[::1],))
def _relu_in_place_task(task, x):
    # By way of other memory: "keep this number or write 0 over it" would become a masked store,
    # which some CPUs are very slow at.
    line = np.empty(LINE, x.dtype)
    for start in range(task * TASK_NUMBERS, min((task + 1) * TASK_NUMBERS, len(x)), LINE):
        part = x[start : min(start + LINE, len(x))]
        for i in range(len(part)):
            value = part[i]
            line[i] = 0 if value <= 0 else value
        for i in range(len(part)):
            part[i] = line[i]


@jit.kernel(lambda T: (T[::1], T[::1], T[::1]))
def _relu_backward_task(task, dy, y, dx):
    here = slice(task * TASK_NUMBERS, (task + 1) * TASK_NUMBERS)
    dy, y, dx = dy[here], y[here], dx[here]
    for i in range(len(y)):
        gradient = dy[i]
        dx[i] = 0 if y[i] <= 0 else gradient


for _forward in (_relu_task, _relu_in_place_task):
    _forward.then(_relu_backward_task)
