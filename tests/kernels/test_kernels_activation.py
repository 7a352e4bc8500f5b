import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.activation import cuda, reference
from tinynet.kernels.activation.cases import CASES

SMALLER = [case for case in CASES if case.size != "large"]
cpu = kernels.of(np.zeros(1)).activation
ALL = pytest.mark.parametrize(
    "activation", [reference, cpu, cuda], ids=["reference", "cpu", "cuda"]
)


@ALL
def test_hand_worked(activation):
    x = np.array([-2.0, -0.0, 0.0, 3.0, np.nan, np.inf, -np.inf])
    y = activation.relu(x)
    np.testing.assert_array_equal(y, [0, 0, 0, 3, np.nan, np.inf, 0])
    dy = np.array([1.0, 2, 3, 4, 5, 6, np.inf])
    np.testing.assert_array_equal(activation.relu_backward(dy, y), [0, 0, 0, 4, 5, 6, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype):
    x, dy = case.arrays(dtype)
    y = reference.relu(x)
    got = cpu.relu(x)
    np.testing.assert_array_equal(got, y)
    assert got.dtype == dtype
    assert not np.shares_memory(got, x)
    dx = reference.relu_backward(dy, y)
    np.testing.assert_array_equal(cpu.relu_backward(dy, got), dx)
    np.testing.assert_array_equal(cpu.relu_backward(dy, y), dx)
    assert cpu.relu(x, x) is x
    np.testing.assert_array_equal(x, y)


def test_the_order_in_memory_is_kept():
    case = next(case for case in CASES if case.channels_innermost)
    x, dy = case.arrays("float32")
    y = cpu.relu(x)
    assert y.strides == x.strides
    assert cpu.relu_backward(dy, y).strides == x.strides
