"""Colours: of PIL images, and of tensors (..., C, H, W) with values 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..random import default_generator
from ..tensor import Tensor
from .convert import is_picture

# how bright red, green and blue look (ITU-R 601-2)
LUMA = (0.2989, 0.587, 0.114)
Strength = float | Sequence[float]


def _planes(image: Any, transform: str) -> np.ndarray:
    """The array of a tensor (..., C, H, W) of floats."""
    if not isinstance(image, Tensor) or image.ndim < 3 or not image.is_floating_point():
        raise TypeError(
            f"{transform} takes a PIL image, or a tensor (..., C, H, W) of floats 0 to 1, not "
            f"{f'{image.dtype} {tuple(image.shape)}' if isinstance(image, Tensor) else type(image)}"
        )
    return image.detach().cpu().numpy()


def _grey(planes: np.ndarray) -> np.ndarray:
    """(..., 3, H, W) -> (..., 1, H, W); one channel stays."""
    if planes.shape[-3] == 1:
        return planes
    weights = np.array(LUMA, planes.dtype)
    return np.einsum("c,...chw->...hw", weights, planes)[..., None, :, :]


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Without colours, in one channel or in three equal ones."""
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if is_picture(img):
        grey = img.convert("L")
        return grey if num_output_channels == 1 else grey.convert("RGB")
    planes = _grey(_planes(img, "Grayscale"))
    return wrap(np.repeat(planes, num_output_channels, axis=-3)).to(img.device)


class Grayscale:
    """Without colours, in one channel or in three equal ones."""

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    def __call__(self, image: Any) -> Any:
        return to_grayscale(image, self.num_output_channels)

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"


class RandomGrayscale:
    """Without colours, with probability p; the number of channels stays."""

    def __init__(self, p: float = 0.1) -> None:
        self.p = p

    def __call__(self, image: Any) -> Any:
        if default_generator.numpy.random() >= self.p:
            return image
        channels = len(image.getbands()) if is_picture(image) else image.shape[-3]
        return to_grayscale(image, channels)

    def __repr__(self) -> str:
        return f"RandomGrayscale(p={self.p})"


