"""AlexNet (Krizhevsky, Sutskever and Hinton 2012), its two towers joined into one.

"ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012. The paper splits the
network over two GPUs, whose halves meet in some layers only; in one tower every filter sees all
channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import nn
from ..tensor import Tensor
from .he_start import he_start
from .image_size import Size, height_and_width


class AlexNet(nn.Module):
    """Five convolutions with overlapping max pooling, then three linear layers.

    Images of 224x224 are padded by 2 in the first layer, which gives the paper's 55x55. Dropout
    follows the first two linear layers.

    start: "paper": weights normal with standard deviation 0.01; biases at 1 in the second, fourth
        and fifth convolution and in the hidden linear layers ("provides the ReLUs with positive
        inputs"), at 0 elsewhere. This is made for pixels of 0 to 255 less their mean and for a
        thousand classes. "he": as VGG starts here, for pixels with deviation 1 and any number of
        classes; docs/train.md says why.
    local_response_norm: normalise after the first and second ReLU, as in the paper's section 3.3.
    channels, hidden: filters of the convolutions, units of the hidden linear layers.
    Raises ValueError for images below 63x63, of which nothing would be left.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        start: str = "paper",
        local_response_norm: bool = False,
        in_channels: int = 3,
        image_size: Size = 224,
        channels: Sequence[int] = (96, 256, 384, 384, 256),
        hidden: int = 4096,
    ) -> None:
        super().__init__()
        H, W = height_and_width("AlexNet", image_size, 63)
        c1, c2, c3, c4, c5 = channels

        def normalised() -> list[nn.Module]:
            # The paper's alpha = 1e-4 multiplies the sum over 5 channels; here it is their mean.
            return [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)]

        norm = normalised if local_response_norm else list
        # behind each layer: (channels, size) and its parameters, for 3x224x224
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, c1, 11, stride=4, padding=2),  # 96, 55: 34,944
            nn.ReLU(),
            *norm(),
            nn.MaxPool2d(3, stride=2),  # 96, 27
            nn.Conv2d(c1, c2, 5, padding=2),  # 256, 27: 614,656
            nn.ReLU(),
            *norm(),
            nn.MaxPool2d(3, stride=2),  # 256, 13
            nn.Conv2d(c2, c3, 3, padding=1),  # 384, 13: 885,120
            nn.ReLU(),
            nn.Conv2d(c3, c4, 3, padding=1),  # 384, 13: 1,327,488
            nn.ReLU(),
            nn.Conv2d(c4, c5, 3, padding=1),  # 256, 13: 884,992
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 256, 6
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),  # 9,216
            nn.Linear(c5 * _pooled(H) * _pooled(W), hidden),  # 4,096: 37,752,832
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),  # 4,096: 16,781,312
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),  # 1,000: 4,097,000
        )
        if start not in ("paper", "he"):
            raise ValueError(f"AlexNet starts as in the 'paper' or as in 'he', not {start!r}")
        if start == "he":
            he_start(self)
        else:
            self._paper_start()

    def _paper_start(self) -> None:
        layers = [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        positive = {1, 3, 4, 5, 6}  # of the eight layers, those whose biases start at 1
        for i, layer in enumerate(layers):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, float(i in positive))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes) scores."""
        return self.classifier(self.features(x))


def _pooled(size: int) -> int:
    """The side of the last plane: 224 -> 55 -> 27 -> 13 -> 6."""
    size = (size + 2 * 2 - 11) // 4 + 1
    for _ in range(3):
        size = (size - 3) // 2 + 1
    return size
