"""nn.utils, hooks, lazy layers and packed sequences, against PyTorch where it has numbers."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

import tinynet
import tinynet.nn as nn
from tinynet.nn import hooks
from tinynet.nn.utils import parametrize
from tinynet.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
)

torch = pytest.importorskip("torch")


def copied(mine: Any, theirs: Any) -> None:
    """Give the layer PyTorch's parameters."""
    state = {k: tinynet.tensor(v.numpy()) for k, v in theirs.state_dict().items()}
    assert list(mine.state_dict()) == list(state)
    mine.load_state_dict(state)


def compared(mine: Any, theirs: Any, array: Any) -> None:
    """The same outputs and gradients."""
    y, z = mine(tinynet.tensor(array)), theirs(torch.tensor(array))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-5, atol=1e-6)
    (y * y).sum().backward()
    (z * z).sum().backward()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-5)


X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim: int | None) -> None:
    mine = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2), dim=dim)
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2), dim=dim)
    assert repr(mine) == repr(theirs)
    copied(mine, theirs)
    compared(mine, theirs, X)


def test_old_weight_norm_and_its_files() -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        mine = nn.utils.weight_norm(nn.Linear(3, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch.nn.utils.weight_norm(torch.nn.Linear(3, 2))
    copied(mine, theirs)
    compared(mine, theirs, X)
    new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    new.load_state_dict(mine.state_dict())
    x = tinynet.tensor(X)
    np.testing.assert_allclose(new(x).detach().numpy(), mine(x).detach().numpy(), rtol=1e-6)
    before = mine(x).tolist()
    nn.utils.remove_weight_norm(mine)
    assert list(mine.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(mine(x).tolist(), before, rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_spectral_norm(training: bool) -> None:
    make = [
        (nn.utils.parametrizations.spectral_norm, torch.nn.utils.parametrizations.spectral_norm),
        (nn.utils.spectral_norm, torch.nn.utils.spectral_norm),
    ]
    image = np.random.default_rng(1).standard_normal((1, 2, 4, 4)).astype(np.float32)
    for ours, theirs in make:
        a = ours(nn.ConvTranspose2d(2, 3, 2)).train(training)
        b = theirs(torch.nn.ConvTranspose2d(2, 3, 2)).train(training)
        copied(a, b)
        compared(a, b, image)
    b = torch.nn.utils.remove_spectral_norm(b)
    a = nn.utils.remove_spectral_norm(a)
    assert set(a.state_dict()) == set(b.state_dict())


class Symmetric(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.triu() + x.triu(1).T


class Doubled(nn.Module):
    def forward(self, x: Any) -> Any:
        return 2 * x

    def right_inverse(self, x: Any) -> Any:
        return x / 2


def test_parametrizations() -> None:
    layer = nn.Linear(3, 3)
    weight = layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert type(layer).__name__ == "ParametrizedLinear"
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert layer.parametrizations.weight.original is weight  # an optimiser may hold it
    assert layer.weight.equal(layer.weight.T)
    twin = copy.deepcopy(layer)
    parametrize.register_parametrization(layer, "bias", Doubled())
    kept = layer.bias.tolist()
    assert layer.parametrizations.bias.original.tolist() == [b / 2 for b in kept]
    layer.bias = tinynet.ones(3)
    assert layer.parametrizations.bias.original.tolist() == [0.5] * 3
    assert not parametrize.is_parametrized(twin, "bias")
    with parametrize.cached():
        assert layer.weight is layer.weight
    layer(tinynet.ones(2, 3)).sum().backward()
    assert weight.grad is not None
    parametrize.remove_parametrizations(layer, "bias")
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    assert type(layer) is nn.Linear
    assert layer.weight is weight
    assert layer.weight.equal(layer.weight.T)
    assert type(twin).__name__ == "ParametrizedLinear"
    with pytest.raises(ValueError, match="may not change the shape"):
        parametrize.register_parametrization(layer, "weight", nn.Flatten(0))


@pytest.mark.parametrize("transpose", [False, True])
def test_fused_batch_norm(transpose: bool) -> None:
    tinynet.manual_seed(0)
    conv = nn.ConvTranspose2d(2, 3, 2) if transpose else nn.Conv2d(2, 3, 2, bias=False)
    norm = nn.BatchNorm2d(3)
    x = tinynet.randn(4, 2, 5, 5)
    norm(conv(x))  # running statistics
    chain = nn.Sequential(conv, norm).eval()
    fused = nn.utils.fuse_conv_bn_eval(conv, norm, transpose)
    np.testing.assert_allclose(fused(x).detach().numpy(), chain(x).detach().numpy(), atol=1e-5)
    linear, norm = nn.Linear(2, 3), nn.BatchNorm1d(3)
    norm(linear(x[:, :, 0, 0]))
    both = nn.Sequential(linear, norm).eval()
    fused = nn.utils.fuse_linear_bn_eval(linear, norm)
    rows = x[:, :, 1, 1]
    np.testing.assert_allclose(fused(rows).detach().numpy(), both(rows).detach().numpy(), atol=1e-6)
    with pytest.raises(AssertionError, match="only for eval"):
        nn.utils.fuse_linear_bn_eval(linear.train(), norm)


def test_clip_grads_with_norm_and_a_generator() -> None:
    layer = nn.Linear(3, 2)
    layer(tinynet.ones(1, 3)).sum().backward()
    norm = nn.utils.get_total_norm([p.grad for p in layer.parameters()])
    nn.utils.clip_grads_with_norm_(layer.parameters(), 0.5, norm)
    total = nn.utils.get_total_norm([p.grad for p in layer.parameters()])
    assert float(total) == pytest.approx(0.5, rel=1e-5)
    nn.utils.clip_grad_norm_((p for p in layer.parameters()), 0.25)
    total = nn.utils.get_total_norm([p.grad for p in layer.parameters()])
    assert float(total) == pytest.approx(0.25, rel=1e-5)


def test_functional_call() -> None:
    layer = nn.Linear(3, 2)
    weight = tinynet.ones(2, 3, requires_grad=True)
    call = nn.utils.stateless.functional_call
    y = call(layer, {"weight": weight, "bias": tinynet.zeros(2)}, tinynet.ones(1, 3))
    assert y.tolist() == [[3, 3]]
    y.sum().backward()
    assert weight.grad is not None
    assert layer.weight.grad is None
    with pytest.raises(RuntimeError, match="Missing key"):
        call(layer, {"weight": weight}, tinynet.ones(1, 3), strict=True)


# ---------------------------------------------------------------------------------------- sequences

LINES = [np.random.default_rng(i).standard_normal((n, 3)) for i, n in enumerate((2, 5, 3))]


def sequences(lib: Any) -> list[Any]:
    return [lib.tensor(line) for line in LINES]


def test_packing() -> None:
    mine = pack_sequence(sequences(tinynet), enforce_sorted=False)
    theirs = torch.nn.utils.rnn.pack_sequence(sequences(torch), enforce_sorted=False)
    for a, b in zip(mine, theirs, strict=True):
        assert a.tolist() == b.tolist()
    padded, lengths = pad_packed_sequence(mine, True, -1.0, 6)
    expected, counts = torch.nn.utils.rnn.pad_packed_sequence(theirs, True, -1.0, 6)
    assert padded.tolist() == expected.tolist()
    assert lengths.tolist() == counts.tolist() == [2, 5, 3]
    assert [s.tolist() for s in unpack_sequence(mine)] == [line.tolist() for line in LINES]
    left = pad_sequence(sequences(tinynet), padding_side="left")
    right = torch.nn.utils.rnn.pad_sequence(sequences(torch), padding_side="left")
    assert left.tolist() == right.tolist()
    with pytest.raises(RuntimeError, match="sorted in decreasing order"):
        pack_padded_sequence(pad_sequence(sequences(tinynet)), [2, 5, 3])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_packed_sequences_through_a_network(kind: str) -> None:
    settings = {"num_layers": 2, "bidirectional": True}
    theirs = getattr(torch.nn, kind)(3, 4, **settings).double()
    mine = getattr(nn, kind)(3, 4, **settings).double()
    copied(mine, theirs)
    y, final = mine(pack_sequence(sequences(tinynet), enforce_sorted=False))
    z, last = theirs(torch.nn.utils.rnn.pack_sequence(sequences(torch), enforce_sorted=False))
    assert isinstance(y, PackedSequence)
    np.testing.assert_allclose(y.data.detach().numpy(), z.data.detach().numpy(), rtol=1e-9)
    for a, b in zip(final, last, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9)
    y.data.sum().backward()
    z.data.sum().backward()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-8, atol=1e-12)


# --------------------------------------------------------------------------------------------- lazy


def test_lazy_layers_learn_their_sizes() -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    optimizer = tinynet.optim.SGD(net.parameters(), 0.1)
    assert net[0].has_uninitialized_params()
    with pytest.raises(RuntimeError, match="uninitialized parameter"):
        net[3].weight.shape  # noqa: B018 (asking is what fails)
    net(tinynet.randn(2, 3, 5, 5)).sum().backward()
    assert [type(m) for m in net] == [nn.Conv2d, nn.BatchNorm2d, nn.Flatten, nn.Linear]
    assert net[3].in_features == 4 * 3 * 3
    before = net[3].weight.clone()
    optimizer.step()
    assert not net[3].weight.equal(before)  # the optimiser holds the same parameters
    other = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    other.load_state_dict(net.state_dict())
    x = tinynet.randn(2, 3, 5, 5)
    assert other.eval()(x).equal(net.eval()(x))


# -------------------------------------------------------------------------------------------- hooks


def test_hooks_on_every_module() -> None:
    seen: list[str] = []
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())

    def note(kind: str) -> Any:
        return lambda module, *rest: seen.append(f"{kind} {type(module).__name__}")

    handles = [
        hooks.register_module_forward_pre_hook(note("before")),
        hooks.register_module_forward_hook(note("after")),
        hooks.register_module_full_backward_hook(note("gradient of")),
        hooks.register_module_full_backward_pre_hook(note("gradient at")),
    ]
    net(tinynet.ones(1, 2)).sum().backward()
    assert seen == [
        "before Sequential",
        "before Linear",
        "after Linear",
        "before ReLU",
        "after ReLU",
        "after Sequential",
        "gradient at Sequential",
        "gradient of Sequential",
        "gradient at ReLU",
        "gradient of ReLU",
        "gradient at Linear",
        "gradient of Linear",
    ]
    for handle in handles:
        handle.remove()
    net(tinynet.ones(1, 2))
    assert len(seen) == 12


def test_a_hook_that_is_always_called() -> None:
    seen: list[Any] = []
    layer = nn.Linear(2, 3)
    layer.register_forward_hook(lambda m, args, y: seen.append(y), always_call=True)
    with pytest.raises(RuntimeError):
        layer(tinynet.ones(1, 5))
    assert seen == [None]


def test_buffers_by_assignment() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = nn.Buffer(tinynet.ones(2))
            self.dropped = nn.Buffer(tinynet.zeros(1), persistent=False)

    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["kept", "dropped"]
    assert list(net.state_dict()) == ["kept"]


def test_parameter_dict() -> None:
    mine, theirs = (
        lib.nn.ParameterDict({"b": lib.ones(2), "a": lib.zeros(1, 3)}) for lib in (tinynet, torch)
    )
    assert repr(mine) == repr(theirs).replace("torch.", "tinynet.")
    assert list(mine) == list(theirs) == ["a", "b"]
    assert [n for n, _ in mine.named_parameters()] == ["a", "b"]
    assert mine.popitem()[0] == "b"
    assert (mine | {"c": tinynet.ones(1)}).keys() == {"a", "c"}


def test_data_parallel_passes_through() -> None:
    net = nn.DataParallel(nn.Linear(2, 3))
    assert list(net.state_dict()) == ["module.weight", "module.bias"]
    assert net(tinynet.ones(4, 2)).shape == (4, 3)
    with pytest.raises(NotImplementedError, match="tinynet computes on one"):
        nn.DataParallel(nn.Linear(2, 3), device_ids=[0, 1])


def test_submodules_can_be_exchanged() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    net.set_submodule("1.0", nn.Tanh())
    assert type(net[1][0]) is nn.Tanh
    with pytest.raises(AttributeError):
        net.set_submodule("1.5", nn.Tanh(), strict=True)
