import gzip
import hashlib
import struct
from typing import ClassVar

import numpy as np
import pytest

from tinynet.datasets import KMNIST, MNIST, DatasetError, FashionMNIST, read_idx


def idx(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


class Small(MNIST):
    """MNIST's reader with the sums of files that a test can make."""

    random = np.random.default_rng(0)
    CONTENT: ClassVar = {
        "train-images-idx3-ubyte": idx(random.integers(0, 256, (5, 28, 28))),
        "train-labels-idx1-ubyte": idx(np.arange(5)),
        "t10k-images-idx3-ubyte": idx(random.integers(0, 256, (3, 28, 28))),
        "t10k-labels-idx1-ubyte": idx(np.arange(3)),
    }
    MD5: ClassVar = {name: hashlib.md5(content).hexdigest() for name, content in CONTENT.items()}


@pytest.fixture
def write(tmp_path):
    def write(folder="", packed=True):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, content in Small.CONTENT.items():
            if packed:
                (tmp_path / folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (tmp_path / folder / name).write_bytes(content)
        return tmp_path

    return write


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("folder", ["", "Small/raw"])
def test_reads_both_layouts_packed_or_not(write, folder, packed):
    root = write(folder, packed)
    train, test = Small(root), Small(str(root), train=False)
    assert (len(train), len(test)) == (5, 3)
    assert train.data.numpy().tobytes() == Small.CONTENT["train-images-idx3-ubyte"][16:]
    assert train.targets.tolist() == [0, 1, 2, 3, 4]
    assert test[2][1] == 2


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DatasetError) as error:
        FashionMNIST(tmp_path)
    message = str(error.value)
    assert "train-images-idx3-ubyte.gz is neither in" in message
    assert str(tmp_path / "FashionMNIST" / "raw") in message
    assert "t10k-labels-idx1-ubyte.gz" in message
    assert "or say download=True" in message
    assert isinstance(error.value, RuntimeError)


def test_other_content_is_refused(write):
    root = write()
    name = "train-labels-idx1-ubyte"
    (root / f"{name}.gz").write_bytes(gzip.compress(idx(np.array([0, 1, 2, 3, 5]))))
    with pytest.raises(DatasetError, match=rf"{name}.gz is not the original file"):
        Small(root)


@pytest.mark.parametrize("keep", [0, 1, 15, 200, -1])
def test_truncated_archive_is_refused(write, keep):
    path = write() / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.gz is (truncated|not an idx)"):
        Small(path.parent)


def test_damaged_archive_is_refused(write):
    path = write() / "train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.gz is"):
        Small(path.parent)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG\r\n", "not an idx file"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "not an idx file of unsigned bytes"),
        (b"\0\0\x08\x03\0\0", "ends within the header"),
        (idx(np.arange(6))[:-1], "is truncated: its header promises 6 elements, 14 bytes"),
        (idx(np.arange(6)) + b"\0", "is too long"),
    ],
)
def test_read_idx_says_what_is_wrong(tmp_path, content, reason):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=reason) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_read_idx_gives_a_writable_array(tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "file").write_bytes(idx(array))
    read = read_idx(tmp_path / "file")
    np.testing.assert_array_equal(read, array)
    read[0, 0, 0] = 9
    assert read[0, 0, 0] == 9


def test_files_that_do_not_belong_together(write):
    class Mixed(Small):
        MD5: ClassVar = dict.fromkeys(Small.MD5)

    root = write()
    (root / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(4))))
    with pytest.raises(DatasetError, match="do not belong together"):
        Mixed(root)


def test_kmnist_reads_its_own_folder(tmp_path):
    folder = tmp_path / "KMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 3), ("t10k", 2)):
        images = bytes([0, 0, 8, 3]) + struct.pack(">3I", count, 28, 28) + bytes(count * 784)
        labels = bytes([0, 0, 8, 1]) + struct.pack(">I", count) + bytes(range(count))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    train, test = KMNIST(tmp_path), KMNIST(tmp_path, train=False)
    assert (len(train), len(test)) == (3, 2)
    assert [train.classes[train[i][1]] for i in range(3)] == ["o", "ki", "su"]
    (folder / "t10k-images-idx3-ubyte").write_bytes(images[:-1])
    with pytest.raises(DatasetError, match="truncated"):
        KMNIST(tmp_path, train=False)
