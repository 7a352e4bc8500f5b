"""Module: registration, walking, state, hooks, printing; the same texts as PyTorch's."""

from __future__ import annotations

import copy
import operator
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tinynet.kernels.errors import ShapeError

import tinynet
import tinynet.nn as nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(tinynet.ones(1))
        self.register_buffer("steps", tinynet.zeros(2), persistent=False)
        self.act = nn.ReLU()

    def forward(self, x: Any) -> Any:
        return self.act(self.norm(self.conv(x))) * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 4 * 4, 5))

    def forward(self, x: Any) -> Any:
        return self.head(self.block(x))


def test_registration_by_type() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "block.scale",
        "block.conv.weight",
        "block.conv.bias",
        "block.norm.weight",
        "block.norm.bias",
        "head.1.weight",
        "head.1.bias",
    ]
    assert [n for n, _ in net.named_buffers()] == [
        "block.steps",
        "block.norm.running_mean",
        "block.norm.running_var",
        "block.norm.num_batches_tracked",
    ]
    assert [n for n, _ in net.named_modules()] == [
        "",
        "block",
        "block.conv",
        "block.norm",
        "block.act",
        "head",
        "head.0",
        "head.1",
    ]
    assert [n for n, _ in net.named_children()] == ["block", "head"]
    assert len(list(net.modules())) == 8
    assert all(p.requires_grad for p in net.parameters())
    assert not any(b.requires_grad for b in net.buffers())
    assert "block.steps" not in net.state_dict()


