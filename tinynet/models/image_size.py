"""The image size that a network is made for."""

from __future__ import annotations

Size = int | tuple[int, int]


def height_and_width(network: str, image_size: Size, least: int = 1) -> tuple[int, int]:
    """(H, W) of an image size, where n means (n, n).

    Raises ValueError for images of less than least x least, of which the network would leave
    nothing.
    """
    H, W = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if min(H, W) < least:
        raise ValueError(f"{network} takes images of at least {least}x{least}, not {H}x{W}")
    return H, W