class ColorJitter:
    """Brightness, contrast, saturation and hue changed at random, in random order.

    brightness, contrast, saturation: the factor lies in [max(0, 1 - x), 1 + x], or in [low, high].
        0 gives black, a uniform grey, a picture without colours; 1 changes nothing.
    hue: the shift lies in [-x, x] or [low, high], in turns of the colour circle, within +-0.5.
    """

    def __init__(
        self,
        brightness: Strength = 0,
        contrast: Strength = 0,
        saturation: Strength = 0,
        hue: Strength = 0,
    ) -> None:
        self.brightness = _range(brightness, "brightness")
        self.contrast = _range(contrast, "contrast")
        self.saturation = _range(saturation, "saturation")
        self.hue = _range(hue, "hue", middle=0.0, least=-0.5, most=0.5)

    def __call__(self, image: Any) -> Any:
        random = default_generator.numpy
        changes = list(
            zip(
                (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue),
                (self.brightness, self.contrast, self.saturation, self.hue),
                strict=True,
            )
        )
        for i in random.permutation(4):
            change, limits = changes[i]
            if limits is not None:
                image = change(image, float(random.uniform(*limits)))
        return image

    def __repr__(self) -> str:
        return (
            f"ColorJitter(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


def _range(
    value: Strength,
    name: str,
    middle: float = 1.0,
    least: float = 0.0,
    most: float = float("inf"),
) -> tuple[float, float] | None:
    """Least and most of a factor; None if it never changes anything."""
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        low, high = middle - value, middle + value
        if name != "hue":
            low = max(low, 0.0)
    else:
        low, high = (float(v) for v in value)
    if not least <= low <= high <= most:
        raise ValueError(f"{name} values should be between ({least}, {most}), but got {value}.")
    return None if low == high == middle else (float(low), float(high))


def _enhance(image: Any, name: str, factor: float) -> Any:
    from PIL import ImageEnhance

    return getattr(ImageEnhance, name)(image).enhance(factor)


def _blend(planes: np.ndarray, other: Any, factor: float) -> Tensor:
    kind = planes.dtype.type
    return wrap(np.clip(kind(factor) * planes + kind(1 - factor) * other, 0, 1).astype(kind))


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 gives black, 1 the image itself, 2 twice as bright a one."""
    if is_picture(img):
        return _enhance(img, "Brightness", brightness_factor)
    return _blend(_planes(img, "adjust_brightness"), 0, brightness_factor).to(img.device)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 gives a uniform grey, 1 the image itself."""
    if is_picture(img):
        return _enhance(img, "Contrast", contrast_factor)
    planes = _planes(img, "adjust_contrast")
    mean = _grey(planes).mean(axis=(-3, -2, -1), keepdims=True)
    return _blend(planes, mean, contrast_factor).to(img.device)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 gives an image without colours, 1 the image itself."""
    if is_picture(img):
        return _enhance(img, "Color", saturation_factor)
    planes = _planes(img, "adjust_saturation")
    return _blend(planes, _grey(planes), saturation_factor).to(img.device)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """The colour circle turned by hue_factor, -0.5 to 0.5 of a turn."""
    from PIL import Image

    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if is_picture(img):
        if img.mode in ("1", "L", "I", "F"):
            return img
        h, s, v = img.convert("HSV").split()
        # the bytes of the colour circle wrap around
        turned = (np.asarray(h).astype(np.int32) + int(hue_factor * 255)).astype(np.uint8)
        hsv = Image.merge("HSV", (Image.fromarray(turned), s, v))
        return hsv.convert(img.mode)
    planes = _planes(img, "adjust_hue")
    if planes.shape[-3] == 1:
        return img
    return wrap(_turned(planes, hue_factor)).to(img.device)


def _turned(rgb: np.ndarray, shift: float) -> np.ndarray:
    """(..., 3, H, W) with the colour circle turned.

    Each channel c of a colour of hue h is v - v s max(0, min(k, 4 - k, 1)), with k = (n_c + 6 h)
    mod 6 and n = 5, 3, 1 for red, green, blue (Wikipedia, "HSL and HSV", alternative formula).
    """
    red, green, blue = np.moveaxis(rgb, -3, 0)
    value, low = rgb.max(axis=-3), rgb.min(axis=-3)
    chroma = value - low
    safe = np.where(chroma == 0, 1, chroma)
    sixth = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    channels = []
    for n in (5, 3, 1):
        k = (n + sixth + 6 * shift) % 6
        channels.append(value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.stack(channels, axis=-3).astype(rgb.dtype)


class Lighting:
    """AlexNet's change of light: the principal components of ImageNet's colours added at random.

    x + sum_i a_i l_i p_i, with eigenvalues l and eigenvectors p (in columns) of the covariance of
    red, green and blue over all pixels 0 to 1, and a_i normal with standard deviation alphastd,
    drawn once per image. Takes a tensor (..., 3, H, W) of values 0 to 1, or a PIL image RGB.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012, section 4.1.
    """

    EIGVAL = (0.2175, 0.0188, 0.0045)
    EIGVEC = (
        (-0.5675, 0.7192, 0.4009),
        (-0.5808, -0.0045, -0.8140),
        (-0.5836, -0.6948, 0.4203),
    )

    def __init__(
        self,
        alphastd: float = 0.1,
        eigval: Sequence[float] = EIGVAL,
        eigvec: Sequence[Sequence[float]] = EIGVEC,
    ) -> None:
        self.alphastd = alphastd
        self.eigval, self.eigvec = np.asarray(eigval), np.asarray(eigvec)

    def __call__(self, image: Any) -> Any:
        alpha = default_generator.numpy.normal(0.0, self.alphastd, 3)
        shift = self.eigvec @ (alpha * self.eigval)
        if is_picture(image):
            from PIL import Image

            pixels = np.asarray(image.convert("RGB")) + 255 * shift
            return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
        planes = _planes(image, "Lighting")
        return wrap(planes + shift.astype(planes.dtype)[:, None, None]).to(image.device)

    def __repr__(self) -> str:
        return f"Lighting(alphastd={self.alphastd})"
