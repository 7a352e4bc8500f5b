"""Hypothesis strategies for tests of neural networks, yours as well as ours.

    @given(conv2d_geometry())
    def test(g):
        x, w, dy = g.arrays(seed=0)
        ...                                  # g.N, g.C, ..., g.stride, g.dims

Sizes are in the letters of Chetlur et al. 2014: x is (N, C, H, W), w is (K, C / groups, R, S), y is
(N, K, P, Q). Examples shrink towards a 1x1 kernel on one pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from ..kernels.conv2d.dims import Conv2dDims
from ..kernels.errors import ShapeError
from ..kernels.pool2d.dims import Pool2dDims

Shape = tuple[int, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Conv2dGeometry:
    """One convolution: sizes and parameters that fit together."""

    N: int
    C: int
    H: int
    W: int
    K: int
    R: int
    S: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def x_shape(self) -> Shape:
        """(N, C, H, W)."""
        return self.N, self.C, self.H, self.W

    @property
    def w_shape(self) -> Shape:
        """(K, C / groups, R, S)."""
        return self.K, self.C // self.groups, self.R, self.S

    @property
    def parameters(self) -> dict[str, Any]:
        """stride, padding, dilation and groups, as `conv2d` takes them."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def dims(self) -> Conv2dDims:
        """What the kernels take."""
        return Conv2dDims.of(self.x_shape, self.w_shape, **self.parameters)

    def arrays(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Any, Any, Any]:
        """x, w and a cotangent dy of y's shape, standard normal."""
        random = np.random.default_rng(seed)
        shapes = (self.x_shape, self.w_shape, self.dims.y_shape)
        x, w, dy = (random.standard_normal(shape).astype(dtype) for shape in shapes)
        return x, w, dy


@dataclass(frozen=True)
class Pool2dGeometry:
    """One pooling: an image and windows that fit it."""

    N: int
    C: int
    H: int
    W: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    ceil_mode: bool

    @property
    def x_shape(self) -> Shape:
        """(N, C, H, W)."""
        return self.N, self.C, self.H, self.W

    @property
    def dims(self) -> Pool2dDims:
        """What the kernels take."""
        return Pool2dDims.of(
            self.x_shape,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )


def pairs(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    """(rows, columns), each from low to high."""
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def conv2d_geometry(
    draw: Draw,
    *,
    max_batch: int = 3,
    max_groups: int = 3,
    max_channels: int = 3,
    max_kernel: int = 4,
    max_extra: int = 5,
    max_stride: int = 5,
    max_padding: int = 3,
    max_dilation: int = 3,
) -> Conv2dGeometry:
    """Every convolution that fits: sizes that do not divide, 1x1, kernel equal to image, stride
    above kernel, padding above kernel, dilation, groups, depthwise.

    max_channels: of x and of y, per group. max_extra: how much the padded image may exceed the
    dilated kernel.
    """
    groups = draw(st.integers(1, max_groups))
    channels, filters = draw(st.integers(1, max_channels)), draw(st.integers(1, max_channels))
    R, S = draw(pairs(1, max_kernel))
    dilation, padding = draw(pairs(1, max_dilation)), draw(pairs(0, max_padding))
    sizes = []
    for kernel, d, p in zip((R, S), dilation, padding, strict=True):
        least = max(1, d * (kernel - 1) + 1 - 2 * p)
        sizes.append(least + draw(st.integers(0, max_extra)))
    return Conv2dGeometry(
        N=draw(st.integers(1, max_batch)),
        C=channels * groups,
        H=sizes[0],
        W=sizes[1],
        K=filters * groups,
        R=R,
        S=S,
        stride=draw(pairs(1, max_stride)),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@st.composite
def pool2d_geometry(draw: Draw, *, max_kernel: int = 4, max_extra: int = 5) -> Pool2dGeometry:
    """Every pooling that fits: overlapping windows, gaps between them, ceil_mode, dilation."""
    kernel, dilation = draw(pairs(1, max_kernel)), draw(pairs(1, 3))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)  # PyTorch's limit
    sizes = [
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, max_extra))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    geometry = Pool2dGeometry(
        N=draw(st.integers(1, 3)),
        C=draw(st.integers(1, 3)),
        H=sizes[0],
        W=sizes[1],
        kernel_size=kernel,
        stride=draw(pairs(1, 5)),
        padding=padding,
        dilation=dilation,
        ceil_mode=draw(st.booleans()),
    )
    try:
        _ = geometry.dims
    except ShapeError:  # a dilated window may lie in the padding altogether
        reject()
    return geometry


def shapes(
    *, min_dims: int = 0, max_dims: int = 3, min_size: int = 1, max_size: int = 4
) -> st.SearchStrategy[Shape]:
    """Shapes of arrays."""
    return st.lists(st.integers(min_size, max_size), min_size=min_dims, max_size=max_dims).map(
        tuple
    )


@st.composite
def broadcastable(
    draw: Draw, count: int = 2, *, max_dims: int = 3, max_size: int = 3
) -> list[Shape]:
    """`count` shapes that broadcast together: sizes of 1 and missing leading axes anywhere."""
    full = draw(shapes(max_dims=max_dims, max_size=max_size))
    found = []
    for _ in range(count):
        sizes = tuple(draw(st.sampled_from((n, 1))) for n in full)
        found.append(sizes[draw(st.integers(0, len(sizes))) :])
    return found


@st.composite
def arrays(
    draw: Draw,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    *,
    apart: float = 0.0,
    contiguous: bool | None = None,
) -> Any:
    """float64 arrays of ordinary numbers, in memory as they come: transposed, with gaps, ...

    apart: no two elements closer than this, none closer than half of it to 0 (no ties, no
    corners). contiguous: True for C order only. Values come from a seed, so they shrink to seed 0.
    """
    if shape is None:
        shape = shapes()
    size: Shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    n = int(np.prod(size, dtype=np.int64))
    if apart:
        values = (random.permutation(n) - n // 2 + 0.5).reshape(size) * apart
    else:
        values = random.standard_normal(size)
    values = np.asarray(values, np.float64)
    layout = "C" if contiguous else draw(st.sampled_from("CFG"))
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "G" and values.ndim:
        wide = np.zeros((*size[:-1], 2 * size[-1]))
        wide[..., ::2] = values
        return wide[..., ::2]
    return values
