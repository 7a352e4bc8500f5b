import numpy as np
import pytest
from PIL import Image

from tinynet.io import FileFormatError, read_image

random = np.random.default_rng(0)


def save(path, pixels, **options):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def test_an_image_of_the_right_size_is_not_changed(tmp_path):
    pixels = random.integers(0, 256, (28, 28))
    pixels[[0, -1]] = pixels[:, [0, -1]] = 0
    got, inverted = read_image(save(tmp_path / "a.png", pixels), (1, 28, 28))
    assert got.dtype == np.uint8
    assert not inverted
    np.testing.assert_array_equal(got, pixels[None])


def test_rgb_in_rgb_out(tmp_path):
    pixels = random.integers(0, 256, (32, 32, 3))
    got, inverted = read_image(save(tmp_path / "a.png", pixels), (3, 32, 32))
    np.testing.assert_array_equal(got, np.moveaxis(pixels, -1, 0))
    assert not inverted


def test_colour_becomes_grey_and_grey_becomes_colour(tmp_path):
    red = np.zeros((8, 8, 3))
    red[..., 0] = 200
    grey, _ = read_image(save(tmp_path / "red.png", red), (1, 8, 8))
    assert np.all(grey == 60), "0.299 of red"
    grey_file = save(tmp_path / "grey.png", np.full((8, 8), 77))
    colour, _ = read_image(grey_file, (3, 8, 8))
    assert colour.shape == (3, 8, 8)
    assert np.all(colour == 77)


def test_light_background_is_inverted(tmp_path):
    dark_on_light = np.full((10, 10), 250)
    dark_on_light[3:7, 3:7] = 10
    path = save(tmp_path / "a.png", dark_on_light)
    got, inverted = read_image(path, (1, 10, 10))
    assert inverted
    np.testing.assert_array_equal(got[0], 255 - dark_on_light)
    kept, inverted = read_image(path, (1, 10, 10), invert=False)
    assert not inverted
    np.testing.assert_array_equal(kept[0], dark_on_light)
    forced, inverted = read_image(path, (3, 10, 10), invert=True)
    assert inverted
    np.testing.assert_array_equal(forced[0], 255 - dark_on_light)


def test_scaling_averages(tmp_path):
    big = np.kron(random.integers(0, 100, (4, 4)), np.ones((16, 16)))
    got, _ = read_image(save(tmp_path / "a.png", big), (1, 4, 4))
    assert np.abs(got[0].astype(int) - big[8::16, 8::16]).max() < 30
    assert abs(got.mean() - big.mean()) < 3


@pytest.mark.parametrize("shape", [(20, 40), (40, 20), (1, 100), (7, 5)])
def test_padded_to_the_proportions_with_the_border_colour(tmp_path, shape):
    pixels = np.full(shape, 40)
    got, _ = read_image(save(tmp_path / "a.png", pixels), (1, 28, 28))
    assert got.shape == (1, 28, 28)
    assert np.all(got == 40)


def test_transparent_is_white(tmp_path):
    pixels = np.zeros((6, 6, 4))
    pixels[2:4, 2:4] = [10, 10, 10, 255]
    got, inverted = read_image(save(tmp_path / "a.png", pixels), (1, 6, 6))
    assert inverted
    assert got[0, 0, 0] == 0
    assert got[0, 2, 2] == 245


@pytest.mark.parametrize("mode", ["1", "P", "LA", "CMYK", "I;16", "F"])
def test_every_mode(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode in ("CMYK", "F") else "a.png")
    if mode == "I;16":
        Image.fromarray(np.full((9, 9), 50 << 8, np.uint16)).save(path)
    else:
        Image.new("L", (9, 9), 50).convert(mode).save(path)
    got, _ = read_image(path, (1, 9, 9), invert=False)
    assert got.shape == (1, 9, 9)
    assert np.all(got == {"1": got[0, 0, 0]}.get(mode, 50)) or mode == "1"


def test_turned_upright(tmp_path):
    pixels = np.zeros((6, 6))
    pixels[0, 1] = 99
    exif = Image.Exif()
    exif[0x0112] = 3  # rotated by 180 degrees
    got, _ = read_image(save(tmp_path / "a.png", pixels, exif=exif), (1, 6, 6))
    assert got[0, -1, -2] == 99


def test_what_is_not_an_image_is_refused_by_name(tmp_path):
    text = tmp_path / "letter.txt"
    text.write_text("Dear Sir or Madam")
    with pytest.raises(FileFormatError, match=r"letter.txt is not an image"):
        read_image(text, (1, 28, 28))
    with pytest.raises(FileNotFoundError, match=r"no image file .*nothing.png"):
        read_image(tmp_path / "nothing.png", (1, 28, 28))
    with pytest.raises(FileFormatError, match="is a folder, not an image"):
        read_image(tmp_path, (1, 28, 28))


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_damaged_images_are_refused(tmp_path, format):
    path = save(tmp_path / f"a.{format}", random.integers(0, 256, (60, 60)))
    whole = path.read_bytes()
    for keep in (3, 40, len(whole) // 2):
        path.write_bytes(whole[:keep])
        with pytest.raises(FileFormatError, match=rf"a.{format} (is not|cannot be)"):
            read_image(path, (1, 28, 28))


def test_a_huge_image_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", np.zeros((10, 10)))
    for limit in (99, 40):
        monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", limit)
        with pytest.raises(FileFormatError, match="cannot be read as an image: Image size"):
            read_image(path, (1, 28, 28))
