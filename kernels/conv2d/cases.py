"""Convolutions to agree on, to differentiate and to time."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from ..samples import Size, normal, rounding
from .dims import Conv2dDims


@dataclass(frozen=True)
class Conv2dCase:
    """One convolution: x (N, C, H, W), w (K, C / groups, R, S) and their parameters."""

    name: str
    x: tuple[int, int, int, int]
    w: tuple[int, int, int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = False
    strided: bool = False  # arrays that are not contiguous
    size: Size = "awkward"

    @property
    def dims(self) -> Conv2dDims:
        return Conv2dDims.of(
            self.x,
            self.w,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    @property
    def flops(self) -> int:
        return self.dims.flops

    def bytes(self, dtype: np.typing.DTypeLike = np.float32) -> int:
        """Memory that must move at least: x, w and y once."""
        d = self.dims
        sizes = (np.prod(shape) for shape in (d.x_shape, d.w_shape, d.y_shape))
        return int(sum(sizes)) * np.dtype(dtype).itemsize

    def arrays(
        self, dtype: np.typing.DTypeLike, seed: int = 0
    ) -> tuple[ndarray, ndarray, ndarray | None, ndarray]:
        """x, w, bias (or None) and a cotangent dy."""
        rng = np.random.default_rng(seed)
        x, w, dy = (
            normal(rng, shape, dtype, self.strided) for shape in (self.x, self.w, self.dims.y_shape)
        )
        return x, w, normal(rng, self.w[:1], dtype) if self.bias else None, dy

    def tolerance(self, dtype: np.typing.DTypeLike) -> dict[str, float]:
        """Per pass: bound on the error relative to the same pass over absolute values."""
        d = self.dims
        window = d.R * d.S
        return {
            "forward": rounding(d.C // d.groups * window, dtype),
            "grad_input": rounding(d.K // d.groups * window, dtype),
            "grad_weight": rounding(d.N * d.P * d.Q, dtype),
        }


CASES = [
    Conv2dCase("one number", (1, 1, 1, 1), (1, 1, 1, 1), size="small", bias=True),
    Conv2dCase("3x3", (2, 3, 5, 5), (4, 3, 3, 3), padding=1, size="small", bias=True),
    Conv2dCase("2x2 stride 2", (2, 2, 4, 4), (3, 2, 2, 2), stride=2, size="small"),
    Conv2dCase("odd, not square", (3, 5, 7, 10), (6, 5, 3, 2), padding=(1, 0), bias=True),
    Conv2dCase(
        "padding does not divide", (2, 3, 8, 9), (4, 3, 3, 4), stride=(2, 3), padding=(1, 2)
    ),
    Conv2dCase("stride above kernel", (2, 3, 11, 9), (4, 3, 2, 1), stride=(3, 4)),
    Conv2dCase("stride above kernel, padded", (1, 2, 9, 10), (3, 2, 1, 2), stride=4, padding=1),
    Conv2dCase("1x1", (2, 6, 5, 4), (7, 6, 1, 1), bias=True),
    Conv2dCase("1x1 stride 2", (2, 6, 5, 4), (7, 6, 1, 1), stride=2),
    Conv2dCase("1x1 padded", (2, 3, 4, 5), (2, 3, 1, 1), padding=2),
    Conv2dCase("kernel is the image", (3, 4, 5, 6), (9, 4, 5, 6), bias=True),
    Conv2dCase("kernel is the padded image", (1, 2, 3, 3), (2, 2, 5, 5), padding=1),
    Conv2dCase("dilated", (2, 3, 12, 11), (4, 3, 3, 3), padding=2, dilation=(3, 2)),
    Conv2dCase("dilation shares stride", (2, 2, 13, 14), (3, 2, 3, 3), stride=2, dilation=2),
    Conv2dCase("dilation 3, stride 2", (1, 2, 15, 13), (3, 2, 4, 3), 2, (3, 1), 3),
    Conv2dCase("groups", (2, 6, 7, 6), (9, 2, 3, 3), padding=1, groups=3, bias=True),
    Conv2dCase("depthwise", (2, 5, 8, 8), (10, 1, 3, 3), padding=1, groups=5),
    Conv2dCase("all at once", (2, 4, 14, 11), (6, 2, 3, 2), (2, 3), (2, 1), (2, 3), 2, True),
    Conv2dCase(
        "all at once, strided", (2, 4, 9, 12), (6, 2, 2, 3), (3, 2), 1, (3, 2), 2, True, True
    ),
    Conv2dCase("not contiguous", (2, 3, 6, 7), (4, 3, 3, 3), padding=1, bias=True, strided=True),
    Conv2dCase("batch of none", (0, 3, 5, 5), (4, 3, 3, 3), bias=True),
    Conv2dCase("no channels", (2, 0, 5, 5), (4, 0, 3, 3), bias=True),
    Conv2dCase("no filters", (2, 3, 5, 5), (0, 3, 3, 3)),
    Conv2dCase("more channels than a block", (1, 37, 6, 5), (19, 37, 3, 3), padding=1),
    Conv2dCase("more pixels than a task", (1, 2, 40, 45), (3, 2, 3, 3), padding=1, bias=True),
    Conv2dCase("one long line", (1, 2, 1, 2500), (3, 2, 1, 5), padding=(0, 2)),
    Conv2dCase("many filters", (2, 3, 6, 6), (150, 3, 2, 2)),
    Conv2dCase("panels of filters", (2, 3, 9, 11), (32, 3, 3, 3), padding=1, bias=True),
    Conv2dCase("one vector of filters", (2, 2, 6, 9), (8, 2, 3, 2), bias=True),
    Conv2dCase("panels of filters, stride 2", (2, 5, 9, 8), (16, 5, 3, 2), 2, 1, bias=True),
    Conv2dCase("wide rows", (2, 3, 7, 37), (7, 3, 3, 3), padding=1, bias=True),
    Conv2dCase("wide rows, groups", (2, 4, 5, 60), (28, 2, 2, 3), (1, 2), groups=2, bias=True),
    Conv2dCase("wide rows, dilated", (1, 2, 9, 50), (3, 2, 3, 3), 1, 2, (2, 3), bias=True),
    Conv2dCase("few channels, stride 2", (1, 3, 30, 34), (20, 3, 5, 5), 2, (0, 2)),
    Conv2dCase("few filters, strides", (2, 3, 21, 25), (5, 3, 3, 4), (2, 3), 1, bias=True),
    Conv2dCase("LeNet 1", (64, 1, 28, 28), (6, 1, 5, 5), padding=2, size="large"),
    Conv2dCase("LeNet 2", (64, 6, 14, 14), (16, 6, 5, 5), size="large"),
    Conv2dCase("ConvNet 1, 28x28", (64, 1, 28, 28), (32, 1, 3, 3), padding=1, size="large"),
    Conv2dCase("ConvNet 2, 14x14", (64, 32, 14, 14), (64, 32, 3, 3), padding=1, size="large"),
    Conv2dCase("ConvNet 1, 32x32", (128, 3, 32, 32), (32, 3, 3, 3), padding=1, size="large"),
    Conv2dCase("ConvNet 2, 32x32", (128, 32, 32, 32), (64, 32, 3, 3), padding=1, size="large"),
    Conv2dCase("AlexNet 1", (32, 3, 224, 224), (64, 3, 11, 11), stride=4, padding=2, size="large"),
    Conv2dCase("AlexNet 2", (32, 64, 27, 27), (192, 64, 5, 5), padding=2, size="large"),
    Conv2dCase("AlexNet 3", (32, 192, 13, 13), (384, 192, 3, 3), padding=1, size="large"),
    Conv2dCase("AlexNet 4", (32, 384, 13, 13), (256, 384, 3, 3), padding=1, size="large"),
    Conv2dCase("AlexNet 5", (32, 256, 13, 13), (256, 256, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 1_1", (8, 3, 224, 224), (64, 3, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 1_2", (8, 64, 224, 224), (64, 64, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 2_1", (8, 64, 112, 112), (128, 64, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 2_2", (8, 128, 112, 112), (128, 128, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 3_1", (8, 128, 56, 56), (256, 128, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 3_2", (8, 256, 56, 56), (256, 256, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 4_1", (8, 256, 28, 28), (512, 256, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 4_2", (8, 512, 28, 28), (512, 512, 3, 3), padding=1, size="large"),
    Conv2dCase("VGG 5", (8, 512, 14, 14), (512, 512, 3, 3), padding=1, size="large"),
    Conv2dCase("ResNet 1", (8, 3, 224, 224), (64, 3, 7, 7), 2, 3, size="large"),
    Conv2dCase("bottleneck 1x1", (8, 256, 56, 56), (64, 256, 1, 1), size="large"),
    Conv2dCase("bottleneck 1x1, wider", (8, 64, 56, 56), (256, 64, 1, 1), size="large"),
    Conv2dCase("1x1 stride 2", (8, 256, 56, 56), (512, 256, 1, 1), 2, size="large"),
    Conv2dCase("downsampling", (8, 128, 56, 56), (128, 128, 3, 3), 2, 1, size="large"),
]
