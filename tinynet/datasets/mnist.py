"""MNIST and Fashion-MNIST, read from their original files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .download import download as fetch
from .idx import DatasetError, read_idx
from .images import GreyImages


class MNIST(GreyImages):
    """Handwritten digits, 28x28, white on black: 60,000 images to train on, 10,000 to test.

    root: the folder with the four original files, packed (.gz) or not, or the folder above
        MNIST/raw/, where torchvision puts them.
    download: fetch the files that are missing into MNIST/raw/ (needs the extra `download`).
    Raises DatasetError if a file is missing, truncated or not the original.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
    recognition", 1998.
    """

    classes: tuple[str, ...] = (
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    )
    MIRRORS: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    # of the unpacked files
    MD5: ClassVar[dict[str, str | None]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
    # of the packed files
    PACKED_MD5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root = Path(root)
        self.train = train
        names = [name for name in self.MD5 if name.startswith("train" if train else "t10k")]
        images, labels = (self._read(name, download) for name in names)
        super().__init__(images, labels, transform=transform, target_transform=target_transform)

    @property
    def raw_folder(self) -> Path:
        """Where torchvision puts the files: root/MNIST/raw (the class's name in the middle)."""
        return self.root / type(self).__name__ / "raw"

    def _read(self, name: str, download: bool) -> np.ndarray:
        for folder in (self.raw_folder, self.root):
            for path in (folder / name, folder / f"{name}.gz"):
                if path.is_file():
                    return read_idx(path, md5=self.MD5[name])
        if download:
            path = self.raw_folder / f"{name}.gz"
            fetch([f"{home}{name}.gz" for home in self.MIRRORS], path, self.PACKED_MD5[name])
            return read_idx(path, md5=self.MD5[name])
        files = ", ".join(f"{name}.gz" for name in self.MD5)
        raise DatasetError(
            f"{type(self).__name__}: {name}.gz is neither in {self.root} nor in "
            f"{self.raw_folder}; put the original files there ({files}), or say download=True. "
            f"They are at {self.MIRRORS[0]}."
        )


class FashionMNIST(MNIST):
    """Ten kinds of clothes, 28x28, grey on black: 60,000 images to train on, 10,000 to test.

    root: as MNIST's (torchvision's folder is FashionMNIST/raw/).
    Raises DatasetError if a file is missing, truncated or not the original.

    Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017.
    """

    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    MIRRORS = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    )
    MD5: ClassVar[dict[str, str | None]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }
    PACKED_MD5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }


class KMNIST(MNIST):
    """Ten handwritten characters of old Japanese, 28x28: 60,000 to train on, 10,000 to test.

    root: as MNIST's (torchvision's folder is KMNIST/raw/).
    Raises DatasetError if a file is missing or truncated, or a download is not the original.

    Source: Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha, "Deep Learning for Classical
    Japanese Literature", 2018.
    """

    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    MIRRORS = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    MD5: ClassVar[dict[str, str | None]] = dict.fromkeys(MNIST.MD5)  # known only of packed files
    PACKED_MD5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    }
