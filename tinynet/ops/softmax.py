"""Softmax and its logarithm.

Both subtract the maximum of each row (not of the whole array), so rows of very different scale
keep their digits. A row of -inf only gives NaN, as in PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.tape import differentiable
from ..device import xp_of

if TYPE_CHECKING:
    from ..tensor import Tensor


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`: positive numbers that sum to 1, of the input's shape."""
    return _softmax(_as_floats(input, dim, dtype), dim=dim)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """x - log(sum(exp(x))) along `dim`: the logarithm of `softmax`, without its underflow."""
    return _log_softmax(_as_floats(input, dim, dtype), dim=dim)


def _as_floats(input: Tensor, dim: int, dtype: Any) -> Tensor:
    ndim = max(input.ndim, 1)
    if not -ndim <= dim < ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], "
            f"but got {dim})"
        )
    if dtype is not None:
        input = input.to(dtype)
    if input.array.dtype.kind != "f":
        raise NotImplementedError(
            f"softmax: x has dtype {input.dtype}, but only floating point has an exponential; "
            "convert it first: x.float()"
        )
    return input


def _shifted(x: Any, dim: int) -> Any:
    """x minus the maximum of its row: the largest exponent is 0 and nothing overflows."""
    if x.size == 0:
        return x
    return x - x.max(axis=dim, keepdims=True) if x.ndim else x - x


@differentiable(contiguous=True)
def _softmax(x: Tensor, *, dim: int) -> Any:
    """dx = y * (dy - sum(dy * y))."""
    e = xp_of(x.array).exp(_shifted(x.array, dim))
    y = e / e.sum(axis=dim, keepdims=True) if e.ndim else e
    return y, (lambda dy, y: y * (dy - (dy * y).sum(dim, keepdim=True)),)


@differentiable(contiguous=True)
def _log_softmax(x: Tensor, *, dim: int) -> Any:
    """dx = dy - exp(y) * sum(dy)."""
    xp = xp_of(x.array)
    shifted = _shifted(x.array, dim)
    y = shifted - xp.log(xp.exp(shifted).sum(axis=dim, keepdims=True)) if x.ndim else shifted
    return y, (lambda dy, y: dy - y.exp() * dy.sum(dim, keepdim=True),)
