"""The loss around a network, along two directions in the space of its weights (Li, Xu, Taylor,
Studer, Goldstein 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn
from ..autograd import no_grad
from ..device import xp_of
from ..random import Generator
from ..tensor import Tensor
from .figure import FAINT, INK, new_figure, quiet
from .looking import host_array, undisturbed

Direction = Sequence[np.ndarray]  # one for each parameter


@dataclass(frozen=True)
class LossGrid:
    """losses[i, j] = loss(w + along[i] * first + along[j] * second)."""

    along: np.ndarray
    losses: np.ndarray


def random_direction(model: nn.Module, seed: int) -> list[np.ndarray]:
    """A random direction d, normalised filter by filter: |d of a filter| = |the filter|.

    A filter is what makes one output: a row of a linear layer's weight, a (C, R, S) block of a
    convolution's. Biases and the parameters of normalisation stay as they are (0). Thus a step of
    1 changes every filter by as much as it is long, and networks whose filters differ in scale
    only, which compute the same, have the same picture.
    """
    generator = Generator().manual_seed(seed)
    direction = []
    for p in model.parameters():
        w = host_array(p).astype(np.float64)
        d = np.zeros(w.shape)
        if w.ndim > 1:
            d = generator.numpy.standard_normal(w.shape)
            rows = tuple(range(1, w.ndim))
            d *= np.sqrt((w * w).sum(rows, keepdims=True) / (d * d).sum(rows, keepdims=True))
        direction.append(d)
    return direction


def loss_grid(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    *,
    span: float = 1.0,
    points: int = 21,
    seed: int = 0,
    directions: tuple[Direction, Direction] | None = None,
) -> LossGrid:
    """The loss at points x points places from -span to span along two directions.

    loss: as `lambda net: F.cross_entropy(net(images), labels)`; computed in evaluation mode
        without gradients.
    directions: two lists of arrays, one for each parameter; None: two random ones by `seed`.
    The weights are put back, to the bit.
    """
    if directions is None:
        directions = random_direction(model, 2 * seed), random_direction(model, 2 * seed + 1)
    parameters = list(model.parameters())
    before = [p.array.copy() for p in parameters]
    along = np.linspace(-span, span, points)
    losses = np.empty((points, points))
    with undisturbed(model), no_grad():
        try:
            for i, a in enumerate(along):
                for j, b in enumerate(along):
                    for p, w, d, e in zip(parameters, before, *directions, strict=True):
                        p.array[...] = w + xp_of(w).asarray(a * d + b * e, dtype=w.dtype)
                    losses[i, j] = loss(model).item()
        finally:
            for p, w in zip(parameters, before, strict=True):
                p.array[...] = w
    return LossGrid(along, losses)


def loss_surface(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], title: str = "", **options: Any
) -> Any:
    """`loss_grid` as a landscape and as its contour lines, as a figure; options as there.

    Heights are logarithms, as the loss far away is often a thousand times that of the middle.
    """
    grid = loss_grid(model, loss, **options)
    # infinitely high is as high as the highest
    finite = np.where(np.isfinite(grid.losses), grid.losses, np.nan)
    height = np.log10(np.nan_to_num(finite, nan=float(np.nanmax(finite))).clip(1e-12))
    figure = new_figure(9.0, 4.0)
    left = figure.add_subplot(1, 2, 1, projection="3d")
    right = figure.add_subplot(1, 2, 2)
    x, y = np.meshgrid(grid.along, grid.along, indexing="ij")
    left.plot_surface(x, y, height, cmap="viridis", linewidth=0, rstride=1, cstride=1)
    left.locator_params(nbins=5)
    left.set_zlabel("log10 of the loss", fontsize=8, color=INK)
    quiet(right)
    right.grid(False)
    lines = right.contourf(x, y, height, levels=24, cmap="viridis")
    right.plot([0], [0], marker="+", color="white", markersize=9)
    right.set_aspect("equal")
    bar = figure.colorbar(lines, ax=right, shrink=0.85)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{10**value:.2g}")
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=INK)
    bar.outline.set_visible(False)
    for axes in (left, right):
        axes.set_xlabel("first direction", fontsize=8, color=INK)
        axes.set_ylabel("second direction", fontsize=8, color=INK)
        axes.tick_params(labelsize=8)
    middle = grid.losses[len(grid.along) // 2, len(grid.along) // 2]
    heading = f"loss {middle:.3g} in the middle, {float(np.nanmax(finite)):.3g} at most"
    if not math.isfinite(grid.losses.max()):
        heading += ", not finite in places"
    figure.suptitle(
        f"{title}   {heading}" if title else heading, x=0.01, ha="left", fontsize=9, color=FAINT
    )
    return figure
