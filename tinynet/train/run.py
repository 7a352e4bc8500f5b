"""A run: the folder with everything that a training leaves behind.

config.json          the choices, the classes, the size and normalisation of the images
metrics.jsonl        one line of JSON per finished epoch
weights.safetensors  the network after the last finished epoch
curves.png  confusion.png  mistakes.png
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import metrics, viz
from ..io import load_safetensors, save_safetensors, write_atomically
from .config import Config, UserError
from .data import Data, Number
from .loop import Evaluation
from .recipe import build_model

CONFIG, METRICS, WEIGHTS = "config.json", "metrics.jsonl", "weights.safetensors"


@dataclass(frozen=True)
class Run:
    """A run's folder and what its config.json says."""

    folder: Path
    config: Config
    architecture: dict[str, Any]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: Number
    std: Number

    @classmethod
    def create(cls, folder: Path, config: Config, architecture: dict[str, Any], data: Data) -> Run:
        """Make the folder and write config.json.

        architecture: the arguments that the network was made with.

        Raises UserError if there is something in the folder already, or it cannot be made.
        """
        run = cls(folder, config, architecture, data.classes, data.shape, data.mean, data.std)
        description = {
            "tinynet": version("tinynet"),
            **config.to_dict(),
            "architecture": architecture,
            "classes": data.classes,
            "image": {"shape": data.shape, "mean": data.mean, "std": data.std},
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise UserError(f"{folder} is not empty; choose another folder for the new run.")
            write_atomically(folder / CONFIG, json.dumps(description, indent=2).encode() + b"\n")
        except FileExistsError:
            raise UserError(f"{folder} is a file; choose a folder for the new run.") from None
        except OSError as error:
            raise UserError(f"The run cannot be written to {folder}: {error.strerror}.") from None
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run in a folder. Raises UserError if there is none."""
        path = folder / CONFIG
        if not folder.is_dir():
            raise UserError(f"There is no run {folder}: no such folder.")
        if not path.is_file():
            raise UserError(f"{folder} is not a run: it has no {CONFIG}.")
        try:
            description = json.loads(path.read_text())
            image = description["image"]
            channels, height, width = (int(n) for n in image["shape"])
            return cls(
                folder,
                Config.from_dict(description),
                dict(description["architecture"]),
                tuple(description["classes"]),
                (channels, height, width),
                _number(image["mean"]),
                _number(image["std"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is damaged or not from tinynet ({type(error).__name__}: {error})."
            ) from None

    def model(self) -> Any:
        """The trained network, in evaluation mode.

        Raises UserError if the run has no weights yet, or others than its configuration says.
        """
        path = self.folder / WEIGHTS
        if not path.is_file():
            raise UserError(f"{self.folder} has no {WEIGHTS}: no epoch of it was finished.")
        model = build_model(self.config.model, self.architecture)
        try:
            model.load_state_dict(load_safetensors(path))
        except RuntimeError as error:
            raise UserError(
                f"{path} does not hold the weights of {self.config.model}: {error}"
            ) from None
        return model.eval()

    def save_epoch(self, record: Mapping[str, Any], model: Any) -> None:
        """Write the weights and add a line to metrics.jsonl."""
        save_safetensors(model.state_dict(), self.folder / WEIGHTS)
        with open(self.folder / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def save_pictures(
        self, history: Sequence[Mapping[str, Any]], data: Data, result: Evaluation
    ) -> None:
        """Draw the learning curves, the confusion matrix and the mistakes on the test images."""
        title = f"{self.config.model} on {self.config.data}"
        target = data.test_labels
        matrix = metrics.confusion_matrix(result.probabilities, target)
        images = data.test_images
        for name, figure in (
            ("curves", viz.learning_curves(history, title)),
            ("confusion", viz.confusion(matrix, self.classes, title)),
            (
                "mistakes",
                viz.mistakes(images, target, result.probabilities, self.classes, title=title),
            ),
        ):
            viz.save(figure, self.folder / f"{name}.png")


def _number(value: Any) -> Number:
    """One number, or one for each channel."""
    return tuple(float(v) for v in value) if isinstance(value, list) else float(value)


def new_folder(config: Config, parent: Path = Path("runs")) -> Path:
    """A name for a run that is not in use: runs/convnet-clothes-20250131-235959."""
    data = config.data.partition(":")[0]
    folder = parent / f"{config.model}-{data}-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 2
    candidate = folder
    while candidate.exists():
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate
