"""Between pictures and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..tensor import Tensor


def is_picture(image: Any) -> bool:
    """True for a PIL image."""
    from PIL import Image

    return isinstance(image, Image.Image)


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


class PILToTensor:
    """A PIL image as a tensor (C, H, W) of the same numbers, uint8 for most."""

    def __call__(self, image: Any) -> Tensor:
        if not is_picture(image):
            raise TypeError(f"pic should be PIL Image. Got {type(image)}")
        array = np.array(image)
        planes = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        if planes.dtype == np.uint16:
            planes = planes.astype(np.int16)  # as torchvision does
        return wrap(np.array(planes, order="C"))

    def __repr__(self) -> str:
        return "PILToTensor()"


class ToPILImage:
    """A tensor (C, H, W) or (H, W), or an array (H, W, C) or (H, W), as a PIL image.

    Floats of a tensor, 0 to 1, become bytes 0 to 255, rounded down as torchvision does.
    mode: PIL's name of the colours; None chooses L, LA, RGB or RGBA by C, and for one channel of
        other types I;16, I or F.
    """

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, image: Any) -> Any:
        from PIL import Image

        if isinstance(image, Tensor):
            if image.ndim not in (2, 3):
                raise ValueError(f"pic should be 2/3 dimensional. Got {image.ndim} dimensions.")
            array = image.detach().cpu().numpy()
            if image.is_floating_point() and self.mode != "F":
                array = (array * 255).astype(np.uint8)
            array = array if array.ndim == 2 else np.moveaxis(array, 0, -1)
        elif isinstance(image, np.ndarray):
            array = image
            if array.ndim not in (2, 3):
                raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
        else:
            raise TypeError(f"pic should be Tensor or ndarray. Got {type(image)}.")
        channels = array.shape[2] if array.ndim == 3 else 1
        if channels not in (1, 2, 3, 4):
            raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
        array = np.ascontiguousarray(array[..., 0] if array.shape[2:] == (1,) else array)
        if channels == 1 and array.dtype.kind == "i" and array.itemsize == 8:
            array = array.astype(np.int32)
        if channels > 1 and array.dtype != np.uint8:
            raise TypeError(f"Input type {array.dtype} is not supported")
        picture = Image.fromarray(array)
        natural = {1: picture.mode, 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        mode = self.mode or natural
        if mode == natural:
            return picture
        possible = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}
        if mode not in possible.get(channels, ()):
            raise ValueError(f"Mode {mode} does not fit an image of {channels} channels")
        return Image.frombytes(mode, picture.size, array.tobytes())

    def __repr__(self) -> str:
        return "ToPILImage(" + (f"mode={self.mode}" if self.mode is not None else "") + ")"


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
