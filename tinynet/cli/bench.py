"""`tinynet bench`: measure, compare two results, renew the document."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..bench.compare import compare, warnings
from ..bench.families import FAMILIES
from ..bench.networks import NETWORKS, TINY
from ..bench.peers import PEERS
from ..bench.report import convolutions, markdown, picture_name, renew, results_in
from ..bench.result import Result, ResultError
from ..bench.session import Nobody, Session
from ..bench.timing import WorkerError
from . import INTERRUPTED, Sentence
from .output import on_terminal, plain

ALL = ("kernels", "ops", "models", "memory", "import", "compile")
DOCUMENT, RESULTS = Path("docs/benchmarks.md"), Path("benchmarks/results")


def run_bench(selections: tuple[str, ...], options: dict[str, Any]) -> int:
    """What the arguments ask for; the exit code."""
    with bench_sentences():
        if options["compare"]:
            before, after = options["compare"]
            return run_comparison(before, after, options["threshold"])
        if "report" in selections:
            return run_report()
        if options["read"] is not None:
            result = Result.read(options["read"])
        else:
            if not selections:
                raise Sentence(f"what shall be measured? One or more of {', '.join(ALL)}.")
            try:
                result = measure(selections, options)
            except KeyboardInterrupt:
                saved = options["output"]
                rest = f"; its rows are in {saved}, and --resume goes on" if saved else ""
                click.echo(f"tinynet: interrupted{rest}.", err=True)
                return INTERRUPTED
        if options["markdown"] is not None:
            options["markdown"].write_text(markdown(result))
        if options["svg"] is not None:
            from ..bench.pictures import draw

            try:
                draw(result, options["svg"])
            except ImportError as error:
                raise Sentence(str(error)) from None
    return 0


@contextlib.contextmanager
def bench_sentences() -> Iterator[None]:
    """Turn what can go wrong into one sentence and exit code 2."""
    try:
        yield
    except (ResultError, WorkerError) as error:
        raise Sentence(str(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Sentence(f"{error.filename}: {error.strerror}.") from None


def measure(selections: tuple[str, ...], options: dict[str, Any]) -> Result:
    """Run the selections and give their result, which `--output` has row by row."""
    from ..bench import compilation, imports, kernels, memory, models, ops

    output = options["output"]
    command = " ".join(["tinynet bench", *sys.argv[2:]])
    if output is not None and options["resume"] and output.exists():
        result = Result.read(output)
    else:
        result = Result(command)
    result.path = output
    rounds = options["rounds"]
    chosen = {
        "threads": options["threads"],
        "peers": options["peers"],
        "seconds": options["seconds"],
        "rounds": None if rounds is None else (rounds, rounds),
        "retries": options["retries"],
    }
    session = Session(
        result,
        resume=options["resume"],
        **{name: value for name, value in chosen.items() if value not in (None, ())},
    )
    known = {"model": NETWORKS | TINY, "family": FAMILIES, "peer": PEERS}
    for option, names in known.items():
        for name in options["families" if option == "family" else f"{option}s"]:
            if name not in names:
                raise Sentence(f"there is no {option} {name!r}; there are {', '.join(names)}.")
    networks = options["models"] or tuple(NETWORKS)
    families = {"families": options["families"]} if options["families"] else {}
    runs: dict[str, Any]
    if options["device"] == "cuda":
        from ..bench import gpu

        networks = options["models"] or tuple(gpu.BATCHES)
        runs = {
            "kernels": lambda: gpu.run_kernels(session, size=options["size"], **families),
            "models": lambda: gpu.run_models(session, networks),
        }
        for selection in selections:
            if selection not in (*runs, "all"):
                raise Sentence(f"{selection} is measured on the CPU only; leave --device away.")
        run_selections(runs, selections, session)
        return finished(result, output)
    runs = {
        "kernels": lambda: kernels.run(session, size=options["size"], **families),
        "ops": lambda: ops.run(session),
        "models": lambda: models.run(session, networks, compiled=options["compiled"]),
        "memory": lambda: memory.run(session, networks),
        "import": lambda: imports.run(session),
        "compile": lambda: compilation.run(session),
    }
    run_selections(runs, selections, session)
    return finished(result, output)


def run_selections(runs: dict[str, Any], selections: tuple[str, ...], session: Session) -> None:
    """Run those that were asked for, in their order, and show how it goes."""
    watcher = Terminal() if on_terminal() else Lines()
    session.watcher = watcher
    with watcher:
        for selection in ALL:
            if selection in runs and (selection in selections or "all" in selections):
                runs[selection]()


def finished(result: Result, output: Path | None) -> Result:
    """The result, in its file if there is one."""
    if output is not None:
        result.write(output)
    return result


class Lines(Nobody):
    """A line of `name value` pairs per program and row; no progress."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def row(self, row: dict[str, Any]) -> None:
        for label, entry in row["entries"].items():
            values = {"row": row["key"], "program": label}
            plain(
                **values,
                **_figures(row, entry),
                samples=len(entry["samples"]),
                discarded=entry.get("discarded", 0),
                disturbed=entry.get("disturbed", 0),
            )
        for what in ("refused", "unverified"):
            for label, why in row.get(what, {}).items():
                plain(row=row["key"], program=label, **{what: why})


