"""`tinynet gradcheck`: check the derivatives of tinynet, of a model, or of your own function."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import kernels
from ..autograd import Function, GradcheckError
from ..autograd.gradcheck import Report, check
from ..autograd.tape import TensorBase
from ..models import get_model, list_models
from ..nn import Module
from ..random import manual_seed
from ..tensor import Tensor
from ..testing.operations import OPERATIONS
from . import Sentence

SIZES = (16, 28, 32, 64, 128, 224)  # of a model's images: the first that it takes
IMAGES = 4  # batch norm over two values is a step function: steep beyond measure
MARKS = {"passed": "green", "kink": "yellow", "rounding": "yellow"}

Line = tuple[str, str, list[Report]]  # what, where, a report per order


def run_gradcheck(
    target: str | None, orders: Sequence[int], match: str, backend: str | None, figure: str | None
) -> int:
    """Print one table of verdicts and the lessons of what failed; 1 if something failed, else 0."""
    started = time.perf_counter()
    if backend is not None:
        reason = kernels.unavailable(backend) if backend in kernels.BACKENDS else "no such backend"
        if reason:
            raise Sentence(
                f"backend {backend!r} cannot be checked: {reason}; there are "
                f"{', '.join(kernels.BACKENDS)}."
            )
    if target is None:
        orders = orders or (1, 2)
        lines = list(_operations(orders, match, backend))
        heading = "Operations"
        if not lines:
            raise Sentence(f"no operation has {match!r} in its name.")
    else:
        orders = orders or (1,)
        with kernels.use(backend):
            lines = list(_file(target, orders) if ":" in target else _model(target, orders))
        heading = target
    _print(heading, lines, orders)
    reports = [report for _, _, reports in lines for report in reports]
    failed = [report for report in reports if not report]
    for what, where, found in lines:
        for report in found:
            if not report:
                click.echo(f"\n{what} ({where}):\n{report.text()}")
            elif target is not None:
                for note in (*report.notes, *_doubts(report)):
                    click.echo(f"{what}: {note}")
    if figure is not None:
        _draw(failed or reports, figure)
    click.echo(
        f"\n{len(reports) - len(failed)} of {len(reports)} checks passed: "
        f"{sum(r.compared for r in reports):,} derivatives, "
        f"{sum(r.evaluations for r in reports):,} evaluations, "
        f"{time.perf_counter() - started:.1f} s"
    )
    return 1 if failed else 0


def _doubts(report: Report) -> Iterator[str]:
    if report.stepped_away:
        yield f"kink at {', '.join(report.kinks[:4])}; checked at a point nearby instead"
    for name in report.vacuous:
        yield f"the derivative by {name} is 0 everywhere: a deleted one would have passed too"


def _operations(orders: Sequence[int], match: str, backend: str | None) -> Iterator[Line]:
    for row in OPERATIONS:
        if match.lower() not in row.name.lower():
            continue
        for place in row.backends:
            if backend in (None, place) and not kernels.unavailable(place):
                reports = [row.check(order, place) for order in orders if order in row.orders]
                if reports:
                    yield row.name, place, reports


def _model(name: str, orders: Sequence[int]) -> Iterator[Line]:
    """A model in float64 on a few small random images: its input and all of its parameters."""
    manual_seed(0)
    model, x = _small(name)
    reports = [check(model, (x.requires_grad_(),), order=order) for order in orders]
    yield f"{name} on images of {x.shape[-2]}x{x.shape[-1]}", reports[0].mode, reports


def _small(name: str) -> tuple[Module, Tensor]:
    if name.lower() not in list_models():
        raise Sentence(
            f"{name!r} is neither path/to/file.py:function nor a model; the models are "
            f"{', '.join(list_models())}."
        )
    reason: Exception | None = None
    for size in SIZES:
        try:
            model = get_model(name, in_channels=1, image_size=size, num_classes=3).double()
            images = np.random.default_rng(0).standard_normal((IMAGES, 1, size, size))
            x = Tensor(0).new_tensor(images, dtype=np.float64)
            model(x)
            return model, x
        except (RuntimeError, ValueError) as error:  # the images are too small for it
            reason = error
    raise Sentence(f"{name} takes images of none of the sizes {SIZES}: {reason}.")


def _file(target: str, orders: Sequence[int]) -> Iterator[Line]:
    """A function, Function or Module in a Python file, or a plain NumPy pair."""
    path, _, name = target.rpartition(":")
    module = _loaded(Path(path))
    if not hasattr(module, name):
        raise Sentence(f"{path} defines no {name!r}.")
    given = getattr(module, name)
    vjp = getattr(given, "vjp", None) or getattr(module, f"{name}_vjp", None)
    inputs = getattr(given, "inputs", None) or getattr(module, f"{name}_inputs", None)
    if inputs is None:
        inputs = getattr(module, "inputs", None)
    if inputs is None:
        raise Sentence(
            f"{path} gives {name} no inputs: define a tuple of tensors `inputs`, or a function "
            "inputs() that returns one."
        )
    try:
        inputs = inputs() if callable(inputs) else inputs
        inputs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
        function = _callable(given)
        if vjp is None:
            inputs = _doubled(inputs)
        reports = [check(function, inputs, order=order, vjp=vjp) for order in orders]
    except GradcheckError as error:
        raise Sentence(str(error)) from None
    except Exception as error:  # anything the user's code raises
        raise Sentence(f"{name} raised {type(error).__name__}: {error}") from error
    yield name, reports[0].mode, reports


def _loaded(path: Path) -> Any:
    if not path.is_file():
        raise Sentence(f"there is no file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise Sentence(f"{path} is no Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # as if it were run: it may import its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Sentence(f"{path} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _callable(given: Any) -> Callable[..., Any]:
    if isinstance(given, type) and issubclass(given, Function):
        return given.apply
    if isinstance(given, type) and issubclass(given, Module):
        given = given()
    return given.double() if isinstance(given, Module) else given


def _doubled(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Fresh float64 leaves; if none required a gradient, all of floating point do."""
    chosen = any(isinstance(x, TensorBase) and x.requires_grad for x in inputs)  # type: ignore[attr-defined]
    return tuple(
        x.detach().double().clone().requires_grad_(x.requires_grad or not chosen)
        if isinstance(x, Tensor) and x.is_floating_point()
        else x
        for x in inputs
    )


