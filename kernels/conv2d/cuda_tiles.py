"""Convolutions on CUDA as matrix products, tile by tile, gathered where they are needed.

`TILED` keeps tiles in shared memory, `IMPLICIT_GEMM` in registers too, `IMPLICIT_GEMM_TF32`
multiplies on the tensor cores. Which size of tile is taken, and how grad_weight's long sum is cut,
depends on the shape alone: the same bits every run, on every GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..device_arrays import dense, run, xp_of
from ..launch import Kernels
from ..tiles import (
    DOUBLE,
    LARGE,
    LARGE_TF32,
    SMALL,
    SMALL_TF32,
    Tiles,
    suited,
    sum_parts,
    workspace,
)
from .algorithm import Algorithm
from .cuda_plan import LEAST_PIXELS
from .dims import Conv2dDims
from .passes import forward_pass, grad_input_passes


class Passes(NamedTuple):
    """Kernels that compute the passes as matrix products, tile by tile (products.cuh)."""

    kernels: Kernels
    name: str  # of the kernels, before the pass
    tiles: Tiles
    typed: bool = True  # T is the first parameter of the templates

    def run(self, what: str, out: Any, m: int, n: int, layers: int, *args: Any) -> None:
        """Launch for m x n results in each of `layers`."""
        tiles = self.tiles
        parameters = ["T"] * self.typed + [tiles.parameters] * bool(tiles.parameters)
        name = f"{self.name}_{what}<{', '.join(parameters)}>"
        grid = tiles.grid(m, n, layers)
        run(self.kernels, name, out, grid, tiles.threads, *args, shared=tiles.shared)


def _table(name: str, parameters: str, *registers: Any) -> dict[str, Any]:
    """The registry's table for the three passes."""
    return {
        f"{name}_{what}<{parameters}>": limit
        for what, limit in zip(("forward", "grad_input", "grad_weight"), registers, strict=True)
    }


PLAIN_TILES = Passes(
    Kernels("conv2d/tiled.cu", _table("tiled", "T", *[{"float": 56, "double": 56}] * 3)),
    "tiled",
    Tiles(16, 16, 16, (16, 16), ""),
)
# Each size of tile is compiled when it is first used.
REGISTER_TILES = {
    tiles: Passes(
        Kernels(
            "conv2d/implicit_gemm.cu",
            _table("implicit_gemm", f"T, {tiles.parameters}", *[{T: registers}] * 3),
        ),
        "implicit_gemm",
        tiles,
    )
    for tiles, T, registers in (
        (LARGE, "float", 168),
        (SMALL, "float", 128),
        (DOUBLE, "double", 168),
    )
}
TENSOR_CORE_TILES = {
    tiles: Passes(
        Kernels(
            "conv2d/implicit_gemm_tf32.cu",
            _table("implicit_gemm_tf32", tiles.parameters, *[registers] * 3),
            architecture=80,
        ),
        "implicit_gemm_tf32",
        tiles,
        typed=False,
    )
    for tiles, registers in ((LARGE_TF32, 168), (SMALL_TF32, 128))
}


def _tiled(dtype: Any, m: int, n: int, layers: int) -> Passes:
    return PLAIN_TILES


def _implicit_gemm(dtype: Any, m: int, n: int, layers: int) -> Passes:
    return REGISTER_TILES[suited(dtype, m, n, layers)]


def _implicit_gemm_tf32(dtype: Any, m: int, n: int, layers: int) -> Passes:
    """TF32 is float32's; float64 stays what it is."""
    if dtype == np.float64:
        return _implicit_gemm(dtype, m, n, layers)
    return TENSOR_CORE_TILES[suited(dtype, m, n, layers, tf32=True)]


def _by_tiles(choose: Callable[..., Passes]) -> Algorithm:
    def forward(x: Any, w: Any, bias: Any, *, dims: Conv2dDims, relu: bool = False) -> Any:
        x, w, bias = dense(x, w, bias)
        y = xp_of(x).empty(dims.y_shape, x.dtype)
        if y.size:
            m, n = dims.K // dims.groups, dims.N * dims.P * dims.Q
            args = x, w, bias, y, forward_pass(dims), int(relu)
            choose(x.dtype, m, n, dims.groups).run("forward", y, m, n, dims.groups, *args)
        return y

    def grad_input(dy: Any, w: Any, *, dims: Conv2dDims) -> Any:
        dy, w = dense(dy, w)
        dx = xp_of(dy).empty(dims.x_shape, dy.dtype)
        if dx.size:
            for phase in grad_input_passes(dims):
                m, n = dims.C // dims.groups, int(phase["pixels"])
                passes = choose(dy.dtype, m, n, dims.groups)
                passes.run("grad_input", dx, m, n, dims.groups, dy, w, dx, phase)
        return dx

    def grad_weight(dy: Any, x: Any, *, dims: Conv2dDims) -> Any:
        dy, x = dense(dy, x)
        dw = xp_of(x).empty(dims.w_shape, x.dtype)
        m, n = dims.K // dims.groups, dims.C // dims.groups * dims.R * dims.S
        pixels, groups = dims.N * dims.P * dims.Q, dims.groups
        if dw.size:
            passes = choose(x.dtype, m, n, groups * max(1, pixels // LEAST_PIXELS))
            pieces, length = passes.tiles.split(m, n, pixels, groups, LEAST_PIXELS)
            parts = workspace(dw, pieces)
            args = dy, x, parts, forward_pass(dims), groups, length
            passes.run("grad_weight", dw, m, n, groups * pieces, *args)
            if pieces > 1:
                sum_parts(parts, dw)
        return dw

    return Algorithm(forward, grad_input, grad_weight)


TILED = _by_tiles(_tiled)
IMPLICIT_GEMM = _by_tiles(_implicit_gemm)
IMPLICIT_GEMM_TF32 = _by_tiles(_implicit_gemm_tf32)
