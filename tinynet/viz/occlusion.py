"""What the network misses when a part is covered (Zeiler, Fergus 2014, arXiv:1311.2901)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..autograd import no_grad
from ..nn import functional as F
from ..ops.shape import cat
from .heat import over_image
from .looking import class_of, host_array, one_image, undisturbed


def occlusion_map(
    model: nn.Module,
    image: Any,
    target: int | None = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    value: float = 0.0,
    batch_size: int = 64,
) -> np.ndarray:
    """How much the class's probability falls when a pixel is covered, (H, W).

    A square of `size` pixels (default: an eighth of the shorter side) with one value (0: the mean
    of normalised images) moves over the image in steps of `stride` (default: half of it). A pixel
    gets the mean of p(image) - p(covered) over all squares that cover it; the last square of a
    row and of a column ends at the border.

    image: (C, H, W), as the network takes it.  target: a class; None: the one it sees.
    """
    x = one_image(model, image)
    H, W = x.shape[2:]
    size = max(1, min(H, W) // 8) if size is None else size
    stride = max(1, size // 2) if stride is None else stride
    if not 1 <= size <= min(H, W) or stride < 1:
        raise ValueError(
            f"occlusion_map: a square of {size} in steps of {stride} does not fit {H}x{W} pixels."
        )
    places = [(top, left) for top in _steps(H, size, stride) for left in _steps(W, size, stride)]
    drops = []
    with undisturbed(model), no_grad():
        scores = model(x)
        c = class_of(scores, target)
        whole = float(F.softmax(scores, dim=1)[0, c].item())
        for start in range(0, len(places), batch_size):
            covered = []
            for top, left in places[start : start + batch_size]:
                one = x.clone()
                one[:, :, top : top + size, left : left + size] = value
                covered.append(one)
            drops.append(whole - host_array(F.softmax(model(cat(covered, dim=0)), dim=1)[:, c]))
    total, count = np.zeros((H, W)), np.zeros((H, W))
    for (top, left), drop in zip(places, np.concatenate(drops), strict=True):
        part = np.s_[top : top + size, left : left + size]
        total[part] += drop
        count[part] += 1
    return total / np.maximum(count, 1)  # steps longer than the square leave gaps: 0


def _steps(length: int, size: int, stride: int) -> list[int]:
    """Where the squares begin along one axis."""
    steps = list(range(0, length - size + 1, stride))
    return steps if steps[-1] == length - size else [*steps, length - size]


def occlusion(
    model: nn.Module, image: Any, target: int | None = None, title: str = "", **options: Any
) -> Any:
    """The image under its `occlusion_map`, as a figure; the options are that function's."""
    heat = occlusion_map(model, image, target, **options)
    return over_image(one_image(model, image), heat, title or "Occlusion", signed=True)
