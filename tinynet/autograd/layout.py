"""How the elements of images lie in memory, and who can see it.

The layout rule. A tensor (N, C, H, W) lies *contiguous*, its columns w innermost, or
*channels-last*, its channels innermost. Convolution, pooling and normalisation are faster with
channels innermost and may return either order; elementwise operations keep what they get. As long
as nobody can tell, that is tinynet's own affair: a tensor that some operation made, that is no
view and that was not asked to lie channels-last, is *unsettled*. Its `stride()` and
`is_contiguous()` answer as if it were contiguous, and before anything else can see its memory
(a view, `numpy()`, `detach()`, `data_ptr()`, ...) it is *settled*: it gets a contiguous array in
place of the other. Until then no second holder of that memory exists, so nothing can go stale.
What backward remembers keeps the array it has, which is never written again.

A tensor that is channels-last because the user wants it so (`contiguous(memory_format=...)`, `to`,
`from_numpy`) is *pinned*: it stays as it is, and so does what operations make of it, as in PyTorch.
"""

from __future__ import annotations

import threading
from typing import Any


class memory_format:
    """An order of the elements in memory; compared by identity."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"tinynet.{self.name}"

    def __reduce__(self) -> str:
        return self.name  # copies and pickles are this very object

    def __deepcopy__(self, memo: Any) -> memory_format:
        return self


contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")
preserve_format = memory_format("preserve_format")

# True once any tensor may lie in another order than that of its indices (a transpose, say); only
# then must operations look which order their results are to have.
seen = [False]

_settling = threading.Lock()  # two threads must not give one tensor two memories


def lies_channels_last(array: Any) -> bool:
    """True for an array (N, C, H, W) that is dense in the order N, H, W, C and no other."""
    return (
        array.ndim == 4
        and not array.flags.c_contiguous
        and array.transpose(0, 2, 3, 1).flags.c_contiguous
    )


def as_channels_last(array: Any) -> Any:
    """The array (N, C, H, W) in channels-last order: itself, or a copy."""
    if array.transpose(0, 2, 3, 1).flags.c_contiguous:
        return array
    return array.transpose(0, 2, 3, 1).copy(order="C").transpose(0, 3, 1, 2)


def ordered(array: Any, inner: bool) -> Any:
    """The array (N, C, H, W) with its channels innermost or not: itself, or a copy."""
    if inner:
        return as_channels_last(array)
    return array.copy(order="C") if lies_channels_last(array) else array


def unsettled(tensor: Any) -> bool:
    """True if the tensor lies channels-last and nobody but tinynet knows."""
    return tensor._base is None and not tensor._pinned and lies_channels_last(tensor.array)


def settle(tensor: Any) -> Any:
    """The tensor's array, from now on fit to be seen and shared."""
    if tensor.array.ndim == 4 and unsettled(tensor):
        with _settling:
            if unsettled(tensor):
                tensor.array = tensor.array.copy(order="C")
    return tensor.array


def shown(tensor: Any) -> bool:
    """True if the tensor lies channels-last for everyone to see."""
    return lies_channels_last(tensor.array) and (tensor._pinned or tensor._base is not None)


def pin(tensor: Any) -> Any:
    """The tensor, whose order in memory is from now on everyone's to see."""
    if not is_ordered(tensor.array):
        seen[0] = True
        tensor._pinned = lies_channels_last(tensor.array)
    return tensor


def as_gradient_of(tensor: Any, gradient: Any, leaf: bool) -> Any:
    """The gradient, brought to the order of its leaf if that has no gaps, else contiguous.

    PyTorch's gradient layout contract; what `retain_grad` keeps of others is contiguous.
    """
    if not (tensor.array.flags.c_contiguous and gradient.array.flags.c_contiguous):
        if leaf and is_dense(tensor.array):
            follow(gradient, (tensor,), elementwise=True)
        else:
            follow(gradient, ())
    return gradient


def pin_channels_last(tensor: Any) -> Any:
    """The tensor, brought to channels-last order for everyone to see."""
    tensor.array = as_channels_last(tensor.array)
    return pin(tensor)


def follow(result: Any, inputs: Any, *, elementwise: bool = False) -> None:
    """Bring a result into the order that PyTorch gives it, as everyone sees it.

    That of an elementwise operation goes by its operands (`order_of`). Any other lies
    channels-last if an input (N, C, H, W) shows that order and the operation kept it, and is else
    contiguous, unless it shares the memory of an input.
    """
    array = result.array
    if elementwise:
        for x in inputs:
            if x is not None and not (x.array.flags.c_contiguous or unsettled(x)):
                order = order_of(array.shape, inputs)
                break
        else:
            order = None
        if order is not None:
            if not _lies_in(array, order) and not _shares(array, inputs):
                result.array = in_order(array, order)
            result._pinned = lies_channels_last(result.array)
            return
        if array.flags.c_contiguous:
            return
        if lies_channels_last(array):
            result._pinned = False
            return
    elif array.flags.c_contiguous:
        return
    elif lies_channels_last(array):
        result._pinned = any(x is not None and shown(x) for x in inputs)
        return
    if not array.flags.c_contiguous and not _shares(array, inputs):
        result.array = array.copy(order="C")


