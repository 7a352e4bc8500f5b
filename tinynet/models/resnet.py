"""ResNet (He, Zhang, Ren and Sun 2016, "Deep Residual Learning for Image Recognition",
arXiv:1512.03385): blocks that add to their input what they compute from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .image_size import Size
from .weights import untrained


def _convolution(
    before: int, width: int, kernel_size: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    # Batch norm follows and would subtract a bias again.
    padding = kernel_size // 2
    return nn.Conv2d(before, width, kernel_size, stride, padding, groups=groups, bias=False)


class BasicBlock(nn.Module):
    """y = relu(x + f(x)), f two 3x3 convolutions (the paper's figure 5, left).

    downsample: what makes x as large as f(x), where f halves the plane or has other channels.
    """

    expansion = 1  # channels out, in units of `width`

    def __init__(
        self, before: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = _convolution(before, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class Bottleneck(nn.Module):
    """y = relu(x + f(x)), f a 1x1, a 3x3 and a 1x1 convolution (the paper's figure 5, right).

    The stride is the 3x3 convolution's, as in torchvision; in the paper it is the first one's.
    groups, width_per_group: the 3x3 convolution in groups, each of width * width_per_group / 64
    channels (ResNeXt, Xie et al. 2017, arXiv:1611.05431, and Wide ResNet, Zagoruyko and Komodakis
    2016, arXiv:1605.07146).
    """

    expansion = 4  # channels out, in units of `width`

    def __init__(
        self,
        before: int,
        width: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        inner = width * width_per_group // 64 * groups
        self.conv1 = _convolution(before, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _convolution(inner, inner, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = _convolution(inner, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 4*width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet(nn.Module):
    """A 7x7 convolution, four stages of residual blocks, the mean of each plane, a linear layer.

    Architecture, start and state-dict keys are torchvision's, so its weights load. Convolutions
    start normal with variance 2 / fan-out (He et al. 2015).

    layers: blocks in each stage. width: channels of the first stage; each further one has twice as
    many. zero_init_residual: let each block start as the identity (Goyal et al. 2017).
    groups, width_per_group: of bottlenecks, as `Bottleneck` has them.
    image_size may be anything; the mean takes what is left.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        *,
        in_channels: int = 3,
        image_size: Size = 224,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)  # 112
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)  # 56
        inside = {"groups": groups, "width_per_group": width_per_group}
        if inside == {"groups": 1, "width_per_group": 64}:
            inside = {}
        elif block is BasicBlock:
            raise ValueError("BasicBlock only supports groups=1 and width_per_group=64")
        self.layer1 = _stage(block, width, width, layers[0], 1, inside)  # 56
        outputs = width * block.expansion
        self.layer2 = _stage(block, outputs, 2 * width, layers[1], 2, inside)  # 28
        self.layer3 = _stage(block, 2 * outputs, 4 * width, layers[2], 2, inside)  # 14
        self.layer4 = _stage(block, 4 * outputs, 8 * width, layers[3], 2, inside)  # 7
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * outputs, num_classes)
        self._initialise(zero_init_residual)

    def _initialise(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)
            elif zero_init_residual and isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _stage(
    block: Any, before: int, width: int, count: int, stride: int, inside: dict[str, int]
) -> nn.Sequential:
    """`count` blocks, of which the first strides and, where the size changes, downsamples x."""
    after = width * block.expansion
    downsample = None
    if stride != 1 or before != after:
        downsample = nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))
    first = block(before, width, stride, downsample, **inside)
    return nn.Sequential(first, *(block(after, width, **inside) for _ in range(count - 1)))


@untrained
def resnet18(num_classes: int = 1000, **options: Any) -> ResNet:
    """Two basic blocks a stage: 11,689,512 parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, **options)


@untrained
def resnet34(num_classes: int = 1000, **options: Any) -> ResNet:
    """3, 4, 6 and 3 basic blocks: 21,797,672 parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, **options)


@untrained
def resnet50(num_classes: int = 1000, **options: Any) -> ResNet:
    """3, 4, 6 and 3 bottlenecks: 25,557,032 parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, **options)


@untrained
def resnet101(num_classes: int = 1000, **options: Any) -> ResNet:
    """3, 4, 23 and 3 bottlenecks: 44,549,160 parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes, **options)


@untrained
def resnet152(num_classes: int = 1000, **options: Any) -> ResNet:
    """3, 8, 36 and 3 bottlenecks: 60,192,808 parameters."""
    return ResNet(Bottleneck, (3, 8, 36, 3), num_classes, **options)


@untrained
def resnext50_32x4d(num_classes: int = 1000, **options: Any) -> ResNet:
    """ResNeXt, 32 groups of 4 channels: 25,028,904 parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, groups=32, width_per_group=4, **options)


@untrained
def resnext101_32x8d(num_classes: int = 1000, **options: Any) -> ResNet:
    """ResNeXt, 32 groups of 8 channels: 88,791,336 parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes, groups=32, width_per_group=8, **options)


@untrained
def resnext101_64x4d(num_classes: int = 1000, **options: Any) -> ResNet:
    """ResNeXt, 64 groups of 4 channels: 83,455,272 parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes, groups=64, width_per_group=4, **options)


@untrained
def wide_resnet50_2(num_classes: int = 1000, **options: Any) -> ResNet:
    """Wide ResNet, twice as many inner channels: 68,883,240 parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, width_per_group=128, **options)


@untrained
def wide_resnet101_2(num_classes: int = 1000, **options: Any) -> ResNet:
    """Wide ResNet, twice as many inner channels: 126,886,696 parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes, width_per_group=128, **options)
