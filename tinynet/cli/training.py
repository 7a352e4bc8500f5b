"""`tinynet train`: what is seen of a training, on a terminal and elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..train import EpochRecord, Plan, Report, Run, configure, peak_memory, train
from . import INTERRUPTED
from .output import on_terminal, plain, sentences, set_threads


def run_training(choices: dict[str, Any], threads: int | None, out: str | None) -> int:
    """Train, report, and return the exit code."""
    with sentences():
        threads = set_threads(threads)
        config = configure(choices)
        report = TerminalReport(threads) if on_terminal() else PlainReport(threads)
        try:
            with announcing(report), report:
                run, history = train(config, Path(out) if out else None, report)
        except KeyboardInterrupt:
            report.interrupted()
            return INTERRUPTED
    report.end(run, history)
    return 0


class CommandReport(Report):
    """A report that can be entered and left, and knows what a training saved."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.plan: Plan | None = None
        self.finished = 0

    def __enter__(self) -> CommandReport:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def begin(self, plan: Plan) -> None:
        self.plan = plan

    def epoch(self, record: EpochRecord) -> None:
        self.finished = record.epoch

    def compiling(self, kernel: str) -> None:
        """A kernel is about to be compiled."""

    def interrupted(self) -> None:
        """The user pressed Ctrl-C."""
        if self.plan is None:
            click.echo("tinynet: interrupted before the training began.", err=True)
        elif not self.finished:
            click.echo(
                "tinynet: interrupted before the first epoch was finished; there is nothing but "
                f"the configuration in {self.plan.folder}.",
                err=True,
            )
        else:
            click.echo(
                f"tinynet: interrupted; epochs 1 to {self.finished} are saved in "
                f"{self.plan.folder}.",
                err=True,
            )

    def end(self, run: Run, history: list[EpochRecord]) -> None:
        """All is done and saved."""


@contextlib.contextmanager
def announcing(report: CommandReport) -> Iterator[None]:
    """Tell the report of every kernel that is compiled meanwhile."""
    from ..kernels import jit

    undo = jit.on_compile(lambda kernel, why: report.compiling(kernel))
    try:
        yield
    finally:
        undo()


class PlainReport(CommandReport):
    """Lines of `name value` pairs."""

    announced = False

    def begin(self, plan: Plan) -> None:
        super().begin(plan)
        config, data = plan.config, plan.data
        plain(model=config.model, parameters=plan.parameters)
        plain(
            data=config.data,
            train=data.train_size,
            test=len(data.test_labels),
            classes=len(data.classes),
            image="x".join(map(str, data.shape)),
        )
        plain(
            optimizer=config.optimizer,
            lr=f"{plan.lr:g}",
            batch_size=config.batch_size,
            epochs=config.epochs,
            **({} if config.micro_batch is None else {"micro_batch": config.micro_batch}),
        )
        if config.start is not None or plan.frozen:
            plain(start=config.start or "anew", frozen=plan.frozen)
        plain(device=config.device, threads=self.threads, seed=config.seed)

    def compiling(self, kernel: str) -> None:
        if not self.announced:
            click.echo("compiling the CPU kernels, once for this machine", err=True)
            self.announced = True

    def epoch(self, record: EpochRecord) -> None:
        super().epoch(record)
        plain(
            epoch=record.epoch,
            loss=record.loss,
            train_accuracy=record.train_accuracy,
            test_loss=record.test_loss,
            test_accuracy=record.test_accuracy,
            seconds=f"{record.seconds:.2f}",
        )

    def no_pictures(self, reason: str) -> None:
        click.echo(f"tinynet: {reason}", err=True)

    def end(self, run: Run, history: list[EpochRecord]) -> None:
        peak = peak_memory()
        if peak is not None:
            plain(peak_memory_mib=round(peak / 2**20))
        plain(test_accuracy=history[-1].test_accuracy)
        plain(saved=run.folder)


