"""Distances and products of vectors, and matrices made of vectors."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import TensorBase, wrap
from ..kernels.errors import ShapeError
from .arithmetic import check_broadcast
from .dims import one_dim
from .indexing import getitem
from .linalg import _check_operands, _scaled_sum, bmm, outer
from .reduction import cumprod, vector_norm
from .reduction import sum as sum_over
from .shape import (
    _common_dtype,
    _listed,
    cat,
    expand,
    meshgrid,
    pad,
    reshape,
    roll,
    stack,
    unsqueeze,
)

# -------------------------------------------------------------------------------------- distances


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of input - other."""
    return vector_norm(input - other, p)


def cdist(
    x1: Any,
    x2: Any,
    p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Any:
    """The p-norm distance of every row of x1 (..., P, M) from every row of x2 (..., R, M)."""
    a, b = x1.array.shape, x2.array.shape
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-1]:
        raise ShapeError(
            f"cdist: X1 and X2 must have the same number of columns. X1: {list(a)}, X2: {list(b)}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if not a[-1]:
        return (unsqueeze(x1, -2) - unsqueeze(x2, -3)).sum(-1)
    return vector_norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)


def pdist(input: Any, p: float = 2) -> Any:
    """The p-norm distances between all pairs of the rows of input (N, M): N (N - 1) / 2."""
    if input.array.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.array.ndim}D")
    a, b = np.triu_indices(len(input.array), 1)
    return vector_norm(getitem(input, wrap(a)) - getitem(input, wrap(b)), p, -1)


# --------------------------------------------------------------------------------------- products


def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """The cross product of vectors of 3 elements along `dim` (the first dimension of size 3)."""
    check_broadcast(input.array.shape, other.array.shape, "cross")
    if dim is None:
        found = [i for i, n in enumerate(input.array.shape) if n == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0] - input.array.ndim
    ndim = builtins.max(input.array.ndim, other.array.ndim)
    dim = one_dim(dim, ndim, "cross") - ndim
    for x in (input, other):
        if x.array.shape[dim] != 3:
            raise RuntimeError(
                f"linalg.cross: inputs dimension {dim} must have length 3. Got "
                f"{input.array.shape[dim]} and {other.array.shape[dim]}"
            )
    a1, a2, b1, b2 = (roll(x, s, dim) for x in (input, other) for s in (-1, -2))
    return a1 * b2 - a2 * b1


def linalg_cross(input: Any, other: Any, *, dim: int = -1) -> Any:
    """`cross`, along the last dimension unless another is given."""
    if input.array.ndim != other.array.ndim:
        raise RuntimeError(
            "linalg.cross: inputs must have the same number of dimensions, but they have "
            f"{input.array.ndim} and {other.array.ndim}."
        )
    return cross(input, other, dim)


def vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """The sums of products along `dim`."""
    return sum_over(x * y, dim)


def kron(input: Any, other: Any) -> Any:
    """Every element of input times the whole of other, laid out block by block."""
    ndim = builtins.max(input.array.ndim, other.array.ndim)
    a, b = ((1,) * (ndim - x.array.ndim) + x.array.shape for x in (input, other))
    left = reshape(input, tuple(n for m in a for n in (m, 1)))
    right = reshape(other, tuple(n for m in b for n in (1, m)))
    return reshape(left * right, tuple(m * n for m, n in zip(a, b)))


def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta input + alpha times the outer product of two vectors."""
    return _scaled_sum(input, outer(vec1, vec2), beta, alpha)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta input + alpha times the sum of the products of two batches of matrices."""
    return _scaled_sum(input, sum_over(bmm(batch1, batch2), 0), beta, alpha)


def chain_matmul(*matrices: Any) -> Any:
    """The product of matrices; see `linalg.multi_dot`."""
    return multi_dot(_listed(matrices))


