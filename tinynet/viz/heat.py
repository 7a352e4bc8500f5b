"""A map of numbers over the image that it is about."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from .figure import INK, new_figure, picture
from .looking import host_array


def over_image(
    image: Tensor, heat: np.ndarray, title: str, *, mix: float = 0.4, signed: bool = False
) -> Any:
    """The image, and beside it the map, laid over the image with this share of it showing.

    signed: red is above 0 and blue below; otherwise light is much.
    """
    pixels = picture(host_array(image)[0])
    H, W = heat.shape
    figure = new_figure(6.2, 3.1 * H / W + 0.4)
    left, right = figure.subplots(1, 2)
    left.imshow(pixels, cmap="gray", vmin=0, vmax=1)
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=-1)
    right.imshow(grey, cmap="gray", vmin=0, vmax=1)
    top = float(np.abs(heat).max()) or 1.0
    shown = right.imshow(
        heat,
        cmap="RdBu_r" if signed else "inferno",
        vmin=-top if signed else 0,
        vmax=top,
        alpha=1 - mix,
    )
    for axes in (left, right):
        axes.axis("off")
    bar = figure.colorbar(shown, ax=right, shrink=0.85)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=INK)
    right.set_title(title, loc="left", fontsize=9, color=INK)
    return figure
