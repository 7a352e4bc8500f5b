"""Matrix products to agree on, to differentiate and to time."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from ..samples import Size, normal, rounding


@dataclass(frozen=True)
class MatmulCase:
    """c = a @ b; a transposed operand is stored the other way round, as x @ w.T has it."""

    name: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    transposed: str = ""  # "a", "b" or "ab"
    strided: bool = False
    size: Size = "awkward"

    @property
    def flops(self) -> int:
        batch = np.broadcast_shapes(self.a[:-2], self.b[:-2])
        return 2 * int(np.prod(batch)) * self.a[-2] * self.a[-1] * self.b[-1]

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: a, b and c once."""
        c = self.flops // (2 * max(1, self.a[-1]))
        return int(np.prod(self.a) + np.prod(self.b) + c) * np.dtype(dtype).itemsize

    def arrays(self, dtype: np.typing.DTypeLike, seed: int = 0) -> tuple[ndarray, ndarray]:
        """a and b."""
        rng = np.random.default_rng(seed)
        made = []
        for name, shape in (("a", self.a), ("b", self.b)):
            x = normal(rng, shape, dtype, self.strided)
            turned = np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)
            made.append(turned if name in self.transposed else x)
        return made[0], made[1]

    def tolerance(self, dtype: np.typing.DTypeLike) -> float:
        """Bound on the error relative to |a| @ |b|."""
        return rounding(self.a[-1], dtype)


CASES = [
    MatmulCase("one number", (1, 1), (1, 1), size="small"),
    MatmulCase("small", (2, 3), (3, 4), size="small"),
    MatmulCase("odd", (13, 29), (29, 51)),
    MatmulCase("a transposed", (13, 29), (29, 51), "a"),
    MatmulCase("b transposed", (13, 29), (29, 51), "b"),
    MatmulCase("b transposed, tall", (70, 29), (29, 11), "b"),
    MatmulCase("b transposed, one row", (1, 40), (40, 9), "b"),
    MatmulCase("b transposed, deeper than at once", (9, 4100), (4100, 6), "b"),
    MatmulCase("b transposed, large", (17, 2100), (2100, 2001), "b"),
    MatmulCase("both transposed", (13, 29), (29, 51), "ab"),
    MatmulCase("not contiguous", (13, 29), (29, 51), strided=True),
    MatmulCase("deeper than a panel", (9, 700), (700, 50)),
    MatmulCase("wider than a task", (5, 8), (8, 1100)),
    MatmulCase("taller than a task", (300, 8), (8, 5)),
    MatmulCase("one row", (1, 300), (300, 40)),
    MatmulCase("one column", (40, 300), (300, 1)),
    MatmulCase("batch", (3, 4, 5), (3, 5, 6)),
    MatmulCase("batch broadcast", (2, 1, 4, 5), (3, 5, 6), "b"),
    MatmulCase("no depth", (3, 0), (0, 4)),
    MatmulCase("no rows", (0, 3), (3, 4)),
    MatmulCase("batch of none", (0, 2, 3), (3, 4)),
    MatmulCase("square", (1024, 1024), (1024, 1024), size="large"),
    MatmulCase("ConvNet 1st linear", (64, 3136), (3136, 128), "b", size="large"),
    MatmulCase("its gradient in x", (64, 128), (128, 3136), size="large"),
    MatmulCase("its gradient in w", (128, 64), (64, 3136), "a", size="large"),
    MatmulCase("AlexNet linear", (32, 9216), (9216, 4096), "b", size="large"),
]
