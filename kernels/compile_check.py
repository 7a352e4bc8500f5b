"""Every kernel compiled for every GPU architecture, without a GPU: registers and spills.

    python -m tinynet.kernels.compile_check            # the table, as docs/cuda.md explains it

A kernel *spills* if it needs more registers than there are: the rest goes to memory, in the inner
loop as a rule. Fewer registers a thread let more threads run at once. What each kernel may use
stands beside it, in its family's table of kernels.

The compiler is nvcc if it is at hand, otherwise NVRTC through cuda.core, if that is installed.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .cuda_source import shown, with_headers
from .launch import ARCHITECTURES, Kernels, registry


@dataclass(frozen=True)
class Compiled:
    """What the assembler says of one kernel on one architecture."""

    file: str
    expression: str
    architecture: int
    registers: int
    limit: int
    spilled: int  # bytes
    stack: int

    @property
    def wrong(self) -> str | None:
        """What is not as it should be, in words."""
        name = f"{self.expression} ({self.file}) for sm_{self.architecture}"
        if self.spilled:
            return f"{name} spills {self.spilled} bytes of registers to memory."
        if self.registers > self.limit:
            return f"{name} uses {self.registers} registers; its table allows {self.limit}."
        return None


@dataclass(frozen=True)
class Unit:
    """What is compiled at once: kernels of one file, with their limits."""

    file: Path
    limits: dict[str, int]
    architectures: tuple[int, ...]


# (unit) -> (architecture, expression, registers, spilled, stack) of each kernel
Findings = Iterable[tuple[int, str, int, int, int]]


def why_no_compiler() -> str | None:
    """None if there is a CUDA compiler, or a sentence with the cure."""
    if shutil.which("nvcc"):
        return None
    try:
        import cuda.core  # noqa: F401
    except ImportError:
        return (
            "there is no CUDA compiler: install a toolkit (nvcc), or pip install "
            "'cuda-core[cu13]' nvidia-cuda-nvrtc."
        )
    return None


def compile_all(
    kernels: Sequence[Kernels] | None = None, architectures: Sequence[int] = ARCHITECTURES
) -> list[Compiled]:
    """Compile the registry, or some of it; RuntimeError if a kernel does not compile.

    Nothing is cached. Units are compiled side by side, one for each processor.
    """
    reason = why_no_compiler()
    if reason:
        raise RuntimeError(reason)
    compiler: Callable[[Unit], Findings] = _nvcc if shutil.which("nvcc") else _nvrtc
    units = list(_units(registry() if kernels is None else kernels, architectures))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda unit: list(compiler(unit)), units))
    results = [
        Compiled(shown(unit.file), name, arch, registers, unit.limits[name], spilled, stack)
        for unit, findings in zip(units, found)
        for arch, name, registers, spilled, stack in findings
    ]
    _check_complete(units, results)
    return results


def _units(kernels: Sequence[Kernels], architectures: Sequence[int]) -> Iterable[Unit]:
    """One for each file, whoever uses it."""
    units: dict[Path, Unit] = {}
    for k in kernels:
        limits = {name: k.limit(name) for T in k.types for name in k.expressions(T)}
        before = units[k.file].limits if k.file in units else {}
        those = tuple(a for a in architectures if a >= k.architecture)
        units[k.file] = Unit(k.file, before | limits, those)
    return units.values()


def _check_complete(units: Iterable[Unit], results: Iterable[Compiled]) -> None:
    wanted = {(name, a) for unit in units for name in unit.limits for a in unit.architectures}
    missing = wanted - {(r.expression, r.architecture) for r in results}
    if missing:
        raise RuntimeError(f"the compiler's report says nothing of {sorted(missing)}")


_ENTRY = re.compile(
    r"Compiling entry function '(\S+)' for 'sm_(\d+)\w*'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers",
    re.DOTALL,
)


def _entries(report: str) -> Iterable[tuple[str, int, int, int, int]]:
    """(symbol, architecture, registers, spilled, stack) from what ptxas -v prints."""
    for symbol, arch, stack, stores, loads, registers in _ENTRY.findall(report):
        yield symbol, int(arch), int(registers), int(stores) + int(loads), int(stack)


def _nvcc(unit: Unit) -> Findings:
    # Taking a kernel's address instantiates the template.
    uses = [f"__device__ void* use_{i} = (void*)&{name};" for i, name in enumerate(unit.limits)]
    with tempfile.TemporaryDirectory() as scratch:
        source, made = Path(scratch, "unit.cu"), Path(scratch, "unit.fatbin")
        source.write_text("\n".join([f'#include "{unit.file}"', *uses, ""]), encoding="utf-8")
        targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in unit.architectures]
        command = ["nvcc", "-std=c++17", "-fatbin", *targets, "-Xptxas", "-v", "-o", str(made)]
        done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shown(unit.file)} does not compile:\n{done.stderr}")
    entries = list(_entries(done.stderr))
    names = _expressions([entry[0] for entry in entries], unit)
    for (_, arch, *numbers), name in zip(entries, names):
        registers, spilled, stack = numbers
        if name in unit.limits:
            yield arch, name, registers, spilled, stack


def _expressions(symbols: list[str], unit: Unit) -> list[str]:
    """The name expressions that mangled names stand for."""
    tool = shutil.which("cu++filt") or shutil.which("c++filt") or "c++filt"
    done = subprocess.run([tool, *symbols], capture_output=True, text=True, check=True)
    enumerations = {
        name: [value.strip() for value in values.split(",")]
        for name, values in re.findall(r"enum (\w+) \{([^}=]*)\}", with_headers(unit.file))
    }

    def expression(plain: str) -> str:
        # void name<float, 64, (Order)2>(float const*, ...)
        plain = plain.removeprefix("void ")
        plain = re.sub(
            r"\((\w+)\)(\d+)",
            lambda e: enumerations[e[1]][int(e[2])] if e[1] in enumerations else e[2],
            plain,
        )
        return plain[: plain.index("(")]

    return [expression(plain) for plain in done.stdout.splitlines()]


def _nvrtc(unit: Unit) -> Findings:
    from cuda.core import Program, ProgramOptions

    for arch in unit.architectures:
        options = ProgramOptions(std="c++17", arch=f"sm_{arch}", ptxas_options=["-v"])
        program = Program(with_headers(unit.file), "c++", options)
        report = io.StringIO()
        names = tuple(unit.limits)
        code = program.compile("cubin", name_expressions=names, logs=report)
        lowered = {
            symbol.decode() if isinstance(symbol, bytes) else symbol: name
            for name, symbol in code.symbol_mapping.items()
        }
        for symbol, _, registers, spilled, stack in _entries(report.getvalue()):
            if symbol in lowered:
                name = lowered[symbol]
                name = name.decode() if isinstance(name, bytes) else name
                yield arch, name, registers, spilled, stack


def main() -> int:
    """Print the table; 1 if something is wrong."""
    reason = why_no_compiler()
    if reason:
        print(f"compile check: {reason}")
        return 2
    results = compile_all()
    table: dict[tuple[str, str, int], dict[int, int]] = {}
    for r in results:
        table.setdefault((r.file, r.expression, r.limit), {})[r.architecture] = r.registers
    width = max(len(name) for _, name, _ in table)
    heads = "".join(f"{f'sm_{a}':>8}" for a in ARCHITECTURES)
    print(f"{'registers a thread':{width}}{heads}{'limit':>8}")
    for (_, name, limit), registers in table.items():
        cells = "".join(f"{registers.get(a, '-'):>8}" for a in ARCHITECTURES)
        print(f"{name:{width}}{cells}{limit:>8}")
    wrong = [r.wrong for r in results if r.wrong]
    print("\n".join(wrong) if wrong else f"{len(results)} kernels: no spills, none above its limit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
