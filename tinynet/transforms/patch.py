"""Blur, and rectangles that are erased."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..random import default_generator
from ..tensor import Tensor
from .convert import is_picture
from .geometry import image_size


def _two(value: float | Sequence[float]) -> tuple[Any, Any]:
    return (value, value) if isinstance(value, int | float) else (value[0], value[-1])


def gaussian_blur(
    img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Any:
    """Blurred with a Gaussian of standard deviation sigma, in x and y; the border is mirrored.

    kernel_size: how many pixels it reaches over, odd.  sigma: default 0.15 kernel_size + 0.35.
    """
    sizes = _two(kernel_size)
    if any(k <= 0 or k % 2 == 0 for k in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {kernel_size}")
    sigmas = [0.15 * k + 0.35 for k in sizes] if sigma is None else list(_two(sigma))
    if any(s <= 0.0 for s in sigmas):
        raise ValueError(f"sigma should have positive values. Got {sigma}")
    if is_picture(img):
        from PIL import Image

        array = np.asarray(img)
        planes = array if array.ndim == 2 else np.moveaxis(array, -1, 0)
        blurred = _blurred(planes, sizes, sigmas)
        return Image.fromarray(blurred if array.ndim == 2 else np.moveaxis(blurred, 0, -1))
    return wrap(_blurred(img.detach().cpu().numpy(), sizes, sigmas)).to(img.device)


def _blurred(planes: np.ndarray, sizes: Sequence[int], sigmas: Sequence[float]) -> np.ndarray:
    kind = planes.dtype.type if planes.dtype.kind == "f" else np.float32
    x = planes.astype(kind)
    for axis, size, sigma in zip((-1, -2), sizes, sigmas):
        half = (size - 1) / 2
        weights = np.exp(-0.5 * (np.linspace(-half, half, size) / sigma) ** 2)
        weights /= weights.sum()
        pads = [(0, 0)] * x.ndim
        pads[axis] = (size // 2, size // 2)
        padded = np.moveaxis(np.pad(x, pads, mode="reflect"), axis, -1)
        n = x.shape[axis]
        mixed = np.zeros_like(padded[..., :n])
        for i, weight in enumerate(weights):
            mixed += kind(weight) * padded[..., i : i + n]
        x = np.moveaxis(mixed, -1, axis)
    if planes.dtype.kind != "f":
        x = x.round()
    return np.ascontiguousarray(x.astype(planes.dtype))


class GaussianBlur:
    """Blurred with a Gaussian whose standard deviation is drawn from [low, high], or given."""

    def __init__(
        self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)
    ) -> None:
        self.kernel_size = _two(kernel_size)
        if any(k <= 0 or k % 2 == 0 for k in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = _two(sigma)
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")

    def __call__(self, image: Any) -> Any:
        sigma = float(default_generator.numpy.uniform(*self.sigma))
        return gaussian_blur(image, self.kernel_size, sigma)

    def __repr__(self) -> str:
        return f"GaussianBlur(kernel_size={self.kernel_size}, sigma={self.sigma})"


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """A tensor (..., C, H, W) with v in the rectangle of h by w from row i, column j on."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    result = img if inplace else img.clone()
    result[..., i : i + h, j : j + w] = v
    return result


class RandomErasing:
    """A random rectangle of a tensor (..., C, H, W) erased, with probability p.

    scale: least and most share of the image's area.  ratio: least and most height / width.
    value: what is written: a number, one for each channel, or "random" (normal).

    Source: Zhong, Zheng, Kang, Li, Yang, "Random Erasing Data Augmentation", 2017.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
        inplace: bool = False,
    ) -> None:
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError("Scale should be between 0 and 1")
        if not 0 <= p <= 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio = p, scale, ratio
        self.value, self.inplace = value, inplace

    def __call__(self, image: Tensor) -> Tensor:
        random = default_generator.numpy
        if random.random() >= self.p:
            return image
        H, W = image_size(image)
        for _ in range(10):
            area = H * W * random.uniform(self.scale[0], self.scale[1])
            proportion = math.exp(random.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            h, w = (round(math.sqrt(area * f)) for f in (proportion, 1 / proportion))
            if h < H and w < W:
                i, j = int(random.integers(H - h + 1)), int(random.integers(W - w + 1))
                return erase(image, i, j, h, w, self._values(image, h, w), self.inplace)
        return image

    def _values(self, image: Tensor, h: int, w: int) -> Any:
        if self.value == "random":
            shape = (*image.shape[:-2], h, w)
            drawn = default_generator.numpy.standard_normal(shape)
            return wrap(drawn.astype(image.array.dtype))
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            return wrap(np.asarray(self.value, image.array.dtype)[:, None, None])
        return self.value

    def __repr__(self) -> str:
        return (
            f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
