"""The networks of the papers: sizes as published, names as torchvision's, the numbers PyTorch's."""

from __future__ import annotations

import hashlib
import inspect
import math
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import models, nn, optim
from tinynet.models import resnet as resnet_module
from tinynet.nn import functional as F

# ------------------------------------------------------------------------------ published sizes


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks without starting values: their memory is reserved but never touched."""
    for name in ("normal_", "uniform_", "trunc_normal_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **options: tensor)


def parameters(net: Any) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (models.AlexNet, 62_378_344),
        (models.alexnet, 61_100_840),
        (models.vgg11, 132_863_336),
        (models.vgg13, 133_047_848),
        (models.vgg16, 138_357_544),
        (models.vgg19, 143_667_240),
        (models.vgg11_bn, 132_868_840),
        (models.vgg13_bn, 133_053_736),
        (models.vgg16_bn, 138_365_992),
        (models.vgg19_bn, 143_678_248),
        (models.resnet18, 11_689_512),
        (models.resnet34, 21_797_672),
        (models.resnet50, 25_557_032),
        (models.inception_v3, 23_834_568),
        (lambda: models.inception_v3(aux_logits=True), 27_161_264),
        (lambda: models.Inception3(num_outputs=3), 21_785_568 + 3 * 2049),
        (lambda: models.Inception3(num_classes=3), 21_785_568 + 3 * 2049),
        (models.Perceptron, 7_850),
    ],
)
def test_numbers_of_parameters(make: Callable[[], Any], count: int, blank: None) -> None:
    assert parameters(make()) == count


# SHA-256 of torchvision 0.28's "key shape" lines
KEYS_AND_SHAPES = [
    ("resnet101", "02c0f34f4842751f"),
    ("resnext50_32x4d", "e3bad165c034e60f"),
    ("wide_resnet50_2", "41203d1d536c02ed"),
    ("squeezenet1_0", "4654d26ad581241f"),
    ("squeezenet1_1", "1d365589393f9c1e"),
    ("densenet121", "aa0fd9923b0003b8"),
    ("densenet161", "82d337d48f910d3a"),
    ("mobilenet_v2", "37bbbce8932fd0c4"),
]


@pytest.mark.parametrize(("name", "digest"), KEYS_AND_SHAPES)
def test_newer_state_dicts_are_torchvisions(name: str, digest: str, blank: None) -> None:
    state = getattr(models, name)().state_dict()
    text = "\n".join(f"{key} {tuple(value.shape)}" for key, value in state.items())
    assert hashlib.sha256(text.encode()).hexdigest().startswith(digest)


DEEP = ("101", "152", "161", "169", "201", "wide_")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if any(d in name for d in DEEP) else ())
        for name in models.list_models()
    ],
)
def test_every_name_makes_a_network(name: str, blank: None) -> None:
    least = {"alexnet": 63, "alexnet_owt": 63, "inception_v3": 75}.get(name, 32)
    sizes = {"in_channels": 1, "num_classes": 5, "image_size": least}
    assert models.get_model(name, **sizes)(tinynet.zeros(2, 1, least, least)).shape == (2, 5)
    if name.startswith(("alexnet", "vgg", "inception")):
        with pytest.raises(ValueError, match=rf"at least {least}x{least}, not 31x40"):
            models.get_model(name, image_size=(31, 40))


def test_the_documented_sizes(blank: None) -> None:
    """The table in docs/models.md: names, image shapes and numbers of parameters."""
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([\dx]+) \| ([\d,]+) \|", text, re.MULTILINE)
    assert {name for name, _, _ in rows} == {
        name for name in models.list_models() if not name.endswith("_bn")
    }
    for name, shape, count in rows:
        assert "x".join(map(str, models.image_shape(name))) == shape
        assert f"{parameters(models.get_model(name)):,}" == count, name


def test_layers_of_alexnet(blank: None) -> None:
    net = models.AlexNet()
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [m.weight.numel() + m.bias.numel() for m in layers] == [
        34_944,
        614_656,
        885_120,
        1_327_488,
        884_992,
        37_752_832,
        16_781_312,
        4_097_000,
    ]
    assert [m.out_channels for m in layers[:5]] == [96, 256, 384, 384, 256]
    assert [m.kernel_size[0] for m in layers[:5]] == [11, 5, 3, 3, 3]
    assert [(m.kernel_size, m.stride) for m in net.modules() if isinstance(m, nn.MaxPool2d)] == [
        (3, 2)
    ] * 3
    assert planes(net, 224) == [55, 27, 27, 13, 13, 13, 13, 6]
    kinds = [type(m).__name__ for m in net.classifier]
    assert kinds == ["Flatten"] + ["Linear", "ReLU", "Dropout"] * 2 + ["Linear"]


def test_local_response_norm_of_alexnet_is_the_papers() -> None:
    net = models.AlexNet(local_response_norm=True, image_size=63, channels=(7, 2, 2, 2, 2))
    kinds = [type(m).__name__ for m in net.features]
    expected = ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert kinds[:8] == expected * 2
    x = np.random.default_rng(0).random((2, 7, 3, 3)) * 100
    y = net.features[2](tinynet.tensor(x)).numpy()
    for c in range(7):  # b = a / (k + alpha * sum a^2)^beta, n = 5 channels around c
        total = (x[:, max(0, c - 2) : c + 3] ** 2).sum(1)
        np.testing.assert_allclose(y[:, c], x[:, c] / (2 + 1e-4 * total) ** 0.75, rtol=1e-12)


def planes(net: Any, size: int) -> list[int]:
    """The side of the plane behind each convolution and pooling, in order."""
    seen = []
    handles = [
        m.register_forward_hook(lambda m, x, y: seen.append(y.shape[-1]))
        for m in net.modules()
        if isinstance(m, nn.Conv2d | nn.MaxPool2d)
    ]
    net.eval()(tinynet.zeros(1, 3, size, size))
    for handle in handles:
        handle.remove()
    return seen


def test_planes_of_the_others() -> None:
    net = models.vgg16(channels=(1, 1, 1, 1, 1), hidden=1)
    assert planes(net, 224) == [
        *(224, 224, 112),
        *(112, 112, 56),
        *(56, 56, 56, 28),
        *(28, 28, 28, 14),
        *(14, 14, 14, 7),
    ]
    assert (
        planes(models.resnet18(width=1), 224)
        == [112, 56] + [56] * 4 + [28] * 5 + [14] * 5 + [7] * 5
    )
    net = models.Inception3(2, width=1 / 64)
    assert planes(net, 299)[:7] == [149, 147, 147, 73, 73, 71, 35]
    seen = {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda m, x, y, name=name: seen.update({name: y.shape[-1]}))
    net(tinynet.zeros(1, 3, 299, 299))
    sizes = {name: size for name, size in seen.items() if name.startswith("Mixed")}
    assert list(sizes.values()) == [35] * 3 + [17] * 5 + [8] * 3


def test_channels_of_inception(blank: None) -> None:
    net = models.Inception3()
    mixed = {n: m for n, m in net.named_children() if n.startswith("Mixed")}
    inputs = [m.get_submodule(next(iter(m._modules))).conv.in_channels for m in mixed.values()]
    assert inputs == [192, 256, 288, 288, 768, 768, 768, 768, 768, 1280, 2048]
    assert net.fc.in_features == 2048


# -------------------------------------------------------------------------- torchvision's names

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def conv_keys(name: str, *shape: int, bias: bool = True) -> Shapes:
    yield f"{name}.weight", shape
    if bias:
        yield f"{name}.bias", shape[:1]


def norm_keys(name: str, channels: int) -> Shapes:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def alexnet_keys() -> Shapes:
    convolutions = [(0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3)]
    for i, k, c, r in [*convolutions, (10, 256, 256, 3)]:
        yield from conv_keys(f"features.{i}", k, c, r, r)
    yield from conv_keys("classifier.1", 4096, 9216)
    yield from conv_keys("classifier.4", 4096, 4096)
    yield from conv_keys("classifier.6", 1000, 4096)


def vgg_keys(positions: list[int], channels: list[int], norms: bool) -> Shapes:
    before = 3
    for i, k in zip(positions, channels, strict=True):
        yield from conv_keys(f"features.{i}", k, before, 3, 3)
        if norms:
            yield from norm_keys(f"features.{i + 1}", k)
        before = k
    yield from conv_keys("classifier.0", 4096, 25088)
    yield from conv_keys("classifier.3", 4096, 4096)
    yield from conv_keys("classifier.6", 1000, 4096)


def resnet_keys(blocks: list[int], kernels: list[int], expansion: int) -> Shapes:
    yield from conv_keys("conv1", 64, 3, 7, 7, bias=False)
    yield from norm_keys("bn1", 64)
    before = 64
    for stage, count in enumerate(blocks, start=1):
        width = 32 * 2**stage
        for block in range(count):
            path, inputs = f"layer{stage}.{block}", before
            for i, r in enumerate(kernels, start=1):
                outputs = width * expansion if i == len(kernels) else width
                yield from conv_keys(f"{path}.conv{i}", outputs, inputs, r, r, bias=False)
                yield from norm_keys(f"{path}.bn{i}", outputs)
                inputs = outputs
            if block == 0 and before != width * expansion:
                yield from conv_keys(f"{path}.downsample.0", outputs, before, 1, 1, bias=False)
                yield from norm_keys(f"{path}.downsample.1", outputs)
            before = outputs
    yield from conv_keys("fc", 1000, before)


def inception_keys() -> Shapes:
    # name: (channels in, {branch: (channels out, channels in or 0 for the block's, R, S)})
    def a(pool: int) -> dict[str, tuple[int, ...]]:
        return {
            "branch1x1": (64, 0, 1, 1),
            "branch5x5_1": (48, 0, 1, 1),
            "branch5x5_2": (64, 48, 5, 5),
            "branch3x3dbl_1": (64, 0, 1, 1),
            "branch3x3dbl_2": (96, 64, 3, 3),
            "branch3x3dbl_3": (96, 96, 3, 3),
            "branch_pool": (pool, 0, 1, 1),
        }

    def c(i: int) -> dict[str, tuple[int, ...]]:
        return {
            "branch1x1": (192, 0, 1, 1),
            "branch7x7_1": (i, 0, 1, 1),
            "branch7x7_2": (i, i, 1, 7),
            "branch7x7_3": (192, i, 7, 1),
            "branch7x7dbl_1": (i, 0, 1, 1),
            "branch7x7dbl_2": (i, i, 7, 1),
            "branch7x7dbl_3": (i, i, 1, 7),
            "branch7x7dbl_4": (i, i, 7, 1),
            "branch7x7dbl_5": (192, i, 1, 7),
            "branch_pool": (192, 0, 1, 1),
        }

    e = {
        "branch1x1": (320, 0, 1, 1),
        "branch3x3_1": (384, 0, 1, 1),
        "branch3x3_2a": (384, 384, 1, 3),
        "branch3x3_2b": (384, 384, 3, 1),
        "branch3x3dbl_1": (448, 0, 1, 1),
        "branch3x3dbl_2": (384, 448, 3, 3),
        "branch3x3dbl_3a": (384, 384, 1, 3),
        "branch3x3dbl_3b": (384, 384, 3, 1),
        "branch_pool": (192, 0, 1, 1),
    }
    stem = [
        ("Conv2d_1a_3x3", 32, 3, 3),
        ("Conv2d_2a_3x3", 32, 32, 3),
        ("Conv2d_2b_3x3", 64, 32, 3),
        ("Conv2d_3b_1x1", 80, 64, 1),
        ("Conv2d_4a_3x3", 192, 80, 3),
    ]
    for name, k, inputs, r in stem:
        yield from conv_keys(f"{name}.conv", k, inputs, r, r, bias=False)
        yield from norm_keys(f"{name}.bn", k)
    b = {
        "branch3x3": (384, 0, 3, 3),
        "branch3x3dbl_1": (64, 0, 1, 1),
        "branch3x3dbl_2": (96, 64, 3, 3),
        "branch3x3dbl_3": (96, 96, 3, 3),
    }
    d = {
        "branch3x3_1": (192, 0, 1, 1),
        "branch3x3_2": (320, 192, 3, 3),
        "branch7x7x3_1": (192, 0, 1, 1),
        "branch7x7x3_2": (192, 192, 1, 7),
        "branch7x7x3_3": (192, 192, 7, 1),
        "branch7x7x3_4": (192, 192, 3, 3),
    }
    aux = {"conv0": (128, 0, 1, 1), "conv1": (768, 128, 5, 5)}
    blocks = [
        ("Mixed_5b", 192, a(32)),
        ("Mixed_5c", 256, a(64)),
        ("Mixed_5d", 288, a(64)),
        ("Mixed_6a", 288, b),
        ("Mixed_6b", 768, c(128)),
        ("Mixed_6c", 768, c(160)),
        ("Mixed_6d", 768, c(160)),
        ("Mixed_6e", 768, c(192)),
        ("AuxLogits", 768, aux),
        ("Mixed_7a", 768, d),
        ("Mixed_7b", 1280, e),
        ("Mixed_7c", 2048, e),
    ]
    for name, inputs, branches in blocks:
        for branch, (k, before, r, s) in branches.items():
            yield from conv_keys(f"{name}.{branch}.conv", k, before or inputs, r, s, bias=False)
            yield from norm_keys(f"{name}.{branch}.bn", k)
        if name == "AuxLogits":
            yield from conv_keys("AuxLogits.fc", 1000, 768)
    yield from conv_keys("fc", 1000, 2048)


VGG16 = [64, 64, 128, 128, 256, 256, 256] + [512] * 6
VGG11 = [64, 128, 256, 256, 512, 512, 512, 512]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (models.alexnet, alexnet_keys()),
        (models.vgg11, vgg_keys([0, 3, 6, 8, 11, 13, 16, 18], VGG11, False)),
        (models.vgg11_bn, vgg_keys([0, 4, 8, 11, 15, 18, 22, 25], VGG11, True)),
        (
            models.vgg16,
            vgg_keys([0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28], VGG16, False),
        ),
        (
            models.vgg16_bn,
            vgg_keys([0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40], VGG16, True),
        ),
        (models.resnet18, resnet_keys([2, 2, 2, 2], [3, 3], 1)),
        (models.resnet34, resnet_keys([3, 4, 6, 3], [3, 3], 1)),
        (models.resnet50, resnet_keys([3, 4, 6, 3], [1, 3, 1], 4)),
        (lambda: models.inception_v3(aux_logits=True), inception_keys()),
    ],
    ids=["alexnet", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "r18", "r34", "r50", "inception"],
)
def test_state_dicts_are_torchvisions(make: Any, expected: Shapes, blank: None) -> None:
    state = make().state_dict()
    assert [(name, tuple(value.shape)) for name, value in state.items()] == list(expected)


# ------------------------------------------------------------------------------- starting values


def test_alexnet_starts_as_published() -> None:
    tinynet.manual_seed(0)
    net = models.AlexNet(image_size=63, hidden=64)
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [float(m.bias.mean()) for m in layers] == [0, 1, 0, 1, 1, 1, 1, 0]
    assert all((m.bias == m.bias[0]).all() for m in layers)
    for m in layers[:6]:
        assert float(m.weight.std()) == pytest.approx(0.01, rel=0.05)
        assert abs(float(m.weight.mean())) < 5e-4
    with pytest.raises(ValueError, match="'paper' or as in 'he', not 'zero'"):
        models.AlexNet(start="zero", hidden=8)


def test_alexnet_starts_as_vgg_where_asked() -> None:
    tinynet.manual_seed(0)
    net = models.AlexNet(image_size=63, hidden=64, start="he")
    for m in net.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            fan_out = m.out_channels * m.weight[0, 0].numel() if m.weight.ndim == 4 else None
            std = math.sqrt(2 / fan_out) if fan_out else 0.01
            assert float(m.weight.std()) == pytest.approx(std, rel=0.05)
            assert not m.bias.any()


def test_vgg_and_resnet_start_as_torchvisions() -> None:
    tinynet.manual_seed(0)
    net = models.vgg11(hidden=32, image_size=32)
    conv, linear = net.features[6], net.classifier[0]
    assert float(conv.weight.std()) == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.02)
    assert float(linear.weight.std()) == pytest.approx(0.01, rel=0.02)
    assert (conv.bias == 0).all()
    assert (linear.bias == 0).all()
    net = models.resnet18(width=16, zero_init_residual=True)
    weight = net.layer4[1].conv2.weight
    assert float(weight.std()) == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    blocks = [b for stage in (net.layer1, net.layer4) for b in stage]
    assert all((b.bn2.weight == 0).all() and (b.bn1.weight == 1).all() for b in blocks)
    net = models.resnet50(width=4, zero_init_residual=True)
    assert (net.layer1[0].bn3.weight == 0).all()


def test_inception_starts_as_published() -> None:
    tinynet.manual_seed(0)
    net = models.Inception3(aux_logits=True, width=0.25)
    cut = 0.8796  # the standard deviation of a normal distribution cut at two of its own
    for path, std in [
        ("Mixed_7c.branch3x3_1.conv", 0.1),
        ("AuxLogits.conv1.conv", 0.01),
        ("AuxLogits.fc", 0.001),
        ("fc", 0.01),
    ]:
        weight = net.get_submodule(path).weight
        assert float(weight.std()) == pytest.approx(cut * std, rel=0.02), path
        assert float(weight.abs().max()) <= 2 * std * (1 + 1e-6)


# ------------------------------------------------------------------------- small networks, learning

# Each network at a size at which its derivatives can be checked: (side, number of outputs and a
# factor for the numbers of channels -> network). All without dropout. Planes of one element in a
# small batch would leave batch norm almost no variance to divide by.
Make = Callable[[int, int], Any]
SMALL: dict[str, tuple[int, Make]] = {
    "Perceptron": (8, lambda n, f: models.Perceptron(3, 8, n)),
    "AlexNet": (
        63,
        lambda n, f: models.AlexNet(
            n,
            dropout=0,
            image_size=63,
            channels=[f * c for c in (4, 6, 8, 8, 6)],
            hidden=12 * f,
            local_response_norm=True,
        ),
    ),
    "alexnet": (
        63,
        lambda n, f: models.alexnet(
            n, dropout=0, channels=[f * c for c in (4, 6, 8, 8, 6)], hidden=12 * f
        ),
    ),
    "vgg11": (
        32,
        lambda n, f: models.vgg11(
            n, dropout=0, channels=[f * c for c in (4, 5, 6, 7, 8)], hidden=12 * f
        ),
    ),
    "vgg16_bn": (
        64,
        lambda n, f: models.vgg16_bn(
            n, dropout=0, channels=[f * c for c in (4, 4, 5, 5, 6)], hidden=12 * f
        ),
    ),
    "resnet18": (64, lambda n, f: models.resnet18(n, width=4 * f)),
    "resnet50": (64, lambda n, f: models.resnet50(n, width=2 * f)),
    "Inception3": (107, lambda n, f: models.Inception3(n, dropout=0, width=f / 32)),
}


def batch(count: int, side: int, classes: int, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    x = tinynet.tensor(random.standard_normal((count, 3, side, side)))
    return x, tinynet.tensor(random.integers(0, classes, count))


def strengthen(net: Any) -> None:
    """So few channels need larger weights than the published 0.01 to pass a signal on."""
    for p in net.parameters():
        if p.ndim > 1:
            nn.init.kaiming_normal_(p)


def test_no_trained_weights(blank: None) -> None:
    assert parameters(models.resnet18(weights=None, progress=False)) == 11_689_512
    for options in ({"pretrained": True}, {"weights": "DEFAULT"}):
        with pytest.raises(ValueError, match=r"resnet18: tinynet has no trained weights.*load\("):
            models.resnet18(**options)


def test_groups_are_of_bottlenecks() -> None:
    with pytest.raises(ValueError, match="BasicBlock only supports groups=1"):
        models.ResNet(resnet_module.BasicBlock, (1, 1, 1, 1), groups=2)
    net = models.resnext50_32x4d(num_classes=3, width=16)
    assert net.layer1[0].conv2.groups == 32


@pytest.mark.parametrize("name", SMALL)
def test_the_first_loss_is_that_of_guessing(name: str) -> None:
    tinynet.manual_seed(0)
    side, make = SMALL[name]
    x, labels = batch(16, side, 10)
    loss = F.cross_entropy(make(10, 1).double()(x), labels).item()
    assert loss == pytest.approx(math.log(10), abs=0.4)


@pytest.mark.parametrize("name", SMALL)
def test_one_batch_is_learnt_by_heart(name: str) -> None:
    tinynet.manual_seed(0)
    side, make = SMALL[name]
    net = make(3, 4)
    if name == "AlexNet":
        strengthen(net)
    step = optim.Adam(net.parameters(), lr=1e-3)
    x, labels = batch(6, side, 3)
    x = x.float()
    first = None
    for _ in range(300):
        step.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        first = loss.item() if first is None else first
        loss.backward()
        step.step()
        if loss.item() < 0.03:
            break
    assert first > 0.5
    assert loss.item() < 0.03


@pytest.mark.parametrize("name", SMALL)
def test_gradients_of_the_whole_network(name: str) -> None:
    """Along random directions of all parameters and the input, against central differences."""
    tinynet.manual_seed(1)
    side, make = SMALL[name]
    net = make(4, 1).double()
    strengthen(net)
    x, labels = batch(5, side, 4)
    x.requires_grad_()
    variables = [x, *net.parameters()]
    F.cross_entropy(net(x), labels).backward()
    gradients = [v.grad.numpy().copy() for v in variables]
    assert all(np.isfinite(g).all() for g in gradients)
    random = np.random.default_rng(7)
    # the input, the first and the last parameters, and all together
    for chosen in ([0], [1], [len(variables) - 2], range(len(variables))):
        v = {i: random.standard_normal(gradients[i].shape) for i in chosen}
        expected = sum((gradients[i] * v[i]).sum() for i in chosen)
        assert abs(expected) > 0.01
        # A large step meets kinks of so many ReLUs, a small one is spoilt by rounding.
        measured = [slope(net, x, labels, variables, v, h) for h in (1e-8, 1e-9)]
        nearest = min(measured, key=lambda m: abs(m - expected))
        assert nearest == pytest.approx(expected, rel=1e-5, abs=1e-5), (list(chosen), measured)


def slope(net: Any, x: Any, labels: Any, variables: Any, v: Any, h: float) -> float:
    """The central difference of the loss along v, at a distance of h."""
    losses = []
    with tinynet.no_grad():
        for step in (h, -h):
            for i, direction in v.items():
                variables[i].add_(tinynet.tensor(step * direction))
            losses.append(F.cross_entropy(net(x), labels).item())
            for i, direction in v.items():
                variables[i].sub_(tinynet.tensor(step * direction))
    return (losses[0] - losses[1]) / (2 * h)


# --------------------------------------------------------------------------- against PyTorch


def twin(module: Any) -> Any:
    """The same network of PyTorch's layers.

    A layer becomes PyTorch's of that name with the same arguments, which it keeps under their
    names. A network becomes a module with the same children whose `forward` is the same code,
    run with PyTorch's functions.
    """
    torch = pytest.importorskip("torch")
    name = type(module).__name__
    children = {child: twin(m) for child, m in module._modules.items() if m is not None}
    if name == "Sequential":
        return torch.nn.Sequential(*children.values())
    if hasattr(torch.nn, name):
        arguments = inspect.signature(type(module)).parameters
        options = {a: getattr(module, a) for a in arguments if hasattr(module, a)}
        if "bias" in options:
            options["bias"] = module.bias is not None
        return getattr(torch.nn, name)(**{k: v for k, v in options.items() if k != "slope"})
    code = type(module).forward
    names = {**code.__globals__, "F": torch.nn.functional, "cat": torch.cat}
    forward = types.FunctionType(code.__code__, names)
    other = type(name, (torch.nn.Module,), {"forward": forward})()
    for attribute, value in vars(module).items():
        if not attribute.startswith("_"):
            setattr(other, attribute, value)
    for child, value in children.items():
        setattr(other, child, value)
    for child, value in module._modules.items():
        if value is None:
            setattr(other, child, None)
    return other


def same_weights(ours: Any) -> Any:
    torch = pytest.importorskip("torch")
    theirs = twin(ours).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return theirs


TWINS: dict[str, tuple[int, Make]] = {
    **SMALL,
    "MLP": (8, lambda n, f: models.MLP(3, 8, n, hidden=(9, 7))),
    "LeNet5": (32, lambda n, f: models.LeNet5(3, 32, n)),
    "ConvNet": (12, lambda n, f: models.ConvNet(3, 12, n, channels=(4, 5), batch_norm=True)),
    "resnet34": (32, lambda n, f: models.resnet34(n, width=2)),
    "vgg13": (64, lambda n, f: models.vgg13(n, dropout=0, channels=(2,) * 5, hidden=4)),
}


@pytest.mark.parametrize("name", TWINS)
def test_training_follows_pytorch(name: str) -> None:
    """The same weights and batches in float64: the same scores, gradients and steps."""
    torch = pytest.importorskip("torch")
    tinynet.manual_seed(2)
    side, make = TWINS[name]
    ours = make(5, 1).double()
    theirs = same_weights(ours)
    options = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
    a, b = optim.SGD(ours.parameters(), **options), torch.optim.SGD(theirs.parameters(), **options)
    for step in range(2):
        x, labels = batch(4, side, 5, step)
        x.requires_grad_()
        z = torch.tensor(x.detach().numpy(), requires_grad=True)
        y, v = ours(x), theirs(z)
        np.testing.assert_allclose(y.detach().numpy(), v.detach().numpy(), rtol=1e-7, atol=1e-9)
        a.zero_grad()
        b.zero_grad()
        F.cross_entropy(y, labels).backward()
        torch.nn.functional.cross_entropy(v, torch.tensor(labels.numpy())).backward()
        np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-5, atol=1e-9)
        named = dict(theirs.named_parameters())
        for path, p in ours.named_parameters():
            g = named[path].grad.numpy()
            tolerance = 1e-7 * max(abs(g).max(), 1e-3)
            np.testing.assert_allclose(p.grad.numpy(), g, rtol=1e-6, atol=tolerance, err_msg=path)
        a.step()
        b.step()
    ours.eval()
    theirs.eval()
    with tinynet.no_grad():
        y = ours(x).numpy()
    np.testing.assert_allclose(y, theirs(z).detach().numpy(), rtol=1e-6, atol=1e-8)


def test_the_auxiliary_head() -> None:
    torch = pytest.importorskip("torch")
    tinynet.manual_seed(0)
    ours = models.Inception3(num_outputs=4, aux_logits=True, dropout=0, width=1 / 64).double()
    theirs = same_weights(ours)
    x, _ = batch(2, 299, 4)
    a, b = ours(x), theirs(torch.tensor(x.numpy()))
    assert type(a) is models.InceptionOutputs
    for y, v in zip(a, b, strict=True):
        np.testing.assert_allclose(y.detach().numpy(), v.detach().numpy(), rtol=1e-6, atol=1e-9)
    assert ours.eval()(x).shape == (2, 4)
    with pytest.raises(ValueError, match="aux_logits takes images of at least 299x299"):
        models.Inception3(aux_logits=True, image_size=128)


def test_inception_for_regression() -> None:
    """As courses write it: Adam, mean squared error, one tensor in training and in evaluation."""
    tinynet.manual_seed(0)
    model = models.Inception3(num_outputs=3, width=1 / 16, dropout=0)
    criterion = nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    random = np.random.default_rng(0)
    images = tinynet.tensor(random.random((4, 3, 75, 75)).astype("float32"))
    params = tinynet.tensor(random.random((4, 3)).astype("float32"))
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = criterion(model(images), params)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    model.eval()
    with tinynet.no_grad():
        assert model(images).shape == (4, 3)
    with pytest.raises(ValueError, match="another name"):
        models.Inception3(3, num_classes=4)


# --------------------------------------------------------------------------------- full size


FULL: dict[str, tuple[Callable[[], Any], int, int]] = {
    "AlexNet": (lambda: models.AlexNet(dropout=0), 224, 2),
    "alexnet": (lambda: models.alexnet(dropout=0), 224, 2),
    "vgg16": (lambda: models.vgg16(dropout=0), 224, 1),
    "resnet18": (models.resnet18, 224, 2),
    "resnet50": (models.resnet50, 224, 2),
    "inception_v3": (lambda: models.inception_v3(dropout=0), 299, 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_full_size_against_pytorch(name: str) -> None:
    """Loss and gradients of the published sizes; in float64, or ReLUs near 0 would differ."""
    torch = pytest.importorskip("torch")
    tinynet.manual_seed(0)
    make, side, count = FULL[name]
    ours = make().double()
    theirs = same_weights(ours)
    x, labels = batch(count, side, 1000)
    loss = F.cross_entropy(ours(x), labels)
    loss.backward()
    other = torch.nn.functional.cross_entropy(
        theirs(torch.tensor(x.numpy())), torch.tensor(labels.numpy())
    )
    other.backward()
    assert loss.item() == pytest.approx(other.item(), rel=1e-9)
    assert loss.item() == pytest.approx(math.log(1000), abs=1.5)
    named = dict(theirs.named_parameters())
    for path, p in ours.named_parameters():
        g = named[path].grad.numpy()
        assert abs(p.grad.numpy() - g).max() <= 1e-6 * max(abs(g).max(), 1e-6), path
