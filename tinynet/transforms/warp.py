"""Images moved, turned, stretched and seen from the side, by Pillow: of PIL images and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..random import default_generator
from .geometry import InterpolationMode, image_size, pillow, with_pillow

Point = Sequence[float]
Colour = float | Sequence[float] | None


def rotate(
    img: Any,
    angle: float,
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Colour = None,
) -> Any:
    """Turned counter-clockwise by `angle` degrees around `center` (x, y), or around the middle.

    expand: make the image large enough to hold all of the turned one.
    fill: the colour of what lies outside the image (default 0).
    """
    method = pillow(interpolation)

    def turned(picture: Any) -> Any:
        return picture.rotate(angle, method, expand, center, fillcolor=_fill(picture, fill))

    return with_pillow(img, turned)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: Colour = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Turned clockwise, moved, scaled and sheared around `center` (default: the middle).

        p -> center + translate + scale R(angle) S_y S_x (p - center)

    angle and shear (of x, or of x and y) in degrees; translate in pixels to the right and down.
    """
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    a, x, y = np.deg2rad([angle, *_two(shear)])
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    matrix = scale * turn @ [[1, 0], [-np.tan(y), 1]] @ [[1, -np.tan(x)], [0, 1]]
    height, width = image_size(img)
    middle = np.array([width / 2, height / 2] if center is None else center, np.float64)
    # Pillow asks where a pixel of the result comes from
    back = np.linalg.inv(matrix)
    offset = middle - back @ (middle + np.asarray(translate))
    data = (*back[0], offset[0], *back[1], offset[1])

    def moved(picture: Any) -> Any:
        from PIL import Image

        return picture.transform(
            (width, height),
            Image.Transform.AFFINE,
            data,
            pillow(interpolation),
            fillcolor=_fill(picture, fill),
        )

    return with_pillow(img, moved)


def perspective(
    img: Any,
    startpoints: Sequence[Point],
    endpoints: Sequence[Point],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Colour = None,
) -> Any:
    """Seen from the side: four points (x, y), the corners say, go to four others.

    A pixel (x, y) of the result comes from ((a x + b y + c), (d x + e y + f)) / (g x + h y + 1).
    """
    rows, values = [], []
    for (u, v), (x, y) in zip(startpoints, endpoints, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    data = np.linalg.lstsq(np.array(rows, np.float64), np.array(values, np.float64), rcond=None)[0]

    def seen(picture: Any) -> Any:
        from PIL import Image

        return picture.transform(
            picture.size,
            Image.Transform.PERSPECTIVE,
            tuple(data),
            pillow(interpolation),
            fillcolor=_fill(picture, fill),
        )

    return with_pillow(img, seen)


def _fill(picture: Any, fill: Colour) -> Any:
    """The colour for each band of a PIL image."""
    bands = len(picture.getbands())
    if fill is None:
        return None
    if isinstance(fill, int | float):
        return (int(fill),) * bands if bands > 1 else fill
    return tuple(int(f) for f in fill) if bands > 1 else fill[0]


def _two(shear: float | Sequence[float]) -> tuple[float, float]:
    if isinstance(shear, int | float):
        return shear, 0.0
    return (shear[0], shear[0] if len(shear) == 1 else shear[1])


def _limits(value: float | Sequence[float], name: str) -> list[float]:
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [-float(value), float(value)]
    if len(value) not in (2, 4):
        raise ValueError(f"{name} should be a sequence of length 2.")
    return [float(v) for v in value]


class RandomRotation:
    """Turned counter-clockwise by a random angle.

    degrees: the angle lies between these two, or between -degrees and degrees.
    expand, center, fill: as `functional.rotate` has them.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ) -> None:
        self.degrees = _limits(degrees, "degrees")
        if len(self.degrees) != 2:
            raise ValueError("degrees should be a sequence of length 2.")
        self.interpolation = interpolation
        self.expand = expand
        self.center = center
        self.fill = fill

    def __call__(self, image: Any) -> Any:
        angle = float(default_generator.numpy.uniform(self.degrees[0], self.degrees[1]))
        return rotate(image, angle, self.interpolation, self.expand, self.center, self.fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"RandomRotation(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}, fill={self.fill})"
        )


class RandomAffine:
    """Turned, moved, scaled and sheared at random, around the middle.

    degrees: the angle, between these two or between -degrees and degrees.
    translate: the most that the image moves, as a share of its width and of its height.
    scale: the least and the most factor.
    shear: degrees along x, between these two or between -shear and shear; four for x and y.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        self.degrees = _limits(degrees, "degrees")
        if translate is not None and not all(0.0 <= t <= 1.0 for t in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and not all(s > 0 for s in scale):
            raise ValueError("scale values should be positive")
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else _limits(shear, "shear")
        self.interpolation = interpolation
        self.fill = fill
        self.center = center

    def __call__(self, image: Any) -> Any:
        random = default_generator.numpy
        height, width = image_size(image)
        angle = random.uniform(self.degrees[0], self.degrees[1])
        translate = (0, 0)
        if self.translate is not None:
            most = self.translate[0] * width, self.translate[1] * height
            translate = tuple(round(random.uniform(-m, m)) for m in most)  # type: ignore[assignment]
        scale = 1.0 if self.scale is None else random.uniform(self.scale[0], self.scale[1])
        shear = [0.0, 0.0]
        if self.shear is not None:
            shear[0] = random.uniform(self.shear[0], self.shear[1])
            if len(self.shear) == 4:
                shear[1] = random.uniform(self.shear[2], self.shear[3])
        return affine(
            image, angle, translate, scale, shear, self.interpolation, self.fill, self.center
        )

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        given = {n: getattr(self, n) for n in ("translate", "scale", "shear")}
        parts += [f"{name}={value}" for name, value in given.items() if value is not None]
        if self.interpolation is not InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return f"RandomAffine({', '.join(parts)})"


class RandomPerspective:
    """Seen from a random side, with probability p.

    distortion_scale: how far each corner moves inwards at most, as a share of half the side.
    """

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: float | Sequence[float] = 0,
    ) -> None:
        self.distortion_scale = distortion_scale
        self.p = p
        self.interpolation = interpolation
        self.fill = fill

    def __call__(self, image: Any) -> Any:
        if default_generator.numpy.random() >= self.p:
            return image
        height, width = image_size(image)
        points = self.get_params(width, height, self.distortion_scale)
        return perspective(image, *points, self.interpolation, self.fill)

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """The corners (upper left, upper right, lower right, lower left) and where they go."""
        random = default_generator.numpy
        across = int(distortion_scale * (width // 2)) + 1
        down = int(distortion_scale * (height // 2)) + 1
        start = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        end = []
        for x, y in start:
            dx, dy = int(random.integers(across)), int(random.integers(down))
            end.append([x - dx if x else dx, y - dy if y else dy])
        return start, end

    def __repr__(self) -> str:
        return f"RandomPerspective(p={self.p})"
