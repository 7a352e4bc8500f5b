"""From pictures to normalised tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..tensor import Tensor


def is_picture(image: Any) -> bool:
    """True for a PIL image."""
    from PIL import Image

    return isinstance(image, Image.Image)


class Compose:
    """One transform after another."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"Compose({lines}\n)"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return "Lambda()"


class ToTensor:
    """A PIL image or an array (H, W) or (H, W, C) as a tensor (C, H, W).

    Bytes 0 to 255 become float32 0 to 1; other types keep their values and their type.
    """

    def __call__(self, image: Any) -> Tensor:
        if is_picture(image):
            # a picture of mode "1" gives booleans
            array = np.asarray(image) * np.uint8(255) if image.mode == "1" else np.asarray(image)
        elif isinstance(image, np.ndarray):
            array = image
        else:
            raise TypeError(f"pic should be PIL Image or ndarray. Got {type(image)}")
        if array.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
        planes = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        if planes.dtype == np.uint8:
            return wrap(np.ascontiguousarray(planes).astype(np.float32) / np.float32(255))
        if planes.dtype == np.uint16:
            planes = planes.astype(np.int16)  # as torchvision does
        return wrap(np.array(planes, order="C"))

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """(x - mean) / std for each channel of a float tensor (..., C, H, W)."""

    def __init__(
        self, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False
    ) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, image: Any) -> Tensor:
        if not isinstance(image, Tensor):
            raise TypeError(f"img should be Tensor Image. Got {type(image)}")
        if not image.is_floating_point():
            raise TypeError(f"Input tensor should be a float tensor. Got {image.dtype}.")
        if image.ndim < 3:
            raise ValueError(
                "Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = "
                f"{image.shape}"
            )
        kind = image.dtype.numpy
        mean, std = (np.asarray(value, kind).reshape(-1, 1, 1) for value in (self.mean, self.std))
        if (std == 0).any():
            raise ValueError(
                f"std evaluated to zero after conversion to {image.dtype}, leading to division by "
                "zero."
            )
        result = image if self.inplace else image.clone()
        return result.sub_(wrap(mean)).div_(wrap(std))

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"