class Terminal(Nobody):
    """What is being done now, under the table of what is done."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(highlight=False)
        self.status = self.console.status("")

    def __enter__(self) -> Terminal:
        self.status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.status.stop()

    def progress(self, text: str) -> None:
        from rich.markup import escape

        self.status.update(escape(text))

    def row(self, row: dict[str, Any]) -> None:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(row["key"], min_width=34)
        bytes_only = row["unit"] == "bytes"
        for title in ("MiB",) if bytes_only else ("median ms", "best ms", "quartiles ms"):
            table.add_column(title, justify="right")
        table.add_column("tinynet to it", justify="right")
        table.add_column("samples", justify="right")
        table.add_column("discarded", justify="right")
        own = row["entries"].get("tinynet")
        for label, entry in row["entries"].items():
            if bytes_only:
                cells = [f"{entry['median'] / 2**20:.0f}"]
            else:
                low, high = (q * 1e3 for q in entry["quartiles"])
                cells = [f"{entry[name] * 1e3:.4g}" for name in ("median", "best")]
                cells.append(f"{low:.4g} to {high:.4g}")
            ratio = f"{own['median'] / entry['median']:.2f}" if own and own is not entry else ""
            setting = f" ({entry['setting']})" if entry.get("setting") else ""
            table.add_row(
                label + setting,
                *cells,
                ratio,
                str(len(entry["samples"])),
                str(entry.get("discarded", 0)),
                style="bold" if entry is own else None,
            )
        self.console.print(table)
        for what in ("refused", "unverified"):
            for label, why in row.get(what, {}).items():
                self.console.print(f"{label}: {what}, {why}", style="yellow", markup=False)


def _figures(row: dict[str, Any], entry: dict[str, Any]) -> dict[str, str]:
    scale, unit = (2**-20, "mib") if row["unit"] == "bytes" else (1e3, "ms")
    return {f"{name}_{unit}": f"{entry[name] * scale:.6g}" for name in ("median", "best")}


def run_comparison(before: Path, after: Path, threshold: float) -> int:
    """Print the changes; exit code 1 if there is a regression."""
    old, new = Result.read(before), Result.read(after)
    for warning in warnings(old, new):
        click.echo(f"tinynet: not the same {warning}", err=True)
    changes = compare(old, new, threshold)
    if not changes:
        raise Sentence(f"{before} and {after} have no row in common.")
    for change in changes:
        scale, unit = (2**-20, "MiB") if change.unit == "bytes" else (1e3, "ms")
        if not on_terminal():
            plain(
                verdict=change.verdict,
                row=change.key,
                program=change.label,
                ratio=change.ratio,
                low=change.low,
                high=change.high,
            )
        elif change.verdict != "noise":
            click.echo(
                f"{change.verdict}: {change.key}, {change.label}: "
                f"{change.before * scale:.4g} -> {change.after * scale:.4g} {unit}, "
                f"x{change.ratio:.2f} ({change.low:.2f} to {change.high:.2f})"
            )
    counts = {
        verdict: sum(change.verdict == verdict for change in changes)
        for verdict in ("regression", "improvement", "noise")
    }
    if on_terminal():
        click.echo(", ".join(f"{verdict} {count}" for verdict, count in counts.items()))
    return 1 if counts["regression"] else 0


def draw_rooflines(names: list[str]) -> None:
    """Draw the convolutions in these results, beside the document."""
    for name in names:
        path = RESULTS / name
        if path.exists() and convolutions(result := Result.read(path)):
            from ..bench.pictures import draw

            draw(result, DOCUMENT.with_name(picture_name(path)))


def run_report() -> int:
    """Make the document's tables anew from the committed results."""
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(renew(text, RESULTS))
    draw_rooflines(results_in(text))
    for name in results_in(text):
        plain(result=RESULTS / name, document=DOCUMENT)
    return 0
