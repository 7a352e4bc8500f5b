"""Moving, mirroring and padding: of PIL images, and of tensors (..., H, W).

What is random is drawn from tinynet's default generator, so `manual_seed` repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..ops.shape import flip
from ..random import default_generator
from .convert import is_picture


class RandomHorizontalFlip:
    """Left and right exchanged, with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, image: Any) -> Any:
        if default_generator.numpy.random() >= self.p:
            return image
        if is_picture(image):
            from PIL import ImageOps

            return ImageOps.mirror(image)
        return flip(image, [-1])

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class Pad:
    """A border of `fill` around the image.

    padding: pixels on all sides, or (left and right, top and bottom), or (left, top, right,
        bottom).
    """

    def __init__(self, padding: int | Sequence[int], fill: int | tuple[int, ...] = 0) -> None:
        sides = [padding] * 4 if isinstance(padding, int) else list(padding)
        if len(sides) not in (2, 4):
            raise ValueError(
                f"Padding must be an int or a 2, or 4 element tuple, not a {len(sides)} element "
                "tuple"
            )
        self.left, self.top, self.right, self.bottom = sides * (4 // len(sides))
        self.fill = fill

    def __call__(self, image: Any) -> Any:
        if is_picture(image):
            from PIL import ImageOps

            return ImageOps.expand(
                image, (self.left, self.top, self.right, self.bottom), fill=self.fill
            )
        width = [(0, 0)] * (image.ndim - 2) + [(self.top, self.bottom), (self.left, self.right)]
        return wrap(np.pad(image.numpy(), width, constant_values=self.fill))

    def __repr__(self) -> str:
        sides = (self.left, self.top, self.right, self.bottom)
        return f"Pad(padding={sides}, fill={self.fill})"


class RandomCrop:
    """A part of `size` (one number, or height and width) from a random place, after padding."""

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | Sequence[int] | None = None,
        fill: int | tuple[int, ...] = 0,
    ) -> None:
        self.height, self.width = (size, size) if isinstance(size, int) else size
        self.pad = None if padding is None else Pad(padding, fill)

    def __call__(self, image: Any) -> Any:
        if self.pad is not None:
            image = self.pad(image)
        width, height = image.size if is_picture(image) else image.shape[:-3:-1]
        if height < self.height or width < self.width:
            raise ValueError(
                f"Required crop size {(self.height, self.width)} is larger than input image size "
                f"{(height, width)}"
            )
        top = int(default_generator.numpy.integers(height - self.height + 1))
        left = int(default_generator.numpy.integers(width - self.width + 1))
        if is_picture(image):
            return image.crop((left, top, left + self.width, top + self.height))
        return image[..., top : top + self.height, left : left + self.width]

    def __repr__(self) -> str:
        return f"RandomCrop(size={(self.height, self.width)}, padding={self.pad})"
