"""Convolution on the CPU: im2col in tiles that stay in the cache, multiplied by the micro-kernel.

The column matrix of `reference.py` holds every pixel R S times, but it has structure. Copy the
padded image to a *grid* as wide as one output row plus the reach of the filter, and number the
outputs along that grid, t = p width + q. Then the row of the column matrix that belongs to
channel c and filter position (r, s) is the grid itself, read from a fixed start:

    columns[(c, r, s), t] = grid[start(c, r, s) + t]

So a tile of the column matrix (some rows, a few vectors of t) is made by copying vectors, and it is
used at once, for all filters, while it lies in the first-level cache. The outputs at the end of
each grid row, Q <= q < width, are nonsense, and are left out when y is written. With a stride,
the grid has one plane per *phase*: rows h = start + phase + stride i, columns likewise.

grad_input is such a correlation too. Of the input pixels h = p stride + r dilation - padding, those
of one phase, (h + padding) mod stride, meet only the filter positions of that phase, and over
these dx is a correlation of dy with w, channels and filters exchanged. Each phase is computed by
the forward kernel; every pixel of dx is written once, so nothing is added across tasks.

grad_weight sums over the pixels of all images. Rows of the product are (c, r, s), read from the
grid where they lie; columns are the filters. The images are dealt to a number of chunks that
depends on the shape alone, and the chunks' results are added in order. Where the filters would
leave much of a vector empty, vectors run along the sum instead. The grid then has planes for every
column s of the filter too, and is as wide as an output row: t = p Q + q numbers dy itself.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import int64, types
from numpy import ndarray

from .. import buffers, jit
from ..microkernel import (
    BYTES,
    DOT_COLUMNS,
    DOT_ROWS,
    ROWS,
    VECTORS,
    copy_panel,
    lanes,
    multiply_places,
    multiply_rows,
    multiply_tile,
)
from ..tiling import even_split, round_up
from .dims import Conv2dDims
from .estimate import Direction, Estimate, summed

# Sizes of what a task keeps in the caches; the products are equally right with any others.
TILE_ROWS = 256  # rows of the column tile: 256 x 2 vectors, 32 KiB with AVX-512
TASK_PIXELS = 1024  # outputs of one task in one filter
FEW = 6 * ROWS  # filters for which no column tile is made, if the grid takes at most
GRID = 128 * 1024  # bytes
TASK_SUMS = 128 * 1024  # outputs of one task in all its filters
WEIGHT_PIXELS = 256  # outputs whose dy is transposed at once in grad_weight
WEIGHT_CHANNELS = 32  # channels of one task in grad_weight
WEIGHT_LINES = 4096  # numbers of dy at once, where vectors run along the sum
MULTIPLICATIONS = 50  # of one thread in a nanosecond, about
TASKS = 32  # split at least this far where the shape allows, for CPUs of many cores


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C / groups, R, S) and bias (K,) or None."""
    x, w, bias = jit.dense(x, w, bias)
    y = buffers.empty(dims.y_shape, x.dtype)
    window = dims.C // dims.groups * dims.R * dims.S
    filters = w.reshape(dims.groups, dims.K // dims.groups, window)
    start = (-dims.padding[0], -dims.padding[1])
    _correlate(x, filters, bias, y, taps=_window(dims), start=start)
    return y


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    dy, w = jit.dense(dy, w)
    dx = np.zeros(dims.x_shape, dy.dtype)  # pixels between the windows stay zero
    if dy.size == 0 or w.size == 0:
        return dx
    w = w.reshape(dims.groups, dims.K // dims.groups, dims.C // dims.groups, dims.R, dims.S)
    (u, v), (dilation, column_dilation) = dims.stride, dims.dilation
    columns = _phases(dims.S, column_dilation, v, dims.padding[1])
    for r, down, h_first, p in _phases(dims.R, dilation, u, dims.padding[0]):
        for s, right, w_first, q in columns:
            # (groups, K, C, taps) to (groups, C, K taps): the channels are now what comes out
            filters = w[:, :, :, r[:, None], s].swapaxes(1, 2)
            filters = np.ascontiguousarray(filters).reshape(*filters.shape[:2], -1)
            taps = _Taps.of([(i, j) for i in down for j in right], (1, 1))
            part = dx[:, :, h_first::u, w_first::v]
            _correlate(dy, filters, None, part, taps=taps, start=(p, q))
    return dx


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C / groups, R, S) from dy (N, K, P, Q)."""
    dy, x = jit.dense(dy, x)
    if dy.size == 0 or x.size == 0:
        return np.zeros(dims.w_shape, x.dtype)
    channels, filters, positions = dims.C // dims.groups, dims.K // dims.groups, dims.R * dims.S
    lines = _sums_lines(dims, x.dtype)
    pixels = max(1, WEIGHT_LINES // filters) if lines else WEIGHT_PIXELS
    rows = even_split(dims.P, max(1, pixels // dims.Q))
    block = even_split(channels, WEIGHT_CHANNELS)
    blocks = -(-channels // block)
    chunks = min(dims.N * -(-dims.P // rows), -(-TASKS // (dims.groups * blocks)))
    taps = _window(dims, columns_apart=lines)
    start = (-dims.padding[0], -dims.padding[1])
    plan, starts, phases = _plan(taps, start, rows, dims.Q, block, x.dtype)
    # The sums are kept in whole tiles: as (K, C taps), or as (C taps, K), filters innermost.
    terms = block * positions
    if lines:
        height, width = round_up(filters, DOT_ROWS), round_up(terms, DOT_COLUMNS)
    else:
        height, width = round_up(terms, ROWS), round_up(filters, plan.lanes)
    # Zeros, because the last tiles are not written to their ends.
    sums = np.zeros((chunks, dims.groups * blocks, height, width), x.dtype)
    tasks = chunks * dims.groups * blocks
    work = dims.flops / 2 / MULTIPLICATIONS
    kernel = _sum_lines_task if lines else _sum_weights_task
    kernel(tasks, x, dy, sums, phases, starts, plan, dims.groups, nanoseconds=work)
    total = sums[0] if chunks == 1 else sums.sum(axis=0)  # chunk after chunk, in order
    total = total if lines else total.swapaxes(1, 2)
    total = total[:, :filters, :terms].reshape(dims.groups, blocks, filters, block, positions)
    total = total.swapaxes(1, 2).reshape(dims.groups, filters, blocks * block, positions)
    return np.ascontiguousarray(total[:, :, :channels]).reshape(dims.w_shape)


def refuses(dims: Conv2dDims) -> None:
    """Nothing."""
    return None


def estimate(dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Estimate:
    """Multiplications at 32 in a nanosecond, and making the columns, which is as 12 filters more.

    Few filters read their columns off the grid, in whole tiles of filters and of outputs; others
    compute the grid's nonsense too, and take 0.4 ns for each weight, read a piece at a time. To
    bring the weights' gradients into order takes 4 ns each.
    It wants images as (N, C, H, W), so they are turned if the rest of a network has them otherwise.
    """
    channels, filters = dims.C // dims.groups, dims.K // dims.groups
    made = channels if direction == "grad_input" else filters
    multiplications = dims.flops // 2
    moved = dims.N * (dims.C * dims.H * dims.W + dims.K * dims.P * dims.Q)
    terms = {
        "forward": channels * dims.R * dims.S,
        "grad_input": filters * dims.R * dims.S,
        "grad_weight": dims.N * dims.P * dims.Q,
    }[direction]
    rows, columns, pixels = dims.P, dims.Q, dims.N * dims.P * dims.Q
    if direction == "grad_input":
        rows, columns = -(-dims.H // dims.stride[0]), -(-dims.W // dims.stride[1])
        pixels = dims.N * dims.H * dims.W // math.prod(dims.stride)
    reach = -(-(dims.S - 1) * dims.dilation[1] // dims.stride[1])
    if direction == "grad_weight" and _sums_lines(dims, dtype):
        multiplications = dims.N * dims.P * dims.Q * dims.groups * _line_tiles(dims)
        products, moved = multiplications / 36, moved // 2  # dy is read where it lies
    elif direction == "grad_weight":
        products = multiplications / 32 * (1 + 12 / max(1, made))
        products += 4 * dims.K * channels * dims.R * dims.S
    elif made <= FEW:
        panel = VECTORS * lanes(dtype)
        taken = columns + reach if columns < panel else round_up(columns, panel)
        multiplications = pixels * terms * dims.groups * round_up(made, ROWS) * taken // columns
        products = multiplications / 36
    else:
        taken = round_up((rows - 1) * (columns + reach) + columns, lanes(dtype))
        products = multiplications / 32 * (1 + 12 / made) * taken / (rows * columns)
        products += 0.4 * made * dims.groups * terms
    return Estimate(
        variant="",
        multiplications=multiplications,
        nanoseconds=products + moved + 20_000,
        workspace=TILE_ROWS * VECTORS * BYTES,
        error=summed(terms, dtype),
    )


def _sums_lines(dims: Conv2dDims, dtype: np.dtype) -> bool:
    """True if vectors run along the sum in grad_weight, not along the filters (see the top)."""
    filters, terms = dims.K // dims.groups, dims.C // dims.groups * dims.R * dims.S
    steps = dims.P * dims.Q // lanes(dtype)
    if filters > lanes(dtype) or steps < 8:
        return False
    # Panels of one vector leave the CPU waiting for its sums, and turning dy takes time too.
    return _line_tiles(dims) < 1.5 * round_up(terms, ROWS) * lanes(dtype)


def _line_tiles(dims: Conv2dDims) -> int:
    """Numbers of dw of a group, in whole tiles of products along the sum."""
    terms = dims.C // dims.groups * dims.R * dims.S
    return round_up(dims.K // dims.groups, DOT_ROWS) * round_up(terms, DOT_COLUMNS)


class _Plan(NamedTuple):
    """Where the grid lies in x and the result in y, and what one task covers: numbers only."""

    row_stride: int  # between neighbouring outputs, in x
    column_stride: int
    row_start: int  # the pixel of x that the first output's first tap meets
    column_start: int
    rows: int  # outputs of one task
    columns: int
    channels: int  # channels of one block
    grid_rows: int  # rows and columns of a grid plane: rows and columns, plus the reach of the taps
    width: int
    taps: int
    lanes: int


_PLAN = types.NamedUniTuple(int64, len(_Plan._fields), _Plan)


class _Taps(NamedTuple):
    """Filter positions as places on the grid: which phase plane, how many rows and columns on."""

    stride: tuple[int, int]
    phases: tuple[tuple[int, int], ...]  # in rows and columns, that each plane holds
    shifts: tuple[tuple[int, int, int], ...]  # of each tap: plane, rows down, columns right

    @staticmethod
    def of(
        positions: Sequence[tuple[int, int]],
        stride: tuple[int, int],
        *,
        columns_apart: bool = False,
    ) -> "_Taps":
        """From the filter positions' distances in pixels (rows, columns), none negative.

        With columns_apart every column has a plane of its own, and none is reached from another's.
        """
        u, v = stride[0], 1 + max(j for _, j in positions) if columns_apart else stride[1]
        phases = sorted({(i % u, j % v) for i, j in positions})
        shifts = [(phases.index((i % u, j % v)), i // u, j // v) for i, j in positions]
        return _Taps(stride, tuple(phases), tuple(shifts))


@lru_cache(maxsize=256)  # a network asks for the same few again and again
def _plan(
    taps: _Taps,
    start: tuple[int, int],
    rows: int,
    columns: int,
    channels: int,
    dtype: np.dtype,
) -> tuple[_Plan, ndarray, ndarray]:
    """The plan for tasks of this size, `start` (channels, taps) of each row of columns, and the
    phases (planes, 2)."""
    shifts, phases = np.array(taps.shifts), np.array(taps.phases)
    _, down, right = shifts.max(axis=0)
    grid_rows, width = int(rows + down), int(columns + right)
    planes = np.arange(channels)[:, None] * len(phases) + shifts[:, 0]
    starts = (planes * grid_rows + shifts[:, 1]) * width + shifts[:, 2]
    plan = _Plan(
        *taps.stride, *start, rows, columns, channels, grid_rows, width, len(shifts), lanes(dtype)
    )
    return plan, starts.ravel(), phases


@lru_cache(maxsize=256)
def _window(dims: Conv2dDims, *, columns_apart: bool = False) -> _Taps:
    """The whole filter's taps: filter position (r, s) lies dilation (r, s) pixels from (0, 0)."""
    rows, columns = dims.dilation
    positions = [(r * rows, s * columns) for r, s in np.ndindex(dims.R, dims.S)]
    return _Taps.of(positions, dims.stride, columns_apart=columns_apart)


def _phases(taps: int, dilation: int, stride: int, padding: int) -> list[tuple]:
    """The phases of dx along one axis that meet the filter, for grad_input. For each of them

    (filter positions, their shifts on the grid of dy, its first pixel in dx, its start in dy).
    """
    found = []
    for phase in range(stride):
        meeting = np.array([r for r in range(taps) if r * dilation % stride == phase], dtype=int)
        if len(meeting):
            # dx[h] takes dy[(h + padding - r dilation) / stride], which falls as r grows.
            back = meeting * dilation // stride
            first = (phase - padding) % stride
            start = int((first + padding) // stride - back.max())
            found.append((meeting, back.max() - back, first, start))
    return found


def _correlate(
    x: ndarray,
    w: ndarray,
    bias: ndarray | None,
    y: ndarray,
    *,
    taps: _Taps,
    start: tuple[int, int],
) -> None:
    """y[:, :, p, q] = bias + sum over taps of w times x[:, :, start + stride (p, q) + tap].

    w is (groups, filters, channels taps); y may have strides. Cuts the work into tasks.
    """
    groups, filters = w.shape[:2]
    N, _, P, Q = y.shape
    if w.size == 0 or y.size == 0:
        y[...] = 0 if bias is None else bias[:, None, None]
        return
    rows = even_split(P, max(1, TASK_PIXELS // Q))
    columns = even_split(Q, TASK_PIXELS)
    tasks = N * groups * -(-P // rows) * -(-Q // columns)
    depth = max(2 * ROWS, min(TASK_SUMS // (rows * columns), filters * tasks // TASKS))
    depth = round_up(even_split(filters, depth), ROWS)
    channels = x.shape[1] // groups
    plan, starts, phases = _plan(taps, start, rows, columns, channels, x.dtype)
    grid = channels * len(taps.phases) * plan.grid_rows * plan.width * x.itemsize
    if depth > FEW or grid > GRID:
        channels = even_split(channels, max(1, TILE_ROWS // len(taps.shifts)))
        plan, starts, phases = _plan(taps, start, rows, columns, channels, x.dtype)
    if bias is None:
        bias = np.zeros(groups * filters, x.dtype)
    tasks *= -(-filters // depth)
    work = y.size * w.shape[2] / MULTIPLICATIONS
    _correlate_task(tasks, x, w, bias, y, phases, starts, plan, depth, nanoseconds=work)


@jit.kernel(
    lambda T: (
        T[:, :, :, ::1], T[:, :, ::1], T[::1], T[:, :, :, :], int64[:, ::1], int64[::1],
        _PLAN, int64,
    )
)  # fmt: skip
def _correlate_task(task, x, w, bias, y, phases, starts, plan, depth):
    """One image and group, rows by columns outputs, `depth` filters.

    Goes through the channels in blocks: fill the grid, then for each tile of 2 vectors of outputs
    copy the columns and multiply them with every filter. The sums lie in a scratch tile.
    """
    groups, filters, J = w.shape
    P, Q = y.shape[2:]
    task, k_block = divmod(task, -(-filters // depth))
    task, q_block = divmod(task, -(-Q // plan.columns))
    task, p_block = divmod(task, -(-P // plan.rows))
    n, group = divmod(task, groups)
    p, q, k_first = p_block * plan.rows, q_block * plan.columns, k_block * depth
    rows, columns = min(plan.rows, P - p), min(plan.columns, Q - q)
    depth = min(depth, filters - k_first)

    C, width = x.shape[1] // groups, plan.width
    vectors = -(-((rows - 1) * width + columns) // plan.lanes)
    panels = -(-vectors // VECTORS)
    line = vectors * plan.lanes
    grid = _empty_grid(x, phases, plan)
    few = depth <= FEW and plan.channels >= C
    if few:
        _fill_grid(grid, x, n, group * C, C, p, q, phases, plan)
        filters_here = group * filters + k_first, depth
        if columns >= VECTORS * plan.lanes and y.strides[3] == y.itemsize:
            _correlate_rows(grid, w, bias, y, starts, plan, filters_here, n, p, q, rows, columns)
            return
    tile = np.empty(0 if few else len(starts) * VECTORS * plan.lanes, x.dtype)
    sums = np.empty(-(-depth // ROWS) * ROWS * line, x.dtype)
    row = np.empty(ROWS, np.int64)
    if few:
        _correlate_line(grid, w, sums, starts, plan, filters_here, vectors)
        C = 0  # the channels are all done
    for c in range(0, C, plan.channels):
        channels = min(plan.channels, C - c)
        _fill_grid(grid, x, n, group * C + c, channels, p, q, phases, plan)
        for panel in range(panels):
            first, last = panel * vectors // panels, (panel + 1) * vectors // panels
            t, count = first * plan.lanes, channels * plan.taps
            copy_panel(last - first, grid, t, starts, count, tile, 0)
            for k in range(0, depth, ROWS):
                for i in range(ROWS):  # rows beyond the last filter repeat it
                    row[i] = (group * filters + k_first + min(k + i, depth - 1)) * J
                multiply_tile(
                    last - first, w, c * plan.taps, row, 0, 0, 1, tile, 0,
                    (last - first) * plan.lanes,
                    sums, k * line + t, line, 1, count, c,
                )  # fmt: skip
    for k in range(depth):
        channel = group * filters + k_first + k
        for i in range(rows):
            start = k * line + i * width
            outputs, values = y[n, channel, p + i, q:], sums[start : start + columns]
            for j in range(columns):
                outputs[j] = values[j] + bias[channel]


@jit.inline
def _correlate_rows(grid, w, bias, y, starts, plan, filters, n, p, q, rows, columns):
    """y at some rows from a few filters (first, how many): a full panel of outputs at a time.

    The columns are read where they lie on the grid. The last panel of a row may overlap.
    """
    first, depth = filters
    J, width = w.shape[2], VECTORS * plan.lanes
    tiles = -(-depth // ROWS)
    w_row, y_row = np.empty(tiles * ROWS, np.int64), np.empty(tiles * ROWS, np.int64)
    start = np.empty((tiles * ROWS, width), w.dtype)
    for i in range(tiles * ROWS):  # rows beyond the last filter repeat it
        channel = first + min(i, depth - 1)
        w_row[i], y_row[i] = channel * J, channel * (y.strides[1] // y.itemsize)
        start[i] = bias[channel]
    terms = np.arange(J)
    for i in range(rows):
        line = (n * y.strides[0] + (p + i) * y.strides[2]) // y.itemsize + q
        for j in range(0, columns, width):
            at = min(j, columns - width)
            multiply_places(
                VECTORS, w, 0, w_row, terms, grid, i * plan.width + at, starts,
                y, line + at, y_row, start, 0, width, 0, J, tiles,
            )  # fmt: skip


@jit.inline
def _correlate_line(grid, w, sums, starts, plan, filters, vectors):
    """sums (filters, vectors) of a few filters (first, how many), along the whole grid."""
    first, depth = filters
    J = w.shape[2]
    tiles, panels = -(-depth // ROWS), -(-vectors // VECTORS)
    w_row, sum_row = np.empty(tiles * ROWS, np.int64), np.empty(tiles * ROWS, np.int64)
    for i in range(tiles * ROWS):
        w_row[i], sum_row[i] = (first + min(i, depth - 1)) * J, i * vectors * plan.lanes
    terms, start = np.arange(J), np.zeros(VECTORS * plan.lanes, w.dtype)
    for panel in range(panels):
        begin, end = panel * vectors // panels, (panel + 1) * vectors // panels
        t = begin * plan.lanes
        multiply_places(
            end - begin, w, 0, w_row, terms, grid, t, starts, sums, t, sum_row, start, 0, 0,
            0, J, tiles,
        )  # fmt: skip


@jit.inline
def _empty_grid(x, phases, plan):
    # The last vector of a tile may read beyond the last plane, into outputs that are left out.
    size = plan.channels * len(phases) * plan.grid_rows * plan.width + plan.lanes
    return np.empty(size, x.dtype)


@jit.inline
def _fill_grid(grid, x, n, c_first, channels, p, q, phases, plan):
    """grid (channels, phases, grid_rows, width) = the pixels that outputs from (p, q) on meet.

    Row i of a plane is row start + phase + stride (p + i) of the image, columns likewise, and 0
    outside the image.
    """
    H, W = x.shape[2:]
    stride = plan.column_stride
    planes = len(phases)
    for c in range(channels):
        for f in range(planes):
            w_first = plan.column_start + phases[f, 1] + q * stride
            # columns left <= j < right of the grid lie inside the image
            left = min(max(0, -(w_first // stride)), plan.width)
            right = max(left, min(plan.width, (W - 1 - w_first) // stride + 1))
            for i in range(plan.grid_rows):
                line = ((c * planes + f) * plan.grid_rows + i) * plan.width
                h = plan.row_start + phases[f, 0] + (p + i) * plan.row_stride
                end = right if 0 <= h < H else 0
                begin = min(left, end)
                row = grid[line : line + plan.width]
                for j in range(begin):
                    row[j] = 0
                if end > begin:
                    inside, pixels = (
                        row[begin:end],
                        x[n, c_first + c, h, w_first + begin * stride :],
                    )
                    if stride == 1:  # said apart, because this loop copies vectors
                        for j in range(end - begin):
                            inside[j] = pixels[j]
                    else:
                        for j in range(end - begin):
                            inside[j] = pixels[j * stride]
                beyond = row[end:]
                for j in range(plan.width - end):
                    beyond[j] = 0


@jit.kernel(
    lambda T: (
        T[:, :, :, ::1], T[:, :, :, ::1], T[:, :, :, ::1], int64[:, ::1], int64[::1],
        _PLAN, int64,
    )
)  # fmt: skip
def _sum_weights_task(task, x, dy, sums, phases, starts, plan, groups):
    """sums[chunk, group and block of channels] (C taps, K), from the chunk's images.

    Goes through them in pieces of `rows` lines of dy, which are transposed to a panel of filters.
    """
    chunks, blocks, height, line = sums.shape
    chunk, block = divmod(task, blocks)
    group, c_block = divmod(block, blocks // groups)
    N, K, P, Q = dy.shape
    C, filters = x.shape[1] // groups, K // groups
    c = c_block * plan.channels
    channels = min(plan.channels, C - c)
    vectors = line // plan.lanes
    panels = -(-vectors // VECTORS)
    grid = _empty_grid(x, phases, plan)
    transposed = np.empty(plan.rows * Q * VECTORS * plan.lanes, x.dtype)
    row = np.empty(ROWS, np.int64)
    row_blocks = -(-P // plan.rows)
    first_item = chunk * N * row_blocks // chunks
    for item in range(first_item, (chunk + 1) * N * row_blocks // chunks):
        n, p_block = divmod(item, row_blocks)
        p = p_block * plan.rows
        rows = min(plan.rows, P - p)
        _fill_grid(grid, x, n, group * C + c, channels, p, 0, phases, plan)
        for panel in range(panels):
            first, last = panel * vectors // panels, (panel + 1) * vectors // panels
            k, padded = first * plan.lanes, (last - first) * plan.lanes
            _transpose_outputs(
                transposed, dy, n, group * filters + k, min(padded, filters - k), padded, p, rows
            )
            for j in range(0, channels * plan.taps, ROWS):
                for i in range(ROWS):  # rows beyond the last repeat it
                    row[i] = starts[min(j + i, channels * plan.taps - 1)]
                multiply_tile(
                    last - first, grid, 0, row, 0, plan.width, 1, transposed, 0, padded,
                    sums, (task * height + j) * line + k, line, rows, Q, item - first_item,
                )  # fmt: skip


@jit.kernel(
    lambda T: (
        T[:, :, :, ::1], T[:, :, :, ::1], T[:, :, :, ::1], int64[:, ::1], int64[::1], _PLAN, int64,
    )
)  # fmt: skip
def _sum_lines_task(task, x, dy, sums, phases, starts, plan, groups):
    """sums[chunk, group and block of channels] (K, C taps), from the chunk's images."""
    chunks, blocks, height, line = sums.shape
    chunk, block = divmod(task, blocks)
    group, c_block = divmod(block, blocks // groups)
    N, K, P, Q = dy.shape
    C, filters = x.shape[1] // groups, K // groups
    c = c_block * plan.channels
    channels = min(plan.channels, C - c)
    terms = channels * plan.taps
    grid = _empty_grid(x, phases, plan)
    dy_row, grid_row = np.empty(DOT_ROWS, np.int64), np.empty(DOT_COLUMNS, np.int64)
    numbers, sums_here = dy.reshape(-1), sums[chunk, block]
    row_blocks = -(-P // plan.rows)
    first_item = chunk * N * row_blocks // chunks
    for item in range(first_item, (chunk + 1) * N * row_blocks // chunks):
        n, p_block = divmod(item, row_blocks)
        p = p_block * plan.rows
        pixels = min(plan.rows, P - p) * Q
        steps = pixels // plan.lanes
        _fill_grid(grid, x, n, group * C + c, channels, p, 0, phases, plan)
        first = (n * K + group * filters) * P * Q + p * Q
        for j in range(0, terms, DOT_COLUMNS):
            for i in range(DOT_COLUMNS):  # rows beyond the last repeat it
                grid_row[i] = starts[min(j + i, terms - 1)]
            for k in range(0, filters, DOT_ROWS):
                for i in range(DOT_ROWS):
                    dy_row[i] = min(k + i, filters - 1) * P * Q
                if steps:
                    multiply_rows(
                        DOT_ROWS, dy, first, dy_row, grid, 0, grid_row,
                        sums, (task * height + k) * line + j, line, steps, item - first_item,
                    )  # fmt: skip
        for t in range(steps * plan.lanes, pixels):  # what fills no vector
            for k in range(filters):
                gradient = numbers[first + k * P * Q + t]
                for j in range(terms):
                    sums_here[k, j] += gradient * grid[starts[j] + t]


@jit.inline
def _transpose_outputs(transposed, dy, n, k_first, filters, padded, p_first, rows):
    """transposed (rows Q, padded) = dy[n, k_first:, p_first:] with the filters innermost."""
    Q = dy.shape[3]
    for k in range(padded):
        for p in range(rows):
            for q in range(Q):
                value = dy[n, k_first + k, p_first + p, q] if k < filters else 0
                transposed[(p * Q + q) * padded + k] = value
