"""Pooling over windows of the plane.  x is (N, C, H, W), y is (N, C, P, Q).

Max pooling picks one element per window and remembers where it stood (`index`, flat in H*W).
Scattering along the index and gathering along it are adjoint, so they are each other's
derivative. Average pooling is linear: the same holds for it and its adjoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.tape import differentiable
from ..device import xp_of

if TYPE_CHECKING:
    from ..tensor import Tensor


@differentiable
def max_pool2d(x: Tensor, *, dims: Any, return_indices: bool, backend: Any) -> Any:
    """The largest element of each window and, as a second output if wanted, its index.

    The first of equal maxima gets the gradient, a NaN wins, and padding counts as -inf.
    """
    y, index = backend.max_forward(x.array, dims=dims)

    def pullback(dy: Tensor) -> Tensor:
        return max_pool2d_scatter(dy, index=index, dims=dims, backend=backend)

    # The caller gets a copy: writing into it must not change what backward does.
    return (y, index.copy()) if return_indices else y, (pullback,)


@differentiable
def max_pool2d_scatter(dy: Tensor, *, index: Any, dims: Any, backend: Any) -> Any:
    """dx[n, c, index] += dy[n, c]: the derivative of max pooling."""
    dx = backend.max_backward(dy.array, index, dims=dims)
    return dx, (lambda g: max_pool2d_gather(g, index=index, dims=dims, backend=backend),)


@differentiable
def max_pool2d_gather(x: Tensor, *, index: Any, dims: Any, backend: Any) -> Any:
    """y[n, c] = x[n, c, index]: the adjoint of the scatter."""
    y = backend.max_gather(x.array, index, dims=dims)
    return y, (lambda dy: max_pool2d_scatter(dy, index=index, dims=dims, backend=backend),)


@differentiable
def avg_pool2d(
    x: Tensor, *, dims: Any, count_include_pad: bool, divisor_override: int | None, backend: Any
) -> Any:
    """The mean of each window; its divisor counts the padding, or not, or is given."""
    how = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    y = backend.avg_forward(x.array, dims=dims, **how)
    return y, (lambda dy: avg_pool2d_adjoint(dy, dims=dims, backend=backend, **how),)


@differentiable
def avg_pool2d_adjoint(
    dy: Tensor, *, dims: Any, count_include_pad: bool, divisor_override: int | None, backend: Any
) -> Any:
    """Each dy, divided as its window was, spread evenly over that window."""
    how = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    dx = backend.avg_backward(dy.array, dims=dims, **how)
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
    return y, (lambda dy: adaptive_avg_pool2d_adjoint(dy, input_size=(H, W)),)


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
