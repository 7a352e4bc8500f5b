"""Factorizations of matrices (Cholesky, QR, LU, eigenvalues, singular values) and their uses.

Each is NumPy's LAPACK call beside its derivative; LU, which NumPy does not show, is elimination
written in operations, so its derivative is the tape's. Derivatives as in Giles, "Collected matrix
derivative results" (2008), and Walter and Lehmann, "Algorithmic differentiation of linear algebra
functions" (2010). A matrix (..., M, N); K = min(M, N).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import return_types
from ..autograd.tape import TensorBase, differentiable, wrap
from ..device import xp_of
from ..kernels.errors import ShapeError
from . import reduction
from .arithmetic import where
from .dims import distinct_dims
from .indexing import getitem
from .linalg import LinAlgError, _check_square, inv, matmul, slogdet, solve
from .reduction import vector_norm
from .shape import cat, diag_embed, diagonal, matrix_transpose, movedim, narrow, reshape, tril, triu

# -------------------------------------------------------------------------------- what they share


def _check_matrices(x: Any, name: str) -> Any:
    if x.array.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor A must have at least 2 dimensions, but has shape "
            f"{list(x.array.shape)}."
        )
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: Expected a floating point tensor as input. Got {x.array.dtype}"
        )
    return x


def _eye(n: int, like: Any, columns: int | None = None, dtype: Any = None) -> Any:
    """Ones on the diagonal, where `like` is and of its dtype unless another is given."""
    return wrap(xp_of(like.array).eye(n, columns, dtype=dtype or like.array.dtype))


def _info(A: Any, failed: int) -> Any:
    """What the functions ending in _ex say of each matrix: 0, or what failed."""
    return wrap(xp_of(A.array).full(A.shape[:-2], failed, np.int32))


def _lower(x: Any) -> Any:
    """The lower triangle with half its diagonal: how a symmetric change enters a triangle."""
    return tril(x) - diag_embed(diagonal(x, 0, -2, -1)) / 2


def _columns(x: Any, start: int, end: int) -> Any:
    return narrow(x, -1, start, end - start)


# ---------------------------------------------------------------------------------------- Cholesky


@differentiable
def _cholesky(a):
    """L with L L^T = A: dA = L^-T P(L^T dL) L^-1, symmetrised; P takes the lower half."""

    def da(dl: Any, l: Any) -> Any:
        lt = matrix_transpose(l)
        middle = _lower(matmul(lt, dl))
        middle = middle + matrix_transpose(middle)
        return solve(lt, matrix_transpose(solve(lt, middle))) / 2

    return np.linalg.cholesky(a.array), (da,)


def cholesky(A: Any, upper: bool = False) -> Any:
    """Lower triangular L with L L^T = A (upper: L^T), for symmetric positive-definite A.

    Only A's lower triangle is read (upper: the upper one). Raises LinAlgError for another matrix.
    """
    _check_square(A, "linalg.cholesky")
    A = matrix_transpose(A) if upper else A
    try:
        factor = _cholesky(_symmetric(A))
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.cholesky: The factorization could not be completed because the input is not "
            "positive-definite."
        ) from None
    return matrix_transpose(factor) if upper else factor


def _symmetric(a: Any) -> Any:
    """The symmetric matrix with a's lower triangle; its gradient goes to a as it is."""
    below = tril(a.detach(), -1)
    value = below + matrix_transpose(below) + diag_embed(diagonal(a.detach(), 0, -2, -1))
    return a + (value - a.detach())


