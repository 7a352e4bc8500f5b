"""The networks: shapes, sizes, names, and that they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import models, nn, optim
from tinynet.models import MLP, ConvNet, LeNet5


@pytest.mark.parametrize("name", ["convnet", "lenet5", "mlp", "perceptron"])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_shapes(name: str, channels: int, size: int) -> None:
    net = models.get_model(name, in_channels=channels, image_size=size, num_classes=7)
    assert net(tinynet.zeros(2, channels, size, size)).shape == (2, 7)


def test_names() -> None:
    assert {"alexnet", "convnet", "inception_v3", "lenet5", "mlp"} < set(models.list_models())
    assert models.list_models() == sorted(models.list_models())
    assert isinstance(models.get_model("ConvNet", batch_norm=True), ConvNet)
    with pytest.raises(ValueError, match=r"Unknown model resnet; there are: alexnet, .*, vgg19_bn"):
        models.get_model("resnet")


def test_convnet_with_no_arguments_takes_cifar_images() -> None:
    net = ConvNet()
    assert net(tinynet.zeros(1, 3, 32, 32)).shape == (1, 10)
    kinds = [type(m).__name__ for m in net.features]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 2


def test_convnet_of_another_depth() -> None:
    for channels, side in (((5,), 10), ((2, 3, 4), 2)):
        net = ConvNet(1, (20, 21), 4, channels=channels)
        assert net.features(tinynet.zeros(1, 1, 20, 21)).shape == (1, channels[-1], side, side)
        assert net(tinynet.zeros(2, 1, 20, 21)).shape == (2, 4)


@pytest.mark.parametrize("options", [{}, {"batch_norm": True, "dropout": 0.2, "hidden": None}])
def test_convnet_parts(options: dict[str, Any]) -> None:
    net = ConvNet(1, (20, 12), 4, channels=(3, 5), kernel_size=5, **options)
    assert net(tinynet.zeros(2, 1, 20, 12)).shape == (2, 4)
    kinds = {type(m).__name__ for m in net.modules()}
    assert ("BatchNorm2d" in kinds) == bool(options)
    assert ("Dropout" in kinds) == bool(options)
    assert sum(isinstance(m, nn.Linear) for m in net.modules()) == (1 if options else 2)


def test_sizes_of_lenet() -> None:
    # LeCun et al. 1998: 156 + 2416 (all maps connected) + 48120 + 10164 + 850
    assert sum(p.numel() for p in LeNet5().parameters()) == 61706


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4x4, not 3x3"):
        ConvNet(image_size=3)
    with pytest.raises(ValueError, match="at least 8x8, not 7x9"):
        ConvNet(image_size=(7, 9), channels=(2, 3, 4))
    with pytest.raises(ValueError, match="kernel_size 4 must be odd"):
        ConvNet(kernel_size=4)
    with pytest.raises(ValueError, match="28x28 or 32x32, not 64x64"):
        LeNet5(image_size=64)


def batch(seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    x = tinynet.tensor(random.standard_normal((16, 1, 12, 12)).astype("float32"))
    return x, tinynet.tensor(random.integers(0, 4, 16))


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_convnet_learns_one_batch_by_heart(batch_norm: bool, optimizer: str) -> None:
    tinynet.manual_seed(0)
    net = ConvNet(1, 12, 4, channels=(8, 16), hidden=32, batch_norm=batch_norm)
    options = {"lr": 0.1, "momentum": 0.9} if optimizer == "SGD" else {"lr": 5e-3}
    step = getattr(optim, optimizer)(net.parameters(), **options)
    loss_of = nn.CrossEntropyLoss()
    x, labels = batch()
    first = loss_of(net(x), labels).item()
    for _ in range(60):
        step.zero_grad()
        loss = loss_of(net(x), labels)
        loss.backward()
        step.step()
    assert first > 1
    assert loss.item() < 0.01
    assert (net(x).argmax(1) == labels).all()


def test_a_run_repeats_bit_by_bit_with_its_seed() -> None:
    def run() -> Any:
        tinynet.manual_seed(5)
        net = ConvNet(1, 12, 4, channels=(4, 8), hidden=16, batch_norm=True, dropout=0.3)
        step = optim.Adam(net.parameters())
        x, labels = batch()
        for _ in range(3):
            step.zero_grad()
            nn.functional.cross_entropy(net(x), labels).backward()
            step.step()
        return net.state_dict()

    a, b = run(), run()
    for name, value in a.items():
        assert (value == b[name]).all(), name


def test_training_follows_pytorch() -> None:
    """The same weights and batches: the same losses in float64, ten steps long."""
    torch = pytest.importorskip("torch")
    ours = ConvNet(1, 12, 4, channels=(4, 6), hidden=8, batch_norm=True).double()
    theirs = torch.nn.ModuleDict(
        {
            "features": torch.nn.Sequential(
                torch.nn.Conv2d(1, 4, 3, padding=1, bias=False),
                torch.nn.BatchNorm2d(4),
                torch.nn.ReLU(),
                torch.nn.MaxPool2d(2),
                torch.nn.Conv2d(4, 6, 3, padding=1, bias=False),
                torch.nn.BatchNorm2d(6),
                torch.nn.ReLU(),
                torch.nn.MaxPool2d(2),
            ),
            "classifier": torch.nn.Sequential(
                torch.nn.Flatten(),
                torch.nn.Linear(54, 8),
                torch.nn.ReLU(),
                torch.nn.Linear(8, 4),
            ),
        }
    ).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
    a, b = optim.SGD(ours.parameters(), **options), torch.optim.SGD(theirs.parameters(), **options)
    for step in range(10):
        x, labels = batch(step)
        a.zero_grad()
        loss = nn.functional.cross_entropy(ours(x.double()), labels, label_smoothing=0.1)
        loss.backward()
        a.step()
        b.zero_grad()
        scores = theirs["classifier"](theirs["features"](torch.tensor(x.numpy()).double()))
        expected = torch.nn.functional.cross_entropy(
            scores, torch.tensor(labels.numpy()), label_smoothing=0.1
        )
        expected.backward()
        b.step()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    for (name, p), (_, q) in zip(
        ours.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-7, atol=1e-9, err_msg=name)


def test_mlp_layers() -> None:
    assert sum(isinstance(m, nn.Linear) for m in MLP(hidden=(20, 10)).modules()) == 3
    assert sum(isinstance(m, nn.Linear) for m in MLP(hidden=()).modules()) == 1
    assert sum(isinstance(m, nn.Dropout) for m in MLP(hidden=(5, 5), dropout=0.1).modules()) == 2
