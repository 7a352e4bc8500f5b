"""The one way from Python to a CUDA kernel, on the GPU (CuPy) and on the CPU (cuda_host).

    TILED = Kernels(
        "conv2d/tiled.cu",
        {"tiled_forward<T>": {"float": 40, "double": 60}},     # registers a thread, at most
    )
    kernel = TILED.kernel("tiled_forward<T>", x)               # x says where, and what T is
    kernel(grid, block, (x, w, y, struct, np.int32(1)), shared_mem=0)

Every `Kernels` stands in `registry()`: what is compiled for the GPU, what is compiled for the CPU
and what is checked for every architecture is the same list.

Before CuPy or the CPU sees a launch, its arguments are compared with the kernel's parameters, which
are read from the source. CuPy would copy whatever it gets: eight bytes of a Python float where the
kernel reads a float of four, or the transposed array's memory in its old order.

- pointer: a C-contiguous array of that type, or None; writable unless the kernel says const
- number: a NumPy scalar of exactly that type, np.int32(n)
- structure: an array of one element, or a scalar, of a structured dtype (align=True)

A structure may hold addresses of arrays; these are then given as `reaches`, so that they are known
to the check for accesses out of bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from . import cuda_source
from .cuda_source import ROOT, Parameter, Signature

Where = Literal["cuda", "cuda-host"]

OPTIONS = ("--std=c++17",)
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)  # Turing to Blackwell
# The most that any of these allows. More than 48 KB must be asked for (see Kernel).
MOST_SHARED = 227 * 1024
WITHOUT_ASKING = 48 * 1024
MOST_THREADS = 1024

_TYPES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


class Kernels:
    """The kernels of one .cu file, with the registers that each may use.

    file            below the kernels folder, or absolute
    registers       {"name<T, 64>": {"float": 40, "double": 60}}, the word T standing for the type;
                    {"name": 32} for a kernel that is no template of T
    architecture    the least that the file can be compiled for (80: cp.async, TF32)

    Kernels of one T are compiled together, when the first of them is asked for.
    """

    def __init__(
        self,
        file: str | Path,
        registers: Mapping[str, int | Mapping[str, int]],
        *,
        architecture: int = 75,
    ) -> None:
        self.file = ROOT / file
        self.architecture = architecture
        self.registers = {
            name: dict(limit) if isinstance(limit, Mapping) else {"": limit}
            for name, limit in registers.items()
        }
        _registry.append(self)

    def kernel(self, name: str, like: Any) -> Kernel:
        """The kernel for arrays of this dtype, where `like` lives; name as in `registers`."""
        limits = self.registers.get(name)
        if limits is None:
            raise KeyError(
                f"{cuda_source.shown(self.file)}: {name!r} is not in the table of kernels; it has "
                f"{', '.join(self.registers)}."
            )
        T = "" if "" in limits else _TYPES.get(like.dtype, str(like.dtype))
        if T not in limits:
            raise TypeError(f"{name} is for {' and '.join(limits)}, but the array is {like.dtype}.")
        return load(self.file, self.expressions(T), where=place_of(like))[_with_type(name, T)]

    def expressions(self, T: str) -> tuple[str, ...]:
        """The kernels of one type: "float", "double", or "" for those without one."""
        return tuple(_with_type(name, T) for name, limits in self.registers.items() if T in limits)

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(T for limits in self.registers.values() for T in limits))

    def limit(self, expression: str) -> int:
        """The registers a thread of this kernel may use."""
        for name, limits in self.registers.items():
            for T, limit in limits.items():
                if _with_type(name, T) == expression:
                    return limit
        raise KeyError(expression)

    def __repr__(self) -> str:
        return f"<Kernels {cuda_source.shown(self.file)}>"


_registry: list[Kernels] = []


def registry() -> list[Kernels]:
    """Every .cu file of every family."""
    from . import FAMILIES

    for family in FAMILIES:
        if (ROOT / family / "cuda.py").exists():
            import_module(f"..{family}.cuda", __name__)
    return [k for k in _registry if k.file.is_relative_to(ROOT)]


@lru_cache(maxsize=4096)
def _with_type(name: str, T: str) -> str:
    head, bracket, arguments = name.partition("<")
    if not T or not bracket:
        return name
    pieces = (T if piece.strip() == "T" else piece.strip() for piece in arguments[:-1].split(","))
    return f"{head}<{', '.join(pieces)}>"


def place_of(array: Any) -> Where:
    """Where kernels on this array run: "cuda-host" for NumPy arrays, "cuda" for CuPy arrays."""
    return "cuda-host" if isinstance(array, np.ndarray) else "cuda"


class Runner(Protocol):
    """One compiled kernel; arguments and sizes have been checked."""

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        shared: int,
        reaches: Sequence[Any],
    ) -> None: ...


@cache
def load(file: Path, names: Sequence[str], *, where: Where) -> Mapping[str, Kernel]:
    """Name expression -> kernel, compiled together when one of them is first called."""
    signatures = [cuda_source.signature(file, name) for name in names]
    runners: Mapping[str, Runner] = (
        _on_gpu(file, names) if where == "cuda" else _on_cpu(file, signatures)
    )
    return {s.expression: Kernel(s, runners[s.expression], where) for s in signatures}


class Kernel:
    """A kernel that can be launched: kernel(grid, block, args, shared_mem=0)."""

    def __init__(self, signature: Signature, run: Runner, where: Where) -> None:
        self.name, self.signature, self._run, self._where = (
            signature.expression,
            signature,
            run,
            where,
        )

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        shared_mem: int = 0,
        reaches: Sequence[Any] = (),
    ) -> None:
        """Launch grid x block threads; TypeError and ValueError say what does not fit.

        `reaches`: arrays whose addresses a structure among the arguments holds.
        """
        parameters = self.signature.parameters
        if len(args) != len(parameters):
            names = ", ".join(p.name for p in parameters)
            raise TypeError(
                f"{self.name} takes {len(parameters)} arguments ({names}), but got {len(args)}."
            )
        for i, (parameter, argument) in enumerate(zip(parameters, args)):
            wrong = _mismatch(parameter, argument, self._where)
            if wrong:
                raise TypeError(f"{self.name}: argument {i}, {parameter.name}, {wrong}")
        self._check_sizes(grid, block, shared_mem)
        self._run(grid, block, args, shared_mem, reaches)

    def _check_sizes(self, grid: Sequence[int], block: Sequence[int], shared: int) -> None:
        gx, gy, gz = (*grid, 1, 1)[:3]
        bx, by, bz = (*block, 1, 1)[:3]
        if not (1 <= gx <= 2**31 - 1 and 1 <= gy <= 65535 and 1 <= gz <= 65535):
            raise ValueError(
                f"{self.name}: the grid is {tuple(grid)} blocks; it may be from (1, 1, 1) to "
                f"(2147483647, 65535, 65535). With nothing to do, launch nothing."
            )
        if min(bx, by, bz) < 1 or bx * by * bz > MOST_THREADS or bz > 64:
            raise ValueError(
                f"{self.name}: a block of {tuple(block)} threads; it may have 1 to {MOST_THREADS} "
                f"in all, and 64 along z."
            )
        if not 0 <= shared <= MOST_SHARED:
            raise ValueError(
                f"{self.name}: {shared} bytes of dynamic shared memory; a block can have "
                f"{MOST_SHARED} at most."
            )

    def __repr__(self) -> str:
        return f"<kernel {self.name} on {self._where}>"


def _mismatch(parameter: Parameter, argument: Any, where: Where) -> str | None:
    """What is wrong with this argument, in words."""
    if parameter.pointer:
        if argument is None:
            return None
        if not hasattr(argument, "flags") or isinstance(argument, np.generic):
            return f"is a {type(argument).__name__}, but the kernel wants an array or None."
        if place_of(argument) != where:
            other = "a NumPy array" if where == "cuda" else "an array on the GPU"
            return f"is {other}, the others are not: all arrays of a launch live in one place."
        if parameter.dtype is not None and argument.dtype != parameter.dtype:
            return f"has dtype {argument.dtype}, but the kernel wants {parameter.dtype}."
        if not argument.flags.c_contiguous:
            return (
                f"has shape {argument.shape} and strides {argument.strides}: not C-contiguous. "
                f"Copy it first, by ascontiguousarray."
            )
        if not parameter.read_only and where == "cuda-host" and not argument.flags.writeable:
            return "is read-only, but the kernel writes to it."
        return None
    dtype = getattr(argument, "dtype", None)
    if parameter.dtype is not None:  # a number
        if not isinstance(argument, np.generic) or dtype != parameter.dtype:
            given = type(argument).__name__ if dtype is None else str(dtype)
            return f"is {given}; the kernel wants a number np.{parameter.dtype.name}(...)."
        return None
    if dtype is None or dtype.names is None or argument.size != 1:
        return (
            f"must be the structure {parameter.type}: one element of a structured dtype, but it is "
            f"{type(argument).__name__}{'' if dtype is None else f' of {dtype}'}."
        )
    return None


class _OnGpu:
    """One kernel on the GPU, by CuPy."""

    def __init__(self, module: Any, name: str) -> None:
        self._module, self._name = module, name
        self._function: Any = None
        self._allowed = WITHOUT_ASKING

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        shared: int,
        reaches: Sequence[Any],
    ) -> None:
        if self._function is None:
            self._function = self._module.get_function(self._name)
        if shared > self._allowed:
            self._ask_for(shared)
        # A null pointer is a number as wide as a pointer; a structure is an array of one element.
        converted = tuple(
            np.uintp(0) if a is None else np.asarray(a) if isinstance(a, np.void) else a
            for a in args
        )
        self._function(tuple(grid), tuple(block), converted, shared_mem=shared)

    def _ask_for(self, shared: int) -> None:
        import cupy

        most = cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"]
        if shared > most:
            raise ValueError(
                f"{self._name}: {shared} bytes of dynamic shared memory, but a block can have "
                f"{most} on this GPU."
            )
        self._function.max_dynamic_shared_size_bytes = shared
        self._allowed = shared


def _on_gpu(file: Path, names: Sequence[str]) -> Mapping[str, Runner]:
    import cupy

    code = cuda_source.with_headers(file)
    module = cupy.RawModule(code=code, options=OPTIONS, name_expressions=tuple(names))
    return {name: _OnGpu(module, name) for name in names}


def _on_cpu(file: Path, signatures: Sequence[Signature]) -> Mapping[str, Runner]:
    from . import cuda_host

    return cuda_host.runners(file, signatures)
