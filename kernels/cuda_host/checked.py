"""A launch in check mode: arrays apart from one another, and reports in sentences."""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cuda_source import shared_declarations, shown
from .symbols import Shared, shared_variables, source_line

if TYPE_CHECKING:
    from .library import Access, Entry, Launch, Region, Report

# Between two arrays lies so much memory of nobody that an index must be far out to reach another.
GAP = 1 << 20
MOST_SHARED = 227 * 1024
SENTENCE, OUTSIDE, MISALIGNED, UNWRITTEN, RACE, NOT_WAITED = range(1, 7)
READ, WRITE, ATOMIC = range(3)


@dataclass(frozen=True)
class Block:
    """An array that a kernel knows, where it lies during the launch."""

    name: str
    array: np.ndarray

    @property
    def begin(self) -> int:
        return self.array.ctypes.data

    @property
    def end(self) -> int:
        return self.begin + self.array.nbytes


class Apart:
    """Copies of a launch's arrays that lie far apart, as long as the `with` block lasts.

    Arrays that overlap, as with an operation in place, overlap in the copy. What the kernel has
    written is copied back. Arrays in `reaches`, of which the kernel holds addresses, stay in place.
    """

    def __init__(self, names: Sequence[str], args: Sequence[Any], reaches: Sequence[Any]) -> None:
        self._names, self._args, self._reaches = names, args, reaches
        self._pieces: list[tuple[np.ndarray, np.ndarray]] = []  # original bytes, copied bytes

    def __enter__(self) -> tuple[list[Any], list[Block]]:
        arrays = [a for a in self._args if _is_array(a)]
        spans: list[list[int]] = []  # of overlapping arrays
        for begin, end in sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays):
            if spans and begin < spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([begin, end])
        places = {}
        total = GAP
        for begin, end in spans:
            places[begin, end] = total
            total += end - begin + GAP
            total += -total % 512  # where CuPy's arrays begin
        memory = np.frombuffer(mmap.mmap(-1, total), np.uint8)
        for (begin, end), place in places.items():
            original = np.ctypeslib.as_array((ctypes.c_uint8 * (end - begin)).from_address(begin))
            copied = memory[place : place + end - begin]
            copied[:] = original
            self._pieces.append((original, copied))
        args, blocks = [], []
        for name, arg in zip(self._names, self._args):
            if _is_array(arg):
                address = arg.ctypes.data
                (begin, end), place = next(
                    (span, p)
                    for span, p in places.items()
                    if span[0] <= address and address + arg.nbytes <= span[1]
                )
                start = place + address - begin
                arg = memory[start : start + arg.nbytes].view(arg.dtype).reshape(arg.shape)
                blocks.append(Block(name, arg))
            args.append(arg)
        blocks += [Block(f"array {i}", array) for i, array in enumerate(self._reaches)]
        return args, blocks

    def __exit__(self, *error: object) -> None:
        for original, copied in self._pieces:
            if (original != copied).any():
                original[:] = copied


def _is_array(argument: Any) -> bool:
    return isinstance(argument, np.ndarray) and argument.dtype.names is None


def regions(blocks: Sequence[Block], type: type[Region]) -> Any:
    """The arrays for the runtime, each memory once."""
    spans = dict.fromkeys((b.begin, b.array.nbytes) for b in blocks if b.array.nbytes)
    return (type * len(spans))(*(type(begin, size) for begin, size in spans))


def sentence(report: Report) -> str:
    """What the runtime itself says, with files named as people know them."""
    return re.sub(r"(\S+\.\w+)(?=:\d)", lambda found: shown(found[1]), report.text.decode())