def test_shared_modules_and_parameters_come_once() -> None:
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(net.parameters())) == 2
    assert [n for n, _ in net.named_modules()] == ["", "0", "1"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_attributes_change_their_kind() -> None:
    m = nn.Module()
    m.x = 3
    m.x = nn.Parameter(tinynet.zeros(2))
    assert list(m._parameters) == ["x"]
    assert "x" not in m.__dict__
    del m.x
    assert not hasattr(m, "x")
    m.x = nn.Linear(1, 1)
    m.x = None
    assert m._modules == {"x": None}
    m.register_buffer("b", None)
    m.b = tinynet.ones(1)
    assert [n for n, _ in m.named_buffers()] == ["b"]
    m.plain = tinynet.ones(1)  # a tensor that is neither: an ordinary attribute
    assert "plain" in m.__dict__
    assert {"x", "b", "plain"} <= set(dir(m))


def in_both(make: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """make(library, nn) for tinynet and for PyTorch, or the exceptions they raise."""
    torch = pytest.importorskip("torch")
    results = []
    for library in (tinynet, torch):
        try:
            results.append(make(library, library.nn))
        except Exception as error:
            text = str(error).replace("torch", "tinynet").replace("nn.modules.", "nn.")
            text = text.replace("tinynet.nn.Buffer, ", "")  # since 2.5 a buffer can be a Buffer
            results.append((type(error).__name__, re.sub(r"nn\.\w+\.(\w+)", r"nn.\1", text)))
    return results[0], results[1]


def uninitialised(nn: Any, assign: Callable[[Any], None]) -> None:
    class Hasty(nn.Module):
        def __init__(self) -> None:
            assign(self)

    Hasty()


def loaded(t: Any, nn: Any, change: Callable[[dict[str, Any]], None]) -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = OrderedDict(net.state_dict())
    change(state)
    net.load_state_dict(state)


ERRORS: dict[str, Callable[[Any, Any], Any]] = {
    "module before init": lambda t, nn: uninitialised(
        nn, lambda self: setattr(self, "x", nn.ReLU())
    ),
    "parameter before init": lambda t, nn: uninitialised(
        nn, lambda self: setattr(self, "x", nn.Parameter(t.zeros(1)))
    ),
    "buffer before init": lambda t, nn: uninitialised(
        nn, lambda self: self.register_buffer("x", t.zeros(1))
    ),
    "register_parameter before init": lambda t, nn: uninitialised(
        nn, lambda self: self.register_parameter("x", None)
    ),
    "tensor as parameter": lambda t, nn: setattr(nn.Linear(1, 1), "weight", t.zeros(1)),
    "module as parameter": lambda t, nn: setattr(nn.Linear(1, 1), "weight", nn.ReLU()),
    "int as parameter": lambda t, nn: setattr(nn.Linear(1, 1), "weight", 3),
    "int as module": lambda t, nn: setattr(nn.Sequential(nn.ReLU()), "0", 3),
    "int as buffer": lambda t, nn: setattr(nn.BatchNorm1d(1), "running_mean", 3),
    "no such attribute": lambda t, nn: nn.Linear(1, 1).nothing,
    "buffer name": lambda t, nn: nn.Module().register_buffer("a.b", None),
    "empty buffer name": lambda t, nn: nn.Module().register_buffer("", None),
    "number as buffer name": lambda t, nn: nn.Module().register_buffer(3, None),
    "buffer exists": lambda t, nn: nn.Linear(1, 1).register_buffer("weight", None),
    "buffer of int": lambda t, nn: nn.Module().register_buffer("x", 3),
    "parameter name": lambda t, nn: nn.Module().register_parameter("a.b", None),
    "parameter exists": lambda t, nn: nn.Linear(1, 1).register_parameter("training", None),
    "parameter of tensor": lambda t, nn: nn.Module().register_parameter("x", t.zeros(2)),
    "add_module of int": lambda t, nn: nn.Module().add_module("x", 3),
    "add_module name": lambda t, nn: nn.Module().add_module("a.b", nn.ReLU()),
    "add_module empty name": lambda t, nn: nn.Module().add_module("", nn.ReLU()),
    "add_module exists": lambda t, nn: nn.Linear(1, 1).add_module("weight", nn.ReLU()),
    "get_submodule": lambda t, nn: nn.Sequential(nn.ReLU()).get_submodule("0.x"),
    "get_submodule of parameter": lambda t, nn: nn.Linear(1, 1).get_submodule("weight"),
    "get_parameter": lambda t, nn: nn.Linear(1, 1).get_parameter("x"),
    "get_parameter of other": lambda t, nn: nn.Linear(1, 1).get_parameter("in_features"),
    "get_buffer of other": lambda t, nn: nn.Linear(1, 1).get_buffer("weight"),
    "no forward": lambda t, nn: nn.Module()(1),
    "train": lambda t, nn: nn.Module().train(1),
    "to integers": lambda t, nn: nn.Linear(1, 1).to(t.int64),
    "state dict of int": lambda t, nn: nn.Linear(1, 1).load_state_dict(3),
    "missing key": lambda t, nn: loaded(t, nn, lambda s: s.pop("0.bias")),
    "unexpected keys": lambda t, nn: loaded(
        t, nn, lambda s: s.update({"0.x": t.zeros(1), "2.weight": t.zeros(1)})
    ),
    "missing and unexpected": lambda t, nn: loaded(
        t, nn, lambda s: s.update({"x": s.pop("1.running_mean")})
    ),
    "sizes": lambda t, nn: loaded(t, nn, lambda s: s.update({"0.weight": t.zeros(3, 1)})),
    "index": lambda t, nn: nn.Sequential(nn.ReLU())[3],
    "extend": lambda t, nn: operator.add(nn.Sequential(), [nn.ReLU()]),
    "parameter list called": lambda t, nn: nn.ParameterList()(1),
    "groups": lambda t, nn: nn.Conv2d(3, 4, 3, groups=2),
    "out groups": lambda t, nn: nn.Conv2d(4, 3, 3, groups=2),
    "no groups": lambda t, nn: nn.Conv2d(4, 3, 3, groups=0),
    "same with stride": lambda t, nn: nn.Conv2d(4, 3, 3, padding="same", stride=2),
    "groups of channels": lambda t, nn: nn.GroupNorm(3, 4),
    "instance norm dims": lambda t, nn: nn.InstanceNorm2d(3)(t.zeros(2, 3)),
    "instance norm features": lambda t, nn: nn.InstanceNorm2d(3, affine=True)(t.zeros(2, 4, 2, 2)),
    "dirac of a matrix": lambda t, nn: nn.init.dirac_(t.zeros(2, 2)),
    "dirac groups": lambda t, nn: nn.init.dirac_(t.zeros(4, 2, 3), 3),
    "sparse": lambda t, nn: nn.init.sparse_(t.zeros(4), 0.5),
    "dropout probability": lambda t, nn: nn.Dropout(1.5),
    "batch norm dims": lambda t, nn: nn.BatchNorm2d(3)(t.zeros(2, 3)),
    "batch norm 1d dims": lambda t, nn: nn.BatchNorm1d(3)(t.zeros(2, 3, 1, 1)),
    "unflatten": lambda t, nn: nn.Unflatten(1, (2, "x")),
    "calculate_gain": lambda t, nn: nn.init.calculate_gain("x"),
    "fans": lambda t, nn: nn.init.xavier_normal_(t.zeros(3)),
    "eye": lambda t, nn: nn.init.eye_(t.zeros(3)),
    "fan mode": lambda t, nn: nn.init.kaiming_normal_(t.zeros(3, 3), mode="x"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_as_pytorch(name: str) -> None:
    ours, theirs = in_both(ERRORS[name])
    assert isinstance(theirs, tuple), "PyTorch accepts this"
    assert ours == theirs


REPRS: dict[str, Callable[[Any, Any], Any]] = {
    "Linear": lambda t, nn: nn.Linear(3, 4),
    "Linear without bias": lambda t, nn: nn.Linear(3, 4, bias=False),
    "Bilinear": lambda t, nn: nn.Bilinear(2, 3, 4),
    "Identity": lambda t, nn: nn.Identity(3, x=4),
    "Conv2d": lambda t, nn: nn.Conv2d(3, 4, 5),
    "Conv2d with everything": lambda t, nn: nn.Conv2d(
        4, 6, (3, 2), 2, (1, 0), 2, 2, False, "reflect"
    ),
    "Conv2d same": lambda t, nn: nn.Conv2d(4, 6, 3, padding="same"),
    "MaxPool2d": lambda t, nn: nn.MaxPool2d(2),
    "MaxPool2d pairs": lambda t, nn: nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, ceil_mode=True),
    "AvgPool2d": lambda t, nn: nn.AvgPool2d(3, 2, 1),
    "AdaptiveAvgPool2d": lambda t, nn: nn.AdaptiveAvgPool2d((1, None)),
    "AdaptiveMaxPool2d": lambda t, nn: nn.AdaptiveMaxPool2d((1, None)),
    "LPPool2d": lambda t, nn: nn.LPPool2d(2, 3, stride=2),
    "LPPool2d pair": lambda t, nn: nn.LPPool2d(1.2, (3, 2), ceil_mode=True),
    "ZeroPad2d": lambda t, nn: nn.ZeroPad2d(2),
    "ConstantPad2d": lambda t, nn: nn.ConstantPad2d((1, 2, 3, 4), 3.5),
    "ReflectionPad2d": lambda t, nn: nn.ReflectionPad2d((1, 2, 3, 4)),
    "ReplicationPad2d": lambda t, nn: nn.ReplicationPad2d(1),
    "LayerNorm": lambda t, nn: nn.LayerNorm(3),
    "LayerNorm of several": lambda t, nn: nn.LayerNorm([3, 4], 1e-3, bias=False),
    "LayerNorm plain": lambda t, nn: nn.LayerNorm(3, elementwise_affine=False),
    "GroupNorm": lambda t, nn: nn.GroupNorm(2, 4),
    "GroupNorm plain": lambda t, nn: nn.GroupNorm(2, 4, 1e-3, affine=False),
    "InstanceNorm1d": lambda t, nn: nn.InstanceNorm1d(3),
    "InstanceNorm2d": lambda t, nn: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
    "LocalResponseNorm": lambda t, nn: nn.LocalResponseNorm(5, k=2.0),
    "AlphaDropout": lambda t, nn: nn.AlphaDropout(0.1),
    "Threshold": lambda t, nn: nn.Threshold(0.1, 20),
    "Threshold in place": lambda t, nn: nn.Threshold(0.1, 20, True),
    "Hardshrink": lambda t, nn: nn.Hardshrink(),
    "Softshrink": lambda t, nn: nn.Softshrink(0.3),
    "BatchNorm1d": lambda t, nn: nn.BatchNorm1d(3),
    "BatchNorm2d": lambda t, nn: nn.BatchNorm2d(
        3, eps=1e-3, momentum=None, affine=False, track_running_stats=False
    ),
    "Dropout": lambda t, nn: nn.Dropout(0.2, True),
    "Dropout2d": lambda t, nn: nn.Dropout2d(),
    "Flatten": lambda t, nn: nn.Flatten(),
    "Unflatten": lambda t, nn: nn.Unflatten(1, (2, 3)),
    "ReLU": lambda t, nn: nn.ReLU(),
    "ReLU in place": lambda t, nn: nn.ReLU(inplace=True),
    "ReLU6": lambda t, nn: nn.ReLU6(),
    "ReLU6 in place": lambda t, nn: nn.ReLU6(True),
    "LeakyReLU": lambda t, nn: nn.LeakyReLU(0.2, True),
    "PReLU": lambda t, nn: nn.PReLU(3),
    "ELU": lambda t, nn: nn.ELU(),
    "CELU": lambda t, nn: nn.CELU(2.0, True),
    "SELU": lambda t, nn: nn.SELU(True),
    "GELU": lambda t, nn: nn.GELU("tanh"),
    "SiLU": lambda t, nn: nn.SiLU(),
    "Mish": lambda t, nn: nn.Mish(inplace=True),
    "Hardtanh": lambda t, nn: nn.Hardtanh(-2.0, 3.0),
    "Hardswish": lambda t, nn: nn.Hardswish(),
    "Hardsigmoid": lambda t, nn: nn.Hardsigmoid(),
    "Softplus": lambda t, nn: nn.Softplus(),
    "Softsign": lambda t, nn: nn.Softsign(),
    "Tanhshrink": lambda t, nn: nn.Tanhshrink(),
    "LogSigmoid": lambda t, nn: nn.LogSigmoid(),
    "Sigmoid": lambda t, nn: nn.Sigmoid(),
    "Tanh": lambda t, nn: nn.Tanh(),
    "GLU": lambda t, nn: nn.GLU(),
    "Softmax": lambda t, nn: nn.Softmax(dim=1),
    "Softmin": lambda t, nn: nn.Softmin(dim=1),
    "LogSoftmax": lambda t, nn: nn.LogSoftmax(dim=-1),
    "losses": lambda t, nn: nn.ModuleList(
        [
            nn.CrossEntropyLoss(),
            nn.MSELoss(),
            nn.NLLLoss(),
            nn.L1Loss(),
            nn.SmoothL1Loss(),
            nn.HuberLoss(),
            nn.BCELoss(),
            nn.BCEWithLogitsLoss(),
            nn.KLDivLoss(),
        ]
    ),
    "nested": lambda t, nn: nn.Sequential(
        nn.Sequential(nn.Linear(1, 2), nn.Sequential(nn.ReLU())), nn.ModuleDict({"a": nn.Tanh()})
    ),
    "empty": lambda t, nn: nn.Sequential(),
    "Module": lambda t, nn: nn.Module(),
    "ModuleList": lambda t, nn: nn.ModuleList([nn.Linear(1, 2), nn.Linear(1, 2), nn.ReLU()]),
    "ModuleList of blocks": lambda t, nn: nn.ModuleList(
        [nn.Sequential(nn.Linear(1, 2), nn.ReLU()) for _ in range(3)]
    ),
    "ModuleList, empty": lambda t, nn: nn.ModuleList(),
    "ModuleDict": lambda t, nn: nn.ModuleDict([("x", nn.ReLU()), ("y", None)]),
    "ParameterList": lambda t, nn: nn.ParameterList([t.zeros(2, 3), nn.Parameter(t.ones(1)), "x"]),
    "Parameter": lambda t, nn: nn.Parameter(t.tensor([1.0, 2.0])),
    "load": lambda t, nn: nn.ReLU().load_state_dict({}),
}


@pytest.mark.parametrize("name", REPRS)
def test_printed_as_pytorch(name: str) -> None:
    ours, theirs = in_both(lambda t, nn: repr(REPRS[name](t, nn)))
    assert isinstance(theirs, str)
    assert ours == theirs.replace("torch.", "tinynet.")


def test_extra_repr_of_several_lines() -> None:
    class Talkative(nn.Sequential):
        def extra_repr(self) -> str:
            return "one\ntwo"

    assert repr(Talkative(nn.ReLU())) == "Talkative(\n  one\n  two\n  (0): ReLU()\n)"


# ---------------------------------------------------------------------------------------- state


def test_state_dict_round_trip() -> None:
    torch = pytest.importorskip("torch")
    a, b = Net(), Net()
    state = a.state_dict()
    assert b.load_state_dict(state).missing_keys == []
    for (_, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        assert p is not q
        assert (p == q).all()
    assert state["block.conv.weight"].requires_grad is False
    assert state["block.conv.weight"].data_ptr() == a.block.conv.weight.data_ptr()
    assert a.state_dict(keep_vars=True)["block.scale"] is a.block.scale
    assert next(iter(a.state_dict(prefix="net."))) == "net.block.scale"

    def layers(nn: Any) -> Any:
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(3, 4))

    ours, theirs = layers(nn).state_dict(), layers(torch.nn).state_dict()
    assert list(ours) == list(theirs)
    assert [tuple(v.shape) for v in ours.values()] == [tuple(v.shape) for v in theirs.values()]
    assert str(ours["1.num_batches_tracked"].dtype) == "tinynet.int64"
    assert dict(ours._metadata) == dict(theirs._metadata)


def test_loading_is_in_place_unless_assigned() -> None:
    net = nn.Linear(2, 2)
    weight = net.weight
    state = {"weight": tinynet.ones(2, 2), "bias": tinynet.zeros(2)}
    net.load_state_dict(state)
    assert net.weight is weight
    assert (weight == 1).all()
    assert weight.requires_grad
    net.load_state_dict(state, assign=True)
    assert net.weight is not weight
    assert isinstance(net.weight, nn.Parameter)
    assert net.weight.data_ptr() == state["weight"].data_ptr()
    result = net.load_state_dict({"weight": tinynet.zeros(2, 2), "x": weight}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["x"]


def test_loading_reports_every_problem() -> None:
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(2, 2).load_state_dict({"weight": tinynet.zeros(3, 2), "x": tinynet.zeros(1)})
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tMissing key(s) in state_dict: "bias". \n'
        '\tUnexpected key(s) in state_dict: "x". \n'
        "\tsize mismatch for weight: copying a param with shape tinynet.Size([3, 2]) from "
        "checkpoint, the shape in current model is tinynet.Size([2, 2])."
    )


def test_batch_norm_from_files_without_a_batch_counter() -> None:
    state = {k: v for k, v in nn.BatchNorm1d(2).state_dict().items() if "num" not in k}
    assert nn.BatchNorm1d(2).load_state_dict(state).missing_keys == []


def test_extra_state() -> None:
    class Counter(nn.Module):
        count = 0

        def get_extra_state(self) -> Any:
            return self.count

        def set_extra_state(self, state: Any) -> None:
            self.count = state

    a, b = nn.Sequential(Counter()), nn.Sequential(Counter())
    a[0].count = 7
    assert a.state_dict()["0._extra_state"] == 7
    b.load_state_dict(a.state_dict())
    assert b[0].count == 7
    with pytest.raises(RuntimeError, match=r"Missing key.*_extra_state"):
        b.load_state_dict({})


def test_state_dict_hooks() -> None:
    net = nn.Linear(2, 2)
    net.register_state_dict_post_hook(lambda m, s, prefix, meta: s.pop(prefix + "bias"))
    assert list(net.state_dict()) == ["weight"]
    net.register_load_state_dict_pre_hook(
        lambda m, s, prefix, *rest: s.update({prefix + "bias": tinynet.ones(2)})
    )
    seen = []
    net.register_load_state_dict_post_hook(lambda m, keys: seen.append(keys.missing_keys))
    net.load_state_dict({"weight": tinynet.zeros(2, 2)})
    assert net.bias.tolist() == [1, 1]
    assert seen == [[]]


def test_pickle_and_deepcopy() -> None:
    net = Net()
    net.block.scale.grad = tinynet.ones(1)
    x = tinynet.randn(2, 3, 4, 4)
    net.eval()
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert (other(x) == net(x)).all()
        assert isinstance(other.block.scale, nn.Parameter)
        assert other.block.scale.requires_grad
        assert not other.training
        other.block.scale.data.fill_(3)
        assert net.block.scale.item() == 1


# ------------------------------------------------------------------------------ modes, conversion


def test_modes_reach_every_module() -> None:
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    seen = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen[-1] == "Net"
    assert seen[:5] == ["Conv2d", "BatchNorm2d", "ReLU", "Block", "Flatten"]


def test_freezing_and_zeroing() -> None:
    net = Net()
    net.block.requires_grad_(False)
    net(tinynet.randn(2, 3, 4, 4)).sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is not None] == [
        "head.1.weight",
        "head.1.bias",
    ]
    gradient = net.head[1].weight.grad
    net.zero_grad(set_to_none=False)
    assert net.head[1].weight.grad is gradient
    assert (gradient == 0).all()
    net.zero_grad()
    assert net.head[1].weight.grad is None


def test_conversion_keeps_parameters_and_integers() -> None:
    net = Net()
    weight = net.head[1].weight
    weight.grad = tinynet.ones_like(weight)
    assert net.double() is net
    assert net.head[1].weight is weight
    assert weight.dtype == weight.grad.dtype == tinynet.float64
    assert net.block.norm.running_mean.dtype == tinynet.float64
    assert net.block.norm.num_batches_tracked.dtype == tinynet.int64
    net(tinynet.randn(2, 3, 4, 4, dtype=tinynet.float64)).sum().backward()
    assert weight.grad.dtype == tinynet.float64
    assert net.to("cpu", tinynet.float32).head[1].weight.dtype == tinynet.float32
    assert net.to(dtype=tinynet.float64).head[1].weight.dtype == tinynet.float64
    assert net.to(tinynet.zeros(1)).head[1].weight.dtype == tinynet.float32
    assert net.to(tinynet.device("cpu")).cpu().float() is net
    assert nn.Linear(1, 1).type(tinynet.float64).weight.dtype == tinynet.float64


# ---------------------------------------------------------------------------------------- hooks


def test_forward_hooks() -> None:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(2)
    x = tinynet.ones(1, 1)
    pre = layer.register_forward_pre_hook(lambda m, args: args[0] * 10)
    post = layer.register_forward_hook(lambda m, args, y: y + args[0])
    assert layer(x).item() == 30
    pre.remove()
    assert layer(x).item() == 3
    post.remove()
    assert layer(x).item() == 2
    seen = []
    layer.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"input": kwargs["input"] * 3}), with_kwargs=True
    )
    layer.register_forward_hook(lambda m, a, kwargs, y: seen.append(kwargs), with_kwargs=True)
    layer.register_forward_pre_hook(lambda m, args: seen.append("first"), prepend=True)
    assert layer(input=x).item() == 6
    assert seen[0] == "first"
    assert seen[1]["input"].item() == 3


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_full_backward_hooks() -> None:
    torch = pytest.importorskip("torch")

    def run(t: Any) -> list[Any]:
        layer = t.nn.Linear(2, 1, bias=False)
        with t.no_grad():
            layer.weight.copy_(t.tensor([[3.0, 5.0]]))
        seen: list[Any] = []

        def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
            seen.append([g if g is None else g.tolist() for g in (*grad_input, *grad_output)])
            return tuple(None if g is None else g * 2 for g in grad_input)

        layer.register_full_backward_hook(hook)
        layer.register_full_backward_pre_hook(lambda m, grads: (grads[0] + 1,))
        x = t.ones(1, 2).requires_grad_()
        layer(x).sum().backward()
        seen.append(x.grad.tolist())
        layer(t.ones(1, 2)).sum().backward()
        seen.append(layer.weight.grad.tolist())
        return seen

    ours = run(tinynet)
    assert ours[0] == [[[6.0, 10.0]], [[2.0]]]
    assert ours == run(torch)


