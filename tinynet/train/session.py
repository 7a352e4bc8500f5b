"""One training from the first epoch to the pictures, and what can be watched of it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import random, viz
from .config import Config, UserError
from .data import Batches, Data, load_data
from .loop import Evaluation, evaluate_batches, train_batches
from .recipe import (
    architecture,
    build_model,
    build_optimizer,
    build_plateau,
    image_size,
    learning_rate,
    resolve_device,
)
from .run import Run, new_folder
from .transfer import freeze, start_from

TEST_BATCH = 250


@dataclass(frozen=True)
class Plan:
    """What is about to be done; frozen: how many of the parameters are not trained."""

    config: Config
    lr: float
    model: Any
    parameters: int
    data: Data
    folder: Path
    frozen: int = 0


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
    data = load_data(
        config.data,
        image_size=image_size(config),
        per_class=config.per_class,
        seed=config.seed,
        workers=config.workers,
        resplit=config.resplit,
    )
    random.manual_seed(config.seed)
    sizes = architecture(config, data)
    model = build_model(config.model, sizes).to(device)
    if config.start is not None:
        start_from(model, Run.open(Path(config.start)).model().state_dict())
    frozen = freeze(model, config.freeze.split(",")) if config.freeze else 0
    steps = config.epochs * math.ceil(data.train_size / config.batch_size)
    optimizer, schedule = build_optimizer(config, model, steps)
    plateau = build_plateau(config, optimizer)
    run = Run.create(out or new_folder(config), config, sizes, data)

    def placed(batches: Batches) -> Batches:
        return ((x.to(device), y.to(device)) for x, y in batches)

    parameters = sum(p.numel() for p in model.parameters())
    report.begin(Plan(config, peak, model, parameters, data, run.folder, frozen))

    history: list[EpochRecord] = []
    result: Evaluation | None = None
    try:
        for epoch in range(1, config.epochs + 1):
            started = time.perf_counter()
            lr = optimizer.param_groups[0]["lr"]
            loss, accuracy = train_batches(
                model,
                optimizer,
                schedule,
                placed(data.train_batches(config.batch_size)),
                lambda *so_far, epoch=epoch: report.batch(epoch, *so_far),
                config.micro_batch,
            )
            seconds = time.perf_counter() - started
            if not math.isfinite(loss):
                raise UserError(
                    f"The loss is {loss} in epoch {epoch}: the training has diverged. Try a lower "
                    f"learning rate than {peak}."
                )
            tested = evaluate_batches(
                model, placed(data.test_batches(config.micro_batch or TEST_BATCH))
            )
            if plateau is not None:
                plateau.step(tested.loss)
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
