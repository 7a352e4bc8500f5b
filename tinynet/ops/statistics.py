"""Covariance, integrals by the trapezoid rule, numerical gradients, running logarithms of sums."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..autograd.tape import TensorBase, differentiable, wrap
from . import arithmetic
from .arithmetic import floating
from .dims import distinct_dims, one_dim
from .linalg import matmul
from .reduction import _recurrence, cumsum
from .reduction import sum as sum_over
from .shape import cat, narrow, reshape, unsqueeze


def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariance of variables, the rows of input (V, N): (V, V).

    fweights: how often each observation (column) came, integers; aweights: how much it counts.
    """
    if input.array.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got {input.array.ndim}"
        )
    if input.array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = floating(input)
    x = reshape(x, (1, -1)) if x.array.ndim < 2 else x
    n = x.array.shape[1]
    w = None
    for given in (fweights, aweights):
        if given is not None:
            if given.array.ndim > 1 or given.array.size != n:
                raise RuntimeError(
                    f"cov(): expected weights to have one element per observation, {n}, but got "
                    f"shape {list(given.array.shape)}"
                )
            kind = "iu" if given is fweights else "f"
            if given.array.dtype.kind not in kind or (given.array < 0).any():
                raise RuntimeError(
                    "cov(): expected fweights to have integral dtype and aweights to have floating "
                    f"point dtype, and none to be negative, but got {given.array.dtype}"
                )
            w = given if w is None else w * given
    if w is None:
        total: Any = n
        mean = sum_over(x, 1, True) / n
    else:
        total = sum_over(w)
        mean = sum_over(x * w, 1, True) / total
    if aweights is None or correction == 0:
        degrees = total - correction
    else:
        degrees = total - correction * sum_over(w * aweights) / total
    centered = x - mean
    weighted = centered if w is None else centered * w
    if isinstance(degrees, TensorBase):
        degrees = arithmetic.clamp(degrees, min=0)
    else:
        degrees = wrap(np.asarray(builtins.max(degrees, 0), x.array.dtype))
    c = matmul(weighted, centered.T) / degrees
    return c.squeeze()


def corrcoef(input: Any) -> Any:
    """The correlations of the rows of input (V, N): (V, V), each between -1 and 1."""
    if input.array.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got {input.array.ndim}"
        )
    c = cov(input)
    if not c.array.ndim:
        return c / c
    deviation = c.diagonal().sqrt()
    return arithmetic.clamp(c / unsqueeze(deviation, 1) / unsqueeze(deviation, 0), -1, 1)


# ------------------------------------------------------------------------------------- integrals


def _strips(y: Any, x: Any, dx: Any, dim: int, name: str) -> tuple[Any, int]:
    """The areas between neighbouring points, and the dimension along which they lie."""
    dim = one_dim(dim, y.array.ndim, name)
    n = y.array.shape[dim] if y.array.ndim else 1
    if y.array.ndim == 0 or n == 0:
        raise IndexError(f"{name}: expected y to have points along a dimension, but it has none")
    heights = narrow(y, dim, 1, n - 1) + narrow(y, dim, 0, n - 1)
    if x is None:
        return floating(heights) * (dx / 2), dim
    if x.array.ndim == 1:
        if x.array.size != n:
            raise RuntimeError(
                f"{name}: There must be one `x` value for each sample point, {n}, but got "
                f"{x.array.size}"
            )
        x = reshape(x, (-1, *(1,) * (y.array.ndim - 1 - dim)))
        dim_x = 0
    else:
        dim_x = x.array.ndim - (y.array.ndim - dim)
    width = narrow(x, dim_x, 1, x.array.shape[dim_x] - 1) - narrow(
        x, dim_x, 0, x.array.shape[dim_x] - 1
    )
    return floating(heights * width) / 2, dim


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    """The integral of y along `dim` by the trapezoid rule, at points x or dx apart."""
    strips, dim = _strips(y, x, dx, dim, "trapezoid")
    return sum_over(strips, dim - y.array.ndim)


