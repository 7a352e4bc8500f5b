"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, figure 2)."""

from __future__ import annotations

from .. import nn
from ..tensor import Tensor


class LeNet5(nn.Module):
    """Two convolutions with average pooling, then three linear layers; tanh between them.

    The paper's trainable pooling coefficients, partial connections and radial-basis output are
    left out, as everywhere today. Images of 28x28 are padded to the paper's 32x32.
    """

    def __init__(self, in_channels: int = 1, image_size: int = 28, num_classes: int = 10) -> None:
        super().__init__()
        if image_size not in (28, 32):
            raise ValueError(
                f"LeNet5 takes images of 28x28 or 32x32, not {image_size}x{image_size}"
            )
        padding = 2 if image_size == 28 else 0
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=padding),  # (N, 6, 28, 28)
            nn.Tanh(),
            nn.AvgPool2d(2),  # (N, 6, 14, 14)
            nn.Conv2d(6, 16, 5),  # (N, 16, 10, 10)
            nn.Tanh(),
            nn.AvgPool2d(2),  # (N, 16, 5, 5)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),  # (N, 400)
            nn.Linear(400, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(self.features(x))
