"""Changes drawn from a list: RandAugment and TrivialAugment, on PIL images and uint8 tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..random import default_generator
from .colour import adjust_brightness, adjust_contrast, adjust_saturation
from .convert import is_picture
from .geometry import InterpolationMode, image_size
from .tone import adjust_sharpness, autocontrast, equalize, posterize, solarize
from .warp import affine, rotate

Fill = float | Sequence[float] | None
# name: (the values for each strength, whether their sign is drawn)
Space = dict[str, tuple[np.ndarray | None, bool]]


def _apply(
    image: Any, name: str, value: float, interpolation: InterpolationMode, fill: Fill
) -> Any:
    degrees = float(np.rad2deg(np.arctan(value)))
    moves: dict[str, tuple[Sequence[int], Sequence[float]]] = {
        "ShearX": ((0, 0), (degrees, 0.0)),
        "ShearY": ((0, 0), (0.0, degrees)),
        "TranslateX": ((int(value), 0), (0.0, 0.0)),
        "TranslateY": ((0, int(value)), (0.0, 0.0)),
    }
    if name in moves:
        # shears keep the upper left corner where it is, as in the paper
        center = [0.0, 0.0] if name.startswith("Shear") else None
        return affine(image, 0.0, moves[name][0], 1.0, moves[name][1], interpolation, fill, center)
    changes: dict[str, Callable[[], Any]] = {
        "Identity": lambda: image,
        "Rotate": lambda: rotate(image, value, interpolation, fill=fill),
        "Brightness": lambda: adjust_brightness(image, 1.0 + value),
        "Color": lambda: adjust_saturation(image, 1.0 + value),
        "Contrast": lambda: adjust_contrast(image, 1.0 + value),
        "Sharpness": lambda: adjust_sharpness(image, 1.0 + value),
        "Posterize": lambda: posterize(image, int(value)),
        "Solarize": lambda: solarize(image, value),
        "AutoContrast": lambda: autocontrast(image),
        "Equalize": lambda: equalize(image),
    }
    return changes[name]()


def _space(
    strengths: int, reach: float, across: float, down: float, turn: float, colour: float, bits: int
) -> Space:
    steps = np.arange(strengths)
    share = steps / (strengths - 1)
    return {
        "Identity": (None, False),
        "ShearX": (reach * share, True),
        "ShearY": (reach * share, True),
        "TranslateX": (across * share, True),
        "TranslateY": (down * share, True),
        "Rotate": (turn * share, True),
        "Brightness": (colour * share, True),
        "Color": (colour * share, True),
        "Contrast": (colour * share, True),
        "Sharpness": (colour * share, True),
        "Posterize": (8 - np.round(steps / ((strengths - 1) / bits)), False),
        "Solarize": (255.0 * (1 - share), False),
        "AutoContrast": (None, False),
        "Equalize": (None, False),
    }


def _prepared(image: Any) -> Any:
    if not is_picture(image):
        raise TypeError(
            f"expected a PIL image, but got {type(image)}; put this transform in front of ToTensor"
        )
    return image


def _drawn(image: Any, space: Space, index: int | None, ours: Any) -> Any:
    """One change of the space, of the given strength or of a random one."""
    random = default_generator.numpy
    name = list(space)[int(random.integers(len(space)))]
    values, signed = space[name]
    value = 0.0
    if values is not None:
        chosen = int(random.integers(len(values))) if index is None else index
        value = float(values[chosen])
        if signed and random.integers(2):
            value = -value
    return _apply(image, name, value, ours.interpolation, ours.fill)


class RandAugment:
    """Several changes of one strength, drawn from a list, one after another, of a PIL image.

    num_ops: how many.  magnitude: how strong, of num_magnitude_bins strengths.

    Source: Cubuk, Zoph, Shlens, Le, "RandAugment: Practical automated data augmentation with a
    reduced search space", 2019.
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Fill = None,
    ) -> None:
        self.num_ops, self.magnitude = num_ops, magnitude
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation, self.fill = interpolation, fill

    def __call__(self, image: Any) -> Any:
        height, width = image_size(_prepared(image))
        across, down = (150.0 / 331.0 * side for side in (width, height))
        space = _space(self.num_magnitude_bins, 0.3, across, down, 30.0, 0.9, 4)
        for _ in range(self.num_ops):
            image = _drawn(image, space, self.magnitude, self)
        return image

    def __repr__(self) -> str:
        return (
            f"RandAugment(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide:
    """One change of random kind and strength of a PIL image.

    Source: Müller, Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation",
    2021.
    """

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Fill = None,
    ) -> None:
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation, self.fill = interpolation, fill

    def __call__(self, image: Any) -> Any:
        space = _space(self.num_magnitude_bins, 0.99, 32.0, 32.0, 135.0, 0.99, 6)
        return _drawn(_prepared(image), space, None, self)

    def __repr__(self) -> str:
        return (
            f"TrivialAugmentWide(num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
