"""Sizes and colours: against Pillow, PyTorch's resampling, and answers worked out by hand."""

import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

import tinynet
from tinynet import transforms as T
from tinynet.utils.data import DataLoader, Dataset

random = np.random.default_rng(0)
PIXELS = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
IMAGE = Image.fromarray(PIXELS)
TENSOR = T.ToTensor()(IMAGE)


def pixels(image):
    """What an image looks like, as an array (H, W, C), from a picture or a tensor."""
    return (
        np.asarray(image) if isinstance(image, Image.Image) else np.moveaxis(image.numpy(), 0, -1)
    )


@pytest.mark.parametrize(
    ("size", "kwargs", "expected"),
    [
        (14, {}, (18, 14)),  # 9 x 7, the shorter side to 14
        ([3], {}, (3, 3 * 9 // 7)[::-1]),
        ((4, 6), {}, (4, 6)),
        (14, {"max_size": 16}, (16, 12)),
        (5, {"interpolation": T.InterpolationMode.NEAREST}, (6, 5)),
        (5, {"interpolation": T.InterpolationMode.BICUBIC}, (6, 5)),
    ],
)
def test_resize_is_pillows(size, kwargs, expected):
    resized = T.Resize(size, **kwargs)(IMAGE)
    method = Image.Resampling[kwargs.get("interpolation", T.InterpolationMode.BILINEAR).name]
    assert pixels(resized).shape == (*expected, 3)
    np.testing.assert_array_equal(pixels(resized), pixels(IMAGE.resize(expected[::-1], method)))
    assert T.Resize(size, **kwargs)(TENSOR).shape == (3, *expected)
    assert T.Resize((9, 7))(IMAGE) is IMAGE


@pytest.mark.parametrize("size", [(4, 6), (18, 14), (5, 20)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_tensors_are_resized_as_pytorch_does(size, mode):
    torch = pytest.importorskip("torch")
    ours = T.Resize(size, T.InterpolationMode(mode))(TENSOR)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(TENSOR.numpy())[None], size, mode=mode, antialias=True
    )[0]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=2e-6)


def test_resize_refuses():
    with pytest.raises(ValueError, match="strictly greater"):
        T.Resize(5, max_size=5)
    with pytest.raises(ValueError, match="length of the smaller edge"):
        T.Resize((5, 6), max_size=9)
    with pytest.raises(ValueError, match="1 or 2 values"):
        T.Resize((1, 2, 3))
    with pytest.raises(ValueError, match="antialias=True"):
        T.Resize(5, antialias=False)(TENSOR)
    with pytest.raises(TypeError, match="img should be PIL Image or Tensor"):
        T.Resize(5)(PIXELS)


@pytest.mark.parametrize("image", [IMAGE, TENSOR], ids=["picture", "tensor"])
def test_crops_by_hand(image):
    whole = pixels(image)
    np.testing.assert_array_equal(pixels(T.CenterCrop((3, 4))(image)), whole[3:6, 2:6])
    five = T.FiveCrop(4)(image)
    parts = (whole[:4, :4], whole[:4, 3:], whole[5:, :4], whole[5:, 3:], whole[2:6, 2:6])
    for part, expected in zip(five, parts, strict=True):
        np.testing.assert_array_equal(pixels(part), expected)
    for vertical in (False, True):
        turned = whole[::-1] if vertical else whole[:, ::-1]
        ten = T.TenCrop((4, 4), vertical)(image)
        assert len(ten) == 10
        np.testing.assert_array_equal(pixels(ten[0]), whole[:4, :4])
        np.testing.assert_array_equal(pixels(ten[5]), turned[:4, :4])
        np.testing.assert_array_equal(pixels(ten[8]), turned[5:, 3:])
    larger = pixels(T.CenterCrop((12, 8))(image))
    expected = np.pad(whole, ((1, 2), (0, 1), (0, 0)))
    np.testing.assert_array_equal(larger, expected)
    with pytest.raises(ValueError, match=r"crop size \(10, 2\) is bigger than input size \(9, 7\)"):
        T.FiveCrop((10, 2))(image)


@pytest.mark.parametrize("image", [IMAGE, TENSOR], ids=["picture", "tensor"])
def test_flips_and_padding(image):
    whole = pixels(image)
    np.testing.assert_array_equal(pixels(T.RandomVerticalFlip(1)(image)), whole[::-1])
    assert T.RandomVerticalFlip(0)(image) is image
    for mode in ("edge", "reflect", "symmetric"):
        padded = T.Pad((1, 2, 3, 4), padding_mode=mode)(image)
        expected = np.pad(whole, ((2, 4), (1, 3), (0, 0)), mode=mode)
        np.testing.assert_array_equal(pixels(padded), expected)
    with pytest.raises(ValueError, match="Padding mode should be"):
        T.Pad(1, padding_mode="wrap")
    needed = T.RandomCrop((11, 7), pad_if_needed=True)(image)
    assert pixels(needed).shape == (11, 7, 3)


@pytest.mark.parametrize("image", [IMAGE, TENSOR], ids=["picture", "tensor"])
def test_rotation(image):
    right = T.RandomRotation((90, 90), expand=True)(image)
    np.testing.assert_array_equal(pixels(right), np.rot90(pixels(image)))
    assert pixels(T.RandomRotation((90, 90))(image)).shape == (9, 7, 3)
    tinynet.manual_seed(3)
    turned = T.RandomRotation(30, fill=1)(image)
    assert (pixels(turned) != pixels(image)).any()
    tinynet.manual_seed(3)
    np.testing.assert_array_equal(pixels(turned), pixels(T.RandomRotation(30, fill=1)(image)))


def test_rotation_is_pillows():
    turned = T.RandomRotation((20, 20), T.InterpolationMode.BILINEAR, center=(1, 2), fill=7)(IMAGE)
    expected = IMAGE.rotate(20, Image.Resampling.BILINEAR, center=(1, 2), fillcolor=(7, 7, 7))
    np.testing.assert_array_equal(pixels(turned), pixels(expected))
    with pytest.raises(ValueError, match="must be positive"):
        T.RandomRotation(-1)


def test_random_resized_crop():
    image = Image.fromarray(random.integers(0, 256, (60, 40), dtype=np.uint8))
    tinynet.manual_seed(0)
    transform = T.RandomResizedCrop((8, 6), scale=(0.2, 0.5), ratio=(0.5, 2.0))
    shares, ratios = [], []
    for _ in range(300):
        top, left, height, width = transform.get_params(image, transform.scale, transform.ratio)
        assert 0 <= top <= 60 - height
        assert 0 <= left <= 40 - width
        shares.append(height * width / 2400)
        ratios.append(math.log(width / height))
    assert 0.19 < min(shares) < 0.22
    assert 0.47 < max(shares) < 0.51
    assert abs(np.mean(ratios)) < 0.1
    assert transform(image).size == (6, 8)
    assert transform(T.ToTensor()(image)).shape == (1, 8, 6)
    # nothing fits: the largest middle part with the proportions
    top, left, height, width = T.RandomResizedCrop.get_params(image, (4.0, 4.0), (1.0, 1.0))
    assert (top, left, height, width) == (10, 0, 40, 40)
    wide = Image.new("L", (40, 10))
    assert T.RandomResizedCrop.get_params(wide, (9.0, 9.0), (0.5, 2.0)) == (0, 10, 10, 20)


def test_to_pil_and_back():
    np.testing.assert_array_equal(pixels(T.ToPILImage()(TENSOR)), PIXELS)
    exact = T.PILToTensor()(IMAGE)
    assert exact.dtype == tinynet.uint8
    np.testing.assert_array_equal(exact.numpy(), PIXELS.transpose(2, 0, 1))
    np.testing.assert_array_equal(pixels(T.ToPILImage()(exact)), PIXELS)
    assert T.ToPILImage()(PIXELS[..., :1]).mode == "L"
    assert T.ToPILImage()(TENSOR[0]).mode == "L"
    assert T.ToPILImage()(PIXELS[..., :2]).mode == "LA"
    assert T.ToPILImage("HSV")(PIXELS).mode == "HSV"
    assert T.ToPILImage("F")(TENSOR[:1]).getpixel((0, 0)) == TENSOR[0, 0, 0].item()
    assert T.ToPILImage()(tinynet.tensor([[7, 70_000]])).getpixel((1, 0)) == 70_000
    for bad, message in (
        (tinynet.ones(1, 1, 2, 2), "2/3 dimensional"),
        (np.ones((2, 2, 5), np.uint8), "> 4 channels"),
        (np.ones(2, np.uint8), "2/3 dimensional"),
    ):
        with pytest.raises(ValueError, match=message):
            T.ToPILImage()(bad)
    with pytest.raises(ValueError, match="Mode L does not fit an image of 3 channels"):
        T.ToPILImage("L")(PIXELS)
    with pytest.raises(TypeError, match="should be Tensor or ndarray"):
        T.ToPILImage()(IMAGE)
    with pytest.raises(TypeError, match="pic should be PIL Image"):
        T.PILToTensor()(PIXELS)


def test_grayscale():
    np.testing.assert_array_equal(pixels(T.Grayscale()(IMAGE)), pixels(IMAGE.convert("L")))
    three = pixels(T.Grayscale(3)(IMAGE))
    assert three.shape == (9, 7, 3)
    assert (three == three[..., :1]).all()
    grey = T.Grayscale()(TENSOR).numpy()
    assert grey.shape == (1, 9, 7)
    np.testing.assert_allclose(grey[0] * 255, pixels(IMAGE.convert("L")), atol=1.01)
    assert T.Grayscale(3)(TENSOR).shape == (3, 9, 7)
    with pytest.raises(ValueError, match="either 1 or 3"):
        T.Grayscale(2)(IMAGE)


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.7])
def test_jitter_is_pillows(name, enhancer, factor):
    jitter = T.ColorJitter(**{name: (factor, factor)})
    expected = pixels(enhancer(IMAGE).enhance(factor))
    np.testing.assert_array_equal(pixels(jitter(IMAGE)), expected)
    np.testing.assert_allclose(pixels(jitter(TENSOR)) * 255, expected, atol=2.5)


