"""The data of a training: all images in memory, normalised once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from ..tensor import Tensor
from .config import UserError

SHIPPED = {"clothes": datasets.Clothes, "digits": datasets.Digits}
FROM_FILES = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}


@dataclass(frozen=True)
class ImageData:
    """Images to train on and to test with, float32 (N, C, H, W), and their labels, int64 (N,).

    x = (pixel / 255 - mean) / std, with the training images' mean and standard deviation.
    """

    name: str
    classes: tuple[str, ...]
    mean: float
    std: float
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """The size (C, H, W) of an image."""
        channels, height, width = self.x_train.shape[1:]
        return channels, height, width


def load_data(name: str, normalisation: tuple[float, float] | None = None) -> ImageData:
    """The data called `clothes`, `digits`, `mnist:FOLDER` or `fashion-mnist:FOLDER`.

    normalisation: mean and standard deviation that a network was trained with, instead of those of
        this data's training images.
    Raises UserError for another name, DatasetError for files that are missing or damaged.
    """
    kind, _, folder = name.partition(":")
    arguments: dict[str, Any] = {}
    if kind in FROM_FILES:
        if not folder:
            raise UserError(
                f"{kind} is not in this package: say where its files are, as in {kind}:FOLDER."
            )
        source: Any = FROM_FILES[kind]
        arguments["root"] = Path(folder).expanduser()
    elif name in SHIPPED:
        source = SHIPPED[name]
    else:
        raise UserError(
            f"There is no data called {name!r}; there are "
            f"{', '.join([*SHIPPED, *(f'{kind}:FOLDER' for kind in FROM_FILES)])}."
        )
    train, test = (source(train=part, **arguments) for part in (True, False))
    mean, std = normalisation or _mean_and_deviation(train.data.numpy())
    return ImageData(
        name, tuple(source.classes), mean, std, *train.tensors(mean, std), *test.tensors(mean, std)
    )


def _mean_and_deviation(pixels: np.ndarray) -> tuple[float, float]:
    """Of pixel / 255, from the histogram: exact, and without a copy of all pixels as floats."""
    count = np.bincount(pixels.reshape(-1), minlength=256)
    level = np.arange(256) / 255
    mean = float(count @ level / pixels.size)
    return mean, float(np.sqrt(count @ (level - mean) ** 2 / pixels.size))
