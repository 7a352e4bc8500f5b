"""What PyTorch has under a name, and why tinynet lacks it: for errors and for docs/pytorch.md.

`names.txt` lists PyTorch's public names with their signatures (made by
`tinynet.testing.pytorch_names`), `decisions.toml` says which are outside what tinynet is for, which
differ on purpose, and what to use instead. `tinynet.testing.parity` writes the page.
"""

from __future__ import annotations

import functools
import re
import sys
from fnmatch import translate
from opcode import opmap
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
# tinynet has torchvision's names where torch's are
VISION = ("transforms", "datasets", "models", "utils")


class Group(NamedTuple):
    """Names that are outside what tinynet is for, and why."""

    title: str
    reason: str
    patterns: tuple[str, ...]


class Decisions(NamedTuple):
    """What was decided about names: groups outside, differences on purpose, what is nearest."""

    outside: tuple[Group, ...]
    different: dict[str, str]
    nearest: dict[str, str]

    def group(self, name: str) -> Group | None:
        """The group of a full name (`torch.jit.script`) that is outside, if it is."""
        for group in self.outside:
            if any(fits(name, pattern) for pattern in group.patterns):
                return group
        return None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # translate() writes `.*` for `*`; a star stays within one name
    return re.compile(translate(pattern).replace(".*", "[^.]*"))


def fits(name: str, pattern: str) -> bool:
    """Whether a full name fits a pattern, in which `*` stands for anything but a dot."""
    return _compiled(pattern).match(name) is not None


@functools.cache
def names() -> dict[str, dict[str, str]]:
    """PyTorch's public names: for each module or class, its names and their signatures."""
    found: dict[str, dict[str, str]] = {}
    for line in (HERE / "names.txt").read_text().splitlines():
        if line.startswith("["):
            found[line[1:-1]] = place = {}
        elif line and not line.startswith("#"):
            name, parenthesis, rest = line.partition("(")
            place[name] = parenthesis + rest
    return found


def versions() -> str:
    """Whose names these are: "torch 2.13.0, torchvision 0.28.0"."""
    return (HERE / "names.txt").read_text().partition("\n")[0].removeprefix("# ")


@functools.cache
def decisions() -> Decisions:
    """The file `decisions.toml`."""
    import tomllib

    read = tomllib.loads((HERE / "decisions.toml").read_text())
    groups = (Group(g["title"], g["reason"], tuple(g["names"])) for g in read["outside"])
    return Decisions(tuple(groups), read["different"], read["nearest"])


def places_of(owner: str) -> list[str]:
    """PyTorch's names of a module or class of tinynet: `tinynet.nn` is `torch.nn`."""
    inner = owner.partition(".")[2]
    found = [f"torch.{inner}" if inner else "torch"]
    if inner.partition(".")[0] in VISION:
        found.append(f"torchvision.{inner}")
    return found


def explanation(owner: str, name: str) -> str:
    """Why `owner` has no `name`, if PyTorch has it; nothing for a name that is nobody's."""
    for place in places_of(owner):
        full = f"{place}.{name}"
        group = decisions().group(full)
        known = name in names().get(place, ())
        if not known and group is None:
            continue
        if group is not None:
            text = f"{full} is outside what tinynet is for ({group.title}: {group.reason})"
        else:
            text = f"PyTorch has {full}, tinynet does not have it yet"
        instead = decisions().nearest.get(full)
        return f"{text}. {instead}" if instead else f"{text}."
    return ""


def missing(owner: str, name: str, has: Any = None) -> AttributeError | ImportError:
    """The error for a name that tinynet's module or class `owner` lacks: it names the feature.

    has: the module or class itself, for the names that are near in spelling.
    """
    what = "'Tensor' object" if owner == "tinynet.Tensor" else f"module {owner!r}"
    text = f"{what} has no attribute {name!r}"
    if name.startswith("_"):
        return AttributeError(text, name=name, obj=has)
    reason = explanation(owner, name)
    if reason:
        text += f": {reason}"
    else:
        import difflib

        near = difflib.get_close_matches(name, [n for n in dir(has) if n[0] != "_"], n=1)
        if near:
            text += f"; did you mean {near[0]!r}?"
    # `from tinynet.nn import X` would replace an AttributeError by an ImportError without reason
    frame = sys._getframe(2)
    if opmap["IMPORT_FROM"] == frame.f_code.co_code[frame.f_lasti]:
        return ImportError(text, name=owner)
    return AttributeError(text)


def module_getattr(owner: str) -> Any:
    """A `__getattr__` for a module, which raises `missing`."""

    def __getattr__(name: str) -> Any:
        raise missing(owner, name, sys.modules.get(owner))

    return __getattr__
