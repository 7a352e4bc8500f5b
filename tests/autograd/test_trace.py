"""The ledger says what the engine did: the same numbers, and where they came from."""

import inspect
import re
import threading

import numpy as np
import pytest
import tinynet.kernels as kernels

import tinynet as tn
import tinynet.nn.functional as F
from tinynet import nn
from tinynet.autograd import Function, trace
from tinynet.autograd.ledger import Leaf
from tinynet.testing.operations import OPERATIONS


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 3)
        self.out = nn.Linear(3, 1)

    def forward(self, x):
        h = self.hidden(x).tanh()
        return self.out(h)


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 2 * x * dy


@pytest.fixture
def net():
    tn.manual_seed(0)
    return Net()


def leaf(values):
    return tn.tensor(values, requires_grad=True)


def near(numbers, expected):
    np.testing.assert_allclose(numbers.values, expected, rtol=1e-6)


def test_two_layers_number_by_number(net):
    x = tn.tensor([[1.0, 2.0], [0.5, -1.0]])
    with trace() as ledger:
        y = net(x)
        loss = (y * y).mean()
        loss.backward()
    assert [s.operation for s in ledger] == ["linear", "tanh", "linear", "mul", "mean"]
    assert [s.module for s in ledger] == ["hidden", "net", "out", None, None]
    assert [s.variable for s in ledger] == ["", "h", "y", "", ""]
    first, tanh, second, mul, mean = ledger

    # written out by hand, from the chain rule
    w, v = net.hidden.weight.detach().numpy(), net.out.weight.detach().numpy()
    h = np.tanh(x.numpy() @ w.T + net.hidden.bias.detach().numpy())
    out = h @ v.T + net.out.bias.detach().numpy()
    dout = 2 * out / out.size
    dsum = (dout @ v) * (1 - h * h)
    near(tanh.outputs[0], h)
    near(second.visits[0].arrived[0], dout)
    near(first.visits[0].arrived[0], dsum)
    near(mean.visits[0].arrived[0], 1.0)
    sent = {c.input: c for c in first.visits[0].outgoing}
    assert set(sent) == {"w", "b"}  # nobody wants the data's gradient
    near(sent["w"].numbers, dsum.T @ x.numpy())
    near(sent["b"].numbers, dsum.sum(0))
    assert sent["b"].summed == (0,)
    assert sent["b"].before.shape == (2, 3)

    # y * y: both factors send a contribution to the second layer
    fan_in = second.visits[0].incoming
    assert [(c.source, c.input) for c in fan_in] == [(mul, "x"), (mul, "y")]
    near(fan_in[0].numbers, out * out.size**-1)

    leaves = {leaf.name: leaf for leaf in ledger.leaves}
    assert set(leaves) == {"x", "hidden.weight", "hidden.bias", "out.weight", "out.bias"}
    for name, parameter in net.named_parameters():
        (visit,) = leaves[name].visits
        np.testing.assert_array_equal(visit.arrived[0].values, parameter.grad.numpy())
        assert visit.end == "becomes .grad"
    assert leaves["x"].visits == []


def test_where_it_was_called(net):
    with trace() as ledger:
        net(tn.ones(1, 2)).sum()
    lines, start = inspect.getsourcelines(Net)
    expected = start + next(i for i, line in enumerate(lines) if "tanh" in line)
    assert ledger[0].line == ledger[1].line == expected
    assert ledger[0].file == __file__
    assert ledger[0].source == f"test_trace.py:{expected}"
    assert ledger[0].text == "h = self.hidden(x).tanh()"
    assert ledger[0].modules == (("net", "Net"), ("hidden", "Linear"))
    assert ledger[3].text == "net(tn.ones(1, 2)).sum()"


def test_paths_of_nested_modules():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 1))
    with trace() as ledger:
        model(tn.ones(1, 2)).sum().backward()
    assert [s.module for s in ledger][:3] == ["0.0", "0.1", "1"]
    assert {leaf.module for leaf in ledger.leaves if leaf.requires_grad} == {"0.0", "1"}


