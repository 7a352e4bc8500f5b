"""Products of matrices, and what is made of them: linear, einsum, tensordot, solve, det.

Size letters: a is (..., M, K), b is (..., K, N), their product (..., M, N).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from .. import kernels, return_types
from ..autograd.tape import TensorBase, differentiable, wrap
from ..device import device_of
from ..kernels.errors import ShapeError
from ..kernels.matmul import SMALL
from .dims import distinct_dims
from .reduction import sum as sum_over
from .shape import _listed, _permute, _view, diagonal, matrix_transpose, reshape

# ------------------------------------------------------------------------------- matrix products


def _product(a: Any, b: Any) -> Any:
    """The product of two matrices or of batches: NumPy's if it is small, else the kernels'.

    On a GPU always theirs: cuBLAS cannot be captured in a graph.
    """
    large = type(a) is not np.ndarray or a.size * b.shape[-1] > SMALL
    if large and a.dtype.kind == "f" and a.dtype.itemsize >= 4:
        return kernels.of(a, b).matmul.matmul(a, b)
    return a.dot(b) if b.ndim == 2 else a @ b  # `dot` is the sooner begun


@differentiable
def _matmul(a, b):
    """c = a b; da = dc b^T, db = a^T dc. Batches broadcast, and the engine sums over them."""
    return _product(a.array, b.array), (
        lambda dc: _matmul(dc, _swapped(b)),
        lambda dc: _matmul(_swapped(a), dc),
    )


def _swapped(x: Any) -> Any:
    """x (..., M, N) as (..., N, M), for tensors that are known to be matrices."""
    ndim = x.array.ndim
    return _permute(x, dims=(*range(ndim - 2), ndim - 1, ndim - 2))


# Where the second operand is one matrix, all rows of the first are multiplied at once. The three
# products of that kind are one another's derivatives, so that none has to turn a matrix round:
#
#     c  = a b      (..., K) (K, N)      da = dc b^T     db = a^T dc
#     c  = a b^T    (..., N) (K, N)      da = dc b       db = dc^T a
#     db = a^T dc   (..., K) (..., N)    da = dc db^T    ddc = a db


def _rows(x: Any) -> Any:
    """All leading dimensions of an array (..., K) made one: (rows, K)."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _of_rows(y: Any, x: Any) -> Any:
    """y (rows, N) with the leading dimensions of x (..., K): (..., N)."""
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], y.shape[-1])


@differentiable
def _matmul_rows(a, b):
    """c = a b of all rows of a (..., K) and one matrix b (K, N)."""
    return _of_rows(_product(_rows(a.array), b.array), a.array), (
        lambda dc: _linear(dc, b, None),
        lambda dc: _summed_rows(a, dc),
    )


@differentiable
def _linear(x, w, b):
    """y = x w^T + b of all rows of x (..., in), w (out, in); db = dy, summed by the engine."""
    y = _product(_rows(x.array), w.array.T)
    if b is not None:
        y += b.array
    return _of_rows(y, x.array), (
        lambda dy: _matmul_rows(dy, w),
        lambda dy: _summed_rows(dy, x),
        lambda dy: dy,
    )


@differentiable
def _summed_rows(a, c):
    """a^T c, (K, N): the outer products of rows of a (..., K) and c (..., N), summed."""
    return _product(_rows(a.array).T, _rows(c.array)), (
        lambda g: _linear(c, g, None),
        lambda g: _matmul_rows(a, g),
    )


_matmul_rows.__name__ = "matmul"  # in the graph


def _check_operands(a: Any, b: Any, name: str) -> None:
    if isinstance(a, TensorBase) and isinstance(b, TensorBase):
        x, y = a.array, b.array
        if x.dtype is y.dtype and x.__class__ is y.__class__ and x.dtype.kind != "b":
            return
    for x in (a, b):
        if not isinstance(x, TensorBase):
            raise TypeError(f"{name}: expected Tensors, but got {type(x).__name__}")
    x, y = a.array, b.array
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"{name}: expected m1 and m2 to have the same dtype, but got: {x.dtype} != {y.dtype}; "
            "convert one with .to(dtype)."
        )
    if x.__class__ is not y.__class__:
        raise RuntimeError(
            f"{name}: Expected all tensors to be on the same device, but found {device_of(x)} and "
            f"{device_of(y)}; move one with .to(device)."
        )
    if x.dtype.kind == "b":
        raise RuntimeError(f"{name}: not implemented for 'Bool'; convert with .float() or .long()")


def matmul(input: Any, other: Any) -> Any:
    """The matrix product: a (..., M, K) times b (..., K, N) is (..., M, N), batches broadcast.

    A vector on the left is a row, on the right a column, and its dimension of size 1 is dropped
    from the result; two vectors give their dot product. Raises RuntimeError if the sizes K differ.
    """
    _check_operands(input, other, "matmul")
    a, b = input.array, other.array
    if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]:
        return _matmul_rows(input, other)  # the usual case
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(
            "matmul: both arguments to matmul need to be at least 1D, but they are "
            f"{a.ndim}D and {b.ndim}D; use * for a product with a number."
        )
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(
            f"matmul: mat1 and mat2 shapes cannot be multiplied: a is (..., M, K) = {a.shape}, b "
            f"is (..., K, N) = {b.shape}; a has K = {a.shape[-1]} columns but b has K = {inner} "
            "rows. Is one of them to be transposed (.mT)?"
        )
    if b.ndim == 1:
        if a.ndim == 1:
            return dot(input, other)
        c = _matmul_rows(input, _view(other, shape=(*b.shape, 1)))
        return _view(c, shape=a.shape[:-1])
    if a.ndim == 1:
        c = matmul(_view(input, shape=(1, *a.shape)), other)
        shape = c.array.shape
        return _view(c, shape=(*shape[:-2], shape[-1]))
    if b.ndim == 2:
        return _matmul_rows(input, other)
    _check_batches(a.shape, b.shape)
    return _matmul(input, other)


def _check_batches(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    try:
        np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul: a is (..., M, K) = {a}, b is (..., K, N) = {b}; the batches {a[:-2]} and "
            f"{b[:-2]} do not broadcast: sizes must be equal or 1, counted from the right."
        ) from None


def _check_ndim(name: str, **tensors: tuple[Any, int]) -> None:
    for which, (x, ndim) in tensors.items():
        if x.array.ndim != ndim:
            raise RuntimeError(
                f"{name}: {which} must be a {ndim}D tensor, but has shape {list(x.array.shape)}; "
                "matmul takes any number of dimensions."
            )


def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices, (M, K) times (K, N)."""
    _check_ndim("mm", self=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2)


def bmm(input: Any, mat2: Any) -> Any:
    """The products of two batches of matrices, (B, M, K) times (B, K, N)."""
    _check_ndim("bmm", batch1=(input, 3), batch2=(mat2, 3))
    if input.array.shape[0] != mat2.array.shape[0]:
        raise ShapeError(
            f"bmm: the batches differ: batch1 is (B, M, K) = {input.array.shape}, batch2 is "
            f"(B, K, N) = {mat2.array.shape}; matmul would broadcast a batch of 1."
        )
    return matmul(input, mat2)


def mv(input: Any, vec: Any) -> Any:
    """A matrix (M, K) times a vector (K)."""
    _check_ndim("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec)


def dot(input: Any, tensor: Any) -> Any:
    """The sum of the products of two vectors' elements."""
    _check_operands(input, tensor, "dot")
    _check_ndim("dot", input=(input, 1), tensor=(tensor, 1))
    k = input.array.size
    if tensor.array.size != k:
        raise ShapeError(
            "dot: inconsistent tensor size, expected both vectors to have the same number of "
            f"elements, but got {k} and {tensor.array.size} elements respectively"
        )
    c = _matmul_rows(_view(input, shape=(1, k)), _view(tensor, shape=(k, 1)))
    return _view(c, shape=())


vdot = dot


def inner(input: Any, other: Any) -> Any:
    """Products summed over the last dimension of both: (..., K) and (..., K) give (..., ...)."""
    if not input.array.ndim or not other.array.ndim:
        return input * other
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Any, vec2: Any) -> Any:
    """Every element of one vector (M) times every element of another (N): (M, N)."""
    _check_ndim("outer", input=(input, 1), vec2=(vec2, 1))
    return _view(input, shape=(input.array.size, 1)) * vec2


ger = outer


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta input + alpha mat1 mat2."""
    return _scaled_sum(input, mm(mat1, mat2), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta input + alpha mat vec."""
    return _scaled_sum(input, mv(mat, vec), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta input + alpha batch1 batch2, matrix by matrix."""
    return _scaled_sum(input, bmm(batch1, batch2), beta, alpha)


def _scaled_sum(x: Any, product: Any, beta: float, alpha: float) -> Any:
    if x.array.dtype.kind != "f" and product.array.dtype.kind != "f":  # factors of their own kind
        kind = bool if x.array.dtype.kind == "b" else int
        alpha, beta = kind(alpha), kind(beta)
    if alpha != 1:
        product = product * alpha
    if beta == 0:  # as in BLAS: then NaN and infinity in x do not count either
        return product
    return product + (x if beta == 1 else x * beta)


def _given(x: Any, w: Any) -> str:
    return f"linear: x is (..., in) = {x.shape}, w is (out, in) = {w.shape}"


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """y = x w^T + b: x is (..., in), w is (out, in), b is (out), y is (..., out).

    Raises RuntimeError if the sizes do not fit.
    """
    _check_operands(input, weight, "linear")
    x, w = input.array, weight.array
    if w.ndim == 1:
        y = matmul(input, weight)
        return y if bias is None else y + bias
    if x.ndim == 0 or w.ndim != 2:
        raise ShapeError(f"{_given(x, w)}; x needs at least one dimension and w needs two.")
    if x.shape[-1] != w.shape[1]:
        raise ShapeError(
            f"{_given(x, w)}; mat1 and mat2 shapes cannot be multiplied: x has {x.shape[-1]} "
            f"features but w expects {w.shape[1]}. Make in_features {x.shape[-1]}, or flatten the "
            "input first (nn.Flatten)."
        )
    if bias is not None:
        _check_operands(input, bias, "linear")
        if bias.array.shape != w.shape[:1] and bias.array.shape not in ((1,), ()):
            raise ShapeError(
                f"{_given(x, w)}, b is (out) = {bias.array.shape}; b needs {w.shape[0]} numbers."
            )
    return _linear(input, weight, bias)


# ------------------------------------------------------------------------ contractions by letters


def tensordot(a: Any, b: Any, dims: int | Sequence[Any] = 2) -> Any:
    """Products summed over pairs of dimensions.

    dims: how many last ones of a meet the first ones of b, or (dims of a, dims of b).
    """
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.array.ndim, b.array.ndim):
            raise RuntimeError(
                f"tensordot: expects dims >= 0 and at most the number of dimensions, but got {dims}"
            )
        ours = tuple(range(a.array.ndim - dims, a.array.ndim))
        theirs = tuple(range(dims))
    else:
        first, second = ((d,) if isinstance(d, int) else tuple(d) for d in dims)
        ours = distinct_dims(first, a.array.ndim, "tensordot")
        theirs = distinct_dims(second, b.array.ndim, "tensordot")
    for i, j in zip(ours, theirs):  # a size of 1 is broadcast
        m, n = a.array.shape[i], b.array.shape[j]
        if m != n and 1 in (m, n):
            a, b = (sum_over(a, i, True), b) if n == 1 else (a, sum_over(b, j, True))
    if [a.array.shape[i] for i in ours] != [b.array.shape[i] for i in theirs]:
        raise ShapeError(
            "tensordot: contracted dimensions need to match: a is "
            f"{list(a.array.shape)}, contracted over {list(ours)}, b is {list(b.array.shape)}, "
            f"over {list(theirs)}."
        )
    letters = iter(range(a.array.ndim + b.array.ndim))
    left = [next(letters) for _ in range(a.array.ndim)]
    right = [
        left[ours[theirs.index(i)]] if i in theirs else next(letters) for i in range(b.array.ndim)
    ]
    output = [x for x in left if x not in right] + [x for x in right if x not in left]
    return _contract(a, left, b, right, output)


def _contract(a: Any, left: list[Any], b: Any, right: list[Any], output: list[Any]) -> Any:
    """The product of a and b, summed over the labels that are not in `output`.

    Labels are hashable, different within each operand; those that only one operand has must be in
    the output. Dimensions are brought into the order (shared, own, summed) and (shared, summed,
    own): then it is a batched matrix product.
    """
    size = dict(zip(left, a.array.shape, strict=True)) | dict(
        zip(right, b.array.shape, strict=True)
    )
    shared = [x for x in left if x in right and x in output]
    summed = [x for x in left if x in right and x not in output]
    ours = [x for x in left if x not in right]
    theirs = [x for x in right if x not in left]

    def product(labels: list[Any]) -> int:
        return math.prod([size[x] for x in labels])

    def arranged(x: Any, labels: list[Any], order: list[Any], shape: tuple[int, ...]) -> Any:
        return _view(_ordered(x, labels, order), shape=(*[size[i] for i in shared], *shape))

    if summed:
        m, k, n = product(ours), product(summed), product(theirs)
        c = matmul(
            arranged(a, left, shared + ours + summed, (m, k)),
            arranged(b, right, shared + summed + theirs, (k, n)),
        )
    else:
        c = arranged(a, left, shared + ours, (product(ours), 1)) * arranged(
            b, right, shared + theirs, (1, product(theirs))
        )
    order = shared + ours + theirs
    return _ordered(_view(c, shape=tuple([size[x] for x in order])), order, output)


def _ordered(x: Any, labels: list[Any], order: list[Any]) -> Any:
    """x with its labelled dimensions in another order."""
    return x if labels == order else _permute(x, dims=tuple([labels.index(i) for i in order]))


def einsum(equation: Any, *operands: Any) -> Any:
    """Products of tensors summed over labelled dimensions, as Einstein wrote them.

    einsum("bij,bjk->bik", a, b) is a batched matrix product. A letter that comes twice in one
    operand takes its diagonal, one that is not in the output is summed over, "..." stands for
    dimensions that are broadcast. Without "->" the output has the letters that come once, in
    alphabetical order. Also einsum(a, [0, 1], b, [1, 2], [0, 2]).
    """
    terms, output, tensors = _parse(equation, operands)
    size: dict[Any, int] = {}
    for k, (labels, x) in enumerate(zip(terms, tensors, strict=True)):
        for label, n in zip(labels, x.array.shape, strict=True):
            if size.setdefault(label, n) != n:
                if size[label] != 1 and n != 1:
                    raise ShapeError(
                        f"einsum: subscript {_letter(label)} has size {n} for operand {k} which "
                        f"does not broadcast with previously seen size {size[label]}; shapes are "
                        f"{[list(t.array.shape) for t in tensors]}."
                    )
                size[label] = max(n, size[label]) if 0 not in (n, size[label]) else 0
    missing = [x for x in output if x not in size]
    if missing:
        raise RuntimeError(
            f"einsum: output subscript {_letter(missing[0])} does not appear in the equation for "
            "any input operand"
        )
    if len(set(output)) != len(output):
        double = next(x for x in output if output.count(x) > 1)
        raise RuntimeError(f"einsum: output subscript {_letter(double)} appears more than once")

    parts = [_distinct(x, list(labels)) for x, labels in zip(tensors, terms, strict=True)]
    for picked in _path(parts, output, size):
        group = [parts.pop(i) for i in sorted(picked, reverse=True)][::-1]
        x, labels = _alone(*group[0], {i for _, other in group[1:] + parts for i in other}, output)
        for j, (y, other) in enumerate(group[1:], 2):
            needed = {i for _, rest in group[j:] + parts for i in rest} | set(output)
            y, other = _alone(y, other, needed | set(labels), output)
            result = list(dict.fromkeys(i for i in labels + other if i in needed))
            x, labels = _contract(x, labels, y, other, result), result
        parts.append((x, labels))
    ((x, labels),) = parts
    x, labels = _alone(x, labels, set(), output)
    x = _ordered(x, labels, [i for i in output if i in labels])
    # A letter whose every dimension has size 1 was dropped on the way.
    return reshape(x, tuple([size[i] for i in output]))


def _letter(label: Any) -> str:
    return "..." if isinstance(label, tuple) else str(label)


def _parse(
    equation: Any, operands: tuple[Any, ...]
) -> tuple[list[list[Any]], list[Any], list[Any]]:
    """(labels of each operand, labels of the output, operands); an ellipsis becomes tuples."""
    if not isinstance(equation, str):  # einsum(a, [0, 1], b, [1, 2], [0, 2])
        items = [equation, *operands]
        paired = len(items) // 2 * 2
        tensors = items[0:paired:2]
        inputs = [list(t) for t in items[1:paired:2]]
        target = list(items[-1]) if len(items) % 2 else None
    else:
        tensors = list(_listed(operands))
        left, arrow, right = equation.replace(" ", "").partition("->")
        inputs = [_symbols(term) for term in left.split(",")]
        target = _symbols(right) if arrow else None
    if len(inputs) != len(tensors) or not tensors:
        raise RuntimeError(
            f"einsum: the equation {equation!r} names {len(inputs)} operands, but {len(tensors)} "
            "were given"
        )
    terms = []
    widest = 0
    for k, (symbols, x) in enumerate(zip(inputs, tensors, strict=True)):
        ndim = x.array.ndim
        extra = ndim - (len(symbols) - symbols.count(Ellipsis))
        if extra < 0 or (extra and Ellipsis not in symbols) or symbols.count(Ellipsis) > 1:
            raise RuntimeError(
                f"einsum: the number of subscripts in the equation ({len(symbols)}) does not match "
                f"the number of dimensions ({ndim}) for operand {k} of shape {list(x.array.shape)}"
                "; use ... for dimensions that are not named."
            )
        widest = max(widest, extra)
        # ("...", 1) is the last dimension of the ellipsis: they are aligned from the right.
        dots = [("...", i) for i in range(extra, 0, -1)]
        terms.append([y for s in symbols for y in (dots if s is Ellipsis else [s])])
    dots = [("...", i) for i in range(widest, 0, -1)]
    if target is None:
        every = [s for symbols in inputs for s in symbols]
        once = sorted(s for s in set(every) if s is not Ellipsis and every.count(s) == 1)
        return terms, dots + once, tensors
    return terms, [y for s in target for y in (dots if s is Ellipsis else [s])], tensors


def _symbols(term: str) -> list[Any]:
    symbols: list[Any] = []
    for i, part in enumerate(term.split("...")):
        symbols += ([Ellipsis] if i else []) + list(part)
    bad = [s for s in symbols if s is not Ellipsis and not s.isalpha()]
    if bad:
        raise RuntimeError(
            f"einsum: invalid subscript given at {term!r}, subscripts must be letters, not "
            f"{bad[0]!r}"
        )
    return symbols


def _distinct(x: Any, labels: list[Any]) -> tuple[Any, list[Any]]:
    """x with the diagonal taken of labels that come twice, and without dimensions of size 1.

    (A dimension of size 1 that meets a longer one is broadcast: every product is the same.)
    """
    for label in list(dict.fromkeys(labels)):
        while labels.count(label) > 1:
            a = labels.index(label)
            b = labels.index(label, a + 1)
            m, n = x.array.shape[a], x.array.shape[b]
            if m != n:
                raise ShapeError(
                    f"einsum: subscript {_letter(label)} is repeated for an operand of shape "
                    f"{list(x.array.shape)} but the sizes don't match, {m} != {n}"
                )
            x = diagonal(x, 0, a, b)
            labels = [i for k, i in enumerate(labels) if k not in (a, b)] + [label]
    kept = [k for k, n in enumerate(x.array.shape) if n != 1]
    if len(kept) < len(labels):
        x = _view(x, shape=tuple([x.array.shape[k] for k in kept]))
    return x, [labels[k] for k in kept]


def _alone(x: Any, labels: list[Any], others: set[Any], output: list[Any]) -> tuple[Any, list[Any]]:
    """x summed over the labels that neither another operand nor the output has."""
    gone = [k for k, i in enumerate(labels) if i not in others and i not in output]
    if not gone:
        return x, labels
    return sum_over(x, gone), [i for k, i in enumerate(labels) if k not in gone]


def _path(parts: list[Any], output: list[Any], size: dict[Any, int]) -> list[tuple[int, ...]]:
    """In which order to multiply: NumPy's greedy choice of the cheapest pairs."""
    if len(parts) < 3:
        return [tuple(range(len(parts)))]
    letters = dict(zip(size, ascii_letters, strict=False))
    used = {i for _, labels in parts for i in labels}
    equation = ",".join("".join(letters[i] for i in labels) for _, labels in parts)
    equation += "->" + "".join(letters[i] for i in output if i in used)
    shapes = [np.broadcast_to(np.float32(0), x.array.shape) for x, _ in parts]
    return np.einsum_path(equation, *shapes, optimize="greedy")[0][1:]


# ------------------------------------------------------------------------------ linear equations


class LinAlgError(RuntimeError):
    """Raised where a matrix is singular or not positive-definite."""


def _check_square(x: Any, name: str) -> None:
    shape = x.array.shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {list(shape)}"
        )
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: Expected a floating point tensor as input. Got {x.array.dtype}"
        )


@differentiable
def _inv(a):
    """The inverse c of a: da = -c^T dc c^T."""

    def da(dc: Any, c: Any) -> Any:
        ct = matrix_transpose(c)
        return -matmul(matmul(ct, dc), ct)

    return np.linalg.inv(a.array), (da,)


def inv(A: Any) -> Any:
    """The inverse of a matrix, or of each of a batch (..., N, N); RuntimeError if it has none."""
    _check_square(A, "linalg.inv")
    try:
        return _inv(A)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.inv: The diagonal element is zero, the inversion could not be completed "
            "because the input matrix is singular."
        ) from None


def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """X with A X = B: A is (..., N, N), B is (..., N, K) or a vector (N); left=False: X A = B.

    dB = A^-T dX and dA = -dB X^T. Raises LinAlgError if A is singular.
    """
    _check_square(A, "linalg.solve")
    if not left:
        X = solve(matrix_transpose(A), matrix_transpose(B) if B.array.ndim > 1 else B)
        return matrix_transpose(X) if B.array.ndim > 1 else X
    vector = B.array.ndim == 1 or B.array.shape == A.array.shape[:-1]
    if vector:
        B = reshape(B, (*B.array.shape, 1))
    if B.array.shape[-2] != A.array.shape[-1]:
        raise ShapeError(
            f"linalg.solve: A is (..., N, N) = {A.array.shape}, B is (..., N, K) = "
            f"{B.array.shape}; A has N = {A.array.shape[-1]} columns but B has {B.array.shape[-2]} "
            "rows."
        )
    try:
        X = _solve(A, B)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.solve: The solver failed because the input matrix is singular."
        ) from None
    return X.squeeze(-1) if vector else X


