"""Convolution in the frequency domain, by NumPy's fast Fourier transform.

A correlation is a product of spectra, F(y) = F(x) conj(F(w)): so each image and each filter is
transformed once, and the sum over channels is taken there, one matrix product per frequency,

    Y[n, k, f] = sum over c of X[n, c, f] conj(W[k, c, f])            forward
    dX[n, c, f] = sum over k of dY[n, k, f] W[k, c, f]                grad_input
    dW[k, c, f] = sum over n of conj(dY[n, k, f]) X[n, c, f]          grad_weight

(Mathieu, Henaff and LeCun 2014, "Fast training of convolutional networks through FFTs"). The number
of operations does not depend on the size of the filter, so large filters gain; those of 3x3 or 5x5
are transformed to the size of the image, and lose. A product of discrete spectra is a circular
convolution: everything is padded with zeros to the size of the padded image, whose outputs meet no
wrap-around.

A stride throws outputs away after they are computed (and gradients get zeros between them);
dilation puts zeros between the taps. The error is that of a sum over all pixels, relative to the
largest number: small numbers beside large ones lose digits, and a NaN or infinity reaches the whole
image.
"""

import numpy as np
from numpy import ndarray

from .dims import Conv2dDims


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C / groups, R, S) and bias (K,) or None."""
    X, W = _spectrum(_groups(_padded(x, dims), dims), dims), _filter_spectrum(w, dims)
    Y = np.einsum("ngcij,gkcij->ngkij", X, W.conj(), optimize=True)
    whole = _image(Y, dims).reshape(dims.N, dims.K, *_size(dims))
    (u, v), (P, Q) = dims.stride, (dims.P, dims.Q)
    y = whole[:, :, : (P - 1) * u + 1 : u, : (Q - 1) * v + 1 : v]
    if bias is not None:
        y = y + bias[:, None, None]
    return np.ascontiguousarray(y, dtype=x.dtype)


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    dY, W = _spectrum(_groups(_spread(dy, dims), dims), dims), _filter_spectrum(w, dims)
    dX = np.einsum("ngkij,gkcij->ngcij", dY, W, optimize=True)
    padded = _image(dX, dims).reshape(dims.N, dims.C, *_size(dims))
    up, left = dims.padding
    inside = padded[:, :, up : up + dims.H, left : left + dims.W]
    return np.ascontiguousarray(inside, dtype=dy.dtype)


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C / groups, R, S) from dy (N, K, P, Q)."""
    dY = _spectrum(_groups(_spread(dy, dims), dims), dims)
    X = _spectrum(_groups(_padded(x, dims), dims), dims)
    dW = np.einsum("ngkij,ngcij->gkcij", dY.conj(), X, optimize=True)
    (rows, columns), (R, S) = dims.dilation, (dims.R, dims.S)
    taps = _image(dW, dims)[..., : (R - 1) * rows + 1 : rows, : (S - 1) * columns + 1 : columns]
    return np.ascontiguousarray(taps, dtype=x.dtype).reshape(dims.w_shape)


def _size(dims: Conv2dDims) -> tuple[int, int]:
    """Rows and columns of the padded image."""
    return dims.H + 2 * dims.padding[0], dims.W + 2 * dims.padding[1]


def _groups(x: ndarray, dims: Conv2dDims) -> ndarray:
    """(N, channels, ...) as (N, groups, channels of a group, ...)."""
    return x.reshape(dims.N, dims.groups, x.shape[1] // dims.groups, *x.shape[2:])


def _padded(x: ndarray, dims: Conv2dDims) -> ndarray:
    rows, columns = dims.padding
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))


def _spread(dy: ndarray, dims: Conv2dDims) -> ndarray:
    """dy as the gradient of all outputs at stride 1, zero where there was none."""
    u, v = dims.stride
    spread = np.zeros((*dy.shape[:2], *_size(dims)), dy.dtype)
    spread[:, :, : (dims.P - 1) * u + 1 : u, : (dims.Q - 1) * v + 1 : v] = dy
    return spread


def _filter_spectrum(w: ndarray, dims: Conv2dDims) -> ndarray:
    """The spectra (groups, K / groups, C / groups, ...) of the filters, dilated."""
    K, C = dims.K // dims.groups, dims.C // dims.groups
    (rows, columns), (R, S) = dims.dilation, (dims.R, dims.S)
    spread = np.zeros((dims.groups, K, C, (R - 1) * rows + 1, (S - 1) * columns + 1), w.dtype)
    spread[..., ::rows, ::columns] = w.reshape(dims.groups, K, C, R, S)
    return _spectrum(spread, dims)


def _spectrum(x: ndarray, dims: Conv2dDims) -> ndarray:
    return np.fft.rfft2(x, s=_size(dims), axes=(-2, -1))


def _image(spectrum: ndarray, dims: Conv2dDims) -> ndarray:
    return np.fft.irfft2(spectrum, s=_size(dims), axes=(-2, -1))
