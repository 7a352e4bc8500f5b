"""A strided convolution as one with filters of 3 x 3 at stride 1, of more channels.

With a stride of u, neighbouring outputs are u pixels apart, so that of all pixels the same phase
meets the same filter taps. Make a channel of each of the u^2 phases (space to depth):

    x'[n, (c, a, b), i, j] = x[n, c, u i + a - padding, u j + b - padding]
    w'[k, (c, a, b), r, s] = w[k, c, u r + a, u s + b]       0 beyond the filter
    y[n, k, p, q] = sum over c, a, b, r, s of x'[n, (c, a, b), p + r, q + s] w'[k, (c, a, b), r, s]

A filter of up to 3 u taps becomes one of three. AlexNet's first layer, 11 x 11 at stride 4 of three
channels, becomes 3 x 3 of 48: 432 multiplications for an output in place of 363, but Winograd's
F(4, 3) needs a quarter of them. So it is used where Winograd's algorithm is (winograd.py).
"""

import numpy as np
from numba import int64
from numpy import ndarray

from .. import buffers, jit
from .dims import Conv2dDims
from .layout import channels_first_view, channels_last

TAPS = 3  # of the new filters, along each axis


def possible(dims: Conv2dDims) -> bool:
    """Whether the filters have between two and three strides (with fewer, most taps are zeros)."""
    u = dims.stride[0]
    square = dims.stride == (u, u) and dims.R == dims.S
    return square and u > 1 and (TAPS - 1) * u < dims.R <= TAPS * u


def at_stride_1(dims: Conv2dDims) -> Conv2dDims:
    """The sizes of the convolution of x' and w'."""
    channels, reach = dims.C * dims.stride[0] ** 2, TAPS - 1
    return Conv2dDims.of(
        (dims.N, channels, dims.P + reach, dims.Q + reach), (dims.K, channels, TAPS, TAPS)
    )


def image(x: ndarray, dims: Conv2dDims) -> ndarray:
    """x' of x (N, C, H, W), channels innermost in memory."""
    N, channels, rows, columns = at_stride_1(dims).x_shape
    phases = buffers.empty((N, rows, columns, channels), x.dtype)
    _image_task(N * rows, phases, x, dims.stride[0], *dims.padding, nanoseconds=phases.size)
    return channels_first_view(phases)


@jit.kernel(lambda T: (T[:, :, :, ::1], jit.read_only(T[:, :, :, :]), int64, int64, int64))
def _image_task(task, phases, x, stride, up, left):
    """One row of pixels of one image of x'."""
    _, rows, columns, _ = phases.shape
    _, C, H, W = x.shape
    n, i = divmod(task, rows)
    for c in range(C):
        for a in range(stride):
            h, first = i * stride + a - up, (c * stride + a) * stride
            for j in range(columns):
                w = j * stride - left
                pixel = phases[n, i, j, first : first + stride]
                for b in range(stride):
                    inside = 0 <= h < H and 0 <= w + b < W
                    pixel[b] = x[n, c, h, w + b] if inside else 0


def grad_image(phases: ndarray, dims: Conv2dDims) -> ndarray:
    """The gradient of x from that of x'; pixels that meet no filter get 0."""
    u, (up, left) = dims.stride[0], dims.padding
    N, _, rows, columns = phases.shape
    pixels = channels_last(phases).reshape(N, rows, columns, dims.C, u, u)
    pixels = pixels.transpose(0, 1, 4, 2, 5, 3).reshape(N, rows * u, columns * u, dims.C)
    known = pixels[:, up : up + dims.H, left : left + dims.W]
    dx = np.zeros((N, dims.H, dims.W, dims.C), phases.dtype)
    dx[:, : known.shape[1], : known.shape[2]] = known
    return channels_first_view(dx)


def filters(w: ndarray, dims: Conv2dDims) -> ndarray:
    """w' of w (K, C, R, S)."""
    u, beyond = dims.stride[0], TAPS * dims.stride[0] - dims.R
    w = np.pad(w, ((0, 0), (0, 0), (0, beyond), (0, beyond)))
    w = w.reshape(dims.K, dims.C, TAPS, u, TAPS, u).transpose(0, 1, 3, 5, 2, 4)
    return w.reshape(dims.K, dims.C * u * u, TAPS, TAPS)


def grad_filters(dw: ndarray, dims: Conv2dDims) -> ndarray:
    """The gradient of w from that of w'."""
    u = dims.stride[0]
    dw = dw.reshape(dims.K, dims.C, u, u, TAPS, TAPS).transpose(0, 1, 4, 2, 5, 3)
    dw = dw.reshape(dims.K, dims.C, TAPS * u, TAPS * u)
    return np.ascontiguousarray(dw[:, :, : dims.R, : dims.S])