class TerminalReport(CommandReport):
    """A progress bar under a growing table."""

    COLUMNS = (
        ("epoch", 7),
        ("loss", 9),
        ("accuracy", 11),
        ("test loss", 12),
        ("test accuracy", 16),
        ("seconds", 10),
    )

    def __init__(self, threads: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__(threads)
        self.console = Console(highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            TextColumn("{task.fields[pace]}", style="dim"),
            TimeRemainingColumn(compact=True),
            TextColumn("left", style="dim"),
            console=self.console,
            transient=True,
            expand=True,
        )
        self.reason: str | None = None
        self.compiled = 0

    def __exit__(self, *exc: object) -> None:
        self.progress.stop()

    def begin(self, plan: Plan) -> None:
        super().begin(plan)
        config, data = plan.config, plan.data
        channels, height, width = data.shape
        self._fact("model", f"{config.model}, {plan.parameters:,} parameters")
        self._fact(
            "data",
            f"{config.data}: {data.train_size:,} images to train on, {len(data.test_labels):,} "
            f"to test, {height}x{width}x{channels}, {len(data.classes)} classes",
        )
        self._fact(
            "training",
            f"{config.epochs} epochs, batches of {config.batch_size}, {config.optimizer}, "
            f"learning rate up to {plan.lr:g}",
        )
        if config.micro_batch is not None:
            self._fact("", f"{config.micro_batch} images in the network at once")
        if config.start is not None or plan.frozen:
            start = f"from {config.start}" if config.start else "anew"
            self._fact("start", f"{start}, {plan.frozen:,} parameters frozen")
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        self._fact("device", f"{config.device}, {threads}, seed {config.seed}")
        self.console.print()
        self.console.print("".join(f"{name:>{width}}" for name, width in self.COLUMNS), style="dim")
        self.task = self.progress.add_task(
            f"epoch 1/{config.epochs}",
            total=config.epochs * data.train_size,
            figures="",
            pace="",
        )
        self.progress.start()

    def _fact(self, name: str, value: str, style: str = "") -> None:
        from rich.text import Text

        text = Text.assemble((f"{name:>9}  ", "dim"), (value, style))
        # a folder's name that is broken into two lines cannot be copied
        self.console.print(text, soft_wrap=True)

    def compiling(self, kernel: str) -> None:
        self.compiled += 1
        if self.compiled == 1:
            self._fact("", "compiling the CPU kernels, once for this machine", "yellow")
        if self.plan is not None:
            self.progress.update(self.task, description=f"compiling {kernel}")

    def batch(self, epoch: int, images: int, loss: float, accuracy: float) -> None:
        assert self.plan is not None
        total = self.plan.data.train_size
        speed = self.progress.tasks[0].speed
        self.progress.update(
            self.task,
            completed=(epoch - 1) * total + images,
            description=f"epoch {epoch}/{self.plan.config.epochs}",
            figures=f"loss {loss:.3f}  accuracy {accuracy:.1%}",
            pace=f"{speed:,.0f} images/s" if speed else "",
        )

    def epoch(self, record: EpochRecord) -> None:
        super().epoch(record)
        cells = (
            f"{record.epoch}",
            f"{record.loss:.3f}",
            f"{record.train_accuracy:.1%}",
            f"{record.test_loss:.3f}",
            f"{record.test_accuracy:.1%}",
            f"{record.seconds:.1f}",
        )
        self.console.print(
            "".join(
                f"{cell:>{width}}" for cell, (_, width) in zip(cells, self.COLUMNS, strict=True)
            )
        )

    def no_pictures(self, reason: str) -> None:
        self.reason = reason

    def end(self, run: Run, history: list[EpochRecord]) -> None:
        self.console.print()
        self._fact(
            "test", f"{history[-1].test_accuracy:.1%} of the test images are recognised", "bold"
        )
        peak = peak_memory()
        if peak is not None:
            self._fact("memory", f"{peak / 2**20:,.0f} MiB at most")
        self._fact("saved", f"{run.folder}")
        self._fact("", ", ".join(sorted(path.name for path in run.folder.iterdir())))
        if self.reason is not None:
            self._fact("", self.reason, "yellow")
        self._fact("next", f"tinynet evaluate {run.folder}")
        self._fact("", f"tinynet predict {run.folder} IMAGE...")
