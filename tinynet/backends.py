"""Switches of the GPU kernels, with PyTorch's names.

    tinynet.backends.cuda.matmul.allow_tf32 = True      # matrix products
    tinynet.backends.cudnn.allow_tf32 = True            # convolutions

TF32 rounds what is multiplied to 10 bits of mantissa: faster on GPUs from Ampere on, and good to
about three digits. Both are off, so that a network computes the same on every device (PyTorch's
second one is on). There is no cuDNN here; the name is the one that programs use.
"""

from __future__ import annotations

from types import SimpleNamespace

from .kernels import precision


class _Switch:
    """`allow_tf32` of one family of kernels."""

    def __init__(self, family: str) -> None:
        self._family = family

    @property
    def allow_tf32(self) -> bool:
        """Whether float32 products may be rounded to TF32."""
        return precision.tf32[self._family]

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        precision.tf32[self._family] = bool(allowed)


cuda = SimpleNamespace(matmul=_Switch("matmul"))
cudnn = _Switch("conv2d")
