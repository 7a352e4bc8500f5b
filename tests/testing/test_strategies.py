"""Convolution and pooling over their whole geometry: algorithms, backends, adjoints."""

import numpy as np
import pytest
from hypothesis import assume, find, given, settings
from hypothesis import strategies as st
from tinynet.kernels.conv2d import naive

from tinynet import kernels
from tinynet.testing.strategies import (
    arrays,
    broadcastable,
    conv2d_geometry,
    pool2d_geometry,
    shapes,
)

LOOK = settings(max_examples=60, deadline=None)
SMALL = settings(max_examples=40, deadline=None)
# `direct` and `winograd` refuse some geometry; tests/kernels has theirs, and `auto` takes them.
CHOICES = [{"backend": "reference"}, {"backend": "cpu"}] + [
    {"backend": "cpu", "conv2d": name}
    for name in kernels.ALGORITHMS["conv2d"]
    if name not in ("naive", "direct", "winograd")
]
BACKENDS = [name for name in kernels.BACKENDS if not kernels.unavailable(name)]
TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def small(g):
    """The naive loops are slow."""
    d = g.dims
    assume(d.N * d.K * d.P * d.Q <= 600)
    return d


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(c.values()))
@SMALL
@given(conv2d_geometry(), st.integers(0, 99))
def test_every_convolution_agrees_with_the_naive_loops(choice, g, seed):
    d = small(g)
    x, w, dy = g.arrays(seed)
    bias = np.random.default_rng(seed + 1).standard_normal(d.K)
    with kernels.use(choice["backend"], **{k: v for k, v in choice.items() if k != "backend"}):
        conv2d = kernels.of(x).conv2d
        y = conv2d.forward(x, w, bias, dims=d)
        dx, dw = conv2d.grad_input(dy, w, dims=d), conv2d.grad_weight(dy, x, dims=d)
    np.testing.assert_allclose(y, naive.forward(x, w, bias, dims=d), **TIGHT)
    np.testing.assert_allclose(dx, naive.grad_input(dy, w, dims=d), **TIGHT)
    np.testing.assert_allclose(dw, naive.grad_weight(dy, x, dims=d), **TIGHT)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(c.values()))
@LOOK
@given(conv2d_geometry(), st.integers(0, 99))
def test_convolution_and_its_gradients_are_adjoint(choice, g, seed):
    """<conv(x, w), dy> = <x, grad_input(dy, w)> = <w, grad_weight(dy, x)>."""
    d = g.dims
    x, w, dy = g.arrays(seed)
    with kernels.use(choice["backend"], **{k: v for k, v in choice.items() if k != "backend"}):
        conv2d = kernels.of(x).conv2d
        y = conv2d.forward(x, w, None, dims=d)
        dx, dw = conv2d.grad_input(dy, w, dims=d), conv2d.grad_weight(dy, x, dims=d)
    products = np.vdot(y, dy), np.vdot(x, dx), np.vdot(w, dw)
    size = np.linalg.norm(y) * np.linalg.norm(dy) + 1
    assert products[1] == pytest.approx(products[0], abs=1e-11 * size)
    assert products[2] == pytest.approx(products[0], abs=1e-11 * size)


@pytest.mark.parametrize("backend", BACKENDS)
@LOOK
@given(pool2d_geometry(), st.integers(0, 99))
def test_pooling_and_its_gradients_are_adjoint(backend, g, seed):
    d = g.dims
    random = np.random.default_rng(seed)
    x, dy = random.standard_normal(d.x_shape), random.standard_normal(d.y_shape)
    with kernels.use(backend):
        pool2d = kernels.of(x).pool2d
        y, index = pool2d.max_forward(x, dims=d)
        gathered = pool2d.max_gather(x, index, dims=d)
        dx = pool2d.max_backward(dy, index, dims=d)
        np.testing.assert_array_equal(gathered, y)
        assert np.vdot(gathered, dy) == pytest.approx(np.vdot(x, dx))
        if g.dilation == (1, 1):
            mean, spread = pool2d.avg_forward(x, dims=d), pool2d.avg_backward(dy, dims=d)
            assert np.vdot(mean, dy) == pytest.approx(np.vdot(x, spread))


WANTED = {
    "a size that does not divide": lambda g: (
        (g.H + 2 * g.padding[0] - g.dilation[0] * (g.R - 1) - 1) % g.stride[0] != 0
    ),
    "1x1": lambda g: (g.R, g.S) == (1, 1) and g.H * g.W > 1,
    "kernel equal to image": lambda g: (g.R, g.S) == (g.H, g.W) and g.R > 1 and g.S > 1,
    "stride above kernel": lambda g: g.stride[0] > g.R and g.dims.P > 1,
    "depthwise": lambda g: g.groups == g.C == g.K > 1,
    "all at once": lambda g: (
        g.groups > 1 and min(g.stride) > 1 and min(g.dilation) > 1 and min(g.padding) > 0
    ),
}


@pytest.mark.parametrize("name", WANTED)
def test_the_geometry_reaches(name):
    g = find(conv2d_geometry(), WANTED[name], settings=settings(max_examples=20000, database=None))
    assert WANTED[name](g)
    assert g.dims.y_shape == (g.N, g.K, g.dims.P, g.dims.Q)


@LOOK
@given(broadcastable(3))
def test_shapes_that_broadcast_do(found):
    assert np.broadcast_shapes(*found) is not None


@LOOK
@given(arrays(shapes(min_dims=1), apart=0.1))
def test_arrays_apart_have_no_ties(x):
    values = np.sort(np.append(x.ravel(), 0))
    assert x.dtype == np.float64
    assert (np.diff(values) > 0.04).all()
