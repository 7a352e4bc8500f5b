import hashlib
import io
import os
import pickle
import tarfile
from typing import ClassVar

import numpy as np
import pytest

from tinynet.datasets import CIFAR10, CIFAR100, DatasetError, read_cifar_binary

random = np.random.default_rng(0)
COUNT = 6
ROWS = random.integers(0, 256, (3, COUNT, 3072), dtype=np.uint8)
LABELS = random.integers(0, 10, (3, COUNT))
NAMES = [f"thing {i}" for i in range(10)]


def python2(value):
    """The value as Python 2's NumPy pickled it: text of bytes, NumPy's old module names."""
    content = pickle.dumps(value, protocol=2)
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


FILES = {
    name: python2({"data": ROWS[i], "labels": LABELS[i].tolist(), "batch_label": name})
    for i, name in enumerate(("data_batch_1", "data_batch_2", "test_batch"))
} | {"batches.meta": python2({"label_names": NAMES})}
SUMS = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}


def packed():
    """All files in an archive, as the authors pack them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


class Small(CIFAR10):
    """CIFAR10's reader with the sums of files that a test can make."""

    TRAIN: ClassVar = {n: (SUMS[n], COUNT) for n in ("data_batch_1", "data_batch_2")}
    TEST: ClassVar = {"test_batch": (SUMS["test_batch"], COUNT)}
    META: ClassVar = ("batches.meta", SUMS["batches.meta"], "label_names")


@pytest.fixture(params=["cifar-10-batches-py", ""])
def root(tmp_path, request):
    (tmp_path / request.param).mkdir(exist_ok=True)
    for name, content in FILES.items():
        (tmp_path / request.param / name).write_bytes(content)
    return tmp_path


def test_python_version(root):
    train, test = Small(root), Small(str(root), train=False)
    assert (len(train), len(test)) == (2 * COUNT, COUNT)
    assert train.data.shape == (2 * COUNT, 32, 32, 3)
    assert train.targets == LABELS[:2].reshape(-1).tolist()
    # the file has planes of red, green and blue
    np.testing.assert_array_equal(test.data[4], ROWS[2, 4].reshape(3, 32, 32).transpose(1, 2, 0))
    image, label = test[4]
    assert (image.mode, image.size, label) == ("RGB", (32, 32), LABELS[2, 4])
    assert list(train.classes) == NAMES
    assert train.class_to_idx["thing 3"] == 3
    x, y = test.tensors((0.5, 0, 0), (0.5, 1, 1))
    np.testing.assert_allclose(x.numpy()[4, 1:].reshape(-1), ROWS[2, 4, 1024:] / 255, rtol=1e-5)
    np.testing.assert_allclose(
        x.numpy()[4, 0].reshape(-1), ROWS[2, 4, :1024] / 127.5 - 1, atol=1e-5
    )
    assert y.tolist() == LABELS[2].tolist()
    assert repr(test) == "Small: 6 RGB images of 32x32"


def binary(i, coarse=False):
    columns = [np.full((COUNT, 1), 77, np.uint8)] if coarse else []
    return np.hstack([*columns, LABELS[i][:, None].astype(np.uint8), ROWS[i]]).tobytes()


@pytest.mark.parametrize("folder", ["cifar-10-batches-bin", ""])
def test_binary_version_is_the_same(root, tmp_path_factory, folder):
    other = tmp_path_factory.mktemp("binary")
    (other / folder).mkdir(exist_ok=True)
    for i, name in enumerate(("data_batch_1", "data_batch_2", "test_batch")):
        (other / folder / f"{name}.bin").write_bytes(binary(i))
    (other / folder / "batches.meta.txt").write_text("\n".join(n.replace(" ", "_") for n in NAMES))
    for train in (True, False):
        a, b = Small(root, train), Small(other, train)
        np.testing.assert_array_equal(a.data, b.data)
        assert a.targets == b.targets
    assert b.classes[3] == "thing_3"
    (other / folder / "test_batch.bin").write_bytes(binary(2)[:-3073])
    with pytest.raises(DatasetError, match=r"test_batch.bin .*5 images instead of 6"):
        Small(other, train=False)
    (other / folder / "test_batch.bin").write_bytes(binary(2)[:-1])
    with pytest.raises(DatasetError, match=r"test_batch.bin is truncated: 18,437 bytes"):
        Small(other, train=False)
    (other / folder / "test_batch.bin").write_bytes(b"\x63" + binary(2)[1:])
    with pytest.raises(DatasetError, match=r"go from \d to 99, but there are 10 classes"):
        Small(other, train=False)


def test_a_hundred_classes(tmp_path):
    entries = {"data": ROWS[0], "fine_labels": [99, *range(5)], "coarse_labels": [1] * COUNT}
    content = {"train": python2(entries), "meta": python2({"fine_label_names": ["n"] * 100})}
    (tmp_path / "cifar-100-python").mkdir()
    for name, data in content.items():
        (tmp_path / "cifar-100-python" / name).write_bytes(data)

    class Hundred(CIFAR100):
        TRAIN: ClassVar = {"train": (hashlib.md5(content["train"]).hexdigest(), COUNT)}
        META: ClassVar = ("meta", hashlib.md5(content["meta"]).hexdigest(), "fine_label_names")

    assert Hundred(tmp_path).targets == [99, 0, 1, 2, 3, 4]
    images, labels = read_cifar_binary(binary(1, coarse=True), "file", label_bytes=2)
    np.testing.assert_array_equal(labels, LABELS[1])
    assert images.shape == (COUNT, 32, 32, 3)


def test_missing_and_altered_files_are_named(root):
    with pytest.raises(DatasetError, match=r"data_batch_1 is neither in .*download=True"):
        CIFAR10(root / "nowhere")
    (path,) = root.rglob("data_batch_2")
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:-1] + b"?"):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"data_batch_2 is not the original file, or trunc"):
            Small(root)
    path.unlink()
    with pytest.raises(DatasetError, match=r"data_batch_2 is missing"):
        Small(root)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Evil, r"asks for (posix|nt).system, which is not data"),
        ([1], "holds no dict"),
        ({"data": ROWS[0]}, "does not hold 6 images"),
        ({"data": ROWS[0][:5], "labels": [0] * 6}, "does not hold 6 images"),
        ({"data": np.array([print, 1], object), "labels": [0] * 6}, "refused or damaged"),
    ],
)
def test_a_file_with_the_right_sum_is_still_only_data(tmp_path, value, reason):
    mark = tmp_path / "mark"
    content = pickle.dumps(value(mark) if value is Evil else value, protocol=2)
    (tmp_path / "test_batch").write_bytes(content)

    class Altered(Small):
        TEST: ClassVar = {"test_batch": (hashlib.md5(content).hexdigest(), COUNT)}

    with pytest.raises(DatasetError, match=reason):
        Altered(tmp_path, train=False)
    assert not mark.exists()
