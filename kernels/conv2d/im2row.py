"""Convolution of few pixels: each window is copied to a row, and the filters stay where they lie.

With the windows as rows, J = (C / groups) R S numbers each, in the order of a filter,

    y (N P Q, K) = rows (N P Q, J) @ w (K, J).T               forward
    drows (N P Q, J) = dy (N P Q, K) @ w (K, J)               then each entry goes back to its pixel
    dw (K, J) = dy (N P Q, K).T @ rows (N P Q, J)

for each group: three products of `matmul`, whose forward reads a filter and a window side by side.
The other fast algorithms bring the filters into another order first, which pays only if many pixels
meet them. In the last layers of a network a single image has 4 or 16 pixels, but there are millions
of weights: reading those from memory, once, is most of the work. The rows hold every pixel R S
times, at the price of memory that grows with the batch.
"""

import numpy as np
from numba import int64, types
from numpy import ndarray

from .. import buffers, jit
from ..matmul.cpu import matmul
from ..microkernel import DOT_COLUMNS, VECTORS, lanes
from ..tiling import round_up
from .dims import Conv2dDims
from .estimate import Direction, Estimate, summed
from .layout import channels_first_view, channels_last

CACHE = 1 << 20  # bytes of rows that stay near


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C / groups, R, S) and bias (K,) or None."""
    jit.check_dtypes(x, w, bias)
    y = matmul(_rows(x, dims), _filters(w, dims).swapaxes(1, 2))  # (groups, N P Q, K / groups)
    y = y.swapaxes(0, 1).reshape(dims.N, dims.P, dims.Q, dims.K)
    if bias is not None:
        y += bias
    return channels_first_view(y)


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    jit.check_dtypes(dy, w)
    drows = matmul(_outputs(dy, dims), _filters(w, dims))
    dx = buffers.empty((dims.N, dims.H, dims.W, dims.C), dy.dtype)
    _return_task(dims.N * dims.H, drows, dx, _geometry(dims), nanoseconds=1.5 * drows.size)
    return channels_first_view(dx)


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C / groups, R, S) from dy (N, K, P, Q)."""
    jit.check_dtypes(dy, x)
    dw = matmul(_outputs(dy, dims).swapaxes(1, 2), _rows(x, dims))  # (groups, K / groups, J)
    return dw.reshape(dims.w_shape)


def refuses(dims: Conv2dDims) -> None:
    """Nothing."""
    return None


def estimate(dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Estimate:
    """Multiplications at 36 in a nanosecond, 0.13 ns to read a weight, and what the rows cost.

    Those are made in 0.8 ns for each number, which is doubled where they outgrow the cache;
    grad_weight packs them, and grad_input writes, reads and adds them up. Forward ends an output in
    3 ns, and takes the numbers that fill no vector one by one, at 2 ns.
    """
    channels, filters = dims.C // dims.groups, dims.K // dims.groups
    outputs, J = dims.N * dims.P * dims.Q, channels * dims.R * dims.S
    rows, weights = outputs * dims.groups * J, dims.K * J
    workspace = rows * dtype.itemsize
    made = (0.8 if workspace <= CACHE else 1.6) * rows
    if direction == "forward":
        terms, multiplications = J, rows * round_up(filters, DOT_COLUMNS)
        around = made + outputs * dims.K * (3 + 2 * (J % lanes(dtype)))
    else:
        multiplications = outputs * dims.K * round_up(J, VECTORS * lanes(dtype))
        if direction == "grad_input":
            terms, around = filters * dims.R * dims.S, 3 * made
        else:
            terms, around = outputs, 2 * made + 0.2 * weights
    return Estimate(
        variant="",
        multiplications=multiplications,
        nanoseconds=multiplications / 36 + 0.13 * weights + around + 20_000,
        workspace=workspace,
        error=summed(terms, dtype),
    )


def _filters(w: ndarray, dims: Conv2dDims) -> ndarray:
    """w (groups, K / groups, J)."""
    return w.reshape(dims.groups, dims.K // dims.groups, dims.C // dims.groups * dims.R * dims.S)


def _outputs(dy: ndarray, dims: Conv2dDims) -> ndarray:
    """dy (groups, N P Q, K / groups)."""
    pixels = dims.N * dims.P * dims.Q
    return channels_last(dy).reshape(pixels, dims.groups, dims.K // dims.groups).swapaxes(0, 1)


def _geometry(dims: Conv2dDims) -> tuple[int, ...]:
    """P, Q, R, S, and stride, padding and dilation of rows and columns."""
    return (dims.P, dims.Q, dims.R, dims.S, *dims.stride, *dims.padding, *dims.dilation)


_GEOMETRY = types.UniTuple(int64, 10)


def _rows(x: ndarray, dims: Conv2dDims) -> ndarray:
    """The windows of x (N, C, H, W) as (groups, N P Q, J)."""
    outputs = dims.N * dims.P * dims.Q
    rows = buffers.empty((dims.groups, outputs, dims.C // dims.groups * dims.R * dims.S), x.dtype)
    _rows_task(outputs, channels_last(x), rows, _geometry(dims), nanoseconds=0.7 * rows.size)
    return rows


@jit.kernel(lambda T: (T[:, :, :, ::1], T[:, :, ::1], _GEOMETRY))
def _rows_task(task, x, rows, geometry):
    """rows[:, task]: the window of one output, 0 where it reaches over the edge."""
    P, Q, R, S, u, v, up, left, down, right = geometry
    _, H, W, C = x.shape
    groups = len(rows)
    channels = C // groups
    n, place = divmod(task, P * Q)
    p, q = divmod(place, Q)
    pixels = x[n].reshape(-1)
    taps = R * S
    for g in range(groups):
        row = rows[g, task]
        for r in range(R):
            h = p * u - up + r * down
            for s in range(S):
                w = q * v - left + s * right
                tap = r * S + s
                if 0 <= h < H and 0 <= w < W:
                    first = (h * W + w) * C + g * channels
                    for c in range(channels):
                        row[c * taps + tap] = pixels[first + c]
                else:
                    for c in range(channels):
                        row[c * taps + tap] = 0


@jit.kernel(lambda T: (T[:, :, ::1], T[:, :, :, ::1], _GEOMETRY))
def _return_task(task, drows, dx, geometry):
    """dx[n, h]: what the rows of all windows hold of each of its pixels, added up."""
    P, Q, R, S, u, v, up, left, down, right = geometry
    _, H, W, C = dx.shape
    groups = len(drows)
    channels = C // groups
    n, h = divmod(task, H)
    for w in range(W):
        dx[n, h, w] = 0
        for r in range(R):
            p, beside = divmod(h + up - r * down, u)
            if beside or not 0 <= p < P:
                continue
            for s in range(S):
                q, beside = divmod(w + left - s * right, v)
                if beside or not 0 <= q < Q:
                    continue
                for g in range(groups):
                    row, pixel = drows[g, (n * P + p) * Q + q], dx[n, h, w, g * channels :]
                    for c in range(channels):
                        pixel[c] += row[(c * R + r) * S + s]
