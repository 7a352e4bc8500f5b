"""The perceptron (Rosenblatt 1958): one layer of weights and nothing hidden."""

from __future__ import annotations

import math

from .. import nn
from ..tensor import Tensor
from .image_size import Size, height_and_width


class Perceptron(nn.Module):
    """scores = W x + b on the flattened image; the largest score is the answer.

    x (N, C, H, W), W (num_classes, C*H*W), b and the scores' rows (num_classes,). With one class
    the sign of the score is Rosenblatt's answer. As nothing is hidden it needs no random start:
    weights and bias begin at 0, so the first loss is exactly ln(num_classes).
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: Size = 28,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        size = height_and_width("Perceptron", image_size)
        self.flatten = nn.Flatten()  # (N, C*H*W)
        self.output = nn.Linear(in_channels * math.prod(size), num_classes)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.output(self.flatten(x))
