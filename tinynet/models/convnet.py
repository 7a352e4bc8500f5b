"""The convolutional network that every course draws: two CONV-RELU-POOL blocks, then FC."""

from __future__ import annotations

from collections.abc import Sequence

from .. import nn
from ..tensor import Tensor
from .image_size import Size, height_and_width


class ConvNet(nn.Module):
    """Two blocks of convolution, ReLU and max pooling, then one or two linear layers.

    channels: filters of the convolutions, each of which a pooling follows. hidden: units of a
    linear layer before the last one (None: no such layer). batch_norm: normalise after each
    convolution. dropout: the probability of dropping what the linear layers see.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: Size = 32,
        num_classes: int = 10,
        *,
        channels: Sequence[int] = (32, 64),
        kernel_size: int = 3,
        hidden: int | None = 128,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        halves = 2 ** len(channels)
        H, W = height_and_width("ConvNet", image_size, halves)
        if kernel_size % 2 == 0:
            raise ValueError(f"ConvNet keeps the image size: kernel_size {kernel_size} must be odd")
        blocks: list[nn.Module] = []
        before = in_channels
        for width in channels:
            # With batch norm a bias would be subtracted again.
            convolution = nn.Conv2d(
                before, width, kernel_size, padding=kernel_size // 2, bias=not batch_norm
            )
            norm = [nn.BatchNorm2d(width)] if batch_norm else []
            blocks += [convolution, *norm, nn.ReLU(), nn.MaxPool2d(2)]
            before = width
        self.features = nn.Sequential(*blocks)  # (N, C, H, W) -> (N, K, H // 4, W // 4) with two

        head: list[nn.Module] = [nn.Flatten()]
        inputs = before * (H // halves) * (W // halves)
        drop = [nn.Dropout(dropout)] if dropout else []
        if hidden is not None:
            head += [*drop, nn.Linear(inputs, hidden), nn.ReLU()]
            drop = [nn.Dropout(dropout)] if dropout else []
            inputs = hidden
        self.classifier = nn.Sequential(*head, *drop, nn.Linear(inputs, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(self.features(x))
