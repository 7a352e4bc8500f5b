"""What to train, on what, and how: all that must be known to do it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

SCHEDULES = ("one-cycle", "plateau", "constant")


class UserError(ValueError):
    """What was asked for cannot be done; the message is a sentence for the person who asked."""


@dataclass(frozen=True)
class Config:
    """The choices of one training. The defaults train ConvNet on the clothes in this package.

    lr: the highest learning rate of the schedule; None takes the optimizer's usual one.
    schedule: "one-cycle" goes up and down over the whole training, "plateau" divides by 10 when
        the test loss has not fallen for five epochs, "constant" stays.
    micro_batch: images that are in the network at once; the gradients of a batch's parts are added
        up. None: the whole batch.
    image_size: side of the images; None: the data's own, or the network's usual one for a folder.
    workers: processes that decode a folder's images.
    resplit: deal out a folder without train/ and test/ anew for each epoch.
    per_class: train on the first so many images of each class only.
    start: the folder of a run whose weights to start from, where names and shapes agree.
    freeze: parts of the network (comma-separated, such as "features") that are not trained.
    """

    model: str = "convnet"
    data: str = "clothes"
    epochs: int = 8
    batch_size: int = 64
    optimizer: str = "adamw"
    lr: float | None = None
    seed: int = 0
    device: str = "cpu"
    schedule: str = "one-cycle"
    micro_batch: int | None = None
    image_size: int | None = None
    workers: int = 2
    resplit: bool = False
    per_class: int | None = None
    start: str | None = None
    freeze: str | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UserError(f"epochs must be at least 1, not {self.epochs}.")
        if self.batch_size < 1:
            raise UserError(f"The batch size must be at least 1, not {self.batch_size}.")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise UserError(f"The learning rate must be positive and finite, not {self.lr}.")
        if self.schedule not in SCHEDULES:
            raise UserError(
                f"There is no schedule called {self.schedule!r}; there are {', '.join(SCHEDULES)}."
            )
        for name in ("micro_batch", "image_size", "per_class"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}.")

    def to_dict(self) -> dict[str, Any]:
        """The choices by name, for config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """The choices from config.json; names that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
