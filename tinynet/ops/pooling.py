"""Pooling over windows of the plane.  x is (N, C, H, W), y is (N, C, P, Q).

Max pooling picks one element per window and remembers which (`winners`, in the backend's own form).
Scattering to the winners and gathering from them are adjoint, so they are each other's
derivative. Average pooling is linear: the same holds for it and its adjoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd import layout
from ..autograd.tape import differentiable
from ..device import xp_of

if TYPE_CHECKING:
    from ..tensor import Tensor


@differentiable
def max_pool2d(x: Tensor, *, dims: Any, return_indices: bool, backend: Any) -> Any:
    """The largest element of each window and, as a second output if wanted, its index.

    The first of equal maxima gets the gradient, a NaN wins, and padding counts as -inf.
    """
    y, winners = backend.max_forward(x.array, dims=dims)
    y = layout.kept(y, x)

    def pullback(dy: Tensor) -> Tensor:
        return max_pool2d_scatter(dy, winners=winners, dims=dims, backend=backend)

    # The caller gets an index of his own: writing into it must not change what backward does.
    index = backend.max_index(winners, dims=dims) if return_indices else None
    return (y, index) if return_indices else y, (pullback,)


@differentiable
def max_pool2d_scatter(dy: Tensor, *, winners: Any, dims: Any, backend: Any) -> Any:
    """dx[n, c, index] += dy[n, c]: the derivative of max pooling."""
    dx = backend.max_backward(dy.array, winners, dims=dims)
    return dx, (lambda g: max_pool2d_gather(g, winners=winners, dims=dims, backend=backend),)


@differentiable
def max_pool2d_gather(x: Tensor, *, winners: Any, dims: Any, backend: Any) -> Any:
    """y[n, c] = x[n, c, index]: the adjoint of the scatter."""
    y = backend.max_gather(x.array, winners, dims=dims)
    return y, (lambda dy: max_pool2d_scatter(dy, winners=winners, dims=dims, backend=backend),)


@differentiable
def avg_pool2d(
    x: Tensor, *, dims: Any, count_include_pad: bool, divisor_override: int | None, backend: Any
) -> Any:
    """The mean of each window; its divisor counts the padding, or not, or is given."""
    how = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    y = backend.avg_forward(x.array, dims=dims, **how)
    inner = layout.lies_channels_last(x.array)  # dx is to lie as x does
    return layout.kept(y, x), (
        lambda dy: avg_pool2d_adjoint(dy, dims=dims, inner=inner, backend=backend, **how),
    )


@differentiable
def avg_pool2d_adjoint(
    dy: Tensor,
    *,
    dims: Any,
    inner: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    backend: Any,
) -> Any:
    """Each dy, divided as its window was, spread evenly over that window; channels last if inner.

    dy has the fewer elements, so it is dy that is brought into this order.
    """
    how = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    dx = backend.avg_backward(layout.ordered(dy.array, inner), dims=dims, **how)
    return dx, (lambda g: avg_pool2d(g, dims=dims, backend=backend, **how),)


def _adaptive_windows(size: int, count: int) -> list[slice]:
    """`count` windows that cover range(size), overlapping where it does not divide."""
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


@differentiable
def adaptive_avg_pool2d(x: Tensor, *, output_size: tuple[int, int]) -> Any:
    """The means of P * Q windows; window i of P covers rows floor(i*H/P) to ceil((i+1)*H/P)."""
    H, W = x.shape[-2:]
    P, Q = output_size
    y = xp_of(x.array).empty((*x.shape[:-2], P, Q), x.array.dtype)
    for p, rows in enumerate(_adaptive_windows(H, P)):
        for q, columns in enumerate(_adaptive_windows(W, Q)):
            y[..., p, q] = x.array[..., rows, columns].mean(axis=(-2, -1))
    pullbacks = (lambda dy: adaptive_avg_pool2d_adjoint(dy, input_size=(H, W)),)
    return layout.kept(y, x), pullbacks


@differentiable
def adaptive_avg_pool2d_adjoint(dy: Tensor, *, input_size: tuple[int, int]) -> Any:
    """Each dy divided by the size of its window and spread over it."""
    H, W = input_size
    P, Q = dy.shape[-2:]
    dx = xp_of(dy.array).zeros((*dy.shape[:-2], H, W), dy.array.dtype)
    for p, rows in enumerate(_adaptive_windows(H, P)):
        for q, columns in enumerate(_adaptive_windows(W, Q)):
            area = (rows.stop - rows.start) * (columns.stop - columns.start)
            dx[..., rows, columns] += dy.array[..., p, q, None, None] / area
    return dx, (lambda g: adaptive_avg_pool2d(g, output_size=(P, Q)),)


@differentiable
def adaptive_max_pool2d(x: Tensor, *, output_size: tuple[int, int], return_indices: bool) -> Any:
    """The largest elements of P * Q windows, placed as in `adaptive_avg_pool2d`.

    As in `max_pool2d` the first of equal maxima gets the gradient and a NaN wins; the index is
    flat in H*W.
    """
    xp = xp_of(x.array)
    H, W = x.shape[-2:]
    P, Q = output_size
    planes = x.array.reshape(-1, H, W)  # (M, H, W)
    flat = planes.reshape(-1, H * W)
    index = xp.empty((len(planes), P, Q), xp.int64)
    for p, rows in enumerate(_adaptive_windows(H, P)):
        for q, columns in enumerate(_adaptive_windows(W, Q)):
            width = columns.stop - columns.start
            best = planes[:, rows, columns].reshape(len(planes), -1).argmax(axis=1)
            r, s = best // width, best % width
            index[:, p, q] = (rows.start + r) * W + columns.start + s
    index = index.reshape(len(planes), P * Q)
    sizes = tuple(x.shape[:-2])
    y = layout.kept(xp.take_along_axis(flat, index, axis=1).reshape(*sizes, P, Q), x)

    def pullback(dy: Tensor) -> Tensor:
        return plane_scatter(dy, index=index, plane=(H, W))

    return (y, index.reshape(*sizes, P, Q).copy()) if return_indices else y, (pullback,)


@differentiable
def plane_scatter(dy: Tensor, *, index: Any, plane: tuple[int, int]) -> Any:
    """dx[m, index[m, i]] += dy[m, i] in each plane m: the derivative of picking along `index`."""
    xp = xp_of(dy.array)
    window = tuple(dy.shape[-2:])
    dx = xp.zeros((len(index), plane[0] * plane[1]), dy.array.dtype)
    # windows may overlap, so an element may be picked, and get a gradient, more than once
    xp.add.at(dx, (xp.arange(len(index))[:, None], index), dy.array.reshape(index.shape))
    dx = dx.reshape(*dy.shape[:-2], *plane)
    return dx, (lambda g: plane_gather(g, index=index, window=window),)


@differentiable
def plane_gather(x: Tensor, *, index: Any, window: tuple[int, int]) -> Any:
    """y[m, i] = x[m, index[m, i]] in each plane m: the adjoint of the scatter."""
    plane = (x.shape[-2], x.shape[-1])
    flat = x.array.reshape(len(index), -1)
    y = xp_of(x.array).take_along_axis(flat, index, axis=1).reshape(*x.shape[:-2], *window)
    return y, (lambda dy: plane_scatter(dy, index=index, plane=plane),)
