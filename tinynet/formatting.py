"""How tensors are printed: as PyTorch prints them."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import dtypes
from .autograd.tape import AccumulateGrad, node_of
from .device import device_of, to_numpy


@dataclasses.dataclass
class _Options:
    precision: int = 4  # digits behind the point
    threshold: float = 1000  # elements from which on only the edges are shown
    edgeitems: int = 3  # how many at each edge
    linewidth: int = 80
    sci_mode: bool | None = None  # scientific notation: always, never, or where it is needed


OPTIONS = _Options()
PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=math.inf),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed from now on; None leaves an option as it is (sci_mode: to choose).

    profile: "default", "short" or "full", from which the other arguments differ.
    """
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    start = {} if profile is None else dataclasses.asdict(PROFILES[profile])
    changes = start | {k: v for k, v in given.items() if v is not None} | {"sci_mode": sci_mode}
    for name, value in changes.items():
        setattr(OPTIONS, name, value)


def get_printoptions() -> dict[str, Any]:
    """The options now, as `set_printoptions` takes them."""
    return dataclasses.asdict(OPTIONS)


@contextlib.contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """`set_printoptions` for a block."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


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
            needed = ratio > 1000 or largest > 1e8 or smallest < 1e-4
            self.scientific = needed if OPTIONS.sci_mode is None else OPTIONS.sci_mode
        self.width = max((len(self.text(v)) for v in finite.tolist()), default=1)

    def text(self, value: Any) -> str:
        if not self.floating:
            return str(value)
        if not math.isfinite(value):
            return str(value)
        if self.scientific:
            return f"{value:.{OPTIONS.precision}e}"
        if self.integers:
            return f"{value:.0f}."
        return f"{value:.{OPTIONS.precision}f}"

    def __call__(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


def _shown(array: np.ndarray) -> np.ndarray:
    """The elements that will be printed of a long tensor: the edges of each dimension."""
    for axis, n in enumerate(array.shape):
        if n > 2 * OPTIONS.edgeitems:
            index = list(range(OPTIONS.edgeitems)) + list(range(n - OPTIONS.edgeitems, n))
            array = np.take(array, index, axis=axis)
    return array


def _lines(array: np.ndarray, numbers: _Numbers, indent: int, summarise: bool) -> str:
    if array.ndim == 0:
        return numbers(array.item())
    n = array.shape[0]
    cut = summarise and n > 2 * OPTIONS.edgeitems
    picked = (
        list(range(OPTIONS.edgeitems)) + list(range(n - OPTIONS.edgeitems, n))
        if cut
        else list(range(n))
    )
    if array.ndim == 1:
        texts = [numbers(array[i].item()) for i in picked]
        if cut:
            texts.insert(OPTIONS.edgeitems, " ...")
        per_line = max(1, (OPTIONS.linewidth - indent) // (numbers.width + 2))
        rows = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    parts = [_lines(array[i], numbers, indent + 1, summarise) for i in picked]
    if cut:
        parts.insert(OPTIONS.edgeitems, "...")
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + gap.join(parts) + "]"


PLAIN = ("Tensor", "Parameter")  # whose text begins with "tensor("


def format_tensor(tensor: Any) -> str:
    """The text of `repr(tensor)`."""
    array = tensor.array
    values = to_numpy(array)
    name = "Parameter containing:\n" if type(tensor).__name__ == "Parameter" else ""
    prefix = "tensor(" if type(tensor).__name__ in PLAIN else f"{type(tensor).__name__}("
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
        summarise = values.size > OPTIONS.threshold
        if not OPTIONS.edgeitems:
            suffix.append(f"size={values.shape}")
        if summarise and not OPTIONS.edgeitems:
            body = "[...]"
        else:
            numbers = _Numbers((_shown(values) if summarise else values).ravel())
            body = _lines(values, numbers, len(prefix), summarise)
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
    return name + _wrapped(prefix + body, suffix, len(prefix))


def _wrapped(text: str, suffix: list[str], indent: int) -> str:
    """Append the suffixes, each on the last line if it fits there."""
    last = len(text) - text.rfind("\n") + 1
    for item in suffix:
        if last + len(item) + 2 > OPTIONS.linewidth:
            text += ",\n" + " " * indent + item
            last = indent + len(item)
        else:
            text += ", " + item
            last += len(item) + 2
    return text + ")"
