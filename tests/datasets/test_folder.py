import numpy as np
import pytest
from PIL import Image

from tinynet.datasets import DatasetError, DatasetFolder, FakeData, ImageFolder
from tinynet.transforms import ToTensor
from tinynet.utils.data import DataLoader


@pytest.fixture
def root(tmp_path):
    for i, name in enumerate(("cat/2.png", "cat/1.PNG", "dog/young/x.jpg", "dog/b.bmp")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L" if i else "RGBA", (4 + i, 3), 40 * i).save(path)
    (tmp_path / "dog" / "notes.txt").write_text("good")
    (tmp_path / "readme.txt").write_text("")
    return tmp_path


def test_image_folder(root):
    data = ImageFolder(root)
    assert data.classes == ["cat", "dog"]
    assert data.class_to_idx == {"cat": 0, "dog": 1}
    names = [path[len(str(root)) + 1 :] for path, _ in data.samples]
    assert names == ["cat/1.PNG", "cat/2.png", "dog/b.bmp", "dog/young/x.jpg"]
    assert data.targets == [0, 0, 1, 1]
    assert data.imgs == data.samples
    image, label = data[0]
    assert (image.mode, image.size, label) == ("RGB", (5, 3), 0)
    x, y = ImageFolder(root, ToTensor(), lambda label: -label)[2]
    assert (x.shape, y) == ((3, 3, 7), -1)
    assert repr(data) == "ImageFolder: 4 files of 2 classes"


def test_dataset_folder_takes_any_file(root):
    def read(path):
        with open(path) as file:
            return file.read()

    data = DatasetFolder(root, read, ("txt",), allow_empty=True)
    assert data[0] == ("good", 1)
    assert len(data) == 1
    with pytest.raises(FileNotFoundError, match=r"classes cat. Supported extensions are: txt"):
        DatasetFolder(root, read, "txt")
    assert len(ImageFolder(root, is_valid_file=lambda path: "b." in path, allow_empty=True)) == 1
    with pytest.raises(ValueError, match="Both extensions and is_valid_file"):
        DatasetFolder(root, read)


def test_what_is_not_there_is_said(root):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere"):
        ImageFolder(root / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"Couldn't find any class folder in"):
        ImageFolder(root / "cat")
    (root / "dog" / "b.bmp").write_bytes(b"BM")
    with pytest.raises(DatasetError, match=r"b.bmp cannot be read as an image"):
        ImageFolder(root)[2]


def test_a_damaged_file_is_named_through_workers(root):
    (root / "cat" / "2.png").write_bytes((root / "cat" / "2.png").read_bytes()[:40])
    with pytest.raises(DatasetError, match=r"2.png cannot be read as an image"):
        list(DataLoader(ImageFolder(root, ToTensor()), 1, num_workers=1))


def test_fake_data():
    data = FakeData(5, (3, 4, 6), 3)
    assert len(data) == len(list(data)) == 5
    image, label = data[2]
    assert (image.mode, image.size) == ("RGB", (6, 4))
    assert label in (0, 1, 2)
    assert np.asarray(image).min() == 0
    assert np.asarray(image).max() == 255
    again = FakeData(5, (3, 4, 6), 3)[2]
    assert (again[0].tobytes(), again[1]) == (image.tobytes(), label)
    assert FakeData(5, (3, 4, 6), 3, random_offset=1)[1][0].tobytes() == image.tobytes()
    assert data[1][0].tobytes() != image.tobytes()
    x, _ = FakeData(1, (1, 4, 6), transform=ToTensor())[0]
    assert x.shape == (1, 4, 6)
    with pytest.raises(IndexError, match="FakeData index out of range"):
        data[5]
