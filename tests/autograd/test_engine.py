"""The backward walk: gradients, accumulation, higher orders, hooks, freeing and its errors."""

import gc
import weakref

import numpy as np
import pytest

import tinynet as tn
from tinynet.autograd import grad, gradcheck, gradgradcheck


def leaf(*values):
    return tn.tensor(values, dtype=tn.float64, requires_grad=True)


def test_chain_rule_by_hand():
    x = leaf(2.0, -1.0)
    loss = (x * x * 3 + x).sum()
    loss.backward()
    assert loss.item() == 3 * (4 + 1) + 1
    assert x.grad.tolist() == [6 * 2 + 1, 6 * -1 + 1]


def test_gradients_of_every_use_are_added():
    x = leaf(3.0)
    y = x * x + x * x * x + x
    y.backward()
    assert x.grad.tolist() == [2 * 3 + 3 * 9 + 1]


def test_a_diamond_visits_each_node_once():
    calls = []
    x = leaf(2.0)
    middle = x * 3
    middle.register_hook(lambda g: calls.append(g.item()))
    (middle * 2 + middle * 5).backward()
    assert calls == [7.0]
    assert x.grad.item() == 21


def test_backward_accumulates_into_grad_and_set_to_none_starts_again():
    x = leaf(1.0, 2.0)
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 8.0]
    x.grad = None
    (x * 5).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    ("shape", "other"), [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 3)), ((1, 1, 1), (2, 3))]
)
def test_broadcasting_is_undone(shape, other):
    x = tn.tensor(np.random.default_rng(0).standard_normal(shape), requires_grad=True)
    y = tn.tensor(np.random.default_rng(1).standard_normal(other), requires_grad=True)
    assert gradcheck(lambda x, y: x * y + x / (y * y + 1), (x, y))
    (x * y).sum().backward()
    assert x.grad.shape == shape
    assert y.grad.shape == other


def test_a_gradient_is_never_shared_between_leaves():
    """DeZero's add hands one array to both inputs; clipping then scales it twice."""
    x, y = leaf(1.0), leaf(2.0)
    (x + y).backward()
    x.grad *= 10
    assert y.grad.item() == 1
    assert not np.shares_memory(x.grad.array, y.grad.array)


def test_a_gradient_never_aliases_the_cotangent_or_a_view_of_it():
    x = tn.zeros(2, 3, requires_grad=True)
    cotangent = tn.ones(3, 2)
    x.t().backward(cotangent)
    assert not np.shares_memory(x.grad.array, cotangent.array)
    z = tn.zeros(3, requires_grad=True)
    cotangent = tn.ones(3)
    (z + 0).backward(cotangent)
    z.grad *= 3
    assert cotangent.tolist() == [1, 1, 1]


def test_what_a_hook_keeps_is_not_changed_later():
    x = leaf(1.0)
    kept = []
    y = x * 2
    y.register_hook(kept.append)
    (y * 3 + y * 4).backward()
    x.grad.mul_(0)
    (x * 5).backward()
    assert kept[0].tolist() == [7.0]


def test_higher_orders():
    x = leaf(0.3)
    y = x**5
    for expected in (5 * 0.3**4, 20 * 0.3**3, 60 * 0.3**2, 120 * 0.3, 120.0):
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected, rel=1e-12)


def test_create_graph_in_backward_gives_a_grad_that_can_be_differentiated():
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    (second,) = grad(first.sum(), x)
    assert (first.item(), second.item()) == (12.0, 12.0)
    x.grad = None  # the graph hangs on x.grad: let go of it


def test_grad_does_not_touch_grad_and_takes_intermediate_inputs():
    x = leaf(2.0)
    y = x * x
    z = y * y
    dz_dy, dz_dx = grad(z, [y, x])
    assert (dz_dy.item(), dz_dx.item()) == (8.0, 32.0)
    assert x.grad is None


def test_grad_visits_only_what_leads_to_the_inputs():
    visited = []
    x, w = leaf(2.0), leaf(3.0)
    branch = w.exp()
    branch.register_hook(visited.append)
    grad(x * x + branch, x)
    assert visited == []


def test_backward_with_inputs_leaves_the_others_alone():
    x, w = leaf(2.0), leaf(3.0)
    (x * w).backward(inputs=[x])
    assert x.grad.item() == 3
    assert w.grad is None


def test_unused_input():
    x, w = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        grad(x * 2, [x, w])
    assert grad(x * 2, [x, w], allow_unused=True)[1] is None
    assert grad(x * 2, [x, w], allow_unused=True, materialize_grads=True)[1].tolist() == [0]


def test_several_roots_with_their_gradients():
    x = leaf(1.0, 2.0)
    tn.autograd.backward([x * 2, x.sum()], [tn.tensor([1.0, 10.0]).double(), None])
    assert x.grad.tolist() == [3.0, 21.0]


def test_backward_of_several_outputs_with_unused_ones():
    x = tn.tensor([[3.0, 1.0], [2.0, 4.0]], requires_grad=True)
    left, right = x.split(1, dim=1)
    left.sum().backward()
    assert x.grad.tolist() == [[1, 0], [1, 0]]
    values, indices = x.max(dim=1)
    assert not indices.requires_grad
    values.sum().backward()
    assert x.grad.tolist() == [[2, 0], [1, 1]]
    assert right.requires_grad


# ------------------------------------------------------------------------------ modes and leaves


