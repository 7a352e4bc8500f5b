"""The data of a training: in memory, all normalised once; or decoded from files batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import datasets
from .. import transforms as T
from ..random import Generator
from ..tensor import Tensor
from ..transforms.geometry import resize
from ..utils.data import DataLoader, Subset, random_split
from .config import UserError
from .loop import in_order, shuffled

SHIPPED = {"clothes": datasets.Clothes, "digits": datasets.Digits}
FROM_FILES = {
    "mnist": datasets.MNIST,
    "fashion-mnist": datasets.FashionMNIST,
    "cifar10": datasets.CIFAR10,
    "cifar100": datasets.CIFAR100,
}
# mean and standard deviation of red, green and blue over ImageNet's pixels, 0 to 1
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Number = float | tuple[float, ...]
Batches = Iterator[tuple[Tensor, Tensor]]


class Data(Protocol):
    """What a training needs of its data."""

    @property
    def name(self) -> str:
        """How the data was asked for."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels."""

    @property
    def mean(self) -> Number:
        """What was subtracted from the pixels, 0 to 1."""

    @property
    def std(self) -> Number:
        """By what they were divided then."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """The size (C, H, W) of an image."""

    @property
    def train_size(self) -> int:
        """How many images there are to train on."""

    @property
    def test_labels(self) -> np.ndarray:
        """The labels of the images to test with, in order."""

    @property
    def test_images(self) -> Sequence[np.ndarray] | np.ndarray:
        """The images to test with, (C, H, W) each."""

    def train_batches(self, batch_size: int) -> Batches:
        """All images to train on in a new random order."""

    def test_batches(self, batch_size: int) -> Batches:
        """All images to test with in order."""


@dataclass(frozen=True)
class ImageData:
    """Images to train on and to test with, float32 (N, C, H, W), and their labels, int64 (N,).

    x = (pixel / 255 - mean) / std, with the training images' mean and standard deviation.
    """

    name: str
    classes: tuple[str, ...]
    mean: Number
    std: Number
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """The size (C, H, W) of an image."""
        channels, height, width = self.x_train.shape[1:]
        return channels, height, width

    @property
    def train_size(self) -> int:
        """How many images there are to train on."""
        return len(self.x_train)

    @property
    def test_labels(self) -> np.ndarray:
        """The labels of the images to test with."""
        return self.y_test.cpu().numpy()

    @property
    def test_images(self) -> np.ndarray:
        """The images to test with."""
        return self.x_test.cpu().numpy()

    def train_batches(self, batch_size: int) -> Batches:
        """All images to train on in a new random order."""
        return shuffled(self.x_train, self.y_train, batch_size)

    def test_batches(self, batch_size: int) -> Batches:
        """All images to test with in order."""
        return in_order(self.x_test, self.y_test, batch_size)

    def resized(self, size: int) -> ImageData:
        """The same images at size x size."""
        bilinear = T.InterpolationMode.BILINEAR
        x_train, x_test = (resize(x, (size, size), bilinear) for x in (self.x_train, self.x_test))
        return replace(self, x_train=x_train, x_test=x_test)

    def first_of_each_class(self, count: int) -> ImageData:
        """The same with the first `count` training images of each class only."""
        labels = self.y_train.numpy()
        rows = np.sort(
            np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(len(self.classes))])
        )
        return replace(self, x_train=self.x_train[rows], y_train=self.y_train[rows])


class FolderData:
    """Image files in folders, decoded by worker processes as they are needed.

    folder: root/train/CLASS/... and root/val/CLASS/... (or test/), or root/CLASS/..., of which
        four fifths are drawn to train on, by `seed`; with resplit anew for each epoch.
    size: the side of the network's images. Training images are resized so that the shorter side
        is 8/7 of it (256 for 224), cut to the square in the middle, and of that a random part is
        taken, mirrored or not: (256 - 224)^2 * 2 = 2,048 variants, as AlexNet's paper counts them.
        Then the light changes (`transforms.Lighting`). Test images are the middle of the square.
    """

    mean: Number
    std: Number

    def __init__(
        self,
        name: str,
        folder: Path,
        size: int,
        normalisation: tuple[Number, Number] = IMAGENET,
        *,
        seed: int = 0,
        workers: int = 0,
        resplit: bool = False,
    ) -> None:
        self.name = name
        self.shape = (3, size, size)
        self.mean, self.std = normalisation
        self._workers = workers
        self._split = Generator().manual_seed(seed)
        parts = [folder / part for part in ("train", "val", "test") if (folder / part).is_dir()]
        self._one_folder = len(parts) < 2 or parts[0].name != "train"
        self._resplit = resplit and self._one_folder
        if resplit and not self._one_folder:
            raise UserError(f"{folder} has its own {parts[1].name}/, so it cannot be split anew.")
        roots = [folder, folder] if self._one_folder else parts[:2]
        try:
            self._train_files = datasets.ImageFolder(roots[0], train_transform(size, normalisation))
            self._test_files = datasets.ImageFolder(
                roots[1], evaluation_transform(size, normalisation)
            )
        except FileNotFoundError as error:
            raise UserError(str(error)) from None
        if self._train_files.classes != self._test_files.classes:
            raise UserError(f"{roots[0]} and {roots[1]} do not have the same classes.")
        self.classes = tuple(self._train_files.classes)
        self._draw()
        self._drawn = True

    def _draw(self) -> None:
        """Deal out the images, if they lie in one folder."""
        train: Sequence[int] = range(len(self._train_files))
        test: Sequence[int] = range(len(self._test_files))
        if self._one_folder:
            if len(train) < 2:
                raise UserError("A folder with a single image cannot be split into two parts.")
            count = max(1, len(train) // 5)
            both = random_split(self._train_files, [len(train) - count, count], self._split)
            train, test = (part.indices for part in both)
        self._train = Subset(self._train_files, train)
        self._test = Subset(self._test_files, test)

    @property
    def train_size(self) -> int:
        """How many images there are to train on."""
        return len(self._train)

    @property
    def test_labels(self) -> np.ndarray:
        """The labels of the images to test with."""
        return np.array([self._test_files.targets[i] for i in self._test.indices])

    @property
    def test_images(self) -> Sequence[np.ndarray]:
        """The images to test with, each read when it is asked for."""
        return _Images(self._test)

    def train_batches(self, batch_size: int) -> Batches:
        """All images to train on, changed at random, in a new random order."""
        if self._resplit and not self._drawn:
            self._draw()
        self._drawn = False
        yield from DataLoader(self._train, batch_size, shuffle=True, num_workers=self._workers)

    def test_batches(self, batch_size: int) -> Batches:
        """All images to test with in order."""
        yield from DataLoader(self._test, batch_size, num_workers=self._workers)


class _Images(Sequence):
    """A dataset's images alone, as arrays."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[index][0].numpy()


