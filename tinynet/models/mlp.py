"""The multi-layer perceptron: linear layers with ReLUs between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import nn
from ..tensor import Tensor
from .image_size import Size, height_and_width


class MLP(nn.Module):
    """Linear, ReLU, ..., Linear on the flattened image.  Rumelhart, Hinton and Williams 1986.

    Without hidden layers, hidden=(), it is the `Perceptron` but for its random start.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: Size = 32,
        num_classes: int = 10,
        *,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        size = height_and_width("MLP", image_size)
        width = in_channels * math.prod(size)
        layers: list[nn.Module] = [nn.Flatten()]  # (N, C*H*W)
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.layers(x)
