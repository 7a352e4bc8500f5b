"""Sizes, places and angles: of PIL images, and of tensors (..., H, W).

What is random is drawn from tinynet's default generator, so `manual_seed` repeats it. Tensors are
resized and rotated plane by plane with Pillow, whose filters average over all the pixels they merge
(torchvision's antialias=True).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..ops.shape import flip
from ..random import default_generator
from ..tensor import Tensor
from .convert import is_picture

Sides = int | Sequence[int]


class InterpolationMode(Enum):
    """How a value between pixels is made of them."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


def image_size(image: Any) -> tuple[int, int]:
    """Height and width."""
    if is_picture(image):
        return image.height, image.width
    if isinstance(image, Tensor) and image.ndim >= 2:
        return image.shape[-2], image.shape[-1]
    raise TypeError(f"img should be PIL Image or Tensor (..., H, W). Got {type(image)}")


def pair(size: Sides) -> tuple[int, int]:
    """Height and width of a size: n means (n, n)."""
    if isinstance(size, int):
        return size, size
    if len(size) not in (1, 2):
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return size[0], size[-1]


def crop(image: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of `height` by `width` whose upper left corner is at (top, left)."""
    if is_picture(image):
        return image.crop((left, top, left + width, top + height))
    return image[..., top : top + height, left : left + width]


def mirror(image: Any) -> Any:
    """Left and right exchanged."""
    if is_picture(image):
        from PIL import ImageOps

        return ImageOps.mirror(image)
    return flip(image, [-1])


def turn_over(image: Any) -> Any:
    """Top and bottom exchanged."""
    if is_picture(image):
        from PIL import ImageOps

        return ImageOps.flip(image)
    return flip(image, [-2])


def resize(image: Any, size: tuple[int, int], interpolation: InterpolationMode) -> Any:
    """The image at height and width `size`."""
    if image_size(image) == size:
        return image
    method = pillow(interpolation)
    return with_pillow(image, lambda picture: picture.resize(size[::-1], method))


def pillow(interpolation: InterpolationMode) -> Any:
    """Pillow's name of the interpolation."""
    from PIL import Image

    return Image.Resampling[interpolation.name.removesuffix("_EXACT")]


def with_pillow(image: Any, change: Callable[[Any], Any]) -> Any:
    """`change` of a PIL image, or of each plane of a tensor as a PIL image."""
    if is_picture(image):
        return change(image)
    from PIL import Image

    array = image.detach().cpu().numpy()
    kind = np.uint8 if array.dtype == np.uint8 else np.float32
    planes = array.reshape(-1, *array.shape[-2:]).astype(kind)
    changed = np.stack([np.asarray(change(Image.fromarray(plane))) for plane in planes])
    if array.dtype.kind in "iu":
        changed = changed.round()
    result = changed.astype(array.dtype).reshape(*array.shape[:-2], *changed.shape[-2:])
    return wrap(result).to(image.device)


class Resize:
    """The image at another size.

    size: the length of the shorter side, which keeps the proportions, or (height, width).
    max_size: the most that the longer side may get; only with one length.
    antialias: for tensors only True; Pillow knows nothing else.
    """

    def __init__(
        self,
        size: Sides,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        if not isinstance(size, int) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        if max_size is not None and not isinstance(size, int) and len(size) == 2:
            raise ValueError(
                "max_size should only be passed if size specifies the length of the smaller edge"
            )
        shorter = size if isinstance(size, int) else size[0]
        if max_size is not None and max_size <= shorter:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the "
                f"smaller edge size = {size}"
            )
        self.size = size
        self.interpolation = interpolation
        self.max_size = max_size
        self.antialias = antialias

    def __call__(self, image: Any) -> Any:
        if isinstance(image, Tensor) and not self.antialias:
            raise ValueError("Resize: a tensor can only be resized with antialias=True.")
        return resize(image, self._size(*image_size(image)), self.interpolation)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if not isinstance(self.size, int) and len(self.size) == 2:
            return self.size[0], self.size[1]
        short = self.size if isinstance(self.size, int) else self.size[0]
        long = int(short * max(height, width) / min(height, width))
        if self.max_size is not None and long > self.max_size:
            short, long = int(self.max_size * short / long), self.max_size
        return (short, long) if height <= width else (long, short)

    def __repr__(self) -> str:
        return (
            f"Resize(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class Pad:
    """A border around the image.

    padding: pixels on all sides, or (left and right, top and bottom), or (left, top, right,
        bottom).
    padding_mode: "constant" (the colour `fill`), "edge" (the outermost pixels repeated), "reflect"
        (mirrored without the outermost), "symmetric" (mirrored with it).
    """

    def __init__(
        self,
        padding: Sides,
        fill: int | tuple[int, ...] = 0,
        padding_mode: str = "constant",
    ) -> None:
        sides = [padding] * 4 if isinstance(padding, int) else list(padding)
        if len(sides) not in (1, 2, 4):
            raise ValueError(
                f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(sides)} element "
                "tuple"
            )
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        self.left, self.top, self.right, self.bottom = sides * (4 // len(sides))
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, image: Any) -> Any:
        if is_picture(image):
            from PIL import Image, ImageOps

            if self.padding_mode == "constant":
                sides = (self.left, self.top, self.right, self.bottom)
                return ImageOps.expand(image, sides, fill=self.fill)
            array = np.asarray(image)
            return Image.fromarray(self._padded(array, [(0, 0)] * (array.ndim - 2), first=False))
        planes = image.detach().cpu().numpy()
        padded = self._padded(planes, [(0, 0)] * (planes.ndim - 2), first=True)
        return wrap(padded).to(image.device)

    def _padded(self, array: np.ndarray, others: list[tuple[int, int]], first: bool) -> np.ndarray:
        sides = [(self.top, self.bottom), (self.left, self.right)]
        width = others + sides if first else sides + others
        if self.padding_mode == "constant":
            return np.pad(array, width, constant_values=self.fill)
        return np.pad(array, width, mode=self.padding_mode)  # type: ignore[call-overload]

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class CenterCrop:
    """The middle part of `size` (one number, or height and width); a smaller image is padded."""

    def __init__(self, size: Sides) -> None:
        self.size = pair(size)

    def __call__(self, image: Any) -> Any:
        height, width = self.size
        H, W = image_size(image)
        missing_h, missing_w = max(0, height - H), max(0, width - W)
        if missing_h or missing_w:
            left, top = missing_w // 2, missing_h // 2
            image = Pad((left, top, missing_w - left, missing_h - top))(image)
            H, W = image_size(image)
        return crop(image, round((H - height) / 2.0), round((W - width) / 2.0), height, width)

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class FiveCrop:
    """The four corners (upper left, upper right, lower left, lower right) and the middle."""

    def __init__(self, size: Sides) -> None:
        self.size = pair(size)

    def __call__(self, image: Any) -> tuple[Any, Any, Any, Any, Any]:
        height, width = self.size
        H, W = image_size(image)
        if width > W or height > H:
            raise ValueError(f"Requested crop size {self.size} is bigger than input size {(H, W)}")
        return (
            crop(image, 0, 0, height, width),
            crop(image, 0, W - width, height, width),
            crop(image, H - height, 0, height, width),
            crop(image, H - height, W - width, height, width),
            CenterCrop(self.size)(image),
        )

    def __repr__(self) -> str:
        return f"FiveCrop(size={self.size})"


class TenCrop:
    """The five crops of the image and those of its mirror image (or, with vertical_flip, of the
    image turned over): AlexNet's way to test."""

    def __init__(self, size: Sides, vertical_flip: bool = False) -> None:
        self.size = pair(size)
        self.vertical_flip = vertical_flip

    def __call__(self, image: Any) -> tuple[Any, ...]:
        five = FiveCrop(self.size)
        other = turn_over(image) if self.vertical_flip else mirror(image)
        return five(image) + five(other)

    def __repr__(self) -> str:
        return f"TenCrop(size={self.size}, vertical_flip={self.vertical_flip})"


class RandomHorizontalFlip:
    """Left and right exchanged, with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, image: Any) -> Any:
        return image if default_generator.numpy.random() >= self.p else mirror(image)

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class RandomVerticalFlip:
    """Top and bottom exchanged, with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, image: Any) -> Any:
        return image if default_generator.numpy.random() >= self.p else turn_over(image)

    def __repr__(self) -> str:
        return f"RandomVerticalFlip(p={self.p})"


