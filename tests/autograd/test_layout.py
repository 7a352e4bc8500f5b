"""The layout rule: how images lie in memory is nobody's to see unless they asked for it.

Kernels may return channels-last memory. Here they are made to (`scrambled`), whatever they would do
by themselves, and random programs are held against PyTorch: values, strides, who shares memory
with whom, and gradients.
"""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tinynet.kernels as kernels
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet
import tinynet.nn.functional as F
from tinynet.autograd import layout, tape


@pytest.fixture(autouse=True)
def scrambled(monkeypatch):
    """Every kernel returns its four-dimensional results channels-last."""
    families = [kernels.of().__getattr__(name) for name in ("conv2d", "pool2d", "batch_norm")]
    for family in families:
        for name, function in list(vars(family).items()):
            if callable(function):
                monkeypatch.setitem(vars(family), name, _scrambling(function))
    before = layout.seen[0]
    layout.seen[0] = False
    yield
    layout.seen[0] |= before


def _scrambling(function):
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        if isinstance(result, tuple):
            return tuple(_scramble(r) for r in result)
        return _scramble(result)

    return call


def _scramble(array):
    return layout.as_channels_last(array) if getattr(array, "ndim", 0) == 4 else array


def hidden(shape=(2, 3, 4, 5), requires_grad=False):
    """An unsettled tensor, as a convolution may return one."""
    x = tinynet.randn(*shape)
    x.array = layout.as_channels_last(x.array)
    assert layout.unsettled(x)
    return x.requires_grad_() if requires_grad else x


def strides(array):
    return tuple(s // array.itemsize for s in array.strides)


OBSERVERS = {
    "numpy": lambda x: x.numpy(),
    "asarray": lambda x: np.asarray(x),
    "detach": lambda x: x.detach().array,
    "data": lambda x: x.data.array,
    "view": lambda x: x.view(x.shape).array,
    "permute": lambda x: x.permute(0, 1, 2, 3).array,
    "slice": lambda x: x[:].array,
    "expand": lambda x: x.expand(x.shape).array,
    "parameter": lambda x: tinynet.nn.Parameter(x).array,
    "Tensor": lambda x: tinynet.Tensor(x).array,
    "unbind": lambda x: x.unbind(0)[0].array,
    "split": lambda x: x.split(1)[0].array,
    "diagonal": lambda x: x.diagonal().array,
    "assigned data": lambda x: _assigned(x).array,
}


def _assigned(x):
    other = tinynet.zeros(1)
    other.data = x
    return other


@pytest.mark.parametrize("name", OBSERVERS)
def test_what_sees_the_memory_sees_contiguous_memory_and_shares_it(name):
    x = hidden()
    values = x.array.copy()
    seen = OBSERVERS[name](x)
    assert x.array.flags.c_contiguous
    assert np.shares_memory(seen, x.array)
    assert np.array_equal(x.array, values)
    x.mul_(2)
    assert np.array_equal(x.array, 2 * values)
    again = OBSERVERS[name](x)
    assert np.array_equal(seen, again)
    assert np.shares_memory(seen, again)


def test_asking_for_strides_costs_no_copy():
    x = hidden()
    before = x.array
    assert x.is_contiguous()
    assert x.stride() == (60, 20, 5, 1)
    assert x.stride(1) == 20
    assert not x.is_contiguous(memory_format=tinynet.channels_last)
    assert x.contiguous() is x
    assert x.array is before


def test_an_unsettled_tensor_of_one_pixel_or_channel_has_pytorchs_strides():
    for shape in [(2, 3, 1, 1), (2, 1, 4, 5), (1, 3, 4, 5), (0, 3, 4, 5), (2, 0, 4, 5)]:
        x = tinynet.zeros(*shape)
        x.array = np.empty((shape[0], *shape[2:], shape[1]), np.float32).transpose(0, 3, 1, 2)
        assert x.stride() == torch.zeros(shape).stride()
        assert x.is_contiguous()


def test_settling_in_two_threads_gives_one_memory():
    for _ in range(20):
        x = hidden((4, 8, 16, 16))
        with ThreadPoolExecutor(4) as pool:
            views = list(pool.map(x.view, [-1] * 4))
        assert all(np.shares_memory(view.array, x.array) for view in views)


def test_what_backward_remembers_survives_settling():
    x = hidden(requires_grad=True)
    y = x.relu()
    assert layout.unsettled(y)
    y.detach()
    assert not layout.unsettled(y)
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), (x.detach().numpy() > 0).astype(np.float32))


