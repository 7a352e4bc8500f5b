"""Indexing: any key gives what PyTorch gives, and its gradient goes back to where it came from."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tinynet
from tinynet.autograd.gradcheck import gradcheck, gradgradcheck
from tinynet.ops import indexing

quick = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

sizes = st.lists(st.integers(0, 4), min_size=0, max_size=4).map(tuple)


def leaf(array: Any) -> Any:
    return tinynet.tensor(np.asarray(array, np.float64), requires_grad=True)


@st.composite
def keys(draw: Any) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A shape, and a key for it with NumPy arrays where tensors are to stand."""
    shape = draw(sizes)
    named = shape[: draw(st.integers(0, len(shape)))]
    m, k = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    with_mask = draw(st.booleans())
    parts: list[Any] = []
    for n in named:
        kinds = ["slice", "full"] + (["int", "array"] if n else []) + ["mask"] * with_mask
        kind = draw(st.sampled_from(kinds))
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            ends = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            parts.append(
                slice(draw(ends), draw(ends), draw(st.one_of(st.none(), st.integers(1, 3))))
            )
        elif kind == "full":
            parts.append(slice(None))
        elif kind == "array" and not with_mask:
            size = draw(st.sampled_from([(m, k), (k,), (m, 1), (1,), ()]))
            flat = draw(
                st.lists(st.integers(-n, n - 1), min_size=math.prod(size), max_size=math.prod(size))
            )
            parts.append(np.array(flat, np.int64).reshape(size))
        elif kind == "mask" and not any(isinstance(p, np.ndarray) for p in parts):
            parts.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool))
        else:
            parts.append(slice(None))
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        rest = [p for p in parts if p is not None]
        if len(rest) == len(shape) or draw(st.booleans()):
            at = draw(st.integers(0, len(parts)))
            # Everything after an Ellipsis counts from the end: only valid if all are named.
            if len(rest) == len(shape) or at == len(parts):
                parts.insert(at, Ellipsis)
    return shape, tuple(parts)


def for_(m: Any, key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(m.tensor(p) if isinstance(p, np.ndarray) else p for p in key)


@quick
@given(keys())
def test_any_key_agrees_with_pytorch(case: Any) -> None:
    torch = pytest.importorskip("torch")
    shape, key = case
    x = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    ours, theirs = leaf(x), torch.tensor(x, requires_grad=True)
    y, t = ours[for_(tinynet, key)], theirs[for_(torch, key)]
    assert y.shape == tuple(t.shape)
    np.testing.assert_array_equal(y.detach().numpy(), t.detach().numpy())
    dy = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(tinynet.tensor(dy))
    t.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-12)


@quick
@given(keys())
def test_assignment_writes_where_reading_reads(case: Any) -> None:
    shape, key = case
    key = for_(tinynet, key)
    x, v = leaf(np.zeros(shape)), leaf(3.0)
    z = x.clone()
    z[key] = v
    written = np.zeros(shape)
    tinynet.from_numpy(written)[key] = 1.0
    np.testing.assert_array_equal(z.detach().numpy(), 3.0 * written)
    assert (tinynet.from_numpy(written)[key].numpy() == 1).all()
    dz = np.random.default_rng(0).standard_normal(shape)
    z.backward(tinynet.tensor(dz))
    np.testing.assert_array_equal(x.grad.numpy(), dz * (1 - written))
    np.testing.assert_allclose(v.grad.numpy(), (dz * written).sum(), atol=1e-12)


@quick
@given(keys(), st.sampled_from([np.float64, np.float32, np.int64]))
def test_adjoint_of_indexing_adds_every_duplicate(case: Any, dtype: Any) -> None:
    shape, key = case
    basic, advanced = indexing.array_key(for_(tinynet, key), np.empty(shape))
    view = np.zeros(shape, dtype)[(*basic, Ellipsis)]
    values = (
        np.random.default_rng(0).integers(-9, 9, view[(*advanced, Ellipsis)].shape).astype(dtype)
    )
    got = indexing.index_add_into(tinynet.tensor(values), key=advanced, shape=view.shape).numpy()
    expected = np.zeros(view.shape, dtype)
    np.add.at(expected, (*advanced, Ellipsis), values)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == dtype


