import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.batch_norm import reference
from tinynet.kernels.batch_norm.cases import CASES

SMALLER = [case for case in CASES if case.size != "large"]
cpu = kernels.of(np.zeros(1)).batch_norm
BOTH = pytest.mark.parametrize("batch_norm", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_hand_worked(batch_norm):
    x = np.array([[1.0], [3.0]])  # mean 2, variance 1
    y, mean, var = batch_norm.forward(x, np.array([10.0]), np.array([0.5]), eps=0.0)
    np.testing.assert_array_equal(y, [[-9.5], [10.5]])
    np.testing.assert_array_equal((mean, var), [[2.0], [1.0]])
    y = batch_norm.normalize(x, mean, var + 3, None, None, eps=0.0)
    np.testing.assert_array_equal(y, [[-0.5], [0.5]])
    # With two values z is always -1 and 1, whatever x is: no gradient can reach x.
    dy = np.array([[7.0], [11.0]])
    dx, dweight, dbias = batch_norm.backward(dy, x, np.array([10.0]), mean, var, eps=0.0)
    np.testing.assert_array_equal(dx, [[0.0], [0.0]])
    np.testing.assert_array_equal((dweight, dbias), [[4.0], [18.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype):
    x, weight, bias, dy = case.arrays(dtype)
    y, mean, var = reference.forward(x, weight, bias, eps=case.eps)
    statistics = (mean, var, weight, bias)
    wanted = (
        y, mean, var, reference.normalize(x, *statistics, eps=case.eps),
        *reference.backward(dy, x, weight, mean, var, eps=case.eps),
    )  # fmt: skip
    for order in (np.asarray, channels_innermost):
        here = order(x)
        got = (
            *cpu.forward(here, weight, bias, eps=case.eps),
            cpu.normalize(here, *statistics, eps=case.eps),
            *cpu.backward(order(dy), here, weight, mean, var, eps=case.eps),
        )
        for a, b in zip(got, wanted, strict=True):
            assert a.dtype == dtype
            scale = abs(b).max(initial=1e-30)
            np.testing.assert_allclose(a, b, rtol=0, atol=case.tolerance(dtype) * scale)
        mixed = cpu.backward(dy, here, weight, mean, var, eps=case.eps)
        for a, b in zip(mixed, got[4:], strict=True):
            np.testing.assert_array_equal(a, b)


def channels_innermost(a):
    """Images with their channels innermost; other arrays as they are."""
    if a.ndim != 4:
        return a
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


# PyTorch wants several values a channel.
TAKEN_BY_TORCH = [case for case in SMALLER if np.prod(case.x) > np.prod(case.x[1:2])]


@pytest.mark.parametrize("case", TAKEN_BY_TORCH, ids=lambda case: case.name)
def test_reference_agrees_with_torch(case):
    torch = pytest.importorskip("torch")
    x, weight, bias, dy = case.arrays("float64")
    inputs = [x, np.ones(x.shape[1]) if weight is None else weight]
    tx, tweight = (torch.tensor(a.copy(), requires_grad=True) for a in inputs)
    tbias = None if bias is None else torch.tensor(bias)
    ty = torch.nn.functional.batch_norm(tx, None, None, tweight, tbias, training=True, eps=case.eps)
    ty.backward(torch.tensor(dy.copy()))
    y, mean, var = reference.forward(x, weight, bias, eps=case.eps)
    dx, dweight, _ = reference.backward(dy, x, weight, mean, var, eps=case.eps)
    tolerance = 10 * case.tolerance("float64")
    for got, wanted in ((y, ty.detach()), (dx, tx.grad), (dweight, tweight.grad)):
        scale = abs(wanted.numpy()).max() + abs(dy).max()
        np.testing.assert_allclose(got, wanted.numpy(), rtol=0, atol=tolerance * scale)


@BOTH
@pytest.mark.parametrize("order", [np.asarray, channels_innermost])
def test_a_mean_far_above_the_spread(batch_norm, order):
    """float32 around 1e4, spread 1e-2: sum(x^2) - M mean^2 would have lost every digit."""
    rng = np.random.default_rng(0)
    x = (1e4 + 1e-2 * rng.standard_normal((64, 2, 8, 8))).astype(np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    exact = x.astype(np.float64)
    x = order(x)
    y, mean, var = batch_norm.forward(x, None, None, eps=1e-10)
    wanted_y, wanted_mean, wanted_var = reference.forward(exact, None, None, eps=1e-10)
    np.testing.assert_allclose(var, wanted_var, rtol=1e-6)
    np.testing.assert_allclose(y, wanted_y, atol=1e-5)
    dx, dweight, _ = batch_norm.backward(dy, x, None, mean, var, eps=1e-10)
    wanted = reference.backward(
        dy.astype(np.float64), exact, None, wanted_mean, wanted_var, eps=1e-10
    )
    np.testing.assert_allclose(dx, wanted[0], atol=1e-4 * abs(wanted[0]).max())
    np.testing.assert_allclose(dweight, wanted[1], rtol=1e-4, atol=1e-3)


@BOTH
def test_backward_is_the_derivative(batch_norm):
    """Against central differences in float64, along random directions."""
    rng = np.random.default_rng(3)
    x, dy, step = (rng.standard_normal((5, 3, 2, 4)) for _ in range(3))
    weight, bias, weight_step = (rng.standard_normal(3) for _ in range(3))

    def loss(t):
        y, _, _ = batch_norm.forward(x + t * step, weight + t * weight_step, bias, eps=1e-3)
        return np.vdot(y, dy)

    _, mean, var = batch_norm.forward(x, weight, bias, eps=1e-3)
    dx, dweight, _ = batch_norm.backward(dy, x, weight, mean, var, eps=1e-3)
    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    np.testing.assert_allclose(np.vdot(dx, step) + np.vdot(dweight, weight_step), slope, rtol=1e-7)


@pytest.mark.parametrize("outlier", [0.0, 1e6])
def test_statistics_of_many_rows_in_one_pass(outlier):
    """More rows than a task has, a first row that is no hint at the mean, a mean far from 0."""
    rng = np.random.default_rng(5)
    x = (300 + rng.standard_normal((40_000, 3))).astype(np.float32)
    x[0] += outlier
    wanted = reference.forward(x.astype(np.float64), None, None, eps=1e-5)
    got = cpu.forward(x, None, None, eps=1e-5)
    np.testing.assert_allclose(got[1], wanted[1], rtol=1e-7)
    np.testing.assert_allclose(got[2], wanted[2], rtol=1e-5)
    np.testing.assert_allclose(got[0], wanted[0], atol=1e-4)
