"""Linear algebra as it was called before `linalg`: other orders of arguments, other results."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..autograd.tape import wrap
from . import factorization
from .factorization import solve_triangular
from .shape import matrix_transpose


def qr(input: Any, some: bool = True) -> Any:
    """`linalg.qr` under its older name; some=False is the complete one."""
    return return_types.qr(*factorization.qr(input, "reduced" if some else "complete"))


def svd(input: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with input = U diag(S) V^T; some=False gives square U and V."""
    u, s, vt = factorization.svd(input, full_matrices=not some)
    if not compute_uv:
        m, n = input.array.shape[-2:]
        batch = input.array.shape[:-2]
        u, vt = (wrap(np.zeros((*batch, k, k), input.array.dtype)) for k in (m, n))
    return return_types.svd(u, s, matrix_transpose(vt))


def lu(A: Any, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots) as `linalg.lu_factor`, with get_infos the info as well."""
    packed = factorization.lu_factor_ex(A, pivot=pivot)
    return tuple(packed if get_infos else packed[:2])


def lu_solve(b: Any, LU_data: Any, LU_pivots: Any) -> Any:
    """`linalg.lu_solve` with its older order of arguments."""
    return factorization.lu_solve(LU_data, LU_pivots, b)


def triangular_solve(
    b: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(X, A) with A X = b for triangular A (transpose: A^T X = b)."""
    A_, up = (matrix_transpose(A), not upper) if transpose else (A, upper)
    x = solve_triangular(A_, b, upper=up, unitriangular=unitriangular)
    return return_types.triangular_solve(x, A.clone())
