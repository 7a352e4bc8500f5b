"""A result as a picture: bars, and for convolutions the roofline. Needs Matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..viz.figure import new_figure, save
from .kernels import measures
from .networks import network
from .report import convolutions
from .result import Result


def draw(result: Result, path: Path) -> None:
    """Write the picture: of kernels a roofline where there are convolutions, else bars."""
    rows = convolutions(result)
    figure = roofline(rows) if rows else bars(result)
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": path.name}):  # the same file from the same result
        save(figure, path)


def roofline(rows: list[dict[str, Any]]) -> Any:
    """GFLOP/s over arithmetic intensity, under what the machine can do (Williams, Waterman and
    Patterson 2009). Above the GEMM ceiling are algorithms that need fewer multiplications than
    the definition, such as Winograd's. Of the rows with as many threads, or the precision, of the
    first one."""
    conditions = _conditions(rows[0])
    rows = [row for row in rows if _conditions(row) == conditions]
    figure = new_figure(7.5, 5)
    axes = figure.subplots()
    gemm, copy = rows[0]["ceilings"]["gemm"] / 1e9, rows[0]["ceilings"]["copy"] / 1e9
    intensities = np.array([row["flops"] / row["bytes"] for row in rows])
    reach = np.geomspace(intensities.min() / 2, intensities.max() * 2, 200)
    axes.plot(reach, np.minimum(gemm, copy * reach), color="black", lw=1)
    axes.text(reach[-1], gemm * 1.05, f"GEMM {gemm:.0f} GFLOP/s", ha="right", va="bottom")
    if copy * reach[0] < gemm:
        axes.text(reach[0], copy * reach[0], f" copy {copy:.1f} GB/s", ha="left", va="top")
    labels = list(dict.fromkeys(label for row in rows for label in row["entries"]))
    for label in labels:
        measured = [
            (row["flops"] / row["bytes"], measures(row, row["entries"][label])["gflops"])
            for row in rows
            if label in row["entries"]
        ]
        axes.scatter(*zip(*measured, strict=True), s=18, label=label, alpha=0.8)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="arithmetic intensity, FLOP per byte",
        ylabel="GFLOP/s",
        title=f"Convolutions, {rows[0]['dtype']}, {conditions}",
    )
    axes.legend(frameon=False, fontsize="small")
    return figure


def _conditions(row: dict[str, Any]) -> str:
    return f"threads: {row['threads']}" if "threads" in row else f"on the GPU, {row['precision']}"


def bars(result: Result) -> Any:
    """A group of bars per row, relative to PyTorch where it is there; whiskers are quartiles."""
    rows = [row for row in result.rows.values() if row["entries"]]
    labels = list(dict.fromkeys(label for row in rows for label in row["entries"]))
    figure = new_figure(8, 1 + 0.25 * len(rows) * max(1, len(labels)) ** 0.7)
    axes = figure.subplots()
    height = 0.8 / max(1, len(labels))
    for i, label in enumerate(labels):
        for j, row in enumerate(rows):
            if label not in row["entries"]:
                continue
            entry = row["entries"][label]
            unit = row["entries"].get("pytorch", next(iter(row["entries"].values())))["median"]
            unit = unit or 1.0
            value = entry["median"] / unit
            low, high = (q / unit for q in entry["quartiles"])
            axes.barh(
                j + i * height,
                value,
                height,
                color=f"C{i}",
                label=label if j == _first(rows, label) else None,
                xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
                error_kw={"lw": 0.8},
            )
    axes.axvline(1, color="black", lw=0.8)
    axes.set_yticks([j + 0.4 - height / 2 for j in range(len(rows))], [_title(r) for r in rows])
    axes.invert_yaxis()
    axes.set_xlabel("relative to PyTorch (less is better)")
    axes.legend(frameon=False, fontsize="small")
    return figure


def _first(rows: list[dict[str, Any]], label: str) -> int:
    return next(j for j, row in enumerate(rows) if label in row["entries"])


def _title(row: dict[str, Any]) -> str:
    if "model" in row and "mode" in row:
        threads = f", {row['threads']} thr." if "threads" in row else f", {row['precision']}"
        return f"{network(row['model']).title}\n{row['mode']}, batch {row['batch']}{threads}"
    return row["key"].partition("/")[2] or row["key"]