def test_hue_by_hand():
    colours = tinynet.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.6, 0.4], [0.5, 0.5, 0.5]])
    image = colours.t().reshape(3, 1, 5)
    third = T.ColorJitter(hue=(1 / 3, 1 / 3))(image)
    # a third of the circle takes red to green, green to blue, blue to red, and leaves grey
    np.testing.assert_allclose(third.numpy(), np.roll(image.numpy(), 1, axis=0), atol=1e-6)
    import colorsys

    shifted = T.ColorJitter(hue=(0.1, 0.1))(TENSOR).numpy()
    for i, j in ((0, 0), (4, 2), (8, 6)):
        h, s, v = colorsys.rgb_to_hsv(*TENSOR.numpy()[:, i, j].tolist())
        np.testing.assert_allclose(
            shifted[:, i, j], colorsys.hsv_to_rgb((h + 0.1) % 1, s, v), atol=1e-5
        )
    picture = pixels(T.ColorJitter(hue=(0.1, 0.1))(IMAGE)).astype(float)
    assert np.abs(picture / 255 - pixels(T.ColorJitter(hue=(0.1, 0.1))(TENSOR))).mean() < 0.02
    grey = IMAGE.convert("L")
    assert T.ColorJitter(hue=(0.1, 0.1))(grey) is grey


