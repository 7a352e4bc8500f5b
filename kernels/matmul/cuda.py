"""Launches the CUDA matrix product: on CuPy arrays on the GPU, on NumPy arrays on the CPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import precision
from ..device_arrays import LARGEST_GRID_Z, run, xp_of
from ..dtypes import check_dtypes
from ..launch import Kernels
from ..tiles import (
    DOUBLE,
    LARGE,
    LARGE_TF32,
    SMALL,
    SMALL_TF32,
    suited,
    sum_parts,
    workspace,
)
from .reference import batch_shape

LEAST_DEPTH = 256  # of one piece of a sum that is cut

OPERAND = np.dtype([(name, np.int64) for name in ("outer", "k", "batch")])  # strides

ORDERS = [f"{a}, {b}" for a in ("IN_VECTORS", "ALONG_OUTER") for b in ("IN_VECTORS", "ALONG_OUTER")]
# Each size of tile is compiled when it is first used.
KERNELS = {
    tiles: Kernels(
        "matmul/matmul.cu",
        {f"matmul<T, {tiles.parameters}, {orders}>": {T: registers} for orders in ORDERS},
    )
    for tiles, T, registers in (
        (LARGE, "float", 168),
        (SMALL, "float", 96),
        (DOUBLE, "double", 144),
    )
}
TF32_KERNELS = {
    tiles: Kernels(
        "matmul/matmul_tf32.cu",
        {f"matmul_tf32<{tiles.parameters}, {orders}>": registers for orders in ORDERS},
        architecture=80,
    )
    for tiles, registers in ((LARGE_TF32, 168), (SMALL_TF32, 128))
}


def matmul(a: Any, b: Any) -> Any:
    """c (..., M, N) = a (..., M, K) @ b (..., K, N), batches broadcast; any strides.

    Raises ShapeError if the inner sizes differ or the batches do not broadcast.
    """
    batch = batch_shape(a, b)
    check_dtypes(a, b)
    (M, K), N = a.shape[-2:], b.shape[-1]
    xp = xp_of(a)
    c = xp.empty((*batch, M, N), a.dtype)
    entries = prod(batch)
    products = c.reshape(entries, M, N)
    a = xp.broadcast_to(a, (*batch, M, K)).reshape(entries, M, K)
    b = xp.broadcast_to(b, (*batch, K, N)).reshape(entries, K, N)
    tf32 = precision.tf32["matmul"] and c.dtype == np.float32
    for first in range(0, entries if c.size else 0, LARGEST_GRID_Z):
        part = slice(first, first + LARGEST_GRID_Z)
        multiply(a[part], b[part], products[part], tf32=tf32)
    return c


def multiply(a: Any, b: Any, c: Any, *, tf32: bool = False) -> None:
    """c (batch, M, N) = a (batch, M, K) @ b (batch, K, N); c in C order, batch up to 65535."""
    batch, M, N = c.shape
    K = a.shape[2]
    tiles = suited(c.dtype, M, N, batch * max(1, K // LEAST_DEPTH), tf32=tf32)
    pieces, length = tiles.split(M, N, K, batch, LEAST_DEPTH)
    parts = workspace(c, pieces)
    a, left, left_order = _operand(a, outer=1, k=2)
    b, right, right_order = _operand(b, outer=2, k=1)
    parameters = f"{tiles.parameters}, {left_order}, {right_order}"
    grid = tiles.grid(M, N, batch * pieces)
    args = a, b, parts, left, right, M, N, K, batch, length
    if tf32:
        kernels, name = TF32_KERNELS[tiles], f"matmul_tf32<{parameters}>"
    else:
        kernels, name = KERNELS[tiles], f"matmul<T, {parameters}>"
    run(kernels, name, c, grid, tiles.threads, *args, shared=tiles.shared)
    if pieces > 1:
        sum_parts(parts, c)


def _operand(x: Any, *, outer: int, k: int) -> tuple[Any, Any, str]:
    """The numbers of x (batch, ., .) in C order, its strides, and the order to load it in.

    What lies transposed in memory is read so; what lies otherwise is copied.
    """
    repeated = x.strides[0] == 0 or len(x) == 1
    base = x[0] if repeated else x
    turned = base.swapaxes(-1, -2)
    if turned.flags.c_contiguous and not base.flags.c_contiguous:
        outer, k, base = k, outer, turned
    base = xp_of(x).ascontiguousarray(base)
    size = base.shape[-1]
    strides = tuple(size if axis == 1 else 1 for axis in (outer, k))
    batch = 0 if repeated else base.shape[-2] * size
    order = "IN_VECTORS" if strides[1] == 1 else "ALONG_OUTER"
    return base, np.array((*strides, batch), OPERAND), order
