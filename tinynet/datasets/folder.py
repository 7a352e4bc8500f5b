"""Image files in folders, one folder a class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..utils.data import Dataset
from .idx import DatasetError

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def default_loader(path: str) -> Any:
    """An image file of any colours as a PIL image of mode RGB.

    Raises DatasetError, naming the file, if it is damaged or not an image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise DatasetError(f"There is no image file {path}.") from None
    except Exception as error:
        # Pillow reports damage in many ways: OSError, SyntaxError, ValueError, struct.error, ...
        raise DatasetError(f"{path} cannot be read as an image: {error}.") from None


class DatasetFolder(Dataset):
    """Files in root/CLASS/..., at any depth; an item is (what `loader` makes of the file, label).

    extensions: the ends of the names that count, or is_valid_file: whether a path does.
    allow_empty: let classes be without files.
    classes: the subfolders' names in order.  samples: list of (path, label).  targets: labels.
    Raises FileNotFoundError if there are no subfolders, or a class has no files.
    """

    def __init__(
        self,
        root: str | Path,
        loader: Callable[[str], Any],
        extensions: str | Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        if (extensions is None) == (is_valid_file is None):
            raise ValueError(
                "Both extensions and is_valid_file cannot be None or not None at the same time"
            )
        self.root = os.path.expanduser(root)
        self.loader = loader
        self.extensions = extensions
        self.transform = transform
        self.target_transform = target_transform
        self.classes, self.class_to_idx = self.find_classes(self.root)
        if extensions is not None:
            ends = (extensions,) if isinstance(extensions, str) else tuple(extensions)

            def is_valid_file(path: str) -> bool:
                return path.lower().endswith(ends)

        assert is_valid_file is not None
        self.samples = _samples(self.root, self.class_to_idx, is_valid_file)
        self.targets = [label for _, label in self.samples]
        empty = sorted(set(self.classes) - {self.classes[label] for label in self.targets})
        if empty and not allow_empty:
            message = f"Found no valid file for the classes {', '.join(empty)}. "
            if extensions is not None:
                message += f"Supported extensions are: {', '.join(ends)}"
            raise FileNotFoundError(message)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """The classes and their labels: the names of the subfolders, sorted."""
        try:
            classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(f"There is no folder {directory}.") from None
        if not classes:
            raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
        return classes, {name: label for label, name in enumerate(classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return sample, target

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {len(self)} files of {len(self.classes)} classes"


class ImageFolder(DatasetFolder):
    """Image files in root/CLASS/..., as PIL images of mode RGB.  imgs: list of (path, label)."""

    def __init__(
        self,
        root: str | Path,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(
            root,
            loader,
            IMG_EXTENSIONS if is_valid_file is None else None,
            transform,
            target_transform,
            is_valid_file,
            allow_empty,
        )
        self.imgs = self.samples


def _samples(
    root: str, class_to_idx: dict[str, int], is_valid_file: Callable[[str], bool]
) -> list[tuple[str, int]]:
    samples = []
    for name, label in class_to_idx.items():
        for folder, _, files in sorted(os.walk(os.path.join(root, name), followlinks=True)):
            paths = (os.path.join(folder, file) for file in sorted(files))
            samples += [(path, label) for path in paths if is_valid_file(path)]
    return samples
