"""Tiles of matrix products on CUDA: their kernels, launches, and how a long sum is cut.

What runs, and how it is cut, depends on the shape alone: the same bits every run, on every GPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .device_arrays import LARGEST_GRID_Z, THREADS, blocks_for, run, xp_of
from .launch import Kernels
from .tiling import round_up

BLOCKS_WANTED = 264  # two for each of the 132 multiprocessors of a large GPU
# For large tiles: rows and columns of the result must be more than a small tile has, and the large
# tiles enough for one block each.
least_side, least_blocks = 64, 132

SUM = Kernels("sum_parts.cu", {"sum_parts<T>": {"float": 56, "double": 56}})


class Tiles(NamedTuple):
    """One template's parameters: a block computes rows x columns of the result."""

    rows: int
    columns: int
    depth: int  # of the sum that is taken at once
    threads: tuple[int, ...]  # of a block
    parameters: str  # of the template
    shared: int = 0  # bytes of dynamic shared memory

    def grid(self, m: int, n: int, layers: int) -> tuple[int, int, int]:
        """The blocks for m x n results in each of `layers`."""
        return -(-n // self.columns), -(-m // self.rows), layers

    def split(self, m: int, n: int, k: int, layers: int, least: int) -> tuple[int, int]:
        """(pieces, length of one): the sum over k is cut if there are few tiles; see sum_parts.cu.

        A piece has `least` terms or more, in multiples of depth.
        """
        blocks = -(-m // self.rows) * -(-n // self.columns) * layers
        wanted = min(-(-BLOCKS_WANTED // blocks), k // least, LARGEST_GRID_Z // layers)
        length = max(self.depth, round_up(-(-k // max(1, wanted)), self.depth))
        return max(1, -(-k // length)), length


def register_tiles(rows: int, columns: int, depth: int, down: int, across: int) -> Tiles:
    """Tiles of register_tile.cuh, `down` x `across` numbers a thread."""
    threads = rows // down * (columns // across)
    parameters = f"{rows}, {columns}, {depth}, {down}, {across}"
    return Tiles(rows, columns, depth, (threads,), parameters)


def tensor_core_tiles(rows: int, columns: int, down: int, across: int) -> Tiles:
    """Tiles of tensor_core_tile.cuh, `down` x `across` numbers a warp, three pieces under way."""
    depth, stages, pad = 16, 3, 4
    warps = rows // down * (columns // across)
    # [outer][depth + 4] takes more than [depth][outer + 8]
    shared = stages * (rows + columns) * (depth + pad) * 4
    parameters = f"{rows}, {columns}, {down}, {across}"
    return Tiles(rows, columns, depth, (32 * warps,), parameters, shared)


LARGE = register_tiles(128, 128, 8, 8, 8)
SMALL = register_tiles(64, 64, 16, 4, 4)
DOUBLE = register_tiles(64, 64, 8, 4, 4)
LARGE_TF32 = tensor_core_tiles(128, 128, 64, 32)
SMALL_TF32 = tensor_core_tiles(64, 64, 32, 32)


def suited(dtype: Any, m: int, n: int, layers: int, *, tf32: bool = False) -> Tiles:
    """Large tiles reuse more, but must be filled, and enough of them to occupy the GPU."""
    if dtype == np.float64:
        return DOUBLE
    large, small = (LARGE_TF32, SMALL_TF32) if tf32 else (LARGE, SMALL)
    blocks = -(-m // large.rows) * -(-n // large.columns) * layers
    return large if min(m, n) > least_side and blocks >= least_blocks else small


def sum_parts(parts: Any, out: Any) -> None:
    """out = parts[0] + parts[1] + ..., in this order."""
    args = parts, out, np.int64(out.size), len(parts)
    run(SUM, "sum_parts<T>", out, blocks_for(out.size), (THREADS,), *args)


def workspace(out: Any, pieces: int) -> Any:
    """Where the pieces of a sum go: `out` itself if there is only one."""
    return out if pieces == 1 else xp_of(out).empty((pieces, *out.shape), out.dtype)
