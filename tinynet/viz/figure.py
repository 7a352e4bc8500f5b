"""The look that all pictures share, and how they are written to files."""

from __future__ import annotations

import importlib.util
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..io import write_atomically

INK = "#22272e"
FAINT = "#8b949e"
GRID = "#e6e8eb"
TRAIN = "#3b76af"
TEST = "#d9663b"


def missing() -> str | None:
    """None if pictures can be drawn, or a sentence that says what to install."""
    if importlib.util.find_spec("matplotlib") is None:
        return "Pictures need Matplotlib: pip install 'tinynet[viz]'."
    return None


def new_figure(width: float, height: float) -> Any:
    """An empty figure of that many inches, drawn without a window or global state."""
    reason = missing()
    if reason is not None:
        raise ImportError(reason)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def quiet(axes: Any) -> None:
    """Take away from the axes what carries no information."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=9)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def picture(pixels: Any) -> np.ndarray:
    """An image (H, W) or (C, H, W) of any numeric range as imshow takes it, 0 to 1.

    Three channels are colours; of other numbers of channels it shows the mean.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1) if len(pixels) == 3 else pixels.mean(axis=0)
    low, high = pixels.min(), pixels.max()
    return (pixels - low) / max(high - low, 1e-9)


def save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, atomically; the name's ending says the format (png, svg, pdf)."""
    content = io.BytesIO()
    kind = Path(path).suffix.lstrip(".") or "png"
    figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_atomically(path, content.getvalue())
