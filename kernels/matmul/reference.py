"""Matrix products by NumPy."""

import numpy as np
from numpy import ndarray

from ..errors import ShapeError


def matmul(a: ndarray, b: ndarray) -> ndarray:
    """c (..., M, N) = a (..., M, K) @ b (..., K, N), batches broadcast; any strides.

    Raises ShapeError if the inner sizes differ or the batches do not broadcast.
    """
    batch_shape(a, b)
    return np.ascontiguousarray(np.matmul(a, b))


def batch_shape(a: ndarray, b: ndarray) -> tuple[int, ...]:
    """The batch that a (..., M, K) and b (..., K, N) broadcast to, after checking all sizes."""
    if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]:
        return ()  # the usual case, and small operations should not wait for the rest
    given = f"matmul: a is (..., M, K) = {a.shape}, b is (..., K, N) = {b.shape}"
    if a.ndim < 2 or b.ndim < 2:
        raise ShapeError(f"{given}; both need at least two axes. Add one, as in a.unsqueeze(0).")
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"{given}; a has K = {a.shape[-1]} columns but b has K = {b.shape[-2]} rows. "
            f"Transpose one of them, or make in_features of the layer {a.shape[-1]}."
        )
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"{given}; the batches {a.shape[:-2]} and {b.shape[:-2]} do not broadcast: "
            f"from the right, sizes must be equal or 1."
        ) from None
