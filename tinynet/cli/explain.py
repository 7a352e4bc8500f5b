"""`tinynet explain OPERATION`: interactive pages on single operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import Sentence


@click.group()
def explain() -> None:
    """Write an interactive page that shows how an operation and its derivative work.

    One HTML file, which needs no network: open it in a browser.
    """


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _out(name: str) -> Callable[[Any], Any]:
    return click.option(
        "--out",
        type=click.Path(dir_okay=False, writable=True),
        default=f"{name}.html",
        show_default=True,
        help="The page.",
    )


_size = click.option(
    "--size",
    default=12,
    show_default=True,
    type=click.IntRange(2, 64),
    help="Side of the image, a piece of clothing that comes with tinynet.",
)
_image = click.option(
    "--image",
    "index",
    default=0,
    show_default=True,
    type=click.IntRange(0, 9999),
    help="Which of the shipped images.",
)
_padding = click.option("--padding", default=0, show_default=True, type=click.IntRange(0, 16))
_dilation = click.option("--dilation", default=1, show_default=True, type=click.IntRange(1, 8))


def _kernel(default: int) -> Callable[[Any], Any]:
    return click.option(
        "--kernel",
        default=default,
        show_default=True,
        type=click.IntRange(1, 15),
        help="Side of the window.",
    )


@explain.command()
@_options(_kernel(3), _padding, _dilation, _size, _image, _out("conv2d"))
@click.option("--stride", default=1, show_default=True, type=click.IntRange(1, 16))
@click.option(
    "--filters", "count", default=2, show_default=True, type=click.IntRange(1, 4), help="Filters."
)
def conv2d(out: str, **choices: Any) -> None:
    """Convolution: the window, im2col, each algorithm, and both gradients."""
    from ..viz.pages.windows import conv2d_page

    _write(conv2d_page, out, choices)


@explain.command("max_pool2d")
@_options(_kernel(2), _padding, _dilation, _size, _image, _out("max_pool2d"))
@click.option(
    "--stride", type=click.IntRange(1, 16), help="Pixels between windows.  [default: the kernel]"
)
def max_pool2d(out: str, **choices: Any) -> None:
    """Max pooling: which pixel wins, and the way of its gradient."""
    from ..viz.pages.windows import max_pool2d_page

    _write(max_pool2d_page, out, choices)


_batch = click.option(
    "--batch", default=5, show_default=True, type=click.IntRange(2, 40), help="Examples."
)
_seed = click.option("--seed", default=0, show_default=True, help="Other numbers.")


@explain.command("batch_norm")
@_options(_batch, _seed, _out("batch_norm"))
@click.option("--channels", default=3, show_default=True, type=click.IntRange(1, 20))
def batch_norm(out: str, **choices: Any) -> None:
    """Batch normalisation: its steps, its gradients, and which inputs touch which outputs."""
    from ..viz.pages.tables import batch_norm_page

    _write(batch_norm_page, out, choices)


@explain.command("cross_entropy")
@_options(_batch, _seed, _out("cross_entropy"))
@click.option("--classes", default=5, show_default=True, type=click.IntRange(2, 20))
@click.option("--scale", default=2.0, show_default=True, help="How far the logits spread.")
def cross_entropy(out: str, **choices: Any) -> None:
    """Softmax with cross-entropy: probabilities, losses, and why the gradient is p - onehot."""
    from ..viz.pages.tables import cross_entropy_page

    _write(cross_entropy_page, out, choices)


@explain.command()
@_options(_out("broadcasting"))
@click.option("--x", "x_shape", default="3x1", show_default=True, help="The shape of x.")
@click.option("--y", "y_shape", default="4", show_default=True, help="The shape of y.")
def broadcasting(out: str, x_shape: str, y_shape: str) -> None:
    """Broadcasting: what is repeated forward is summed backward."""
    from ..viz.pages.tables import broadcasting_page

    shapes = {"x_shape": _shape(x_shape), "y_shape": _shape(y_shape)}
    _write(broadcasting_page, out, shapes)


def _shape(text: str) -> tuple[int, ...]:
    """ "3x1" -> (3, 1). Raises Sentence for anything else."""
    parts = text.lower().replace("×", "x").split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise Sentence(f"a shape is sizes with x between them, such as 3x1, not {text!r}.")
    return tuple(map(int, parts))


def _write(page: Callable[..., None], out: str, choices: dict[str, Any]) -> None:
    try:
        page(out, **choices)
    except (ValueError, RuntimeError) as error:
        raise Sentence(f"{error}.".replace("..", ".")) from None
    except OSError as error:
        raise Sentence(f"{error.filename}: {error.strerror}.") from None
    click.echo(f"Wrote {out}. Open it in a browser.")
