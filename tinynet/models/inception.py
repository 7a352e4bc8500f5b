"""Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016, "Rethinking the Inception
Architecture for Computer Vision", arXiv:1512.00567)."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import nn
from ..nn import functional as F
from ..ops.shape import cat
from ..tensor import Tensor
from .image_size import Size, height_and_width
from .weights import untrained

Pair = int | tuple[int, int]


class InceptionOutputs(NamedTuple):
    """What `Inception3` gives in training if it has the auxiliary head."""

    logits: Tensor
    aux_logits: Tensor


class BasicConv2d(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self,
        before: int,
        width: int,
        kernel_size: Pair,
        stride: int = 1,
        padding: Pair = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, kernel_size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, width, P, Q)."""
        return F.relu(self.bn(self.conv(x)))


class InceptionA(nn.Module):
    """Branches of 1x1, 5x5, two 3x3, and pooling (the paper's figure 5)."""

    def __init__(self, before: int, w: Any, pool_features: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(before, w(64), 1)
        self.branch5x5_1 = BasicConv2d(before, w(48), 1)
        self.branch5x5_2 = BasicConv2d(w(48), w(64), 5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(before, w(64), 1)
        self.branch3x3dbl_2 = BasicConv2d(w(64), w(96), 3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(w(96), w(96), 3, padding=1)
        self.branch_pool = BasicConv2d(before, w(pool_features), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 64 + 64 + 96 + pool_features, H, W)."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pooled], 1)


class InceptionB(nn.Module):
    """Halves the plane by strided 3x3 convolutions beside a pooling (figure 10)."""

    def __init__(self, before: int, w: Any) -> None:
        super().__init__()
        self.branch3x3 = BasicConv2d(before, w(384), 3, stride=2)
        self.branch3x3dbl_1 = BasicConv2d(before, w(64), 1)
        self.branch3x3dbl_2 = BasicConv2d(w(64), w(96), 3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(w(96), w(96), 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 384 + 96 + before, (H-1)//2, (W-1)//2)."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class InceptionC(nn.Module):
    """7x7 convolutions as 1x7 after 7x1 (figure 6); `inner` channels between them."""

    def __init__(self, before: int, w: Any, inner: int) -> None:
        super().__init__()
        i, out = w(inner), w(192)
        self.branch1x1 = BasicConv2d(before, out, 1)
        self.branch7x7_1 = BasicConv2d(before, i, 1)
        self.branch7x7_2 = BasicConv2d(i, i, (1, 7), padding=(0, 3))
        self.branch7x7_3 = BasicConv2d(i, out, (7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = BasicConv2d(before, i, 1)
        self.branch7x7dbl_2 = BasicConv2d(i, i, (7, 1), padding=(3, 0))
        self.branch7x7dbl_3 = BasicConv2d(i, i, (1, 7), padding=(0, 3))
        self.branch7x7dbl_4 = BasicConv2d(i, i, (7, 1), padding=(3, 0))
        self.branch7x7dbl_5 = BasicConv2d(i, out, (1, 7), padding=(0, 3))
        self.branch_pool = BasicConv2d(before, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 4 * 192, H, W)."""
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return cat([self.branch1x1(x), single, double, pooled], 1)


class InceptionD(nn.Module):
    """Halves the plane again, behind 1x1 and 7x7 convolutions."""

    def __init__(self, before: int, w: Any) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv2d(before, w(192), 1)
        self.branch3x3_2 = BasicConv2d(w(192), w(320), 3, stride=2)
        self.branch7x7x3_1 = BasicConv2d(before, w(192), 1)
        self.branch7x7x3_2 = BasicConv2d(w(192), w(192), (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = BasicConv2d(w(192), w(192), (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = BasicConv2d(w(192), w(192), 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 320 + 192 + before, (H-1)//2, (W-1)//2)."""
        single = self.branch3x3_2(self.branch3x3_1(x))
        long = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return cat([single, self.branch7x7x3_4(long), F.max_pool2d(x, 3, stride=2)], 1)


class InceptionE(nn.Module):
    """1x3 and 3x1 side by side, for many channels on a small plane (figure 7)."""

    def __init__(self, before: int, w: Any) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(before, w(320), 1)
        self.branch3x3_1 = BasicConv2d(before, w(384), 1)
        self.branch3x3_2a = BasicConv2d(w(384), w(384), (1, 3), padding=(0, 1))
        self.branch3x3_2b = BasicConv2d(w(384), w(384), (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = BasicConv2d(before, w(448), 1)
        self.branch3x3dbl_2 = BasicConv2d(w(448), w(384), 3, padding=1)
        self.branch3x3dbl_3a = BasicConv2d(w(384), w(384), (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = BasicConv2d(w(384), w(384), (3, 1), padding=(1, 0))
        self.branch_pool = BasicConv2d(before, w(192), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 320 + 2*384 + 2*384 + 192, H, W)."""
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(single),
                self.branch3x3_2b(single),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                pooled,
            ],
            1,
        )


class InceptionAux(nn.Module):
    """The auxiliary head: a second answer from halfway, which helps the lower layers to learn."""

    def __init__(self, before: int, w: Any, num_outputs: int) -> None:
        super().__init__()
        self.conv0 = BasicConv2d(before, w(128), 1)
        self.conv1 = BasicConv2d(w(128), w(768), 5)
        self.fc = nn.Linear(w(768), num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, 17, 17) -> (N, num_outputs)."""
        x = self.conv0(F.avg_pool2d(x, 5, stride=3))  # 5x5
        x = F.adaptive_avg_pool2d(self.conv1(x), 1)  # 1x1
        return self.fc(x.flatten(1))


class Inception3(nn.Module):
    """Inception v3 for images of 299x299: scores of classes, or any `num_outputs` numbers.

    Architecture and state-dict keys are torchvision's, so its weights load. The auxiliary head is
    there on request only: then a forward pass in training gives `InceptionOutputs`, otherwise
    always one tensor, so that `criterion(model(images), params)` works for regression too.
    Without the head and the last layer it has 21,785,568 parameters.

    num_classes: another name for num_outputs. width: a factor for all numbers of channels.
    Weights start normal, cut at two standard deviations of 0.1 (convolutions, whose scale batch
    norm undoes), 0.01 (last layer), and in the auxiliary head 0.01 and 0.001, as in the authors'
    program. Raises ValueError for images below 75x75, and with the head below 299x299.
    """

    def __init__(
        self,
        num_outputs: int | None = None,
        aux_logits: bool = False,
        dropout: float = 0.5,
        *,
        num_classes: int | None = None,
        in_channels: int = 3,
        image_size: Size = 299,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if num_outputs is not None and num_classes is not None and num_outputs != num_classes:
            raise ValueError(
                "num_classes is another name for num_outputs, but they are "
                f"{num_classes} and {num_outputs}"
            )
        outputs = next((n for n in (num_outputs, num_classes) if n is not None), 1000)
        if aux_logits:
            height_and_width("Inception3 with aux_logits", image_size, 299)
        height_and_width("Inception3", image_size, 75)

        def w(channels: int) -> int:
            return max(1, round(width * channels))

        a, c, e = 2 * w(64) + w(96), 4 * w(192), w(320) + 4 * w(384) + w(192)
        b = w(384) + w(96) + a + w(64)
        d = w(320) + w(192) + c
        self.aux_logits = aux_logits
        # behind each line: (channels, size) for 3x299x299
        self.Conv2d_1a_3x3 = BasicConv2d(in_channels, w(32), 3, stride=2)  # 32, 149
        self.Conv2d_2a_3x3 = BasicConv2d(w(32), w(32), 3)  # 32, 147
        self.Conv2d_2b_3x3 = BasicConv2d(w(32), w(64), 3, padding=1)  # 64, 147
        self.maxpool1 = nn.MaxPool2d(3, stride=2)  # 64, 73
        self.Conv2d_3b_1x1 = BasicConv2d(w(64), w(80), 1)  # 80, 73
        self.Conv2d_4a_3x3 = BasicConv2d(w(80), w(192), 3)  # 192, 71
        self.maxpool2 = nn.MaxPool2d(3, stride=2)  # 192, 35
        self.Mixed_5b = InceptionA(w(192), w, 32)  # 256, 35
        self.Mixed_5c = InceptionA(a + w(32), w, 64)  # 288, 35
        self.Mixed_5d = InceptionA(a + w(64), w, 64)  # 288, 35
        self.Mixed_6a = InceptionB(a + w(64), w)  # 768, 17
        self.Mixed_6b = InceptionC(b, w, 128)  # 768, 17
        self.Mixed_6c = InceptionC(c, w, 160)  # 768, 17
        self.Mixed_6d = InceptionC(c, w, 160)  # 768, 17
        self.Mixed_6e = InceptionC(c, w, 192)  # 768, 17
        if aux_logits:
            self.AuxLogits = InceptionAux(c, w, outputs)
        self.Mixed_7a = InceptionD(c, w)  # 1280, 8
        self.Mixed_7b = InceptionE(d, w)  # 2048, 8
        self.Mixed_7c = InceptionE(e, w)  # 2048, 8
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))  # 2048, 1
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(e, outputs)
        self._initialise()

    def _initialise(self) -> None:
        deviations = {"AuxLogits.conv1.conv": 0.01, "AuxLogits.fc": 0.001, "fc": 0.01}
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                std = deviations.get(name, 0.1)
                nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor | InceptionOutputs:
        """(N, C, 299, 299) -> (N, num_outputs); with the auxiliary head in training, both."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.maxpool1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(self.maxpool2(x))))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        aux = self.AuxLogits(x) if self.aux_logits and self.training else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        y = self.fc(self.dropout(self.avgpool(x)).flatten(1))
        return y if aux is None else InceptionOutputs(y, aux)


@untrained
def inception_v3(num_classes: int = 1000, aux_logits: bool = False, **options: Any) -> Inception3:
    """Inception v3: 23,834,568 parameters, with the auxiliary head 27,161,264."""
    return Inception3(num_classes, aux_logits, **options)
