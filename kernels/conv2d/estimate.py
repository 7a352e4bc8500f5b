"""What an algorithm would take for one pass of a convolution; `plan.py` compares them."""

from typing import Literal, NamedTuple

import numpy as np

Direction = Literal["forward", "grad_input", "grad_weight"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "grad_input", "grad_weight")


class Estimate(NamedTuple):
    """Costs of one pass by one algorithm."""

    variant: str  # what the algorithm does here, "F(4, 3)"
    multiplications: int  # of numbers, those on padding included
    nanoseconds: float  # of one thread with AVX2 in float32, about; only their order matters
    workspace: int  # bytes beside the arrays of the call
    error: float  # expected, against exact numbers, relative to the largest of the result


def summed(terms: int, dtype: np.dtype) -> float:
    """The expected error of sums of so many products, relative to the largest of many such sums.

    Rounding errors of a sum that is added term by term grow like the square root of their number.
    """
    return (2 + terms**0.5 / 2) * float(np.finfo(dtype).eps)
