"""A result as Markdown, and the document whose tables are made of committed results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import gpu, models
from .bars import BARS, CUDA_BARS, NOT_MEASURED, cuda_ratio, judge, judge_cuda, ratio
from .kernels import measures
from .networks import NETWORKS, network
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
        f"Made by `{result.command}`, {result.started}, on {_gpu(machine)}{machine['cpu']}, "
        f"{machine['isa']}, {machine['cores']} cores, {machine['system']}; {versions}. "
        f"Load average {loads}; "
        f"{samples} samples, {discarded} more discarded because other programs ran, {disturbed} "
        "kept although disturbed."
    )


def _gpu(machine: dict[str, Any]) -> str:
    """The GPU, if one was measured."""
    if "gpu" not in machine:
        return ""
    return (
        f"{machine['gpu']} (CUDA {machine['CUDA']}, NVRTC {machine['NVRTC']}, driver for CUDA "
        f"{machine[DRIVER]}) beside "
    )


DRIVER = "driver's CUDA"


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


def _missing(command: str, **row: Any) -> dict[str, Any]:
    """A row that is not there yet, with the command that measures it."""
    return {"entries": {}, "unverified": {}, "command": command, **row}


def every_model(rows: Rows) -> Rows:
    """The rows of all networks, in their order; those not there say how they are measured."""
    known = {row["key"]: row for row in rows}
    found = []
    for threads in (2, 1):
        for model in NETWORKS:
            for mode, batch in models.rows(model):
                key = models.model_key(model, mode, batch, threads)
                command = f"tinynet bench models --model {model} --threads {threads}"
                missing = _missing(command, model=model, mode=mode, batch=batch, threads=threads)
                found.append(known.pop(key, missing))
    return found + list(known.values())


def every_gpu_model(rows: Rows) -> Rows:
    """The same for a GPU's."""
    known = {row["key"]: row for row in rows}
    found = []
    for model, mode, batch, precision in gpu.rows():
        command = f"tinynet bench models --device cuda --model {model}"
        missing = _missing(command, model=model, mode=mode, batch=batch, precision=precision)
        found.append(known.pop(gpu.model_key(model, mode, batch, precision), missing))
    return found + list(known.values())


