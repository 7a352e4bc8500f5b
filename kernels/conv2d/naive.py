"""Convolution as it is defined: one window of the image, one filter, one number.

    y[n, k, p, q] = bias[k] + sum over c, r, s of
        x[n, c, p stride + r dilation - padding, q stride + s dilation - padding] w[k, c, r, s]

(x is 0 outside the image; c runs over the channels of k's group). It is what deep learning calls
convolution, a cross-correlation. The two gradients are the same sum, read for another of its
three factors: every product x w that went into y sends dy w to dx, and dy x to dw.

Slow on purpose: this file is the explanation, and what everything faster is tested against.
"""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from .dims import Conv2dDims


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C / groups, R, S) and bias (K,) or None."""
    x = _pad(x, dims)
    y = np.empty(dims.y_shape, x.dtype)
    for n, k, p, q, window in _windows(dims):
        y[n, k, p, q] = np.sum(x[window] * w[k])
        if bias is not None:
            y[n, k, p, q] += bias[k]
    return y


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q): each output adds dy w to the window it came from."""
    dx = _pad(np.zeros(dims.x_shape, dy.dtype), dims)
    for n, k, p, q, window in _windows(dims):
        dx[window] += dy[n, k, p, q] * w[k]
    rows, columns = dims.padding
    return dx[:, :, rows : rows + dims.H, columns : columns + dims.W].copy()


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C / groups, R, S) from dy (N, K, P, Q): each output adds dy times its window."""
    x = _pad(x, dims)
    dw = np.zeros(dims.w_shape, dy.dtype)
    for n, k, p, q, window in _windows(dims):
        dw[k] += dy[n, k, p, q] * x[window]
    return dw


def _pad(x: ndarray, dims: Conv2dDims) -> ndarray:
    rows, columns = dims.padding
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))


def _windows(dims: Conv2dDims) -> Iterator[tuple]:
    """Every output (n, k, p, q) with the index of its window (C / groups, R, S) in padded x."""
    (row_stride, column_stride), (row_dilation, column_dilation) = dims.stride, dims.dilation
    channels, filters = dims.C // dims.groups, dims.K // dims.groups
    for n, k, p, q in np.ndindex(dims.y_shape):
        group = k // filters
        top, left = p * row_stride, q * column_stride
        window = (
            n,
            slice(group * channels, (group + 1) * channels),
            slice(top, top + (dims.R - 1) * row_dilation + 1, row_dilation),
            slice(left, left + (dims.S - 1) * column_dilation + 1, column_dilation),
        )
        yield n, k, p, q, window
