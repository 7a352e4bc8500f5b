"""Apple's GPUs, which tinynet does not use."""

from __future__ import annotations


def is_available() -> bool:
    """False: tinynet computes on the CPU and on NVIDIA's GPUs."""
    return False


def is_built() -> bool:
    """False, as `is_available`."""
    return False
