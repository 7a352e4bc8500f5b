"""Which algorithm `auto` takes for a convolution, and why.

Every fast algorithm states what it cannot do (`refuses`) and what it would cost (`estimate`): its
multiplications at the speed it reaches, plus the numbers it moves around them. The constants were
measured with one thread on an AMD EPYC (Zen 3, AVX2). The cheapest is taken, each direction for
itself. Only shapes, the dtype and the length of the CPU's vectors decide: the choice, and with it
every bit of the result, is the same from run to run and for any number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np

from .dims import Conv2dDims
from .estimate import DIRECTIONS, Direction, Estimate

CANDIDATES = ("winograd", "direct", "im2col_tiled")


@dataclass(frozen=True)
class Choice:
    """The algorithm of one direction, with its costs."""

    direction: Direction
    algorithm: str
    variant: str  # of the algorithm, "F(4, 3)"
    why: str
    flops: int  # by the definition
    multiplied: int  # flops of the multiplications and their additions, as they are done
    bytes: int  # that must move at least: x, w and y once
    workspace: int  # bytes beside these
    error: float  # expected, relative to the largest number of the result


@dataclass(frozen=True)
class Conv2dPlan:
    """What `auto` does for a convolution and its two gradients; str() shows it as a table."""

    dims: Conv2dDims
    dtype: np.dtype
    forward: Choice
    grad_input: Choice
    grad_weight: Choice

    def __str__(self) -> str:
        d = self.dims
        lines = [
            f"conv2d {self.dtype}, x (N, C, H, W) = {d.x_shape}, w (K, C, R, S) = {d.w_shape}, "
            f"y (N, K, P, Q) = {d.y_shape}"
        ]
        for choice in (self.forward, self.grad_input, self.grad_weight):
            lines.append(
                f"{choice.direction:<12}{choice.algorithm} {choice.variant}: "
                f"{choice.flops / 1e9:.3g} GFLOP by the definition, "
                f"{choice.multiplied / 1e9:.3g} multiplied, {choice.bytes / 2**20:.3g} MiB moved, "
                f"{choice.workspace / 2**20:.3g} MiB workspace, error {choice.error:.0e}"
            )
            lines.append(f"{'':<12}{choice.why}")
        return "\n".join(lines)


def conv2d_plan(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    dtype: np.typing.DTypeLike = np.float32,
) -> Conv2dPlan:
    """How `auto` computes conv2d of x (N, C, H, W) with w (K, C / groups, R, S), and its gradients.

    Raises ShapeError for shapes that conv2d would not take.
    """
    dims = Conv2dDims.of(
        x_shape, w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    choices = (choose(dims, direction, np.dtype(dtype)) for direction in DIRECTIONS)
    return Conv2dPlan(dims, np.dtype(dtype), *choices)


@lru_cache(maxsize=4096)
def choose(dims: Conv2dDims, direction: Direction, dtype: np.dtype) -> Choice:
    """The algorithm for one direction."""
    estimates: dict[str, Estimate] = {}
    refusals = []
    for name in CANDIDATES:
        algorithm = import_module(f".{name}", __package__)
        reason = algorithm.refuses(dims)
        if reason is None:
            estimates[name] = algorithm.estimate(dims, direction, dtype)
        else:
            refusals.append(f"{name} {reason}")
    best = min(estimates, key=lambda name: estimates[name].nanoseconds)
    chosen = estimates[best]
    others = [
        f"{name} {estimate.nanoseconds / 1e6:.3g}"
        for name, estimate in estimates.items()
        if name != best
    ]
    why = f"expected to take {chosen.nanoseconds / 1e6:.3g} ms on one thread"
    if others:
        why += f", {', '.join(others)}"
    sizes = (int(np.prod(shape)) for shape in (dims.x_shape, dims.w_shape, dims.y_shape))
    return Choice(
        direction=direction,
        algorithm=best,
        variant=chosen.variant,
        why="; ".join([why, *refusals]),
        flops=dims.flops,
        multiplied=2 * chosen.multiplications,
        bytes=sum(sizes) * dtype.itemsize,
        workspace=chosen.workspace,
        error=chosen.error,
    )
