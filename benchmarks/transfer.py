"""Transfer learning: what frozen features save, and what features from other classes are worth.

    python benchmarks/transfer.py [--seeds 4] [--output benchmarks/results/transfer.json]

First the time of a training step and the bytes that backward remembers, with all of a network
trained and with its features frozen.

Then three kinds of clothes are to be told apart from two or five labelled images each, after 4 and
16 passes over them, by a narrow VGG-11 with batch norm: from scratch, and from one that was trained
on the other seven kinds, with its features frozen or trained on. Each figure is the accuracy on all
test images of the three kinds, mean and standard deviation over seeds; each seed draws other
labelled images and another start.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.models import AlexNet, ConvNet, vgg11_bn
from tinynet.models.summary import summarize
from tinynet.nn import functional as F
from tinynet.train import (
    Config,
    ImageData,
    build_optimizer,
    evaluate_batches,
    freeze,
    load_data,
    start_from,
    train_batches,
)
from tinynet.train.loop import training_mode

# the kinds to be told apart, by their numbers in Fashion-MNIST; the other seven are learnt first
TARGETS = ((0, 2, 9), (1, 4, 7), (3, 5, 8))
LABELS = (2, 5)
PASSES = (4, 16)
SOURCE_PASSES = 3
WAYS: dict[str, dict[str, bool]] = {
    "from scratch": {"start": False, "frozen": False},
    "features frozen": {"start": True, "frozen": True},
    "features trained on": {"start": True, "frozen": False},
}


def savings() -> list[dict[str, Any]]:
    """What freezing saves in one step: seconds (median of five) and bytes remembered."""
    rows = []
    for name, make, size, batch in (
        ("ConvNet", lambda: ConvNet(1, 28, batch_norm=True), (1, 28, 28), 64),
        ("AlexNet", lambda: AlexNet(10), (3, 224, 224), 8),
    ):
        for frozen in (False, True):
            model = make()
            if frozen:
                freeze(model, ["features"])
            training_mode(model)
            x, y = tn.randn(batch, *size), tn.zeros(batch, dtype=tn.int64)
            seconds = []
            for _ in range(6):
                started = time.perf_counter()
                model.zero_grad()
                F.cross_entropy(model(x), y).backward()
                seconds.append(time.perf_counter() - started)
            rows.append(
                {
                    "network": name,
                    "batch": batch,
                    "frozen": frozen,
                    "seconds": statistics.median(seconds[1:]),
                    "remembered_bytes": summarize(model, size, batch).backward_bytes,
                }
            )
    return rows


def some_of(data: ImageData, classes: Any, labels: int | None = None, seed: int = 0) -> ImageData:
    """These classes only, and of their training images so many each, drawn by the seed."""
    random = np.random.default_rng(seed)

    def rows(y: tn.Tensor, count: int | None) -> np.ndarray:
        each = [np.flatnonzero(y.numpy() == c) for c in classes]
        return np.concatenate(
            [found if count is None else random.choice(found, count, False) for found in each]
        )

    def renumbered(y: tn.Tensor) -> tn.Tensor:
        return tn.tensor(np.searchsorted(classes, y.numpy()))

    train, test = rows(data.y_train, labels), rows(data.y_test, None)
    return replace(
        data,
        classes=tuple(data.classes[c] for c in classes),
        x_train=data.x_train[train],
        y_train=renumbered(data.y_train[train]),
        x_test=data.x_test[test],
        y_test=renumbered(data.y_test[test]),
    )


def learn(
    data: ImageData,
    passes: int,
    seed: int,
    features: dict[str, Any] | None = None,
    frozen: bool = False,
    batch_size: int = 5,
) -> tuple[Any, float]:
    """The narrow VGG trained on the data, and its test accuracy."""
    tn.manual_seed(seed)
    model = vgg11_bn(
        len(data.classes),
        in_channels=1,
        image_size=32,
        channels=(16, 32, 48, 64, 64),
        hidden=64,
        dropout=0.0,
    )
    if features is not None:
        start_from(model, features)
    if frozen:
        freeze(model, ["features"])
    config = Config(epochs=passes, batch_size=batch_size)
    steps = passes * -(-data.train_size // batch_size)
    optimizer, schedule = build_optimizer(config, model, steps)
    for _ in range(passes):
        train_batches(model, optimizer, schedule, data.train_batches(batch_size))
    return model, evaluate_batches(model, data.test_batches(250)).accuracy


def features_of(data: ImageData, classes: Any, seed: int) -> dict[str, Any]:
    """The features learnt from all images of these classes."""
    teacher, accuracy = learn(some_of(data, classes), SOURCE_PASSES, seed, batch_size=64)
    print(f"  {accuracy:.1%} of the other {len(classes)} kinds' test images are right")
    return {n: t for n, t in teacher.state_dict().items() if n.startswith("features")}


def gains(seeds: int) -> list[dict[str, Any]]:
    """The accuracy of each way, for each target, number of labels and of passes."""
    data = load_data("clothes", image_size=32)
    rows = []
    for split, target in enumerate(TARGETS):
        names = [data.classes[c] for c in target]
        print(f"\n{', '.join(names)}")
        features = features_of(data, [c for c in range(10) if c not in target], split)
        print(f"  {'labels':>8}{'passes':>8}" + "".join(f"{way:>22}" for way in WAYS))
        for labels in LABELS:
            for passes in PASSES:
                cells = []
                for way, how in WAYS.items():
                    scores = [
                        learn(
                            some_of(data, target, labels, seed),
                            passes,
                            seed,
                            features if how["start"] else None,
                            how["frozen"],
                        )[1]
                        for seed in range(seeds)
                    ]
                    mean, spread = statistics.mean(scores), statistics.stdev(scores)
                    cells.append(f"{mean:>13.1%} ± {spread:>6.1%}")
                    rows.append(
                        {
                            "classes": names,
                            "labels": labels,
                            "passes": passes,
                            "way": way,
                            "accuracy": mean,
                            "deviation": spread,
                            "scores": scores,
                        }
                    )
                print(f"  {labels:>8}{passes:>8}" + "".join(cells), flush=True)
    return rows


def main() -> None:
    """Print both tables, and write them to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="trainings per figure")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    saved = savings()
    print(f"{'a training step':<32}{'seconds':>10}{'remembered':>14}")
    for row in saved:
        name = f"{row['network']}, {row['batch']} images{', frozen' if row['frozen'] else ''}"
        print(f"{name:<32}{row['seconds']:>10.4f}{row['remembered_bytes'] / 2**20:>10.2f} MiB")
    found = gains(options.seeds)
    if options.output is not None:
        machine = {
            "processor": platform.processor() or platform.machine(),
            "system": platform.system(),
        }
        text = json.dumps({"machine": machine, "savings": saved, "gains": found}, indent=1)
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
