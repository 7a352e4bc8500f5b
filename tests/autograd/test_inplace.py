"""In-place operations and views: as in PyTorch, or a sentence. Never a silently wrong gradient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


def both(program, values=(0.5, -1.5, 2.0, 3.0)):
    """Run a program with tinynet and with PyTorch: the same result and gradient, or both refuse."""
    results = []
    for lib in (tn, torch):
        x = lib.tensor(values, dtype=lib.float64, requires_grad=True)
        try:
            y = program(x, lib)
            y.backward()
            results.append((y.item(), x.grad.tolist()))
        except RuntimeError as error:
            results.append(f"RuntimeError: {error}")
    mine, theirs = results
    if isinstance(theirs, str):
        assert isinstance(mine, str), f"PyTorch refuses ({theirs}), tinynet gave {mine}"
    else:
        assert not isinstance(mine, str), f"tinynet refuses ({mine}), PyTorch gave {theirs}"
        assert mine[0] == pytest.approx(theirs[0], rel=1e-12)
        np.testing.assert_allclose(mine[1], theirs[1], rtol=1e-12)
    return mine


def chain(x, lib):
    y = x * 2
    y.mul_(3)
    y += x
    return (y * y).sum()


def item_assignment(x, lib):
    y = x * 2
    y[1] = x[0] * x[3]
    y[2:] = 7
    return (y * y).sum()


def advanced_item_assignment(x, lib):
    y = x * 2
    y[lib.tensor([0, 2])] = x[:2] * 5
    y[y > 7] = 1
    return (y * y).sum()


def view_then_inplace(x, lib):
    y = x * 2
    z = y[1:3]
    z.mul_(x[:2])
    return (y * y).sum()


def inplace_then_view_sees_it(x, lib):
    y = x * 2
    z = y.view(2, 2)
    y.mul_(3)
    return (z[0] * z[1]).sum()


def view_of_view(x, lib):
    y = x * 1
    row = y.view(2, 2)[1]
    row[0] = x[0] * 4
    row.add_(1)
    return (y * y * y).sum()


def two_views(x, lib):
    y = x * 1
    a, b = y[:2], y[1:]
    a.mul_(3)
    b.mul_(5)
    return (a.sum() * b.sum()) + y.sum()


def transposed_view(x, lib):
    y = (x * 1).view(2, 2)
    y.t()[0] += x[2:]
    return (y * y).sum()


def zero_part(x, lib):
    y = x.exp() * 1
    y[0].zero_()
    return (y * y).sum()


def fill_from_constant_base(x, lib):
    y = lib.zeros(4, dtype=lib.float64)
    for i in range(4):
        y[i] = x[i] * (i + 1)
    return (y * y).sum()


def copy_into(x, lib):
    y = lib.zeros(2, 4, dtype=lib.float64)
    y[0].copy_(x)
    y[1].copy_(x * x)
    return (y * y).sum()


def relu_in_place(x, lib):
    y = x * 3
    y.relu_()
    return (y * y).sum()


def tanh_in_place_then_used(x, lib):
    y = (x * 1).tanh_()
    return (y * x).sum()


def remembered_output_changed(x, lib):
    y = x.exp()
    y.mul_(2)
    return y.sum()


def remembered_input_changed(x, lib):
    y = x * 1
    z = y * y
    y.add_(1)
    return z.sum()


def remembered_input_changed_through_a_view(x, lib):
    y = x * 1
    z = y * y
    y[:2].zero_()
    return z.sum()


def remembered_constant_changed(x, lib):
    w = lib.ones(4, dtype=lib.float64)
    z = x * w
    w[0] = 5
    return z.sum()


def change_after_use_that_remembers_nothing(x, lib):
    y = x * 1
    z = y + 1
    y.mul_(4)
    return (z * y).sum()


def leaf_in_place(x, lib):
    x.mul_(2)
    return x.sum()


def view_of_leaf_in_place(x, lib):
    x[0].mul_(2)
    return x.sum()


def leaf_item(x, lib):
    x[0] = 1.0
    return x.sum()


def leaf_under_no_grad(x, lib):
    with lib.no_grad():
        x.mul_(2)
        x[0] = 3.0
    return (x * x).sum()


def expanded(x, lib):
    y = (x * 1)[:1].expand(4)
    y.mul_(2)
    return y.sum()


def self_multiplication(x, lib):
    y = x * 1
    y.mul_(y)
    return y.sum()


def detached_change_is_noticed(x, lib):
    y = x * 1
    z = y * y
    y.detach().zero_()
    return z.sum()


def pow_in_place(x, lib):
    y = x * 1
    y.pow_(2)
    return y.sum()


def masked_fill(x, lib):
    y = x * 2
    y.masked_fill_(y > 0, 1.5)
    return (y * y * x).sum()


def clamp_in_place(x, lib):
    y = x * 2
    y.clamp_(-1, 1)
    return (y * x).sum()


PROGRAMS = [f for f in list(globals().values()) if callable(f) and getattr(f, "__code__", None)]
PROGRAMS = [f for f in PROGRAMS if f.__code__.co_varnames[:2] == ("x", "lib")]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_as_pytorch(program):
    assert both(program) is not None


def test_there_are_programs():
    assert len(PROGRAMS) >= 28


def test_the_error_names_the_operation_the_value_and_the_place():
    x = tn.ones(2, requires_grad=True)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    message = str(caught.value)
    assert "ExpBackward0 remembers its output of shape [2]" in message
    assert "mul_ at" in message
    assert "test_inplace.py:" in message


def test_data_is_checked_where_pytorch_is_silently_wrong():
    x = tn.ones(2, requires_grad=True)
    y = x * x
    x.data.mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_in_place_results_must_fit():
    with pytest.raises(RuntimeError, match=r"shape \[2\] doesn't match the broadcast shape"):
        tn.ones(2).add_(tn.ones(3, 2))
    with pytest.raises(RuntimeError, match="can't be cast"):
        tn.tensor([1, 2]).add_(0.5)
    assert tn.tensor([1.0, 2.0]).add_(1).tolist() == [2, 3]


def test_a_view_made_under_no_grad_is_not_changed_with_gradients_on():
    x = tn.ones(2, requires_grad=True) * 1
    with tn.no_grad():
        v = x[0]
    with pytest.raises(RuntimeError, match="no_grad"):
        v.mul_(2)


# A random program of views and in-place changes, run by both.
OPERATIONS = [
    lambda y, x, lib: y.mul_(2),
    lambda y, x, lib: y.add_(x),
    lambda y, x, lib: y[1:3].mul_(3),
    lambda y, x, lib: y.view(2, 2)[0].add_(x[:2]),
    lambda y, x, lib: y.view(2, 2).t()[1].mul_(x[2:]),
    lambda y, x, lib: y.__setitem__(0, x[3] * 2),
    lambda y, x, lib: y.__setitem__(slice(2, 4), y[:2] * 1),
    lambda y, x, lib: y[lib.tensor([1, 3])].sum(),
    lambda y, x, lib: y.tanh_(),
    lambda y, x, lib: y.copy_(y.flip(0) * 2),
    lambda y, x, lib: y.detach(),
    lambda y, x, lib: y[3].zero_(),
]


@given(
    st.lists(st.integers(0, len(OPERATIONS) - 1), max_size=6),
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_random_programs_as_pytorch(steps, looks):
    def program(x, lib):
        y = x * 1
        views = [y, y[1:], y.view(2, 2), y.view(2, 2)[1]]
        products = []
        for step in steps:
            OPERATIONS[step](y, x, lib)
            products.append((y * 1).sum())
        return sum((views[k] * 0.5).sum() for k in looks) + sum(products)

    both(program)