@pytest.mark.parametrize(
    ("shape", "key"),
    [
        ((50, 40), lambda random: (random.integers(0, 50, 200),)),
        ((30, 50, 4), lambda random: (slice(None), random.integers(0, 50, (20, 10)))),
        (
            (9, 40, 8),
            lambda random: (random.integers(0, 9, 60), slice(None), random.integers(0, 8, 60)),
        ),
        (
            (9, 40, 8),
            lambda random: (slice(None), random.integers(0, 40, (70, 1)), random.integers(0, 8, 5)),
        ),
        ((60, 50), lambda random: (random.integers(0, 60, 3000), random.integers(0, 50, 3000))),
        ((2000,), lambda random: (random.permutation(2000),)),
        ((2000, 3), lambda random: (random.permutation(2000),)),
    ],
)
def test_adjoint_of_indexing_by_sorting(shape: Any, key: Any) -> None:
    """The same on sizes for which the positions are sorted."""
    random = np.random.default_rng(0)
    key = key(random)
    values = random.integers(-9, 9, np.empty(shape)[key].shape).astype(float)
    assert values.size >= 1024
    expected = np.zeros(shape)
    np.add.at(expected, key, values)
    got = indexing.index_add_into(tinynet.tensor(values), key=key, shape=shape)
    np.testing.assert_array_equal(got.numpy(), expected)


def test_duplicates_accumulate() -> None:
    x = leaf([1.0, 2.0, 3.0])
    (x[[1, 1, 0]] * tinynet.tensor([1.0, 10.0, 100.0], dtype=tinynet.float64)).sum().backward()
    assert x.grad.tolist() == [100.0, 11.0, 0.0]


def test_gradient_of_an_assignment_goes_to_the_value_that_stayed() -> None:
    x, v = leaf([0.0, 0.0]), leaf([1.0, 2.0, 3.0])
    z = x.clone()
    z[tinynet.tensor([0, 1, 0])] = v
    assert z.tolist() == [3.0, 2.0]
    z.backward(tinynet.tensor([5.0, 7.0], dtype=tinynet.float64))
    assert v.grad.tolist() == [0.0, 7.0, 5.0]
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("order", ["C", "F"])
def test_assignment_with_duplicates_has_the_derivative_of_its_value(order: Any) -> None:
    random = np.random.default_rng(0)
    index = tinynet.tensor(random.integers(0, 3, (4, 5)))
    values = leaf(np.asarray(random.standard_normal((4, 5, 2)), order=order))

    def f(x: Any, v: Any) -> Any:
        z = x.clone()
        z[index] = v
        return z * z

    assert gradcheck(f, (leaf(random.standard_normal((3, 2))), values))
    assert gradgradcheck(f, (leaf(random.standard_normal((3, 2))), values))


def test_scatter_takes_the_part_of_a_larger_source_that_its_index_uses() -> None:
    index = tinynet.tensor([[1, 0]])
    inputs = (leaf(np.ones((3, 3))), leaf(np.arange(8.0).reshape(2, 4)))
    assert gradcheck(lambda x, y: x.scatter(0, index, y), inputs)


def test_basic_keys_give_views_and_advanced_keys_copies() -> None:
    x = tinynet.zeros(3, 4)
    for key in (1, slice(1, None), (..., 0), (None, 2), (0, 1), tinynet.tensor(2)):
        assert np.shares_memory(x[key].numpy(), x.numpy()), key
    for key in ([0], tinynet.tensor([1]), np.array([1, 2]), tinynet.ones(3, 4).bool()):
        assert not np.shares_memory(x[key].numpy(), x.numpy()), key


def test_views_write_through() -> None:
    x = tinynet.zeros(2, 3)
    x[1][2] = 5
    x.T[0] = 7
    assert x.tolist() == [[7, 0, 0], [7, 0, 5]]


