"""Images in memory with their labels: what the datasets of this package have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..tensor import Tensor
from ..utils.data import Dataset
from .idx import DatasetError

Number = float | Sequence[float]


def normalise(pixels: np.ndarray, mean: Number, std: Number) -> np.ndarray:
    """Pixels 0 to 255 as networks like them: (pixel / 255 - mean) / std, float32.

    pixels: (..., C, H, W).  mean, std: one number, or one for each channel.
    """
    m, s = (np.asarray(value, np.float64) for value in (mean, std))
    if m.ndim:
        m = m[:, None, None]
    if s.ndim:
        s = s[:, None, None]
    x = pixels.astype(np.float32)
    x *= (1 / (255 * s)).astype(np.float32)
    x -= (m / s).astype(np.float32)
    return x


class ImagesInMemory(Dataset):
    """N images of one size and their labels; an item is (image, label).

    The image is a PIL image, changed by `transform`; the label is an int, changed by
    `target_transform`: torchvision's manners.

    pixels: uint8 array (N, H, W) or (N, H, W, 3).  labels: array of integers (N,).
    """

    classes: Sequence[str]

    def __init__(
        self,
        pixels: np.ndarray,
        labels: np.ndarray,
        *,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if labels.shape != pixels.shape[:1]:
            raise DatasetError(
                f"{type(self).__name__}: images are (N, H, W) = {pixels.shape}, labels are (N,) = "
                f"{labels.shape}; the two files do not belong together."
            )
        self.pixels = pixels
        self.labels = labels.astype(np.int64)
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image: Any = Image.fromarray(self.pixels[index])
        target: Any = int(self.labels[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: label for label, name in enumerate(self.classes)}

    @property
    def planes(self) -> np.ndarray:
        """The pixels channels first: uint8 (N, C, H, W)."""
        pixels = self.pixels
        return pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, -1, 1)

    def tensors(self, mean: Number = 0.0, std: Number = 1.0) -> tuple[Tensor, Tensor]:
        """All images and labels at once, without transforms: the fast way to train.

        x = (pixel / 255 - mean) / std, float32 (N, C, H, W);  y int64 (N,).
        """
        x = normalise(np.ascontiguousarray(self.planes), mean, std)
        return wrap(x), wrap(self.labels.copy())

    def __repr__(self) -> str:
        n, height, width = self.pixels.shape[:3]
        kind = "grey" if self.pixels.ndim == 3 else "RGB"
        return f"{type(self).__name__}: {n} {kind} images of {height}x{width}"


class GreyImages(ImagesInMemory):
    """Grey images.  data: uint8 Tensor (N, H, W).  targets: int64 Tensor (N,), as MNIST's."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, **transforms: Any) -> None:
        if images.ndim != 3:
            raise DatasetError(
                f"{type(self).__name__}: images are (N, H, W), but these are {images.shape}; the "
                "file holds something else."
            )
        super().__init__(images, labels, **transforms)

    @property
    def data(self) -> Tensor:
        """The pixels, uint8 (N, H, W)."""
        return wrap(self.pixels)

    @property
    def targets(self) -> Tensor:
        """The labels, int64 (N,)."""
        return wrap(self.labels)


class ColourImages(ImagesInMemory):
    """RGB images.  data: uint8 array (N, H, W, 3).  targets: list of N ints, as CIFAR's."""

    @property
    def data(self) -> np.ndarray:
        """The pixels, uint8 (N, H, W, 3)."""
        return self.pixels

    @property
    def targets(self) -> list[int]:
        """The labels."""
        return self.labels.tolist()
