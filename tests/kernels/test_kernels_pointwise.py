import math

import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.pointwise import reference
from tinynet.kernels.pointwise.cases import CASES

SMALLER = [case for case in CASES if case.size != "large"]
cpu = kernels.of(np.zeros(1)).pointwise
BOTH = pytest.mark.parametrize("pointwise", [reference, cpu], ids=["reference", "cpu"])
FUNCTION = pytest.mark.parametrize("name", ["tanh", "erf"])


@FUNCTION
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype, name):
    (x,) = case.arrays(dtype)
    got, wanted = getattr(cpu, name)(x), getattr(reference, name)(x)
    assert got.dtype == wanted.dtype == dtype
    assert got.strides == wanted.strides or case.layout == "strided"
    np.testing.assert_allclose(got, wanted, rtol=case.tolerance(dtype), atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_derivative_of_tanh_agrees_with_reference(case, dtype):
    (dy,) = case.arrays(dtype)
    y = np.tanh(dy)
    got, wanted = cpu.tanh_backward(dy, y), reference.tanh_backward(dy, y)
    assert got.dtype == dtype
    assert got.strides == wanted.strides or case.layout == "strided"
    np.testing.assert_array_equal(got, wanted)


@FUNCTION
def test_float32_is_right_to_the_last_place(name):
    """Against the standard library in float64, rounded: at most one unit, seldom that."""
    rng = np.random.default_rng(0)
    grid = np.concatenate([np.linspace(-11, 11, 40001), 10 ** rng.uniform(-30, 1, 10000)])
    x = grid.astype(np.float32)
    exact = np.array([getattr(math, name)(float(v)) for v in x])
    got = getattr(cpu, name)(x)
    units = abs(got - exact) / np.spacing(abs(exact).astype(np.float32))
    assert units.max() < 0.6
    assert (abs(got) <= 1).all()
    np.testing.assert_array_equal(getattr(cpu, name)(-x), -got)


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ends_zero_and_nan(pointwise, dtype):
    x = np.array([np.inf, -np.inf, 0.0, -0.0, np.nan, 100.0], dtype)
    for y in (pointwise.tanh(x), pointwise.erf(x)):
        np.testing.assert_array_equal(y, [1, -1, 0, 0, np.nan, 1])
        np.testing.assert_array_equal(np.signbit(y[:4]), [False, True, False, True])


@BOTH
def test_hand_worked(pointwise):
    np.testing.assert_allclose(pointwise.tanh(np.log([2.0, 3.0])), [0.6, 0.8], rtol=1e-15)
    # tanh' is 1 - tanh^2
    slope = pointwise.tanh_backward(np.array([1.0, 2.0]), np.array([0.6, 0.8]))
    np.testing.assert_allclose(slope, [0.64, 0.72], rtol=1e-15)
    # erf(1/2), Abramowitz and Stegun, table 7.1
    np.testing.assert_allclose(pointwise.erf(np.array([0.5])), [0.5204998778], rtol=1e-10)


def test_what_it_does_not_take():
    with pytest.raises(TypeError, match="float32 or float64"):
        cpu.erf(np.zeros(3, np.float16))
    expanded = np.broadcast_to(np.float32(0.5), (3, 4))  # read-only, and without strides
    np.testing.assert_allclose(cpu.tanh(expanded), np.full((3, 4), np.tanh(0.5)), rtol=1e-6)
