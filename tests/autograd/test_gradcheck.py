"""The checker itself: right derivatives pass, wrong ones cannot."""

import numpy as np
import pytest

import tinynet as tn
from tinynet.autograd import GradcheckError, gradcheck, gradgradcheck
from tinynet.autograd.tape import differentiable


def leaf(shape, seed=0):
    return tn.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def softmax_with(pullback):
    @differentiable
    def softmax(x):
        e = np.exp(x.array - x.array.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True), (pullback,)

    return softmax


def right(dy, y):
    return y * (dy - (dy * y).sum(-1, keepdim=True))


WRONG = {
    "zeros": lambda dy, y: dy * 0,  # all ones as cotangent would not see this one
    "sign": lambda dy, y: -right(dy, y),
    "factor": lambda dy, y: 2 * right(dy, y),
    "one percent": lambda dy, y: 1.01 * right(dy, y),
    "missing term": lambda dy, y: y * dy,
    "sum over the wrong axis": lambda dy, y: y * (dy - (dy * y).sum(0, keepdim=True)),
}


def test_a_right_derivative_passes():
    assert gradcheck(softmax_with(right), leaf((3, 4)))
    assert gradgradcheck(softmax_with(right), leaf((3, 4)))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivative_does_not(name):
    operation = softmax_with(WRONG[name])
    with pytest.raises(GradcheckError, match=r"gradient of input 0 is wrong.*finite differences"):
        gradcheck(operation, leaf((3, 4)))
    assert not gradcheck(operation, leaf((3, 4)), raise_exception=False)


def test_one_wrong_element_is_found_and_named():
    factor = np.ones((3, 4))
    factor[1, 2] = 1.01

    @differentiable
    def square(x):
        return x.array**2, (lambda dy: dy * x * 2 * tn.tensor(factor),)

    with pytest.raises(GradcheckError, match=r"index \(1, 2\).*1 of 12 elements"):
        gradcheck(square, leaf((3, 4)))


def test_every_input_is_checked():
    @differentiable
    def mul(x, y):
        return x.array * y.array, (lambda dz: dz * y, lambda dz: dz * y)

    with pytest.raises(GradcheckError, match="input 1"):
        gradcheck(mul, (leaf(3), leaf(3, 1)))


def test_a_wrong_second_derivative_is_caught():
    @differentiable
    def square_once(x):
        detached = x.detach()
        return x.array**2, (lambda dy: dy * detached * 2,)

    assert gradcheck(square_once, leaf(3))
    with pytest.raises(GradcheckError):
        gradgradcheck(square_once, leaf(3))


def test_a_check_that_checked_nothing_fails():
    with pytest.raises(GradcheckError, match="nothing to check"):
        gradcheck(lambda x: x * 2, tn.ones(3, dtype=tn.float64))
    with pytest.raises(GradcheckError, match="no output depends"):
        gradcheck(lambda x: x.detach(), leaf(3))


def test_float32_is_refused():
    with pytest.raises(GradcheckError, match="float64"):
        gradcheck(lambda x: x * 2, tn.ones(3, requires_grad=True))


def test_an_irreproducible_backward_is_caught():
    random = np.random.default_rng(0)

    @differentiable
    def noisy(x):
        return x.array * 1, (lambda dy: dy * (1 + 1e-7 * random.random()),)

    with pytest.raises(GradcheckError, match="not reproducible"):
        gradcheck(noisy, leaf(3))


def test_inputs_are_left_as_they_were():
    x = leaf((2, 3))
    before = x.array.copy()
    gradcheck(lambda x: x.exp(), x)
    np.testing.assert_array_equal(x.array, before)
    assert x.grad is None
