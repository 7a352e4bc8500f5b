"""CUDA sources as text: headers put in place, the kernels in them and their parameters."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent


def with_headers(file: Path) -> str:
    """The source with every `#include "..."` replaced by that file, each once.

    `#line` directives keep compilers' messages right. CuPy compiles text, and its cache would not
    notice that an included file has changed.
    """
    return "".join(_with_headers(file.resolve(), set()))


_INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def _with_headers(file: Path, seen: set[Path]) -> Iterator[str]:
    seen.add(file)
    yield f'#line 1 "{shown(file)}"\n'
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        include = _INCLUDE.match(line)
        if include:
            header = (file.parent / include[1]).resolve()
            if header not in seen:
                yield from _with_headers(header, seen)
            yield f'#line {number + 1} "{shown(file)}"\n'
        elif line.strip() != "#pragma once":
            yield line + "\n"
        else:
            yield "\n"


def shown(file: Path | str) -> str:
    """A file's name for people: from the kernels folder on."""
    file = Path(os.path.normpath(file))
    return f"kernels/{file.relative_to(ROOT)}" if file.is_relative_to(ROOT) else str(file)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: a pointer to `dtype`, a number, or (dtype None) a structure."""

    name: str
    type: str
    pointer: bool
    dtype: np.dtype | None
    read_only: bool


@dataclass(frozen=True)
class Signature:
    """What a kernel takes, and the C++ expressions that say more about it."""

    expression: str  # tiled_forward<float>
    parameters: tuple[Parameter, ...]
    # The number of threads it is compiled for, as written, and the template parameters in it.
    bounds: str | None
    template: tuple[tuple[str, str], ...]  # ("typename T", "float"), ("int BM", "64")


_DTYPES = {
    "float": np.float32,
    "double": np.float64,
    "bool": np.bool_,
    "char": np.int8,
    "signed char": np.int8,
    "unsigned char": np.uint8,
    "short": np.int16,
    "unsigned short": np.uint16,
    "int": np.int32,
    "unsigned": np.uint32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "int8_t": np.int8,
    "uint8_t": np.uint8,
    "int32_t": np.int32,
    "uint32_t": np.uint32,
    "int64_t": np.int64,
    "uint64_t": np.uint64,
    "size_t": np.uint64,
}

_KERNEL = re.compile(r"(?:template\s*<([^<>]*)>\s*)?(?:extern\s+\"C\"\s+)?__global__\s+")


def signature(file: Path, expression: str) -> Signature:
    """The signature of one kernel, such as "tiled_forward<float>", of a file."""
    name, _, rest = expression.partition("<")
    arguments = _split(rest.removesuffix(">")) if rest else []
    text = _plain(with_headers(file))
    found = next((kernel for kernel in _kernels(text) if kernel[2] == name), None)
    if found is None:
        raise ValueError(
            f"{shown(file)} has no kernel {name}. A kernel is written as "
            f"__global__ void {name}(...), with its parameters in full."
        )
    template, bounds, _, parameters = found
    if len(template) != len(arguments):
        raise ValueError(
            f"{expression}: {name} has {len(template)} template parameters ({', '.join(template)})."
        )
    bound = tuple(zip(template, arguments))
    types = {declared.split()[-1]: given for declared, given in bound}
    return Signature(
        expression, tuple(_parameter(p, types) for p in parameters), bounds or None, bound
    )


@lru_cache(maxsize=64)
def _kernels(text: str) -> list[tuple[list[str], str, str, list[str]]]:
    """(template parameters, launch bounds, name, parameters) of every kernel in a source."""
    macros = dict(re.findall(r"^\s*#\s*define\s+(\w+)[ \t]+(.+)$", text, re.MULTILINE))
    kernels = []
    for match in _KERNEL.finditer(text):
        template = match[1] or ""
        template = re.sub(r"\w+", lambda word: macros.get(word[0], word[0]), template)
        rest, bounds = text[match.end() :].lstrip(), ""
        rest = rest.removeprefix("void").lstrip()
        if rest.startswith("__launch_bounds__"):
            inside, rest = _parentheses(rest)
            bounds = _split(inside)[0]
            rest = rest.lstrip().removeprefix("void")
        name = rest[: rest.index("(")].strip()
        parameters, _ = _parentheses(rest)
        kernels.append((_split(template), bounds, name, _split(parameters)))
    return kernels


def _plain(text: str) -> str:
    """Without comments and #line directives."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.sub(r"^#line[^\n]*", "", text, flags=re.MULTILINE)


def _parentheses(text: str) -> tuple[str, str]:
    """What stands in the first pair of parentheses, and what follows it."""
    begin = text.index("(")
    depth = 0
    for i in range(begin, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return text[begin + 1 : i], text[i + 1 :]
    raise ValueError("a parenthesis is not closed")


def _split(text: str) -> list[str]:
    """The pieces between commas that stand in no brackets."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in "(<[{") - (character in ")>]}")
        if character == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return [" ".join(piece.split()) for piece in pieces if piece.strip()]


def _parameter(text: str, types: dict[str, str]) -> Parameter:
    words = re.findall(r"\w+|\*|&|<[^>]*>|\S", text)
    read_only = "const" in words[: words.index("*")] if "*" in words else False
    words = [w for w in words if w not in ("const", "__restrict__", "__grid_constant__")]
    pointer, name = "*" in words, words[-1]
    type = " ".join(types.get(w, w) for w in words[:-1] if w != "*")
    dtype = _DTYPES.get(type)
    return Parameter(name, type, pointer, None if dtype is None else np.dtype(dtype), read_only)


_SHARED = re.compile(
    r"(?<!extern )__shared__\s+(?:__align__\(\d+\)\s+)?(\w[\w ]*?)\s+(\w+[^;{}()]*);"
)
_NUMBER = re.compile(r"\b(\w+)\s*=\s*(\d+)\s*[,;}]")


def shared_declarations(
    file: Path, kernel: Signature
) -> dict[str, tuple[tuple[int, ...], np.dtype | None]]:
    """Variable in shared memory -> (shape, dtype), as far as the source says so in plain numbers.

    Sizes may be numbers, enumerators, constants and parameters of the kernel's template. What
    cannot be read has the shape ().
    """
    text = _plain(with_headers(file))
    values = dict(_NUMBER.findall(text))
    values |= {declared.split()[-1]: given for declared, given in kernel.template}
    found: dict[str, tuple[tuple[int, ...], np.dtype | None]] = {}
    for type, declarators in _SHARED.findall(text):
        dtype = _DTYPES.get(values.get(type, type))
        for declarator in _split(declarators):
            name, *sizes = re.findall(r"[^\[\]]+", declarator)
            numbers = [values.get(size.strip(), size.strip()) for size in sizes]
            plain = all(number.isdecimal() for number in numbers)
            shape = tuple(map(int, numbers)) if plain else ()
            found[name.strip()] = shape, None if dtype is None else np.dtype(dtype)
    return found