def test_what_is_left_of_hidden_memory_in_fewer_or_more_dimensions_is_contiguous():
    x = F.max_pool2d(tinynet.randn(2, 3, 4, 5), 2, 1)
    assert layout.unsettled(x)
    for y in (x.sum(0), x.amax((0, 2)), x + tinynet.ones(2, 1, 1, 1, 1), x.var(0)):
        assert y.is_contiguous()
        assert y.array.flags.c_contiguous


def test_a_change_after_settling_is_noticed():
    y = hidden(requires_grad=True).relu()
    y.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_gradients_are_contiguous_where_the_leaf_is():
    w = tinynet.randn(4, 3, 3, 3, requires_grad=True)
    F.conv2d(tinynet.randn(2, 3, 6, 6), w).sum().backward()
    assert w.grad.stride() == (27, 9, 3, 1)
    assert strides(w.grad.numpy()) == (27, 9, 3, 1)


# ---------------------------------------------------------------------------- asked for by the user


def both(shape=(2, 3, 4, 5)):
    """The same channels-last tensor in tinynet and in PyTorch."""
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    ours = tinynet.tensor(values).contiguous(memory_format=tinynet.channels_last)
    theirs = torch.tensor(values).contiguous(memory_format=torch.channels_last)
    return ours, theirs


W = np.random.default_rng(1).standard_normal((6, 3, 3, 3)).astype(np.float32)

KEPT = {
    "conv2d": lambda x, nn, lib: nn.conv2d(x, lib.tensor(W)),
    "conv2d of rows": lambda x, nn, lib: nn.conv2d(
        x.contiguous(), lib.tensor(W).contiguous(memory_format=lib.channels_last)
    ),
    "max_pool2d": lambda x, nn, lib: nn.max_pool2d(x, 2),
    "avg_pool2d": lambda x, nn, lib: nn.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x, nn, lib: nn.adaptive_avg_pool2d(x, (2, 2)),
    "batch_norm": lambda x, nn, lib: nn.batch_norm(x, None, None, training=True),
    "relu": lambda x, nn, lib: nn.relu(x),
    "dropout": lambda x, nn, lib: nn.dropout(x) * 0,
    "number": lambda x, nn, lib: x * 2 + 1,
    "self": lambda x, nn, lib: x + x,
    "channels-last first": lambda x, nn, lib: x + x.contiguous(),
    "channels-last second": lambda x, nn, lib: x.contiguous() + x,
    "per channel": lambda x, nn, lib: x * lib.ones(1, 3, 1, 1),
    "where": lambda x, nn, lib: lib.where(x > 0, x, x * 2),
    "clone": lambda x, nn, lib: x.clone(),
    "clone contiguous": lambda x, nn, lib: x.clone(memory_format=lib.contiguous_format),
    "contiguous": lambda x, nn, lib: x.contiguous(),
    "to": lambda x, nn, lib: x.contiguous().to(memory_format=lib.channels_last),
    "double": lambda x, nn, lib: x.double(),
    "cat": lambda x, nn, lib: lib.cat([x, x], 1),
    "pad": lambda x, nn, lib: nn.pad(x, (1, 1)),
    "zeros_like": lambda x, nn, lib: lib.zeros_like(x),
    "zeros_like contiguous": lambda x, nn, lib: lib.zeros_like(
        x, memory_format=lib.contiguous_format
    ),
    "deepcopy": lambda x, nn, lib: copy.deepcopy(x),
    "pickle": lambda x, nn, lib: pickle.loads(pickle.dumps(x)),
    "detach": lambda x, nn, lib: x.detach(),
    "numpy": lambda x, nn, lib: lib.from_numpy(x.numpy()),
    "permute": lambda x, nn, lib: x.permute(0, 2, 3, 1),
    "of permuted": lambda x, nn, lib: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) * 2,
    "mean": lambda x, nn, lib: x.mean((2, 3), keepdim=True),
}


@pytest.mark.parametrize("name", KEPT)
def test_channels_last_is_kept_as_in_pytorch(name):
    ours, theirs = both()
    assert ours.is_contiguous(memory_format=tinynet.channels_last)
    assert not ours.is_contiguous()
    ours = KEPT[name](ours, F, tinynet)
    theirs = KEPT[name](theirs, torch.nn.functional, torch)
    if name == "dropout":
        theirs = theirs.nan_to_num()
    shape = theirs.shape
    sizes = [i for i, n in enumerate(shape) if n > 1]  # strides of single rows mean nothing
    assert [ours.stride(i) for i in sizes] == [theirs.stride(i) for i in sizes]
    assert ours.numpy().strides == strides_in_bytes(ours)
    if name != "dropout":
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def strides_in_bytes(x):
    return tuple(s * x.element_size() for s in x.stride())