@pytest.mark.parametrize(
    ("compute", "line"),
    [
        (lambda x: x * x, "dx = dz * y"),
        (lambda x: x / 2, "dx = dz / y"),
        (lambda x: x.exp(), "dx = dy * y"),
        (lambda x: x.tanh(), "dx = tanh_backward(dy, y)"),
        (F.silu, "dx = dy * s * (1 + x * (1 - s))"),
        (lambda x: x @ x, "da = dc @ b.T"),
        (Square.apply, "dx = 2 * x * dy"),
        (lambda x: F.softmax(x, 0), "dx = y * (dy - (dy * y).sum(dim, keepdim=True))"),
    ],
)
def test_formulas_are_the_code_that_runs(compute, line):
    with trace() as ledger:
        compute(leaf([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    shown = [text for f in ledger[0].formulas if f for text in f.lines]
    assert any(line in text for text in shown), shown


def test_every_operation_has_a_formula():
    """Whatever form a pullback's code has, it is found and can be shown."""
    with kernels.use("reference"), trace() as ledger:
        for row in OPERATIONS:
            outputs = row.call(*row.inputs())
            for y in outputs if isinstance(outputs, tuple) else (outputs,):
                if y.requires_grad:
                    y.sum().backward(retain_graph=True)
    assert len({step.operation for step in ledger}) > 100
    for step in ledger:
        if step.recorded:
            found = [f for f in step.formulas if f is not None]
            assert found, step.operation
            for f in found:
                assert f.lines, step.operation
                assert any(line.startswith("d") and " = " in line for line in f.lines), f.lines


@pytest.mark.parametrize("layer", ["linear", "matmul"])
def test_products_are_written_as_they_are_computed(layer):
    """The notation of helpers (dw = dy.T @ x) is not theirs: evaluate it."""
    x, w = leaf([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]]), leaf([[2.0, 1.0], [-1.0, 4.0]])
    with trace() as ledger:
        y = F.linear(x, w) if layer == "linear" else x @ w
        (y * y).sum().backward()
    step = ledger[layer][0]
    visit = step.visits[0]
    names = {i.name: i.numbers.values for i in step.inputs if i.numbers is not None}
    for sent in visit.outgoing:
        names[sent.formula.arrives] = visit.arrived[0].values
        (line,) = sent.formula.lines
        result, _, expression = line.partition(" = ")
        assert result == f"d{sent.input}"
        assert "@" in expression
        near(sent.numbers, eval(expression, {}, names))


def test_what_is_remembered():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    with trace() as ledger:
        ((x * y).exp() + x).sum()
    mul, exp, add, total = ledger
    assert {r.name for r in mul.remembered} == {"x", "y"}
    assert mul.remembered_bytes == 16
    assert [r.name for r in exp.remembered] == ["its output"]
    assert add.remembered == total.remembered == []
    assert ledger.remembered_bytes == 24


def test_large_arrays_are_summarised():
    x = leaf(np.arange(1000, dtype=np.float32).reshape(2, 5, 100).tolist())
    with trace(small=10) as ledger:
        x.sum()
    given, made = ledger[0].inputs[0].numbers, ledger[0].outputs[0]
    assert given.values is None
    assert given.norm == pytest.approx(np.linalg.norm(np.arange(1000.0)))
    assert (given.minimum, given.maximum, given.mean) == (0, 999, 499.5)
    assert given.picture.shape == (5, 16)
    assert given.picture[-1, -1] == 499  # the first plane's last element
    assert made.values == 499500


def test_no_grad_leaves_nothing_on_the_tape():
    x = leaf([1.0])
    with trace() as ledger:
        with tn.no_grad():
            y = x * 2
        z = y + x
        z.backward()
    times, plus = ledger
    assert (times.recorded, plus.recorded) == (False, True)
    assert times.formulas == []
    assert plus.inputs[0].origin is times  # known, although the tape does not know it
    assert not plus.inputs[0].wanted


def test_in_place():
    x = leaf([1.0, 2.0])
    with trace() as ledger:
        y = x * 3
        y.mul_(x)
        y.sum().backward()
    assert [s.operation for s in ledger] == ["mul", "mul", "sum"]  # mul_ ran twice, kept a copy
    assert ledger[2].inputs[0].origin is ledger[1]
    near(ledger.leaves[0].visits[0].arrived[0], x.grad.numpy())
    np.testing.assert_allclose(x.grad.numpy(), [6.0, 12.0])


def test_views_changed_in_place():
    x = leaf([1.0, 2.0, 3.0])
    with trace() as ledger:
        y = x * 1
        y[:2] *= 5
        y.sum().backward()
    found = next(leaf for leaf in ledger.leaves if leaf.name == "x")
    near(found.visits[0].arrived[0], [5.0, 5.0, 1.0])
    assert all(
        isinstance(c.target, Leaf) or c.target.visits for v in ledger.visits for c in v.outgoing
    )


def test_hooks():
    x = leaf([1.0, 2.0])
    seen = []
    with trace() as ledger:
        y = x.exp()
        y.register_hook(lambda dy: dy * 10)
        handle = x.register_hook(seen.append)
        y.sum().backward()
    visit = ledger["exp"][0].visits[0]
    assert visit.hooks == 1
    near(visit.before_hooks, [1.0, 1.0])
    near(visit.arrived[0], [10.0, 10.0])
    assert len(seen) == 1
    handle.remove()
    assert x._node.hooks == {}  # none of the ledger's own is left


def test_several_outputs():
    x = leaf([[1.0, 5.0], [3.0, 2.0], [0.5, 2.0]])
    layer = nn.BatchNorm1d(2)
    with trace() as ledger:
        values, _ = x.max(dim=0)
        (values.sum() + (layer(x) ** 2).sum()).backward()
    (norm,) = ledger["batch_norm"]
    assert {c.input for c in norm.visits[0].outgoing} == {"x", "weight", "bias"}
    assert norm.formulas[0].lines[0].startswith("dx, dweight, dbias = batch_norm_backward(dy")
    found = next(leaf for leaf in ledger.leaves if leaf.name == "x")
    near(found.visits[0].arrived[0], x.grad.numpy())
    assert len(found.visits[0].incoming) == 2


def test_double_backward():
    x = leaf([1.0, 2.0])
    with trace() as ledger:
        (g,) = tn.autograd.grad((x**3).sum(), x, create_graph=True)
        g.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]
    found = ledger.leaves[0]
    assert [v.walk for v in found.visits] == [0, 1]
    assert [v.end for v in found.visits] == ["is returned; .grad stays as it was", "becomes .grad"]
    near(found.visits[0].arrived[0], [3.0, 12.0])
    near(found.visits[1].arrived[0], [6.0, 12.0])
    during = [s for s in ledger if s.during is not None]
    assert during  # the first pass was itself recorded
    assert all(s.during.walk == 0 for s in during)
    assert any(s.visits and s.visits[0].walk == 1 for s in during)


class Recomputed(Function):
    """Backward computes forward again and walks that graph: a checkpoint."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        with tn.enable_grad():
            again = x.detach().requires_grad_()
            again.exp().backward(dy)
        return again.grad


def test_a_walk_within_a_walk():
    x, b = leaf([[1.0], [2.0]]), leaf([0.5])
    with trace() as ledger:
        (Recomputed.apply(x) * 3 + b).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * np.exp([[1.0], [2.0]]), rtol=1e-6)
    (step,) = ledger["Recomputed"]
    (sent,) = step.visits[0].outgoing
    np.testing.assert_array_equal(sent.numbers.values, x.grad.numpy())
    (inner,) = ledger["exp"]  # the one that was computed again, during that visit
    assert inner.during is step.visits[0]
    assert inner.visits[0].walk == 1
    near(inner.visits[0].arrived[0], [[3.0], [3.0]])
    (total,) = ledger["add"]
    assert [c.summed for c in total.visits[0].outgoing] == [(), (0,)]


def test_a_second_backward_adds():
    x = leaf([2.0])
    with trace() as ledger:
        for _ in range(2):
            (x * x).sum().backward()
    ends = [v.end for v in ledger.leaves[0].visits]
    assert ends == ["becomes .grad", "is added to .grad, which was not None"]


def test_the_tape_alone_says_what_is_missing(net):
    x = tn.ones(2, 2)
    loss = net(x).sum()
    ledger = loss.backward(trace=True)
    assert [s.operation for s in ledger] == ["linear", "tanh", "linear", "sum"]
    assert all(s.from_tape and not s.source for s in ledger)
    assert "4 of 4 steps ran before the trace began" in ledger.missing[0]
    names = {leaf.name for leaf in ledger.leaves}
    assert names == {"hidden.weight", "hidden.bias", "out.weight", "out.bias"}
    found = next(leaf for leaf in ledger.leaves if leaf.name == "out.weight")
    near(found.visits[0].arrived[0], net.out.weight.grad.numpy())
    with trace() as whole:
        net(x).sum().backward()
    assert whole.missing == []
    assert "! 4 of 4 steps" in str(ledger)


def test_tracing_changes_no_number():
    def gradients(traced):
        tn.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3),
        )  # fmt: skip
        x, y = tn.randn(5, 1, 8, 8), tn.tensor([0, 1, 2, 1, 0])
        if traced:
            with trace():
                F.cross_entropy(model(x), y).backward()
        else:
            F.cross_entropy(model(x), y).backward()
        return [p.grad.numpy() for p in model.parameters()]

    for plain, traced in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_array_equal(plain, traced)


def test_an_error_leaves_the_tape_as_it_was():
    x = leaf([1.0])
    y = x * x
    pullbacks = y._node.pullbacks

    def fail(_):
        raise ValueError("hook")

    handle = x.register_hook(fail)
    with trace(), pytest.raises(ValueError, match="hook"):
        y.backward(retain_graph=True)
    handle.remove()
    assert y._node.pullbacks is pullbacks
    y.backward()
    assert x.grad.tolist() == [2.0]


def test_names_and_search(net):
    with trace() as ledger:
        net(tn.ones(1, 2)).sum().backward()
    assert [ledger.index(s) for s in ledger["linear"]] == [0, 2]
    assert ledger["hidden"] == [ledger[0]]
    assert ledger["h"] == [ledger[1], ledger[2]]  # who makes it, who takes it
    assert ledger.find("SELF.HIDDEN") == [ledger[0], ledger[1]]
    assert len(ledger) == 4
    with pytest.raises(KeyError, match="'linear'"):
        ledger["liner"]


def test_text_and_table(net):
    with trace() as ledger:
        (net(tn.ones(2, 2)) ** 2).sum().backward()
    text = str(ledger)
    assert "dx = dy @ w" in text
    assert "summed over axes 0 of 2x1, to undo broadcasting" in text
    assert "hidden.weight.grad" in text
    table = ledger._repr_html_()
    assert table.count("<tr>") == len(ledger) + 1
    assert not re.search(r"<(?!/?(p|table|thead|tbody|tr|th|td|br)\b)", table)  # the rest is text


def test_other_threads_are_left_alone():
    with trace() as ledger:
        thread = threading.Thread(target=lambda: leaf([1.0]).exp().sum().backward())
        thread.start()
        thread.join()
    assert len(ledger) == 0
