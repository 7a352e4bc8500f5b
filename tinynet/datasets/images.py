"""Grey images in memory with their labels: what the datasets of this package have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..tensor import Tensor
from ..utils.data import Dataset
from .idx import DatasetError


def normalise(pixels: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Pixels 0 to 255 as networks like them: (pixel / 255 - mean) / std, float32."""
    x = pixels.astype(np.float32)
    x *= np.float32(1 / (255 * std))
    x -= np.float32(mean / std)
    return x


class GreyImages(Dataset):
    """N grey images and their labels, all in memory; an item is (image, label).

    The image is a PIL image of mode "L", changed by `transform`; the label is an int, changed by
    `target_transform`: torchvision's manners.

    data: uint8 Tensor (N, H, W).  targets: int64 Tensor (N,).
    """

    classes: Sequence[str]

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DatasetError(
                f"{type(self).__name__}: images are (N, H, W) = {images.shape}, labels are (N,) = "
                f"{labels.shape}; the two files do not belong together."
            )
        self.data: Tensor = wrap(images)
        self.targets: Tensor = wrap(labels.astype(np.int64))
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image: Any = Image.fromarray(self.data.array[index])
        target: Any = int(self.targets.array[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: label for label, name in enumerate(self.classes)}

    def tensors(self, mean: float = 0.0, std: float = 1.0) -> tuple[Tensor, Tensor]:
        """All images and labels at once, without transforms: the fast way to train.

        x = (pixel / 255 - mean) / std, float32 (N, 1, H, W);  y int64 (N,).
        """
        x = normalise(self.data.array[:, None], mean, std)
        return wrap(x), wrap(self.targets.array.copy())

    def __repr__(self) -> str:
        n, *size = self.data.array.shape
        return f"{type(self).__name__}: {n} grey images of {size[0]}x{size[1]}"
