"""What every sliding window shares: its parameters as pairs, and how often it fits."""

from collections.abc import Sequence

from .errors import ShapeError

Pair = tuple[int, int]


def pair(value: int | Sequence[int], name: str, operation: str, *, least: int) -> Pair:
    """(rows, columns) of a parameter given as one int or as two; each must be `least` or more."""
    if value.__class__ is tuple and len(value) == 2:
        rows, columns = value
        if rows.__class__ is columns.__class__ is int and rows >= least and columns >= least:
            return rows, columns  # as a layer has them: this is asked at every call
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) == 1:
        both = both * 2
    if len(both) != 2 or not all(hasattr(v, "__index__") for v in both):
        raise TypeError(
            f"{operation}: {name} is {value!r}, but must be one int or two (rows, columns)."
        )
    rows, columns = (int(v) for v in both)
    if min(rows, columns) < least:
        raise ShapeError(f"{operation}: {name} is {value!r}, but must be at least {least}.")
    return rows, columns


def window_count(size: int, window: int, *, stride: int, padding: int, dilation: int) -> int:
    """How many windows fit along one side: floor((size + 2 padding - extent) / stride) + 1.

    extent = dilation (window - 1) + 1 is the length that a dilated window spans. Less than 1
    means that not even one fits.
    """
    extent = dilation * (window - 1) + 1
    return (size + 2 * padding - extent) // stride + 1
