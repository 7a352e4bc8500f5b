"""Classifications to agree on, to differentiate and to time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from ..samples import Size, normal


@dataclass(frozen=True)
class CrossEntropyCase:
    """Logits (N, C); `scales` multiplies rows by very different factors."""

    name: str
    logits: tuple[int, int]
    values: Literal["normal", "scales", "infinite"] = "normal"
    ignored: float = 0.0  # share of the rows
    strided: bool = False
    ignore_index: int = -100
    size: Size = "awkward"

    @property
    def flops(self) -> int:
        """Maximum, difference, exponential and sum, for every logit."""
        return 4 * int(np.prod(self.logits))

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: the logits once."""
        return int(np.prod(self.logits)) * np.dtype(dtype).itemsize

    def arrays(self, dtype: np.typing.DTypeLike, seed: int = 0) -> tuple[ndarray, ndarray, ndarray]:
        """logits, target and a cotangent dloss."""
        rng = np.random.default_rng(seed)
        N, C = self.logits
        logits = normal(rng, self.logits, dtype, self.strided)
        if self.values == "scales":
            logits *= (10.0 ** rng.integers(-30, 5, (N, 1))).astype(dtype)
            logits += (10.0 ** rng.integers(0, 5, (N, 1))).astype(dtype)
        elif self.values == "infinite":
            logits[:, : C // 2] = -np.inf
        target = rng.integers(C // 2, max(C, 1), N) if C else np.zeros(N, np.int64)
        target[rng.random(N) < self.ignored] = self.ignore_index
        return logits, target, normal(rng, (N,), dtype)

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Relative and absolute: the exponent's rounding, twice, and C additions."""
        return float((16 + self.logits[1]) * np.finfo(dtype).eps)


CASES = [
    CrossEntropyCase("one row", (1, 3), size="small"),
    CrossEntropyCase("digits", (6, 10), size="small"),
    CrossEntropyCase("one class", (4, 1)),
    CrossEntropyCase("rows of different scale", (64, 7), values="scales"),
    CrossEntropyCase("impossible classes", (5, 6), values="infinite"),
    CrossEntropyCase("some ignored", (40, 5), ignored=0.5),
    CrossEntropyCase("all ignored, by class 2", (4, 5), ignored=1.0, ignore_index=2),
    CrossEntropyCase("not contiguous", (9, 8), strided=True),
    CrossEntropyCase("no rows", (0, 5)),
    CrossEntropyCase("more than a task", (3000, 11), ignored=0.1),
    CrossEntropyCase("Fashion-MNIST", (64, 10), size="large"),
    CrossEntropyCase("ImageNet", (256, 1000), size="large"),
]
