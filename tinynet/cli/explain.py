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


def _write(page: Callable[..., None], out: str, choices: dict[str, Any]) -> None:
    try:
        page(out, **choices)
    except (ValueError, RuntimeError) as error:
        raise Sentence(f"{error}.".replace("..", ".")) from None
    except OSError as error:
        raise Sentence(f"{error.filename}: {error.strerror}.") from None
    click.echo(f"Wrote {out}. Open it in a browser.")
