"""The sizes of a convolution as CUDA kernels take them: struct Conv2dShape, shape.cuh."""

import numpy as np
from numpy import ndarray

from .dims import Conv2dDims

SHAPE = np.dtype([(name, np.int32) for name in (
    "N", "C", "H", "W", "K", "R", "S", "P", "Q", "stride_h", "stride_w", "pad_h", "pad_w",
    "dilation_h", "dilation_w", "groups",
)], align=True)  # fmt: skip


def shape_record(d: Conv2dDims) -> ndarray:
    """struct Conv2dShape."""
    sizes = (d.N, d.C, d.H, d.W, d.K, d.R, d.S, d.P, d.Q)
    return np.array((*sizes, *d.stride, *d.padding, *d.dilation, d.groups), SHAPE)