class RandomCrop:
    """A part of `size` (one number, or height and width) from a random place, after padding.

    pad_if_needed: pad a smaller image on both sides by what is missing.
    """

    def __init__(
        self,
        size: Sides,
        padding: Sides | None = None,
        pad_if_needed: bool = False,
        fill: int | tuple[int, ...] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = pair(size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, image: Any) -> Any:
        if self.padding is not None:
            image = Pad(self.padding, self.fill, self.padding_mode)(image)
        (height, width), (H, W) = self.size, image_size(image)
        if self.pad_if_needed and (height > H or width > W):
            missing = (max(0, width - W), max(0, height - H))
            image = Pad(missing, self.fill, self.padding_mode)(image)
            H, W = image_size(image)
        if height > H or width > W:
            raise ValueError(
                f"Required crop size {self.size} is larger than input image size {(H, W)}"
            )
        top = int(default_generator.numpy.integers(H - height + 1))
        left = int(default_generator.numpy.integers(W - width + 1))
        return crop(image, top, left, height, width)

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomResizedCrop:
    """A random part of random proportions, resized to `size`: Inception's way to train.

    scale: least and most share of the image's area.  ratio: least and most width / height.
    """

    def __init__(
        self,
        size: Sides,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.size = pair(size)
        self.scale, self.ratio = scale, ratio
        self.interpolation = interpolation
        self.antialias = antialias

    def __call__(self, image: Any) -> Any:
        part = crop(image, *self.get_params(image, self.scale, self.ratio))
        return resize(part, self.size, self.interpolation)

    @staticmethod
    def get_params(
        image: Any, scale: tuple[float, float], ratio: tuple[float, float]
    ) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random part.

        The logarithm of width / height is uniform. If ten tries do not fit into the image, it is
        the largest middle part with allowed proportions.
        """
        random = default_generator.numpy
        H, W = image_size(image)
        for _ in range(10):
            area = H * W * random.uniform(*scale)
            proportion = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
            width, height = (round(math.sqrt(area * f)) for f in (proportion, 1 / proportion))
            if 0 < width <= W and 0 < height <= H:
                top = int(random.integers(H - height + 1))
                return top, int(random.integers(W - width + 1)), height, width
        height, width = H, W
        if min(ratio) > W / H:
            height = round(W / min(ratio))
        elif max(ratio) < W / H:
            width = round(H * max(ratio))
        return (H - height) // 2, (W - width) // 2, height, width

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(v, 4) for v in both) for both in (self.scale, self.ratio))
        return (
            f"RandomResizedCrop(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )
