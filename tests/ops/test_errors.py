"""A mistake ends in a sentence: the operation, the rule, the shapes, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

import tinynet
from tinynet import ones
from tinynet.ops import linalg, reduction, shape

A = ones(2, 3)
LONG = ones(2, 3).long()
NONE = ones(0, 3)

ERRORS: list[tuple[Any, Any, str]] = [
    # Reductions.
    (
        lambda: A.sum(2),
        IndexError,
        r"sum: Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)",
    ),
    (lambda: A.sum((0, -2)), RuntimeError, "dim 0 appears multiple times"),
    (lambda: A.sum(1.5), TypeError, "sum: expected an int, but got 1.5"),
    (lambda: LONG.mean(), RuntimeError, r"mean\(\): could not infer output dtype"),
    (lambda: LONG.var(), RuntimeError, "only support floating point"),
    (lambda: LONG.norm(), RuntimeError, "Expected a floating point tensor"),
    (lambda: A.norm("max"), ValueError, "not supported"),
    (lambda: NONE.max(), RuntimeError, "Specify the reduction dim"),
    (lambda: NONE.amax(0), IndexError, "Expected reduction dim 0 to have non-zero size"),
    (lambda: NONE.min(0), IndexError, "Expected reduction dim 0 to have non-zero size"),
    (lambda: NONE.argmax(), IndexError, "Expected reduction dim to be specified"),
    (lambda: A.topk(4), RuntimeError, "index k out of range: k is 4, but dim 1 has 3"),
    (lambda: tinynet.bincount(A), RuntimeError, "1-d non-negative integral"),
    # Shapes.
    (
        lambda: A.reshape(4, 2),
        RuntimeError,
        r"reshape: shape '\[4, 2\]' is invalid for input of size 6",
    ),
    (lambda: A.reshape(4, -1), RuntimeError, "the new sizes hold a multiple of 4 elements"),
    (lambda: A.reshape(-1, -1), RuntimeError, "only one size can be -1"),
    (lambda: A.reshape(-2, -3), RuntimeError, "a size cannot be negative"),
    (lambda: NONE.reshape(0, -1), RuntimeError, "could be anything"),
    (
        lambda: A.t().view(6),
        RuntimeError,
        r"view size \[6\] is not compatible.*Use .reshape\(...\) instead",
    ),
    (lambda: A.flatten(1, 0), RuntimeError, "start_dim 1 cannot come after end_dim 0"),
    (
        lambda: A.expand(3, 3),
        RuntimeError,
        r"expanded size \[3, 3\] does not fit the tensor's size \[2, 3\]",
    ),
    (lambda: A.expand(-1, 2, 3), RuntimeError, "non-existing dimension"),
    (lambda: A.permute(0), RuntimeError, "name every dimension once"),
    (lambda: A.permute(0, 0), RuntimeError, "dim 0 appears multiple times"),
    (lambda: ones(1, 1, 1).t(), RuntimeError, "<= 2 dimensions, but self is 3D"),
    (lambda: tinynet.cat([]), RuntimeError, "non-empty list"),
    (lambda: tinynet.cat([A, 1]), TypeError, "expected Tensor as element 1"),
    (
        lambda: tinynet.cat([A, ones(3, 4)]),
        RuntimeError,
        "except in dimension 0. Expected size 3 but got size 4",
    ),
    (lambda: tinynet.cat([A, ones(3)]), RuntimeError, "same number of dimensions"),
    (lambda: tinynet.cat([ones(())]), RuntimeError, "zero-dimensional"),
    (
        lambda: tinynet.stack([A, ones(3)]),
        RuntimeError,
        r"equal size, but got \[2, 3\] at entry 0 and \[3\] at entry 1",
    ),
    (
        lambda: A.split([1, 2]),
        RuntimeError,
        r"sum exactly to 2 \(input tensor's size at dimension 0\)",
    ),
    (lambda: A.split(0), RuntimeError, "split_size be positive"),
    (lambda: A.chunk(0), RuntimeError, "greater than 0"),
    (
        lambda: A.narrow(1, 2, 2),
        RuntimeError,
        r"start \(2\) \+ length \(2\) exceeds dimension size \(3\)",
    ),
    (lambda: A.select(0, 2), IndexError, "index 2 out of range"),
    (lambda: A.repeat(2), RuntimeError, "can not be smaller than number of dimensions"),
    (lambda: A.repeat_interleave(tinynet.tensor([1, 2]), 1), RuntimeError, "as many ints"),
    (lambda: shape.pad(A, (1,)), RuntimeError, "divisible by 2"),
    (lambda: shape.pad(A, (1, 1), "odd"), NotImplementedError, "Unrecognised padding mode 'odd'"),
    (lambda: shape.pad(A, (3, 0), "reflect"), RuntimeError, "at most 2 here"),
    (lambda: shape.pad(A, (-2, -2)), RuntimeError, "negative output size"),
    (lambda: ones(3).tril(), RuntimeError, "at least 2 dimensions"),
    (lambda: A.diagonal(0, 1, 1), RuntimeError, "dim 1 appears multiple times"),
    (lambda: A.unfold(1, 4, 1), RuntimeError, "maximum size for tensor at dimension 1 is 3"),
    # Matrices.
    (
        lambda: A @ A,
        RuntimeError,
        r"a is \(..., M, K\) = \(2, 3\), b is \(..., K, N\) = \(2, 3\); "
        "a has K = 3 columns but b has K = 2 rows",
    ),
    (lambda: A @ ones(3, 2).double(), RuntimeError, "same dtype, but got: float32 != float64"),
    (lambda: A @ ones(()), RuntimeError, "at least 1D, but they are 2D and 0D"),
    (
        lambda: ones(2, 2, 3) @ ones(3, 3, 2),
        RuntimeError,
        r"batches \(2,\) and \(3,\) do not broadcast",
    ),
    (lambda: A.bool() @ A.T.bool(), RuntimeError, "not implemented for 'Bool'"),
    (lambda: A @ 2, TypeError, "expected Tensors, but got int"),
    (lambda: A.mm(ones(3)), RuntimeError, "mm: mat2 must be a 2D tensor"),
    (lambda: ones(2, 2, 3).bmm(ones(1, 3, 2)), RuntimeError, "bmm: the batches differ"),
    (lambda: ones(3).dot(ones(2)), RuntimeError, "3 and 2 elements"),
    (
        lambda: linalg.linear(A, ones(4, 2)),
        RuntimeError,
        r"x is \(..., in\) = \(2, 3\), w is \(out, in\) = \(4, 2\).*Make in_features 3",
    ),
    (lambda: linalg.linear(A, ones(4, 3), ones(3)), RuntimeError, "b needs 4 numbers"),
    (lambda: tinynet.tensordot(A, A, 1), RuntimeError, "contracted dimensions need to match"),
    (lambda: tinynet.einsum("ij,jk", A, A), RuntimeError, "subscript j has size 2 for operand 1"),
    (lambda: tinynet.einsum("ij,jk", A), RuntimeError, "names 2 operands, but 1 were given"),
    (
        lambda: tinynet.einsum("ijk", A),
        RuntimeError,
        r"subscripts in the equation \(3\) does not match",
    ),
    (lambda: tinynet.einsum("ij->k", A), RuntimeError, "output subscript k does not appear"),
    (lambda: tinynet.einsum("ij->ii", A), RuntimeError, "appears more than once"),
    (lambda: tinynet.einsum("i1", A), RuntimeError, "subscripts must be letters"),
    (lambda: tinynet.einsum("ii", A), RuntimeError, "is repeated|does not broadcast"),
    (lambda: linalg.inv(A), RuntimeError, "square matrices"),
    (lambda: linalg.inv(ones(2, 2)), RuntimeError, "singular"),
    (lambda: linalg.solve(ones(2, 2), ones(2)), RuntimeError, "singular"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_errors_are_sentences(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_variance_without_degrees_of_freedom_warns() -> None:
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
        assert tinynet.isnan(ones(1).var()).item()


def test_the_derivative_of_a_singular_determinant_is_refused() -> None:
    a = ones(2, 2).requires_grad_()
    with pytest.raises(RuntimeError, match="the matrix is singular"):
        linalg.det(a).backward()


def test_extremes_of_no_elements_along_another_dimension_are_empty() -> None:
    assert reduction.amax(NONE, 1).shape == (0,)