def _models(rows: Rows) -> str:
    def line(row: dict[str, Any]) -> list[str]:
        entries = row["entries"]
        judged = row["mode"] == "training" and row["threads"] == 2
        bar = BARS.get(row["model"]) if judged else None
        bars = f"{bar.default:g} / {bar.best:g} / {bar.first:g}" if bar else ""
        head = [
            network(row["model"]).title,
            f"{row['mode']}, batch {row['batch']}",
            str(row["threads"]),
        ]
        if "command" in row:
            return [*head, NOT_MEASURED, "", "", "", "", "", bars, f"`{row['command']}`"]
        return [
            *head,
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
    return text + _unverified(rows)


def _unverified(rows: Rows) -> str:
    problems = [
        f"- {row['key']}, {label}: {why}"
        for row in rows
        for label, why in row["unverified"].items()
    ]
    if not problems:
        return ""
    return "\n\nNot timed, since the answers differ:\n\n" + "\n".join(problems)


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


def _gpu_models(rows: Rows) -> str:
    def line(row: dict[str, Any]) -> list[str]:
        entries = row["entries"]
        bar = CUDA_BARS.get((row["model"], row["precision"])) if row["mode"] == "training" else None
        bars = f"{bar[0]:g} / {bar[1]:g}" if bar else ""
        head = [
            network(row["model"]).title,
            f"{row['mode']}, batch {row['batch']}",
            row["precision"],
        ]
        if "command" in row:
            return [*head, NOT_MEASURED, *[""] * 5, bars, f"`{row['command']}`"]
        reached = cuda_ratio(row)
        names = ("tinynet", "tinynet graph", "pytorch", "pytorch channels_last")
        best = min(
            (name for name in entries if name.startswith("pytorch")),
            key=lambda name: entries[name]["median"],
            default="",
        )
        return [
            *head,
            *(_milliseconds(entries.get(name)) for name in names),
            f"{best.removeprefix('pytorch ')}: {_milliseconds(entries[best])}" if best else "",
            "" if reached is None else f"{reached:.2f}",
            bars,
            judge_cuda(row),
        ]

    titles = ["network", "program", "precision", "tinynet ms", "as a graph ms", "PyTorch ms"]
    titles += ["channels_last ms", "PyTorch's best ms", "to PyTorch", "bars", ""]
    return (
        "On the GPU, between CUDA events: medians of a step, the best in brackets. The ratio is "
        "that of tinynet's faster one to PyTorch as installed (NCHW), TF32 switched alike on both "
        "sides; the bars are the one to reach and the first one.\n\n"
        + _table(titles, [line(row) for row in rows])
        + _unverified(rows)
    )


def _gpu_kernels(rows: Rows) -> str:
    def ceilings(precision: str) -> str:
        found = next((r["ceilings"] for r in rows if r["precision"] == precision), None)
        return "" if found is None else f"{precision} {found['gemm'] / 1e9:.0f} GFLOP/s"

    lines = []
    for row in rows:
        for label, entry in row["entries"].items():
            m = measures(row, entry)
            lines.append(
                [
                    f"{row['family']} {row['function']}",
                    row["case"],
                    row["precision"],
                    label,
                    _milliseconds(entry),
                    f"{m['gflops']:.1f}",
                    f"{m['of_gemm']:.0%}",
                    f"{m['gbytes']:.1f}",
                    f"{m['of_copy']:.0%}",
                    f"{entry['first']:.2f}",
                ]
            )
    titles = ["kernel", "case", "precision", "algorithm", "ms", "GFLOP/s", "of GEMM", "GB/s"]
    products = ", ".join(filter(None, map(ceilings, gpu.PRECISIONS)))
    return (
        "On the GPU, between CUDA events. Ceilings: the fastest matrix product of any library "
        f"here, {products}; copying memory {rows[0]['ceilings']['copy'] / 1e9:.0f} GB/s. GFLOP/s "
        "are those of the definition; GB/s count each array once. The first call takes so many "
        "seconds more, for compilation.\n\n"
        + _table([*titles, "of copy", "first call s"], lines)
        + _unverified(rows)
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
    return (
        "Peak memory above what is there after the imports, Numba's among them, which tinynet "
        "puts off until the first kernel.\n\n"
        + _table([*titles, "ratio"], [line(row) for row in rows])
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
    head = (
        "Compilation of the CPU kernels, Numba's import included. A helper compiles some of them "
        "meanwhile, in a process of its own; they are not counted.\n\n"
    )
    return head + _table(["what", "kernels compiled", "s"], lines)


TABLES: dict[str, Callable[[Rows], str]] = {
    "models": _models,
    "ops": _ops,
    "kernels": _kernels,
    "memory": _memory,
    "import": _imports,
    "compile": _compilation,
    "cuda-models": _gpu_models,
    "cuda-kernels": _gpu_kernels,
}

# ------------------------------------------------------------------------------- the document

_MARKED = re.compile(r"(<!-- (\S+\.json) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
# What each result of the document is made by.
COMMANDS = {
    "models.json": "tinynet bench models",
    "memory.json": "tinynet bench memory compile",
    "small.json": "tinynet bench ops import",
    "kernels.json": "tinynet bench kernels",
    "cuda-models.json": "tinynet bench models --device cuda",
    "cuda-kernels.json": "tinynet bench kernels --device cuda",
}
# Results whose missing rows the document names one by one.
COMPLETE: dict[str, tuple[str, Callable[[Rows], Rows]]] = {
    "models.json": ("models", every_model),
    "cuda-models.json": ("cuda-models", every_gpu_model),
}


def renew(document: str, folder: Path) -> str:
    """The document with the tables between `<!-- NAME.json -->` and `<!-- end -->` made anew from
    the results of these names in `folder`, and links to the pictures of convolutions."""

    def tables(match: re.Match[str]) -> str:
        name = match[2]
        path = folder / name
        command = f"{COMMANDS.get(name, 'tinynet bench ...')} --output {path}"
        result = Result.read(path) if path.exists() else None
        parts = [f"Not measured yet: `{command}`."] if result is None else []
        if name in COMPLETE:
            selection, every = COMPLETE[name]
            parts += [] if result is None else [_conditions(result)]
            rows = every([] if result is None else result.of(selection))
            parts.append(TABLES[selection](rows))
        elif result is not None:
            parts.append(markdown(result).strip())
        if result is not None and convolutions(result):
            parts.append(f"![GFLOP/s over arithmetic intensity]({picture_name(path)})")
        return match[1] + "\n" + "\n\n".join(parts) + "\n\n" + match[4]

    return _MARKED.sub(tables, document)


def picture_name(path: Path) -> str:
    """The file, beside the document, of a result's roofline."""
    return f"roofline-{path.stem}.svg"


def convolutions(result: Result) -> Rows:
    """The rows of convolution kernels, on the CPU or on a GPU."""
    rows = [*result.of("kernels"), *result.of("cuda-kernels")]
    return [row for row in rows if row["family"] == "conv2d" and row["entries"]]


def results_in(document: str) -> list[str]:
    """The names of the results that a document shows."""
    return [match[2] for match in _MARKED.finditer(document)]
