"""Small data sets in the original file formats, made from the images that come with tinynet."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np

import tinynet

TRAIN, TEST = 512, 128
CIFAR10_TRAIN, CIFAR10_TEST = 60, 60  # in each of five files, and to test


def mnist(root: Path, name: str) -> dict:
    """Four files of MNIST's kind, with clothes; what tinynet's reader must expect of them."""
    images = tinynet.datasets.Clothes()
    folder = root / name / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    parts = {"train": slice(0, TRAIN), "t10k": slice(TRAIN, TRAIN + TEST)}
    for part, rows in parts.items():
        arrays = {"images-idx3": images.pixels, "labels-idx1": images.labels}
        for kind, whole in arrays.items():
            array = whole[rows].astype(np.uint8)
            sizes = struct.pack(f">{array.ndim}I", *array.shape)
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
            file = f"{part}-{kind}-ubyte"
            (folder / file).write_bytes(content)
            (folder / f"{file}.gz").write_bytes(gzip.compress(content, mtime=0))
            sums[file] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return {name: {"MD5": sums}}


def cifar10(root: Path, name: str) -> dict:
    """CIFAR-10's six files and their list of names, with tinted clothes on them."""
    clothes = tinynet.datasets.Clothes()
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    count = 5 * CIFAR10_TRAIN + CIFAR10_TEST
    grey = np.pad(clothes.pixels[:count], ((0, 0), (2, 2), (2, 2))).reshape(count, 1, 1024)
    tint = random.uniform(0.3, 1, (count, 3, 1))
    rows = (grey * tint).astype(np.uint8).reshape(count, 3072)
    facts: dict = {"TRAIN": {}, "TEST": {}}
    for i in range(6):
        part = slice(i * CIFAR10_TRAIN, (i + 1) * CIFAR10_TRAIN)
        entries = {
            "batch_label": f"part {i}",
            "labels": clothes.labels[part].tolist(),
            "data": rows[part],
            "filenames": [f"{j}.png" for j in range(CIFAR10_TRAIN)],
        }
        file = f"data_batch_{i + 1}" if i < 5 else "test_batch"
        sum_ = _pickled(folder / file, entries)
        facts["TRAIN" if i < 5 else "TEST"][file] = [sum_, CIFAR10_TRAIN]
    classes = tinynet.datasets.CIFAR10
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    meta = {"label_names": names, "num_cases_per_batch": CIFAR10_TRAIN, "num_vis": 3072}
    facts["META"] = [classes.META[0], _pickled(folder / classes.META[0], meta), classes.META[2]]
    return {"CIFAR10": facts}


def _pickled(path: Path, entries: dict) -> str:
    content = pickle.dumps(entries, protocol=2)
    path.write_bytes(content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


MAKERS = {"MNIST": mnist, "FashionMNIST": mnist, "CIFAR10": cifar10}
