"""Making tensors: dtypes as PyTorch infers them, shared memory, ranges, and random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinynet

MADE = {
    "int": lambda m: m.tensor(3),
    "float": lambda m: m.tensor(3.5),
    "bool": lambda m: m.tensor(True),
    "ints": lambda m: m.tensor([1, 2]),
    "floats": lambda m: m.tensor([1.0, 2.0]),
    "mixed": lambda m: m.tensor([1, 2.5, True]),
    "bools": lambda m: m.tensor([True, False]),
    "bools and ints": lambda m: m.tensor([True, 2]),
    "nested": lambda m: m.tensor([[1, 2], [3, 4]]),
    "tuples": lambda m: m.tensor(((1.0,), (2.0,))),
    "nothing": lambda m: m.tensor([]),
    "nested nothing": lambda m: m.tensor([[], []]),
    "float64 array": lambda m: m.tensor(np.array([1.0])),
    "float32 array": lambda m: m.tensor(np.array([1.0], np.float32)),
    "int32 array": lambda m: m.tensor(np.array([1], np.int32)),
    "uint8 array": lambda m: m.tensor(np.array([1], np.uint8)),
    "numpy float64": lambda m: m.tensor(np.float64(2)),
    "list of numpy float64": lambda m: m.tensor([np.float64(2)]),
    "list of numpy int32": lambda m: m.tensor([np.int32(2)]),
    "list of tensors": lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0)]),
    "given dtype": lambda m: m.tensor([1, 2], dtype=m.float64),
    "truncated": lambda m: m.tensor([1.7, -1.7], dtype=m.int64),
    "as_tensor list": lambda m: m.as_tensor([1, 2]),
    "as_tensor array": lambda m: m.as_tensor(np.arange(3)),
    "as_tensor dtype": lambda m: m.as_tensor(np.arange(3), dtype=m.float32),
    "zeros": lambda m: m.zeros(2, 3),
    "zeros tuple": lambda m: m.zeros((2, 3), dtype=m.int64),
    "zeros named": lambda m: m.zeros(size=(2, 3)),
    "zeros 0-d": lambda m: m.zeros(()),
    "zeros of a size": lambda m: m.zeros(m.ones(2, 3).shape),
    "ones": lambda m: m.ones([2]),
    "full": lambda m: m.full((2, 2), 1.5),
    "full int": lambda m: m.full((2,), 3),
    "full bool": lambda m: m.full((2,), True),
    "full dtype": lambda m: m.full((2,), 3, dtype=m.float32),
    "full tensor": lambda m: m.full((2,), m.tensor(2.5)),
    "zeros_like": lambda m: m.zeros_like(m.tensor([1, 2])),
    "ones_like": lambda m: m.ones_like(m.tensor([1, 2]), dtype=m.float64),
    "full_like": lambda m: m.full_like(m.tensor([1.0, 2.0]), 3),
    "new_zeros": lambda m: m.tensor([1]).new_zeros(2, 3),
    "new_ones": lambda m: m.tensor([1.0]).new_ones((2,)),
    "new_full": lambda m: m.tensor([1.0]).new_full((2,), 3),
    "new_tensor": lambda m: m.tensor([1.0]).new_tensor([1, 2]),
    "eye": lambda m: m.eye(3),
    "eye wide": lambda m: m.eye(2, 3, dtype=m.int64),
    "arange": lambda m: m.arange(5),
    "arange from": lambda m: m.arange(1, 5),
    "arange step": lambda m: m.arange(1, 10, 3),
    "arange down": lambda m: m.arange(5, 0, -2),
    "arange float": lambda m: m.arange(0, 1, 0.1),
    "arange float end": lambda m: m.arange(3.0),
    "arange dtype": lambda m: m.arange(3, dtype=m.float64),
    "arange nothing": lambda m: m.arange(0),
    "linspace": lambda m: m.linspace(0, 1, 5),
    "linspace one": lambda m: m.linspace(2, 5, 1),
    "linspace none": lambda m: m.linspace(2, 5, 0),
    "linspace dtype": lambda m: m.linspace(-1, 1, steps=4, dtype=m.float64),
    "logspace": lambda m: m.logspace(0, 2, 3),
    "tril_indices": lambda m: m.tril_indices(3, 4, -1),
    "triu_indices": lambda m: m.triu_indices(3, 4, 1),
}


@pytest.mark.parametrize("name", MADE)
def test_agrees_with_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = MADE[name](tinynet), MADE[name](torch)
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


def test_tensor_copies_and_from_numpy_shares() -> None:
    a = np.zeros(3, np.float32)
    copied, shared, taken = tinynet.tensor(a), tinynet.from_numpy(a), tinynet.as_tensor(a)
    a[0] = 1
    assert copied.tolist() == [0, 0, 0]
    assert shared.tolist() == taken.tolist() == [1, 0, 0]
    shared[1] = 2
    assert a.tolist() == [1, 2, 0]
    assert tinynet.as_tensor(shared) is shared


def test_requires_grad() -> None:
    for x in (
        tinynet.tensor([1.0], requires_grad=True),
        tinynet.zeros(2, requires_grad=True),
        tinynet.randn(2, requires_grad=True),
    ):
        assert x.requires_grad
        assert x.is_leaf
    with pytest.raises(RuntimeError, match="floating point"):
        tinynet.tensor([1], requires_grad=True)


def test_default_dtype() -> None:
    tinynet.set_default_dtype(tinynet.float64)
    try:
        made = (tinynet.tensor(1.0), tinynet.zeros(1), tinynet.rand(1), tinynet.arange(0.0, 1.0))
        assert {x.dtype for x in made} == {tinynet.float64}
    finally:
        tinynet.set_default_dtype(tinynet.float32)
    assert tinynet.tensor(1.0).dtype == tinynet.float32


RANDOM = {
    "rand": lambda g: tinynet.rand(1000, generator=g),
    "randn": lambda g: tinynet.randn(1000, generator=g),
    "randint": lambda g: tinynet.randint(3, 7, (1000,), generator=g),
    "randint from 0": lambda g: tinynet.randint(7, (1000,), generator=g),
    "randperm": lambda g: tinynet.randperm(1000, generator=g),
    "normal": lambda g: tinynet.normal(2.0, 3.0, (1000,), generator=g),
    "normal tensors": lambda g: tinynet.normal(
        tinynet.full((1000,), 2.0), tinynet.full((1000,), 3.0), generator=g
    ),
    "bernoulli": lambda g: tinynet.bernoulli(tinynet.full((1000,), 0.3), generator=g),
    "multinomial": lambda g: tinynet.multinomial(
        tinynet.tensor([1.0, 0.0, 3.0]), 1000, True, generator=g
    ),
    "rand_like": lambda g: tinynet.rand_like(tinynet.zeros(1000), generator=g),
    "randn_like": lambda g: tinynet.randn_like(tinynet.zeros(1000), generator=g),
    "randint_like": lambda g: tinynet.randint_like(tinynet.zeros(1000), 5, generator=g),
}


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_gives_the_same_numbers_again(name: str) -> None:
    draw = RANDOM[name]
    generators = [tinynet.Generator().manual_seed(s) for s in (1, 1, 2)]
    one, same, other = (draw(g).numpy() for g in generators)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (draw(generators[0]).numpy() != one).any()
    tinynet.manual_seed(1)
    np.testing.assert_array_equal(draw(None).numpy(), one)


def test_distributions() -> None:
    g = tinynet.Generator().manual_seed(0)
    u = RANDOM["rand"](g)
    assert u.dtype == tinynet.float32
    assert u.min().item() >= 0
    assert u.max().item() < 1
    assert abs(u.mean().item() - 0.5) < 0.05
    z = RANDOM["randn"](g)
    assert abs(z.mean().item()) < 0.15
    assert abs(z.std().item() - 1) < 0.1
    assert RANDOM["randint"](g).unique().tolist() == [3, 4, 5, 6]
    assert RANDOM["randint from 0"](g).unique().tolist() == list(range(7))
    assert RANDOM["randperm"](g).sort().values.tolist() == list(range(1000))
    for name in ("normal", "normal tensors"):
        n = RANDOM[name](g)
        assert abs(n.mean().item() - 2) < 0.4
        assert abs(n.std().item() - 3) < 0.3
    assert abs(RANDOM["bernoulli"](g).mean().item() - 0.3) < 0.05
    counts = tinynet.bincount(RANDOM["multinomial"](g), minlength=3)
    assert counts[1].item() == 0
    assert abs(counts[2].item() - 750) < 60


def test_multinomial_without_replacement_takes_each_once_in_proportion() -> None:
    g = tinynet.Generator().manual_seed(0)
    weights = tinynet.tensor([[1.0, 0.0, 3.0]]).expand(2000, 3)
    drawn = tinynet.multinomial(weights, 2, generator=g)
    assert drawn.shape == (2000, 2)
    assert drawn.sort(1).values.unique(dim=0).tolist() == [[0, 2]]
    assert abs((drawn[:, 0] == 2).float().mean().item() - 0.75) < 0.04


ERRORS: list[tuple[Any, Any, str]] = [
    (lambda: tinynet.tensor([[1, 2], [3]]), ValueError, "equal length"),
    (lambda: tinynet.tensor("a"), TypeError, "invalid data type 'str'"),
    (lambda: tinynet.tensor([1j]), TypeError, "holds numbers or booleans"),
    (lambda: tinynet.tensor(np.array([1], np.uint16)), TypeError, "not a dtype of tinynet"),
    (lambda: tinynet.from_numpy([1]), TypeError, r"expected np.ndarray \(got list\)"),
    (lambda: tinynet.from_numpy(np.array([1], np.uint64)), TypeError, "not a dtype of tinynet"),
    (lambda: tinynet.zeros(-1), RuntimeError, "negative dimension"),
    (lambda: tinynet.zeros(2.5), TypeError, "expected an int"),
    (lambda: tinynet.arange(0, 5, -1), RuntimeError, "inconsistent with step sign"),
    (lambda: tinynet.arange(0, 5, 0), RuntimeError, "inconsistent with step sign"),
    (lambda: tinynet.linspace(0, 1, -1), RuntimeError, "non-negative"),
    (lambda: tinynet.rand(2, dtype=tinynet.int64), RuntimeError, "floating-point dtype"),
    (lambda: tinynet.randint(3, 3, (2,)), RuntimeError, "low < high"),
    (lambda: tinynet.normal(0.0, -1.0, (2,)), RuntimeError, "std >= 0"),
    (lambda: tinynet.normal(0.0, 1.0), TypeError, "size is needed"),
    (lambda: tinynet.bernoulli(tinynet.tensor([2.0])), RuntimeError, "probability per element"),
    (
        lambda: tinynet.multinomial(tinynet.tensor([1.0, 0.0]), 2),
        RuntimeError,
        "without replacement",
    ),
    (lambda: tinynet.multinomial(tinynet.tensor([-1.0]), 1), RuntimeError, "element < 0"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_errors_are_sentences(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()
