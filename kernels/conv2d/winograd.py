"""Convolution with 3x3 and 5x5 filters by Winograd's minimal filtering.

y is cut into tiles of m x m outputs. A tile of y needs a tile d of n x n pixels of x, where
n = m + r - 1, and with the matrices of `cook_toom.py`

    V[i, j, c] = (B.T d[c] B)[i, j]                        for each tile and channel
    U[i, j, c, k] = (G w[k, c] G.T)[i, j]
    Y[i, j, k] = sum over c of V[i, j, c] U[i, j, c, k]    n^2 matrix products (tiles, C) @ (C, K)
    y[k] = A.T Y[k] A + bias[k]

Sums over channels are taken in the transformed domain, so the transforms cost little beside the
products, which take n^2 / (m^2 r^2) of the definition's multiplications: F(4, 3) a quarter, F(2, 3)
4/9, F(4, 5) 16/100, F(2, 5) 36/100.

grad_input is the same convolution: of dy, padded by r - 1 - padding, with w turned by 180 degrees,
channels and filters exchanged. grad_weight transposes each step (the adjoint of U -> y, w -> U):

    D[i, j, k] = (A dy[k] A.T)[i, j]
    dU[i, j, c, k] = sum over tiles of V[i, j, c] D[i, j, k]
    dw[k, c] = G.T dU[c, k] G

Errors: the transforms subtract, so an error is relative to the largest number near, not to each
one. Against float64, in float32 and relative to the largest result, F(4, 3) is within 6e-6, F(2, 3)
within 1e-6 (grad_weight 4e-6), F(2, 5) within 4e-6 (grad_weight 2e-5), F(4, 5) within 2e-5
(grad_weight 3e-5); the definition's sum is within 4e-6. A NaN or infinity in x makes NaN of all
outputs of the tiles that read it, a little more than the windows that contain it.

A strided convolution whose filters have between two and three strides is done as one with 3x3
filters at stride 1 (phases.py).

Each step is a kernel of its own over a block of tiles whose V and Y stay in the cache. V, Y, D lie
as (n^2, groups of channels, tiles, channels of the group), a group being the width of the
micro-kernel, so that both it and the transforms read and write whole lines of the cache.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import int64, types
from numpy import ndarray

from .. import buffers, jit
from ..microkernel import ROWS, VECTORS, lanes, multiply_tile
from ..tiling import even_split, round_up
from ..transform import transform
from . import phases
from .cook_toom import cook_toom
from .dims import Conv2dDims
from .estimate import Direction, Estimate
from .layout import channels_first_view, channels_last

BLOCK_BYTES = 4 << 20  # of V and Y (or D) of one block of tiles
DEPTH = 256  # channels of a panel of U, 16 KiB with AVX2: stays in the first-level cache
WEIGHT_DEPTH = 128  # tiles of a panel of D
TILE_TASK = 8  # tiles transformed by one task
FILTER_TASK = 32  # input channels whose filters are transformed at once
MULTIPLICATIONS = 50  # of one thread in a nanosecond, about
TASKS = 36  # parts of the products
# In units of the dtype's eps, see above.
ERRORS = {(4, 3): 60, (2, 3): 32, (4, 5): 250, (2, 5): 200}


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C, r, r) and bias (K,) or None.

    Raises ValueError for what Winograd cannot do: other strides, dilations, filters, groups.
    """
    variant = _variant(dims)
    jit.check_dtypes(x, w, bias)
    if dims.stride != (1, 1):
        x, w, dims = phases.image(x, dims), phases.filters(w, dims), phases.at_stride_1(dims)
    y = buffers.empty((dims.N, dims.P, dims.Q, dims.K), x.dtype)
    if bias is None:
        bias = np.zeros(dims.K, x.dtype)
    _correlate(variant, channels_last(x), _filters(w), bias, y, dims.padding, turned=False)
    return channels_first_view(y)


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    variant = _variant(dims)
    jit.check_dtypes(dy, w)
    if dims.stride != (1, 1):
        w, inner = phases.filters(w, dims), phases.at_stride_1(dims)
        return phases.grad_image(grad_input(dy, w, dims=inner), dims)
    dx = buffers.empty((dims.N, dims.H, dims.W, dims.C), dy.dtype)
    padding = (dims.R - 1 - dims.padding[0], dims.S - 1 - dims.padding[1])
    bias = np.zeros(dims.C, dy.dtype)
    _correlate(variant, channels_last(dy), _filters(w), bias, dx, padding, turned=True)
    return channels_first_view(dx)


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C, r, r) from dy (N, K, P, Q)."""
    variant = _variant(dims)
    jit.check_dtypes(dy, x)
    if dims.stride != (1, 1):
        x, inner = phases.image(x, dims), phases.at_stride_1(dims)
        return phases.grad_filters(grad_weight(dy, x, dims=inner), dims)
    dw = np.zeros(dims.w_shape, x.dtype)
    if dy.size and x.size:
        _sum_weights(variant, channels_last(dy), channels_last(x), dw, dims.padding)
    return dw


def _filters(w: ndarray) -> ndarray:
    return np.ascontiguousarray(w).reshape(-1)


def refuses(dims: Conv2dDims) -> str | None:
    """Why Winograd cannot do this convolution, as the end of a sentence; None if it can."""
    strided = phases.possible(dims)
    if dims.stride != (1, 1) and not strided:
        return f"needs stride 1, but the stride is {dims.stride}"
    if dims.dilation != (1, 1):
        return f"needs dilation 1, but the dilation is {dims.dilation}"
    if dims.groups != 1:
        return f"needs one group, but there are {dims.groups}"
    if not strided and (dims.R, dims.S) not in ((3, 3), (5, 5)):
        return f"needs filters of 3 x 3 or 5 x 5, but they are {dims.R} x {dims.S}"
    return None


def estimate(dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Estimate:
    """Products at 42 multiplications in a nanosecond, transforms at 0.7 ns for each number.

    Finding the phases of a strided convolution takes 1 ns for each number, in grad_input 10.
    """
    if dims.stride != (1, 1):
        inner = phases.at_stride_1(dims)
        one, numbers = estimate(inner, direction, dtype), math.prod(inner.x_shape)
        return one._replace(
            variant=f"{one.variant} of {math.prod(dims.stride)} phases",
            nanoseconds=one.nanoseconds + numbers * (10 if direction == "grad_input" else 1),
            workspace=one.workspace + numbers * dtype.itemsize,
        )
    m, r = tile_size(dims), dims.R
    P, Q = (dims.H, dims.W) if direction == "grad_input" else (dims.P, dims.Q)
    points, tiles = (m + r - 1) ** 2, dims.N * -(-P // m) * -(-Q // m)
    width = VECTORS * lanes(dtype)
    C, K = round_up(dims.C, width), round_up(dims.K, width)
    multiplications = points * tiles * C * K
    moved = points * (tiles * (C + K) + C * K)
    block = min(BLOCK_BYTES, points * tiles * (C + K) * dtype.itemsize)
    return Estimate(
        variant=f"F({m}, {r})",
        multiplications=multiplications,
        nanoseconds=multiplications / 42 + 0.7 * moved + 40_000,
        workspace=block + points * C * K * dtype.itemsize,
        error=ERRORS[m, r] * float(np.finfo(dtype).eps),
    )


def tile_size(dims: Conv2dDims) -> int:
    """m of F(m, r): the one that multiplies less, 4 if in doubt.

    Tiles that reach over the edge of y are computed whole: 6 x 6 outputs are nine tiles of F(2, 3),
    16 multiplications each, but four of F(4, 3), 36 each: the same.
    """
    counts = {m: -(-dims.P // m) * -(-dims.Q // m) * (m + dims.R - 1) ** 2 for m in (4, 2)}
    return min(counts, key=lambda m: counts[m])


def _variant(dims: Conv2dDims) -> "_Variant":
    reason = refuses(dims)
    if reason is not None:
        raise ValueError(
            f"conv2d: x is (N, C, H, W) = {dims.x_shape}, w is (K, C, R, S) = {dims.w_shape}; "
            f"the algorithm 'winograd' {reason}. Leave the choice to 'auto'."
        )
    if dims.stride != (1, 1):
        dims = phases.at_stride_1(dims)
    return _variants(tile_size(dims), dims.R)


class _Block(NamedTuple):
    """A block of tiles and where its transformed numbers lie in memory: numbers only."""

    first: int  # its first tile, counted through all images
    tiles: int
    rows: int  # of tiles in an image
    columns: int
    up: int  # where the first tile of an image starts: pixels above and left of the image
    left: int
    width: int  # channels in a group
    plane: int  # from one group to the next
    stride: int  # from one of the n^2 positions to the next


class _Filters(NamedTuple):
    """How the filters lie in w and where they go in U: numbers only."""

    outputs: int  # channels of y
    inputs: int  # channels of x
    k_step: int  # between those of y in w
    c_step: int  # between those of x
    turned: int  # 1 if the filters are turned by 180 degrees
    height: int  # channels of x in a panel
    width: int  # channels of y in a panel
    stride: int  # from one of the n^2 positions to the next


def _correlate(
    variant: "_Variant",
    x: ndarray,
    w: ndarray,
    bias: ndarray,
    y: ndarray,
    padding: tuple[int, int],
    *,
    turned: bool,
) -> None:
    """y (N, P, Q, K) from x (N, H, W, C) and w (K, C, r, r).

    If turned, w is (C, K, r, r) and its filters are turned by 180 degrees.
    """
    if y.size == 0 or x.size == 0:
        y[...] = bias
        return
    N, P, Q, K = y.shape
    C = x.shape[3]
    width = VECTORS * lanes(x.dtype)
    groups, panels = -(-C // width), -(-K // width)
    rows, columns = -(-P // variant.m), -(-Q // variant.m)
    tiles = N * rows * columns
    work = variant.points * tiles * C * K / MULTIPLICATIONS

    u_stride = _apart(groups * panels * width * width, x.dtype)
    U = buffers.empty((variant.points * u_stride,), x.dtype)
    blocks = -(-groups * width // FILTER_TASK)
    taps = variant.r**2
    k_step, c_step = (taps, K * taps) if turned else (C * taps, taps)
    filters = _Filters(K, C, k_step, c_step, int(turned), groups * width, width, u_stride)
    variant.filters(panels * blocks, w, U, filters, nanoseconds=work)
    padded_bias = np.zeros(panels * width, x.dtype)
    padded_bias[:K] = bias

    most, plane, (v_stride, y_stride) = _blocks(variant, tiles, (groups, panels), width, x.dtype)
    V = buffers.empty((variant.points * v_stride,), x.dtype)
    Y = buffers.empty((variant.points * y_stride,), x.dtype)
    chunks = min(panels, -(-TASKS // variant.points))
    for first in range(0, tiles, most):
        count = min(most, tiles - first)
        share = work * count / tiles
        tasks = -(-count // TILE_TASK)
        into = _Block(first, count, rows, columns, *padding, width, plane, v_stride)
        variant.inputs(tasks, x, V, into, nanoseconds=share)
        _multiply_task(
            variant.points * chunks, V, U, Y, v_stride, u_stride, y_stride, plane, count,
            groups, panels, chunks, width, nanoseconds=share,
        )  # fmt: skip
        outof = _Block(first, count, rows, columns, 0, 0, width, plane, y_stride)
        variant.outputs(tasks, Y, y, padded_bias, outof, nanoseconds=share)


def _sum_weights(
    variant: "_Variant", dy: ndarray, x: ndarray, dw: ndarray, padding: tuple[int, int]
) -> None:
    """dw (K, C, r, r) from dy (N, P, Q, K) and x (N, H, W, C)."""
    N, P, Q, K = dy.shape
    C = x.shape[3]
    width = VECTORS * lanes(x.dtype)
    groups, panels = -(-C // width), -(-K // width)
    rows, columns = -(-P // variant.m), -(-Q // variant.m)
    tiles = N * rows * columns
    work = variant.points * tiles * C * K / MULTIPLICATIONS

    most, plane, (v_stride, d_stride) = _blocks(variant, tiles, (groups, panels), width, x.dtype)
    V = buffers.empty((variant.points * v_stride,), x.dtype)
    D = buffers.empty((variant.points * d_stride,), x.dtype)
    height = round_up(C, ROWS)
    u_stride = _apart(panels * height * width, x.dtype)
    dU = buffers.empty((variant.points * u_stride,), x.dtype)
    chunks = min(panels, -(-TASKS // variant.points))
    for first in range(0, tiles, most):
        count = min(most, tiles - first)
        share = work * count / tiles
        tasks = -(-count // TILE_TASK)
        block = _Block(first, count, rows, columns, *padding, width, plane, v_stride)
        variant.inputs(tasks, x, V, block, nanoseconds=share)
        block = _Block(first, count, rows, columns, 0, 0, width, plane, d_stride)
        variant.cotangents(tasks, dy, D, block, nanoseconds=share)
        _sum_products_task(
            variant.points * chunks, V, D, dU, v_stride, d_stride, u_stride, plane, count,
            C, height, panels, chunks, width, first, nanoseconds=share,
        )  # fmt: skip
    blocks = -(-C // FILTER_TASK)
    variant.weights(panels * blocks, dU, dw, u_stride, height, width, nanoseconds=work)


def _blocks(
    variant: "_Variant", tiles: int, groups: tuple[int, int], width: int, dtype: np.dtype
) -> tuple[int, int, list[int]]:
    """(tiles of a block, numbers in one group of them, and in all groups of one position)."""
    most = BLOCK_BYTES // (variant.points * sum(groups) * width * dtype.itemsize)
    most = round_up(even_split(tiles, max(8 * ROWS, most)), ROWS)
    plane = round_up(most * width, 64 // dtype.itemsize)
    return most, plane, [_apart(count * plane, dtype) for count in groups]


def _apart(size: int, dtype: np.dtype) -> int:
    """From one of the n^2 positions to the next, for `size` numbers in each.

    They are written side by side. At a distance that is a power of two they would all fall into the
    same few places of the cache: it is an odd number of its lines.
    """
    line = 64 // dtype.itemsize
    return (-(-size // line) | 1) * line


@jit.kernel(lambda T: (T[::1],) * 3 + (int64,) * 9)
def _multiply_task(
    task, V, U, Y, v_stride, u_stride, y_stride, plane, tiles, groups, panels, chunks, width
):
    """Y (tiles, K) = V (tiles, C) @ U (C, K) for one of the n^2 positions and some panels of K."""
    position, chunk = divmod(task, chunks)
    row = np.empty(ROWS, np.int64)
    depth = max(1, DEPTH // width)
    for panel in range(chunk * panels // chunks, (chunk + 1) * panels // chunks):
        for group in range(0, groups, depth):
            u = position * u_stride + (panel * groups + group) * width * width
            for t in range(0, tiles, ROWS):
                for i in range(ROWS):  # rows beyond the last repeat it
                    row[i] = min(t + i, tiles - 1) * width
                multiply_tile(
                    VECTORS, V, position * v_stride + group * plane, row, 0, plane, 1, U, u, width,
                    Y, position * y_stride + panel * plane + t * width, width,
                    min(depth, groups - group), width, group,
                )  # fmt: skip


@jit.kernel(lambda T: (T[::1],) * 3 + (int64,) * 11)
def _sum_products_task(
    task, V, D, dU, v_stride, d_stride, u_stride, plane, tiles, C, height, panels, chunks, width,
    first,
):  # fmt: skip
    """dU (C, K) += V.T (C, tiles) @ D (tiles, K) for one position and some panels of K.

    The first block of tiles starts the sums at 0.
    """
    position, chunk = divmod(task, chunks)
    row = np.empty(ROWS, np.int64)
    for panel in range(chunk * panels // chunks, (chunk + 1) * panels // chunks):
        for t in range(0, tiles, WEIGHT_DEPTH):
            for c in range(0, C, ROWS):
                for i in range(ROWS):
                    group, channel = divmod(min(c + i, C - 1), width)
                    row[i] = group * plane + channel
                multiply_tile(
                    VECTORS, V, position * v_stride + t * width, row, 0, 0, width,
                    D, position * d_stride + panel * plane + t * width, width,
                    dU, position * u_stride + (panel * height + c) * width, width,
                    1, min(WEIGHT_DEPTH, tiles - t), first + t,
                )  # fmt: skip


class _Variant:
    """The kernels of one F(m, r); each is compiled when it is first used."""

    def __init__(self, m: int, r: int) -> None:
        self.m, self.r, self.n = m, r, m + r - 1
        self.points = self.n**2
        matrices = cook_toom(m, r)
        self.inputs = _tiles_kernel(matrices.BT, m, f"inputs_{m}_{r}")
        self.cotangents = _tiles_kernel(matrices.AT.T, m, f"cotangents_{m}_{r}")
        self.outputs = _outputs_kernel(matrices.AT, f"outputs_{m}_{r}")
        self.filters = _filters_kernel(matrices.G, f"filters_{m}_{r}")
        self.weights = _weights_kernel(matrices.G.T, f"weights_{m}_{r}")
        self.filters.then(self.inputs, _multiply_task, self.outputs)
        self.filters.then(self.weights, _sum_products_task, self.cotangents)


_variants = cache(_Variant)


def __getattr__(name: str) -> jit.Kernel:
    """The kernel of a variant by its name, such as inputs_4_3."""
    try:
        kernel, m, r = name.split("_")
        return getattr(_variants(int(m), int(r)), kernel)
    except ValueError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


_BLOCK = types.NamedUniTuple(int64, len(_Block._fields), _Block)
_FILTERS = types.NamedUniTuple(int64, len(_Filters._fields), _Filters)


def _kernel(name: str, *arguments: Any) -> Any:
    """Decorator: the kernel of this name, which must be its variant's own: it names the cache."""

    def decorate(function: Any) -> Any:
        function.__name__ = name
        return jit.kernel(*arguments)(function)

    return decorate