def test_a_channels_last_model_stays_so_and_so_do_its_gradients():
    model = tinynet.nn.Sequential(
        tinynet.nn.Conv2d(3, 4, 3),
        tinynet.nn.ReLU(),
        tinynet.nn.Flatten(),
        tinynet.nn.Linear(24, 2),
    ).to(memory_format=tinynet.channels_last)
    weight = model[0].weight
    assert weight.is_contiguous(memory_format=tinynet.channels_last)
    assert model[3].weight.is_contiguous()
    x = tinynet.randn(2, 3, 4, 5)
    y = model[0](x)
    assert y.is_contiguous(memory_format=tinynet.channels_last)
    for _ in range(2):
        model(x).sum().backward()
        assert weight.grad.stride() == weight.stride()
    tinynet.optim.SGD(model.parameters(), 0.1, momentum=0.9).step()
    assert weight.is_contiguous(memory_format=tinynet.channels_last)


def test_memory_formats_are_what_they_say():
    x = tinynet.zeros(2, 3, 4, 5)
    assert repr(tinynet.channels_last) == "tinynet.channels_last"
    assert pickle.loads(pickle.dumps(tinynet.channels_last)) is tinynet.channels_last
    assert copy.deepcopy(tinynet.channels_last) is tinynet.channels_last
    assert x.to(memory_format=tinynet.contiguous_format) is x
    assert x.to(memory_format=tinynet.preserve_format) is x
    changed = x.to(memory_format=tinynet.channels_last)
    assert changed.to(memory_format=tinynet.channels_last) is changed
    with pytest.raises(RuntimeError, match="required rank 4 tensor"):
        tinynet.zeros(2, 3).contiguous(memory_format=tinynet.channels_last)
    with pytest.raises(RuntimeError, match="preserve memory format is unsupported"):
        x.contiguous(memory_format=tinynet.preserve_format)


# ------------------------------------------------------------------------------- random programs

SIZE = (2, 3, 6, 6)


class Program:
    """The same steps on tinynet and on PyTorch; tensors are kept in a list, in the same order."""

    def __init__(self, seed, requires_grad):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal(SIZE).astype(np.float64)
        self.w = rng.standard_normal((3, 3, 3, 3))
        self.pairs = []
        x, t = tinynet.tensor(values), torch.tensor(values)
        self.leaves = x.requires_grad_(requires_grad), t.requires_grad_(requires_grad)
        self.kernel = (
            tinynet.tensor(self.w, requires_grad=True),
            torch.tensor(self.w, requires_grad=True),
        )
        self.add(x * 1, t * 1)

    def add(self, ours, theirs):
        self.pairs.append((ours, theirs))

    def step(self, action, i, j):
        x, t = self.pairs[i % len(self.pairs)]
        y, u = self.pairs[j % len(self.pairs)]
        image = t.ndim == 4
        if action == "conv" and image:
            self.add(
                F.conv2d(x, self.kernel[0], padding=1),
                torch.nn.functional.conv2d(t, self.kernel[1], padding=1),
            )
        elif action == "bn" and image:
            self.add(
                F.batch_norm(x, None, None, training=True),
                torch.nn.functional.batch_norm(t, None, None, training=True),
            )
        elif action == "pool" and image and min(t.shape[2:]) > 2:
            self.add(F.max_pool2d(x, 3, 1, 1), torch.nn.functional.max_pool2d(t, 3, 1, 1))
        elif action == "avg" and image and min(t.shape[2:]) > 2:
            self.add(F.avg_pool2d(x, 3, 1, 1), torch.nn.functional.avg_pool2d(t, 3, 1, 1))
        elif action == "relu":
            self.add(x.relu(), t.relu())
        elif action == "add" and t.shape == u.shape:
            self.add(x + y, t + u)
        elif action == "flatten":
            self.add(x.flatten(1), t.flatten(1))
        elif action == "unflatten" and t.ndim == 2:
            self.add(x.reshape(SIZE), t.reshape(SIZE))
        elif action == "slice":
            self.add(x[1:], t[1:]) if t.shape[0] > 1 else None
        elif action == "relu_":
            x.relu_()
            t.relu_()
        elif action == "mul_":
            x.mul_(1.5)
            t.mul_(1.5)
        elif action == "add_" and t.shape == u.shape:
            x.add_(y)
            t.add_(u)
        elif action == "write":
            x.detach()[:, 0] = 0.5
            t.detach()[:, 0] = 0.5
        elif action == "detach":
            self.add(x.detach(), t.detach())
        elif action == "clone":
            self.add(x.clone(), t.clone())
        elif action == "channels_last" and image:
            self.add(
                x.contiguous(memory_format=tinynet.channels_last),
                t.contiguous(memory_format=torch.channels_last),
            )
        elif action == "transpose" and image:
            self.add(x.transpose(2, 3), t.transpose(2, 3))

    def check(self):
        for k, (x, t) in enumerate(self.pairs):
            np.testing.assert_allclose(
                x.array, t.detach().numpy(), rtol=1e-9, atol=1e-9, err_msg=f"tensor {k}"
            )
            assert x.shape == t.shape
            sizes = [i for i, n in enumerate(t.shape) if n > 1]
            assert [x.stride(i) for i in sizes] == [t.stride(i) for i in sizes], k
        for k, (x, t) in enumerate(self.pairs):
            for m, (y, u) in enumerate(self.pairs[:k]):
                ours = np.shares_memory(x.detach().array, y.detach().array)
                theirs = np.shares_memory(t.detach().numpy(), u.detach().numpy())
                assert ours == theirs, (k, m)


