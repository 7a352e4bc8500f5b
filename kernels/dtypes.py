"""The dtypes that compiled kernels take."""

from typing import Any

import numpy as np

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def check_dtypes(first: Any, *others: Any) -> None:
    """Raises TypeError unless all are float32 or all are float64; None is passed over."""
    dtype = first.dtype
    if dtype in _DTYPES:
        for other in others:
            if other is not None and other.dtype is not dtype and other.dtype != dtype:
                break
        else:
            return
    dtypes = {str(array.dtype) for array in (first, *others) if array is not None}
    raise TypeError(
        f"kernels take arrays of one dtype, float32 or float64, but got "
        f"{' and '.join(sorted(dtypes))}. Convert them with .to()."
    )