@differentiable
def _solve(a, b):
    def db(dx: Any) -> Any:
        return _solve(matrix_transpose(a), dx)

    def da(dx: Any, x: Any) -> Any:
        return -matmul(db(dx), matrix_transpose(x))

    return np.linalg.solve(a.array, b.array), (da, db)


def _inverse_transposed(a: Any, name: str) -> Any:
    """a^-T, on which the derivatives of det and log |det| rest."""
    try:
        return matrix_transpose(_inv(a))
    except np.linalg.LinAlgError:
        raise RuntimeError(
            f"{name}: its derivative is computed from the inverse, and the matrix is singular."
        ) from None


def _per_matrix(x: Any) -> Any:
    """One number per matrix (...) as (..., 1, 1), to be multiplied with the matrices."""
    return _view(x, shape=(*x.array.shape, 1, 1))


@differentiable
def _det(a):
    """The determinant d: da = dd d a^-T."""
    return np.linalg.det(a.array), (
        lambda dd, d: _per_matrix(dd * d) * _inverse_transposed(a, "linalg.det"),
    )


def det(A: Any) -> Any:
    """The determinant of a matrix, or of each of a batch (..., N, N).

    Its derivative needs the inverse: RuntimeError in backward if a matrix is singular.
    """
    _check_square(A, "linalg.det")
    return _det(A)


@differentiable
def _logabsdet(a):
    """log |det a|: da = dy a^-T."""
    return np.linalg.slogdet(a.array)[1], (
        lambda dy: _per_matrix(dy) * _inverse_transposed(a, "linalg.slogdet"),
    )


def slogdet(A: Any) -> Any:
    """(sign, log of the absolute value) of the determinant, which itself may overflow."""
    _check_square(A, "linalg.slogdet")
    return return_types.linalg_slogdet(wrap(np.linalg.slogdet(A.array)[0]), _logabsdet(A))