def test_no_grad_and_enable_grad():
    x = leaf(1.0)
    with tn.no_grad():
        assert not (x * 2).requires_grad
        with tn.enable_grad():
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad

    @tn.no_grad()
    def f():
        return x * 2

    @tn.no_grad
    def g():
        yield (x * 2).requires_grad
        yield (x * 2).requires_grad

    assert not f().requires_grad
    generator = g()
    assert [next(generator), (x * 2).requires_grad, next(generator)] == [False, True, False]
    with tn.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    tn.set_grad_enabled(False)
    assert not tn.is_grad_enabled()
    tn.set_grad_enabled(True)
    with pytest.raises(ZeroDivisionError), tn.no_grad():
        raise ZeroDivisionError
    assert tn.is_grad_enabled()


def test_detach_shares_memory_and_stops_gradients():
    x = leaf(2.0)
    y = x.detach()
    assert np.shares_memory(x.array, y.array)
    (x * y).backward()
    assert x.grad.item() == 2


def test_leaf_and_grad_fn():
    x = leaf(1.0)
    y = x * 2
    assert (x.is_leaf, y.is_leaf, x.grad_fn, y.requires_grad) == (True, False, None, True)
    assert y.grad_fn.name() == "MulBackward0"
    (node, index), (none, _) = y.grad_fn.next_functions
    assert (node.name(), node.variable is x, index, none) == ("AccumulateGrad", True, 0, None)
    assert tn.tensor([1.0]).is_leaf


def test_retain_grad():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    (y * y).backward()
    assert y.grad.item() == 12
    assert y.retains_grad
    with pytest.raises(RuntimeError, match="can't retain_grad"):
        tn.zeros(1).retain_grad()


def test_hooks_may_replace_the_gradient_and_be_removed():
    x = leaf(2.0)
    with x.register_hook(lambda g: g * 10):
        (x * 3).backward()
    assert x.grad.item() == 30
    (x * 3).backward()
    assert x.grad.item() == 33
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * 1).backward()
    assert seen == [34.0]


def test_a_hook_with_a_gradient_of_the_wrong_shape_is_refused():
    x = leaf(2.0, 3.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match=r"hook.*shape \[\].*tensor has \[2\]"):
        (x * 1).sum().backward()


# ------------------------------------------------------------------------------------------ errors


def test_backward_twice_is_refused_with_the_cure():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time: MulBackward0.*retain_graph=True"):
        y.backward()
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12


def test_a_graph_that_remembers_nothing_can_be_walked_again():
    x = leaf(2.0)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.item() == 2


def test_backward_of_a_non_scalar_needs_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"only for scalar outputs.*shape \[2\]"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match=r"shape \[3\].*shape \[2\]"):
        (x * 2).backward(tn.ones(3))


def test_backward_without_history():
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        tn.ones(1).sum().backward()
    with pytest.raises(RuntimeError, match="floating point"):
        tn.tensor([1, 2], requires_grad=True)
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="leaf variables"):
        (x * 2).requires_grad_(False)


def test_a_pullback_that_returns_a_wrong_shape_or_dtype_is_named():
    from tinynet.autograd.tape import differentiable

    @differentiable
    def crooked(x, *, how):
        if how == "shape":
            return x.array * 2, (lambda dy: dy.reshape(1, -1)[:, :1].expand(3, 3),)
        return x.array * 2, (lambda dy: dy.float(),)

    with pytest.raises(RuntimeError, match=r"CrookedBackward0 returned an invalid gradient"):
        crooked(leaf(1.0, 2.0), how="shape").sum().backward()
    with pytest.raises(RuntimeError, match=r"CrookedBackward0.*float32.*float64"):
        crooked(leaf(1.0, 2.0), how="dtype").sum().backward()


# ----------------------------------------------------------------------------------- memory, depth


def test_a_deep_graph_needs_no_recursion():
    """micrograd overflows the stack at depth 2000."""
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 20_001


@pytest.mark.slow
def test_a_graph_a_million_deep_is_walked_and_dropped():
    x = leaf(1.0)
    y = x
    for _ in range(1_000_000):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1
    y = x
    for _ in range(1_000_000):
        y = y * 1.0
    del y


def test_graphs_are_freed_by_reference_counting_alone():
    gc.disable()
    try:
        x = tn.randn(4, 4, requires_grad=True)
        graph = ((x @ x).tanh().exp() * x.sigmoid())[1:].relu().max(dim=1).values.sum()
        references = []
        stack = [graph.grad_fn]
        while stack:
            node = stack.pop()
            if node is not None:
                references.append(weakref.ref(node))
                stack.extend(n for n in node.edges if n is not x._node)
        del graph, node, stack
        assert [r() for r in references] == [None] * len(references)
        assert len(references) > 6
    finally:
        gc.enable()


def test_backward_frees_what_it_remembered():
    x = leaf(2.0)
    y = x.exp()
    z = y * y
    remembered = weakref.ref(y)
    del y
    assert remembered() is not None
    z.backward()
    assert remembered() is None


def test_a_frozen_input_is_not_remembered():
    x, w = tn.randn(3, 3), tn.randn(3, 3, requires_grad=True)
    names = [name for name, _ in (x * w).grad_fn.remembers()]
    assert names == ["x"]  # dw needs x; nobody needs w


def test_double_backward_of_shared_subexpressions():
    x = leaf(0.7, -0.4)
    assert gradgradcheck(lambda x: (x.tanh() * x).exp() + x.sigmoid() * x, (x,))