def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info): `cholesky`, with info not 0 in place of an error (unless check_errors)."""
    try:
        factor = cholesky(A, upper=upper)
        failed = 0
    except LinAlgError:
        if check_errors:
            raise
        factor, failed = A * 0, 1
    return return_types.linalg_cholesky_ex(factor, _info(A, failed))


def cholesky_solve(B: Any, L: Any, upper: bool = False) -> Any:
    """X with A X = B, where A = L L^T (upper: L^T L)."""
    a, b = (matrix_transpose(L), L) if upper else (L, matrix_transpose(L))
    return solve_triangular(b, solve_triangular(a, B, upper=False), upper=True)


def cholesky_inverse(L: Any, upper: bool = False) -> Any:
    """The inverse of A = L L^T (upper: L^T L)."""
    return cholesky_solve(_eye(L.array.shape[-1], L), L, upper)


# ----------------------------------------------------------------------------- triangular equations


def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """X with A X = B (left=False: X A = B), where only A's upper (or lower) triangle is read."""
    _check_square(A, "linalg.solve_triangular")
    if unitriangular:
        n = A.array.shape[-1]
        A = (triu(A, 1) if upper else tril(A, -1)) + _eye(n, A)
    else:
        A = triu(A) if upper else tril(A)
    if not left:
        return matrix_transpose(_solved(matrix_transpose(A), matrix_transpose(B)))
    return _solved(A, B)


def _solved(A: Any, B: Any) -> Any:
    """`solve` with B always matrices, never a batch of vectors."""
    if B.array.ndim < 2:
        raise RuntimeError("linalg.solve_triangular: B must be at least 2 dimensional")
    shape = np.broadcast_shapes(A.array.shape[:-2], B.array.shape[:-2])
    return solve(A, B.expand((*shape, *B.array.shape[-2:])))


# ---------------------------------------------------------------------------------------------- QR


@differentiable(outputs=2)
def _qr(a):
    """A = Q R with M >= N: dA = (dQ + Q C) R^-T, where C is the symmetric matrix with the lower
    triangle of R dR^T - dQ^T Q."""

    def da(dq: Any, dr: Any) -> Any:
        q, r = _qr(a)  # again: outputs may have been changed, and their history is needed
        m = matmul(r, matrix_transpose(dr)) - matmul(matrix_transpose(dq), q)
        c = _lower(m)
        c = c + matrix_transpose(c)
        right = dq + matmul(q, c)
        return (matrix_transpose(solve(r, matrix_transpose(right))),)

    return tuple(np.linalg.qr(a.array)), da