def test_a_shape_error_names_the_module() -> None:
    net = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(5, 4, 3))
        )
    )
    with pytest.raises(ShapeError, match=r"^features.3: conv2d: x is .*w expects 5"):
        net(tinynet.zeros(1, 3, 9, 9))
    with pytest.raises(ShapeError, match=r"^conv2d: x is"):
        net.features[3](tinynet.zeros(1, 3, 9, 9))
    net = Net()
    with pytest.raises(ShapeError, match=r"^head.1: linear: x has|^head.1: linear: x is"):
        net(tinynet.zeros(2, 3, 5, 5))


# ----------------------------------------------------------------------------------- containers


def test_sequential_as_a_list() -> None:
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    net = nn.Sequential(a, b)
    assert (len(net), net[0], net[-1], list(net)) == (2, a, b, [a, b])
    assert list(net[1:]) == [b]
    net.append(c).insert(0, c)
    assert list(net) == [c, a, b, c]
    assert list(net._modules) == ["0", "1", "2", "3"]
    del net[0]
    net[0] = c
    assert list(net) == [c, b, c]
    assert net.pop(0) is c
    assert list(net + nn.Sequential(a)) == [b, c, a]
    assert list(nn.Sequential(a) * 3) == [a, a, a]
    net += nn.Sequential(a)
    assert list(net) == [b, c, a]
    assert list(net.extend([a])) == [b, c, a, a]
    named = nn.Sequential(OrderedDict(x=a, y=b))
    assert named.x is a
    assert list(named[:1]._modules) == ["x"]


