"""Dividing by a number that stays the same for a whole kernel; see divisor.cuh."""

import numpy as np

DIVISOR = np.dtype([("divisor", np.int32), ("multiplier", np.uint32), ("shift", np.uint32)])


def divisor(d: int) -> tuple[int, int, int]:
    """The fields of the C++ struct Divisor for division by d, 1 <= d < 2^31."""
    shift = (d - 1).bit_length()
    return d, 2**32 * (2**shift - d) // d + 1, shift
