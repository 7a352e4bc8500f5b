import gzip
import hashlib
from importlib.resources import files

import numpy as np
import pytest

from tinynet.datasets import Clothes, Digits
from tinynet.tensor import Tensor

DATA = files("tinynet.datasets") / "data"


def test_clothes_are_the_first_images_of_fashion_mnist():
    train, test = Clothes(), Clothes(train=False)
    assert (len(train), len(test)) == (10_000, 2_000)
    assert train.data.shape == (10_000, 28, 28)
    assert [train.classes[i] for i in train.targets.tolist()[:4]] == [
        "Ankle boot",
        "T-shirt/top",
        "T-shirt/top",
        "Dress",
    ]
    assert [test.classes[i] for i in test.targets.tolist()[:3]] == [
        "Ankle boot",
        "Pullover",
        "Trouser",
    ]
    assert np.bincount(train.targets.numpy()).min() == 942
    assert hashlib.md5(test.data.numpy().tobytes()).hexdigest() == (
        "c2966db507694f43ec3513c9e1f623a8"
    )


def test_digits_come_from_two_groups_of_writers():
    train, test = Digits(), Digits(train=False)
    assert (len(train), len(test)) == (1500, 297)
    assert train.data.shape == (1500, 8, 8)
    # the first digit of the file, a 0, in its original values 0 to 16
    row = np.array([0, 0, 5, 13, 9, 1, 0, 0])
    np.testing.assert_array_equal(train.data.numpy()[0, 0], np.round(row * 255 / 16))
    assert train.targets.tolist()[:10] == list(range(10))
    assert train.data.numpy().max() == 255


def test_digits_equal_scikit_learns():
    sklearn_datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn not installed")
    original = sklearn_datasets.load_digits()
    stretched = np.concatenate([Digits(train=part).data.numpy() for part in (True, False)])
    np.testing.assert_array_equal(stretched, np.round(original.images * (255 / 16)))


def test_an_item_is_a_picture_and_a_label():
    image, label = Clothes(train=False)[0]
    assert image.mode == "L"
    assert image.size == (28, 28)
    assert label == 9
    assert type(label) is int


def test_transforms_are_applied():
    dataset = Digits(transform=lambda image: np.asarray(image) / 255, target_transform=str)
    pixels, label = dataset[3]
    assert pixels.max() <= 1
    assert label == "3"


def test_tensors_are_the_normalised_images():
    dataset = Digits()
    x, y = dataset.tensors(mean=0.25, std=0.5)
    assert isinstance(x, Tensor)
    assert x.shape == (1500, 1, 8, 8)
    assert x.numpy().dtype == np.float32
    expected = (dataset.data.numpy()[:, None] / 255.0 - 0.25) / 0.5
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-6)
    assert y.tolist() == dataset.targets.tolist()
    y.numpy()[0] = 7
    assert dataset.targets[0].item() == 0, "the tensors must not share the dataset's memory"


def test_class_to_idx():
    assert Clothes(train=False).class_to_idx["Sneaker"] == 7


@pytest.mark.parametrize("folder", ["fashion_mnist", "digits"])
def test_licence_and_size(folder):
    entries = list((DATA / folder).iterdir())
    licence = (DATA / folder / "LICENSE").read_text()
    assert ("Copyright (c) 2017 Zalando SE" in licence) == (folder == "fashion_mnist")
    assert ("CC BY 4.0" in licence) == (folder == "digits")
    assert sum(len(entry.read_bytes()) for entry in entries) < 6_000_000


def test_packing_is_reproducible():
    for path in DATA.rglob("*.gz"):
        head = path.read_bytes()[:10]
        assert head[3] == 0, f"{path}: no file name in the gzip header"
        assert head[4:8] == b"\0\0\0\0", f"{path}: no time in the gzip header"
        assert gzip.decompress(path.read_bytes())[:3] == b"\0\0\x08"
