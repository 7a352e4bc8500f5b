"""The networks, optimizers and devices that a training can ask for by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import kernels, models, optim
from ..device import check_device, device
from .config import Config, UserError
from .data import ImageData

# what a network gets beyond the sizes that the data asks for
MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "convnet": {"batch_norm": True, "dropout": 0.25, "hidden": None},
}


def _sgd(parameters: Iterable[Any], lr: float) -> Any:
    return optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)


# name: (how it is made, the learning rate it gets unless told otherwise)
OPTIMIZERS: dict[str, tuple[Any, float]] = {
    "adamw": (optim.AdamW, 2e-3),
    "adam": (optim.Adam, 2e-3),
    "sgd": (_sgd, 0.05),
}


def architecture(config: Config, data: ImageData) -> dict[str, Any]:
    """The arguments of the configured network's constructor, for images like the data's."""
    channels, height, width = data.shape
    return {
        "in_channels": channels,
        "image_size": height if height == width else (height, width),
        "num_classes": len(data.classes),
        **MODEL_OPTIONS.get(config.model, {}),
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
    """The optimizer, and the schedule that takes its learning rate up and down over `steps`."""
    lr = learning_rate(config)
    make, _ = OPTIMIZERS[config.optimizer]
    optimizer = make(model.parameters(), lr=lr)
    return optimizer, optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)


def resolve_device(name: str) -> device:
    """The device of that name. Raises UserError with the reason if it cannot be used."""
    try:
        place = check_device(name)
    except RuntimeError as error:
        raise UserError(str(error)) from None
    if place.type == "cuda" and "cuda" not in kernels.BACKENDS:
        raise UserError("This version of tinynet has no CUDA kernels; use device cpu.")
    return place


def check_fits(data: ImageData, shape: tuple[int, int, int], classes: tuple[str, ...]) -> None:
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