def train_transform(size: int, normalisation: tuple[Number, Number] = IMAGENET) -> T.Compose:
    """The random changes of `FolderData`'s training images."""
    square = round(size * 8 / 7)
    return T.Compose(
        [
            T.Resize(square),
            T.CenterCrop(square),
            T.RandomCrop(size),
            T.RandomHorizontalFlip(),
            T.ToTensor(),
            T.Lighting(0.1),
            T.Normalize(*normalisation),
        ]
    )


def evaluation_transform(size: int, normalisation: tuple[Number, Number] = IMAGENET) -> T.Compose:
    """How `FolderData` makes test images, and `tinynet predict` those of a folder's network."""
    return T.Compose(
        [
            T.Resize(round(size * 8 / 7)),
            T.CenterCrop(size),
            T.ToTensor(),
            T.Normalize(*normalisation),
        ]
    )


def load_data(
    name: str,
    normalisation: tuple[Number, Number] | None = None,
    *,
    image_size: int | None = None,
    per_class: int | None = None,
    seed: int = 0,
    workers: int = 0,
    resplit: bool = False,
) -> Any:
    """The data called `clothes`, `digits`, or KIND:FOLDER with one of the kinds below: `Data`.

    mnist, fashion-mnist, cifar10, cifar100: the original files are in FOLDER.  folder: image files
    of any size, see `FolderData`.
    normalisation: mean and standard deviation that a network was trained with, instead of those of
        this data's training images (a folder: ImageNet's).
    image_size: the images at that size (a folder: 32 unless told otherwise).
    per_class, seed, workers, resplit: as in `Config`.
    Raises UserError for another name, DatasetError for files that are missing or damaged.
    """
    kind, _, folder = name.partition(":")
    if kind in (*FROM_FILES, "folder") and not folder:
        raise UserError(
            f"{kind} is not in this package: say where its files are, as in {kind}:FOLDER."
        )
    path = Path(folder).expanduser()
    if kind == "folder":
        if per_class is not None:
            raise UserError("Only data in memory can be reduced to some images per class.")
        scale = normalisation or IMAGENET
        size = image_size or 32
        return FolderData(name, path, size, scale, seed=seed, workers=workers, resplit=resplit)
    if resplit:
        raise UserError("Only a folder of images without train/ and test/ can be split anew.")
    source: Any
    if kind in FROM_FILES:
        source, arguments = FROM_FILES[kind], {"root": path}
    elif name in SHIPPED:
        source, arguments = SHIPPED[name], {}
    else:
        kinds = (f"{kind}:FOLDER" for kind in (*FROM_FILES, "folder"))
        raise UserError(
            f"There is no data called {name!r}; there are {', '.join([*SHIPPED, *kinds])}."
        )
    train, test = (source(train=part, **arguments) for part in (True, False))
    mean, std = normalisation or _mean_and_deviation(train.pixels)
    data = ImageData(
        name, tuple(source.classes), mean, std, *train.tensors(mean, std), *test.tensors(mean, std)
    )
    if per_class is not None:
        data = data.first_of_each_class(per_class)
    return data if image_size is None else data.resized(image_size)


def _mean_and_deviation(pixels: np.ndarray) -> tuple[Number, Number]:
    """Of pixel / 255, from the histogram: exact, and without a copy of all pixels as floats.

    One number each for grey images (N, H, W), one per channel for (N, H, W, 3).
    """
    level = np.arange(256) / 255

    def facts(plane: np.ndarray) -> tuple[float, float]:
        count = np.bincount(plane.reshape(-1), minlength=256)
        mean = float(count @ level / plane.size)
        return mean, float(np.sqrt(count @ (level - mean) ** 2 / plane.size))

    if pixels.ndim == 3:
        return facts(pixels)
    means, deviations = zip(*(facts(pixels[..., c]) for c in range(pixels.shape[-1])))
    return means, deviations
