import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.optimizer import reference
from tinynet.kernels.optimizer.cases import CASES

SMALLER = [case for case in CASES if case.size != "large"]
cpu = kernels.of(np.zeros(1)).optimizer
BOTH = pytest.mark.parametrize("optimizer", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_hand_worked_sgd(optimizer):
    param, buffer = np.array([1.0]), np.array([10.0])
    # g = 2 + 0.5 * 1 = 2.5; buffer = 0.5 * 10 + (1 - 0.2) * 2.5 = 7; param = 1 - 0.1 * 7
    options = {"lr": 0.1, "momentum": 0.5, "dampening": 0.2, "weight_decay": 0.5}
    optimizer.sgd_step([param], [np.array([2.0])], [buffer], **options)
    np.testing.assert_allclose((param, buffer), [[0.3], [7.0]])


@BOTH
def test_hand_worked_adam(optimizer):
    param, exp_avg, exp_avg_sq = np.array([1.0]), np.array([0.0]), np.array([0.0])
    # First step: both averages, corrected, are the gradient and its square: lr * 3 / (3 + 1).
    optimizer.adam_step(
        [param], [np.array([3.0])], [exp_avg], [exp_avg_sq], None, lr=0.4, beta1=0.9, beta2=0.99,
        eps=1.0, weight_decay=0.0, step=1, decoupled=False,
    )  # fmt: skip
    np.testing.assert_allclose((param, exp_avg, exp_avg_sq), [[0.7], [0.3], [0.09]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype):
    wanted, got, before = case.arrays(dtype), case.arrays(dtype), case.arrays(dtype)
    getattr(reference, case.step)(*wanted, **case.options)
    getattr(cpu, case.step)(*got, **case.options)
    tolerance = case.tolerance(dtype)
    for ours, theirs in zip(got, wanted, strict=True):
        for a, b in zip(ours or (), theirs or (), strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for changed, grad, a, b in zip(got[0], got[1], before[0], before[1], strict=True):
        np.testing.assert_array_equal(grad, b)  # the gradient is left alone
        assert changed.size == 0 or (changed != a).any()


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norm_of_all(optimizer, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(dtype) for s in [(3, 4), (70000,), (), (0, 2)] * 3]
    arrays[0] = arrays[0].T
    wanted = np.linalg.norm(np.concatenate([a.ravel() for a in arrays]).astype(np.float64))
    assert optimizer.norm(arrays) == pytest.approx(wanted, rel=1e-13)
    assert optimizer.norm([]) == 0
    # Squares of float32 that overflow in float32 do not in float64.
    assert optimizer.norm([np.full(4, 1e30, np.float32)]) == pytest.approx(2e30, rel=1e-6)
    assert np.isnan(optimizer.norm([np.array([1, np.nan], dtype)]))
    assert np.isinf(optimizer.norm([np.array([1, np.inf], dtype)]))


@BOTH
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_sgd_agrees_with_torch(optimizer, nesterov, maximize, weight_decay):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    param, buffer = rng.standard_normal(5), np.zeros(5)
    tparam = torch.tensor(param.copy(), requires_grad=True)
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": weight_decay, "nesterov": nesterov}
    theirs = torch.optim.SGD([tparam], maximize=maximize, **options)
    for step in range(4):
        grad = rng.standard_normal(5)
        tparam.grad = torch.tensor(grad)
        theirs.step()
        optimizer.sgd_step([param], [grad], [buffer], maximize=maximize, first=step == 0, **options)
        np.testing.assert_allclose(param, tparam.detach().numpy(), rtol=1e-12)


@BOTH
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_adam_agrees_with_torch(optimizer, decoupled, amsgrad, maximize):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    param, exp_avg, exp_avg_sq, largest = rng.standard_normal(5), *np.zeros((3, 5))
    tparam = torch.tensor(param.copy(), requires_grad=True)
    theirs = (torch.optim.AdamW if decoupled else torch.optim.Adam)(
        [tparam], 0.05, (0.8, 0.9), 1e-6, 0.1, amsgrad, maximize=maximize
    )
    for step in range(1, 5):
        grad = rng.standard_normal(5) / step
        tparam.grad = torch.tensor(grad)
        theirs.step()
        optimizer.adam_step(
            [param], [grad], [exp_avg], [exp_avg_sq], [largest] if amsgrad else None, lr=0.05,
            beta1=0.8, beta2=0.9, eps=1e-6, weight_decay=0.1, step=step, decoupled=decoupled,
            maximize=maximize,
        )  # fmt: skip
        np.testing.assert_allclose(param, tparam.detach().numpy(), rtol=1e-12)
