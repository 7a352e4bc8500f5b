"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, "MobileNetV2: Inverted Residuals and
Linear Bottlenecks", arXiv:1801.04381)."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor
from .image_size import Size
from .weights import untrained

# The paper's table 2: expansion t, channels c, how many n, stride s.
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _divisible(channels: float, by: int) -> int:
    """The nearest multiple of `by`, but not less than nine tenths of the number."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def _convolution(
    before: int, after: int, kernel_size: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = (kernel_size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """1x1 to more channels, 3x3 within each channel, 1x1 to few again without an activation.

    The input is added where the block keeps its size.
    """

    def __init__(self, before: int, after: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        hidden = before * expand_ratio
        layers: list[nn.Module] = [] if expand_ratio == 1 else [_convolution(before, hidden, 1)]
        self.conv = nn.Sequential(
            *layers,
            _convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.use_res_connect = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H/stride, W/stride)."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """A convolution, 17 inverted residuals, a 1x1 convolution, the mean of each plane.

    Architecture, start and state-dict keys are torchvision's, so its weights load.
    width_mult: how many channels, as a share of the paper's. image_size may be anything.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        dropout: float = 0.2,
        *,
        round_nearest: int = 8,
        in_channels: int = 3,
        image_size: Size = 224,
    ) -> None:
        super().__init__()
        before = _divisible(32 * width_mult, round_nearest)
        self.last_channel = _divisible(1280 * max(1.0, width_mult), round_nearest)
        layers: list[nn.Module] = [_convolution(in_channels, before, stride=2)]
        for expansion, channels, count, stride in BLOCKS:
            after = _divisible(channels * width_mult, round_nearest)
            for i in range(count):
                layers.append(InvertedResidual(before, after, 1 if i else stride, expansion))
                before = after
        layers.append(_convolution(before, self.last_channel, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(self.features(x).mean((2, 3)))


@untrained
def mobilenet_v2(num_classes: int = 1000, **options: Any) -> MobileNetV2:
    """The paper's: 3,504,872 parameters."""
    return MobileNetV2(num_classes, **options)