trapz = trapezoid


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    """The integral of y from its first point to every later one along `dim`."""
    strips, dim = _strips(y, x, dx, dim, "cumulative_trapezoid")
    return cumsum(strips, dim - y.array.ndim)


def gradient(input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> list[Any]:
    """The derivative of sampled values along each of `dim`, by differences of second order.

    spacing: the distance between points, one per dimension, or the points' coordinates.
    """
    x = floating(input)
    ndim = x.array.ndim
    given = range(ndim) if dim is None else dim if isinstance(dim, tuple | list) else (dim,)
    dims = distinct_dims(tuple(given), ndim, "gradient")
    spacing = 1 if spacing is None else spacing
    spacings = list(spacing) if isinstance(spacing, tuple | list) else [spacing] * len(dims)
    if len(spacings) != len(dims):
        raise RuntimeError(
            f"gradient expected spacing to be unspecified, a scalar, or a list of length "
            f"{len(dims)}, but got {len(spacings)}"
        )
    if edge_order not in (1, 2):
        raise RuntimeError("gradient only supports edge_order=1 and edge_order=2.")
    return [_slope(x, d, s, edge_order) for d, s in zip(dims, spacings)]


def _slope(x: Any, dim: int, spacing: Any, edge_order: int) -> Any:
    n = x.array.shape[dim]
    if n < edge_order + 1:
        raise RuntimeError("gradient expected each dimension size to be at least edge_order+1")
    if isinstance(spacing, TensorBase) and spacing.array.ndim:
        h = np.diff(spacing.array.astype(x.array.dtype))
    else:
        h = np.full(n - 1, float(spacing), x.array.dtype)

    def along(v: Any) -> Any:
        return wrap(np.asarray(v, x.array.dtype).reshape(-1, *(1,) * (x.array.ndim - 1 - dim)))

    def at(i: int, count: int) -> Any:
        return narrow(x, dim, i, count)

    a, b = h[:-1], h[1:]
    inner = (
        at(0, n - 2) * along(-b / (a * (a + b)))
        + at(1, n - 2) * along((b - a) / (a * b))
        + at(2, n - 2) * along(a / (b * (a + b)))
    )
    if edge_order == 1:
        first = (at(1, 1) - at(0, 1)) / along(h[:1])
        last = (at(n - 1, 1) - at(n - 2, 1)) / along(h[-1:])
    else:
        first, last = (
            at(i, 1) * along(-(2 * p + q) / (p * (p + q)))
            + at(i + s, 1) * along((p + q) / (p * q))
            + at(i + 2 * s, 1) * along(-p / (q * (p + q)))
            for i, s, p, q in ((0, 1, h[:1], h[1:2]), (n - 1, -1, -h[-1:], -h[-2:-1]))
        )
    return cat([first, inner, last], dim)


# ------------------------------------------------------------------------------ running log-sum-exp


@differentiable(contiguous=True)
def _logcumsumexp(x, *, dim):
    """y_k = log(e^(x_0) + ... + e^(x_k)).

    dx_i = e^(x_i - y_i) s_i, where s_i = sum over k >= i of dy_k e^(y_i - y_k) obeys
    s_i = dy_i + e^(y_i - y_(i+1)) s_(i+1): no exponent is above 0.
    """

    def dx(dy: Any, y: Any) -> Any:
        n = y.array.shape[dim]
        steps = (narrow(y, dim, 0, n - 1) - narrow(y, dim, 1, n - 1)).exp()
        zeros = wrap(np.zeros_like(narrow(y, dim, 0, 1).array))
        return (x - y).exp() * _recurrence(dy, cat([steps, zeros], dim), dim)

    return np.logaddexp.accumulate(x.array, axis=dim) if x.array.size else x.array.copy(), (dx,)


def logcumsumexp(input: Any, dim: int) -> Any:
    """log(cumsum(exp(input))) along `dim`, without overflow."""
    dim = one_dim(dim, input.array.ndim, "logcumsumexp")
    return _logcumsumexp(input, dim=dim) if input.array.ndim else input.clone()
