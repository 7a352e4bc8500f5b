"""Networks that others trained, on real images: they load here and score what they scored there.

    python benchmarks/pretrained.py DATA_FOLDER

DATA_FOLDER holds weights/ (lenet5_mnist.npz, cnn6bn_cifar10.npz, resnet20_cifar10.npz: state dicts
with PyTorch's names and shapes), mnist/ (the original files) and cifar10-subset/ (the first 1,000
test images of CIFAR-10's binary version, test_batch_first1000.bin.xz).
"""

from __future__ import annotations

import argparse
import lzma
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet import nn
from tinynet.datasets import MNIST, normalise, read_cifar_binary
from tinynet.nn import functional as F
from tinynet.train import evaluate

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def lenet5() -> nn.Module:
    """LeNet-5 with ReLU and max pooling, 61,706 parameters."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(400, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, 10),
        )
    )


def cnn6bn() -> nn.Module:
    """Six times convolution without padding, ReLU, batch norm; pooling after the second and fourth;
    three linear layers, each followed by ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = 3
    for i, width in enumerate((64, 64, 128, 128, 64, 64), start=1):
        layers[f"conv{i}"] = nn.Conv2d(before, width, 3)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"bn{i}"] = nn.BatchNorm2d(width, eps=1e-3)
        if i in (2, 4):
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        before = width
    layers["flatten"] = nn.Flatten()
    for i, (inputs, outputs) in enumerate(((64, 1024), (1024, 512), (512, 10)), start=1):
        layers[f"fc{i}"] = nn.Linear(inputs, outputs)
        layers[f"relu_fc{i}"] = nn.ReLU()
    return nn.Sequential(layers)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut that drops every second pixel and adds zero planes."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.grown = width - before

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        """(N, before, H, W) -> (N, width, H/stride, W/stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grown:
            x = x[:, :, ::2, ::2]
            N, _, H, W = x.shape
            zeros = tn.zeros(N, self.grown // 2, H, W)
            x = tn.cat([zeros, x, zeros], dim=1)
        return F.relu(y + x)


class ResNet20(nn.Module):
    """He et al. 2015, section 4.2, for 32x32: three stages of three blocks, 0.27 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(Block(16, 32, 2), *(Block(32, 32, 1) for _ in range(2)))
        self.layer3 = nn.Sequential(Block(32, 64, 2), *(Block(64, 64, 1) for _ in range(2)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3)))


def load(model: nn.Module, path: Path) -> None:
    """Give the network the archive's tensors, all of them, by their names."""
    with np.load(path) as archive:
        state = {name: tn.from_numpy(archive[name]) for name in archive.files}
    counters = {n: t for n, t in model.state_dict().items() if n.endswith("num_batches_tracked")}
    model.load_state_dict(counters | state)


def main() -> None:
    """Score the three networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with weights/, mnist/ and cifar10-subset/")
    folder = parser.parse_args().folder
    digits = MNIST(folder / "mnist", train=False).tensors(0.1307, 0.3081)
    path = folder / "cifar10-subset" / "test_batch_first1000.bin.xz"
    images, labels = read_cifar_binary(lzma.decompress(path.read_bytes()), path)
    pixels, y = np.ascontiguousarray(images.transpose(0, 3, 1, 2)), tn.from_numpy(labels)
    raw = tn.from_numpy(pixels.astype(np.float32))
    scaled = tn.from_numpy(normalise(pixels, *IMAGENET))
    for name, model, (x, target), published in (
        ("lenet5_mnist", lenet5(), digits, 0.9913),
        ("cnn6bn_cifar10", cnn6bn(), (raw, y), 0.824),
        ("resnet20_cifar10", ResNet20(), (scaled, y), 0.915),
    ):
        load(model, folder / "weights" / f"{name}.npz")
        evaluate(model, x[:250], target[:250])  # compiles what it needs
        started = time.perf_counter()
        result = evaluate(model, x, target)
        seconds = time.perf_counter() - started
        print(
            f"{name:<18} {result.accuracy:7.2%} of {len(x):,} test images "
            f"(elsewhere {published:.2%}), {seconds:.2f} s"
        )


if __name__ == "__main__":
    main()
