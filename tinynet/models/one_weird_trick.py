"""AlexNet as redrawn in 2014 (Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", arXiv:1404.5997), which is what torchvision calls `alexnet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .image_size import Size, height_and_width
from .weights import untrained


class AlexNetOWT(nn.Module):
    """AlexNet in one tower with fewer filters, and dropout before the first two linear layers.

    Architecture, start (that of the layers themselves) and state-dict keys are torchvision's
    `alexnet`, so its weights load. Images of other sizes are averaged to 6x6 before the linear
    layers. channels, hidden: filters of the convolutions, units of the hidden linear layers.
    Raises ValueError for images below 63x63, of which nothing would be left.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
        image_size: Size = 224,
        channels: Sequence[int] = (64, 192, 384, 256, 256),
        hidden: int = 4096,
    ) -> None:
        super().__init__()
        height_and_width("AlexNet", image_size, 63)
        c1, c2, c3, c4, c5 = channels
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, c1, 11, stride=4, padding=2),  # 64, 55
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 64, 27
            nn.Conv2d(c1, c2, 5, padding=2),  # 192, 27
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 192, 13
            nn.Conv2d(c2, c3, 3, padding=1),  # 384, 13
            nn.ReLU(),
            nn.Conv2d(c3, c4, 3, padding=1),  # 256, 13
            nn.ReLU(),
            nn.Conv2d(c4, c5, 3, padding=1),  # 256, 13
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 256, 6
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(c5 * 6 * 6, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@untrained
def alexnet(num_classes: int = 1000, **options: Any) -> AlexNetOWT:
    """torchvision's `alexnet`: 61,100,840 parameters. The network of 2012 is `AlexNet`."""
    return AlexNetOWT(num_classes, **options)