def test_module_list_and_dict() -> None:
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers.append(nn.ReLU()).extend([nn.Tanh()])
    layers += [nn.Sigmoid()]
    layers.insert(1, nn.Identity())
    assert [type(m).__name__ for m in layers] == ["Linear", "Identity", "ReLU", "Tanh", "Sigmoid"]
    assert isinstance(layers[1:], nn.ModuleList)
    assert len(operator.add(layers, [nn.ReLU()])) == 6
    assert [n for n, _ in layers.named_parameters()] == ["0.weight", "0.bias"]
    with pytest.raises(NotImplementedError, match="missing the required"):
        layers(1)
    d = nn.ModuleDict({"a": nn.ReLU()})
    d["b"] = nn.Linear(1, 2)
    d.update(nn.ModuleDict({"c": nn.Tanh()}))
    assert list(d) == list(d.keys()) == ["a", "b", "c"]
    assert "b" in d
    assert isinstance(d.pop("c"), nn.Tanh)
    assert [k for k, _ in d.items()] == ["a", "b"]
    assert len(list(d.parameters())) == 2
    d.clear()
    assert len(d) == 0


def test_parameter_list() -> None:
    values = nn.ParameterList([tinynet.zeros(2)])
    values.append(nn.Parameter(tinynet.ones(1)))
    values += [tinynet.zeros(3)]
    assert [n for n, _ in values.named_parameters()] == ["0", "1", "2"]
    assert all(isinstance(v, nn.Parameter) for v in values)
    values[0] = tinynet.ones(4)
    assert values[0].shape == (4,)
    assert len(values[1:]) == 2


