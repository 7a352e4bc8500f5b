"""Which step of the CUDA staircase `auto` takes for a convolution, and why.

As plan.py does it for the CPU: every candidate states what it would cost, and the cheapest is
taken, each direction for itself. A launch costs the longer of its arithmetic and its memory, and a
moment to begin; Winograd is several launches. The constants are those of one large GPU by its
datasheet (NVIDIA H200), times what well-written kernels of this kind reach. They were NOT measured
with these kernels. Only shapes, the dtype and the TF32 switch decide: the same choice, and with it
the same bits, on every GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from ..matmul.cuda import LEAST_DEPTH
from ..tiles import suited
from ..tiling import round_up
from .dims import Conv2dDims
from .estimate import Choice, Direction, Estimate, chosen, summed
from .passes import counts_fit

# By the datasheet: operations a second in float32, on the tensor cores in TF32, in float64.
FLOAT, TF32, DOUBLE = 67e12, 495e12, 34e12
MEMORY = 4.8e12  # bytes a second
# What is reached of them, as published for such kernels on similar GPUs: register tiles 60 to 90 %
# of the arithmetic, mma.sync on this GPU no more than about half, streams of memory 80 to 90 %.
REACHED, REACHED_TF32, REACHED_MEMORY = 0.7, 0.4, 0.85
NAIVE_REACHED = 0.02  # no reuse but by caches
LAUNCH = 4e-6  # seconds until a kernel works, in a queue of kernels
MULTIPROCESSORS = 132
LEAST_PIXELS = 512  # of one piece of grad_weight's sum
FEW_FILTERS = 8  # below that most of a tile would be empty

WORKSPACE = 2**30  # bytes of Winograd's transformed tiles, for x and y each
WINOGRAD_ERRORS = {2: 12, 4: 40}  # in units of the dtype's eps: winograd.py says where from
TF32_EPS = 2.0**-11


@lru_cache(maxsize=4096)
def choose(dims: Conv2dDims, direction: Direction, dtype: np.dtype, *, tf32: bool) -> Choice:
    """The step for one direction."""
    tf32 = tf32 and dtype == np.float32
    rows = {"forward": dims.K, "grad_input": dims.C}.get(direction, FEW_FILTERS * dims.groups)
    refusals = []
    if not counts_fit(dims):
        estimates = {"naive": _naive(dims, direction, dtype)}
        refusals.append("the others count in 31 bits")
    else:
        name = "implicit_gemm_tf32" if tf32 else "implicit_gemm"
        estimates = {name: _implicit_gemm(dims, direction, dtype, tf32)}
        if rows // dims.groups < FEW_FILTERS:
            estimates["naive"] = _naive(dims, direction, dtype)
        reason = winograd_refuses(dims)
        if reason is None:
            estimates["winograd"] = _winograd(2, dims, direction, dtype)
            estimates["winograd_4x4"] = _winograd(4, dims, direction, dtype)
        else:
            refusals.append(f"winograd {reason}")
    return chosen(dims, direction, dtype, estimates, refusals, "on a large GPU, by its datasheet")


def winograd_refuses(d: Conv2dDims) -> str | None:
    """Why Winograd cannot compute this convolution, or None."""
    if (d.R, d.S) != (3, 3):
        return f"needs 3x3 filters, but these are {d.R}x{d.S}"
    for what, value in (("stride", d.stride), ("dilation", d.dilation)):
        if value != (1, 1):
            return f"needs {what} 1, but the {what} is {value}"
    if d.groups != 1:
        return f"needs one group, but there are {d.groups}"
    if max(d.padding) > 2:
        return f"needs padding up to 2, but it is {d.padding}"
    if not 0 < min(d.N, d.C, d.K) <= max(d.C, d.K) <= 65535:
        return "needs 1 to 65535 channels"
    return None


def _naive(dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Estimate:
    terms = _terms(dims, direction)
    seconds = LAUNCH + max(dims.flops / (_peak(dtype) * NAIVE_REACHED), _moved(dims, dtype))
    return Estimate("", dims.flops // 2, seconds * 1e9, 0, summed(terms, dtype))


def _implicit_gemm(dims: Conv2dDims, direction: Direction, dtype: np.dtype, tf32: bool) -> Estimate:
    d = dims
    window, pixels = d.C // d.groups * d.R * d.S, d.N * d.P * d.Q
    m, n, k = {
        "forward": (d.K // d.groups, pixels, window),
        # of each phase of the stride; together they are as many as these
        "grad_input": (d.C // d.groups, d.N * d.H * d.W, d.K // d.groups * d.R * d.S),
        "grad_weight": (d.K // d.groups, window, pixels),
    }[direction]
    if direction == "grad_input":
        k = -(-k // prod(d.stride))
    least = LEAST_PIXELS if direction == "grad_weight" else None
    product = _product(m, n, k, d.groups, least, dtype, tf32)
    seconds = LAUNCH + max(product.seconds, _moved(dims, dtype))
    error = summed(product.terms, dtype) + (TF32_EPS if tf32 else 0)
    return Estimate("", product.multiplications, seconds * 1e9, product.workspace, error)


def _winograd(M: int, dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Estimate:
    """Two or three transforms, and A A products, whose operands go through memory."""
    d, A = dims, M + 2
    P, Q = (d.H, d.W) if direction == "grad_input" else (d.P, d.Q)
    tiles = d.N * -(-P // M) * -(-Q // M)
    filters, inputs, outputs = (A * A * n for n in (d.K * d.C, d.C * tiles, d.K * tiles))
    m, n, k = {
        "forward": (d.K, tiles, d.C),
        "grad_input": (d.C, tiles, d.K),
        "grad_weight": (d.K, d.C, tiles),
    }[direction]
    product = _product(m, n, k, A * A, LEAST_DEPTH, dtype, False)
    through = _stream((filters + inputs + outputs) * dtype.itemsize)
    # written by one launch, read by the next
    seconds = 4 * LAUNCH + _moved(dims, dtype) + through + max(product.seconds, through)
    most = WORKSPACE // dtype.itemsize
    workspace = (filters + min(inputs, most) + min(outputs, most)) * dtype.itemsize
    error = WINOGRAD_ERRORS[M] * float(np.finfo(dtype).eps)
    workspace += product.workspace
    return Estimate(f"F({M}, 3)", product.multiplications, seconds * 1e9, workspace, error)


class _Product(NamedTuple):
    """What a matrix product costs."""

    seconds: float
    multiplications: int
    workspace: int
    terms: int  # of a sum, one after the other


def _product(
    m: int, n: int, k: int, batch: int, least: int | None, dtype: np.dtype, tf32: bool
) -> _Product:
    """A batch of m x n sums of k products, by tiles; sums are cut in pieces of `least` or more."""
    m, n = max(m, 1), max(n, 1)
    tiles = suited(dtype, m, n, batch * max(1, k // least if least else 1), tf32=tf32)
    pieces, length = tiles.split(m, n, k, batch, least) if least else (1, round_up(k, tiles.depth))
    blocks = prod(tiles.grid(m, n, batch * pieces))
    multiplied = blocks * tiles.rows * tiles.columns * length
    # The last round of blocks takes as long as a full one.
    rounds = -(-blocks // MULTIPROCESSORS) * MULTIPROCESSORS / blocks
    rate = TF32 * REACHED_TF32 if tf32 else _peak(dtype) * REACHED
    workspace = m * n * batch * pieces * dtype.itemsize if pieces > 1 else 0
    seconds = 2 * multiplied * rounds / rate + 2 * _stream(workspace)
    return _Product(seconds, multiplied, workspace, length + pieces)


def _peak(dtype: np.dtype) -> float:
    return DOUBLE if dtype == np.float64 else FLOAT


def _stream(count: float) -> float:
    """Seconds to read or write so many bytes."""
    return count / (MEMORY * REACHED_MEMORY)


def _moved(dims: Conv2dDims, dtype: np.dtype) -> float:
    """Seconds to read or write x, w and y once."""
    return _stream(sum(map(prod, _shapes(dims))) * dtype.itemsize)


def _shapes(dims: Conv2dDims) -> Iterator[tuple[int, ...]]:
    yield from (dims.x_shape, dims.w_shape, dims.y_shape)


def _terms(d: Conv2dDims, direction: Direction) -> int:
    """How many products are added up for one number, at most."""
    if direction == "forward":
        return d.C // d.groups * d.R * d.S
    return d.K // d.groups * d.R * d.S if direction == "grad_input" else d.N * d.P * d.Q
