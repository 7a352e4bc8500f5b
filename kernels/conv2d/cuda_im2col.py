"""Convolution on CUDA as one matrix product, the columns stored; see im2col.cu.

A workspace holds the columns of some images at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import capture
from ..device_arrays import THREADS, blocks_for, dense, run, xp_of
from ..launch import Kernels
from ..matmul.cuda import multiply
from ..tiles import sum_parts
from .algorithm import Algorithm
from .dims import Conv2dDims
from .shape import shape_record

WORKSPACE = 2**29  # bytes of columns

KERNELS = Kernels(
    "conv2d/im2col.cu",
    {f"{name}<T>": {"float": 56, "double": 64} for name in ("im2col", "col2im", "add_bias")},
)


def by_columns(multiply: Callable[..., None]) -> Algorithm:
    """The algorithm with this product: multiply(a, b, c) writes the batch c = a @ b."""

    def forward(x: Any, w: Any, bias: Any, *, dims: Conv2dDims, relu: bool = False) -> Any:
        x, w, bias = dense(x, w, bias)
        y = xp_of(x).empty(dims.y_shape, x.dtype)
        for images, part in _parts(dims, x) if y.size else ():
            filters = _filters(w, part)
            multiply(filters, _columns(x[images], part), _outputs(y[images], part))
        if y.size and (bias is not None or relu):
            args = y, bias, np.int64(y.size), dims.P * dims.Q, dims.K, int(relu)
            run(KERNELS, "add_bias<T>", y, blocks_for(y.size), (THREADS,), *args)
        return y

    def grad_input(dy: Any, w: Any, *, dims: Conv2dDims) -> Any:
        dy, w = dense(dy, w)
        xp = xp_of(dy)
        dx = xp.empty(dims.x_shape, dy.dtype)
        for images, part in _parts(dims, dy) if dx.size else ():
            columns = xp.empty(_columns_shape(part), dy.dtype)
            multiply(_filters(w, part).swapaxes(1, 2), _outputs(dy[images], part), columns)
            args = columns, dx[images], shape_record(part)
            grid = blocks_for(dx[images].size)
            run(KERNELS, "col2im<T>", dx, grid, (THREADS,), *args)
        return dx

    def grad_weight(dy: Any, x: Any, *, dims: Conv2dDims) -> Any:
        dy, x = dense(dy, x)
        xp = xp_of(x)
        dw = xp.zeros(dims.w_shape, x.dtype)
        if not dw.size or not dy.size:
            return dw
        sums = []
        for images, part in _parts(dims, x):
            batch, J, _ = _columns_shape(part)
            products = xp.empty((batch, part.K // part.groups, J), x.dtype)
            columns = _columns(x[images], part).swapaxes(1, 2)
            multiply(_outputs(dy[images], part), columns, products)
            sums.append(xp.empty(dims.w_shape, x.dtype))
            sum_parts(products.reshape(part.N, *dims.w_shape), sums[-1])
        sum_parts(xp.stack(sums), dw)
        return dw

    return Algorithm(forward, grad_input, grad_weight)


def with_library(a: Any, b: Any, c: Any) -> None:
    """c = a @ b by the array library: cuBLAS for CuPy arrays."""
    capture.refuse("im2col_library multiplies by cuBLAS, which CuPy keeps out of it", "Use im2col.")
    xp_of(c).matmul(a, b, out=c)


def _parts(dims: Conv2dDims, like: Any) -> Iterator[tuple[slice, Conv2dDims]]:
    """Runs of images whose columns fit the workspace."""
    image = dims.C * dims.R * dims.S * dims.P * dims.Q * like.itemsize
    most = max(1, min(WORKSPACE // max(1, image), 65535 // dims.groups))
    for first in range(0, dims.N, most):
        images = slice(first, min(first + most, dims.N))
        yield images, dims.with_images(images.stop - first)


def _columns(x: Any, dims: Conv2dDims) -> Any:
    """(N groups, J, P Q) of the windows of x."""
    columns = xp_of(x).empty(_columns_shape(dims), x.dtype)
    if columns.size:
        args = x, columns, shape_record(dims)
        run(KERNELS, "im2col<T>", x, blocks_for(columns.size), (THREADS,), *args)
    return columns


def _columns_shape(dims: Conv2dDims) -> tuple[int, int, int]:
    return dims.N * dims.groups, dims.C // dims.groups * dims.R * dims.S, dims.P * dims.Q


def _filters(w: Any, dims: Conv2dDims) -> Any:
    """w as one matrix (K / groups, J) for each image and group; for one group a view."""
    batch, J, _ = _columns_shape(dims)
    filters = w.reshape(1, dims.groups, dims.K // dims.groups, J)
    shape = (dims.N, *filters.shape[1:])
    return xp_of(w).broadcast_to(filters, shape).reshape(batch, *filters.shape[2:])


def _outputs(dy: Any, dims: Conv2dDims) -> Any:
    """dy, or y, as one matrix (K / groups, P Q) for each image and group."""
    return dy.reshape(dims.N * dims.groups, dims.K // dims.groups, dims.P * dims.Q)


IM2COL = by_columns(multiply)
IM2COL_LIBRARY = by_columns(with_library)
