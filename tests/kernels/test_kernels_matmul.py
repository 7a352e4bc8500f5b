import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.errors import ShapeError
from tinynet.kernels.matmul import reference
from tinynet.kernels.matmul.cases import CASES

SMALLER = [case for case in CASES if case.size != "large"]
cpu = kernels.of(np.zeros(1)).matmul
BOTH = pytest.mark.parametrize("matmul", [reference.matmul, cpu.matmul], ids=["reference", "cpu"])


@BOTH
def test_hand_worked(matmul):
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    np.testing.assert_array_equal(matmul(a, b), [[19, 22], [43, 50]])


@pytest.fixture(params=["own kernel", "as it comes"])
def small(request, monkeypatch):
    """Small products go to NumPy; the kernel must be right about them all the same."""
    if request.param == "own kernel":
        from tinynet.kernels.matmul import cpu as module

        monkeypatch.setattr(module, "SMALL", -1)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype):
    a, b = case.arrays(dtype)
    c = cpu.matmul(a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    wanted, size = reference.matmul(a, b), reference.matmul(abs(a), abs(b))
    assert c.dtype == dtype
    assert c.shape == wanted.shape
    assert c.flags.c_contiguous
    assert (abs(c - wanted) <= case.tolerance(dtype) * size).all()


@pytest.mark.usefixtures("small")
def test_memory_layouts_that_arrays_may_have():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((9, 21)), rng.standard_normal((21, 60))
    wanted = a @ b
    record = np.zeros((21, 60), [("tag", np.int8), ("value", np.float64)])  # unaligned, 9 bytes
    record["value"] = b
    frozen = b.copy()
    frozen.flags.writeable = False
    views = [a, np.asfortranarray(a), a[::-1, ::-1].copy()[::-1, ::-1]]
    for left in views:
        for right in (b, np.asfortranarray(b), record["value"], frozen):
            np.testing.assert_allclose(cpu.matmul(left, right), wanted, rtol=1e-12, atol=1e-12)
    one = np.broadcast_to(a[0], (4, 21))  # stride 0
    np.testing.assert_allclose(cpu.matmul(one, b), one @ b, rtol=1e-12, atol=1e-12)


@BOTH
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            (2, 3), (4, 5),
            "matmul: a is (..., M, K) = (2, 3), b is (..., K, N) = (4, 5); a has K = 3 columns "
            "but b has K = 4 rows. Transpose one of them, or make in_features of the layer 3.",
        ),
        ((3,), (3, 5), "both need at least two axes. Add one, as in a.unsqueeze(0)."),
        (
            (2, 4, 3), (5, 3, 6),
            "the batches (2,) and (5,) do not broadcast: from the right, sizes must be equal or 1.",
        ),
    ],
)  # fmt: skip
def test_errors_are_sentences(matmul, a, b, message):
    with pytest.raises(ShapeError) as error:
        matmul(np.ones(a), np.ones(b))
    assert message in str(error.value)


def test_dtypes_that_do_not_match():
    with pytest.raises(TypeError, match="one dtype, float32 or float64, but got float32 and float"):
        cpu.matmul(np.ones((2, 2), np.float32), np.ones((2, 2)))
    with pytest.raises(TypeError, match="float32 or float64, but got int64"):
        cpu.matmul(np.ones((2, 2), np.int64), np.ones((2, 2), np.int64))
