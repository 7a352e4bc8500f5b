"""The filters of a convolution as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from .figure import FAINT, new_figure
from .looking import host_array


def filters(weight: Any, *, columns: int = 8, most: int = 64, title: str = "") -> Any:
    """The filters (K, C, R, S) of a convolution: in colour where C = 3, else one by one.

    Filters of three channels are shown as colour images around grey; of others each of the K * C
    planes, a filter's channels beside one another, blue below 0 and red above. One scale for all,
    so that a filter that stayed small looks pale. At most `most` pictures.

    weight: a tensor, or a layer that has one.
    """
    w = weight if isinstance(weight, Tensor) else getattr(weight, "weight", None)
    if w is None or w.ndim != 4:
        raise ValueError(
            "filters: the weight of a convolution is (K, C, R, S), but "
            f"{'there is none' if w is None else f'it is {tuple(w.shape)}'}."
        )
    planes = host_array(w)
    K, C, R, S = planes.shape
    top = float(np.abs(planes).max()) or 1.0
    colour = C == 3
    if colour:
        pictures = np.moveaxis(planes, 1, -1) / (2 * top) + 0.5  # (K, R, S, 3), 0.5 is 0
    else:
        pictures = planes.reshape(K * C, R, S)
        columns = columns if C == 1 else min(C, 16)
    pictures = pictures[:most]
    rows = -(-len(pictures) // columns)
    figure = new_figure(0.75 * columns, 0.75 * rows + 0.4)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, one in zip(grid.flat, pictures, strict=False):
        axes.imshow(one, cmap=None if colour else "RdBu_r", vmin=-top, vmax=top)
    shown = f"{len(pictures)} of " if len(pictures) < (K if colour else K * C) else ""
    heading = f"{shown}{K} filters of {C} x {R} x {S}, up to {top:.2g}"
    figure.suptitle(
        f"{title}   {heading}" if title else heading, x=0.01, ha="left", fontsize=9, color=FAINT
    )
    return figure
