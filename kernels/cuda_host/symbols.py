"""What a library's file says about itself: source lines of instructions, shared variables."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path


@lru_cache(maxsize=65536)
def source_line(library: Path, instruction: int) -> tuple[str, int] | None:
    """(file, line) that an instruction comes from; None without addr2line (part of binutils)."""
    tool = shutil.which("addr2line") or shutil.which("llvm-addr2line")
    if tool is None:
        return None
    done = subprocess.run(
        [tool, "-e", str(library), hex(instruction)], capture_output=True, text=True
    )
    file, _, line = done.stdout.strip().rpartition(":")
    number = re.match(r"\d+", line)
    return (file, int(number[0])) if number and not file.startswith("?") else None


@dataclass(frozen=True)
class Shared:
    """A variable in static shared memory: `offset` bytes into the block's."""

    name: str
    function: str
    offset: int
    bytes: int


@cache
def shared_variables(library: Path) -> tuple[Shared, ...]:
    """The __shared__ variables of all kernels in a library, from its table of symbols."""
    tool = shutil.which("readelf") or shutil.which("llvm-readelf")
    if tool is None:
        return ()
    listing = subprocess.run([tool, "-sW", str(library)], capture_output=True, text=True).stdout
    found = []
    # Num: Value Size Type Bind Vis Ndx Name
    for line in listing.splitlines():
        words = line.split()
        if len(words) >= 8 and words[3] == "TLS" and words[7] != "smem":
            found.append((words[7], int(words[1], 16), int(words[2], 0)))
    plain = _demangled([mangled for mangled, _, _ in found])
    variables = []
    for name, (_, offset, size) in zip(plain, found):
        function, _, variable = name.rpartition("::")
        if function:  # the runtime's own have no function around them
            variables.append(Shared(variable, function, offset, size))
    return tuple(dict.fromkeys(variables))


def _demangled(names: list[str]) -> list[str]:
    tool = shutil.which("c++filt") or shutil.which("llvm-cxxfilt")
    if tool is None or not names:
        return names
    done = subprocess.run([tool, *names], capture_output=True, text=True)
    return done.stdout.splitlines()
