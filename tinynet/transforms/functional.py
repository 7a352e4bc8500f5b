"""The transforms as functions, with the names of `torchvision.transforms.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import parity as _parity
from ..tensor import Tensor
from .colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    to_grayscale,
)
from .convert import Normalize, PILToTensor, ToPILImage, ToTensor, convert_image_dtype, is_picture
from .geometry import (
    CenterCrop,
    FiveCrop,
    InterpolationMode,
    Pad,
    Resize,
    TenCrop,
    crop,
    image_size,
)
from .geometry import mirror as hflip
from .geometry import turn_over as vflip
from .patch import erase, gaussian_blur
from .tone import (
    adjust_gamma,
    adjust_sharpness,
    autocontrast,
    equalize,
    invert,
    posterize,
    solarize,
)
from .warp import affine, perspective, rotate

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

rgb_to_grayscale = to_grayscale


def to_tensor(pic: Any) -> Tensor:
    """`transforms.ToTensor()` of an image."""
    return ToTensor()(pic)


def pil_to_tensor(pic: Any) -> Tensor:
    """`transforms.PILToTensor()` of an image."""
    return PILToTensor()(pic)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """`transforms.ToPILImage(mode)` of a tensor or array."""
    return ToPILImage(mode)(pic)


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """`transforms.Normalize(mean, std, inplace)` of a tensor."""
    return Normalize(mean, std, inplace)(tensor)


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """`transforms.Resize(...)` of an image."""
    return Resize(size, interpolation, max_size, antialias)(img)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part of an image, resized."""
    return resize(crop(img, top, left, height, width), size, interpolation, None, antialias)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """`transforms.CenterCrop(output_size)` of an image."""
    return CenterCrop(output_size)(img)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, ...]:
    """`transforms.FiveCrop(size)` of an image."""
    return FiveCrop(size)(img)


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """`transforms.TenCrop(size, vertical_flip)` of an image."""
    return TenCrop(size, vertical_flip)(img)


def pad(
    img: Any,
    padding: int | Sequence[int],
    fill: int | tuple[int, ...] = 0,
    padding_mode: str = "constant",
) -> Any:
    """`transforms.Pad(padding, fill, padding_mode)` of an image."""
    return Pad(padding, fill, padding_mode)(img)


def get_image_num_channels(img: Any) -> int:
    """How many channels an image has."""
    return len(img.getbands()) if is_picture(img) else (1 if img.ndim == 2 else img.shape[-3])


def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    return list(image_size(img)[::-1])


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    return [get_image_num_channels(img), *image_size(img)]


__getattr__ = _parity.module_getattr(__name__)
