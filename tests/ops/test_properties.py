"""What must hold for all shapes: broadcasting, reductions, shape changes and einsum, at random."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import tinynet
from tinynet.ops import reduction

quick = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

shapes = st.lists(st.integers(0, 4), min_size=0, max_size=4).map(tuple)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def leaf(array: Any) -> Any:
    return tinynet.tensor(array, requires_grad=True)


@quick
@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3))
def test_broadcasting_is_undone(drawn: Any) -> None:
    """d<dz, x y>/dx sums dz y over every axis along which x was repeated."""
    one, two = drawn.input_shapes
    x, y = leaf(random(*one)), leaf(random(*two, seed=1))
    z = x * y
    assert z.shape == drawn.result_shape
    dz = random(*z.shape, seed=2)
    z.backward(tinynet.tensor(dz))
    for given_, other in ((x, y), (y, x)):
        full = dz * other.detach().numpy()
        extra = full.ndim - given_.ndim
        axes = tuple(range(extra)) + tuple(
            i + extra for i, n in enumerate(given_.shape) if n == 1 and full.shape[i + extra] != 1
        )
        expected = full.sum(axes, keepdims=True).reshape(given_.shape)
        np.testing.assert_allclose(given_.grad.numpy(), expected, atol=1e-12)


@st.composite
def shape_and_dims(draw: Any) -> Any:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
    dims = draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=4))
    unique = {d % len(shape): d for d in dims}
    return shape, tuple(unique.values()), draw(st.booleans())


@quick
@given(shape_and_dims(), st.sampled_from(["sum", "mean", "amax", "logsumexp", "var"]))
def test_reductions_over_any_dims(case: Any, name: str) -> None:
    torch = pytest.importorskip("torch")
    shape, dims, keepdim = case
    a = random(*shape)
    options = {"correction": 0} if name == "var" else {}
    x, t = leaf(a), torch.tensor(a, requires_grad=True)
    y = getattr(x, name)(dims, keepdim=keepdim, **options)
    expected = getattr(t, name)(dims, keepdim=keepdim, **options)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), atol=1e-12)
    dy = random(*y.shape, seed=1)
    y.backward(tinynet.tensor(dy))
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), atol=1e-12)


@quick
@given(shape_and_dims())
def test_the_gradient_of_amax_is_shared_by_all_that_tie(case: Any) -> None:
    shape, dims, _ = case
    x = leaf(np.random.default_rng(0).integers(0, 2, shape).astype(float))
    y = x.amax(dims)
    dy = random(*y.shape, seed=1)
    y.backward(tinynet.tensor(dy))
    np.testing.assert_allclose(x.grad.sum(dims).numpy(), dy, atol=1e-12)
    chosen = x.detach().numpy() == x.detach().amax(dims, keepdim=True).numpy()
    assert (x.grad.numpy()[~chosen] == 0).all()


@quick
@given(shapes, st.randoms(use_true_random=False))
def test_moving_elements_moves_gradients_back(shape: Any, chance: Any) -> None:
    """permute, flip, roll and reshape are permutations: their adjoint is their inverse."""
    dims = list(range(len(shape)))
    chance.shuffle(dims)
    a = random(*shape)
    x = leaf(a)
    y = x.permute(dims).flip(dims[:1]).roll(3, dims[-1:]).reshape(-1)
    y.backward(y.detach())
    np.testing.assert_array_equal(x.grad.numpy(), a)


@quick
@given(shapes, st.integers(-4, 3), st.integers(1, 5))
def test_split_and_cat_are_inverse(shape: Any, dim: int, size: int) -> None:
    if not -len(shape) <= dim < len(shape):
        return
    a = random(*shape)
    x = leaf(a)
    y = tinynet.cat(x.split(size, dim), dim)
    np.testing.assert_array_equal(y.detach().numpy(), a)
    y.backward(tinynet.tensor(a))
    np.testing.assert_array_equal(x.grad.numpy(), a)
    assert sum(part.shape[dim] for part in x.chunk(size, dim)) == shape[dim]


@st.composite
def equations(draw: Any) -> Any:
    letters = "abcd"
    size = {i: draw(st.integers(1, 3)) for i in letters}
    count = draw(st.integers(1, 3))
    terms = ["".join(draw(st.lists(st.sampled_from(letters), max_size=3))) for _ in range(count)]
    used = sorted(set("".join(terms)))
    output = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    return ",".join(terms) + "->" + output, [tuple(size[i] for i in t) for t in terms]


@quick
@given(equations())
def test_einsum_of_any_equation(case: Any) -> None:
    torch = pytest.importorskip("torch")
    equation, sizes = case
    arrays = [random(*s, seed=k) for k, s in enumerate(sizes)]
    xs = [leaf(a) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, expected = tinynet.einsum(equation, *xs), torch.einsum(equation, *ts)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), atol=1e-10)
    dy = random(*y.shape, seed=9)
    y.backward(tinynet.tensor(dy))
    expected.backward(torch.tensor(dy))
    for x, t in zip(xs, ts, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), atol=1e-10)


@pytest.mark.parametrize(
    ("shape", "dims"), [((100_000, 3), (0,)), ((4, 50_000, 3), (0, 1)), ((3, 70_001, 2), (1,))]
)
def test_long_float32_sums_are_accurate(shape: Any, dims: Any) -> None:
    """Adding one by one in float32 would be off by about one part in a thousand."""
    a = np.full(shape, 0.1, np.float32)
    exact = a.astype(np.float64).sum(dims)
    for keepdim in (False, True):
        total = reduction.sum_array(a, dims, keepdim)
        assert total.dtype == np.float32
        np.testing.assert_allclose(total.reshape(exact.shape), exact, rtol=2e-6)
    np.testing.assert_allclose(tinynet.tensor(a).mean(dims).numpy(), 0.1, rtol=2e-6)
    turned = np.asfortranarray(a)
    np.testing.assert_allclose(reduction.sum_array(turned, dims), exact, rtol=2e-6)


@pytest.mark.parametrize("n", range(1, 9))
def test_third_derivative_of_a_product_with_zeros(n: int) -> None:
    """prod x_i: mixed third derivatives are the products of the rest, zeros or not."""
    a = np.arange(n, dtype=float)
    x = leaf(a)
    (first,) = tinynet.autograd.grad(x.prod(), x, create_graph=True)
    if n < 3:
        return
    (second,) = tinynet.autograd.grad(first[0], x, create_graph=True)
    (third,) = tinynet.autograd.grad(second[1], x)
    expected = [0.0, 0.0] + [math.prod(a[3:]) if i == 2 else 0.0 for i in range(2, n)]
    if n > 3:
        rest = [math.prod(v for j, v in enumerate(a) if j not in (0, 1, i)) for i in range(2, n)]
        expected = [0.0, 0.0, *rest]
    np.testing.assert_allclose(third.numpy(), expected)