def test_parameter() -> None:
    data = tinynet.zeros(2)
    p = nn.Parameter(data)
    assert p.requires_grad
    assert p.is_leaf
    data.add_(1)
    assert p.tolist() == [1, 1]
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    with tinynet.no_grad():
        assert nn.Parameter(data).requires_grad
    with pytest.raises(TypeError, match="data must be a Tensor, but got list"):
        nn.Parameter([1.0])
    assert type(p * 2) is tinynet.Tensor
    y = p * 2
    y.__class__ = nn.Parameter
    with pytest.raises(ValueError, match="Cannot assign non-leaf Tensor to parameter 'y'"):
        nn.Module().register_parameter("y", y)


# --------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.Linear(5, 4),
        lambda nn: nn.Conv2d(5, 4, 3, 2, padding="valid", groups=1),
        lambda nn: nn.Conv2d(5, 4, 3, padding=(2, 1), padding_mode="reflect"),
        lambda nn: nn.Conv2d(5, 5, 2, padding="same", padding_mode="circular", groups=5),
        lambda nn: nn.BatchNorm2d(5, momentum=None),
        lambda nn: nn.BatchNorm2d(5, affine=False, track_running_stats=False),
        lambda nn: nn.BatchNorm2d(5, eps=0.1, momentum=0.4),
        lambda nn: nn.MaxPool2d(2, stride=1),
        lambda nn: nn.AvgPool2d(2, ceil_mode=True),
        lambda nn: nn.AdaptiveAvgPool2d(1),
        lambda nn: nn.AdaptiveMaxPool2d((2, 3)),
        lambda nn: nn.LPPool2d(2, 2, stride=1),
        lambda nn: nn.ZeroPad2d((1, 0, 2, 3)),
        lambda nn: nn.ConstantPad2d(1, 2.5),
        lambda nn: nn.ReflectionPad2d(2),
        lambda nn: nn.ReplicationPad2d((1, 0, 2, 3)),
        lambda nn: nn.LayerNorm([6, 6], bias=False),
        lambda nn: nn.LayerNorm(6),
        lambda nn: nn.GroupNorm(5, 5, eps=0.1),
        lambda nn: nn.GroupNorm(1, 5, affine=False),
        lambda nn: nn.InstanceNorm2d(5),
        lambda nn: nn.InstanceNorm2d(5, affine=True, track_running_stats=True, momentum=0.3),
        lambda nn: nn.LocalResponseNorm(3, alpha=0.3, k=2),
        lambda nn: nn.Threshold(0.2, -1),
        lambda nn: nn.Hardshrink(0.4),
        lambda nn: nn.Softshrink(),
        lambda nn: nn.PReLU(5),
        lambda nn: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (5, 36))),
        lambda nn: nn.Softmax(dim=1),
        lambda nn: nn.LogSoftmax(dim=-1),
        lambda nn: nn.GELU(),
    ],
)
def test_layers_against_pytorch(make: Any) -> None:
    """Three training steps' worth of forward and backward, then evaluation."""
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn).double(), make(torch.nn).double()
    ours.load_state_dict({k: tinynet.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    random = np.random.default_rng(0)
    linear = isinstance(ours, nn.Linear)
    for step in range(4):
        if step == 3:
            ours.eval()
            theirs.eval()
        array = random.standard_normal((3, 5) if linear else (3, 5, 6, 6))
        x, z = tinynet.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        y, v = ours(x), theirs(z)
        np.testing.assert_allclose(y.detach().numpy(), v.detach().numpy(), atol=1e-10)
        dy = random.standard_normal(tuple(y.shape))
        y.backward(tinynet.tensor(dy))
        v.backward(torch.tensor(dy))
        np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), atol=1e-10)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), atol=1e-9)
    for (name, a), (_, b) in zip(
        ours.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("MSELoss", "float"),
        ("L1Loss", "float"),
        ("SmoothL1Loss", "float"),
        ("HuberLoss", "float"),
        ("BCELoss", "probability"),
        ("BCEWithLogitsLoss", "probability"),
        ("KLDivLoss", "probability"),
        ("CrossEntropyLoss", "labels"),
        ("NLLLoss", "labels"),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
def test_losses_against_pytorch(loss: str, kind: str) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x = random.random((4, 3))
    t = random.integers(0, 3, 4) if kind == "labels" else random.random((4, 3))
    for reduction in ("mean", "sum", "none"):
        ours = getattr(nn, loss)(reduction=reduction)(tinynet.tensor(x), tinynet.tensor(t))
        theirs = getattr(torch.nn, loss)(reduction=reduction)(torch.tensor(x), torch.tensor(t))
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10)


