"""The windows of a plane as columns, and their sum back into the plane: each other's derivative.

x is (N, C, H, W), a window (R, S), the columns (N, C*R*S, P*Q): what convolution as a matrix
product multiplies the weights with.  Chellapilla, Puri and Simard 2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..autograd.tape import differentiable
from ..device import xp_of
from ..kernels.geometry import Pair, window_count

if TYPE_CHECKING:
    from ..tensor import Tensor


@dataclass(frozen=True)
class Windows:
    """Where windows lie in a plane (H, W)."""

    plane: Pair
    kernel: Pair
    dilation: Pair
    padding: Pair
    stride: Pair

    @property
    def counts(self) -> Pair:
        """(P, Q): how many windows in each direction."""
        P, Q = (
            window_count(n, k, stride=s, padding=p, dilation=d)
            for n, k, s, p, d in zip(
                self.plane, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return P, Q

    def places(self) -> Iterator[tuple[int, int, slice, slice]]:
        """For each element (r, s) of a window, the rows and columns it lies on, padding counted."""
        (P, Q), (R, S), (d, e), (h, w) = self.counts, self.kernel, self.dilation, self.stride
        for r in range(R):
            for s in range(S):
                rows = slice(r * d, r * d + h * (P - 1) + 1, h)
                yield r, s, rows, slice(s * e, s * e + w * (Q - 1) + 1, w)


@differentiable
def im2col(x: Tensor, *, windows: Windows) -> Any:
    """columns[n, (c, r, s), (p, q)] = x[n, c, h, w], h = p*stride + r*dilation - padding."""
    N, C = x.shape[:2]
    (P, Q), (R, S), (top, left) = windows.counts, windows.kernel, windows.padding
    xp = xp_of(x.array)
    padded = xp.pad(x.array, ((0, 0), (0, 0), (top, top), (left, left)))
    columns = xp.empty((N, C, R, S, P, Q), x.array.dtype)
    for r, s, rows, cols in windows.places():
        columns[:, :, r, s] = padded[:, :, rows, cols]
    return columns.reshape(N, C * R * S, P * Q), (lambda dy: col2im(dy, windows=windows),)


@differentiable
def col2im(columns: Tensor, *, windows: Windows) -> Any:
    """x[n, c, h, w] = the sum of all columns[n, (c, r, s), (p, q)] that `im2col` takes from it."""
    (H, W), (P, Q), (R, S) = windows.plane, windows.counts, windows.kernel
    top, left = windows.padding
    parts = columns.array.reshape(len(columns.array), -1, R, S, P, Q)
    N, C = parts.shape[:2]
    padded = xp_of(parts).zeros((N, C, H + 2 * top, W + 2 * left), parts.dtype)
    for r, s, rows, cols in windows.places():
        padded[:, :, rows, cols] += parts[:, :, r, s]
    inside = padded[:, :, top : top + H, left : left + W].copy()
    return inside, (lambda dx: im2col(dx, windows=windows),)
