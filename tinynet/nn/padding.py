"""Padding layers: padding is one number, or (before, after) of each axis from the last on."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor import Tensor
from . import functional as F
from .module import Module

Sides = int | Sequence[int]


class _Pad(Module):
    axes: int
    mode: str

    def __init__(self, padding: Sides) -> None:
        super().__init__()
        sides = 2 * self.axes
        self.padding = (padding,) * sides if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Sides, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """`value` at both ends of the line."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the plane."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the volume."""

    axes = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Sides) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Zeros at both ends of the line: (N, C, L) -> (N, C, L + left + right)."""

    axes = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the plane: (N, C, H, W) -> (N, C, H + top + bottom, W + left + right)."""

    axes = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the volume."""

    axes = 3


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """The line mirrored at its ends, the ends themselves not repeated."""

    axes = 1


class ReflectionPad2d(_ReflectionPad):
    """The plane mirrored at its border, the border itself not repeated."""

    axes = 2


class ReflectionPad3d(_ReflectionPad):
    """The volume mirrored at its border, the border itself not repeated."""

    axes = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """The ends of the line repeated."""

    axes = 1


class ReplicationPad2d(_ReplicationPad):
    """The border of the plane repeated."""

    axes = 2


class ReplicationPad3d(_ReplicationPad):
    """The border of the volume repeated."""

    axes = 3


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        expected = (self.axes + 1, self.axes + 2)
        if input.dim() not in expected:
            raise ValueError(
                f"expected {expected[0]}D or {expected[1]}D input (got {input.dim()}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """The line going on at its other end."""

    axes = 1


class CircularPad2d(_CircularPad):
    """The plane going on at its other side."""

    axes = 2


class CircularPad3d(_CircularPad):
    """The volume going on at its other side."""

    axes = 3
