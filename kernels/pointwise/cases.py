"""Arrays to agree on and to time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from ..samples import Size, normal


@dataclass(frozen=True)
class PointwiseCase:
    """Numbers from a normal distribution of this width."""

    name: str
    x: tuple[int, ...]
    width: float = 1.0
    layout: Literal["dense", "strided", "channels last"] = "dense"
    size: Size = "awkward"

    @property
    def flops(self) -> int:
        """Two polynomials and a quotient, about."""
        return 25 * int(np.prod(self.x))

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: x read and y written."""
        return 2 * int(np.prod(self.x)) * np.dtype(dtype).itemsize

    def arrays(self, dtype: np.typing.DTypeLike, seed: int = 0) -> tuple[ndarray]:
        """x."""
        rng = np.random.default_rng(seed)
        x = normal(rng, self.x, dtype, self.layout == "strided")
        x *= self.width
        if self.layout == "channels last":
            x = x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
        return (x,)

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Relative: a unit in the last place on either side."""
        return 2 * float(np.finfo(dtype).eps)


CASES = [
    PointwiseCase("few", (3, 5), size="small"),
    PointwiseCase("tiny numbers", (50,), width=1e-20),
    PointwiseCase("large numbers", (50,), width=20),
    PointwiseCase("more than a task", (20001,), width=3),
    PointwiseCase("strided", (5, 7), layout="strided"),
    PointwiseCase("channels last", (2, 3, 4, 5), layout="channels last"),
    PointwiseCase("none", (0, 3)),
    PointwiseCase("LeNet-5", (64, 6, 28, 28), size="large"),
]
