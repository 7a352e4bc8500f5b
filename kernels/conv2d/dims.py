"""The sizes of one convolution, validated once; every kernel then trusts them."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ..errors import ShapeError
from ..geometry import Pair, pair, window_count


@dataclass(frozen=True, slots=True)
class Conv2dDims:
    """Sizes of y = conv2d(x, w), in the letters of Chetlur et al. 2014 (cuDNN).

    x is (N, C, H, W), w is (K, C / groups, R, S), y is (N, K, P, Q). C and K count all groups.
    """

    N: int
    C: int
    H: int
    W: int
    K: int
    R: int
    S: int
    P: int
    Q: int
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @staticmethod
    def of(
        x_shape: Sequence[int],
        w_shape: Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> "Conv2dDims":
        """The sizes for these shapes; ShapeError says which rule they break and what would help.

        P = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1, and Q likewise from W.
        """
        x_shape, w_shape = tuple(x_shape), tuple(w_shape)
        if len(x_shape) != 4 or len(w_shape) != 4:
            raise ShapeError(
                f"conv2d: x must be (N, C, H, W) and w must be (K, C, R, S), but x has shape "
                f"{x_shape} and w has shape {w_shape}. "
                f"Add the missing axes, for one image x.unsqueeze(0)."
            )
        stride = pair(stride, "stride", "conv2d", least=1)
        padding = pair(padding, "padding", "conv2d", least=0)
        dilation = pair(dilation, "dilation", "conv2d", least=1)
        if groups.__class__ is not int:
            groups = operator.index(groups)
        return _dims(x_shape, w_shape, stride, padding, dilation, groups)

    def with_images(self, N: int) -> "Conv2dDims":
        """The same convolution of another number of images."""
        return replace(self, N=N)

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.N, self.C, self.H, self.W

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        return self.K, self.C // self.groups, self.R, self.S

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.N, self.K, self.P, self.Q

    @property
    def flops(self) -> int:
        """Multiplications and additions of any one of the three passes, by the definition."""
        return 2 * self.N * self.K * self.P * self.Q * (self.C // self.groups) * self.R * self.S


@lru_cache(maxsize=1024)  # a network asks for the same few again and again
def _dims(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Conv2dDims:
    N, C, H, W = x_shape
    K, channels, R, S = w_shape
    given = f"conv2d: x is (N, C, H, W) = {x_shape}, w is (K, C, R, S) = {w_shape}"
    if groups < 1 or C % groups or K % groups:
        raise ShapeError(
            f"{given}; groups = {groups} must be positive and divide C = {C} and K = {K}. "
            f"Choose groups from their common divisors."
        )
    if channels * groups != C:
        expected = f"{channels}" if groups == 1 else f"{channels} in each of {groups} groups"
        raise ShapeError(
            f"{given}; x has {C} channels but w expects {expected}. "
            f"Make in_channels of the layer {C}, or bring x to {channels * groups} channels."
        )
    if min(R, S) < 1:
        raise ShapeError(f"{given}; the kernel (R, S) must be at least (1, 1).")
    P = window_count(H, R, stride=stride[0], padding=padding[0], dilation=dilation[0])
    Q = window_count(W, S, stride=stride[1], padding=padding[1], dilation=dilation[1])
    if min(P, Q) < 1:
        spans = (dilation[0] * (R - 1) + 1, dilation[1] * (S - 1) + 1)
        raise ShapeError(
            f"{given}; the kernel spans {spans} pixels (dilation = {dilation}) but the padded "
            f"image has only {(H + 2 * padding[0], W + 2 * padding[1])} (padding = {padding}). "
            f"Use larger images, a smaller kernel or more padding."
        )
    return Conv2dDims(N, C, H, W, K, R, S, P, Q, stride, padding, dilation, groups)
