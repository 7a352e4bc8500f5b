"""Images warped, blurred, toned and erased: known cases, bounds of what is random, errors."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import tinynet
import tinynet.transforms as T
import tinynet.transforms.functional as F

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (12, 16, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS)
PLANES = tinynet.from_numpy(np.ascontiguousarray(PIXELS.transpose(2, 0, 1)))
FLOATS = T.ConvertImageDtype(tinynet.float32)(PLANES)
BILINEAR = F.InterpolationMode.BILINEAR


@pytest.fixture(autouse=True)
def seeded():
    tinynet.manual_seed(0)


def pixels(image):
    return np.asarray(image) if isinstance(image, Image.Image) else image.numpy()


def test_quarter_turns():
    np.testing.assert_array_equal(pixels(F.rotate(PICTURE, 90, expand=True)), np.rot90(PIXELS))
    np.testing.assert_array_equal(pixels(F.rotate(PLANES, 180)), PLANES.numpy()[:, ::-1, ::-1])


def test_affine_moves():
    moved = pixels(F.affine(PLANES, 0, (3, -2), 1.0, 0))
    np.testing.assert_array_equal(moved[:, :-2, 3:], PLANES.numpy()[:, 2:, :-3])
    assert not moved[:, -2:].any()
    assert not moved[:, :, :3].any()
    np.testing.assert_array_equal(
        pixels(F.affine(PICTURE, 0, (3, -2), 1.0, 0))[:-2, 3:], PIXELS[2:, :-3]
    )


def test_affine_is_rotation_scale_and_shear():
    turned = pixels(F.affine(PLANES[:, :12, :12], 90, (0, 0), 1.0, 0))
    np.testing.assert_array_equal(turned, np.rot90(PLANES.numpy()[:, :12, :12], -1, (1, 2)))
    big = pixels(F.affine(PLANES, 0, (0, 0), 2.0, 0))
    np.testing.assert_array_equal(big[0, ::2, ::2], PLANES.numpy()[0, 3:9, 4:12])
    # a shear of x by 45 degrees around the upper left corner: row y moves by y
    sheared = pixels(F.affine(PLANES, 0, (0, 0), 1.0, (-45, 0), center=[0.5, 0.5]))
    for y in range(12):
        np.testing.assert_array_equal(sheared[0, y, y:], PLANES.numpy()[0, y, : 16 - y])
    with pytest.raises(ValueError, match="scale should be positive"):
        F.affine(PICTURE, 0, (0, 0), 0, 0)


def test_perspective_moves_corners():
    corners = [[0, 0], [15, 0], [15, 11], [0, 11]]
    same = pixels(F.perspective(PICTURE, corners, corners))
    assert np.abs(same - PIXELS.astype(int)).max() <= 1  # mixed of neighbours, nearly one alone
    shifted = [[x + 2, y + 1] for x, y in corners]
    moved = pixels(F.perspective(PLANES, corners, shifted, F.InterpolationMode.NEAREST))
    np.testing.assert_array_equal(moved[:, 1:, 2:], PLANES.numpy()[:, :-1, :-2])


@pytest.mark.parametrize("size", [3, (5, 3)])
def test_gaussian_blur(size):
    across, down = (size, size) if isinstance(size, int) else size
    expected = FLOATS.numpy().astype(np.float64)
    for axis, k in ((2, across), (1, down)):
        expected = ndimage.gaussian_filter1d(expected, 1.3, axis=axis, mode="mirror", radius=k // 2)
    blurred = F.gaussian_blur(FLOATS, size, 1.3)
    np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-6)
    as_bytes = pixels(F.gaussian_blur(PICTURE, size, 1.3)).transpose(2, 0, 1)
    assert np.abs(as_bytes - 255 * expected).max() <= 0.501
    with pytest.raises(ValueError, match="odd and positive"):
        F.gaussian_blur(FLOATS, 4)


def test_tones():
    x = PLANES.numpy()
    np.testing.assert_array_equal(F.invert(PLANES).numpy(), 255 - x)
    np.testing.assert_array_equal(pixels(F.invert(PICTURE)), 255 - PIXELS)
    np.testing.assert_array_equal(F.posterize(PLANES, 3).numpy(), x & 0b11100000)
    np.testing.assert_array_equal(pixels(F.posterize(PICTURE, 3)), PIXELS & 0b11100000)
    np.testing.assert_array_equal(F.solarize(PLANES, 100).numpy(), np.where(x >= 100, 255 - x, x))
    np.testing.assert_allclose(F.adjust_gamma(FLOATS, 2.0).numpy(), FLOATS.numpy() ** 2, 1e-6)
    stretched = F.autocontrast(0.2 + 0.5 * FLOATS).numpy()
    assert stretched.min(axis=(1, 2)).tolist() == [0, 0, 0]
    assert stretched.max(axis=(1, 2)).tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match=r"Only torch.uint8|uint8 image"):
        F.equalize(FLOATS)


def test_picture_and_planes_agree():
    for change in (
        F.equalize,
        F.autocontrast,
        lambda image: F.adjust_sharpness(image, 1.7),
        lambda image: F.solarize(image, 128),
        lambda image: F.rotate(image, 20, BILINEAR),
        lambda image: F.affine(image, 20, (1, 2), 1.1, (5, 3), BILINEAR),
    ):
        np.testing.assert_array_equal(
            change(PLANES).numpy().transpose(1, 2, 0), pixels(change(PICTURE))
        )


def test_erase():
    erased = F.erase(FLOATS, 2, 3, 4, 5, 7.0)
    assert (erased.numpy()[:, 2:6, 3:8] == 7).all()
    assert (erased.numpy() != FLOATS.numpy()).sum() == 3 * 4 * 5
    assert F.erase(erased, 0, 0, 1, 1, 9.0, inplace=True) is erased
    with pytest.raises(TypeError, match="Tensor Image"):
        F.erase(PICTURE, 0, 0, 1, 1, 0)


def test_random_erasing():
    for _ in range(20):
        erased = T.RandomErasing(p=1, scale=(0.1, 0.2), ratio=(0.5, 2), value=(5, 6, 7))(FLOATS)
        changed = erased.numpy() != FLOATS.numpy()
        rows, columns = np.nonzero(changed[0])
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert 0.05 <= area / (12 * 16) <= 0.3
        assert [float(c[changed[0]].min()) for c in erased.numpy()] == [5, 6, 7]
    assert T.RandomErasing(p=0)(FLOATS) is FLOATS
    noise = T.RandomErasing(p=1, value="random")(FLOATS).numpy()
    assert noise.min() < 0
    with pytest.raises(ValueError, match="'random'"):
        T.RandomErasing(value="noise")


CERTAIN = [
    (T.RandomInvert(1), F.invert),
    (T.RandomPosterize(2, 1), lambda x: F.posterize(x, 2)),
    (T.RandomSolarize(90, 1), lambda x: F.solarize(x, 90)),
    (T.RandomAdjustSharpness(0.2, 1), lambda x: F.adjust_sharpness(x, 0.2)),
    (T.RandomAutocontrast(1), F.autocontrast),
    (T.RandomEqualize(1), F.equalize),
    (T.RandomGrayscale(1), lambda x: F.rgb_to_grayscale(x, 3)),
]


@pytest.mark.parametrize(("transform", "change"), CERTAIN, ids=lambda x: type(x).__name__)
def test_with_certainty_and_never(transform, change):
    np.testing.assert_array_equal(pixels(transform(PICTURE)), pixels(change(PICTURE)))
    transform.p = 0
    assert transform(PICTURE) is PICTURE
    transform.p = 1


def test_random_affine_stays_within_its_limits():
    transform = T.RandomAffine(0, translate=(0.25, 0.5))
    shifts = set()
    point = np.zeros((1, 12, 16), np.uint8)
    point[0, 6, 8] = 255
    for _ in range(100):
        moved = transform(tinynet.from_numpy(point)).numpy()[0]
        shifts.add(tuple(int(v) for v in np.argwhere(moved)[0] - [6, 8]) if moved.any() else None)
    shifts.discard(None)
    assert len(shifts) > 30
    assert all(abs(dy) <= 6 and abs(dx) <= 4 for dy, dx in shifts)
    assert T.RandomAffine(30, scale=(0.5, 2), shear=10)(PICTURE).size == PICTURE.size
    with pytest.raises(ValueError, match="between 0 and 1"):
        T.RandomAffine(0, translate=(2, 0))
    with pytest.raises(ValueError, match="positive"):
        T.RandomAffine(0, scale=(0, 1))


def test_random_perspective_moves_corners_inwards():
    for _ in range(20):
        start, end = T.RandomPerspective.get_params(16, 12, 0.5)
        assert start == [[0, 0], [15, 0], [15, 11], [0, 11]]
        for (x, y), (u, v) in zip(start, end):
            assert 0 <= (u - x if x == 0 else x - u) <= 4
            assert 0 <= (v - y if y == 0 else y - v) <= 3
    assert T.RandomPerspective(p=0)(PICTURE) is PICTURE
    assert T.RandomPerspective(p=1)(PICTURE).size == PICTURE.size


def test_choice_and_order():
    plus, times = (T.Lambda(lambda x: x + 1), T.Lambda(lambda x: x * 10))
    assert {T.RandomChoice([plus, times])(1) for _ in range(30)} == {2, 10}
    assert {T.RandomChoice([plus, times], p=[1, 0])(1) for _ in range(30)} == {2}
    assert {T.RandomOrder([plus, times])(1) for _ in range(30)} == {20, 11}
    with pytest.raises(ValueError, match="Length of p"):
        T.RandomChoice([plus], p=[1, 2])


def test_convert_image_dtype():
    assert F.convert_image_dtype(PLANES).numpy().max() <= 1
    back = F.convert_image_dtype(F.convert_image_dtype(PLANES, tinynet.float64), tinynet.uint8)
    np.testing.assert_array_equal(back.numpy(), PLANES.numpy())
    wide = F.convert_image_dtype(PLANES, tinynet.int16)
    np.testing.assert_array_equal(wide.numpy(), PLANES.numpy().astype(np.int16) * 128)
    np.testing.assert_array_equal(
        F.convert_image_dtype(wide, tinynet.uint8).numpy(), PLANES.numpy()
    )
    with pytest.raises(RuntimeError, match="cannot be performed safely"):
        F.convert_image_dtype(FLOATS, tinynet.int64)


def test_linear_transformation():
    matrix = tinynet.tensor([[0.0, 1.0], [1.0, 0.0]])
    swap = T.LinearTransformation(matrix, tinynet.tensor([1.0, 2.0]))
    assert swap(tinynet.tensor([[5.0, 7.0]])).tolist() == [[5.0, 4.0]]
    with pytest.raises(ValueError, match="should be square"):
        T.LinearTransformation(matrix[:1], tinynet.zeros(2))


@pytest.mark.parametrize("transform", [T.RandAugment(), T.TrivialAugmentWide()], ids=repr)
def test_augmentation_policies(transform):
    results = [pixels(transform(PICTURE)) for _ in range(60)]
    assert all(r.shape == PIXELS.shape and r.dtype == np.uint8 for r in results)
    assert len({r.tobytes() for r in results}) > 20
    with pytest.raises(TypeError, match="in front of ToTensor"):
        transform(FLOATS)


def test_sizes():
    assert F.get_dimensions(PICTURE) == F.get_dimensions(PLANES) == [3, 12, 16]
    assert F.get_image_size(PICTURE) == F.get_image_size(PLANES) == [16, 12]
    assert F.resized_crop(PICTURE, 1, 2, 8, 8, (4, 5)).size == (5, 4)
    assert F.resize(PLANES, 6).shape == (3, 6, 8)
    assert len(F.five_crop(PICTURE, 4)) == 5
    assert len(F.ten_crop(PICTURE, 4)) == 10
    np.testing.assert_array_equal(pixels(F.to_pil_image(F.to_tensor(PICTURE))), PIXELS)
    np.testing.assert_array_equal(F.pil_to_tensor(PICTURE).numpy(), PLANES.numpy())
    assert F.normalize(FLOATS, [0.5] * 3, [0.5] * 3).numpy().min() < 0
    assert F.pad(PICTURE, 2).size == (20, 16)
    assert F.center_crop(PICTURE, 4).size == (4, 4)
