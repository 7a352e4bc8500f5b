"""How tensors are printed: as PyTorch prints them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import dtypes
from .autograd.tape import AccumulateGrad, node_of
from .device import device_of, to_numpy

PRECISION = 4
EDGE_ITEMS = 3
LINE_WIDTH = 80
THRESHOLD = 1000


class _Numbers:
    """Formats every element of one tensor in the same width."""

    def __init__(self, values: np.ndarray) -> None:
        self.floating = values.dtype.kind == "f"
        self.integers = self.scientific = False
        self.width = 1
        if not self.floating:
            texts = [str(v) for v in values.tolist()]
            self.width = max(map(len, texts), default=1)
            return
        finite = values[np.isfinite(values) & (values != 0)].astype(np.float64)
        if finite.size == 0:
            self.integers = True
        else:
            size = np.abs(finite)
            largest, smallest = float(size.max()), float(size.min())
            self.integers = bool((finite == np.ceil(finite)).all())
            ratio = largest / smallest
            if self.integers:
                self.scientific = ratio > 1000 or largest > 1e8
            else:
                self.scientific = ratio > 1000 or largest > 1e8 or smallest < 1e-4
        self.width = max((len(self.text(v)) for v in finite.tolist()), default=1)

    def text(self, value: Any) -> str:
        if not self.floating:
            return str(value)
        if not math.isfinite(value):
            return str(value)
        if self.scientific:
            return f"{value:.{PRECISION}e}"
        if self.integers:
            return f"{value:.0f}."
        return f"{value:.{PRECISION}f}"

    def __call__(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


def _shown(array: np.ndarray) -> np.ndarray:
    """The elements that will be printed of a long tensor: the edges of each dimension."""
    for axis, n in enumerate(array.shape):
        if n > 2 * EDGE_ITEMS:
            index = list(range(EDGE_ITEMS)) + list(range(n - EDGE_ITEMS, n))
            array = np.take(array, index, axis=axis)
    return array


def _lines(array: np.ndarray, numbers: _Numbers, indent: int, summarise: bool) -> str:
    if array.ndim == 0:
        return numbers(array.item())
    n = array.shape[0]
    cut = summarise and n > 2 * EDGE_ITEMS
    picked = list(range(EDGE_ITEMS)) + list(range(n - EDGE_ITEMS, n)) if cut else list(range(n))
    if array.ndim == 1:
        texts = [numbers(array[i].item()) for i in picked]
        if cut:
            texts.insert(EDGE_ITEMS, " ...")
        per_line = max(1, (LINE_WIDTH - indent) // (numbers.width + 2))
        rows = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    parts = [_lines(array[i], numbers, indent + 1, summarise) for i in picked]
    if cut:
        parts.insert(EDGE_ITEMS, "...")
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + gap.join(parts) + "]"


def format_tensor(tensor: Any) -> str:
    """The text of `repr(tensor)`."""
    array = tensor.array
    values = to_numpy(array)
    name = "Parameter containing:\n" if type(tensor).__name__ == "Parameter" else ""
    suffix = []
    kind = dtypes.of(array)
    device = device_of(array)
    if device.type != "cpu":
        suffix.append(f"device='{device}'")
    if values.size == 0:
        body = "[]"
        if values.ndim != 1:
            suffix.append(f"size={values.shape}")
    else:
        summarise = values.size > THRESHOLD
        numbers = _Numbers((_shown(values) if summarise else values).ravel())
        body = _lines(values, numbers, len("tensor("), summarise)
    if kind not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_) or (
        values.size == 0 and kind is not dtypes.get_default_dtype()
    ):
        suffix.append(f"dtype={kind}")
    node = node_of(tensor)
    if node is not None:
        if node.__class__ is AccumulateGrad:
            suffix.append("requires_grad=True")
        else:
            suffix.append(f"grad_fn=<{node.name()}>")
    return name + _wrapped("tensor(" + body, suffix)


def _wrapped(text: str, suffix: list[str]) -> str:
    """Append the suffixes, each on the last line if it fits there."""
    last = len(text) - text.rfind("\n") - 1
    for item in suffix:
        if last + len(item) + 2 > LINE_WIDTH:
            text += ",\n" + " " * len("tensor(") + item
            last = len("tensor(") + len(item)
        else:
            text += ", " + item
            last += len(item) + 2
    return text + ")"


def set_printoptions(**k):
    pass
