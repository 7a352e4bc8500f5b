"""Convolution as one matrix product (im2col), in NumPy.

im2col lays every window of the image out as a column, so that with J = C R S

    y (K, P Q) = w (K, J) @ columns (J, P Q)            forward
    dcolumns (J, P Q) = w.T (J, K) @ dy (K, P Q)        then each entry is added where it came from
    dw (K, J) = sum over n of dy (K, P Q) @ columns.T (P Q, J)

for each image and group (Chellapilla, Puri and Simard 2006, "High performance convolutional
neural networks for document processing"). The columns hold every pixel R S times: quick to write
and quick to multiply, at the price of memory.
"""

import numpy as np
from numpy import ndarray

from .dims import Conv2dDims


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C / groups, R, S) and bias (K,) or None."""
    y = np.matmul(_filters(w, dims), im2col(x, dims)).reshape(dims.y_shape)
    if bias is not None:
        y += bias[:, None, None]
    return y


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    dcolumns = np.matmul(_filters(w, dims).swapaxes(1, 2), _outputs(dy, dims))
    return col2im(dcolumns, dims)


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C / groups, R, S) from dy (N, K, P, Q)."""
    products = np.matmul(_outputs(dy, dims), im2col(x, dims).swapaxes(2, 3))
    return products.sum(axis=0).reshape(dims.w_shape)  # (N, groups, K / groups, J) summed over n


def im2col(x: ndarray, dims: Conv2dDims) -> ndarray:
    """Columns (N, groups, J, P Q) of the windows of x (N, C, H, W), J = (C / groups) R S."""
    rows, columns = dims.padding
    padded = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    taken = np.empty((dims.N, dims.C, dims.R, dims.S, dims.P, dims.Q), x.dtype)
    for r, s in np.ndindex(dims.R, dims.S):
        taken[:, :, r, s] = padded[_tap(r, s, dims)]
    return taken.reshape(_columns_shape(dims))


def col2im(columns: ndarray, dims: Conv2dDims) -> ndarray:
    """The adjoint of im2col: every entry is added to the pixel it was taken from.

    Windows overlap, so pixels receive several entries: they must be added, never assigned.
    """
    taken = columns.reshape(dims.N, dims.C, dims.R, dims.S, dims.P, dims.Q)
    rows, cols = dims.padding
    padded = np.zeros((dims.N, dims.C, dims.H + 2 * rows, dims.W + 2 * cols), columns.dtype)
    for r, s in np.ndindex(dims.R, dims.S):
        padded[_tap(r, s, dims)] += taken[:, :, r, s]
    return padded[:, :, rows : rows + dims.H, cols : cols + dims.W].copy()


def _tap(r: int, s: int, dims: Conv2dDims) -> tuple:
    """Index of the pixels (N, C, P, Q) of the padded image that filter position (r, s) meets."""
    (row_stride, column_stride), (row_dilation, column_dilation) = dims.stride, dims.dilation
    top, left = r * row_dilation, s * column_dilation
    return (
        slice(None),
        slice(None),
        slice(top, top + (dims.P - 1) * row_stride + 1, row_stride),
        slice(left, left + (dims.Q - 1) * column_stride + 1, column_stride),
    )


def _columns_shape(dims: Conv2dDims) -> tuple[int, int, int, int]:
    return dims.N, dims.groups, dims.C // dims.groups * dims.R * dims.S, dims.P * dims.Q


def _filters(w: ndarray, dims: Conv2dDims) -> ndarray:
    """w as one matrix (K / groups, J) per group."""
    return w.reshape(dims.groups, dims.K // dims.groups, _columns_shape(dims)[2])


def _outputs(dy: ndarray, dims: Conv2dDims) -> ndarray:
    """dy as one matrix (K / groups, P Q) per image and group."""
    return dy.reshape(dims.N, dims.groups, dims.K // dims.groups, dims.P * dims.Q)
