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

from .. import precision
from .dims import Conv2dDims
from .estimate import DIRECTIONS, Choice, Direction, Estimate, chosen

CANDIDATES = ("winograd", "direct", "im2col_tiled", "im2row")


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
            name = f"{choice.algorithm} {choice.variant}".strip()
            lines.append(
                f"{choice.direction:<12}{name}: "
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
    device: str = "cpu",
) -> Conv2dPlan:
    """How `auto` computes conv2d of x (N, C, H, W) with w (K, C / groups, R, S), and its gradients.

    `device` is "cpu" or "cuda"; what is said for cuda needs no GPU, and comes from its datasheet.
    Raises ShapeError for shapes that conv2d would not take, ValueError for another device.
    """
    dims = Conv2dDims.of(
        x_shape, w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    dtype = np.dtype(dtype)
    if device == "cuda":
        cuda = import_module(".cuda_plan", __package__)
        tf32 = precision.tf32["conv2d"]
        choices = [cuda.choose(dims, direction, dtype, tf32=tf32) for direction in DIRECTIONS]
    elif device == "cpu":
        choices = [choose(dims, direction, dtype) for direction in DIRECTIONS]
    else:
        raise ValueError(f"conv2d_plan: device is cpu or cuda, not {device!r}.")
    return Conv2dPlan(dims, dtype, *choices)


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
    return chosen(dims, direction, dtype, estimates, refusals, "on one thread")
