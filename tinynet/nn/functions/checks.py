"""What the layers' functions ask of their arguments: dtypes, axes, one number or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...kernels.errors import ShapeError
from ...tensor import Tensor

Sizes = int | Sequence[int]
LETTERS = {1: "L", 2: "H, W", 3: "D, H, W"}  # of the axes behind (N, C)


def same_dtype(name: str, x: Tensor, **others: Tensor | None) -> None:
    """Raise RuntimeError unless all have x's floating-point dtype."""
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: x has dtype {x.dtype}, but must be floating point; convert it: x.float()"
        )
    for other_name, other in others.items():
        if other is not None and other.array.dtype != x.array.dtype:
            raise RuntimeError(
                f"{name}: x has dtype {x.dtype} but {other_name} has {other.dtype}; they must be "
                f"the same. Convert one: x.to({other_name}.dtype), or the model: model.to(x.dtype)"
            )


def per_axis(value: Any, axes: int, name: str, operation: str, *, least: int) -> tuple[int, ...]:
    """A parameter given as one int, or as one for each axis; each must be `least` or more."""
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    if len(values) == 1:
        values = values * axes
    if len(values) != axes or not all(hasattr(v, "__index__") for v in values):
        raise TypeError(f"{operation}: {name} is {value!r}, but must be one int or {axes}.")
    values = tuple(int(v) for v in values)
    if min(values) < least:
        raise ShapeError(f"{operation}: {name} is {value!r}, but must be at least {least}.")
    return values


def with_batch(name: str, input: Tensor, axes: int) -> tuple[Tensor, bool]:
    """(C, *axes) -> (1, C, *axes), True; (N, C, *axes) as it is, False; else ShapeError."""
    if input.ndim == axes + 1:
        return input.unsqueeze(0), True
    if input.ndim != axes + 2:
        letters = LETTERS[axes]
        raise ShapeError(
            f"{name}: x must be (N, C, {letters}) or (C, {letters}), but is {tuple(input.shape)}; "
            f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input."
        )
    return input, False
