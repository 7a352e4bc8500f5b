"""Winograd's convolution on CUDA, for 3 x 3 filters of stride 1; see winograd.cu.

Other shapes are `implicit_gemm`'s. A workspace holds the transformed tiles of some images at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..device_arrays import THREADS, dense, run, xp_of
from ..launch import Kernels
from ..matmul.cuda import multiply
from ..tiles import sum_parts
from .algorithm import Algorithm
from .cuda_plan import WORKSPACE
from .cuda_plan import winograd_refuses as refuses
from .cuda_tiles import IMPLICIT_GEMM
from .dims import Conv2dDims

TILES = np.dtype([(name, np.int32) for name in ("N", "P", "Q", "down", "across")], align=True)
NAMES = ("filter", "input", "output", "output_adjoint", "filter_adjoint")
# Each size of tile is compiled when it is first used.
KERNELS = {
    M: Kernels(
        "conv2d/winograd.cu",
        {f"winograd_{name}<T, {M}>": {"float": single, "double": double} for name in NAMES},
    )
    for M, single, double in ((2, 80, 96), (4, 112, 160))
}


def winograd(M: int) -> Algorithm:
    """The algorithm with tiles of M x M outputs, M = 2 or 4."""
    A = M + 2

    def forward(x: Any, w: Any, bias: Any, *, dims: Conv2dDims, relu: bool = False) -> Any:
        if refuses(dims):
            return IMPLICIT_GEMM.forward(x, w, bias, dims=dims, relu=relu)
        x, w, bias = dense(x, w, bias)
        filters = _transform_filters(w, turned=False)
        return _correlate(x, filters, bias, dims.padding, dims.y_shape, int(relu))

    def grad_input(dy: Any, w: Any, *, dims: Conv2dDims) -> Any:
        if refuses(dims):
            return IMPLICIT_GEMM.grad_input(dy, w, dims=dims)
        dy, w = dense(dy, w)
        padding = 2 - dims.padding[0], 2 - dims.padding[1]
        filters = _transform_filters(w, turned=True)
        return _correlate(dy, filters, None, padding, dims.x_shape, 0)

    def grad_weight(dy: Any, x: Any, *, dims: Conv2dDims) -> Any:
        if refuses(dims):
            return IMPLICIT_GEMM.grad_weight(dy, x, dims=dims)
        dy, x = dense(dy, x)
        xp = xp_of(x)
        sums = []
        for images, tiles in _parts(dims.N, dims.P, dims.Q, max(dims.C, dims.K), x.itemsize):
            outputs = xp.empty((A * A, dims.K, _count(tiles)), x.dtype)
            grid = _grid(tiles, dims.K)
            _run("output_adjoint", dy, grid, dy[images], outputs, tiles, dims.K)
            inputs = _transform_inputs(x[images], tiles, dims.padding)
            sums.append(xp.empty((A * A, dims.K, dims.C), x.dtype))
            multiply(outputs, inputs.swapaxes(1, 2), sums[-1])
        total = sums[0]
        if len(sums) > 1:
            total = xp.empty_like(sums[0])
            sum_parts(xp.stack(sums), total)
        dw = xp.empty(dims.w_shape, x.dtype)
        grid = (-(-dims.C // THREADS), dims.K)
        _run("filter_adjoint", dw, grid, total, dw, dims.K, dims.C)
        return dw

    def _correlate(
        x: Any, filters: Any, bias: Any, padding: tuple[int, int], shape: tuple, relu: int
    ) -> Any:
        """y of this shape from x and transformed filters (A A, K, C)."""
        N, K, P, Q = shape
        y = xp_of(x).empty(shape, x.dtype)
        for images, tiles in _parts(N, P, Q, max(K, x.shape[1]), x.itemsize):
            inputs = _transform_inputs(x[images], tiles, padding)
            products = xp_of(x).empty((A * A, K, inputs.shape[2]), x.dtype)
            multiply(filters, inputs, products)
            grid = _grid(tiles, K)
            _run("output", y, grid, products, bias, y[images], tiles, K, relu)
        return y

    def _transform_filters(w: Any, *, turned: bool) -> Any:
        K, C = w.shape[:2]
        filters = xp_of(w).empty((A * A, C, K) if turned else (A * A, K, C), w.dtype)
        _run("filter", w, (-(-C // THREADS), K), w, filters, K, C, int(turned))
        return filters

    def _transform_inputs(x: Any, tiles: Any, padding: tuple[int, int]) -> Any:
        _, C, H, W = x.shape
        inputs = xp_of(x).empty((A * A, C, _count(tiles)), x.dtype)
        _run("input", x, _grid(tiles, C), x, inputs, tiles, C, H, W, *padding)
        return inputs

    def _parts(N: int, P: int, Q: int, channels: int, itemsize: int) -> Iterator[tuple[slice, Any]]:
        """Runs of images whose tiles fit the workspace, with their struct Tiles."""
        down, across = -(-P // M), -(-Q // M)
        image = A * A * down * across
        most = max(1, min(WORKSPACE // (image * channels * itemsize), 2**30 // (down * across)))
        for first in range(0, N, most):
            last = min(first + most, N)
            yield slice(first, last), np.array((last - first, P, Q, down, across), TILES)

    def _run(name: str, like: Any, grid: tuple[int, int], *args: Any) -> None:
        run(KERNELS[M], f"winograd_{name}<T, {M}>", like, grid, (THREADS,), *args)

    return Algorithm(forward, grad_input, grad_weight)


def _count(tiles: Any) -> int:
    return int(tiles["N"]) * int(tiles["down"]) * int(tiles["across"])


def _grid(tiles: Any, channels: int) -> tuple[int, int]:
    return -(-_count(tiles) // THREADS), channels


WINOGRAD = winograd(2)
WINOGRAD_4 = winograd(4)
