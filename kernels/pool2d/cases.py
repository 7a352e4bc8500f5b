"""Poolings to agree on, to differentiate and to time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from ..samples import Size, normal, rounding
from .dims import Pool2dDims


@dataclass(frozen=True)
class Pool2dCase:
    """One pooling of x (N, C, H, W)."""

    name: str
    x: tuple[int, int, int, int]
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    ceil_mode: bool = False
    strided: bool = False
    values: Literal["normal", "ties", "NaN", "infinite"] = "normal"
    size: Size = "awkward"

    @property
    def dims(self) -> Pool2dDims:
        return Pool2dDims.of(
            self.x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )

    @property
    def flops(self) -> int:
        """One comparison or addition for every pixel of every window."""
        d = self.dims
        return int(np.prod(d.y_shape)) * d.R * d.S

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: x and y once."""
        return int(np.prod(self.x) + np.prod(self.dims.y_shape)) * np.dtype(dtype).itemsize

    def arrays(self, dtype: np.typing.DTypeLike, seed: int = 0) -> tuple[ndarray, ndarray]:
        """x and a cotangent dy."""
        rng = np.random.default_rng(seed)
        x = normal(rng, self.x, dtype, self.strided)
        if self.values == "ties":
            x = np.sign(x)
        elif self.values == "NaN":
            x[rng.random(self.x) < 0.3] = np.nan
        elif self.values == "infinite":
            x[rng.random(self.x) < 0.3] = np.inf
            x[rng.random(self.x) < 0.6] = -np.inf
        return x, normal(rng, self.dims.y_shape, dtype, self.strided)

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Bound on an average's error, relative to the average of absolute values."""
        return rounding(self.dims.R * self.dims.S, dtype)


CASES = [
    Pool2dCase("2x2", (1, 1, 4, 4), 2, size="small"),
    Pool2dCase("one pixel", (1, 2, 1, 1), 1, size="small"),
    Pool2dCase("odd image", (2, 3, 7, 5), 2),
    Pool2dCase("odd image, rounded up", (2, 3, 7, 5), 2, ceil_mode=True),
    Pool2dCase("overlapping", (2, 3, 9, 8), 3, 2, 1),
    Pool2dCase("overlapping, rounded up", (2, 3, 8, 9), 3, 2, 1, ceil_mode=True),
    Pool2dCase("not square", (2, 2, 7, 11), (3, 2), (1, 3), (1, 0)),
    Pool2dCase("stride above window", (2, 2, 9, 10), 2, (3, 4), 1),
    Pool2dCase("window is the image", (3, 4, 5, 6), (5, 6)),
    Pool2dCase("dilated", (2, 3, 9, 10), (2, 3), 2, (1, 1), (2, 3)),
    Pool2dCase("dilated, rounded up", (1, 2, 10, 9), 3, 2, 1, 2, True),
    Pool2dCase("not contiguous", (2, 3, 6, 7), 2, 1, strided=True),
    Pool2dCase("batch of none", (0, 3, 6, 6), 2),
    Pool2dCase("no channels", (2, 0, 6, 6), 2),
    Pool2dCase("ties", (2, 3, 8, 8), 3, 2, 1, values="ties"),
    Pool2dCase("NaN", (2, 3, 8, 8), 3, 2, 1, values="NaN"),
    Pool2dCase("infinities", (2, 3, 8, 8), 2, 2, 1, values="infinite"),
    Pool2dCase("more channels than a vector", (2, 21, 6, 7), 3, 2, 1, values="ties"),
    Pool2dCase("more channels, NaN", (2, 19, 5, 6), 2, values="NaN"),
    Pool2dCase("long rows", (1, 2, 5, 41), 3, 1, 1, values="infinite"),
    Pool2dCase("long rows, stride 2", (2, 2, 6, 45), 2, values="ties"),
    Pool2dCase("long rows, stride 2, padded", (1, 2, 6, 45), 3, 2, 1, values="NaN"),
    Pool2dCase("long rows, stride 3", (1, 2, 7, 59), (2, 3), 3, (0, 1), (1, 2), values="infinite"),
    Pool2dCase("side by side", (2, 3, 6, 9), 3),
    Pool2dCase("side by side, long rows", (1, 2, 4, 36), 2),
    Pool2dCase("ConvNet", (64, 32, 28, 28), 2, size="large"),
    Pool2dCase("ResNet stem", (8, 64, 112, 112), 3, 2, 1, size="large"),
]
