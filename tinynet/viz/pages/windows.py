"""Pages on operations that move a window over an image: convolution and max pooling."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

import tinynet
from tinynet import kernels, tensor
from tinynet.nn import functional as F

from ...datasets import Clothes
from ...kernels.conv2d import reference
from ...kernels.conv2d.dims import Conv2dDims
from ...tensor import Tensor
from .shell import number, numbers, write_page

LARGEST = 60_000  # numbers of the im2col matrix that a page can draw
FILTERS = {  # what the first filters of a trained network often look like (3x3; others are sampled)
    "vertical edges": lambda r, s: -s,
    "horizontal edges": lambda r, s: -r,
    "a blur": lambda r, s: np.exp(-(r * r + s * s) * 1.5),
    "a sharp point": lambda r, s: np.exp(-(r * r + s * s) * 4) - 0.25,
}


class TooLarge(ValueError):
    """The page would hold more numbers than a browser draws with ease."""


def image(size: int, index: int = 0) -> np.ndarray:
    """A shipped picture of a piece of clothing, (size, size), brightness from 0 to 1.

    Each pixel is the mean of the part of the picture that it covers.
    """
    pixels = Clothes().pixels[index].astype(np.float32).reshape(28, 28) / 255
    fine = np.repeat(np.repeat(pixels, size, 0), size, 1)  # (28 size, 28 size)
    return fine.reshape(size, 28, size, 28).mean((1, 3)).round(3)


def filters(count: int, kernel: int) -> tuple[list[str], np.ndarray]:
    """Names and weights (count, 1, kernel, kernel), their absolute values adding up to 1."""
    r, s = (
        np.mgrid[-1 : 1 : kernel * 1j, -1 : 1 : kernel * 1j] if kernel > 1 else np.zeros((2, 1, 1))
    )
    names = list(FILTERS)[:count]
    made = [np.asarray(FILTERS[name](r, s)) for name in names]
    weights = np.stack([w / max(np.abs(w).sum(), 1e-9) if np.any(w) else w + 1 for w in made])
    return names, weights[:, None].astype(np.float32).round(3)


def conv2d_page(
    path: str | os.PathLike[str],
    *,
    size: int = 12,
    kernel: int = 3,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    count: int = 2,
    index: int = 0,
) -> None:
    """Convolution under the glass: forward as a window, as a product, by each algorithm; backward.

    size: side of the image; count: filters, 1 to 4; index: which shipped picture.
    Raises ShapeError where the window does not fit, TooLarge where the page would be too large.
    """
    names, weights = filters(count, kernel)
    how: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    pixels = image(size, index)[None, None]
    dims = Conv2dDims.of(pixels.shape, weights.shape, **how)
    _check(dims.C * dims.R * dims.S * dims.P * dims.Q)
    x, w = tensor(pixels, requires_grad=True), tensor(weights, requires_grad=True)
    y = F.conv2d(x, w, **how)
    dy = _half_square(y)
    write_page(
        path,
        title="conv2d under the glass",
        body="conv2d.html",
        styles=("shell.css", "explain.css"),
        scripts=("shell.js", "explain.js", "conv2d.js"),
        data={
            **how,
            "kernel": kernel,
            "filters": names,
            **{k: getattr(dims, k) for k in "HWKRSPQ"},
            "x": numbers(x.array),
            "w": numbers(w.array),
            "y": numbers(y.array),
            "columns": numbers(reference.im2col(x.array, dims)),
            "dy": numbers(dy),
            "dx": numbers(x.grad.array),
            "dw": numbers(w.grad.array),
            "algorithms": _algorithms(x.array, w.array, dims),
        },
    )


def _check(count: int) -> None:
    if count > LARGEST:
        raise TooLarge(
            f"the page would draw {count:,} numbers, more than {LARGEST:,}. Choose a smaller "
            "--size or --kernel, or a larger --stride"
        )


def _half_square(y: Tensor) -> np.ndarray:
    """Backward from L = sum(y^2) / 2, so that dy = y: a gradient one can recognise."""
    y.retain_grad()
    ((y * y).sum() / 2).backward()
    return y.grad.array


ABOUT = {
    "naive": "seven nested loops, the definition",
    "im2col": "every window a column, then one matrix product",
    "im2col_tiled": "the same, a few columns at a time, so that they stay in the cache",
    "im2row": "every window a row, beside the filters where they lie",
    "direct": "loops over blocks of outputs that stay in registers, nothing laid out",
    "winograd": "tiles transformed, so that a product yields several outputs",
    "fft": "a product of spectra",
}


def _algorithms(x: np.ndarray, w: np.ndarray, dims: Conv2dDims) -> list[dict[str, Any]]:
    """Each algorithm's own result, and what it costs by its own account."""
    exact = reference.forward(x.astype(np.float64), w.astype(np.float64), None, dims=dims)
    plan = tinynet.conv2d_plan(
        x.shape, w.shape, stride=dims.stride, padding=dims.padding, dilation=dims.dilation
    )
    deep = replace(dims, C=64, K=64)  # where vectors are full, and transforms pay
    found = []
    for name, module in kernels.ALGORITHMS["conv2d"].items():
        algorithm = import_module(f"{kernels.__name__}.{module}")
        refusal = algorithm.refuses(dims) if hasattr(algorithm, "refuses") else None
        row: dict[str, Any] = {"name": name, "about": ABOUT.get(name, ""), "refusal": refusal}
        if refusal is None:
            if hasattr(algorithm, "estimate"):
                here, there = (algorithm.estimate(d, "forward", x.dtype) for d in (dims, deep))
                row["variant"] = here.variant
                row["multiplications"] = [here.multiplications, there.multiplications]
                row["workspace"] = here.workspace
            else:  # the readable ones, by the definition
                row["multiplications"] = [d.flops // 2 for d in (dims, deep)]
                row["workspace"] = reference.im2col(x, dims).nbytes if name == "im2col" else 0
            with kernels.use(conv2d=name) as backend:
                y = backend.conv2d.forward(x, w, None, dims=dims)
            row["error"] = number(np.abs(y - exact).max())
            row["chosen"] = plan.forward.algorithm == name
        found.append(row)
    return found


def max_pool2d_page(
    path: str | os.PathLike[str],
    *,
    size: int = 12,
    kernel: int = 2,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    index: int = 0,
) -> None:
    """Max pooling under the glass: which pixel wins a window, and the way of its gradient.

    Raises RuntimeError where the window does not fit, TooLarge where the page would be too large.
    """
    stride = kernel if stride is None else stride
    x = tensor(image(size, index)[None, None], requires_grad=True)
    y, winners = F.max_pool2d(
        x, kernel, stride=stride, padding=padding, dilation=dilation, return_indices=True
    )
    _check(kernel * kernel * y.numel())
    dy = _half_square(y)
    write_page(
        path,
        title="max_pool2d under the glass",
        body="max_pool2d.html",
        styles=("shell.css", "explain.css"),
        scripts=("shell.js", "explain.js", "max_pool2d.js"),
        data={
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "H": size,
            "W": size,
            "P": y.shape[-2],
            "Q": y.shape[-1],
            "x": numbers(x.array),
            "y": numbers(y.array),
            "winners": numbers(winners.array),
            "dy": numbers(dy),
            "dx": numbers(x.grad.array),
        },
    )
