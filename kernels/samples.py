"""What the case tables share: random arrays, in awkward memory layouts too, and error bounds."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy import ndarray

Size = Literal["small", "awkward", "large"]


def normal(
    rng: np.random.Generator,
    shape: Sequence[int],
    dtype: np.typing.DTypeLike,
    strided: bool = False,
) -> ndarray:
    """Standard normal numbers; strided: a view with every axis reversed, the last with gaps."""
    if not strided:
        return rng.standard_normal(shape).astype(dtype)
    wide = rng.standard_normal((*shape[:-1], 2 * shape[-1])).astype(dtype)
    return wide[(*(slice(None, None, -1) for _ in shape[:-1]), slice(None, None, -2))]


def rounding(terms: int, dtype: np.typing.DTypeLike) -> float:
    """Bound on the error of a sum of products, relative to the sum of their absolute values.

    Any order of adding `terms` products is within terms eps of the truth to first order (Higham
    2002, "Accuracy and stability of numerical algorithms", 3.1); two results differ by twice that.
    """
    return 2 * (terms + 2) * float(np.finfo(dtype).eps)
