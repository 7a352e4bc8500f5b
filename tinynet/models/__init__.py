"""Networks by name, one file per paper.

Each takes `in_channels`, `image_size` and `num_classes`, and refuses images that are too small for
it with a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..nn import Module
from .alexnet import AlexNet
from .convnet import ConvNet
from .inception import Inception3, InceptionOutputs, inception_v3
from .lenet5 import LeNet5
from .mlp import MLP
from .one_weird_trick import AlexNetOWT, alexnet
from .perceptron import Perceptron
from .resnet import ResNet, resnet18, resnet34, resnet50
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
    "Inception3",
    "InceptionOutputs",
    "LeNet5",
    "Perceptron",
    "ResNet",
    "alexnet",
    "get_model",
    "inception_v3",
    "list_models",
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

_MODELS: dict[str, Callable[..., Module]] = {
    "alexnet": AlexNet,
    "alexnet_owt": alexnet,
    "convnet": ConvNet,
    "inception_v3": inception_v3,
    "lenet5": LeNet5,
    "mlp": MLP,
    "perceptron": Perceptron,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "vgg11": vgg11,
    "vgg11_bn": vgg11_bn,
    "vgg13": vgg13,
    "vgg13_bn": vgg13_bn,
    "vgg16": vgg16,
    "vgg16_bn": vgg16_bn,
    "vgg19": vgg19,
    "vgg19_bn": vgg19_bn,
}


def list_models() -> list[str]:
    """The names that `get_model` knows."""
    return sorted(_MODELS)


def get_model(name: str, **config: Any) -> Module:
    """A new network by its name (in any case); the keywords are its constructor's.

    "alexnet" is the network of 2012, "alexnet_owt" the one that torchvision calls alexnet.
    """
    model = _MODELS.get(name.lower())
    if model is None:
        raise ValueError(f"Unknown model {name}; there are: {', '.join(list_models())}")
    return model(**config)
