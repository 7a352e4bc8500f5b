"""Normalisation over (N, C, *spatial): by batch statistics, and by the channels nearby.

Batch normalisation (Ioffe and Szegedy 2015) goes channel by channel.

With m = N * spatial elements in a channel, mean and biased variance over those,

    r = 1 / sqrt(var + eps)        xhat = (x - mean) * r        y = weight * xhat + bias
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tinynet.kernels as kernels

from ..autograd import layout
from ..autograd.mode import mode
from ..autograd.tape import differentiable, wrap
from ..device import xp_of

if TYPE_CHECKING:
    from ..tensor import Tensor


def _per_channel(t: Tensor, ndim: int) -> Tensor:
    """(C,) -> (1, C, 1, ...) so that it broadcasts over (N, C, *spatial)."""
    return t.reshape((1, -1) + (1,) * (ndim - 2))


def _others(ndim: int) -> tuple[int, ...]:
    """All dimensions but the channels'."""
    return (0, *range(2, ndim))


@differentiable
def batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, *, eps: float) -> Any:
    """y normalised with the batch's own statistics; also the mean (C,) and biased variance (C,)."""
    backend = kernels.of(x.array).batch_norm
    y, mean, var = backend.forward(
        x.array,
        None if weight is None else weight.array,
        None if bias is None else bias.array,
        eps=eps,
    )

    def pullback(dy: Tensor) -> tuple[Tensor, ...]:
        return batch_norm_backward(dy, x, weight, mean=mean, var=var, eps=eps, backend=backend)

    # The caller gets copies: writing into them must not change what backward does.
    return (layout.kept(y, x), mean.copy(), var.copy()), pullback


@differentiable(outputs=3)
def batch_norm_backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, *, mean: Any, var: Any, eps: float, backend: Any
) -> Any:
    """The three gradients of `batch_norm`; `mean` and `var` are functions of x.

    dbias = sum dy      dweight = sum dy * xhat      dx = weight * r * P(dy)
    where P(v) = v - mean(v) - xhat * mean(v * xhat) is a symmetric projection.

    Its own derivative, for cotangents a, b, c of dx, dweight, dbias, is that of
        L = sum(a * dx) + sum(b * dweight) + sum(c * dbias)
    where sum(a * dx) = weight * r * sum(a * P(dy)) and P may be moved to a:
        dL/ddy     = weight * r * P(a) + b * xhat + c
        dL/dweight = r * sum(a * P(dy))
        dL/dx      = r * P(h) - (xhat * r / m) * sum(a * dx),
                     h = b * dy - weight * r * (dy * mean(a * xhat) + a * mean(dy * xhat))
    In dL/dx the first term is the way through xhat, and r * P is xhat's own pullback; the second
    is the way through r, as dr/dx = -r^2 * xhat / m.
    """
    gradients = backend.backward(
        dy.array, x.array, None if weight is None else weight.array, mean, var, eps=eps
    )

    def pullback(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        dims = _others(x.ndim)
        m = x.numel() // max(x.shape[1], 1)
        centred = x - x.mean(dims, keepdim=True)
        r = ((centred * centred).mean(dims, keepdim=True) + eps).rsqrt()
        xhat = centred * r
        scale = r if weight is None else r * _per_channel(weight, x.ndim)
        b, c = _per_channel(b, x.ndim), _per_channel(c, x.ndim)

        def project(v: Tensor) -> Tensor:
            return v - v.mean(dims, keepdim=True) - xhat * (v * xhat).mean(dims, keepdim=True)

        inner = (a * project(dy)).sum(dims, keepdim=True)
        h = b * dy - scale * (
            dy * (a * xhat).mean(dims, keepdim=True) + a * (dy * xhat).mean(dims, keepdim=True)
        )
        return (
            scale * project(a) + b * xhat + c,
            r * project(h) - xhat * r * scale * inner / m,
            (r * inner).reshape(-1),
        )

    return gradients, pullback


@differentiable
def normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    *,
    eps: float,
    rectified: bool = False,
) -> Any:
    """y = (x - mean) * r * weight + bias with given statistics, which get no gradient.

    With `rectified` y is max(y, 0) already, and `activation.rectified`, which has the derivative of
    that, must follow.
    """
    y = (_normalized_relu if rectified else _normalized)(
        kernels.of(x.array).batch_norm,
        x.array,
        mean.array,
        var.array,
        None if weight is None else weight.array,
        None if bias is None else bias.array,
        eps=eps,
    )
    if not mode.enabled:
        return layout.kept(y, x), ()
    ndim = x.ndim
    shape = (1, -1) + (1,) * (ndim - 2)
    r = (1 / xp_of(x.array).sqrt(var.array + eps)).astype(x.array.dtype).reshape(shape)
    centre = mean.array.copy().reshape(shape)  # the running mean itself will move on

    def input_gradient(dy: Tensor) -> Tensor:
        return dy * wrap(r) if weight is None else dy * wrap(r) * _per_channel(weight, ndim)

    def weight_gradient(dy: Tensor) -> Tensor:
        return (dy * (x - wrap(centre)) * wrap(r)).sum(_others(ndim))

    return layout.kept(y, x), (
        input_gradient,
        weight_gradient,
        lambda dy: dy.sum(_others(ndim)),
        None,
        None,
    )


def _normalized(backend: Any, *arrays: Any, eps: float) -> Any:
    return backend.normalize(*arrays, eps=eps)


def _normalized_relu(backend: Any, *arrays: Any, eps: float) -> Any:
    """In one pass over y where the kernels can, else in the same memory."""
    if hasattr(backend, "normalize_relu"):
        return backend.normalize_relu(*arrays, eps=eps)
    y = backend.normalize(*arrays, eps=eps)
    return kernels.of(y).activation.relu(y, y)


@differentiable
def channel_sums(x: Tensor, *, before: int, after: int) -> Any:
    """y[n, c] = sum of x[n, c - before] to x[n, c + after], where there are such channels.

    Linear, and its adjoint is itself with `before` and `after` exchanged.
    """
    C = x.shape[1]
    y = x.array.copy()
    for offset in range(-before, after + 1):
        low, high = max(0, -offset), C - max(0, offset)
        if offset and low < high:
            y[:, low:high] += x.array[:, low + offset : high + offset]
    return y, (lambda dy: channel_sums(dy, before=after, after=before),)
