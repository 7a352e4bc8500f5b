"""One training from the first epoch to the pictures, and what can be watched of it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import random, viz
from .config import Config, UserError
from .data import ImageData, load_data
from .loop import Evaluation, evaluate, train_epoch
from .recipe import architecture, build_model, build_optimizer, learning_rate, resolve_device
from .run import Run, new_folder


@dataclass(frozen=True)
class Plan:
    """What is about to be done."""

    config: Config
    lr: float
    model: Any
    parameters: int
    data: ImageData
    folder: Path


@dataclass(frozen=True)
class EpochRecord:
    """The figures of one epoch, a line of metrics.jsonl. Seconds are those of training alone."""

    epoch: int
    loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    lr: float
    seconds: float


class Report:
    """Watches a training; a subclass says what it wants to hear. This one keeps silent."""

    def begin(self, plan: Plan) -> None:
        """Everything is checked and made; training begins."""

    def batch(self, epoch: int, images: int, loss: float, accuracy: float) -> None:
        """So many images of this epoch are done, with this mean loss and accuracy."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is finished, tested and saved."""

    def no_pictures(self, reason: str) -> None:
        """The run has no pictures, and why."""


def train(
    config: Config, out: Path | None = None, report: Report | None = None
) -> tuple[Run, list[EpochRecord]]:
    """Train as configured, test after each epoch, and leave a run behind.

    out: the run's folder (default: a new one in runs/).
    What is finished stays if this is interrupted: after each epoch the weights and its line in
    metrics.jsonl, and on KeyboardInterrupt also the pictures of the epochs so far.
    Raises UserError if something asked for does not exist or the loss is no longer finite.
    """
    report = report or Report()
    device = resolve_device(config.device)
    peak = learning_rate(config)
    data = load_data(config.data)
    random.manual_seed(config.seed)
    sizes = architecture(config, data)
    model = build_model(config.model, sizes).to(device)
    steps = config.epochs * math.ceil(len(data.x_train) / config.batch_size)
    optimizer, schedule = build_optimizer(config, model, steps)
    run = Run.create(out or new_folder(config), config, sizes, data)
    x_train, y_train, x_test, y_test = (
        t.to(device) for t in (data.x_train, data.y_train, data.x_test, data.y_test)
    )
    parameters = sum(p.numel() for p in model.parameters())
    report.begin(Plan(config, peak, model, parameters, data, run.folder))

    history: list[EpochRecord] = []
    result: Evaluation | None = None
    try:
        for epoch in range(1, config.epochs + 1):
            started = time.perf_counter()
            lr = optimizer.param_groups[0]["lr"]
            loss, accuracy = train_epoch(
                model,
                optimizer,
                schedule,
                x_train,
                y_train,
                config.batch_size,
                lambda *so_far, epoch=epoch: report.batch(epoch, *so_far),
            )
            seconds = time.perf_counter() - started
            if not math.isfinite(loss):
                raise UserError(
                    f"The loss is {loss} in epoch {epoch}: the training has diverged. Try a lower "
                    f"learning rate than {peak}."
                )
            tested = evaluate(model, x_test, y_test)
            record = EpochRecord(epoch, loss, accuracy, tested.loss, tested.accuracy, lr, seconds)
            run.save_epoch(asdict(record), model)
            history.append(record)
            result = tested
            report.epoch(record)
    finally:
        if result is not None:
            reason = viz.missing()
            if reason is None:
                run.save_pictures([asdict(record) for record in history], data, result)
            else:
                report.no_pictures(reason)
    return run, history
