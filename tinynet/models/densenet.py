"""DenseNet (Huang, Liu, van der Maaten and Weinberger 2017, "Densely Connected Convolutional
Networks", arXiv:1608.06993): each layer sees the outputs of all layers before it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from .. import nn
from ..nn import functional as F
from ..ops.shape import cat
from ..tensor import Tensor
from .image_size import Size, height_and_width
from .weights import untrained


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1x1 convolution, and again with 3x3; the result stands behind the input."""

    def __init__(self, before: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(before, bn_size * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = drop_rate

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, before + growth_rate, H, W)."""
        new = self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(x))))))
        return cat([x, F.dropout(new, self.drop_rate, self.training)], 1)


class DenseNet(nn.Module):
    """A 7x7 convolution, four dense blocks with transitions between them, the mean of each plane.

    Architecture, start and state-dict keys are torchvision's, so its weights load.
    growth_rate: channels that each layer adds (the paper's k). bn_size: how many times as many the
    1x1 convolutions make. Raises ValueError for images below 29x29, of which nothing would be left.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        image_size: Size = 224,
    ) -> None:
        super().__init__()
        height_and_width("DenseNet", image_size, 29)
        layers: dict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(in_channels, num_init_features, 7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(num_init_features),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        channels = num_init_features
        for i, count in enumerate(block_config, 1):
            block = nn.Sequential()
            for j in range(1, count + 1):
                layer = DenseLayer(channels, growth_rate, bn_size, drop_rate)
                block.add_module(f"denselayer{j}", layer)
                channels += growth_rate
            layers[f"denseblock{i}"] = block
            if i < len(block_config):
                layers[f"transition{i}"] = _transition(channels, channels // 2)
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(F.relu(self.features(x)).mean((2, 3)))


def _transition(before: int, after: int) -> nn.Sequential:
    """Fewer channels, and half the height and width."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(before),
            relu=nn.ReLU(),
            conv=nn.Conv2d(before, after, 1, bias=False),
            pool=nn.AvgPool2d(2, stride=2),
        )
    )


@untrained
def densenet121(num_classes: int = 1000, **options: Any) -> DenseNet:
    """Blocks of 6, 12, 24 and 16 layers: 7,978,856 parameters."""
    return DenseNet(32, (6, 12, 24, 16), 64, num_classes=num_classes, **options)


@untrained
def densenet161(num_classes: int = 1000, **options: Any) -> DenseNet:
    """Blocks of 6, 12, 36 and 24 layers that add 48 channels each: 28,681,000 parameters."""
    return DenseNet(48, (6, 12, 36, 24), 96, num_classes=num_classes, **options)


@untrained
def densenet169(num_classes: int = 1000, **options: Any) -> DenseNet:
    """Blocks of 6, 12, 32 and 32 layers: 14,149,480 parameters."""
    return DenseNet(32, (6, 12, 32, 32), 64, num_classes=num_classes, **options)


@untrained
def densenet201(num_classes: int = 1000, **options: Any) -> DenseNet:
    """Blocks of 6, 12, 48 and 32 layers: 20,013,928 parameters."""
    return DenseNet(32, (6, 12, 48, 32), 64, num_classes=num_classes, **options)
