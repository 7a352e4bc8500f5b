"""Dropouts to agree on and to time."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from ..samples import Size, normal


@dataclass(frozen=True)
class DropoutCase:
    """One x, probability and key; every backend must give the same bits."""

    name: str
    x: tuple[int, ...]
    p: float = 0.5
    key: int = 0x0123456789ABCDEF
    strided: bool = False
    size: Size = "awkward"

    @property
    def flops(self) -> int:
        """Ten rounds of the cipher for four numbers, ten operations a round."""
        return 25 * int(np.prod(self.x))

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: x and y once."""
        return 2 * int(np.prod(self.x)) * np.dtype(dtype).itemsize

    def arrays(self, dtype: np.typing.DTypeLike, seed: int = 0) -> tuple[ndarray]:
        """x."""
        return (normal(np.random.default_rng(seed), self.x, dtype, self.strided),)

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Nothing: one multiplication by the same number."""
        return 0.0


CASES = [
    DropoutCase("one number", (1,), size="small"),
    DropoutCase("a matrix", (3, 5), size="small"),
    DropoutCase("nothing dropped", (10,), p=0.0),
    DropoutCase("all dropped", (10,), p=1.0),
    DropoutCase("nearly all dropped", (1000,), p=1 - 2**-20),
    DropoutCase("highest key", (257,), p=0.3, key=2**64 - 1),
    DropoutCase("key 0", (255,), p=0.3, key=0),
    DropoutCase("not contiguous", (6, 7, 3), strided=True),
    DropoutCase("empty", (0, 4)),
    DropoutCase("more than a task", (140001,), p=0.1),
    DropoutCase("features", (64, 32, 28, 28), size="large"),
]