class Where:
    """Addresses and instructions of one launch in words."""

    def __init__(self, entry: Entry, launch: Launch, blocks: Sequence[Block]) -> None:
        self._entry, self._launch, self._blocks = entry, launch, blocks

    @cached_property
    def _statics(self) -> tuple[Shared, ...]:
        return shared_variables(self._entry.library.path)

    @cached_property
    def _declarations(self) -> dict[str, tuple[tuple[int, ...], np.dtype | None]]:
        return shared_declarations(self._entry.library.file, self._entry.signature)

    def element(self, address: int, size: int) -> tuple[str, str]:
        """("x", "[0, 3]") for an address; ("", "") for one in no array."""
        for block in self._blocks:
            if block.begin <= address < block.end:
                flat = (address - block.begin) // block.array.itemsize
                index = np.unravel_index(flat, block.array.shape)
                return block.name, f"[{', '.join(str(i) for i in index)}]"
        offset = address - self._launch.dynamic
        if 0 <= offset < self._launch.shared_bytes:
            return "smem", f" + {offset} bytes"
        for variable in self._statics:
            offset = address - self._launch.statics - variable.offset
            if 0 <= offset < variable.bytes:
                shape, itemsize = self._declared(variable, size)
                index = np.unravel_index(offset // itemsize, shape)
                return variable.name, f"[{', '.join(map(str, index))}]" if shape else ""
        return "", ""

    def _declared(self, variable: Shared, size: int) -> tuple[tuple[int, ...], int]:
        """Shape and size of an element, as the source declares it where that is plain to see."""
        shape, dtype = self._declarations.get(variable.name, ((), None))
        itemsize = size if dtype is None else dtype.itemsize
        count = variable.bytes // itemsize
        if int(np.prod(shape)) != count or count * itemsize != variable.bytes:
            shape = (count,) if count > 1 else ()
        return shape, itemsize

    def value(self, access: Access) -> np.ndarray:
        """What was read or written, as numbers of the array's type."""
        name, _ = self.element(access.address, access.bytes)
        found = next((b.array.dtype for b in self._blocks if b.name == name), None)
        if found is None:
            found = self._declarations.get(name, ((), None))[1]
        if found is None or access.bytes % found.itemsize:
            found = np.dtype({8: np.float64}.get(access.bytes, np.float32))
        return np.frombuffer(bytes(access.value)[: access.bytes], found)

    def near(self, address: int) -> str:
        """For an address outside: how far from which array."""
        size = self._launch.shared_bytes
        offset = address - self._launch.dynamic
        if 0 <= offset < MOST_SHARED:
            return f"smem + {offset} bytes, but there are {size} bytes of dynamic shared memory"
        if address < 4096:
            return "a null pointer"
        nearest = min(
            (b for b in self._blocks if b.array.nbytes),
            key=lambda b: min(abs(address - b.begin), abs(address - b.end)),
            default=None,
        )
        if nearest is None:
            return f"address {address:#x}"
        array = nearest.array
        element = (address - nearest.begin) // array.itemsize
        return f"element {element} of {nearest.name}, which has {array.size} (shape {array.shape})"

    def line(self, access: Access) -> str:
        if access.line:
            return f"{shown(access.file.decode())}:{access.line}"
        found = source_line(self._entry.library.path, access.instruction)
        return f"{shown(found[0])}:{found[1]}" if found else "a line that addr2line knows"

    def thread(self, access: Access) -> str:
        return f"thread {_three(access.thread, self._launch.block)}"

    def block(self, access: Access) -> str:
        return f"block {_three(access.block, self._launch.grid)}"

    def sentence(self, report: Report) -> str:
        now, before = report.now, report.before
        if report.kind == SENTENCE:
            return sentence(report)
        name, index = self.element(now.address, now.bytes)
        what = f"{name}{index}"
        does = ("reads", "writes", "changes atomically")[now.kind]
        here = f"at {self.line(now)}, {self.thread(now)} of {self.block(now)}"
        if report.kind == OUTSIDE:
            return f"out of bounds: {does} {self.near(now.address)}, {here}"
        if report.kind == MISALIGNED:
            return (
                f"misaligned: {now.bytes} bytes at {what or self.near(now.address)}, whose address "
                f"leaves {now.address % now.bytes} when divided by {now.bytes}, {here}. A GPU "
                f"moves them in one instruction, which needs an address that divides"
            )
        if report.kind == UNWRITTEN:
            return f"uninitialised: {does} {what}, which no thread of the block has written, {here}"
        if report.kind == NOT_WAITED:
            return (
                f"missing wait: {does} {what} {here}, but the cp.async to it by "
                f"{self.thread(before)} at {self.line(before)} has not been waited for"
            )
        other = f"{self.thread(before)} of {self.block(before)}"
        did = ("read", "wrote", "changed")[before.kind]
        reason = "with no barrier between" if now.block == before.block else "blocks have no order"
        return (
            f"race on {what}: {self.thread(now)} of {self.block(now)} {does} it at "
            f"{self.line(now)}, {other} {did} it at {self.line(before)}, {reason}"
        )


def _three(i: int, sizes: Sequence[int]) -> tuple[int, int, int]:
    return i % sizes[0], i // sizes[0] % sizes[1], i // sizes[0] // sizes[1]
