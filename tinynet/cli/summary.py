"""`tinynet summary MODEL`: the layer table of a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..models import get_model, image_shape
from ..models.summary import Row, Summary, summarize
from . import Sentence
from .output import on_terminal, plain


def run_summary(name: str, input_size: str | None, batch: int) -> None:
    """Build the network, run it forward once and print a line per layer and one of totals."""
    try:
        shape = image_shape(name) if input_size is None else parse_size(input_size)
        channels, height, width = shape
        side = height if height == width else (height, width)
        model = get_model(name, in_channels=channels, image_size=side)
        summary = summarize(model, shape, batch)
    except (ValueError, RuntimeError) as error:
        raise Sentence(f"{error}.".replace("..", ".")) from None
    if on_terminal():
        print_table(f"{name}, images {'x'.join(map(str, shape))}, batch {batch}", summary)
    else:
        print_lines(summary)


def parse_size(text: str) -> tuple[int, int, int]:
    """ "3x224x224" -> (3, 224, 224). Raises Sentence for anything else."""
    match = re.fullmatch(r"(\d+)[x×](\d+)[x×](\d+)", text.strip().lower())
    sizes = tuple(int(part) for part in match.groups()) if match else ()
    if len(sizes) != 3 or min(sizes) < 1:
        raise Sentence(f"--input is CxHxW, such as 3x224x224, not {text!r}.")
    return sizes


def print_lines(summary: Summary) -> None:
    """A line of `name value` pairs per layer, and one of totals."""
    for row in summary.rows:
        plain(
            layer=row.name or ".",
            type=row.kind,
            output=_shape(row),
            parameters=row.parameters,
            multiply_adds=row.multiply_adds,
            forward_bytes=row.forward_bytes,
            backward_bytes=row.backward_bytes,
        )
    plain(
        layers=len(summary.rows),
        parameters=summary.parameters,
        trainable=summary.trainable,
        parameter_bytes=summary.parameter_bytes,
        multiply_adds=summary.multiply_adds,
        forward_bytes=summary.forward_bytes,
        backward_bytes=summary.backward_bytes,
    )


# left out one after the other where the terminal is too narrow; the last line has their totals
DISPENSABLE = ("forward", "for backward", "multiply-adds", "type")


def print_table(title: str, summary: Summary) -> None:
    """The same as a table for people, of as many columns as the terminal has room for."""
    from rich.console import Console

    console = Console(highlight=False)
    unlimited = console.options.update(max_width=10_000)
    for count in range(len(DISPENSABLE) + 1):
        table = _table(title, summary, DISPENSABLE[:count])
        if console.measure(table, options=unlimited).maximum <= console.width:
            break
    console.print(table)
    frozen = summary.parameters - summary.trainable
    console.print(
        f"{summary.parameters:,} parameters ({_bytes(summary.parameter_bytes)}"
        + (f", {frozen:,} of them frozen" if frozen else "")
        + f"). A forward pass takes {_count(summary.multiply_adds)} multiply-adds; "
        f"{_bytes(summary.backward_bytes)} are remembered until backward."
    )


def _table(title: str, summary: Summary, without: Sequence[str]) -> Any:
    """A line per layer and the totals below, without these columns."""
    from rich import box
    from rich.table import Table

    columns: list[tuple[str, str, Callable[[Row], str]]] = [
        ("layer", "total", lambda row: row.name or "."),
        ("type", "", lambda row: row.kind),
        ("output", "", _shape),
        (
            "parameters",
            f"{summary.parameters:,}",
            lambda row: f"{row.parameters:,}" if row.parameters else "",
        ),
        (
            "multiply-adds",
            _count(summary.multiply_adds),
            lambda row: _count(row.multiply_adds) if row.multiply_adds else "",
        ),
        (
            "forward",
            _bytes(summary.forward_bytes),
            lambda row: _bytes(row.forward_bytes) if row.forward_bytes else "",
        ),
        (
            "for backward",
            _bytes(summary.backward_bytes),
            lambda row: _bytes(row.backward_bytes) if row.backward_bytes else "",
        ),
    ]
    columns = [column for column in columns if column[0] not in without]
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_footer=True)
    for heading, total, _ in columns:
        if heading in ("layer", "type", "output"):
            table.add_column(heading, total, overflow="fold")
        else:
            table.add_column(heading, total, justify="right", no_wrap=True)
    for row in summary.rows:
        table.add_row(*(cell(row) for _, _, cell in columns))
    return table


def _shape(row: Row) -> str:
    return "x".join(map(str, row.output_shape))


def _count(number: float) -> str:
    """1234567 -> "1.23 M"."""
    for unit in ("", " K", " M"):
        if number < 1000:
            return f"{number:.3g}{unit}" if unit else f"{number:.0f}"
        number /= 1000
    return f"{number:.3g} G"


def _bytes(number: float) -> str:
    """3145728 -> "3.0 MiB"."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.2f} GiB"
