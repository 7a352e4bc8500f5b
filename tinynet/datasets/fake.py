"""Images of noise, for trying things out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..random import Generator
from ..utils.data import Dataset


class FakeData(Dataset):
    """`size` images of normal noise with random labels; an item is always the same.

    image_size: (C, H, W), C = 1 or 3.  random_offset: added to the seed of each image.
    Pixels are standard normal numbers scaled to the whole range 0 to 255.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        self.size = size
        self.image_size = tuple(image_size)
        self.num_classes = num_classes
        self.transform = transform
        self.target_transform = target_transform
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        if not 0 <= index < self.size:
            raise IndexError(f"{type(self).__name__} index out of range")
        random = Generator().manual_seed(index + self.random_offset).numpy
        noise = random.standard_normal(self.image_size)
        target: Any = int(random.integers(self.num_classes))
        pixels = ((noise - noise.min()) * (255 / (np.ptp(noise) or 1))).round().astype(np.uint8)
        colour = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
        image: Any = Image.fromarray(colour)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return self.size