def qr(A: Any, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R, Q's columns orthonormal, R upper triangular.

    mode: "reduced" gives Q (M, K), "complete" Q (M, M), "r" an empty Q.
    """
    _check_matrices(A, "linalg.qr")
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    m, n = A.array.shape[-2:]
    if mode == "complete" and m != n and (m > n or not n):
        if A.requires_grad and m > n:
            raise RuntimeError(
                "linalg.qr: The QR decomposition is not differentiable when mode='complete' and "
                "nrows > ncols; use mode='reduced'."
            )
        q, r = np.linalg.qr(A.array, "complete")
        return return_types.linalg_qr(wrap(q), wrap(r))
    if mode == "r" and A.requires_grad:
        raise RuntimeError(
            "linalg.qr: the derivative of linalg.qr with mode='r' is not implemented; use "
            "mode='reduced'."
        )
    if m >= n:
        q, r = _qr(A)
    else:  # the first M columns decide Q; the others are turned by it
        q, first = _qr(_columns(A, 0, m))
        r = cat([first, matmul(matrix_transpose(q), _columns(A, m, n))], -1)
    return return_types.linalg_qr(
        wrap(xp_of(A.array).empty(0, A.array.dtype)) if mode == "r" else q, r
    )


# ------------------------------------------------------------------------- symmetric eigenvalues


@differentiable(outputs=2)
def _eigh(a):
    """A = V diag(l) V^T: dA = V (diag(dl) + (V^T dV) / E) V^T, symmetrised; E_ij = l_j - l_i."""

    def da(dl: Any, dv: Any) -> Any:
        l, v = _eigh(a)
        vt = matrix_transpose(v)
        gap = l.unsqueeze(-2) - l.unsqueeze(-1)
        same = _eye(gap.array.shape[-1], gap, dtype=bool)
        turn = where(same, 0, matmul(vt, dv) / where(same, 1, gap))
        found = matmul(matmul(v, diag_embed(dl) + turn), vt)
        return ((found + matrix_transpose(found)) / 2,)

    return tuple(np.linalg.eigh(a.array)), da


def eigh(A: Any, UPLO: str = "L") -> Any:
    """(eigenvalues in ascending order, eigenvectors as columns) of a symmetric matrix.

    Only the lower triangle (UPLO="U": the upper) is read. Where eigenvalues are equal, the
    eigenvectors have no derivative.
    """
    _check_square(A, "linalg.eigh")
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return return_types.linalg_eigh(
        *_eigh(_symmetric(matrix_transpose(A) if UPLO.upper() == "U" else A))
    )


def eigvalsh(A: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric matrix, in ascending order."""
    _check_square(A, "linalg.eigvalsh")
    return _eigvalsh(_symmetric(matrix_transpose(A) if UPLO.upper() == "U" else A))


@differentiable
def _eigvalsh(a):
    """dA = V diag(dl) V^T."""

    def da(dl: Any) -> Any:
        _, v = _eigh(a)
        return matmul(v * dl.unsqueeze(-2), matrix_transpose(v))

    return np.linalg.eigvalsh(a.array), (da,)


# ------------------------------------------------------------------------------- singular values


@differentiable(outputs=3)
def _svd(a):
    """A = U diag(s) V^T with K singular values.

    dA = U ((skew(U^T dU) / E) S + S (skew(V^T dV) / E) + diag(ds)) V^T, with E_ij = s_j^2 - s_i^2
    (1 on the diagonal), plus (1 - U U^T) dU S^-1 V^T and its mirror image where A is not square.
    """

    def da(du: Any, ds: Any, dvt: Any) -> Any:
        u, s, vt = _svd(a)
        ut, v, dv = matrix_transpose(u), matrix_transpose(vt), matrix_transpose(dvt)
        same = _eye(s.array.shape[-1], s, dtype=bool)
        row, column = s.unsqueeze(-2), s.unsqueeze(-1)
        gap = where(same, 1, row * row - column * column)
        skew_u, skew_v = matmul(ut, du), matmul(vt, dv)
        inner = (skew_u - matrix_transpose(skew_u)) / gap * row
        inner = inner + column * ((skew_v - matrix_transpose(skew_v)) / gap)
        result = matmul(matmul(u, inner + diag_embed(ds)), vt)
        m, n = u.array.shape[-2], v.array.shape[-2]
        k = s.array.shape[-1]
        if m > k:
            result = result + matmul((du - matmul(u, skew_u)) / row, vt)
        if n > k:
            result = result + matmul(u, matrix_transpose((dv - matmul(v, skew_v)) / row))
        return (result,)

    return tuple(np.linalg.svd(a.array, full_matrices=False)), da


def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh, S in descending order; Vh is V^T.

    full_matrices: U (M, M) and Vh (N, N), else (M, K) and (K, N); the additional vectors have no
    gradient. Where singular values are equal, the vectors have no derivative.
    """
    _check_matrices(A, "linalg.svd")
    u, s, vt = _svd(A)
    m, n = A.array.shape[-2:]
    if full_matrices and m != n:
        whole_u, _, whole_vt = np.linalg.svd(A.array)
        u = cat([u, wrap(whole_u[..., min(m, n) :])], -1) if m > n else u
        vt = cat([vt, wrap(whole_vt[..., min(m, n) :, :])], -2) if n > m else vt
    return return_types.linalg_svd(u, s, vt)


def svdvals(A: Any, *, driver: str | None = None) -> Any:
    """The singular values, in descending order."""
    return _svdvals(_check_matrices(A, "linalg.svdvals"))


@differentiable
def _svdvals(a):
    """dA = U diag(ds) V^T."""

    def da(ds: Any) -> Any:
        u, _, vt = _svd(a)
        return matmul(u * ds.unsqueeze(-2), vt)

    return np.linalg.svd(a.array, compute_uv=False), (da,)


# ---------------------------------------------------------------------------------------------- LU


def lu(A: Any, *, pivot: bool = True) -> Any:
    """(P, L, U) with A = P L U: P permutes rows, L is lower triangular with ones, U upper."""
    packed, pivots = lu_factor(A, pivot=pivot)
    return return_types.linalg_lu(*lu_unpack(packed, pivots))


def lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """(LU, pivots): L and U in one matrix, and which row (from 1) was exchanged with row i."""
    _check_matrices(A, "linalg.lu_factor")
    m, n = A.array.shape[-2:]
    k = min(m, n)
    batch = A.array.shape[:-2]
    order, pivots = _pivoting(A.array.reshape(-1, m, n), pivot)
    flat = reshape(A, (-1, m, n))
    rest = getitem(flat, (wrap(xp_of(order).arange(len(order))[:, None]), wrap(order)))
    lower, upper = [], []
    for i in range(k):
        row = narrow(rest, -2, 0, 1)  # (B, 1, n - i)
        pivoted = narrow(row, -1, 0, 1)
        zero = pivoted.eq(0)
        column = narrow(narrow(rest, -1, 0, 1), -2, 1, m - i - 1)
        factors = where(zero, column, column / where(zero, 1, pivoted))
        right = narrow(row, -1, 1, n - i - 1)
        lower.append(factors)
        upper.append(row)
        rest = narrow(narrow(rest, -2, 1, m - i - 1), -1, 1, n - i - 1) - matmul(factors, right)
    rows = []
    for i in range(m):
        left = [narrow(lower[j], -2, i - j - 1, 1) for j in range(min(i, k))]
        rows.append(cat([*left, upper[i]], -1) if i < k else cat(left, -1) if left else None)
    packed = cat([r for r in rows if r is not None], -2) if k else flat
    return return_types.linalg_lu_factor(
        reshape(packed, (*batch, m, n)), wrap(pivots.reshape(*batch, k).astype(np.int32))
    )


def _pivoting(a: Any, pivot: bool) -> tuple[Any, Any]:
    """For each matrix, the order of rows that elimination with the largest pivots takes."""
    count, m, n = a.shape
    k = min(m, n)
    xp = xp_of(a)
    order = xp.tile(xp.arange(m), (count, 1))
    pivots = xp.tile(xp.arange(1, k + 1), (count, 1))
    if not pivot:
        return order, pivots
    a = a.copy()
    every = xp.arange(count)
    for i in range(k):
        best = i + abs(a[:, i:, i]).argmax(1)
        pivots[:, i] = best + 1
        for x in (a, order):
            _exchange(x, every, i, best)
        top = a[:, i, i]
        factors = a[:, i + 1 :, i] / np.where(top == 0, 1, top)[:, None]
        a[:, i + 1 :, i:] -= factors[:, :, None] * a[:, None, i, i:]
    return order, pivots


def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(LU, pivots, info): `lu_factor`, and the first pivot that is 0, counted from 1."""
    packed, pivots = lu_factor(A, pivot=pivot)
    zero = np.diagonal(packed.array, axis1=-2, axis2=-1) == 0
    info = np.where(zero.any(-1), zero.argmax(-1) + 1, 0) if zero.shape[-1] else zero.any(-1)
    if check_errors and info.any():
        raise LinAlgError(f"linalg.lu_factor_ex: U[{info.max()},{info.max()}] is zero")
    return return_types.linalg_lu_factor_ex(packed, pivots, wrap(info.astype(np.int32)))


def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """(P, L, U) from what `lu_factor` gave."""
    m, n = LU_data.array.shape[-2:]
    k = min(m, n)
    empty = wrap(xp_of(LU_data.array).empty(0, LU_data.array.dtype))
    l = u = p = empty
    if unpack_data:
        l = tril(_columns(LU_data, 0, k), -1) + _eye(m, LU_data, k)
        u = triu(narrow(LU_data, -2, 0, k))
    if unpack_pivots:
        order = _row_order(LU_pivots.array, m)
        p = matrix_transpose(getitem(_eye(m, LU_data), wrap(order))).contiguous()
    return return_types.lu_unpack(p, l, u)


def _row_order(pivots: Any, m: int) -> Any:
    """Which row came to each place, from the exchanges."""
    xp, flat = xp_of(pivots), pivots.reshape(-1, pivots.shape[-1])
    order = xp.tile(xp.arange(m), (len(flat), 1))
    every = xp.arange(len(flat))
    for i in range(flat.shape[1]):
        _exchange(order, every, i, flat[:, i] - 1)
    return order.reshape(*pivots.shape[:-1], m)


def _exchange(rows: Any, every: Any, i: int, other: Any) -> None:
    """Exchange row i with row other[b] in each rows[b]."""
    rows[every, i], rows[every, other] = rows[every, other].copy(), rows[every, i].copy()


def lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False) -> Any:
    """X with A X = B (left=False: X A = B; adjoint: A^T), from what `lu_factor` gave."""
    if not left:
        return matrix_transpose(lu_solve(LU, pivots, matrix_transpose(B), adjoint=not adjoint))
    p, l, u = lu_unpack(LU, pivots)
    if adjoint:
        y = solve_triangular(matrix_transpose(u), B, upper=False)
        return matmul(p, solve_triangular(matrix_transpose(l), y, upper=True))
    y = solve_triangular(l, matmul(matrix_transpose(p), B), upper=False)
    return solve_triangular(u, y, upper=True)