def test_an_index_changed_later_does_not_change_the_gradient() -> None:
    for index in (tinynet.tensor([0, 1]), np.array([0, 1])):
        x = leaf([1.0, 2.0, 3.0])
        y = x[index]
        index[0] = 2
        y.sum().backward()
        assert x.grad.tolist() == [1.0, 1.0, 0.0]


def test_a_mask_changed_later_does_not_change_the_gradient() -> None:
    x = leaf([1.0, 2.0, 3.0])
    mask = tinynet.tensor([True, False, True])
    y = x[mask]
    mask[1] = True
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 1.0]


def test_indexed_results_are_contiguous() -> None:
    x = tinynet.rand(3, 4, 5)
    for key in (
        (slice(None), [0, 2]),
        (slice(None), slice(None), [1, 1]),
        ([0, 1], slice(None), [1, 2]),
    ):
        assert x[key].is_contiguous(), key


def test_a_uint8_tensor_is_a_mask() -> None:
    x = tinynet.tensor([1, 2, 3])
    assert x[tinynet.tensor([1, 0, 1], dtype=tinynet.uint8)].tolist() == [1, 3]


ERRORS = [
    (lambda x: x[3], IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    (lambda x: x[0, -5], IndexError, "index -5 is out of bounds for dimension 1 with size 4"),
    (lambda x: x[[0, 3]], IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    (lambda x: x[0, 0, 0], IndexError, "too many indices for tensor of dimension 2"),
    (lambda x: x[::-1], ValueError, "step must be greater than zero"),
    (lambda x: x[1.0], IndexError, r"only integers, slices.*are valid indices \(got float\)"),
    (lambda x: x["a"], IndexError, r"only integers, slices.*are valid indices \(got str\)"),
    (lambda x: x[tinynet.tensor([1.0])], IndexError, r"valid indices \(got float32\)"),
    (lambda x: x[tinynet.tensor([True])], IndexError, r"shape of the mask \[1\] at index 0"),
    (lambda x: x[[0, 1], [0, 1, 2]], IndexError, r"could not be broadcast together.*\[2\], \[3\]"),
    (lambda x: x.gather(0, tinynet.tensor([0])), RuntimeError, "same number of dimensions"),
    (lambda x: x.gather(0, tinynet.tensor([[3]])), RuntimeError, "index 3 is out of bounds"),
    (lambda x: x.gather(0, tinynet.tensor([[-1]])), RuntimeError, "index -1 is out of bounds"),
    (lambda x: x.gather(1, tinynet.zeros(4, 1).long()), RuntimeError, "no larger than input"),
    (lambda x: x.gather(0, tinynet.zeros(1, 1)), RuntimeError, "tensor of integers"),
    (lambda x: x.index_select(0, tinynet.tensor([5])), RuntimeError, "index 5 is out of bounds"),
    (lambda x: x.index_select(0, tinynet.tensor([[1]])), IndexError, "supposed to be a vector"),
    (lambda x: x.index_add(0, tinynet.tensor([1]), x), RuntimeError, r"it must be \[1, 4\]"),
    (lambda x: x.masked_select(x), RuntimeError, "BoolTensor for mask"),
    (lambda x: x.masked_fill(x > 0, x), RuntimeError, "0-dimensional value"),
    (lambda x: x.long().masked_fill(x > 0, 0.5), RuntimeError, "without loss"),
    (lambda x: indexing.one_hot(x), RuntimeError, "LongTensor"),
    (
        lambda x: indexing.one_hot(tinynet.tensor([3]), 2),
        RuntimeError,
        "smaller than num_classes = 2",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[e[2][:30] for e in ERRORS])
def test_errors_are_sentences(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call(tinynet.ones(3, 4))


def test_an_assignment_that_does_not_fit_says_both_shapes() -> None:
    x = tinynet.zeros(3, 4)
    with pytest.raises(RuntimeError, match=r"shape \[3\] cannot be broadcast.*shape \[4\]"):
        x[0] = tinynet.ones(3)
    with pytest.raises(RuntimeError, match=r"shape \[3\] cannot be broadcast.*shape \[2, 4\]"):
        x[[0, 1]] = tinynet.ones(3)