def test_jitter_draws_between_its_limits_and_refuses_others():
    image = Image.new("RGB", (1, 1), (100, 100, 100))
    tinynet.manual_seed(0)
    seen = [T.ColorJitter(0.5)(image).getpixel((0, 0))[0] for _ in range(200)]
    assert 50 <= min(seen) < 55
    assert 145 < max(seen) <= 150
    tinynet.manual_seed(0)
    assert seen == [T.ColorJitter(0.5)(image).getpixel((0, 0))[0] for _ in range(200)]
    for arguments, message in (
        ({"hue": 0.6}, "hue values should be between"),
        ({"contrast": -1}, "contrast is a single number, it must be non negative"),
        ({"saturation": (2, 1)}, "saturation values should be between"),
    ):
        with pytest.raises(ValueError, match=message):
            T.ColorJitter(**arguments)
    with pytest.raises(TypeError, match=r"takes a PIL image, or a tensor .* not tinynet.uint8"):
        T.ColorJitter(0.5)(T.PILToTensor()(IMAGE))


def test_lighting_adds_one_colour_of_the_right_covariance():
    tinynet.manual_seed(0)
    lighting = T.Lighting(0.1)
    zero = tinynet.zeros(3, 2, 2)
    shifts = np.array([lighting(zero).numpy()[:, 0, 1] for _ in range(4000)], np.float64)
    P, l = np.array(T.Lighting.EIGVEC), np.array(T.Lighting.EIGVAL)
    expected = P @ np.diag((0.1 * l) ** 2) @ P.T
    np.testing.assert_allclose(np.cov(shifts.T), expected, atol=3e-5)
    assert (lighting(zero).numpy().std(axis=(1, 2)) == 0).all()
    strong = T.Lighting(3.0)
    tinynet.manual_seed(1)
    picture = pixels(strong(IMAGE)).astype(float)
    tinynet.manual_seed(1)
    np.testing.assert_allclose(picture, pixels(strong(TENSOR)).clip(0, 1) * 255, atol=0.51)


