"""Networks by name, one file per paper.

Each takes `in_channels`, `image_size` and `num_classes`, and refuses images that are too small for
it with a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import parity as _parity
from ..nn import Module
from .alexnet import AlexNet
from .convnet import ConvNet
from .densenet import DenseNet, densenet121, densenet161, densenet169, densenet201
from .inception import Inception3, InceptionOutputs, inception_v3
from .lenet5 import LeNet5
from .mlp import MLP
from .mobilenet_v2 import MobileNetV2, mobilenet_v2
from .one_weird_trick import AlexNetOWT, alexnet
from .perceptron import Perceptron
from .resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from .squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from .summary import Summary, summarize
from .vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)

__all__ = [
    "MLP",
    "VGG",
    "AlexNet",
    "AlexNetOWT",
    "ConvNet",
    "DenseNet",
    "Inception3",
    "InceptionOutputs",
    "LeNet5",
    "MobileNetV2",
    "Perceptron",
    "ResNet",
    "SqueezeNet",
    "Summary",
    "alexnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "get_model",
    "image_shape",
    "inception_v3",
    "list_models",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "squeezenet1_0",
    "squeezenet1_1",
    "summarize",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

# name: (how it is made, (C, H, W) of the images that its defaults are for)
_MODELS: dict[str, tuple[Callable[..., Module], tuple[int, int, int]]] = {
    "alexnet": (AlexNet, (3, 224, 224)),
    "alexnet_owt": (alexnet, (3, 224, 224)),
    "convnet": (ConvNet, (3, 32, 32)),
    "densenet121": (densenet121, (3, 224, 224)),
    "densenet161": (densenet161, (3, 224, 224)),
    "densenet169": (densenet169, (3, 224, 224)),
    "densenet201": (densenet201, (3, 224, 224)),
    "inception_v3": (inception_v3, (3, 299, 299)),
    "lenet5": (LeNet5, (1, 28, 28)),
    "mlp": (MLP, (3, 32, 32)),
    "mobilenet_v2": (mobilenet_v2, (3, 224, 224)),
    "perceptron": (Perceptron, (1, 28, 28)),
    "resnet101": (resnet101, (3, 224, 224)),
    "resnet152": (resnet152, (3, 224, 224)),
    "resnet18": (resnet18, (3, 224, 224)),
    "resnet34": (resnet34, (3, 224, 224)),
    "resnet50": (resnet50, (3, 224, 224)),
    "resnext101_32x8d": (resnext101_32x8d, (3, 224, 224)),
    "resnext101_64x4d": (resnext101_64x4d, (3, 224, 224)),
    "resnext50_32x4d": (resnext50_32x4d, (3, 224, 224)),
    "squeezenet1_0": (squeezenet1_0, (3, 224, 224)),
    "squeezenet1_1": (squeezenet1_1, (3, 224, 224)),
    "vgg11": (vgg11, (3, 224, 224)),
    "vgg11_bn": (vgg11_bn, (3, 224, 224)),
    "vgg13": (vgg13, (3, 224, 224)),
    "vgg13_bn": (vgg13_bn, (3, 224, 224)),
    "vgg16": (vgg16, (3, 224, 224)),
    "vgg16_bn": (vgg16_bn, (3, 224, 224)),
    "vgg19": (vgg19, (3, 224, 224)),
    "vgg19_bn": (vgg19_bn, (3, 224, 224)),
    "wide_resnet101_2": (wide_resnet101_2, (3, 224, 224)),
    "wide_resnet50_2": (wide_resnet50_2, (3, 224, 224)),
}


def list_models() -> list[str]:
    """The names that `get_model` knows."""
    return sorted(_MODELS)


def get_model(name: str, **config: Any) -> Module:
    """A new network by its name (in any case); the keywords are its constructor's.

    "alexnet" is the network of 2012, "alexnet_owt" the one that torchvision calls alexnet.
    """
    make, _ = _entry(name)
    return make(**config)


def image_shape(name: str) -> tuple[int, int, int]:
    """(C, H, W) of the images that the network of this name takes unless told otherwise."""
    return _entry(name)[1]


def _entry(name: str) -> tuple[Callable[..., Module], tuple[int, int, int]]:
    if name.lower() not in _MODELS:
        raise ValueError(f"Unknown model {name}; there are: {', '.join(list_models())}")
    return _MODELS[name.lower()]


__getattr__ = _parity.module_getattr(__name__)
