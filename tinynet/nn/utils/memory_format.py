"""Convolution weights in another order of memory."""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd.mode import no_grad
from ..conv import Conv2d, ConvTranspose2d
from ..module import Module

T = TypeVar("T", bound=Module)


def convert_conv2d_weight_memory_format(module: T, memory_format: Any) -> T:
    """Put the weights of all two-dimensional convolutions in this memory format, in place."""
    for child in module.modules():
        if isinstance(child, Conv2d | ConvTranspose2d):
            with no_grad():
                child.weight.data = child.weight.data.clone(memory_format=memory_format)
    return module