# ------------------------------------------------------------------- inverses and least squares


def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    """(X, info): `solve`, with info not 0 in place of an error (unless check_errors)."""
    failed = 0
    try:
        result = solve(A, B, left=left)
    except LinAlgError:
        if check_errors:
            raise
        result, failed = B * math.nan, 1
    return return_types.linalg_solve_ex(result, _info(A, failed))


def inv_ex(A: Any, *, check_errors: bool = False) -> Any:
    """(inverse, info): `inv`, with info not 0 in place of an error (unless check_errors)."""
    failed = 0
    try:
        result = inv(A)
    except LinAlgError:
        if check_errors:
            raise
        result, failed = A * math.nan, 1
    return return_types.linalg_inv_ex(result, _info(A, failed))


@differentiable
def _pinv(a, *, cutoff):
    """The pseudoinverse B of A (Golub and Pereyra 1973):
    dA = -B^T dB B^T + (1 - A B) dB^T B B^T + B^T B dB^T (1 - B A)."""

    def da(db: Any, b: Any) -> Any:
        bt, dbt = matrix_transpose(b), matrix_transpose(db)
        m, n = a.array.shape[-2:]
        outside = _eye(m, a) - matmul(a, b)
        beside = _eye(n, a) - matmul(b, a)
        return (
            matmul(matmul(outside, dbt), matmul(b, bt))
            + matmul(matmul(bt, b), matmul(dbt, beside))
            - matmul(matmul(bt, db), bt)
        )

    u, s, vt = np.linalg.svd(a.array, full_matrices=False)
    large = s > cutoff
    inverse = np.where(large, 1 / np.where(large, s, 1), 0)
    return np.swapaxes(vt, -1, -2) @ (inverse[..., None] * np.swapaxes(u, -1, -2)), (da,)


