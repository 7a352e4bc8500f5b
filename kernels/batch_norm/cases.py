"""Batch normalisations to agree on, to differentiate and to time."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from ..samples import Size, normal


@dataclass(frozen=True)
class BatchNormCase:
    """One x (N, C, *spatial) with values mean + std z, z standard normal."""

    name: str
    x: tuple[int, ...]
    mean: float = 0.0
    std: float = 1.0
    affine: bool = True
    strided: bool = False
    eps: float = 1e-5
    size: Size = "awkward"

    @property
    def flops(self) -> int:
        """Forward: mean, deviation and square, scale and shift."""
        return 6 * int(np.prod(self.x))

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: x and y once."""
        return 2 * int(np.prod(self.x)) * np.dtype(dtype).itemsize

    def arrays(
        self, dtype: np.typing.DTypeLike, seed: int = 0
    ) -> tuple[ndarray, ndarray | None, ndarray | None, ndarray]:
        """x, weight, bias (or None, None) and a cotangent dy."""
        rng = np.random.default_rng(seed)
        x = normal(rng, self.x, dtype, self.strided) * np.asarray(self.std, dtype)
        x += np.asarray(self.mean, dtype)
        weight, bias = (normal(rng, self.x[1:2], dtype) for _ in range(2))
        dy = normal(rng, self.x, dtype, self.strided)
        return (x, weight, bias, dy) if self.affine else (x, None, None, dy)

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Sums are taken in float64, so what is left is the rounding of results.

        A mean known to eps |mean| is off by that much in units of std; a float64 mean of 1e4 beside
        a std of 1e-2 still loses six digits, which shows in float64 only.
        """
        conditioning = 1 + abs(self.mean) / np.sqrt(self.std**2 + self.eps)
        eps = np.finfo(dtype).eps
        return float(64 * max(eps, np.finfo(np.float64).eps * conditioning))


CASES = [
    BatchNormCase("four numbers", (4, 1), size="small"),
    BatchNormCase("images", (3, 4, 5, 6), size="small"),
    BatchNormCase("without weight and bias", (3, 4, 5, 6), affine=False),
    BatchNormCase("sequence", (3, 4, 7)),
    BatchNormCase("volume", (2, 3, 2, 3, 4)),
    BatchNormCase("batch of one", (1, 3, 4, 4)),
    BatchNormCase("one value a channel", (1, 5)),
    BatchNormCase("mean above spread", (8, 3, 6, 6), mean=1e4, std=1e-2, eps=1e-8),
    BatchNormCase("constant", (4, 2, 3, 3), mean=3.0, std=0.0),
    BatchNormCase("tiny", (4, 2, 3, 3), std=1e-6),
    BatchNormCase("not contiguous", (4, 3, 5, 6), strided=True),
    BatchNormCase("batch of none", (0, 3, 4, 4)),
    BatchNormCase("no channels", (2, 0, 4, 4)),
    BatchNormCase("ConvNet", (64, 32, 28, 28), size="large"),
    BatchNormCase("fully connected", (128, 1024), size="large"),
]