def _tiles_kernel(matrix: ndarray, m: int, name: str) -> Any:
    """The kernel that takes tiles out of an image and transforms them, X -> M X M.T."""
    apply = transform(matrix, name)
    n, size = matrix.shape

    @_kernel(name, lambda T: (jit.read_only(T[:, :, :, ::1]), T[::1], _BLOCK))
    def task_function(task, x, out, block):
        """Tiles TILE_TASK task, ... of the block: out[:, :, tile, :], channels beyond C are 0."""
        _, H, W, C = x.shape
        width, stride = block.width, block.stride
        groups = (C + width - 1) // width
        line = groups * width
        edge = np.empty(size * size * line, out.dtype)
        for tile in range(task * TILE_TASK, min(block.tiles, (task + 1) * TILE_TASK)):
            image, place = divmod(block.first + tile, block.rows * block.columns)
            i, j = divmod(place, block.columns)
            h, w = i * m - block.up, j * m - block.left
            inside = h >= 0 and w >= 0 and h + size <= H and w + size <= W and line == C
            if not inside:
                for place in range(size * size):
                    a, b = h + place // size, w + place % size
                    known = C if 0 <= a < H and 0 <= b < W else 0
                    for c in range(known):
                        edge[place * line + c] = x[image, a, b, c]
                    for c in range(known, line):
                        edge[place * line + c] = 0
            for v in range(0, width, width // VECTORS):
                y = tile * width + v
                if inside:
                    start = ((image * H + h) * W + w) * C + v
                    apply(
                        x, start, W * C, C, width,
                        out, y, n * stride, stride, block.plane, groups, out, 0, 0,
                    )  # fmt: skip
                else:
                    apply(
                        edge, v, size * line, line, width,
                        out, y, n * stride, stride, block.plane, groups, out, 0, 0,
                    )  # fmt: skip

    return task_function


def _outputs_kernel(matrix: ndarray, name: str) -> Any:
    """The kernel that makes tiles of y of their products, and adds the bias."""
    apply = transform(matrix, name, biased=True)
    m, n = matrix.shape

    @_kernel(name, lambda T: (T[::1], T[:, :, :, ::1], T[::1], _BLOCK))
    def task_function(task, products, y, bias, block):
        """y at tiles TILE_TASK task, ... of the block."""
        _, P, Q, K = y.shape
        width, plane, stride = block.width, block.plane, block.stride
        panels = -(-K // width)
        half = width // VECTORS
        line = panels * width
        tile_y = np.empty(m * m * line, y.dtype)
        for tile in range(task * TILE_TASK, min(block.tiles, (task + 1) * TILE_TASK)):
            image, place = divmod(block.first + tile, block.rows * block.columns)
            i, j = divmod(place, block.columns)
            p, q = i * m, j * m
            if p + m <= P and q + m <= Q and line == K:
                for v in range(VECTORS):
                    apply(
                        products, tile * width + v * half, n * stride, stride, plane,
                        y, ((image * P + p) * Q + q) * K + v * half, Q * K, K, width, panels,
                        bias, v * half, width,
                    )  # fmt: skip
                continue
            for v in range(VECTORS):
                apply(
                    products, tile * width + v * half, n * stride, stride, plane,
                    tile_y, v * half, m * line, line, width, panels, bias, v * half, width,
                )  # fmt: skip
            for a in range(min(m, P - p)):
                for b in range(min(m, Q - q)):
                    pixel, values = y[image, p + a, q + b], tile_y[(a * m + b) * line :]
                    for k in range(K):
                        pixel[k] = values[k]

    return task_function


def _filters_kernel(matrix: ndarray, name: str) -> Any:
    """The kernel that transforms filters, w -> G w G.T, into the panels of the products."""
    apply = transform(matrix, name)
    n, r = matrix.shape

    @_kernel(name, lambda T: (jit.read_only(T[::1]), T[::1], _FILTERS))
    def task_function(task, w, U, filters):
        """U[:, panel, c :, :], FILTER_TASK channels c of one panel of outputs; zero beyond both."""
        panel, block = divmod(task, -(-filters.height // FILTER_TASK))
        k_first, c_first = panel * filters.width, block * FILTER_TASK
        height = min(FILTER_TASK, filters.height - c_first)
        taps, width = r * r, filters.width
        flipped = taps - 1 if filters.turned else 0
        taken = np.empty(height * taps * width, U.dtype)
        for c in range(height):
            for tap in range(taps):
                # tap, or taps - 1 - tap: a filter turned by 180 degrees is read backwards
                start = (
                    (c_first + c) * filters.c_step + k_first * filters.k_step + abs(flipped - tap)
                )
                known = filters.outputs - k_first if c_first + c < filters.inputs else 0
                for k in range(width):
                    inside = k < known
                    taken[(c * taps + tap) * width + k] = (
                        w[start + k * filters.k_step] if inside else 0
                    )
        for v in range(0, width, width // VECTORS):
            apply(
                taken, v, r * width, width, taps * width,
                U, (panel * filters.height + c_first) * width + v, n * filters.stride,
                filters.stride, width, height, U, 0, 0,
            )  # fmt: skip

    return task_function


def _weights_kernel(matrix: ndarray, name: str) -> Any:
    """The kernel that makes gradients of filters of those of the transformed ones, the adjoint."""
    apply = transform(matrix, name)
    r, n = matrix.shape

    @_kernel(name, lambda T: (T[::1], T[:, :, :, ::1], int64, int64, int64))
    def task_function(task, dU, dw, stride, height, width):
        """dw[k :, c :] of one panel and FILTER_TASK channels."""
        K, C, _, _ = dw.shape
        panel, block = divmod(task, -(-C // FILTER_TASK))
        first, k_first = block * FILTER_TASK, panel * width
        count = min(FILTER_TASK, C - first)
        taps = r * r
        half = width // VECTORS
        filters = np.empty(count * taps * width, dU.dtype)
        for v in range(VECTORS):
            apply(
                dU, (panel * height + first) * width + v * half, n * stride, stride, width,
                filters, v * half, r * width, width, taps * width, count, dU, 0, 0,
            )  # fmt: skip
        for k in range(min(width, K - k_first)):
            for c in range(count):
                target = dw[k_first + k, first + c].reshape(taps)
                for tap in range(taps):
                    target[tap] = filters[(c * taps + tap) * width + k]

    return task_function
