"""Padding layers.  padding is one number for all sides, or (left, right, top, bottom)."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module

Sides = int | tuple[int, int, int, int]


class _Pad2d(Module):
    mode = "constant"
    value: float = 0.0

    def __init__(self, padding: Sides) -> None:
        super().__init__()
        self.padding = (padding,) * 4 if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        if self.mode == "constant":
            return F.pad(input, self.padding, value=self.value)
        return F.pad(input, self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(_Pad2d):
    """Zeros around the plane: (N, C, H, W) -> (N, C, H + top + bottom, W + left + right)."""


class ConstantPad2d(_Pad2d):
    """`value` around the plane."""

    def __init__(self, padding: Sides, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ReflectionPad2d(_Pad2d):
    """The plane mirrored at its border, the border itself not repeated."""

    mode = "reflect"


class ReplicationPad2d(_Pad2d):
    """The border repeated."""

    mode = "replicate"
