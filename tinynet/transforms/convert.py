"""Between pictures and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
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


def convert_image_dtype(image: Tensor, dtype: dtypes.dtype = dtypes.float32) -> Tensor:
    """A tensor's values in another type and its range: 0 to 1 for floats, 0 to the largest integer.

    Raises RuntimeError where float32 cannot tell the integers apart (int32, int64).
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    if image.dtype is dtype:
        return image
    if image.is_floating_point():
        if dtype.is_floating_point:
            return image.to(dtype)
        if (image.dtype is dtypes.float32 and dtype in (dtypes.int32, dtypes.int64)) or (
            image.dtype is dtypes.float64 and dtype is dtypes.int64
        ):
            raise RuntimeError(
                f"The cast from {image.dtype} to {dtype} cannot be performed safely."
            )
        return (image * (_largest(dtype) + 1.0 - 1e-3)).to(dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / _largest(image.dtype)
    before, after = _largest(image.dtype), _largest(dtype)
    if before > after:
        return (image // ((before + 1) // (after + 1))).to(dtype)
    return image.to(dtype) * ((after + 1) // (before + 1))


def _largest(dtype: dtypes.dtype) -> int:
    return 1 if dtype is dtypes.bool_ else int(np.iinfo(dtype.numpy).max)


class ConvertImageDtype:
    """`functional.convert_image_dtype` as a transform."""

    def __init__(self, dtype: dtypes.dtype) -> None:
        if not isinstance(dtype, dtypes.dtype):
            raise TypeError("Argument dtype should be of type tinynet.dtype")
        self.dtype = dtype

    def __call__(self, image: Tensor) -> Tensor:
        return convert_image_dtype(image, self.dtype)


class LinearTransformation:
    """(flattened image - mean) times a square matrix: whitening, say."""

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        rows, columns = transformation_matrix.shape
        if rows != columns or mean_vector.shape[0] != rows:
            raise ValueError(
                f"transformation_matrix should be square, and mean_vector of its length; got "
                f"{rows} x {columns} and {mean_vector.shape[0]}"
            )
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def __call__(self, image: Tensor) -> Tensor:
        flat = image.reshape(-1, self.mean_vector.shape[0]) - self.mean_vector
        return (flat @ self.transformation_matrix).reshape(image.shape)

    def __repr__(self) -> str:
        return (
            f"LinearTransformation(transformation_matrix={self.transformation_matrix.tolist()}, "
            f"mean_vector={self.mean_vector.tolist()})"
        )


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
