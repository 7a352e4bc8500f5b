"""What to train, on what, and how: all that must be known to do it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


class UserError(ValueError):
    """What was asked for cannot be done; the message is a sentence for the person who asked."""


@dataclass(frozen=True)
class Config:
    """The choices of one training. The defaults train ConvNet on the clothes in this package.

    lr: the highest learning rate of the one-cycle schedule; None takes the optimizer's usual one.
    """

    model: str = "convnet"
    data: str = "clothes"
    epochs: int = 8
    batch_size: int = 64
    optimizer: str = "adamw"
    lr: float | None = None
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UserError(f"epochs must be at least 1, not {self.epochs}.")
        if self.batch_size < 1:
            raise UserError(f"The batch size must be at least 1, not {self.batch_size}.")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise UserError(f"The learning rate must be positive and finite, not {self.lr}.")

    def to_dict(self) -> dict[str, Any]:
        """The choices by name, for config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """The choices from config.json; names that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
