"""`tinynet evaluate` and `tinynet predict`: using a finished run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from ..autograd.tape import wrap
from ..datasets import normalise
from ..io import read_image
from ..metrics import confusion_matrix
from ..nn import functional as F
from ..train import Run, load_data, resolve_device
from ..train.loop import evaluate, predict
from ..train.recipe import check_fits
from .output import on_terminal, plain, sentences, set_threads

BAR = 30
FINE, PLAIN = "▏▎▍▌▋▊▉█", "#"


def run_evaluation(
    folder: str, data_name: str | None, device_name: str, threads: int | None
) -> None:
    """Print the accuracy on the test images, and that of each class."""
    with sentences():
        set_threads(threads)
        device = resolve_device(device_name)
        run = Run.open(Path(folder))
        model = run.model().to(device)
        data = load_data(data_name or run.config.data, (run.mean, run.std))
        check_fits(data, run.shape, run.classes)
        result = evaluate(model, data.x_test.to(device), data.y_test.to(device))
    matrix = confusion_matrix(result.probabilities, data.y_test.numpy())
    counts = matrix.sum(axis=1)
    shares = np.diag(matrix) / np.maximum(counts, 1)
    if not on_terminal():
        plain(test_accuracy=result.accuracy, test_loss=result.loss, images=len(data.x_test))
        for name, share, count in zip(run.classes, shares, counts, strict=True):
            plain(class_accuracy=float(share), images=count, name=name)
        return
    click.echo(
        f"{run.config.model} on {data.name}: {result.accuracy:.1%} of {len(data.x_test):,} test "
        f"images right, loss {result.loss:.3f}"
    )
    for line in bars(run.classes, shares):
        click.echo(line)


def run_prediction(
    folder: str, images: Sequence[str], top: int, invert: bool | None, device_name: str
) -> None:
    """Print the likeliest classes of each image; nothing is printed unless all can be read."""
    with sentences():
        device = resolve_device(device_name)
        run = Run.open(Path(folder))
        model = run.model().to(device)
        read = [read_image(path, run.shape, invert=invert) for path in images]
        x = wrap(normalise(np.stack([pixels for pixels, _ in read]), run.mean, run.std))
        probabilities = F.softmax(predict(model, x.to(device)), dim=1).cpu().numpy()
    for path, row, (_, inverted) in zip(images, probabilities, read, strict=True):
        best = np.argsort(-row, kind="stable")[:top]
        if on_terminal():
            click.echo(path + ("  (light and dark exchanged)" if inverted else ""))
            for line in bars([run.classes[i] for i in best], row[best]):
                click.echo(line)
            continue
        for rank, i in enumerate(best, start=1):
            plain(
                image=path,
                rank=rank,
                probability=float(row[i]),
                name=run.classes[i],
                inverted="yes" if inverted else "no",
            )


def bars(names: Sequence[str], shares: Sequence[float] | np.ndarray) -> Iterator[str]:
    """A line with a bar for each share between 0 and 1."""
    width = max(len(name) for name in names)
    steps = FINE if encodable(FINE) else PLAIN
    for name, share in zip(names, shares, strict=True):
        full, part = divmod(round(float(share) * BAR * len(steps)), len(steps))
        bar = steps[-1] * full + (steps[part - 1] if part else "")
        yield f"  {name:<{width}}  {bar:<{BAR}}  {share:6.1%}"


def encodable(text: str) -> bool:
    """True if the terminal has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
