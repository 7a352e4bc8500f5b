"""The sizes of one pooling, validated once; every kernel then trusts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..errors import ShapeError
from ..geometry import Pair, pair, window_count


@dataclass(frozen=True, slots=True)
class Pool2dDims:
    """Sizes of y = pool2d(x): x is (N, C, H, W), windows are (R, S), y is (N, C, P, Q)."""

    N: int
    C: int
    H: int
    W: int
    R: int
    S: int
    P: int
    Q: int
    stride: Pair
    padding: Pair
    dilation: Pair

    @staticmethod
    def of(
        x_shape: Sequence[int],
        *,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
    ) -> "Pool2dDims":
        """The sizes for this shape; ShapeError says which rule it breaks and what would help.

        stride None means kernel_size. ceil_mode rounds P and Q up instead of down, but a window
        must still start inside the image or its top or left padding, as in PyTorch.
        """
        x_shape = tuple(x_shape)
        if len(x_shape) != 4:
            raise ShapeError(
                f"pool2d: x must be (N, C, H, W), but has shape {x_shape}. "
                f"Add the missing axes, for one image x.unsqueeze(0)."
            )
        kernel = pair(kernel_size, "kernel_size", "pool2d", least=1)
        stride = kernel if stride is None else pair(stride, "stride", "pool2d", least=1)
        padding = pair(padding, "padding", "pool2d", least=0)
        dilation = pair(dilation, "dilation", "pool2d", least=1)
        return _dims(x_shape, kernel, stride, padding, dilation, bool(ceil_mode))

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.N, self.C, self.H, self.W

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.N, self.C, self.P, self.Q

    def _padding_only(self) -> bool:
        """True if some window meets no pixel: a dilated one can step over a small image."""
        return any(
            not any(0 <= p * s - pad + r * d < size for r in range(window))
            for size, window, count, s, pad, d in (
                (self.H, self.R, self.P, self.stride[0], self.padding[0], self.dilation[0]),
                (self.W, self.S, self.Q, self.stride[1], self.padding[1], self.dilation[1]),
            )
            if pad > 0 and d > 1
            for p in range(count)
        )


@lru_cache(maxsize=1024)  # a network asks for the same few again and again
def _dims(
    x_shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Pool2dDims:
    given = f"pool2d: x is (N, C, H, W) = {x_shape}, the window is (R, S) = {kernel}"
    if padding[0] > kernel[0] // 2 or padding[1] > kernel[1] // 2:
        raise ShapeError(
            f"{given}; padding = {padding} is more than half a window, so some windows would "
            f"hold padding only. Use at most {(kernel[0] // 2, kernel[1] // 2)}."
        )
    counts = []
    for size, window, s, p, d in zip(x_shape[2:], kernel, stride, padding, dilation, strict=True):
        # Rounding up is rounding down with stride - 1 further pixels at the end.
        further = s - 1 if ceil_mode else 0
        count = window_count(size + further, window, stride=s, padding=p, dilation=d)
        if ceil_mode and (count - 1) * s >= size + p:
            count -= 1
        counts.append(count)
    N, C, H, W = x_shape
    P, Q = counts
    if min(P, Q) < 1:
        raise ShapeError(
            f"{given} with dilation = {dilation}, which is more than the padded image of "
            f"{(H + 2 * padding[0], W + 2 * padding[1])} (padding = {padding}). "
            f"Use larger images, fewer poolings or a smaller window."
        )
    dims = Pool2dDims(N, C, H, W, *kernel, P, Q, stride, padding, dilation)
    if dims._padding_only():
        raise ShapeError(
            f"{given}; with dilation = {dilation} and padding = {padding} some windows would "
            f"hold padding only. Use a smaller dilation or no padding."
        )
    return dims
