"""Trained weights, which tinynet does not have: how programs ask for them, and the answer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

Network = TypeVar("Network")


def untrained(make: Callable[..., Network]) -> Callable[..., Network]:
    """A function that makes a network, with torchvision's ways to say that it shall be trained.

    weights=None and pretrained=False are taken, anything else is refused: ValueError with a way to
    get there.
    """

    @functools.wraps(make)
    def build(
        *args: Any, weights: Any = None, progress: bool = True, pretrained: bool = False, **kw: Any
    ) -> Network:
        if weights is not None or pretrained:
            raise ValueError(
                f"{make.__name__}: tinynet has no trained weights. With a file of torchvision's: "
                f"model = {make.__name__}(); model.load_state_dict(tinynet.load('FILE.pth'))."
            )
        return make(*args, **kw)

    return build
