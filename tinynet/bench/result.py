"""A result: rows of samples in a JSON file, with all that they depend on.

    {"format": 1, "command": ..., "machine": {...}, "versions": {...}, "started": ..., "load": ...,
     "rows": [{"key": "models/mlp/training/64/2", "unit": "s", "entries": {...}, ...}]}

An entry has the library, all samples, median, best, quartiles, and how many samples were discarded
because of other load. Rows are written as soon as they are there, so a long run can be continued.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import machine

FORMAT = 1


class ResultError(Exception):
    """A file that is no result, or of another machine."""


class Result:
    """Rows by their keys, and what is known of the run."""

    def __init__(self, command: str = "") -> None:
        self.command = command
        self.machine = machine.describe()
        self.versions: dict[str, str] = {}
        self.absent: dict[str, str] = {}  # peers that are not there, and why
        self.started = machine.now()
        self.load: list[float | None] = [machine.load()]
        self.rows: dict[str, dict[str, Any]] = {}
        self.path: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Result:
        """A result from its file. Raises ResultError."""
        try:
            data = json.loads(path.read_text())
        except OSError as error:
            raise ResultError(f"{path}: {error.strerror}.") from None
        except ValueError as error:
            raise ResultError(f"{path} is not JSON: {error}.") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ResultError(f"{path} is no result of tinynet bench, or of another version of it.")
        result = cls.__new__(cls)
        result.path = path
        for name in ("command", "machine", "versions", "absent", "started", "load"):
            setattr(result, name, data[name])
        result.rows = {row["key"]: row for row in data["rows"]}
        return result

    def add(self, row: dict[str, Any]) -> None:
        """Put in a row, in place of an older one of this key; write the file if there is one."""
        self.rows[row["key"]] = row
        self.load = [self.load[0], machine.load()]
        if self.path is not None:
            self.write(self.path)

    def write(self, path: Path) -> None:
        """Write the file."""
        rows = [json.dumps(_rounded(row)) for row in self.rows.values()]
        data = {
            "format": FORMAT,
            "command": self.command,
            "machine": self.machine,
            "versions": self.versions,
            "absent": self.absent,
            "started": self.started,
            "load": self.load,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        # a row is a line, so that differences are short
        head = json.dumps(data, indent=1).removesuffix("\n}")
        path.write_text(head + ',\n "rows": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n")

    def of(self, selection: str) -> list[dict[str, Any]]:
        """The rows of a selection, such as "models"."""
        return [row for row in self.rows.values() if row["key"].split("/")[0] == selection]

    def selections(self) -> list[str]:
        """Those that have rows, in their order."""
        return list(dict.fromkeys(key.split("/")[0] for key in self.rows))


def _rounded(value: Any) -> Any:
    """Floats with six digits: what the clocks are good for."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value


def entries_of(row: dict[str, Any], library: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(label, entry) of a row's entries by this library."""
    for label, entry in row["entries"].items():
        if entry["library"] == library:
            yield label, entry
