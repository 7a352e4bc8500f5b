"""Intel's library of layers, which tinynet does not use: its kernels are its own."""

from __future__ import annotations


def is_available() -> bool:
    """False: not used."""
    return False
