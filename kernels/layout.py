"""The two orders in which the elements of images may lie in memory; kernels take both.

An array (N, C, H, W) is either C-contiguous, or *channels innermost*: the transposed view of a
C-contiguous (N, H, W, C). Kernels work on memory: C-contiguous arrays whose axes stand in memory's
order. `to_memory` and `from_memory` only turn the axes, they copy nothing.
"""

from numpy import ndarray


def channels_innermost(x: ndarray) -> bool:
    """True for an array (N, C, H, W) that lies as (N, H, W, C) and is not C-contiguous too."""
    return x.ndim == 4 and not x.flags.c_contiguous and x.transpose(0, 2, 3, 1).flags.c_contiguous


def to_memory(x: ndarray, innermost: bool) -> ndarray:
    """(N, C, H, W) as it lies in memory: (N, H, W, C) if its channels are innermost."""
    return x.transpose(0, 2, 3, 1) if innermost else x


def from_memory(x: ndarray, innermost: bool) -> ndarray:
    """The inverse of `to_memory`."""
    return x.transpose(0, 3, 1, 2) if innermost else x
