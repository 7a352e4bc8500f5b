"""A library of compiled kernels, and launches of them."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..cuda_source import Signature
from . import checked
from .build import Mode, build


class CudaHostError(RuntimeError):
    """A kernel did something wrong: a barrier that not all reach, an access out of bounds, ..."""


@dataclass(frozen=True)
class Settings:
    """How kernels run on the CPU.

    mode      fast; debug, not optimised, for gdb; check, which looks at every access
    order     in which a block's threads run between barriers: 0 ascending, 1 descending, a larger
              number a shuffle. A correct kernel gives the same bits in every order.
    workers   threads of the operating system that share out the blocks; None: as many as pay
    """

    mode: Mode = "fast"
    order: int = 0
    workers: int | None = None


_settings: ContextVar[Settings | None] = ContextVar("tinynet.cuda_host.settings", default=None)


def current() -> Settings:
    """The settings in force."""
    return _settings.get() or Settings()


@contextmanager
def settings(**changes: Any) -> Iterator[Settings]:
    """Within the `with` block kernels run with these settings (see Settings)."""
    token = _settings.set(replace(current(), **changes))
    try:
        yield current()
    finally:
        _settings.reset(token)


# As in runtime/launch.h.


class Region(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_uint64), ("bytes", ctypes.c_uint64))


class Access(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint64),
        ("block", ctypes.c_uint64),
        ("instruction", ctypes.c_uint64),
        ("file", ctypes.c_char_p),
        ("line", ctypes.c_int32),
        ("thread", ctypes.c_int32),
        ("bytes", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("value", ctypes.c_uint8 * 16),
    )


class Report(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int32),
        ("now", Access),
        ("before", Access),
        ("text", ctypes.c_char * 2048),
    )


class Launch(ctypes.Structure):
    _fields_ = (
        ("thread", ctypes.c_void_p),
        ("arguments", ctypes.c_void_p),
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("shared_bytes", ctypes.c_uint64),
        ("order", ctypes.c_int32),
        ("workers", ctypes.c_int32),
        ("regions", ctypes.c_void_p),
        ("region_count", ctypes.c_int32),
        ("traced_thread", ctypes.c_int32),
        ("traced_block", ctypes.c_uint64),
        ("trace", ctypes.c_void_p),
        ("trace_room", ctypes.c_uint64),
        ("trace_length", ctypes.c_uint64),
        ("statics", ctypes.c_uint64),
        ("dynamic", ctypes.c_uint64),
    )


class Library:
    """Kernels of one file, compiled in one mode and loaded."""

    def __init__(self, file: Path, signatures: Sequence[Signature], mode: Mode) -> None:
        self.file, self.mode = file, mode
        self.path = build(file, signatures, mode)
        self.handle = ctypes.CDLL(str(self.path))
        self.entries = {s.expression: Entry(self, i, s) for i, s in enumerate(signatures)}

    def launch(self, launch: Launch) -> Report | None:
        """Run it; the report if something was wrong."""
        report = Report()
        self.handle.cuda_host_launch(ctypes.byref(launch), ctypes.byref(report))
        return report if report.kind else None


class Entry:
    """One kernel of a library."""

    def __init__(self, library: Library, index: int, signature: Signature) -> None:
        self.library, self.signature = library, signature
        handle = library.handle
        self._thread = ctypes.c_void_p.in_dll(handle, f"cuda_host_thread_{index}").value
        self._bounds = getattr(handle, f"cuda_host_bounds_{index}")()
        sizes = getattr(handle, f"cuda_host_sizes_{index}")
        sizes.restype = ctypes.POINTER(ctypes.c_int)
        self.sizes = sizes()[: len(signature.parameters)]

    def prepare(
        self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], shared: int
    ) -> tuple[Launch, list[Any]]:
        """The launch, and what must stay alive until it is over."""
        name = self.signature.expression
        three = [(*given, 1, 1)[:3] for given in (grid, block)]
        threads = int(np.prod(three[1]))
        if threads > self._bounds:
            raise ValueError(
                f"{name} is compiled for {self._bounds} threads a block (__launch_bounds__), "
                f"but the block is {tuple(block)}."
            )
        values = [_value(a) for a in args]
        for parameter, value, size in zip(self.signature.parameters, values, self.sizes):
            if value.nbytes != size:
                raise TypeError(
                    f"{name}: {parameter.name} has {value.nbytes} bytes, but {parameter.type} has "
                    f"{size}. The structure's fields must be those of the source, with align=True."
                )
        pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
        chosen = current()
        launch = Launch(
            thread=self._thread,
            arguments=ctypes.addressof(pointers),
            grid=(ctypes.c_uint32 * 3)(*three[0]),
            block=(ctypes.c_uint32 * 3)(*three[1]),
            shared_bytes=shared,
            order=chosen.order,
            workers=chosen.workers or _worth(int(np.prod(three[0], dtype=np.int64)), threads),
            traced_thread=-1,
        )
        return launch, [pointers, values, args]


def _value(argument: Any) -> np.ndarray:
    """The bytes that the kernel gets: an array's address, or the number or structure itself."""
    if argument is None:
        return np.zeros(1, np.uintp)
    if isinstance(argument, np.ndarray) and argument.dtype.names is None:
        return np.array([argument.ctypes.data], np.uintp)
    return np.array(argument).reshape(1)


def _worth(blocks: int, threads: int) -> int:
    """Threads of the operating system: one for every 4000 threads of the launch."""
    return max(1, min(os.cpu_count() or 1, blocks, blocks * threads // 4000))


# A request (trace.py) to record what one thread of a launch does.
_traced: ContextVar[Any] = ContextVar("tinynet.cuda_host.traced", default=None)

# The checker keeps its books for one launch at a time.
_one_at_a_time = threading.Lock()


def run(
    entry: Entry,
    grid: Sequence[int],
    block: Sequence[int],
    args: Sequence[Any],
    shared: int,
    reaches: Sequence[Any] = (),
) -> None:
    """Launch a kernel; CudaHostError says what it did wrong."""
    if entry.library.mode == "check":
        names = [p.name for p in entry.signature.parameters]
        with _one_at_a_time, checked.Apart(names, args, reaches) as (apart, blocks):
            launch, keep = entry.prepare(grid, block, apart, shared)
            known = checked.regions(blocks, Region)
            launch.regions, launch.region_count = ctypes.addressof(known), len(known)
            launch.workers = 1
            request = _traced.get()
            if request is not None and request.wants(entry.signature.expression):
                request.begin(launch, Access)
            report = entry.library.launch(launch)
            where = checked.Where(entry, launch, blocks)
            if launch.trace:
                request.end(launch, where)
            message = report and where.sentence(report)
    else:
        launch, keep = entry.prepare(grid, block, args, shared)
        report = entry.library.launch(launch)
        message = report and checked.sentence(report)
    del keep
    if message:
        raise CudaHostError(f"{entry.signature.expression}: {message}.")


def runners(file: Path, signatures: Sequence[Signature]) -> Mapping[str, Any]:
    """Expression -> function (grid, block, args, shared, reaches) that runs as `settings` say."""

    @cache
    def library(mode: Mode) -> Library:
        return Library(file, signatures, mode)

    def runner(expression: str) -> Any:
        def launch(*arguments: Any) -> None:
            run(library(current().mode).entries[expression], *arguments)

        return launch

    return {s.expression: runner(s.expression) for s in signatures}
