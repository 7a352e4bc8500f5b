"""A result as Markdown, and the document whose tables are made of committed results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .bars import BARS, judge, ratio
from .kernels import measures
from .networks import network
from .result import Result

Rows = list[dict[str, Any]]


def markdown(result: Result) -> str:
    """What was measured where, then a table per selection."""
    tables = [TABLES[selection](result.of(selection)) for selection in result.selections()]
    parts = [_conditions(result), *tables]
    if result.absent:
        reasons = "; ".join(f"{peer} ({why})" for peer, why in sorted(result.absent.items()))
        parts.append(f"Not there: {reasons}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(result: Result) -> str:
    machine = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    loads = " to ".join("?" if load is None else f"{load:g}" for load in result.load)
    entries = [e for row in result.rows.values() for e in row["entries"].values()]
    samples = sum(len(e["samples"]) for e in entries)
    discarded = sum(e.get("discarded", 0) for e in entries)
    disturbed = sum(e.get("disturbed", 0) for e in entries)
    return (
        f"Made by `{result.command}`, {result.started}, on {machine['cpu']}, {machine['isa']}, "
        f"{machine['cores']} cores, {machine['system']}; {versions}. Load average {loads}; "
        f"{samples} samples, {discarded} more discarded because other programs ran, {disturbed} "
        "kept although disturbed."
    )


def _table(titles: list[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "| " + " | ".join("---" for _ in titles) + " |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _milliseconds(entry: dict[str, Any] | None) -> str:
    """The median, and the best in brackets."""
    if entry is None:
        return ""
    return f"{_three(entry['median'] * 1e3)} ({_three(entry['best'] * 1e3)})"


def _three(number: float) -> str:
    """Three digits: 0.0123, 1.23, 123."""
    if number == 0 or abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.3g}"


def _ratio(entries: dict[str, Any], other: str) -> str:
    if "tinynet" not in entries or other not in entries:
        return ""
    return f"{ratio(entries['tinynet'], entries[other]):.2f}"


def _models(rows: Rows) -> str:
    def line(row: dict[str, Any]) -> list[str]:
        entries = row["entries"]
        bar = BARS.get(row["model"]) if row["mode"] == "training" else None
        bars = f"{bar.default:g} / {bar.best:g} / {bar.first:g}" if bar else ""
        return [
            network(row["model"]).title,
            f"{row['mode']}, batch {row['batch']}",
            str(row["threads"]),
            *(_milliseconds(entries.get(name)) for name in ("tinynet", "pytorch", "pytorch best")),
            entries.get("pytorch best", {}).get("setting", ""),
            _ratio(entries, "pytorch"),
            _ratio(entries, "pytorch best"),
            bars,
            judge(row),
        ]

    titles = ["network", "program", "threads", "tinynet ms", "PyTorch ms", "PyTorch best ms"]
    titles += ["its setting", "to default", "to best", "bars", ""]
    text = (
        "Medians of a step, the best in brackets; a ratio is the larger of the medians' and the "
        "bests'. The bars are those to PyTorch's default, to its best, and the first bar to its "
        "default.\n\n" + _table(titles, [line(row) for row in rows])
    )
    shown = {"tinynet", "pytorch", "pytorch best"}
    peers = [
        [network(row["model"]).title, f"{row['mode']}, batch {row['batch']}", label,
         _milliseconds(entry), f"{ratio(row['entries']['tinynet'], entry):.2f}"]
        for row in rows
        for label, entry in row["entries"].items()
        if label not in shown and "tinynet" in row["entries"]
    ]  # fmt: skip
    if peers:
        titles = ["network", "program", "library", "ms", "tinynet to it"]
        text += "\n\nOther libraries, two threads:\n\n" + _table(titles, peers)
    problems = [
        f"- {row['key']}, {label}: {why}"
        for row in rows
        for label, why in row["unverified"].items()
    ]
    if problems:
        text += "\n\nNot timed, since the answers differ:\n\n" + "\n".join(problems)
    return text


def _ops(rows: Rows) -> str:
    def line(row: dict[str, Any]) -> list[str]:
        entries = row["entries"]
        cells = [
            f"{entries[name]['median'] * 1e6:.2f} ({entries[name]['best'] * 1e6:.2f})"
            if name in entries
            else ""
            for name in ("tinynet", "pytorch")
        ]
        return [row["operation"], row["pass"], *cells, _ratio(entries, "pytorch")]

    titles = ["operation on 8x8", "pass", "tinynet us", "PyTorch us", "ratio"]
    return (
        "Microseconds of CPU time of one operation in a chain, one thread: median, the best in "
        "brackets.\n\n" + _table(titles, [line(row) for row in rows])
    )


def _kernels(rows: Rows) -> str:
    first = rows[0]["ceilings"]
    lines = []
    for row in rows:
        for label, entry in row["entries"].items():
            m = measures(row, entry)
            lines.append(
                [
                    f"{row['family']} {row['function']}",
                    row["case"],
                    str(row["threads"]),
                    label,
                    _milliseconds(entry),
                    f"{m['gflops']:.1f}",
                    f"{m['of_gemm']:.0%}",
                    f"{m['gbytes']:.1f}",
                    f"{m['of_copy']:.0%}",
                    f"{entry['workspace'] / 2**20:.1f}" if "workspace" in entry else "",
                ]
            )
    titles = ["kernel", "case", "threads", "algorithm", "ms", "GFLOP/s", "of GEMM", "GB/s"]
    titles += ["of copy", "workspace MiB"]
    return (
        f"Ceilings: the fastest matrix product of any library here {first['gemm'] / 1e9:.0f} "
        f"GFLOP/s, copying memory {first['copy'] / 1e9:.1f} GB/s. GFLOP/s are those of the "
        "definition, which some algorithms need fewer for; GB/s count each array once.\n\n"
        + _table(titles, lines)
    )


def _memory(rows: Rows) -> str:
    def line(row: dict[str, Any]) -> list[str]:
        entries = row["entries"]
        cells = []
        for name in ("tinynet", "pytorch"):
            entry = entries.get(name)
            cells.append(_mib(entry["median"]) if entry else "")
            cells.append(_mib(entry["imported"]) if entry else "")
        return [
            network(row["model"]).title,
            f"{row['mode']}, batch {row['batch']}",
            *cells,
            _ratio(entries, "pytorch"),
        ]

    titles = ["network", "program", "tinynet MiB", "after import", "PyTorch MiB", "after import"]
    return "Peak memory above what is there after the import.\n\n" + _table(
        [*titles, "ratio"], [line(row) for row in rows]
    )


def _mib(number: float) -> str:
    return f"{number / 2**20:.0f}"


def _imports(rows: Rows) -> str:
    lines = [
        [label, _milliseconds(entry)] for row in rows for label, entry in row["entries"].items()
    ]
    return "Import time beyond NumPy's.\n\n" + _table(["library", "ms"], lines)


def _compilation(rows: Rows) -> str:
    lines = [
        [
            row["what"],
            str(row["entries"]["tinynet"]["compiled"]),
            f"{row['entries']['tinynet']['median']:.2f}",
        ]
        for row in rows
    ]
    return "Compilation of the CPU kernels, Numba's import included.\n\n" + _table(
        ["what", "kernels compiled", "s"], lines
    )


TABLES: dict[str, Callable[[Rows], str]] = {
    "models": _models,
    "ops": _ops,
    "kernels": _kernels,
    "memory": _memory,
    "import": _imports,
    "compile": _compilation,
}

# ------------------------------------------------------------------------------- the document

_MARKED = re.compile(r"(<!-- (\S+\.json) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renew(document: str, folder: Path) -> str:
    """The document with the tables between `<!-- NAME.json -->` and `<!-- end -->` made anew from
    the results of these names in `folder`."""

    def tables(match: re.Match[str]) -> str:
        path = folder / match[2]
        if path.exists():
            text = markdown(Result.read(path))
        else:
            text = f"Not measured yet: `tinynet bench ... --output {path}`.\n"
        return match[1] + "\n" + text + "\n" + match[4]

    return _MARKED.sub(tables, document)


def results_in(document: str) -> list[str]:
    """The names of the results that a document shows."""
    return [match[2] for match in _MARKED.finditer(document)]
