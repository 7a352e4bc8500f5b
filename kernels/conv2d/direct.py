"""Convolution by its definition, on the micro-kernel, with the channels innermost.

With images (N, H, W, C) and filters (R, S, C, K) in memory, one row of a filter meets S C numbers
of x that lie side by side. So an output pixel is a sum over R runs,

    y[n, p, q, k] = bias[k] + sum over r, j < S C of x_line(p u + r)[q v C + j] w[r][j, k]

where x_line(h) is line h - padding of image n, W C numbers: a row of a matrix product whose left
side is x itself. Rows may start anywhere (pixels), and two loops, over r and j, walk the sum.
Nothing is copied but the lines of x that need padding, once per task. The sum is taken in pieces
whose panel of w fits the first-level cache. As every number of x is read by itself, a few channels
may as well lie in planes, (N, C, H, W): images are not turned for that.

grad_input is such a correlation too. Of the input pixels h = p u + r - padding, those of one phase,
(h + padding) mod u, meet only the filter rows r of that phase, and over these dx is a correlation
of dy with w turned by 180 degrees, channels and filters exchanged. Every pixel of dx is written
once, so nothing is added across tasks. A few channels would fill a part of a vector only, and
without padding most of that would multiply the zeros around dy. So for them runs of S C numbers are
products, and are added where they belong in dx, of which a task has an image:

    dx_line(p u + r)[q v C + j] += sum over k of dy[n, p, q, k] w[r][k, j]

grad_weight is the product the other way round: rows are (r, s, c), columns filters, and the sum
runs over the pixels of all images. These are dealt to a number of chunks that depends on the shape
alone, and the chunks' results are added in order.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64, types
from numpy import ndarray

from .. import buffers, jit
from ..matmul.cpu import LINEAR
from ..microkernel import ROWS, VECTORS, copy_panel, lanes, multiply_places, multiply_tile
from ..optimizer.cpu import sgd_task
from ..tiling import even_split, round_up
from .dims import Conv2dDims
from .estimate import Direction, Estimate, summed
from .layout import channels_first_view, channels_last

DEPTH = 256  # terms of a sum taken at once: a panel of w of 16 KiB with AVX2
TASK_PIXELS = 192  # outputs of one task in one filter
WEIGHT_PIXELS = 192  # outputs whose dy is packed at once in grad_weight
CHUNK_BYTES = 4 << 20  # of the sums of all chunks in grad_weight, unless one is larger
MULTIPLICATIONS = 50  # of one thread in a nanosecond, about
TASKS = 32  # split at least this far where the shape allows, for CPUs of many cores
FEW_PLANES = 16  # channels whose planes are read side by side


def forward(x: ndarray, w: ndarray, bias: ndarray | None, *, dims: Conv2dDims) -> ndarray:
    """y (N, K, P, Q) from x (N, C, H, W), w (K, C, R, S) and bias (K,) or None.

    Raises ValueError for dilation and groups.
    """
    _check(dims)
    jit.check_dtypes(x, w, bias)
    y = buffers.empty((dims.N, dims.P, dims.Q, dims.K), x.dtype)
    if bias is None:
        bias = np.zeros(dims.K, x.dtype)
    (u, v), (up, left) = dims.stride, dims.padding
    taps = np.arange(dims.R * dims.S).reshape(dims.R, dims.S)
    plane = _Plane(u, v, -up, -left, dims.P, dims.Q, 0, 0, 1, 1)
    _correlate(*_Images.of(x), w, bias, y, taps, plane, turned=False)
    return channels_first_view(y)


def grad_input(dy: ndarray, w: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dx (N, C, H, W) from dy (N, K, P, Q)."""
    _check(dims)
    jit.check_dtypes(dy, w)
    if _spreads(dims, dy.dtype):
        return _spread(dy, w, dims)
    rows = _phases(dims.H, dims.R, dims.stride[0], dims.padding[0])
    columns = _phases(dims.W, dims.S, dims.stride[1], dims.padding[1])
    shape = dims.N, dims.H, dims.W, dims.C
    whole = sum(phase.pixels for phase in rows) == dims.H
    whole &= sum(phase.pixels for phase in columns) == dims.W
    dx = (buffers.empty if whole else np.zeros)(shape, dy.dtype)  # some pixels may meet no window
    images, memory = _Images.of(dy)
    bias = np.zeros(dims.C, dy.dtype)
    for row in rows:
        for column in columns:
            taps = row.taps[:, None] * dims.S + column.taps
            plane = _Plane(
                1, 1, row.start, column.start, row.pixels, column.pixels, row.first, column.first,
                *dims.stride,
            )  # fmt: skip
            _correlate(images, memory, w, bias, dx, taps, plane, turned=True)
    return channels_first_view(dx)


