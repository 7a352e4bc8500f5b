"""`tinynet evaluate` and `tinynet predict`: using a finished run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from ..autograd.tape import wrap
from ..datasets import normalise
from ..datasets.folder import default_loader
from ..io import read_image
from ..metrics import confusion_matrix
from ..nn import functional as F
from ..ops.shape import stack
from ..train import Run, load_data, resolve_device
from ..train.data import evaluation_transform
from ..train.loop import evaluate_batches, predict
from ..train.recipe import check_fits
from ..train.session import TEST_BATCH
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
        name = data_name or run.config.data
        data = load_data(
            name,
            (run.mean, run.std),
            # a folder's images have any size, those of other data their own unless it was changed
            image_size=run.shape[1] if name.startswith("folder:") else run.config.image_size,
            seed=run.config.seed,
            workers=run.config.workers,
        )
        check_fits(data, run.shape, run.classes)
        batches = data.test_batches(run.config.micro_batch or TEST_BATCH)
        result = evaluate_batches(model, ((x.to(device), y.to(device)) for x, y in batches))
    images = len(data.test_labels)
    matrix = confusion_matrix(result.probabilities, data.test_labels)
    counts = matrix.sum(axis=1)
    shares = np.diag(matrix) / np.maximum(counts, 1)
    if not on_terminal():
        plain(test_accuracy=result.accuracy, test_loss=result.loss, images=images)
        for name, share, count in zip(run.classes, shares, counts, strict=True):
            plain(class_accuracy=float(share), images=count, name=name)
        return
    click.echo(
        f"{run.config.model} on {data.name}: {result.accuracy:.1%} of {images:,} test "
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
        if run.config.data.startswith("folder:"):
            prepare = evaluation_transform(run.shape[1], (run.mean, run.std))
            x = stack([prepare(default_loader(path)) for path in images])
            exchanged = [False] * len(images)
        else:
            read = [read_image(path, run.shape, invert=invert) for path in images]
            x = wrap(normalise(np.stack([pixels for pixels, _ in read]), run.mean, run.std))
            exchanged = [inverted for _, inverted in read]
        probabilities = F.softmax(predict(model, x.to(device)), dim=1).cpu().numpy()
    for path, row, inverted in zip(images, probabilities, exchanged, strict=True):
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