def _cutoff(A: Any, atol: Any, rtol: Any, largest: Any) -> Any:
    """Below which a singular value counts as 0: max(atol, rtol times the largest)."""
    m, n = A.array.shape[-2:]

    def number(v: Any) -> Any:
        return v.array[..., None] if isinstance(v, TensorBase) else v

    if rtol is None:
        default = max(m, n) * float(np.finfo(A.array.dtype).eps)
        rtol = default if atol is None else (number(atol) <= 0) * default
    else:
        rtol = number(rtol)
    return np.maximum(0 if atol is None else number(atol), rtol * largest)


def pinv(
    A: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """The pseudoinverse (..., N, M) of A (..., M, N): small singular values count as 0."""
    _check_matrices(A, "linalg.pinv")
    if not A.array.size:
        return matrix_transpose(A) * 0
    if hermitian:
        A = _symmetric(A)
    s = np.linalg.svd(A.array, compute_uv=False)
    return _pinv(A, cutoff=_cutoff(A, atol, rcond if rtol is None else rtol, s[..., :1]))


def matrix_rank(
    A: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """How many singular values are above the cutoff; no gradient."""
    _check_matrices(A, "linalg.matrix_rank")
    if not A.array.shape[-1] or not A.array.shape[-2]:
        return wrap(xp_of(A.array).zeros(A.array.shape[:-2], np.int64))
    if tol is not None:
        atol, rtol = tol, 0.0
    s = np.linalg.svd(A.array, compute_uv=False)
    return wrap((s > _cutoff(A, atol, rtol, s[..., :1])).sum(-1))


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular_values): the X that makes the norm of A X - B least."""
    _check_matrices(A, "linalg.lstsq")
    vector = B.array.ndim == A.array.ndim - 1
    b = B.unsqueeze(-1) if vector else B
    m, n = A.array.shape[-2:]
    x = matmul(pinv(A, rtol=rcond), b)
    empty = wrap(xp_of(A.array).empty(0, A.array.dtype))
    rank = matrix_rank(A, rtol=rcond)
    full = m > n and driver in ("gels", "gelsd", "gelss") and bool((rank.array == n).all())
    residual = matmul(A, x) - b
    residuals = (residual * residual).sum(-2) if full else empty
    singular = svdvals(A) if driver in ("gelsd", "gelss") else empty
    counted = rank if driver != "gels" else wrap(xp_of(A.array).empty(0, np.int64))
    return return_types.linalg_lstsq(x.squeeze(-1) if vector else x, residuals, counted, singular)


def tensorinv(A: Any, ind: int = 2) -> Any:
    """B with tensordot(B, A, ind) the identity; A's first `ind` sizes multiply to the others'."""
    shape = A.array.shape
    rows, columns = shape[:ind], shape[ind:]
    if ind <= 0 or math.prod(rows) != math.prod(columns):
        raise RuntimeError(
            "linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {math.prod(columns)} != {math.prod(rows)}"
        )
    return reshape(inv(reshape(A, (math.prod(rows), -1))), (*columns, *rows))


def tensorsolve(A: Any, B: Any, dims: Sequence[int] | None = None) -> Any:
    """X with tensordot(A, X, X.ndim) = B."""
    if dims is not None:
        A = movedim(A, tuple(dims), tuple(range(A.array.ndim - len(dims), A.array.ndim)))
    shape = A.array.shape[B.array.ndim :]
    if math.prod(shape) != B.array.size:
        raise RuntimeError(
            "linalg.tensorsolve: Expected self to satisfy the requirement "
            "prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim])"
        )
    n = math.prod(shape)
    return reshape(solve(reshape(A, (n, n)), reshape(B, (n,))), shape)


# ------------------------------------------------------------------------ powers and exponentials


def matrix_power(A: Any, n: int) -> Any:
    """A multiplied with itself n times, by repeated squaring; a negative n takes the inverse."""
    _check_square(A, "linalg.matrix_power") if A.array.dtype.kind == "f" else None
    if n < 0:
        A, n = inv(A), -n
    if n == 0:
        eye = _eye(A.array.shape[-1], A)
        return eye.expand(A.array.shape).clone()
    result = None
    while True:
        if n & 1:
            result = A if result is None else matmul(result, A)
        n >>= 1
        if not n:
            return result.clone() if result is A else result
        A = matmul(A, A)


@differentiable
def matrix_exp(a):
    """1 + A + A^2/2 + A^3/6 + ...: dA is the upper right block of exp([[A^T, dY], [0, A^T]])
    (Higham, Functions of Matrices, 10.6)."""

    def da(dy: Any) -> Any:
        at = matrix_transpose(a)
        n = at.array.shape[-1]
        zero = wrap(np.zeros_like(dy.array))
        block = cat([cat([at, dy], -1), cat([zero, at], -1)], -2)
        return narrow(_columns(matrix_exp(block), n, 2 * n), -2, 0, n)

    return _exponential(a.array), (da,)


def _exponential(a: Any) -> Any:
    """exp(A / 2^s)^(2^s) with a Taylor polynomial, s such that the norm of A / 2^s is below 1/2."""
    norm = float(abs(a).sum(-2).max()) if a.size else 0.0
    if not math.isfinite(norm):
        return np.full_like(a, math.nan)
    s = max(0, math.ceil(math.log2(norm)) + 1) if norm else 0
    x = a.astype(np.float64) / 2.0**s
    term = result = np.broadcast_to(xp_of(a).eye(a.shape[-1]), a.shape)
    for k in range(1, 18):  # (1/2)^17 / 17! is far below float64's last digit
        term = term @ x / k
        result = result + term
    for _ in range(s):
        result = result @ result
    return result.astype(a.dtype)


# ------------------------------------------------------------------------------------------- norms


def matrix_norm(
    A: Any,
    ord: Any = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """The norm of matrices: "fro", "nuc" (the singular values' sum), 2, -2, 1, -1, inf, -inf."""
    if A.array.ndim < 2:
        raise RuntimeError(
            f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, but has "
            f"{A.array.ndim}."
        )
    x = A if dtype is None else A.to(dtype)
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            f"linalg.matrix_norm: Expected a floating point tensor as input. Got {x.array.dtype}"
        )
    if not isinstance(dim, tuple | list) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    rows, columns = distinct_dims(dim, x.array.ndim, "linalg.matrix_norm")
    if ord == "fro":
        return vector_norm(x, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        s = svdvals(movedim(x, (rows, columns), (-2, -1)))
        result = (
            reduction.sum(s, -1)
            if ord == "nuc"
            else (reduction.amax if ord > 0 else reduction.amin)(s, -1)
        )
        if keepdim:
            for d in sorted((rows, columns)):
                result = result.unsqueeze(d)
        return result
    if ord not in (1, -1, math.inf, -math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    lines = vector_norm(x, 1, summed, True)
    result = (reduction.amax if ord > 0 else reduction.amin)(lines, kept, True)
    return result if keepdim else result.squeeze((rows, columns))


def linalg_norm(
    A: Any,
    ord: Any = None,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """A matrix norm over two dimensions or a vector norm over one, by `dim` or A's own."""
    if ord is None:
        flat = A if dim is not None else reshape(A, (-1,))
        result = vector_norm(flat, 2, dim, keepdim and dim is not None, dtype=dtype)
        return reshape(result, (1,) * A.array.ndim) if keepdim and dim is None else result
    if dim is None:
        if A.array.ndim > 2:
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                f"{A.array.ndim}D."
            )
        pair = (0, 1) if A.array.ndim == 2 else None
    else:
        pair = tuple(dim) if isinstance(dim, tuple | list) and len(dim) == 2 else None
    if pair is not None:
        return matrix_norm(A, ord, pair, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


def cond(A: Any, p: Any = None) -> Any:
    """How much A can enlarge relative errors: the norm of A times that of its inverse."""
    _check_matrices(A, "linalg.cond")
    if p in (None, 2, -2):
        s = svdvals(A)
        first, last = (
            narrow(s, -1, 0, 1).squeeze(-1),
            narrow(s, -1, s.array.shape[-1] - 1, 1).squeeze(-1),
        )
        return last / first if p == -2 else first / last
    _check_square(A, f"linalg.cond(ord={p})")
    return matrix_norm(A, p) * matrix_norm(inv_ex(A)[0], p)


def logdet(input: Any) -> Any:
    """The logarithm of the determinant, NaN where that is negative."""
    sign, logabs = slogdet(input)
    return where(sign.lt(0), math.nan, logabs)


def householder_product(A: Any, tau: Any) -> Any:
    """The first columns of a product of reflections 1 - tau_i v_i v_i^T, v_i below A's diagonal."""
    _check_matrices(A, "linalg.householder_product")
    m, n = A.array.shape[-2:]
    k = tau.array.shape[-1]
    if k > n or n > m:
        raise ShapeError(
            f"linalg.householder_product: needs A (M, N) with M >= N >= the size of tau, but got "
            f"{list(A.array.shape)} and {list(tau.array.shape)}"
        )
    v = tril(A, -1) + _eye(m, A, n)
    result = _eye(m, A, n).expand(A.array.shape)
    for i in range(k - 1, -1, -1):
        vi = _columns(v, i, i + 1)
        ti = _columns(tau, i, i + 1).unsqueeze(-1)
        result = result - matmul(ti * vi, matmul(matrix_transpose(vi), result))
    return result


def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """`diagonal`, of the last two dimensions unless others are given."""
    return diagonal(A, offset, dim1, dim2)