def multi_dot(tensors: Sequence[Any]) -> Any:
    """The product of matrices, in the order that takes the fewest multiplications.

    The first may be a row vector and the last a column vector.
    """
    xs = list(tensors)
    if len(xs) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(xs)}")
    for i, x in enumerate(xs):
        if x.array.ndim != 2 and not (x.array.ndim == 1 and i in (0, len(xs) - 1)):
            raise RuntimeError(
                f"multi_dot(): tensor {i} must be 2D (the first and last may be 1D) but got "
                f"{x.array.ndim}D"
            )
    for a, b in itertools.pairwise(xs):
        _check_operands(a, b, "multi_dot")
    row, column = xs[0].array.ndim == 1, xs[-1].array.ndim == 1
    xs[0] = reshape(xs[0], (1, -1)) if row else xs[0]
    xs[-1] = reshape(xs[-1], (-1, 1)) if column else xs[-1]
    sizes = [xs[0].array.shape[0], *[x.array.shape[1] for x in xs]]
    # Cormen et al., Introduction to Algorithms, 15.2: the cheapest way to multiply i to j.
    n = len(xs)
    cost = {(i, i): (0, i) for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        k = cost[i, j][1]
        return xs[i] if i == j else product(i, k) @ product(k + 1, j)

    result = product(0, n - 1)
    shape = result.array.shape
    return reshape(result, shape[row : 2 - column])


# --------------------------------------------------------------------------- matrices of vectors


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of a vector's elements as rows: x^(N-1), ..., x, 1, or increasing."""
    if x.array.ndim != 1:
        raise RuntimeError("vander(): x must be a one-dimensional tensor.")
    powers = linalg_vander(x, N=x.array.size if N is None else N)
    return powers if increasing else powers.flip(-1)


def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """The powers 1, x, ..., x^(N-1) of the elements of x (..., n): (..., n, N)."""
    x = x if x.array.ndim else reshape(x, (1,))
    n = x.array.shape[-1] if N is None else N
    shape = (*x.array.shape, builtins.max(n - 1, 0))
    ones = wrap(np.ones((*x.array.shape, builtins.min(n, 1)), x.array.dtype))
    powers = cumprod(expand(unsqueeze(x, -1), shape), -1) if n > 1 else None
    if powers is None:
        return ones
    return cat([ones, powers], -1)


def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of one element of each vector, as rows (of one vector: itself)."""
    xs = _listed(tensors)
    if len(xs) == 1:
        return xs[0]
    return stack([reshape(g, (-1,)) for g in meshgrid(*_common_dtype(xs), indexing="ij")], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All combinations of r elements of a vector, as rows."""
    if input.array.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.array.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(np.empty(0, input.array.dtype))
    make = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(make(range(input.array.size), r)), np.int64).reshape(-1, r)
    return getitem(input, wrap(rows))


def block_diag(*tensors: Any) -> Any:
    """The matrices along a diagonal, zeros elsewhere; vectors are rows."""
    xs = [
        x if isinstance(x, TensorBase) and x.array.ndim == 2 else reshape(x, (1, -1))
        for x in _common_dtype(_listed(tensors))
    ]
    if any(x.array.ndim > 2 for x in tensors if isinstance(x, TensorBase)):
        raise RuntimeError("block_diag: Input tensors must have 2 or fewer dimensions.")
    width = sum(x.array.shape[1] for x in xs)
    rows = []
    before = 0
    for x in xs:
        n = x.array.shape[1]
        rows.append(pad(x, (before, width - before - n)))
        before += n
    return cat(rows, 0)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that shapes have together when broadcast; RuntimeError if they have none."""
    result: tuple[int, ...] = ()
    for shape in shapes:
        size = (shape,) if isinstance(shape, int) else tuple(shape)
        check_broadcast(result, size, "broadcast_shapes")
        result = np.broadcast_shapes(result, size)
    return result


def unravel_index(indices: Any, shape: int | Sequence[int]) -> tuple[Any, ...]:
    """The coordinates in an array of `shape` of positions in it when flattened."""
    if indices.array.dtype.kind not in "iu":
        raise ValueError(
            f"unravel_index: expected 'indices' to be integer dtype, but got {indices.array.dtype}"
        )
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    total = math.prod(sizes)
    place = indices.array % total if total else indices.array
    found = np.unravel_index(place, sizes) if place.size else [place] * len(sizes)
    return tuple(wrap(np.asarray(v).astype(np.int64)) for v in found)
