"""The networks, optimizers and devices that a training can ask for by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import models, optim
from ..device import check_device, device
from .config import Config, UserError
from .data import Data

# what a network gets beyond the sizes that the data asks for
MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "convnet": {"batch_norm": True, "dropout": 0.25, "hidden": None},
    # the paper's own start is made for its thousand classes: docs/train.md
    "alexnet": {"start": "he"},
}


# the side of a folder's images, where it is not 32
USUAL_SIZE = {"lenet5": 32, "inception_v3": 299} | {
    name: 224 for name in models.list_models() if name.startswith(("alexnet", "vgg", "resnet"))
}

# As published, where docs/train.md does not say otherwise. A batch goes through the network in
# parts, to fit into memory.
PUBLISHED: dict[str, dict[str, Any]] = {
    # Krizhevsky, Sutskever, Hinton 2012, section 5: about 90 epochs
    "alexnet": {"epochs": 90, "batch_size": 128, "micro_batch": 32},
    # Simonyan, Zisserman 2015, section 3.1: 74 epochs
    "vgg": {"epochs": 74, "batch_size": 256, "micro_batch": 8},
}
# both papers: momentum 0.9, weight decay 0.0005, learning rate 0.01, divided by 10 on a plateau
AS_PUBLISHED = {"optimizer": "momentum", "schedule": "plateau"}


def configure(choices: dict[str, Any]) -> Config:
    """The configuration with these choices, and the published recipe for what they leave open."""
    model = str(choices.get("model", "")).lower()
    for family, recipe in PUBLISHED.items():
        if model.startswith(family):
            choices = recipe | AS_PUBLISHED | choices
    return Config(**choices)


def image_size(config: Config) -> int | None:
    """The side of the images; None for the data's own."""
    if config.image_size is not None or not config.data.startswith("folder:"):
        return config.image_size
    return USUAL_SIZE.get(config.model.lower(), 32)


def _sgd(parameters: Iterable[Any], lr: float) -> Any:
    return optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)


def _momentum(parameters: Iterable[Any], lr: float) -> Any:
    return optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=5e-4)


# name: (how it is made, the learning rate it gets unless told otherwise)
OPTIMIZERS: dict[str, tuple[Any, float]] = {
    "adamw": (optim.AdamW, 2e-3),
    "adam": (optim.Adam, 2e-3),
    "sgd": (_sgd, 0.05),
    "momentum": (_momentum, 0.01),
}


class Constant:
    """A schedule that changes nothing."""

    def step(self) -> None:
        """A batch is done."""


def architecture(config: Config, data: Data) -> dict[str, Any]:
    """The arguments of the configured network's constructor, for images like the data's."""
    channels, height, width = data.shape
    return {
        "in_channels": channels,
        "image_size": height if height == width else (height, width),
        "num_classes": len(data.classes),
        **MODEL_OPTIONS.get(config.model.lower(), {}),
    }


def build_model(name: str, arguments: dict[str, Any]) -> Any:
    """The network of that name. Raises UserError for a name or arguments that it does not take."""
    try:
        return models.get_model(name, **arguments)
    except (ValueError, TypeError) as error:
        raise UserError(f"{error}.") from None


def learning_rate(config: Config) -> float:
    """The configured learning rate, or the optimizer's usual one.

    Raises UserError for an unknown optimizer.
    """
    if config.optimizer not in OPTIMIZERS:
        raise UserError(
            f"There is no optimizer called {config.optimizer!r}; there are {', '.join(OPTIMIZERS)}."
        )
    return OPTIMIZERS[config.optimizer][1] if config.lr is None else config.lr


def build_optimizer(config: Config, model: Any, steps: int) -> tuple[Any, Any]:
    """The optimizer of what is not frozen, and what changes its learning rate after each step."""
    lr = learning_rate(config)
    make, _ = OPTIMIZERS[config.optimizer]
    optimizer = make([p for p in model.parameters() if p.requires_grad], lr=lr)
    if config.schedule != "one-cycle":
        return optimizer, Constant()
    return optimizer, optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)


def build_plateau(config: Config, optimizer: Any) -> Any:
    """What changes the learning rate after each epoch's test, by its loss; None if nothing does."""
    if config.schedule != "plateau":
        return None
    return optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=5)


def resolve_device(name: str) -> device:
    """The device of that name. Raises UserError with the reason if it cannot be used."""
    try:
        return check_device(name)
    except RuntimeError as error:
        raise UserError(str(error)) from None


def check_fits(data: Data, shape: tuple[int, int, int], classes: tuple[str, ...]) -> None:
    """Raises UserError unless the data's images and classes are those a network was made for."""
    if data.shape != shape:
        raise UserError(
            f"The network takes images (C, H, W) = {shape}, but those of {data.name} are "
            f"{data.shape}."
        )
    if data.classes != classes:
        raise UserError(
            f"The network knows {', '.join(classes)}; {data.name} has {', '.join(data.classes)}."
        )
