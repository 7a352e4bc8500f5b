"""Activations to agree on and to time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from ..samples import Size, normal


@dataclass(frozen=True)
class ActivationCase:
    """One x of any shape."""

    name: str
    x: tuple[int, ...]
    values: Literal["normal", "special"] = "normal"
    channels_innermost: bool = False
    strided: bool = False
    size: Size = "awkward"

    @property
    def flops(self) -> int:
        """One comparison for every number."""
        return int(np.prod(self.x))

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: x and y once."""
        return 2 * int(np.prod(self.x)) * np.dtype(dtype).itemsize

    def arrays(self, dtype: np.typing.DTypeLike, seed: int = 0) -> tuple[ndarray, ndarray]:
        """x and a cotangent dy."""
        rng = np.random.default_rng(seed)
        x = normal(rng, self.x, dtype, self.strided)
        if self.values == "special":
            x[...] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], self.x)
        if self.channels_innermost:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return x, normal(rng, self.x, dtype, self.strided)

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Nothing is computed: a number passes or it does not."""
        return 0.0


CASES = [
    ActivationCase("one number", (1,), size="small"),
    ActivationCase("a matrix", (3, 5), size="small"),
    ActivationCase("NaN, infinities, zeros", (4, 5, 6), values="special"),
    ActivationCase("images", (2, 3, 4, 5)),
    ActivationCase("channels innermost", (2, 3, 4, 5), channels_innermost=True),
    ActivationCase("not contiguous", (6, 7, 3), strided=True),
    ActivationCase("empty", (0, 4)),
    ActivationCase("no dimension", ()),
    ActivationCase("more than a task", (70001,)),
    ActivationCase("ConvNet", (64, 32, 28, 28), size="large"),
    ActivationCase("VGG-16's first", (8, 64, 224, 224), channels_innermost=True, size="large"),
]
