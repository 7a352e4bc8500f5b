"""VGG (Simonyan and Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", arXiv:1409.1556): nothing but 3x3 convolutions and 2x2 max pooling, and more of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .he_start import he_start
from .image_size import Size, height_and_width
from .weights import untrained

# The paper's table 1: how many convolutions stand in each of the five blocks.
A = (1, 1, 2, 2, 2)
B = (2, 2, 2, 2, 2)
D = (2, 2, 3, 3, 3)
E = (2, 2, 4, 4, 4)


class VGG(nn.Module):
    """Five blocks of 3x3 convolutions with a max pooling each, then three linear layers.

    Architecture and state-dict keys are torchvision's, so its weights load. Images of other sizes
    are averaged to 7x7 before the linear layers. Convolutions start normal with variance
    2 / fan-out (He et al. 2015, who found that this trains VGG from scratch, where the paper had
    to begin with a shallow network), linear layers normal with the paper's standard deviation
    0.01, biases at 0.

    convolutions: how many in each block. batch_norm: normalise after each convolution.
    channels, hidden: filters of each block's convolutions, units of the hidden linear layers.
    Raises ValueError for images below 32x32, of which nothing would be left.
    """

    def __init__(
        self,
        convolutions: Sequence[int],
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        batch_norm: bool = False,
        in_channels: int = 3,
        image_size: Size = 224,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        hidden: int = 4096,
    ) -> None:
        super().__init__()
        height_and_width("VGG", image_size, 32)
        layers: list[nn.Module] = []
        before = in_channels
        for count, width in zip(convolutions, channels, strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(before, width, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.ReLU())
                before = width
            layers.append(nn.MaxPool2d(2))
        # 64, 224 -> 64, 112 -> 128, 56 -> 256, 28 -> 512, 14 -> 512, 7
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(before * 7 * 7, hidden),  # 4,096: 102,764,544 parameters
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),  # 4,096: 16,781,312
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),  # 1,000: 4,097,000
        )
        he_start(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@untrained
def vgg11(num_classes: int = 1000, **options: Any) -> VGG:
    """Configuration A: 8 convolutions, 132,863,336 parameters."""
    return VGG(A, num_classes, **options)


@untrained
def vgg13(num_classes: int = 1000, **options: Any) -> VGG:
    """Configuration B: 10 convolutions, 133,047,848 parameters."""
    return VGG(B, num_classes, **options)


@untrained
def vgg16(num_classes: int = 1000, **options: Any) -> VGG:
    """Configuration D: 13 convolutions, 138,357,544 parameters."""
    return VGG(D, num_classes, **options)


@untrained
def vgg19(num_classes: int = 1000, **options: Any) -> VGG:
    """Configuration E: 16 convolutions, 143,667,240 parameters."""
    return VGG(E, num_classes, **options)


@untrained
def vgg11_bn(num_classes: int = 1000, **options: Any) -> VGG:
    """`vgg11` with batch normalisation: 132,868,840 parameters."""
    return VGG(A, num_classes, batch_norm=True, **options)


@untrained
def vgg13_bn(num_classes: int = 1000, **options: Any) -> VGG:
    """`vgg13` with batch normalisation: 133,053,736 parameters."""
    return VGG(B, num_classes, batch_norm=True, **options)


@untrained
def vgg16_bn(num_classes: int = 1000, **options: Any) -> VGG:
    """`vgg16` with batch normalisation: 138,365,992 parameters."""
    return VGG(D, num_classes, batch_norm=True, **options)


@untrained
def vgg19_bn(num_classes: int = 1000, **options: Any) -> VGG:
    """`vgg19` with batch normalisation: 143,678,248 parameters."""
    return VGG(E, num_classes, batch_norm=True, **options)