def test_random_apply():
    transform = T.RandomApply([T.Lambda(ImageOps.invert), T.Lambda(ImageOps.mirror)], p=1.0)
    np.testing.assert_array_equal(pixels(transform(IMAGE)), 255 - PIXELS[:, ::-1])
    assert T.RandomApply([T.Lambda(ImageOps.invert)], p=0.0)(IMAGE) is IMAGE


class Crops(Dataset):
    """A random number of each worker's, by way of a crop."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return T.RandomCrop(1)(tinynet.arange(1000).reshape(1, 1, 1000)).item()


def test_workers_draw_their_own_numbers_and_repeat_them():
    def drawn():
        tinynet.manual_seed(5)
        return [batch.tolist() for batch in DataLoader(Crops(), 10, num_workers=2)]

    first = drawn()
    assert first == drawn()
    assert len({number for batch in first for number in batch}) > 30


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (T.Resize(256), "Resize(size=256, interpolation=bilinear, max_size=None, antialias=True)"),
        (T.CenterCrop(224), "CenterCrop(size=(224, 224))"),
        (T.Pad((1, 2)), "Pad(padding=(1, 2), fill=0, padding_mode=constant)"),
        (T.RandomCrop(32, 4), "RandomCrop(size=(32, 32), padding=4)"),
        (
            T.RandomResizedCrop(224),
            "RandomResizedCrop(size=(224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.3333), "
            "interpolation=bilinear, antialias=True)",
        ),
        (T.FiveCrop(5), "FiveCrop(size=(5, 5))"),
        (T.TenCrop((5, 6)), "TenCrop(size=(5, 6), vertical_flip=False)"),
        (T.RandomHorizontalFlip(), "RandomHorizontalFlip(p=0.5)"),
        (T.RandomVerticalFlip(0.1), "RandomVerticalFlip(p=0.1)"),
        (
            T.ColorJitter(0.5, hue=0.1),
            "ColorJitter(brightness=(0.5, 1.5), contrast=None, saturation=None, hue=(-0.1, 0.1))",
        ),
        (T.Grayscale(3), "Grayscale(num_output_channels=3)"),
        (
            T.RandomRotation(30),
            "RandomRotation(degrees=[-30.0, 30.0], interpolation=nearest, expand=False, fill=0)",
        ),
        (
            T.RandomApply([T.ToTensor(), T.PILToTensor()]),
            "RandomApply(\n    p=0.5\n    ToTensor()\n    PILToTensor()\n)",
        ),
        (T.ToPILImage(), "ToPILImage()"),
        (T.ToPILImage("L"), "ToPILImage(mode=L)"),
        (T.Lighting(0.1), "Lighting(alphastd=0.1)"),
    ],
)
def test_printed_forms(transform, expected):
    assert repr(transform) == expected
