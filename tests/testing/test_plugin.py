"""The pytest plugin, run on small test files of its own."""

import pytest

pytest_plugins = ["pytester"]

HEAD = """
import numpy as np, pytest, tinynet as tn
from tinynet.autograd.tape import differentiable

def leaf(*size):
    return tn.tensor(np.random.default_rng(0).standard_normal(size), requires_grad=True)

@differentiable
def wrong(x):
    return x.array**2, (lambda dy: -dy * x * 2,)
"""


@pytest.fixture
def run(pytester, request):
    """Write a test file and run it; returns the result."""
    loaded = request.config.pluginmanager.hasplugin("tinynet")

    def run(body):
        pytester.makepyfile(HEAD + body)
        pytester.makeini("[pytest]\naddopts = --strict-markers\n")
        options = [] if loaded else ["-p", "tinynet.testing.plugin"]
        return pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", *options)

    return run


def test_the_fixture_passes_and_fails_with_the_lesson(run):
    result = run(
        """
def test_right(gradcheck):
    gradcheck(lambda x: x.tanh(), leaf(3))
    gradcheck.second(lambda x: x.tanh(), leaf(3))

def test_wrong(gradcheck):
    gradcheck(wrong, leaf(3))
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*gradient of input 0 is wrong*", "*Likely cause: the sign*"])


def test_the_marker_checks_what_the_test_returns(run):
    result = run(
        """
@pytest.mark.gradcheck(order=2)
def test_right():
    return (lambda x: x.exp()), (leaf(2),)

@pytest.mark.gradcheck
def test_wrong():
    return wrong, leaf(2)

@pytest.mark.gradcheck
@pytest.mark.parametrize("n", [1, 3])
def test_pair(n):
    return (lambda x: x**3), np.ones(n), {"vjp": lambda dy, x: 3 * x**2 * dy}
"""
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*Likely cause: the sign*"])


def test_a_marked_test_that_checked_nothing_fails(run):
    result = run(
        """
@pytest.mark.gradcheck
def test_nothing():
    pass

@pytest.mark.gradcheck
def test_nonsense():
    return 3

@pytest.mark.gradcheck(rtol=1e-4)
def test_by_fixture(gradcheck):
    gradcheck(lambda x: x * x, leaf(2))

def test_float32(gradcheck):
    gradcheck(lambda x: x * x, tn.ones(2, requires_grad=True))
"""
    )
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines_random(
        ["*nothing was checked*", "*returns (function, inputs)*", "*float64*"]
    )
