"""The command line: `tinynet train`, `tinynet evaluate RUN`, `tinynet predict RUN IMAGE...`, ...

Libraries that take long to import are imported by the commands that need them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

import click

INTERRUPTED = 130
FILE = click.Path(dir_okay=False, path_type=Path)


class CommandLine(click.Group):
    """Ends every mistake of the user's with one sentence on stderr and exit code 2."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command that the arguments name, and exit."""
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.ClickException as error:
            click.echo(f"tinynet: {error.format_message()}", err=True)
            sys.exit(2)
        except click.Abort:
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


class Sentence(click.ClickException):
    """What the user asked for cannot be done, in one sentence."""


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tinynet", message="tinynet %(version)s")
def main() -> None:
    """Train convolutional networks and use them."""


@main.command()
@click.option(
    "--model",
    default="convnet",
    show_default=True,
    help="convnet, lenet5, mlp, alexnet, vgg16, resnet18, inception_v3, ...",
)
@click.option(
    "--data",
    default="clothes",
    show_default=True,
    help="clothes or digits (in this package); mnist:FOLDER, fashion-mnist:FOLDER, cifar10:FOLDER "
    "or cifar100:FOLDER; folder:FOLDER for image files in FOLDER/train/CLASS and FOLDER/val/CLASS, "
    "or in FOLDER/CLASS, of which a fifth is kept to test.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="How often each image is shown.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images per step.")
@click.option(
    "--micro-batch",
    type=click.IntRange(min=1),
    help="Images in the network at once: a step's gradients are added up part by part, which takes "
    "less memory.",
)
@click.option("--image-size", type=click.IntRange(min=1), help="Side of the images.")
@click.option(
    "--optimizer", help="adamw, adam, sgd (with Nesterov's momentum) or momentum (without)."
)
@click.option("--lr", type=float, help="The highest learning rate of the schedule.")
@click.option("--schedule", help="one-cycle, plateau or constant.")
@click.option(
    "--from",
    "start",
    type=click.Path(),
    help="A run whose weights to start from, where they fit: transfer learning.",
)
@click.option("--freeze", help="Parts of the network not to train, such as features.")
@click.option(
    "--per-class", type=click.IntRange(min=1), help="Train on so many images of each class only."
)
@click.option(
    "--workers", type=click.IntRange(min=0), help="Processes that decode a folder's images."
)
@click.option("--resplit", is_flag=True, default=None, help="Split a folder anew each epoch.")
@click.option("--seed", type=click.IntRange(min=0), help="The same seed gives the same run.")
@click.option("--device", help="cpu or cuda.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the CPU kernels.")
@click.option(
    "--out", type=click.Path(), help="The run's folder.  [default: a new folder in runs/]"
)
def train(threads: int | None, out: str | None, **choices: Any) -> int:
    """Train a network; without arguments, ConvNet on the clothes in this package.

    alexnet and vgg are trained as published unless options say otherwise: momentum 0.9, weight
    decay 0.0005, batches of 128 and 256, random crops and mirrored images.

    Prints what it is going to do, a line per epoch, the accuracy on the test images and where
    everything was saved. When the output is not a terminal, every line is `name value` pairs.
    """
    from .training import run_training

    given = {name: value for name, value in choices.items() if value is not None}
    return run_training(given, threads, out)


@main.command()
@click.argument("run", type=click.Path())
@click.option("--data", help="Other data with the same classes.  [default: the run's own]")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the CPU kernels.")
def evaluate(run: str, data: str | None, device: str, threads: int | None) -> None:
    """Test the network of the run in folder RUN on its test images, class by class."""
    from .using import run_evaluation

    run_evaluation(run, data, device, threads)


@main.command()
@click.argument("run", type=click.Path())
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--top", default=3, show_default=True, type=click.IntRange(min=1), help="Classes.")
@click.option(
    "--invert",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="Exchange light and dark. The shipped images are light on black; auto inverts an image "
    "whose border is light.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
def predict(run: str, images: tuple[str, ...], top: int, invert: str, device: str) -> None:
    """Say what the network of the run in folder RUN sees in image files (PNG, JPEG, ...).

    An image of any size or colour is made grey or RGB as the network needs, padded in the colour
    of its border to the network's proportions, and scaled to its size.
    """
    from .using import run_prediction

    run_prediction(run, images, top, {"auto": None, "yes": True, "no": False}[invert], device)


@main.command()
@click.argument("target", required=False)
@click.option(
    "--order",
    "orders",
    type=click.IntRange(1, 2),
    multiple=True,
    help="1 or 2, or both.  [default: both for the operations, else 1]",
)
@click.option("--match", default="", help="Only operations with this in their name.")
@click.option("--backend", help="reference or cpu.  [default: both for the operations, else cpu]")
@click.option("--figure", type=click.Path(dir_okay=False), help="Draw the first failure here.")
def gradcheck(
    target: str | None, orders: tuple[int, ...], match: str, backend: str | None, figure: str | None
) -> int:
    """Compare derivatives with finite differences: exit code 1 if one is wrong.

    Without TARGET, of every operation. TARGET may be the name of a model, which is checked at a
    small size, or path/to/file.py:function, your own function, Function or Module. Its inputs are
    `inputs` in the same file: tensors, or a function that returns them. A plain NumPy function f
    is checked together with its pullback f_vjp(dy, *inputs).
    """
    from .gradcheck import run_gradcheck

    return run_gradcheck(target, tuple(sorted(set(orders))), match, backend, figure)


@main.command()
@click.argument("model")
@click.option("--input", "input_size", metavar="CxHxW", help="One image.  [default: as published]")
@click.option(
    "--batch", default=1, show_default=True, type=click.IntRange(min=1), help="Images in a batch."
)
def summary(model: str, input_size: str | None, batch: int) -> None:
    """Print the layers of MODEL: outputs, parameters, multiply-adds and memory.

    The memory is measured: of the outputs of a forward pass in training, and of what is remembered
    for backward. When the output is not a terminal, every line is `name value` pairs.
    """
    from .summary import run_summary

    run_summary(model, input_size, batch)


@main.command()
@click.argument(
    "selections",
    nargs=-1,
    type=click.Choice(["kernels", "ops", "models", "memory", "import", "compile", "all", "report"]),
    metavar="[SELECTION]...",
)
@click.option(
    "--model", "models", multiple=True, help="vgg16, alexnet, vgg16_bn, convnet, lenet5 or mlp."
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="cuda measures kernels and models on the GPU.",
)
@click.option("--family", "families", multiple=True, help="Of the kernels: conv2d, matmul, ...")
@click.option(
    "--size",
    type=click.Choice(["small", "awkward", "large"]),
    default="large",
    show_default=True,
    help="Which cases of the kernels.",
)
@click.option(
    "--threads", multiple=True, type=click.IntRange(min=1), help="Threads.  [default: 2, then 1]"
)
@click.option("--peer", "peers", multiple=True, help="Libraries.  [default: all that are there]")
@click.option("--rounds", type=click.IntRange(min=1), help="Samples of each program.")
@click.option("--seconds", type=float, help="Time for the samples of one row, roughly.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    help="How often a sample that other programs disturbed is taken again.  [default: 5]",
)
@click.option(
    "--compiled/--no-compiled",
    default=True,
    show_default=True,
    help="Try PyTorch's compiler on the small networks.",
)
@click.option("--output", type=FILE, help="Write the result here (JSON), row by row.")
@click.option("--resume", is_flag=True, help="Keep the rows that --output has already.")
@click.option("--from", "read", type=FILE, help="Measure nothing, take this result.")
@click.option("--markdown", type=FILE, help="Write the tables here.")
@click.option("--svg", type=FILE, help="Draw bars here, or a roofline of the convolutions.")
@click.option("--compare", nargs=2, type=FILE, metavar="A B", help="Say what changed from A to B.")
@click.option(
    "--threshold", default=0.05, show_default=True, help="The smallest change worth reporting."
)
def bench(selections: tuple[str, ...], **options: Any) -> int:
    """Time this machine's kernels, operations and networks, beside PyTorch and others.

    SELECTION is one or more of kernels, ops, models, memory, import, compile, or all; `report`
    makes the tables of docs/benchmarks.md anew from benchmarks/results. Answers are verified before
    anything is timed; programs take turns; samples that other programs disturbed are discarded.

    With --device cuda kernels and models are timed on the GPU, by its own clock, beside PyTorch
    with cuDNN, in float32 and with TF32.

    With --compare the exit code is 1 if something became slower beyond noise.
    """
    from .bench import run_bench

    return run_bench(selections, options)


from .cuda import cuda  # noqa: E402  (they need Sentence, which is above)
from .explain import explain  # noqa: E402

main.add_command(cuda)
main.add_command(explain)
