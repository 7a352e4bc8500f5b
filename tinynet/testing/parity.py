"""PyTorch's public names and what tinynet does with each: the page docs/pytorch.md.

    python -m tinynet.testing.parity docs/pytorch.md

A name is there or missing as tinynet's modules say; arguments are compared with PyTorch's
signatures; what is outside or different on purpose stands in `tinynet/parity/decisions.toml`.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..parity import Group, decisions, names, versions
from .pytorch_names import Signature, parsed, signature

PARTS = {
    "same": "the name, and every argument under its name, at its place, with its default",
    "arguments": "the name is there, some arguments are not, or other defaults hold",
    "different": "different on purpose, with the reason",
    "missing": "not there yet",
    "outside": "outside what tinynet is for, with the reason",
}


@dataclass
class Entry:
    """One public name of PyTorch: where tinynet stands."""

    name: str  # in full: torch.nn.Conv2d
    status: str  # a key of PARTS
    note: str = ""
    lacks: list[str] = field(default_factory=list)  # arguments
    group: Group | None = None

    @property
    def short(self) -> str:
        """The name without its module."""
        return self.name.rpartition(".")[2]


def counterpart(place: str) -> Any:
    """tinynet's module or class for one of PyTorch's; None if there is none."""
    path = re.sub(r"^torch(vision)?\b", "tinynet", place)
    if path == "tinynet.Tensor":
        return importlib.import_module("tinynet").Tensor
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return None


def entries(place: str) -> list[Entry]:
    """What tinynet does with the names of one of PyTorch's modules."""
    owner, decided, found = counterpart(place), decisions(), []
    for name, theirs in names()[place].items():
        full = f"{place}.{name}"
        if owner is None or not hasattr(owner, name):
            group = decided.group(full)
            found.append(Entry(full, "outside" if group else "missing", group=group))
            continue
        lacks, notes = _compared(getattr(owner, name), theirs, place == "torch.Tensor")
        if full in decided.different:
            found.append(Entry(full, "different", decided.different[full], lacks))
        else:
            status = "arguments" if lacks or notes else "same"
            found.append(Entry(full, status, "; ".join(notes), lacks))
    return found


def _compared(value: Any, theirs: str, method: bool) -> tuple[list[str], list[str]]:
    """The arguments of PyTorch's signature that tinynet lacks, and other differences."""
    wanted = parsed(theirs)
    mine = signature(value, method)
    if wanted is None or mine is None:
        return [], []
    given = {name: (i, default) for i, (_, name, default) in enumerate(mine)}
    kinds = {kind for kind, _, _ in mine}
    lacks, notes = [], []
    for i, (kind, name, default) in enumerate(wanted):
        if kind.startswith("VAR") or (kind == "POSITIONAL_ONLY" and "VAR_POSITIONAL" in kinds):
            continue
        if name not in given:
            if "VAR_KEYWORD" not in kinds and not _takes_any(kind, i, mine, wanted):
                lacks.append(name)
            continue
        place, own = given[name]
        if kind.startswith("POSITIONAL") and place != i and mine[place][0] != "VAR_POSITIONAL":
            notes.append(f"`{name}` is argument {place + 1}, not {i + 1}")
        if default is not None and own is not None and not _equal(default, own):
            notes.append(f"`{name}={own}`, not `{default}`")
    return lacks, notes


def _takes_any(kind: str, i: int, mine: Signature, wanted: Signature) -> bool:
    """Whether the argument at this place has only another name: `*size` for `size`, say.

    PyTorch's own documentation and code differ in names, where nobody passes them by name.
    """
    if kind == "KEYWORD_ONLY":
        return False
    if any(k == "VAR_POSITIONAL" for k, _, _ in mine):
        return True
    required = wanted[i][2] is None
    return required and i < len(mine) and mine[i][2] is None and mine[i][1] not in _named(wanted)


def _named(signature: Signature) -> set[str]:
    return {name for _, name, _ in signature}


def _equal(theirs: str, own: str) -> bool:
    if "..." in (theirs, own):
        return True
    own = own.replace("tinynet.", "torch.")
    if theirs.strip("'\"") == own.strip("'\""):
        return True
    numbers = _number(theirs), _number(own)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return {theirs, own} <= {"None", "False"} or {theirs, own} <= {"None", "True"}


