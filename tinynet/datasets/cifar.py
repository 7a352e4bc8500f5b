"""CIFAR-10 and CIFAR-100, read from their original files."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..io.pickles import read_arrays
from ..io.safetensors import FileFormatError
from .download import download as fetch
from .idx import DatasetError
from .images import ColourImages

SIZE = 32
PIXELS = 3 * SIZE * SIZE


def read_cifar_binary(
    content: bytes, source: Any, label_bytes: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 32, 32, 3) and labels (N,) of a file in CIFAR's binary version.

    A record is the label (CIFAR-100: coarse, then fine, of which the last is taken), then 1,024
    red, 1,024 green and 1,024 blue bytes, row by row.
    Raises DatasetError, naming `source`, if the file does not end with a record.
    """
    record = label_bytes + PIXELS
    if not content or len(content) % record:
        raise DatasetError(
            f"{source} is truncated: {len(content):,} bytes are not a whole number of records of "
            f"{record:,}; fetch it again."
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, record)
    return _images(rows[:, label_bytes:]), rows[:, label_bytes - 1].astype(np.int64)


class CIFAR10(ColourImages):
    """Ten kinds of things, 32x32, RGB: 50,000 images to train on, 10,000 to test.

    root: the folder with cifar-10-batches-py/ (the Python version) or cifar-10-batches-bin/ (the
        binary version), or the folder with the batches themselves. The Python version's files are
        pickles, which could execute anything: here they are read by a reader that makes arrays,
        lists and text and nothing else.
    download: fetch the Python version into root if it is not there (needs the extra `download`).
    Raises DatasetError if a file is missing, truncated or not the original.

    Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """

    base_folder = "cifar-10-batches-py"
    binary_folder = "cifar-10-batches-bin"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    # file: (md5, number of images)
    TRAIN: ClassVar[dict[str, tuple[str, int]]] = {
        "data_batch_1": ("c99cafc152244af753f735de768cd75f", 10_000),
        "data_batch_2": ("d4bba439e000b95fd0a9bffe97cbabec", 10_000),
        "data_batch_3": ("54ebc095f3ab1f0389bbae665268c751", 10_000),
        "data_batch_4": ("634d18415352ddfa80567beed471001a", 10_000),
        "data_batch_5": ("482c414d41f54cd18b22e5b47cb7c3cb", 10_000),
    }
    TEST: ClassVar[dict[str, tuple[str, int]]] = {
        "test_batch": ("40351d587109b95175f43aff81a1287e", 10_000)
    }
    META: ClassVar[tuple[str, str, str]] = (
        "batches.meta",
        "5ff9c542aee3614f3951f8cda6e48888",
        "label_names",
    )
    LABELS = "labels"
    LABEL_BYTES = 1
    NAMES_FILE = "batches.meta.txt"

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root = Path(root).expanduser()
        self.train = train
        files = self.TRAIN if train else self.TEST
        folder, binary = self._find(files)
        if folder is None and download:
            self._download()
            folder, binary = self._find(files)
        if folder is None:
            raise DatasetError(
                f"{type(self).__name__}: {next(iter(files))} is neither in {self.root} nor in its "
                f"{self.base_folder} or {self.binary_folder}; put the original files there, or say "
                f"download=True. They are at {self.url}."
            )
        read = self._read_binary if binary else self._read_pickle
        parts = [read(folder, name, *facts) for name, facts in files.items()]
        self.classes = self._names(folder, binary)
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts))
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise DatasetError(
                f"{type(self).__name__}: the labels in {folder} go from {labels.min()} to "
                f"{labels.max()}, but there are {len(self.classes)} classes."
            )
        super().__init__(images, labels, transform=transform, target_transform=target_transform)

    def _find(self, files: dict[str, tuple[str, int]]) -> tuple[Path | None, bool]:
        first = next(iter(files))
        for folder in (self.root / self.base_folder, self.root / self.binary_folder, self.root):
            for binary, name in ((False, first), (True, f"{first}.bin")):
                if (folder / name).is_file():
                    return folder, binary
        return None, False

    def _download(self) -> None:
        archive = self.root / self.url.rpartition("/")[2]
        fetch([self.url], archive, self.tgz_md5)
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(self.root, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DatasetError(f"{archive} cannot be unpacked: {error}.") from None

    def _content(self, path: Path, md5: str | None) -> bytes:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DatasetError(f"{type(self).__name__}: {path} is missing.") from None
        if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise DatasetError(
                f"{path} is not the original file, or truncated: its content differs (md5 {md5}); "
                "fetch it again."
            )
        return content

    def _entries(self, path: Path, md5: str | None) -> dict[str, Any]:
        try:
            return read_arrays(self._content(path, md5), path)
        except FileFormatError as error:
            raise DatasetError(str(error)) from None

    def _read_pickle(
        self, folder: Path, name: str, md5: str, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        entries = self._entries(folder / name, md5)
        pixels, labels = entries.get("data"), entries.get(self.LABELS)
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.dtype != np.uint8
            or pixels.shape != (count, PIXELS)
            or not isinstance(labels, list)
            or len(labels) != count
        ):
            raise DatasetError(
                f"{folder / name} does not hold {count:,} images of {SIZE}x{SIZE}x3 and their "
                f"{self.LABELS}."
            )
        return _images(pixels), np.array(labels, np.int64)

    def _read_binary(
        self, folder: Path, name: str, md5: str, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        path = folder / f"{name}.bin"
        images, labels = read_cifar_binary(self._content(path, None), path, self.LABEL_BYTES)
        if len(images) != count:
            raise DatasetError(
                f"{path} is not the original file, or truncated: it has {len(images):,} images "
                f"instead of {count:,}; fetch it again."
            )
        return images, labels

    def _names(self, folder: Path, binary: bool) -> Sequence[str]:
        if binary:
            text = self._content(folder / self.NAMES_FILE, None).decode("ascii", "replace")
            return tuple(text.split())
        name, md5, key = self.META
        return tuple(str(word) for word in self._entries(folder / name, md5).get(key, ()))


class CIFAR100(CIFAR10):
    """A hundred kinds of things, 32x32, RGB: 50,000 images to train on, 10,000 to test.

    As CIFAR10; the labels are the fine ones.
    """

    base_folder = "cifar-100-python"
    binary_folder = "cifar-100-binary"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    TRAIN: ClassVar[dict[str, tuple[str, int]]] = {
        "train": ("16019d7e3df5f24257cddd939b257f8d", 50_000)
    }
    TEST: ClassVar[dict[str, tuple[str, int]]] = {
        "test": ("f0ef6b0ae62326f3e7ffdfab6717acfc", 10_000)
    }
    META: ClassVar[tuple[str, str, str]] = (
        "meta",
        "7973b15100ade9c7d40fb424638fde48",
        "fine_label_names",
    )
    LABELS = "fine_labels"
    LABEL_BYTES = 2
    NAMES_FILE = "fine_label_names.txt"


def _images(rows: np.ndarray) -> np.ndarray:
    """Planes of red, green and blue, (N, 3072), as images (N, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1))
