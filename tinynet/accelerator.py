"""The GPU by whatever name, with the names of `torch.accelerator`: it is CUDA's, or none."""

from __future__ import annotations

from typing import Any

from . import cuda
from .device import device


def is_available() -> bool:
    """True if there is a GPU that can be used."""
    return cuda.is_available()


def device_count() -> int:
    """How many GPUs can be used."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> device | None:
    """The device `cuda`, or None if there is no GPU to use."""
    return device("cuda") if is_available() else None


def current_device_index() -> int:
    """The number of the GPU in use."""
    return cuda.current_device()


def set_device_index(device: Any, /) -> None:
    """Use the GPU of this number from now on."""
    cuda.set_device(device)


def synchronize(device: Any = None, /) -> None:
    """Wait until the GPU has done what it was told."""
    cuda.synchronize(device)
