"""Networks by name.  Each takes `in_channels`, `image_size` and `num_classes`."""

from __future__ import annotations

from typing import Any

from ..nn import Module
from .convnet import ConvNet
from .lenet5 import LeNet5
from .mlp import MLP

__all__ = ["MLP", "ConvNet", "LeNet5", "get_model", "list_models"]

_MODELS: dict[str, type[Module]] = {"convnet": ConvNet, "lenet5": LeNet5, "mlp": MLP}


def list_models() -> list[str]:
    """The names that `get_model` knows."""
    return sorted(_MODELS)


def get_model(name: str, **config: Any) -> Module:
    """A new network by its name (in any case); the keywords are its constructor's."""
    model = _MODELS.get(name.lower())
    if model is None:
        raise ValueError(f"Unknown model {name}; there are: {', '.join(list_models())}")
    return model(**config)