def _print(heading: str, lines: Sequence[Line], orders: Sequence[int]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Derivatives of {heading}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("operation" if heading == "Operations" else "checked", no_wrap=True)
    table.add_column("backend" if heading == "Operations" else "compared by", no_wrap=True)
    for order in orders:
        table.add_column(f"order {order}: worst\nrelative error", justify="right")
        table.add_column("eval-\nuations", justify="right")
        table.add_column("verdict")
    for what, where, reports in lines:
        cells: list[Any] = [what, where]
        for order in orders:
            report = next((r for r in reports if r.order == order), None)
            if report is None:
                cells += ["", "", Text("-", style="dim")]
                continue
            style = MARKS.get(report.verdict, "bold red")
            verdict = f"{report.verdict}, off a kink" if report.stepped_away else report.verdict
            cells += [
                f"{report.worst_relative_error:.1e}",
                str(report.evaluations),
                Text(verdict, style=style),
            ]
        table.add_row(*cells)
        if heading != "Operations":
            for name in dict.fromkeys(name for report in reports for name in report.each):
                each = [report.each.get(name) for report in reports]
                parts = [[f"{w.relative_error:.1e}" if w else "", "", ""] for w in each]
                table.add_row(f"  {name}", "", *(cell for part in parts for cell in part))
    width = None if sys.stdout.isatty() else 120
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def _draw(reports: Sequence[Report], path: str) -> None:
    report = next((r for r in reports if r.got is not None or r.sweep is not None), None)
    if report is None:
        click.echo("No picture: a check that passes keeps nothing to draw.")
        return
    try:
        drawn = report.figure()
    except ImportError:
        raise Sentence("pictures need Matplotlib: pip install 'tinynet[viz]'.") from None
    drawn.savefig(path)
    click.echo(f"Picture: {path}")
