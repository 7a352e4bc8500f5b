"""Light and dark: of PIL images, and of tensors of bytes or of floats 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..random import default_generator
from ..tensor import Tensor
from .convert import is_picture
from .geometry import with_pillow


def _largest(image: Tensor) -> float:
    return 1.0 if image.is_floating_point() else 255


def _bytes(image: Any, name: str) -> None:
    if isinstance(image, Tensor) and image.array.dtype != np.uint8:
        raise TypeError(
            f"{name}: Only torch.uint8 image tensors are supported, found {image.dtype}"
        )


def invert(img: Any) -> Any:
    """Light and dark exchanged: 255 - x, or 1 - x."""
    if is_picture(img):
        from PIL import ImageOps

        return ImageOps.invert(img)
    return wrap((_largest(img) - img.array).astype(img.array.dtype))


def posterize(img: Any, bits: int) -> Any:
    """The upper `bits` bits of each byte."""
    _bytes(img, "posterize")
    if is_picture(img):
        from PIL import ImageOps

        return ImageOps.posterize(img, bits)
    return wrap(img.array & np.uint8(256 - 2 ** (8 - bits)))


def solarize(img: Any, threshold: float) -> Any:
    """Values from `threshold` on inverted."""
    if is_picture(img):
        from PIL import ImageOps

        return ImageOps.solarize(img, int(threshold))
    return wrap(np.where(img.array >= threshold, invert(img).array, img.array))


def autocontrast(img: Any) -> Any:
    """Each channel stretched so that it goes from darkest to brightest."""
    if isinstance(img, Tensor) and img.is_floating_point():
        low = img.array.min(axis=(-2, -1), keepdims=True)
        high = img.array.max(axis=(-2, -1), keepdims=True)
        flat = high == low
        stretched = (img.array - low) / np.where(flat, 1, high - low)
        return wrap(np.where(flat, img.array, stretched).astype(img.array.dtype))
    return with_pillow(img, lambda picture: _image_ops().autocontrast(picture))


def equalize(img: Any) -> Any:
    """Each channel's values spread so that all are about as frequent."""
    _bytes(img, "equalize")
    return with_pillow(img, lambda picture: _image_ops().equalize(picture))


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """0 gives a blurred image, 1 the image itself, 2 twice as sharp a one."""
    if sharpness_factor < 0:
        raise ValueError(f"sharpness_factor ({sharpness_factor}) is not non-negative.")
    _bytes(img, "adjust_sharpness")

    def sharper(picture: Any) -> Any:
        from PIL import ImageEnhance

        return ImageEnhance.Sharpness(picture).enhance(sharpness_factor)

    return with_pillow(img, sharper)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain x^gamma, for values x from 0 to 1: darker for gamma above 1, lighter below."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    if is_picture(img):
        table = [int((255 + 1 - 1e-3) * gain * (v / 255.0) ** gamma) for v in range(256)]
        return img.point([min(v, 255) for v in table] * len(img.getbands()))
    whole = _largest(img)
    x = np.clip(gain * (img.array / whole) ** gamma, 0, 1) * (whole if whole == 1 else 255.999)
    return wrap(x.astype(img.array.dtype))


def _image_ops() -> Any:
    from PIL import ImageOps

    return ImageOps


class _WithProbability:
    """A change of the image with probability p."""

    change: Callable[..., Any]
    names: tuple[str, ...] = ()  # the parameters, which the change gets in this order

    def __call__(self, image: Any) -> Any:
        if default_generator.numpy.random() >= self.p:
            return image
        return type(self).change(image, *(getattr(self, name) for name in self.names))

    p: float

    def __repr__(self) -> str:
        shown = "".join(f"{name}={getattr(self, name)}," for name in self.names)
        return f"{type(self).__name__}({shown}p={self.p})"


class RandomInvert(_WithProbability):
    """`functional.invert` with probability p."""

    change = staticmethod(invert)

    def __init__(self, p: float = 0.5) -> None:
        self.p = p


class RandomPosterize(_WithProbability):
    """`functional.posterize` with probability p."""

    change, names = staticmethod(posterize), ("bits",)

    def __init__(self, bits: int, p: float = 0.5) -> None:
        self.bits, self.p = bits, p


class RandomSolarize(_WithProbability):
    """`functional.solarize` with probability p."""

    change, names = staticmethod(solarize), ("threshold",)

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        self.threshold, self.p = threshold, p


class RandomAdjustSharpness(_WithProbability):
    """`functional.adjust_sharpness` with probability p."""

    change, names = staticmethod(adjust_sharpness), ("sharpness_factor",)

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        self.sharpness_factor, self.p = sharpness_factor, p


class RandomAutocontrast(_WithProbability):
    """`functional.autocontrast` with probability p."""

    change = staticmethod(autocontrast)

    def __init__(self, p: float = 0.5) -> None:
        self.p = p


class RandomEqualize(_WithProbability):
    """`functional.equalize` with probability p."""

    change = staticmethod(equalize)

    def __init__(self, p: float = 0.5) -> None:
        self.p = p