def _number(text: str) -> float | None:
    """The value of a number, or of a quotient of two; None of other text."""
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except ValueError:
        return None


@functools.cache
def table() -> dict[str, list[Entry]]:
    """Everything: for each of PyTorch's modules, its names."""
    return {place: entries(place) for place in names()}


def page() -> str:
    """docs/pytorch.md."""
    everything = table()
    counts = {place: Counter(e.status for e in found) for place, found in everything.items()}
    total = sum(counts.values(), Counter())
    text = [
        "# Programs written for PyTorch",
        "",
        "Replace `torch` and `torchvision` by `tinynet` in the import lines of a program:",
        "",
        "| PyTorch | tinynet |",
        "| --- | --- |",
        "| `import torch` | `import tinynet as torch` |",
        "| `import torch.nn as nn` | `import tinynet.nn as nn` |",
        "| `from torch.utils.data import DataLoader` "
        "| `from tinynet.utils.data import DataLoader` |",
        "| `from torchvision import datasets, transforms` "
        "| `from tinynet import datasets, transforms` |",
        "",
        "If it stays inside what tinynet has, it runs and computes the same numbers from the same "
        "starting weights and data order ([programs that were tried](programs.md)). A name that is "
        "left out raises an error that says so, and why.",
        "",
        f"This page lists the public names of {versions()} and what tinynet does with them. It is "
        "made from the code by `python -m tinynet.testing.parity docs/pytorch.md`, and a test "
        "compares it. Conventions in which the two agree or differ are in "
        "[conventions.md](conventions.md).",
        "",
        "| | " + " | ".join(f"{part}" for part in PARTS) + " | all |",
        "| --- |" + " ---: |" * (len(PARTS) + 1),
    ]
    for place, count in counts.items():
        cells = " | ".join(str(count[part]) for part in PARTS)
        text.append(f"| [`{place}`](#{_anchor(place)}) | {cells} | {sum(count.values())} |")
    cells = " | ".join(str(total[part]) for part in PARTS)
    text.append(f"| all | {cells} | {sum(total.values())} |")
    text += ["", *(f"- **{part}**: {meaning}" for part, meaning in PARTS.items())]
    for place, found in everything.items():
        text += ["", f"## {place}", *_section(found)]
    text += ["", "## Outside, and why", "", "| what | why |", "| --- | --- |"]
    text += [f"| {g.title} | {g.reason} |" for g in decisions().outside]
    return "\n".join(text) + "\n"


def _anchor(place: str) -> str:
    return place.lower().replace(".", "").replace(" ", "-")


def _section(found: list[Entry]) -> list[str]:
    text = []
    by_status = defaultdict(list)
    for entry in found:
        by_status[entry.status].append(entry)
    for status in ("same", "missing"):
        listed = by_status[status]
        if listed:
            text += ["", f"**{status.capitalize()}** ({len(listed)}): {_listed(listed)}"]
    if by_status["different"]:
        text += ["", "| different on purpose | how |", "| --- | --- |"]
        text += [f"| `{e.short}` | {e.note} |" for e in by_status["different"]]
    if by_status["arguments"]:
        text += ["", *_arguments(by_status["arguments"])]
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in by_status["outside"]:
        assert entry.group is not None
        groups[entry.group.title].append(entry)
    if groups:
        text += ["", f"**Outside** ({len(by_status['outside'])}):", ""]
        text += [f"- {title}: {_listed(listed)}" for title, listed in groups.items()]
    return text


def _arguments(listed: list[Entry]) -> list[str]:
    """Names whose arguments differ, in few lines: those that lack the same ones together."""
    alike: dict[str, list[Entry]] = defaultdict(list)
    for entry in listed:
        lacks = "without " + ", ".join(f"`{a}`" for a in entry.lacks) if entry.lacks else ""
        alike["; ".join(part for part in (lacks, entry.note) if part)].append(entry)
    text = [f"**There, with other arguments** ({len(listed)}):", ""]
    return text + [f"- {_listed(entries)}: {how}" for how, entries in alike.items()]


def _listed(entries: list[Entry]) -> str:
    return ", ".join(f"`{e.short}`" for e in entries)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