def order_of(shape: tuple[int, ...], operands: Any) -> list[int] | None:
    """The dimensions of an elementwise result from the nearest in memory to the farthest.

    None for a contiguous one. As PyTorch has it: dimensions are sorted by their strides, of two
    the first operand decides in which both have one (a broadcast dimension has none); of equal
    strides the longer dimension is the farther. Where no operand decides they stay as they are.
    """
    last = len(shape) - 1
    steps = []
    for x in operands:
        if x is not None and x.array.ndim > 1:
            lead = last + 1 - x.array.ndim
            steps.append((*(0,) * lead, *_steps(x, shape[lead:])))
    order = [d for d in range(last, -1, -1) if shape[d] != 1]  # the others' strides mean nothing
    for i in range(1, len(order)):
        place = i
        for j in range(i - 1, -1, -1):
            farther = _compare(order[j], order[place], steps, shape)
            if farther > 0:
                order[j], order[place] = order[place], order[j]
                place = j
            elif farther < 0:
                break
    if order == sorted(order, reverse=True):
        return None
    return [d for d in range(last, -1, -1) if shape[d] == 1] + order


def _steps(tensor: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The tensor's strides, 0 where it is broadcast to the shape."""
    return tuple(
        [
            0 if n == 1 and n != wide else step
            for n, wide, step in zip(tensor.array.shape, shape, strides(tensor), strict=True)
        ]
    )


def _compare(a: int, b: int, steps: list[tuple[int, ...]], shape: tuple[int, ...]) -> int:
    """1 if dimension `a` lies farther apart than `b`, -1 if nearer, 0 if nobody knows."""
    for step in steps:
        if step[a] and step[b]:
            if step[a] != step[b]:
                return 1 if step[a] > step[b] else -1
            if shape[a] > shape[b]:
                return 1
    return 0


def _lies_in(array: Any, order: list[int]) -> bool:
    """True if the elements lie without gaps, the first dimension of `order` nearest."""
    step = array.itemsize
    for d in order:
        if array.shape[d] != 1 and array.strides[d] != step:
            return False
        step *= array.shape[d]
    return True


def in_order(array: Any, order: list[int]) -> Any:
    """A copy without gaps, the first dimension of `order` nearest in memory."""
    far = order[::-1]
    back = sorted(range(len(far)), key=far.__getitem__)
    return array.transpose(far).copy(order="C").transpose(back)


def _shares(array: Any, inputs: Any) -> bool:
    """True if the array is the memory of an input."""
    own = root(array)
    return any(x is not None and root(x.array) is own for x in inputs)


def root(array: Any) -> Any:
    """The array that has the memory which this one shows (a buffer that is no array is none)."""
    while hasattr(array.base, "base"):
        array = array.base
    return array


def is_ordered(array: Any) -> bool:
    """True if the strides do not grow from one dimension to the next (broadcast ones aside)."""
    if array.flags.c_contiguous:
        return True
    before = None
    for n, step in zip(array.shape, array.strides, strict=True):
        if n > 1 and step:
            if before is not None and step > before:
                return False
            before = step
    return True


def is_dense(array: Any) -> bool:
    """True if the elements lie without gaps and without overlap, in any order."""
    if array.flags.c_contiguous:
        return True
    step = array.itemsize
    for stride, n in sorted(zip(array.strides, array.shape, strict=True)):
        if n != 1:
            if stride != step:
                return False
            step *= n
    return True


def kept(array: Any, *inputs: Any) -> Any:
    """An operation's result (N, C, H, W) in the order of inputs that show channels-last, if any."""
    if seen[0] and any(x is not None and shown(x) for x in inputs):
        return as_channels_last(array)
    if not array.flags.c_contiguous:
        seen[0] = True
    return array


def strides(tensor: Any) -> tuple[int, ...]:
    """Elements to step in memory for one step in each dimension, as everyone sees it."""
    array = tensor.array
    if array.ndim == 4 and tensor._base is None and not tensor._pinned:
        _, C, H, W = array.shape
        if array.flags.c_contiguous or lies_channels_last(array):
            C, H, W = max(C, 1), max(H, 1), max(W, 1)
            return C * H * W, H * W, W, 1
    return tuple(s // array.itemsize for s in array.strides)


def is_contiguous(tensor: Any, order: memory_format = contiguous_format) -> bool:
    """True if the elements lie in this order without gaps, as everyone sees it."""
    if order is channels_last:
        array = tensor.array
        if array.ndim != 4 or unsettled(tensor):
            return False
        return array.transpose(0, 2, 3, 1).flags.c_contiguous
    return tensor.array.flags.c_contiguous or unsettled(tensor)
