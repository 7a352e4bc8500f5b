"""How kernels cut sizes into tiles: by shape alone, so that results never depend on threads."""


def round_up(size: int, multiple: int) -> int:
    """The least multiple that is not below size."""
    return -(-size // multiple) * multiple


def even_split(size: int, most: int) -> int:
    """The length of pieces, at most `most`, that cut size into as few and as equal as can be."""
    pieces = -(-size // most)
    return -(-size // max(1, pieces))
