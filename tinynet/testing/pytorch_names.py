"""The public names of PyTorch and torchvision with their signatures, read from the installed ones.

    python -m tinynet.testing.pytorch_names tinynet/parity/names.txt

One line per name, under the name of its module or class: `conv2d(input, weight, bias=None, ...)`,
or the bare name where there is no signature. With the list in the package tinynet can speak of
names that it lacks, and `tinynet.testing.parity` can compare, without PyTorch.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PLACES = [
    "torch",
    "torch.Tensor",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.utils",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.utils.data",
    "torch.autograd",
    "torch.autograd.functional",
    "torch.autograd.graph",
    "torch.func",
    "torch.linalg",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.utils",
]
# What lies in the modules without belonging to their public names.
HELPERS = re.compile(
    r"""has_torch_function.*|handle_torch_function|boolean_dispatch|assert_int_or_pair|.*_notes
    |classproperty|get_file_path|prepare_multiprocessing_environment|profiler_allow_.*|LoggerBase
    |StorageBase|Callable|Optional|Tensor|TypeVar|ParamSpec|(any|all)_.*_mode|typename""",
    re.VERBOSE,
)
Signature = list[tuple[str, str, str | None]]  # (kind, name, default) of each parameter


def read(place: str) -> Any:
    """The module or class of this name."""
    module, _, last = place.rpartition(".")
    if last == "Tensor":
        return importlib.import_module(module).Tensor
    return importlib.import_module(place)


def public_names(place: str) -> list[str]:
    """The names of an installed module or class that are for its users."""
    owner = read(place)
    listed = set(getattr(owner, "__all__", ()))
    if inspect.isclass(owner):
        return sorted(n for n in dir(owner) if not n.startswith("_"))
    package = place.partition(".")[0]
    names = []
    for name in sorted(listed | set(dir(owner))):
        value = getattr(owner, name, None)
        if name.startswith("_") or HELPERS.fullmatch(name):
            continue
        if not (name in listed or (_is_its_own(value, package, place) and not _closed(owner))):
            continue
        names.append(name)
    return names


def _closed(owner: Any) -> bool:
    """Whether `__all__` says everything: torch's own says much, but not all."""
    return hasattr(owner, "__all__") and owner.__name__ != "torch"


def _is_its_own(value: Any, package: str, place: str) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__.startswith(f"{place}.")
    if type(value).__module__.partition(".")[0] == package:
        return True  # a dtype, a layout, a memory format
    home = getattr(value, "__module__", None)
    return callable(value) and (home is None or home.partition(".")[0] == package)


def signature(value: Any, method: bool = False) -> Signature | None:
    """The parameters of a function, method or class; None if nothing says them.

    Functions written in C say them in the first line of their documentation; where that lists
    several forms there is no one signature.

    method: value is a method, read from its class: the first parameter is the object itself.
    """
    if not callable(value) or isinstance(value, ModuleType):
        return None
    try:
        found = inspect.signature(value)
    except (ValueError, TypeError):
        return _documented(inspect.getdoc(value) or "")
    parameters = list(found.parameters.values())
    if method and parameters and parameters[0].kind.name.startswith("POSITIONAL"):
        parameters = parameters[1:]
    signature = [
        (p.kind.name, p.name, None if p.default is p.empty else _literal(p.default))
        for p in parameters
        if p.name != "orig_func"  # of PyTorch's decorators, not for callers
    ]
    # a wrapper with keywords of its own, such as `out`
    known = {name for _, name, _ in signature}
    own = (getattr(value, "__kwdefaults__", None) or {}) if hasattr(value, "__wrapped__") else {}
    signature += [("KEYWORD_ONLY", k, _literal(v)) for k, v in own.items() if k not in known]
    if [kind for kind, _, _ in signature] == ["VAR_POSITIONAL", "VAR_KEYWORD"]:
        return _documented(inspect.getdoc(value) or "")  # a wrapper that passes everything on
    return signature


def _documented(text: str) -> Signature | None:
    first, _, rest = text.strip().partition("\n")
    if ".. function::" in rest or ".. method::" in rest:
        return None
    match = re.match(r"\w+(\(.*\))\s*(->.*)?$", first)
    if not match:
        return None
    # types are left out: `dim: int = 0` is `dim=0`
    return parsed(re.sub(r"(\w+) ?: ?[\w\[\], .]+?(?=[,=)]\s*(?:\*|\w+|$))", r"\1", match[1]))


def parsed(text: str) -> Signature | None:
    """The parameters of a signature as Python writes it; None if it is not one."""
    try:
        arguments = ast.parse(f"def f{text}: pass").body[0].args  # type: ignore[attr-defined]
    except SyntaxError:
        return None
    both = [*arguments.posonlyargs, *arguments.args]
    only = {a.arg for a in arguments.posonlyargs}
    plain = [None] * (len(both) - len(arguments.defaults)) + arguments.defaults
    found: Signature = [
        (
            "POSITIONAL_ONLY" if a.arg in only else "POSITIONAL_OR_KEYWORD",
            a.arg,
            None if d is None else ast.unparse(d),
        )
        for a, d in zip(both, plain)
    ]
    if arguments.vararg:
        found.append(("VAR_POSITIONAL", arguments.vararg.arg, None))
    found += [
        ("KEYWORD_ONLY", a.arg, None if d is None else ast.unparse(d))
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults)
    ]
    if arguments.kwarg:
        found.append(("VAR_KEYWORD", arguments.kwarg.arg, None))
    return [p for p in found if p[1] != "self"]


def _literal(value: Any) -> str:
    """A default as text that is the same from run to run."""
    if isinstance(value, bool | int | float | str | tuple | list | None.__class__):
        return repr(value)
    return str(value) if re.fullmatch(r"torch\.\w+|InterpolationMode\.\w+", str(value)) else "..."


def written(signature: Signature) -> str:
    """A signature as Python writes it: `(x, *, alpha=1)`."""
    parts, star = [], False
    for i, (kind, name, default) in enumerate(signature):
        if kind == "VAR_POSITIONAL":
            star = True
            parts.append(f"*{name}")
            continue
        if kind == "VAR_KEYWORD":
            parts.append(f"**{name}")
            continue
        if kind == "KEYWORD_ONLY" and not star:
            star = True
            parts.append("*")
        parts.append(name if default is None else f"{name}={default}")
        following = signature[i + 1][0] if i + 1 < len(signature) else ""
        if kind == "POSITIONAL_ONLY" and following != kind:
            parts.append("/")
    return f"({', '.join(parts)})"


def lines() -> list[str]:
    """The list: a line `[module]`, then a line for each of its names."""
    import torch
    import torchvision

    found = [f"# torch {_plain(torch)}, torchvision {_plain(torchvision)}"]
    for place in PLACES:
        found += ["", f"[{place}]"]
        for name in public_names(place):
            parameters = signature(getattr(read(place), name, None), place == "torch.Tensor")
            found.append(name if parameters is None else name + written(parameters))
    return found


def _plain(package: Any) -> str:
    return package.__version__.partition("+")[0]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("\n".join(lines()) + "\n")
