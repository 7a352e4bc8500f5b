import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.cross_entropy import reference
from tinynet.kernels.cross_entropy.cases import CASES
from tinynet.kernels.errors import ShapeError

SMALLER = [case for case in CASES if case.size != "large"]
cpu = kernels.of(np.zeros(1)).cross_entropy
BOTH = pytest.mark.parametrize("cross_entropy", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_hand_worked(cross_entropy):
    logits = np.log(np.array([[1.0, 2.0, 1.0], [3.0, 1.0, 4.0], [1.0, 1.0, 1.0]]))
    target = np.array([1, 0, -100])  # probabilities 1/2 and 3/8; the last is left out
    loss, logsumexp, count = cross_entropy.forward(logits, target, ignore_index=-100)
    assert count == 2
    np.testing.assert_allclose(loss, [np.log(2), np.log(8 / 3), 0])
    np.testing.assert_allclose(logsumexp, np.log([4, 8, 3]))
    dloss = np.array([4.0, 8.0, 5.0])
    dx = cross_entropy.backward(dloss, logits, target, logsumexp, ignore_index=-100)
    np.testing.assert_allclose(dx, [[1, -2, 1], [-5, 1, 4], [0, 0, 0]], atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype):
    logits, target, dloss = case.arrays(dtype)
    *wanted, count = reference.forward(logits, target, ignore_index=case.ignore_index)
    *got, ours = cpu.forward(logits, target, ignore_index=case.ignore_index)
    assert ours == count == (target != case.ignore_index).sum()
    inputs = dloss, logits, target, wanted[1]
    wanted.append(reference.backward(*inputs, ignore_index=case.ignore_index))
    got.append(cpu.backward(*inputs, ignore_index=case.ignore_index))
    tolerance = case.tolerance(dtype)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@BOTH
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_agrees_with_torch(cross_entropy, case):
    torch = pytest.importorskip("torch")
    logits, target, dloss = case.arrays("float64")
    tlogits = torch.tensor(logits.copy(), requires_grad=True)
    tloss = torch.nn.functional.cross_entropy(
        tlogits, torch.tensor(target), reduction="none", ignore_index=case.ignore_index
    )
    tloss.backward(torch.tensor(dloss))
    loss, logsumexp, _ = cross_entropy.forward(logits, target, ignore_index=case.ignore_index)
    dx = cross_entropy.backward(dloss, logits, target, logsumexp, ignore_index=case.ignore_index)
    np.testing.assert_allclose(loss, tloss.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dx, tlogits.grad.numpy(), rtol=1e-12, atol=1e-13)


@BOTH
def test_rows_of_very_different_scale(cross_entropy):
    """A maximum taken over the whole array would give the small row log(0)."""
    logits = np.array([[1e4, 1e4 + 1], [0.0, 1.0], [-1e4, -1e4 - 1]], np.float32)
    target = np.array([0, 0, 1])
    loss, logsumexp, _ = cross_entropy.forward(logits, target, ignore_index=-100)
    np.testing.assert_allclose(loss, np.full(3, np.log1p(np.e)), rtol=1e-6)
    ones = np.ones(3, np.float32)
    dx = cross_entropy.backward(ones, logits, target, logsumexp, ignore_index=-100)
    share = np.e / (1 + np.e)
    np.testing.assert_allclose(dx, [[-share, share], [-share, share], [share, -share]], rtol=1e-6)


@BOTH
def test_rows_without_a_softmax_are_nan(cross_entropy):
    logits = np.array([[np.inf, 0.0], [np.nan, 0.0], [-np.inf, -np.inf], [0.0, 0.0]])
    loss, logsumexp, _ = cross_entropy.forward(logits, np.zeros(4, int), ignore_index=-100)
    np.testing.assert_array_equal(np.isnan(loss), [True, True, True, False])
    dx = cross_entropy.backward(np.ones(4), logits, np.zeros(4, int), logsumexp, ignore_index=-100)
    assert np.isnan(dx[1]).all()
    np.testing.assert_allclose(dx[3], [-0.5, 0.5])


@BOTH
def test_errors_are_sentences(cross_entropy):
    logits = np.zeros((4, 10))
    with pytest.raises(IndexError) as error:
        cross_entropy.forward(logits, np.array([0, 1, 10, 11]), ignore_index=-100)
    assert str(error.value) == (
        "cross_entropy: target[2] = 10 is not a class: logits are (N, C) = (4, 10), so labels run "
        "from 0 to 9. Number the classes from 0, or mark rows to be left out with "
        "ignore_index = -100."
    )
    with pytest.raises(IndexError, match=r"target\[1\] = -1 is not a class"):
        cross_entropy.forward(logits, np.array([0, -1, 0, 0]), ignore_index=-100)
    with pytest.raises(ShapeError, match=r"logits has shape \(4, 10\) and target has shape \(3,\)"):
        cross_entropy.forward(logits, np.zeros(3, int), ignore_index=-100)
