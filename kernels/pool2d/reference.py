"""Pooling in NumPy: a window becomes its maximum, or its mean.

    y[n, c, p, q] = max (or mean) over r, s of
        x[n, c, p stride + r dilation - padding, q stride + s dilation - padding]

Max pooling pads with -inf, gives NaN if the window holds one, and on a tie takes the first in
reading order: exactly one pixel receives the gradient. `index` remembers which: the flat position
h W + w in the image's plane, int64, the same on every backend.
"""

from functools import lru_cache

import numpy as np
from numpy import ndarray

from .dims import Pool2dDims


def max_forward(x: ndarray, *, dims: Pool2dDims) -> tuple[ndarray, ndarray]:
    """y (N, C, P, Q), the largest value of each window, and index (N, C, P, Q), where it stood."""
    rows, columns = _positions(dims)  # (P, 1, R, 1), (1, Q, 1, S)
    inside = _inside(rows, columns, dims)  # (P, Q, R, S)
    pixels = rows.clip(0, dims.H - 1), columns.clip(0, dims.W - 1)
    y = np.full(dims.y_shape, -np.inf, x.dtype)
    index = np.full(dims.y_shape, -1)  # -1: no pixel met yet
    for r, s in np.ndindex(dims.R, dims.S):
        h, w = pixels[0][:, :, r, 0], pixels[1][:, :, 0, s]  # (P, 1), (1, Q)
        value = x[:, :, h, w]
        larger = (index < 0) | (value > y) | (np.isnan(value) & ~np.isnan(y))
        better = inside[:, :, r, s] & larger
        y = np.where(better, value, y)
        index = np.where(better, h * dims.W + w, index)
    return y, index


def max_index(index: ndarray, *, dims: Pool2dDims) -> ndarray:
    """The index that max_forward gave, as everyone is shown it: it is that here.

    A backend may keep its winners in another form, for its own max_backward and max_gather.
    """
    return index.copy()


def max_backward(dy: ndarray, index: ndarray, *, dims: Pool2dDims) -> ndarray:
    """dx (N, C, H, W): each dy is added to the pixel that won its window."""
    dx = np.zeros((dims.N * dims.C, dims.H * dims.W), dy.dtype)
    images = np.arange(dims.N * dims.C)[:, None]
    # add.at, because windows overlap and one pixel may have won several of them
    np.add.at(dx, (images, _planes(index, dims)), _planes(dy, dims))
    return dx.reshape(dims.x_shape)


def max_gather(x: ndarray, index: ndarray, *, dims: Pool2dDims) -> ndarray:
    """y (N, C, P, Q) = x at `index`: the adjoint of max_backward."""
    pixels = x.reshape(dims.N * dims.C, dims.H * dims.W)
    return np.take_along_axis(pixels, _planes(index, dims), axis=1).reshape(dims.y_shape)


def avg_forward(
    x: ndarray,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ndarray:
    """y (N, C, P, Q), the mean of each window; see `divisors` for what it is divided by."""
    rows, columns = _positions(dims)
    inside = _inside(rows, columns, dims)
    windows = x[:, :, rows.clip(0, dims.H - 1), columns.clip(0, dims.W - 1)]
    total = np.where(inside, windows, 0).sum(axis=(-2, -1), dtype=x.dtype)
    count = divisors(dims, count_include_pad=count_include_pad, divisor_override=divisor_override)
    return total / count.astype(x.dtype)


def avg_backward(
    dy: ndarray,
    *,
    dims: Pool2dDims,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ndarray:
    """dx (N, C, H, W): every pixel of a window receives its dy / divisor."""
    count = divisors(dims, count_include_pad=count_include_pad, divisor_override=divisor_override)
    share = dy / count.astype(dy.dtype)
    rows, columns = _positions(dims)
    dx = np.zeros(dims.x_shape, dy.dtype)
    for r, s in np.ndindex(dims.R, dims.S):
        h, w = rows[:, 0, r, 0], columns[0, :, 0, s]
        p, q = (h >= 0) & (h < dims.H), (w >= 0) & (w < dims.W)
        # For one (r, s) the pixels are distinct, so += through an index adds each of them once.
        dx[:, :, h[p][:, None], w[q]] += share[:, :, p][:, :, :, q]
    return dx


@lru_cache(maxsize=64)  # a network asks for the same few at every step
def divisors(
    dims: Pool2dDims, *, count_include_pad: bool = True, divisor_override: int | None = None
) -> ndarray:
    """What each window's sum is divided by, (P, Q), PyTorch's rule.

    divisor_override if given; else the window's pixels inside the image or, with
    count_include_pad, inside the padded image (in ceil_mode a window may end beyond that).
    """
    if divisor_override is not None:
        return np.full((dims.P, dims.Q), divisor_override)
    pad_rows, pad_columns = dims.padding if count_include_pad else (0, 0)
    rows, columns = _positions(dims)
    row_count = ((rows >= -pad_rows) & (rows < dims.H + pad_rows)).sum(axis=2)[..., 0]  # (P, 1)
    column_count = ((columns >= -pad_columns) & (columns < dims.W + pad_columns)).sum(axis=3)
    return row_count * column_count[..., 0]  # (P, 1) * (1, Q)


def _positions(dims: Pool2dDims) -> tuple[ndarray, ndarray]:
    """Row (P, 1, R, 1) and column (1, Q, 1, S) of each window's pixels, maybe in the padding."""
    (row_stride, column_stride), (row_dilation, column_dilation) = dims.stride, dims.dilation
    p, q, r, s = np.ogrid[: dims.P, : dims.Q, : dims.R, : dims.S]
    rows = p * row_stride + r * row_dilation - dims.padding[0]
    columns = q * column_stride + s * column_dilation - dims.padding[1]
    return rows, columns


def _inside(rows: ndarray, columns: ndarray, dims: Pool2dDims) -> ndarray:
    return (rows >= 0) & (rows < dims.H) & (columns >= 0) & (columns < dims.W)


def _planes(a: ndarray, dims: Pool2dDims) -> ndarray:
    """(N, C, P, Q) as one row (P Q) per image and channel."""
    return a.reshape(dims.N * dims.C, dims.P * dims.Q)
