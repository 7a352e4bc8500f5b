"""The two datasets that are part of this package: no download, no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .idx import read_idx
from .images import GreyImages
from .mnist import FashionMNIST

FOLDER = Path(__file__).parent / "data"


class Clothes(GreyImages):
    """Ten kinds of clothes, 28x28, grey on black: 10,000 images to train on, 2,000 to test.

    The first images of Fashion-MNIST's original files, in their order.

    Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017 (MIT licence).
    """

    classes = FashionMNIST.classes
    MD5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "56cb151f02f7a0ea897b87493b6c7586",
        "train-labels-idx1-ubyte": "6017ecad9bfe54bba7fcc9dc44bdedd4",
        "t10k-images-idx3-ubyte": "c02bf5be7718b1153b1992308017dc29",
        "t10k-labels-idx1-ubyte": "a4b1ac51fa4de730f5b7e05c501b832a",
    }

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.train = train
        images, labels = (
            read_idx(FOLDER / "fashion_mnist" / f"{name}.gz", md5=md5)
            for name, md5 in self.MD5.items()
            if name.startswith("train" if train else "t10k")
        )
        super().__init__(images, labels, transform=transform, target_transform=target_transform)


class Digits(GreyImages):
    """Handwritten digits, 8x8, white on black: 1,500 images to train on, 297 to test.

    Training and test images were written by different people: the file is in the order of the
    writers. The original pixels, 0 to 16, are stretched to 0 to 255.

    Source: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", 1998 (CC BY 4.0).
    """

    classes = tuple("0123456789")
    TRAINING_IMAGES = 1500

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.train = train
        folder = FOLDER / "digits"
        images = read_idx(folder / "images-idx3-ubyte.gz", md5="a5adabccf8d3e2540826a202a7bfb422")
        labels = read_idx(folder / "labels-idx1-ubyte.gz", md5="497796a0698e25d3920a9422b635bf34")
        part = slice(self.TRAINING_IMAGES) if train else slice(self.TRAINING_IMAGES, None)
        stretched = np.round(images[part] * (255 / 16)).astype(np.uint8)
        super().__init__(
            stretched, labels[part], transform=transform, target_transform=target_transform
        )
