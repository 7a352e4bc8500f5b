"""How far vectors are from each other, and at what angle."""

from __future__ import annotations

from ...autograd.tape import wrap
from ...device import xp_of
from ...kernels.errors import ShapeError
from ...tensor import Tensor


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`, broadcast."""
    length1 = x1.norm(2, dim, keepdim=True).clamp(min=eps)
    length2 = x2.norm(2, dim, keepdim=True).clamp(min=eps)
    return ((x1 / length1) * (x2 / length2)).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """norm_p(x1 - x2 + eps) over the last axis: x1, x2 (..., D), broadcast."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def pdist(input: Tensor, p: float = 2) -> Tensor:
    """norm_p(x[i] - x[j]) for all pairs i < j of the rows of x (N, D): (N * (N - 1) / 2,)."""
    if input.ndim != 2:
        raise ShapeError(f"pdist: x must be (N, D), but is {tuple(input.shape)}; pdist only "
                         "supports 2D tensors")  # fmt: skip
    xp = xp_of(input.array)
    first, second = xp.triu_indices(len(input), 1)
    return (input[wrap(first)] - input[wrap(second)]).norm(p, -1)
