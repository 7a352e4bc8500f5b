"""Transforms made of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..random import default_generator

Transform = Callable[[Any], Any]


class Compose:
    """One transform after another."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"Compose({lines}\n)"


class RandomApply:
    """All of the transforms, with probability p, or none."""

    def __init__(self, transforms: Sequence[Transform], p: float = 0.5) -> None:
        self.transforms = transforms
        self.p = p

    def __call__(self, image: Any) -> Any:
        if default_generator.numpy.random() >= self.p:
            return image
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"RandomApply(\n    p={self.p}{lines}\n)"


class RandomOrder(Compose):
    """All of the transforms, in random order."""

    def __call__(self, image: Any) -> Any:
        for i in default_generator.numpy.permutation(len(self.transforms)):
            image = self.transforms[i](image)
        return image

    def __repr__(self) -> str:
        return "RandomOrder" + super().__repr__().removeprefix("Compose")


class RandomChoice(Compose):
    """One of the transforms; p: how likely each is (default: all alike)."""

    def __init__(self, transforms: Sequence[Transform], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and len(p) != len(transforms):
            raise ValueError(
                f"Length of p doesn't match the number of transforms: {len(p)} != {len(transforms)}"
            )
        self.p = p

    def __call__(self, image: Any) -> Any:
        shares = None if self.p is None else [p / sum(self.p) for p in self.p]
        i = default_generator.numpy.choice(len(self.transforms), p=shares)
        return self.transforms[i](image)

    def __repr__(self) -> str:
        return "RandomChoice" + super().__repr__().removeprefix("Compose") + f"(p={self.p})"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd: Transform) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return "Lambda()"
