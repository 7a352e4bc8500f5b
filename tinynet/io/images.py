"""Image files, turned into what a network was trained on."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from .safetensors import FileFormatError


def read_image(
    path: str | os.PathLike[str],
    shape: tuple[int, int, int],
    *,
    invert: bool | None = None,
) -> tuple[np.ndarray, bool]:
    """The image file's pixels as uint8 (C, H, W), and whether they were inverted.

    The image is turned upright (EXIF), put on white where it is transparent, made grey (C = 1) or
    RGB (C = 3), scaled to fit into H x W, and padded in the colour of its border. Nothing is
    changed about an image that has the right size and colours already.

    invert: exchange light and dark. Datasets such as MNIST and Fashion-MNIST are light on black,
        photographs and drawings mostly dark on white: None inverts a grey image if its border is
        light (median above 127), and never an RGB image.
    Raises FileNotFoundError, and FileFormatError if the file is not an image or is damaged.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    channels, height, width = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # a small file that claims to be a huge image is refused, not unpacked
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                image: Any = ImageOps.exif_transpose(file)
                image = _opaque(image).convert("L" if channels == 1 else "RGB")
    except UnidentifiedImageError:
        raise FileFormatError(f"{path} is not an image that Pillow can read.") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no image file {path}.") from None
    except IsADirectoryError:
        raise FileFormatError(f"{path} is a folder, not an image.") from None
    except Exception as error:
        # Pillow reports damage in many ways: OSError, SyntaxError, ValueError, struct.error, ...
        raise FileFormatError(f"{path} cannot be read as an image: {error}.") from None

    border = _border(np.asarray(image))
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # when Pillow makes an image smaller, its bilinear filter averages over all merged pixels
    image = image.resize(size, Image.Resampling.BILINEAR)
    canvas = Image.new(image.mode, (width, height), border if channels == 3 else border[0])
    canvas.paste(image, ((width - size[0]) // 2, (height - size[1]) // 2))
    pixels = np.array(canvas)
    pixels = pixels[None] if channels == 1 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    if invert is None:
        invert = channels == 1 and border[0] > 127
    return (255 - pixels if invert else pixels), invert


def _opaque(image: Any) -> Any:
    """The image on white, if any of it is transparent; 16-bit grey reduced to 8 bits."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    colours = image.convert("RGBA")
    paper = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(paper, colours)


def _border(pixels: np.ndarray) -> tuple[int, ...]:
    """The median colour of the outermost pixels."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(value) for value in np.median(edge, axis=0))