def test_loss_weights_are_buffers() -> None:
    weight = tinynet.tensor([1.0, 2.0, 3.0])
    loss = nn.CrossEntropyLoss(weight, label_smoothing=0.1)
    assert list(loss.state_dict()) == ["weight"]
    assert loss.double().weight.dtype == tinynet.float64
    assert list(nn.BCEWithLogitsLoss(pos_weight=weight).state_dict()) == ["pos_weight"]


def test_dropout_layers_only_drop_in_training() -> None:
    x = tinynet.ones(4, 8, 2, 2)
    for layer in (nn.Dropout(0.5), nn.Dropout2d(0.5)):
        assert set(layer(x).flatten().tolist()) == {0, 2}
        assert layer.eval()(x) is x
    layer = nn.AlphaDropout(0.5)
    assert len(set(layer(x).flatten().tolist())) == 2
    assert layer.eval()(x) is x


def test_sigmoid_with_a_slope() -> None:
    x = tinynet.tensor([-1.0, 0.0, 2.0])
    assert (nn.Sigmoid(slope=2)(x) == (x * 2).sigmoid()).all()
    assert (nn.Sigmoid()(x) == x.sigmoid()).all()
    assert repr(nn.Sigmoid(slope=2)) == "Sigmoid(slope=2)"
