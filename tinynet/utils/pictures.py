"""Batches of images as one picture, with torchvision's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ..autograd.tape import wrap
from ..ops.shape import stack
from ..tensor import Tensor


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images side by side: (N, C, H, W), or a list of (C, H, W), becomes (C, H', W').

    nrow: images in a row.  padding: pixels around each, of value pad_value.
    normalize: scale values to 0 to 1, from value_range, or from the least and largest of all
        images, of each image if scale_each.
    Grey images become RGB. One image alone gets no border. Raises TypeError for what is no tensor.
    """
    if not isinstance(tensor, Tensor):
        if not isinstance(tensor, list) or not all(isinstance(t, Tensor) for t in tensor):
            raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
        tensor = cast("Tensor", stack(tensor))
    place = tensor.device
    images = tensor.detach().cpu().numpy()
    if not 2 <= images.ndim <= 4:
        raise ValueError(f"make_grid: images are (N, C, H, W), but these are {images.shape}")
    while images.ndim < 4:
        images = images[None]
    if images.shape[1] == 1:
        images = np.repeat(images, 3, axis=1)
    if normalize:
        parts = [_scaled(image, value_range) for image in images] if scale_each else None
        images = np.stack(parts) if parts else _scaled(images, value_range)
    if len(images) == 1:
        return wrap(np.array(images[0])).to(place)
    count, channels, height, width = images.shape
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    down, across = height + padding, width + padding
    shape = (channels, down * rows + padding, across * columns + padding)
    grid = np.full(shape, pad_value, images.dtype)
    for i, image in enumerate(images):
        top, left = padding + i // columns * down, padding + i % columns * across
        grid[:, top : top + height, left : left + width] = image
    return wrap(grid).to(place)


def _scaled(images: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray:
    low, high = limits or (float(images.min()), float(images.max()))
    return (np.clip(images, low, high) - images.dtype.type(low)) / images.dtype.type(
        max(high - low, 1e-5)
    )


def save_image(tensor: Tensor | Sequence[Tensor], fp: Any, format: Any = None, **grid: Any) -> None:
    """Write images as one picture file; values 0 to 1 become bytes 0 to 255, rounded.

    fp: a path or a binary file.  format: Pillow's name of the format, if fp does not say it.
    grid: the arguments of `make_grid`.
    """
    from PIL import Image

    planes = make_grid(tensor, **grid).cpu().numpy()
    pixels = np.clip(planes * 255 + 0.5, 0, 255).astype(np.uint8)
    Image.fromarray(np.moveaxis(pixels, 0, -1)).save(fp, format=format)