def grad_weight(dy: ndarray, x: ndarray, *, dims: Conv2dDims) -> ndarray:
    """dw (K, C, R, S) from dy (N, K, P, Q)."""
    _check(dims)
    jit.check_dtypes(dy, x)
    if dy.size == 0 or x.size == 0:
        return np.zeros(dims.w_shape, x.dtype)
    (u, v), (up, left) = dims.stride, dims.padding
    plane = _Plane(u, v, -up, -left, dims.P, dims.Q, 0, 0, 1, 1)
    width = _width(dims.K, x.dtype)
    panels, terms = -(-dims.K // width), dims.R * dims.S * dims.C
    height = round_up(terms, ROWS)
    rows = even_split(dims.P, max(1, WEIGHT_PIXELS // dims.Q))
    items = dims.N * -(-dims.P // rows)
    sums_size = panels * height * width
    chunks = min(items, TASKS, max(1, CHUNK_BYTES // (sums_size * x.itemsize)))
    splits = min(panels, -(-TASKS // chunks))
    sums = buffers.empty((chunks, panels, height, width), x.dtype)
    images, memory = _Images.of(x)
    _sum_weights_task(
        chunks * splits, memory, images, channels_last(dy), sums, plane, dims.R, dims.S, rows,
        splits, lanes(x.dtype), nanoseconds=dims.flops / 2 / MULTIPLICATIONS,
    )  # fmt: skip
    total = sums[0] if chunks == 1 else sums.sum(axis=0)  # chunk after chunk, in order
    total = total[:, :terms].reshape(panels, dims.R, dims.S, dims.C, width)
    total = total.transpose(0, 4, 3, 1, 2).reshape(panels * width, dims.C, dims.R, dims.S)
    return np.ascontiguousarray(total[: dims.K])


def refuses(dims: Conv2dDims) -> str | None:
    """Why this algorithm cannot do a convolution, as the end of a sentence; None if it can."""
    if dims.dilation != (1, 1):
        return f"needs dilation 1, but the dilation is {dims.dilation}"
    if dims.groups != 1:
        return f"needs one group, but there are {dims.groups}"
    return None


def estimate(dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Estimate:
    """Multiplications at 42 in a nanosecond, in whole panels, and what is moved around them.

    A weight takes 1.7 ns to be packed, since those of one panel lie far apart, and others 0.5.
    Panels of one vector leave the CPU waiting for its sums: 28. Beside that a tile of outputs takes
    80 ns to begin and to end, which short sums do not hide, or 15 where it goes straight to y.
    """
    C, K, window = dims.C, dims.K, dims.R * dims.S
    x_pixels, y_pixels = dims.N * dims.H * dims.W, dims.N * dims.P * dims.Q
    width = _width(C if direction == "grad_input" else K, dtype)
    outputs = y_pixels * K
    spreads = direction == "grad_input" and _spreads(dims, dtype)
    if spreads:
        multiplications = _spread_multiplications(dims, dtype)
        width = _width(dims.S * C, dtype)
        outputs = y_pixels * dims.R * round_up(dims.S * C, width)
    elif direction == "grad_input":
        # Every pixel of dx takes its share of the window, also where that reaches over the edge.
        multiplications = x_pixels * window // math.prod(dims.stride) * round_up(C, width) * K
        outputs = x_pixels * C
    else:
        taps = window * C if direction == "forward" else round_up(window * C, ROWS)
        multiplications = y_pixels * taps * round_up(K, width)
    terms = {"forward": window * C, "grad_input": window * K, "grad_weight": y_pixels}[direction]
    moved = x_pixels * C + y_pixels * K
    weights = window * C * K
    short = spreads or (direction == "forward" and terms <= DEPTH and K % width == 0)
    tiles = 0 if direction == "grad_weight" else outputs / (ROWS * width)
    workspace = weights * dtype.itemsize
    rate = 42 if width > lanes(dtype) else 28
    return Estimate(
        variant="",
        multiplications=multiplications,
        nanoseconds=(
            multiplications / rate
            + moved / 2
            + 1.7 * weights
            + (15 if short else 80) * tiles
            + 20_000
        ),
        workspace=max(workspace, CHUNK_BYTES) if direction == "grad_weight" else workspace,
        error=summed(terms, dtype),
    )


def _spreads(dims: Conv2dDims, dtype: np.dtype) -> bool:
    """True if grad_input adds products to dx (see the top)."""
    if dims.C > FEW_PLANES or dims.flops == 0:
        return False
    pixels = dims.N * dims.H * dims.W // math.prod(dims.stride)
    correlated = pixels * dims.R * dims.S * round_up(dims.C, _width(dims.C, dtype)) * dims.K
    return _spread_multiplications(dims, dtype) < correlated


def _spread_multiplications(dims: Conv2dDims, dtype: np.dtype) -> int:
    """Those of whole panels; to add a product takes as long as eight filters more."""
    run = round_up(dims.S * dims.C, _width(dims.S * dims.C, dtype))
    return dims.N * dims.P * dims.Q * dims.R * run * (dims.K + 8)


def _check(dims: Conv2dDims) -> None:
    reason = refuses(dims)
    if reason is not None:
        raise ValueError(
            f"conv2d: x is (N, C, H, W) = {dims.x_shape}, w is (K, C, R, S) = {dims.w_shape}; "
            f"the algorithm 'direct' {reason}. Leave the choice to 'auto'."
        )


def _width(channels: int, dtype: np.dtype) -> int:
    """Output channels of a panel: as many as the micro-kernel takes, one vector if that will do."""
    return lanes(dtype) * (1 if channels <= lanes(dtype) else VECTORS)


class _Plane(NamedTuple):
    """Which pixels of x the outputs meet, and where they go in y: numbers only."""

    row_stride: int  # between neighbouring outputs, in x
    column_stride: int
    row_start: int  # the pixel of x that the first output's first tap meets
    column_start: int
    rows: int  # outputs
    columns: int
    y_row: int  # where the first one goes in y
    y_column: int
    y_row_step: int  # and where its neighbours
    y_column_step: int


_PLANE = types.NamedUniTuple(int64, len(_Plane._fields), _Plane)


class _Images(NamedTuple):
    """How images lie in memory: their sizes, and the elements from one number to the next."""

    N: int
    H: int
    W: int
    C: int
    n_step: int
    h_step: int
    w_step: int
    c_step: int

    @staticmethod
    def of(x: ndarray) -> tuple["_Images", ndarray]:
        """Those of x (N, C, H, W), and its memory, which is a copy unless it can be read as is."""
        N, C, H, W = x.shape
        if C <= FEW_PLANES and x.flags.c_contiguous and x.flags.aligned:
            return _Images(N, H, W, C, C * H * W, W, 1, H * W), x.reshape(-1)
        return _Images(N, H, W, C, H * W * C, W * C, C, 1), channels_last(x).reshape(-1)


_IMAGES = types.NamedUniTuple(int64, len(_Images._fields), _Images)


class _Windows(NamedTuple):
    """Where the windows lie in dx: numbers only."""

    row_stride: int
    column_stride: int
    row_padding: int
    column_padding: int
    columns: int  # S


_WINDOWS = types.NamedUniTuple(int64, len(_Windows._fields), _Windows)


def _spread(dy: ndarray, w: ndarray, dims: Conv2dDims) -> ndarray:
    """grad_input by products that are added; dx lies in planes."""
    K, C, R, S = dims.w_shape
    width = _width(S * C, dy.dtype)
    panels = -(-S * C // width)
    packed = np.zeros((R, panels * width, K), dy.dtype)
    packed[:, : S * C] = w.transpose(2, 3, 1, 0).reshape(R, S * C, K)
    packed = np.ascontiguousarray(packed.reshape(R, panels, width, K).swapaxes(2, 3))
    dx = buffers.empty(dims.x_shape, dy.dtype)
    images, memory = _Images.of(dy)
    _spread_task(
        dims.N, dx, memory, images, packed, _Windows(*dims.stride, *dims.padding, S),
        lanes(dy.dtype), nanoseconds=_spread_multiplications(dims, dy.dtype) / MULTIPLICATIONS,
    )  # fmt: skip
    return dx


@jit.kernel(
    lambda T: (
        T[:, :, :, ::1], jit.read_only(T[::1]), _IMAGES, T[:, :, :, ::1], _WINDOWS, int64,
    )
)  # fmt: skip
def _spread_task(n, dx, dy, images, w, windows, lanes):
    """dx[n], by way of lines (rows, columns, C) of all pixels that windows reach."""
    _, C, H, W = dx.shape
    P, Q, K = images.H, images.W, images.C
    R, panels, _, width = w.shape
    run, line = windows.columns * C, panels * width
    u, v = windows.row_stride, windows.column_stride
    pitch = ((Q - 1) * v + windows.columns) * C
    lines = np.zeros(((P - 1) * u + R) * pitch, dx.dtype)
    most = min(P, max(1, TASK_PIXELS // Q))  # rows of dy at once
    tiles = -(-most * Q // ROWS)
    place = np.empty(tiles * ROWS, np.int64)
    product_place = np.arange(0, tiles * ROWS * line, line)
    products, nothing = np.empty(tiles * ROWS * line, dx.dtype), np.zeros(width, dx.dtype)
    dy_term, w_term = np.arange(K) * images.c_step, np.arange(K) * width
    for first in range(0, P, most):
        pixels = min(most, P - first) * Q
        for i in range(tiles * ROWS):  # beyond the last pixel, repeat it
            p, q = divmod(min(i, pixels - 1), Q)
            place[i] = p * images.h_step + q * images.w_step
        start = n * images.n_step + first * images.h_step
        for r in range(R):
            for panel in range(panels):
                multiply_places(
                    width // lanes, dy, start, place, dy_term,
                    w, (r * panels + panel) * K * width, w_term,
                    products, panel * width, product_place, nothing, 0, 0, 0, K, tiles,
                )  # fmt: skip
            for i in range(pixels):
                p, q = divmod(i, Q)
                here = lines[((first + p) * u + r) * pitch + q * v * C :]
                product = products[i * line : i * line + run]
                for j in range(run):
                    here[j] += product[j]
    last = min(W, pitch // C - windows.column_padding)  # beyond, pixels meet no window
    for h in range(H):
        here = lines[min((h + windows.row_padding) * pitch, len(lines)) :]
        known = last if len(here) > 0 else 0
        for c in range(C):
            pixels_of_c = dx[n, c, h]
            for j in range(known):
                pixels_of_c[j] = here[(j + windows.column_padding) * C + c]
            pixels_of_c[max(0, known) :] = 0


class _Phase(NamedTuple):
    """The pixels of dx, along one axis, that meet the same filter taps."""

    taps: ndarray  # in the order in which they meet dy
    start: int  # the pixel of dy that the first tap of the first pixel meets
    first: int  # the first pixel of dx; the next are `stride` apart
    pixels: int  # how many there are


def _phases(size: int, taps: int, stride: int, padding: int) -> list[_Phase]:
    """The phases of dx along one axis that meet the filter at all."""
    found = []
    for phase in range(min(stride, taps)):
        # dx[h] takes w[r] dy[(h + padding - r) / stride], which falls as r grows.
        meeting = np.arange(phase, taps, stride)[::-1]
        first = (phase - padding) % stride
        start = (first + padding - int(meeting[0])) // stride
        found.append(_Phase(meeting, start, first, len(range(first, size, stride))))
    return found


def _correlate(
    images: _Images,
    x: ndarray,
    w: ndarray,
    bias: ndarray,
    y: ndarray,
    taps: ndarray,
    plane: _Plane,
    *,
    turned: bool,
) -> None:
    """The plane's pixels of y (N, P, Q, K) from images x and the taps (rows, columns) of w.

    taps are places in a filter (R S,) of w (K, C, R, S), or of w (C, K, R, S) if turned.
    """
    N, C, K = images.N, images.C, y.shape[3]
    if N * plane.rows * plane.columns * K == 0:
        return
    if C == 0:
        y[...] = bias
        return
    width = _width(K, x.dtype)
    panels, depth = -(-K // width), taps.size * C
    work = N * plane.rows * plane.columns * panels * width * depth / MULTIPLICATIONS
    packed = buffers.empty((panels, depth, width), x.dtype)
    R_S = w.shape[2] * w.shape[3]
    k_step, c_step = (R_S, K * R_S) if turned else (C * R_S, R_S)
    flat = np.ascontiguousarray(w).reshape(-1)
    _pack_task(panels, flat, packed, taps.ravel(), C, K, k_step, c_step, nanoseconds=packed.size)
    padded_bias = np.zeros(panels * width, x.dtype)
    padded_bias[:K] = bias
    rows = even_split(plane.rows, max(1, TASK_PIXELS // plane.columns))
    blocks = N * -(-plane.rows // rows)
    splits = min(panels, -(-TASKS // blocks))
    _correlate_task(
        blocks * splits, x, images, packed, padded_bias, y.reshape(-1), plane, *taps.shape,
        rows, splits, lanes(x.dtype), *y.shape[1:], nanoseconds=work,
    )  # fmt: skip


@jit.kernel(lambda T: (jit.read_only(T[::1]), T[:, :, ::1], int64[::1], int64, int64, int64, int64))
def _pack_task(panel, w, packed, taps, C, K, k_step, c_step):
    """packed[panel] (taps C, width): the filters of one panel, zero beyond K."""
    width = packed.shape[2]
    first = panel * width
    known = min(width, K - first)
    for tap in range(len(taps)):
        for c in range(C):
            start = first * k_step + c * c_step + taps[tap]
            for k in range(width):
                packed[panel, tap * C + c, k] = w[start + k * k_step] if k < known else 0


@jit.inline
def _fill_lines(lines, x, images, n, h_first, count, w_first, width):
    """lines (count, width, C) = the pixels of image n from (h_first, w_first) on, 0 outside."""
    C = images.C
    left = min(max(0, -w_first), width)
    right = max(left, min(width, images.W - w_first))
    for i in range(count):
        h, line = h_first + i, i * width * C
        known = left, right
        if not 0 <= h < images.H:
            known = width, width
        for j in range(known[0] * C):
            lines[line + j] = 0
        if known[1] > known[0]:
            pixels = x[n * images.n_step + h * images.h_step :]
            if images.c_step == 1:  # said apart, because this loop copies vectors
                for j in range(known[0] * C, known[1] * C):
                    lines[line + j] = pixels[w_first * C + j]
            else:
                for c in range(C):
                    for j in range(known[0], known[1]):
                        lines[line + j * C + c] = pixels[c * images.c_step + w_first + j]
        for j in range(known[1] * C, width * C):
            lines[line + j] = 0


@jit.kernel(
    lambda T: (
        jit.read_only(T[::1]), _IMAGES, T[:, :, ::1], T[::1], T[::1], _PLANE,
        int64, int64, int64, int64, int64, int64, int64, int64,
    )
)  # fmt: skip
def _correlate_task(
    task, x, images, w, bias, y, plane, R, S, most_rows, splits, lanes, y_rows, y_columns, K
):  # fmt: skip
    """y at some rows of one image in some panels of filters."""
    H, W, C = images.H, images.W, images.C
    panels, depth, width = w.shape
    task, split = divmod(task, splits)
    n, block = divmod(task, -(-plane.rows // most_rows))
    first, columns = block * most_rows, plane.columns
    rows = min(most_rows, plane.rows - first)
    lines_count = (rows - 1) * plane.row_stride + R
    lines_width = (columns - 1) * plane.column_stride + S
    h, left = plane.row_start + first * plane.row_stride, plane.column_start
    inside = h >= 0 and h + lines_count <= H and left >= 0 and left + lines_width <= W
    source, pitch, step, c_step = x, images.h_step, images.w_step, images.c_step
    origin = n * images.n_step + h * pitch + left * step
    if not inside:
        pitch, step, c_step, origin = lines_width * C, C, 1, 0
        source = np.empty(lines_count * pitch, y.dtype)
        _fill_lines(source, x, images, n, h, lines_count, left, lines_width)
    pixels = rows * columns
    tiles = -(-pixels // ROWS)
    place, y_place = np.empty(tiles * ROWS, np.int64), np.empty(tiles * ROWS, np.int64)
    sum_place = np.empty(tiles * ROWS, np.int64)
    for i in range(rows):
        p = plane.y_row + (first + i) * plane.y_row_step
        line, y_line = i * plane.row_stride * pitch, (n * y_rows + p) * y_columns + plane.y_column
        for j in range(columns):
            place[i * columns + j] = line + j * plane.column_stride * step
            y_place[i * columns + j] = (y_line + j * plane.y_column_step) * K
    for i in range(tiles * ROWS):
        known = min(i, pixels - 1)  # beyond the last pixel, repeat it
        place[i], y_place[i], sum_place[i] = place[known], y_place[known], i * width
    x_term, w_term = np.empty(depth, np.int64), np.empty(depth, np.int64)
    for r in range(R):
        for s in range(S):
            for c in range(C):
                k = (r * S + s) * C + c
                x_term[k], w_term[k] = r * pitch + s * step + c * c_step, k * width
    whole = K // width  # panels, whose last piece of the sum goes straight to y
    sums = np.empty(0 if depth <= DEPTH and whole == panels else tiles * ROWS * width, y.dtype)
    for panel in range(split * panels // splits, (split + 1) * panels // splits):
        channel = panel * width
        for k in range(0, depth, DEPTH):
            straight = k + DEPTH >= depth and panel < whole
            multiply_places(
                width // lanes, source, origin, place, x_term, w, panel * depth * width, w_term,
                y if straight else sums, channel if straight else 0,
                y_place if straight else sum_place,
                bias if k == 0 else sums, channel if k == 0 else 0, 0 if k == 0 else width,
                k, min(DEPTH, depth - k), tiles,
            )  # fmt: skip
        if panel >= whole:
            for t in range(pixels):
                for k in range(K - channel):
                    y[y_place[t] + channel + k] = sums[t * width + k]


@jit.kernel(
    lambda T: (
        jit.read_only(T[::1]), _IMAGES, jit.read_only(T[:, :, :, ::1]), T[:, :, :, ::1], _PLANE,
        int64, int64, int64, int64, int64,
    )
)  # fmt: skip
def _sum_weights_task(task, x, images, dy, sums, plane, R, S, most_rows, splits, lanes):
    """sums[chunk] (R S C, K) in some panels of filters, over the chunk's images.

    Goes through them in pieces of some lines of dy, which are packed panel by panel.
    """
    N, H, W, C = images.N, images.H, images.W, images.C
    K = dy.shape[3]
    chunks, panels, height, width = sums.shape
    chunk, split = divmod(task, splits)
    columns = plane.columns
    blocks = -(-plane.rows // most_rows)
    lines_width = (columns - 1) * plane.column_stride + S
    lines_most = (most_rows - 1) * plane.row_stride + R
    lines = np.empty(lines_most * lines_width * C, x.dtype)
    packed = np.empty(most_rows * columns * width, x.dtype)
    starts = np.empty(most_rows * columns, np.int64)
    terms = R * S * C
    place = np.empty(height, np.int64)
    first_item, last_item = chunk * N * blocks // chunks, (chunk + 1) * N * blocks // chunks
    for item in range(first_item, last_item):
        n, block = divmod(item, blocks)
        first = block * most_rows
        rows = min(most_rows, plane.rows - first)
        lines_count = (rows - 1) * plane.row_stride + R
        h, left = plane.row_start + first * plane.row_stride, plane.column_start
        inside = h >= 0 and h + lines_count <= H and left >= 0 and left + lines_width <= W
        source, pitch, step, c_step = x, images.h_step, images.w_step, images.c_step
        origin = n * images.n_step + h * pitch + left * step
        if not inside:
            source, pitch, step, c_step, origin = lines, lines_width * C, C, 1, 0
            _fill_lines(lines, x, images, n, h, lines_count, left, lines_width)
        for i in range(height):  # beyond the last term, repeat it
            r, j = divmod(min(i, terms - 1), S * C)
            place[i] = r * pitch + j // C * step + j % C * c_step
        pixels = rows * columns
        for i in range(pixels):
            starts[i] = i * K
        for panel in range(split * panels // splits, (split + 1) * panels // splits):
            channel = panel * width
            start = (n * plane.rows + first) * columns * K + channel
            # Whole vectors, which may reach into the next pixel: what is beyond K goes nowhere. But
            # beyond the last pixel of all there may be no memory.
            safe = pixels
            while safe > 0 and start + starts[safe - 1] + width > dy.size:
                safe -= 1
            if safe > 0:
                copy_panel(width // lanes, dy, start, starts, safe, packed, 0)
            for i in range(safe, pixels):
                p, q = divmod(i, columns)
                for k in range(width):
                    known = channel + k < K
                    packed[i * width + k] = dy[n, first + p, q, channel + k] if known else 0
            for j in range(0, terms, ROWS):
                c = ((chunk * panels + panel) * height + j) * width
                multiply_tile(
                    width // lanes, source, origin, place, j,
                    plane.row_stride * pitch, plane.column_stride * step, packed, 0, width,
                    sums, c, width, rows, columns, item - first_item,
                )  # fmt: skip


_correlate_task.then(_sum_weights_task)
# A network that begins like this ends with linear layers, and mostly SGD.
_pack_task.then(sgd_task, *LINEAR)
