"""From a .cu file to a library that this process can load."""

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from .. import user_cache
from ..cuda_source import Signature, shown, with_headers

HERE = Path(__file__).parent
Mode = Literal["fast", "debug", "check"]

# -fno-strict-aliasing: kernels read float4 from float arrays. -fno-math-errno: so does a GPU.
_COMMON = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-fno-math-errno")
_OPTIMISED = ("-O2", "-g1")
# addr2line of binutils 2.40 takes one file for another in version 5 of the format.
_LINES = "-gdwarf-4"
# How the kernels themselves are compiled in each mode. In check mode the compiler calls a function
# before every read and write, meant for ThreadSanitizer, and one where an index leaves its array or
# an address is not aligned, meant for UndefinedBehaviorSanitizer: runtime/checker.cpp has both.
# Not optimised, accesses are those of the source, in its order.
KERNEL_FLAGS: dict[Mode, tuple[str, ...]] = {
    "fast": ("-O2", "-march=native"),
    "debug": ("-O0", "-g"),
    "check": ("-O0", _LINES, "-fsanitize=thread", "-fsanitize=bounds,alignment"),
}


class CompilerMissing(RuntimeError):
    """There is no C++ compiler on this machine."""


@cache
def compiler() -> str:
    """The C++ compiler: $CXX, g++ or clang++. Raises CompilerMissing."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        found = name and shutil.which(name)
        if found:
            return found
    raise CompilerMissing(
        "cuda-host compiles kernels with the C++ compiler of this machine, but finds none (g++, "
        "clang++ or $CXX). Install one: apt install g++, dnf install gcc-c++, xcode-select "
        "--install, or on Windows use WSL."
    )


@cache
def _compiler_version() -> str:
    return subprocess.run([compiler(), "--version"], capture_output=True, text=True).stdout


def build(file: Path, signatures: Sequence[Signature], mode: Mode) -> Path:
    """The library with these kernels of a file, from the cache or compiled now."""
    source = _unit(file, signatures)
    flags = (*_COMMON, *KERNEL_FLAGS[mode], f"-I{HERE / 'include'}", "-include", "cuda_host.h")
    key = _key(source, with_headers(file), *flags)
    directory = _directory()
    target = directory / f"{file.stem}-{mode}-{key}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        unit, object_, library = (Path(scratch, f"unit.{end}") for end in ("cpp", "o", "so"))
        unit.write_text(source, encoding="utf-8")
        _run([*flags, "-c", "-o", str(object_), str(unit)], file)
        # Linked without -fsanitize: what the compiler calls is ours.
        runtime = [str(path) for path in _runtime(mode)]
        _run(["-shared", "-o", str(library), str(object_), *runtime, "-lpthread"], file)
        library.replace(target)  # atomic: other processes may build the same
    return target


def _unit(file: Path, signatures: Sequence[Signature]) -> str:
    lines = [f'#include "{file}"', '#include "entry.h"']
    for i, signature in enumerate(signatures):
        lines.append(f"CUDA_HOST_KERNEL({i}, {signature.expression})")
        # __launch_bounds__ as a number: the template's parameters, then the expression.
        values = "".join(
            f"using {declared.split()[-1]} = {given}; "
            if declared.split()[0] in ("typename", "class")
            else f"constexpr {declared} = {given}; "
            for declared, given in signature.template
        )
        bounds = signature.bounds or "1024"
        lines.append(f"CUDA_HOST_EXPORT int cuda_host_bounds_{i}() {{ {values}return {bounds}; }}")
    return "\n".join(lines) + "\n"


def _runtime(mode: Mode) -> list[Path]:
    """The runtime's object files, compiled once."""
    names = ["fiber", "block"]
    flags: tuple[str, ...] = (*_COMMON, *_OPTIMISED)
    if mode == "check":
        names.append("checker")
        flags = (*flags, "-DCUDA_HOST_CHECK")
    objects = []
    for source in (HERE / "runtime" / f"{name}.cpp" for name in names):
        target = _directory() / f"{source.stem}-{_key(*flags)}.o"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=_directory()) as scratch:
                made = Path(scratch, "made.o")
                _run([*flags, "-c", "-o", str(made), str(source)], source)
                made.replace(target)
        objects.append(target)
    return objects


def _run(arguments: Sequence[str], file: Path) -> None:
    command = [compiler(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"cuda-host: {shown(file)} does not compile as C++:\n{done.stderr}\n"
            f"The command was: {shlex.join(command)}"
        )


@cache
def _runtime_key() -> str:
    """A hash of the compiler, the processor and everything in include/ and runtime/."""
    files = sorted([*(HERE / "include").iterdir(), *(HERE / "runtime").iterdir()])
    return _key(compiler(), _compiler_version(), _processor(), *(f.read_text() for f in files))


def _processor() -> str:
    """What -march=native depends on: a home directory may be shared by several machines."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return "\n".join({line for line in text.splitlines() if line.startswith(("flags", "Features"))})


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _directory() -> Path:
    found = user_cache.directory("cuda-host", _runtime_key())
    return found if found is not None else _private_directory()


@cache
def _private_directory() -> Path:
    """Where to build if no cache can be written; the operating system cleans up."""
    return Path(tempfile.mkdtemp(prefix="tinynet-cuda-host-"))
