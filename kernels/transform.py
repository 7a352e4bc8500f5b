"""Y = M X M.T for a small constant matrix M, as vector code: the transforms of Winograd.

X (columns, columns) and Y (rows, rows) hold one vector of channels in each entry. M is known when
the code is made, so its zeros cost nothing and its ones no multiplication. Rows of M that differ
only in the signs of some entries (those of the interpolation points p and -p) share their work:

    u + v and u - v,    u = what has the same sign in both, v = what has not

and so do columns that differ only in signs: x_i + x_j and x_i - x_j are taken once.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy import ndarray

from .microkernel import INT, Loop, Vectors, address, constant


def transform(matrix: ndarray, name: str, *, biased: bool = False) -> Any:
    """The intrinsic for one matrix M (rows, columns); `name` names the code.

    transform_(x, x_start, x_row, x_column, x_step,
               y, y_start, y_row, y_column, y_step, count, bias, bias_start, bias_step)

    Takes X[i, j] from position x_start + i x_row + j x_column of the array x, writes Y likewise,
    and does so `count` times (at least once), moving on by x_step and y_step. If `biased`, it adds
    to all of Y the vector at bias[bias_start + k bias_step :], k = 0, 1, ...; otherwise those
    arguments go unused.
    """

    @intrinsic
    def transform_(
        typing, x, x_start, x_row, x_column, x_step, y, y_start, y_row, y_column, y_step, count,
        bias, bias_start, bias_step,
    ):  # fmt: skip
        n = types.int64
        signature = types.void(x, n, n, n, n, y, n, n, n, n, n, bias, n, n)

        def codegen(context, builder, signature, values):
            kinds = signature.args
            x, x_start, x_row, x_column, x_step, y, y_start, *rest = values
            y_row, y_column, y_step, count, bias, bias_start, bias_step = rest
            function = _function(builder.module, kinds[0].dtype, matrix, name, biased)
            arguments = [
                address(context, builder, kinds[0], x, x_start),
                x_row,
                x_column,
                x_step,
                address(context, builder, kinds[5], y, y_start),
                y_row,
                y_column,
                y_step,
                count,
                address(context, builder, kinds[11], bias, bias_start),
                bias_step,
            ]
            builder.call(function, arguments)
            return context.get_dummy_value()

        return signature, codegen

    return transform_


def _function(
    module: ir.Module, number: types.Float, matrix: ndarray, name: str, biased: bool
) -> ir.Function:
    """void transform(x, x_row, x_column, x_step, y, y_row, ..., count, bias, bias_step)."""
    v = Vectors(module, number)
    name = f"tinynet_transform_{name}_{v.name}"
    if name in module.globals:
        return module.globals[name]
    pointer = v.number.as_pointer()
    arguments = [pointer, INT, INT, INT, pointer, INT, INT, INT, INT, pointer, INT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    x, x_row, x_column, x_step, y, y_row, y_column, y_step, count, bias, bias_step = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    rows, columns = matrix.shape

    loop = Loop(function, b, count, [x, y])
    x_here, y_here = loop.carried
    half = []  # X M.T, one list for each row of X
    for i in range(columns):
        line = b.gep(x_here, [b.mul(x_row, constant(i))])
        vectors = [v.load(b, line, b.mul(x_column, constant(j))) for j in range(columns)]
        half.append(_product(b, v, matrix, vectors))
    offset = v.load(b, bias, b.mul(bias_step, loop.index)) if biased else None
    for j in range(rows):
        column = b.gep(y_here, [b.mul(y_column, constant(j))])
        for i, value in enumerate(_product(b, v, matrix, [line[j] for line in half])):
            value = value if offset is None else b.fadd(value, offset)
            v.store(b, value, column, b.mul(y_row, constant(i)))
    loop.close(function, b, [b.gep(x_here, [x_step]), b.gep(y_here, [y_step])])
    b.ret_void()
    return function


def _product(b: ir.IRBuilder, v: Vectors, matrix: ndarray, x: list[ir.Value]) -> list[ir.Value]:
    """matrix @ x for a list of vectors."""
    matrix, x = _fold_columns(b, matrix, list(x))
    y: list[Any] = [None] * len(matrix)
    for i, row in enumerate(matrix):
        if y[i] is not None:
            continue
        twin = next((j for j in range(i + 1, len(matrix)) if _differ_in_signs(row, matrix[j])), 0)
        if twin:
            same = matrix[twin] == row
            u = _combination(b, v, np.where(same, row, 0), x)
            w = _combination(b, v, np.where(same, 0, row), x)
            y[i], y[twin] = b.fadd(u, w), b.fsub(u, w)
        else:
            y[i] = _combination(b, v, row, x)
    return y


def _differ_in_signs(a: ndarray, b: ndarray) -> bool:
    """Equal in size everywhere, with some signs equal and some not."""
    return bool((abs(a) == abs(b)).all() and (a != b).any() and ((a == b) & (a != 0)).any())


def _fold_columns(b: ir.IRBuilder, matrix: ndarray, x: list) -> tuple[ndarray, list]:
    """The same product with x_i, x_j replaced by x_i + x_j, x_i - x_j where columns allow."""
    matrix = matrix.copy()
    folded: set[int] = set()
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            first, second = matrix[:, i].copy(), matrix[:, j].copy()
            if not folded & {i, j} and _differ_in_signs(first, second):
                matrix[:, i], matrix[:, j] = (first + second) / 2, (first - second) / 2
                x[i], x[j] = b.fadd(x[i], x[j]), b.fsub(x[i], x[j])
                folded |= {i, j}
    return matrix, x


def _combination(b: ir.IRBuilder, v: Vectors, factors: ndarray, x: list) -> ir.Value:
    """The sum of factors[i] x[i] over factors that are not zero, those that are 1 first."""
    terms = sorted(zip(factors, x, strict=True), key=lambda term: term[0] != 1)
    total = None
    for factor, value in terms:
        if factor == 0:
            continue
        if total is None:
            total = value if factor == 1 else b.fmul(v.constant(factor), value)
        elif factor == 1:
            total = b.fadd(total, value)
        elif factor == -1:
            total = b.fsub(total, value)
        else:
            total = b.call(v.multiply_add, [v.constant(factor), value, total])
    return v.constant(0.0) if total is None else total
