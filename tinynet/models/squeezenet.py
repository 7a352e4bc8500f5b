"""SqueezeNet (Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer 2016, "SqueezeNet: AlexNet-level
accuracy with 50x fewer parameters and <0.5MB model size", arXiv:1602.07360)."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..ops.shape import cat
from ..tensor import Tensor
from .image_size import Size, height_and_width
from .weights import untrained


class Fire(nn.Module):
    """A 1x1 convolution squeezes the channels; a 1x1 and a 3x3 one, side by side, expand them."""

    def __init__(self, before: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 2*expanded, H, W)."""
        x = self.squeeze_activation(self.squeeze(x))
        one = self.expand1x1_activation(self.expand1x1(x))
        return cat([one, self.expand3x3_activation(self.expand3x3(x))], 1)


# (squeezed, expanded) of the fire modules, and where the planes are halved
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
POOLS = {"1_0": (3, 7), "1_1": (2, 4)}  # in front of these (and of the first)


class SqueezeNet(nn.Module):
    """A convolution, eight fire modules, and a 1x1 convolution whose planes are averaged.

    Architecture, start and state-dict keys are torchvision's, so its weights load. version "1_1"
    pools earlier and has a smaller first convolution: less than half the work.
    Raises ValueError for images below 21x21 ("1_1": 17x17), of which nothing would be left.
    """

    def __init__(
        self,
        version: str = "1_0",
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
        image_size: Size = 224,
    ) -> None:
        super().__init__()
        if version not in POOLS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        height_and_width("SqueezeNet", image_size, 21 if version == "1_0" else 17)
        self.num_classes = num_classes
        width, size = (96, 7) if version == "1_0" else (64, 3)
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, width, size, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
        ]
        before = width
        for i, (squeezed, expanded) in enumerate(FIRES):
            if i in POOLS[version]:
                layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            layers.append(Fire(before, squeezed, expanded))
            before = 2 * expanded
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(before, num_classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), last, nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(self.features(x)).flatten(1)


@untrained
def squeezenet1_0(num_classes: int = 1000, **options: Any) -> SqueezeNet:
    """The paper's: 1,248,424 parameters."""
    return SqueezeNet("1_0", num_classes, **options)


@untrained
def squeezenet1_1(num_classes: int = 1000, **options: Any) -> SqueezeNet:
    """Its authors' later one: 1,235,496 parameters."""
    return SqueezeNet("1_1", num_classes, **options)
