"""What an algorithm would take for one pass of a convolution; `plan.py` compares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from .dims import Conv2dDims

Direction = Literal["forward", "grad_input", "grad_weight"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "grad_input", "grad_weight")


class Estimate(NamedTuple):
    """Costs of one pass by one algorithm."""

    variant: str  # what the algorithm does here, "F(4, 3)"
    multiplications: int  # of numbers, those on padding included
    nanoseconds: float  # about: of one thread with AVX2, or of a large GPU; their order matters
    workspace: int  # bytes beside the arrays of the call
    error: float  # expected, against exact numbers, relative to the largest of the result


def summed(terms: int, dtype: np.dtype) -> float:
    """The expected error of sums of so many products, relative to the largest of many such sums.

    Rounding errors of a sum that is added term by term grow like the square root of their number.
    """
    return (2 + terms**0.5 / 2) * float(np.finfo(dtype).eps)


@dataclass(frozen=True)
class Choice:
    """The algorithm of one direction, with its costs."""

    direction: Direction
    algorithm: str
    variant: str  # of the algorithm, "F(4, 3)"
    why: str
    flops: int  # by the definition
    multiplied: int  # flops of the multiplications and their additions, as they are done
    bytes: int  # that must move at least: x, w and y once
    workspace: int  # bytes beside these
    error: float  # expected, relative to the largest number of the result


def chosen(
    dims: Conv2dDims,
    direction: Direction,
    dtype: np.dtype,
    estimates: Mapping[str, Estimate],
    refusals: Sequence[str],
    where: str,
) -> Choice:
    """The cheapest; `refusals` say why others are out of the question, `where` what the times are
    of."""
    best = min(estimates, key=lambda name: estimates[name].nanoseconds)
    it = estimates[best]
    others = [
        f"{name} {estimate.nanoseconds / 1e6:.3g}"
        for name, estimate in estimates.items()
        if name != best
    ]
    why = f"expected to take {it.nanoseconds / 1e6:.3g} ms {where}"
    if others:
        why += f", {', '.join(others)}"
    sizes = (int(np.prod(shape)) for shape in (dims.x_shape, dims.w_shape, dims.y_shape))
    return Choice(
        direction=direction,
        algorithm=best,
        variant=it.variant,
        why="; ".join([why, *refusals]),
        flops=dims.flops,
        multiplied=2 * it.multiplications,
        bytes=sum(sizes) * dtype.itemsize,
        workspace=it.workspace,
        error=it.error,
    )
