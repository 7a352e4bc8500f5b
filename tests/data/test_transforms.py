import numpy as np
import pytest
from PIL import Image

import tinynet
from tinynet.datasets import Digits
from tinynet.transforms import (
    Compose,
    Lambda,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    ToTensor,
)
from tinynet.utils.data import DataLoader

random = np.random.default_rng(0)
GREY = random.integers(0, 256, (5, 4), dtype=np.uint8)
COLOUR = random.integers(0, 256, (5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("source", [np.asarray, Image.fromarray])
def test_to_tensor(source):
    grey, colour = ToTensor()(source(GREY)), ToTensor()(source(COLOUR))
    assert grey.shape == (1, 5, 4)
    assert colour.shape == (3, 5, 4)
    assert colour.dtype == tinynet.float32
    assert colour.is_contiguous()
    np.testing.assert_allclose(grey.numpy()[0], GREY / 255, rtol=1e-6)
    np.testing.assert_allclose(colour.numpy(), COLOUR.transpose(2, 0, 1) / 255, rtol=1e-6)


def test_to_tensor_keeps_other_types():
    assert ToTensor()(np.array([[1.5, 2]])).tolist() == [[[1.5, 2]]]
    assert ToTensor()(Image.fromarray(np.array([[7]], np.int32))).dtype == tinynet.int32
    assert ToTensor()(Image.fromarray(np.array([[7]], np.uint16))).tolist() == [[[7]]]
    black_and_white = ToTensor()(Image.new("1", (2, 1), 1))
    assert black_and_white.tolist() == [[[1.0, 1.0]]]


def test_to_tensor_refuses():
    with pytest.raises(TypeError, match="pic should be PIL Image or ndarray"):
        ToTensor()([[1]])
    with pytest.raises(ValueError, match=r"pic should be 2/3 dimensional. Got 1 dimensions"):
        ToTensor()(np.zeros(3))


def test_normalize():
    x = ToTensor()(COLOUR)
    mean, std = (0.5, 0.25, 0.1), (0.2, 0.5, 1.0)
    expected = (x.numpy() - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(Normalize(mean, std)(x).numpy(), expected, rtol=1e-4, atol=1e-6)
    assert Normalize(0.5, 0.5)(x).numpy().min() >= -1
    before = x.clone()
    assert (Normalize(mean, std)(x) is x, (x == before).all().item()) == (False, True)
    assert Normalize(mean, std, inplace=True)(x) is x
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_normalize_refuses():
    with pytest.raises(TypeError, match="img should be Tensor Image"):
        Normalize(0, 1)(GREY)
    with pytest.raises(TypeError, match=r"should be a float tensor. Got tinynet.int64"):
        Normalize(0, 1)(tinynet.ones(1, 2, 2, dtype=tinynet.int64))
    with pytest.raises(ValueError, match="std evaluated to zero"):
        Normalize([0.5], [0.0])(tinynet.ones(1, 2, 2))
    with pytest.raises(ValueError, match="Expected tensor to be a tensor image of size"):
        Normalize(0, 1)(tinynet.ones(2, 2))


def test_compose_and_lambda():
    both = Compose([ToTensor(), Lambda(lambda x: x * 2)])
    assert both(GREY).numpy().max() > 1
    assert repr(both) == "Compose(\n    ToTensor()\n    Lambda()\n)"
    with pytest.raises(TypeError, match="lambd should be callable"):
        Lambda(3)


def test_flip():
    x = ToTensor()(GREY)
    assert RandomHorizontalFlip(0)(x) is x
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(x).numpy(), x.numpy()[..., ::-1])
    mirrored = RandomHorizontalFlip(1)(Image.fromarray(GREY))
    np.testing.assert_array_equal(np.asarray(mirrored), GREY[:, ::-1])
    tinynet.manual_seed(0)
    flips = [RandomHorizontalFlip()(x) is not x for _ in range(200)]
    assert 60 < sum(flips) < 140
    tinynet.manual_seed(0)
    assert flips == [RandomHorizontalFlip()(x) is not x for _ in range(200)]


@pytest.mark.parametrize(
    ("padding", "sides"), [(2, (2, 2, 2, 2)), ((1, 3), (1, 3, 1, 3)), ((1, 2, 3, 4), (1, 2, 3, 4))]
)
def test_pad(padding, sides):
    left, top, right, bottom = sides
    expected = np.pad(GREY, ((top, bottom), (left, right)), constant_values=9)
    pad = Pad(padding, fill=9)
    np.testing.assert_array_equal(np.asarray(pad(Image.fromarray(GREY))), expected)
    tensor = tinynet.from_numpy(GREY[None].astype(np.float32))
    np.testing.assert_array_equal(pad(tensor).numpy()[0], expected)
    with pytest.raises(ValueError, match="not a 3 element tuple"):
        Pad((1, 2, 3))


@pytest.mark.parametrize("picture", [True, False])
def test_random_crop(picture):
    image = Image.fromarray(GREY) if picture else tinynet.from_numpy(GREY[None])
    seen = set()
    for _ in range(60):
        part = np.asarray(RandomCrop((3, 2))(image)).reshape(3, 2)
        seen.add(part.tobytes())
    possible = {GREY[i : i + 3, j : j + 2].tobytes() for i in range(3) for j in range(3)}
    assert seen == possible
    padded = np.asarray(RandomCrop(9, padding=2, fill=1)(Image.new("L", (5, 5), 0)))
    np.testing.assert_array_equal(padded, np.pad(np.zeros((5, 5)), 2, constant_values=1))
    with pytest.raises(ValueError, match=r"Required crop size \(9, 9\) is larger than"):
        RandomCrop(9)(image)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_tutorials_way_to_load_images(workers):
    transform = Compose([ToTensor(), Normalize((0.5,), (0.5,))])
    loader = DataLoader(Digits(train=False, transform=transform), 100, num_workers=workers)
    images, labels = next(iter(loader))
    assert images.shape == (100, 1, 8, 8)
    x, y = Digits(train=False).tensors(0.5, 0.5)
    np.testing.assert_allclose(images.numpy(), x.numpy()[:100], atol=1e-6)
    assert labels.tolist() == y.tolist()[:100]
