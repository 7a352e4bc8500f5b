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

# True once any tensor lies channels-last for everyone to see; only then must operations look
# whether their results are to do so too.
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
    if lies_channels_last(tensor.array):
        tensor._pinned = seen[0] = True
    return tensor


def laid_as(model: Any, tensor: Any) -> Any:
    """The tensor, brought to channels-last order if the model shows that order."""
    return pin_channels_last(tensor) if model._pinned else tensor


def pin_channels_last(tensor: Any) -> Any:
    """The tensor, brought to channels-last order for everyone to see."""
    tensor.array = as_channels_last(tensor.array)
    return pin(tensor)


def follow(result: Any, inputs: Any, *, elementwise: bool = False) -> None:
    """Pin a result (N, C, H, W) if an input is channels-last for everyone to see.

    Of two operands in different orders (NumPy's result is then contiguous) the first decides.
    """
    if elementwise and shown(inputs[0]) and inputs[0].array.shape == result.array.shape:
        result.array = as_channels_last(result.array)
        result._pinned = True
    elif lies_channels_last(result.array):
        result._pinned = any(x is not None and shown(x) for x in inputs)


def kept(array: Any, *inputs: Any) -> Any:
    """An operation's result (N, C, H, W) in the order of inputs that show channels-last, if any."""
    if seen[0] and any(x is not None and shown(x) for x in inputs):
        return as_channels_last(array)
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