ACTIONS = [
    *("conv", "bn", "pool", "avg", "relu", "add", "flatten", "unflatten", "slice"),
    *("relu_", "mul_", "add_", "write", "detach", "clone", "channels_last", "transpose"),
]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 100),
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from(ACTIONS), st.integers(-3, -1), st.integers(0, 9)),
        min_size=1,
        max_size=9,
    ),
)
def test_random_programs_agree_with_pytorch(seed, requires_grad, steps):
    program = Program(seed, requires_grad)
    for action, i, j in steps:
        try:
            program.step(action, i, j)
        except RuntimeError:  # an in-place change that is not allowed
            return
    program.check()
    total = sum(x.sum() for x, _ in program.pairs)
    expected = sum(t.sum() for _, t in program.pairs)
    if not expected.requires_grad:
        assert not total.requires_grad
        return
    try:
        expected.backward()
    except RuntimeError:
        # Something that PyTorch remembers was changed in place. We may remember less (a pooling
        # only its indices), and what we then answer is checked by the other tests.
        return
    total.backward()
    for leaf, other in (program.leaves, program.kernel):
        if other.grad is not None:
            np.testing.assert_allclose(leaf.grad.array, other.grad.numpy(), rtol=1e-7, atol=1e-7)
    for leaf, other in (program.leaves, program.kernel):
        if other.grad is not None and leaf is program.kernel[0]:
            assert leaf.grad.stride() == other.grad.stride()


def test_views_of_what_an_operation_made_share_its_memory_whatever_came_before():
    """The order of events that would go stale if settling came after the first view."""
    x = F.conv2d(tinynet.randn(1, 2, 4, 4), tinynet.randn(2, 2, 3, 3), padding=1)
    assert layout.unsettled(x)
    x.add_(1)
    view = x.view(-1)
    x.zero_()
    assert not view.array.any()
    assert tape.storage_of(view) is tape.storage_of(x)


@pytest.mark.parametrize("keepdim", [False, True])
def test_sums_of_all_pixels_are_as_accurate_in_either_order(keepdim):
    """A bias's gradient: added one by one, 131072 numbers lose three digits."""
    values = np.random.default_rng(0).random((8, 3, 128, 128), np.float32)
    x = tinynet.tensor(values)
    exact = values.astype(np.float64).sum((0, 2, 3), keepdims=keepdim)
    for order in (tinynet.contiguous_format, tinynet.channels_last):
        total = x.contiguous(memory_format=order).sum((0, 2, 3), keepdim=keepdim)
        assert total.shape == exact.shape
        np.testing.assert_allclose(total.numpy(), exact, rtol=1e-6)


@pytest.mark.parametrize("inner", [False, True], ids=["planes", "channels last"])
def test_the_gradient_of_average_pooling_lies_as_its_input(inner):
    """Whatever order dy has: what is next in backward need not copy the larger dx."""
    dy = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    for given_dy in (dy, layout.as_channels_last(dy)):
        ordered = layout.ordered(given_dy, inner)
        assert layout.lies_channels_last(ordered) == inner
        np.testing.assert_array_equal(ordered, dy)
