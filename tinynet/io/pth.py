"""PyTorch's files (.pt, .pth): tensors and plain containers, written and read without executing.

A file is a zip archive: NAME/data.pkl is a pickle of the object, in which each tensor refers to a
storage by its key, and NAME/data/KEY holds that storage's bytes. Files of PyTorch before 1.6 are a
row of pickles followed by the storages; they are read too.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..autograd import layout
from ..autograd.tape import wrap
from ..device import move
from ..nn import Parameter
from ..tensor import Tensor
from .atomic import write_atomically
from .pickles import ENCODE, Maker, OrderedDict, read_pickle
from .safetensors import FileFormatError, load_safetensors, save_safetensors

# PyTorch's class of storages for each NumPy dtype, by which a file names its types
STORAGES: Mapping[str, str] = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
STORAGE_OF = {np.dtype(kind): name for name, kind in STORAGES.items()}
# NumPy has no bfloat16: its 16 bits are the upper half of a float32's, and are widened to that
BFLOAT16 = "BFloat16Storage"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
SOURCE = os.PathLike | str


def save(obj: Any, f: SOURCE | io.BufferedIOBase) -> None:
    """Write tensors, numbers, text and bytes, in dicts, lists and tuples, as PyTorch's zip format.

    f: a path, written atomically, or a binary file. A path that ends in .safetensors takes a state
    dict in that format. `torch.load` reads the file, and `load` here. Tensors that share memory
    are written once each: they share nothing when they are read.
    Raises TypeError for anything else in obj, naming where it is.
    """
    if isinstance(f, str | os.PathLike) and Path(f).suffix == ".safetensors":
        save_safetensors(obj, f)
        return
    name = Path(f).stem if isinstance(f, str | os.PathLike) else "archive"
    content = io.BytesIO()
    writer = _PickleWriter()
    pickled = writer.write(obj)
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{name}/data.pkl", pickled)
        archive.writestr(f"{name}/byteorder", sys.byteorder)
        for key, array in enumerate(writer.storages):
            archive.writestr(f"{name}/data/{key}", array.tobytes())
        archive.writestr(f"{name}/version", "3\n")
    if isinstance(f, str | os.PathLike):
        write_atomically(f, content.getvalue())
    else:
        f.write(content.getvalue())


def load(
    f: SOURCE | io.BufferedIOBase, map_location: Any = None, *, weights_only: bool = True
) -> Any:
    """Read a file that `save` or `torch.save` wrote (or a .safetensors file).

    map_location: a device for all tensors; None leaves them on the CPU, wherever they were.
    bfloat16 becomes float32. Tensors that shared a storage get copies of their own.
    Raises FileFormatError, naming the file, if it is damaged, or asks for anything but tensors
    and parameters, dicts, lists, tuples, sets, numbers, text and bytes: nothing that a file says
    is ever executed. Hence weights_only=False is refused with a ValueError.
    """
    if not weights_only:
        raise ValueError(
            "load: weights_only=False would execute what the file says, which tinynet never does; "
            "save the state_dict, and load that."
        )
    content = Path(f).read_bytes() if isinstance(f, str | os.PathLike) else f.read()
    source = f if isinstance(f, str | os.PathLike) else "The file"
    if content[:4] == b"PK\x03\x04":
        value = _read_zip(content, source)
    elif isinstance(f, str | os.PathLike) and Path(f).suffix == ".safetensors":
        value = load_safetensors(f)
    else:
        value = _read_legacy(content, source)
    return value if map_location is None else _moved(value, map_location)


def _moved(value: Any, place: Any) -> Any:
    """The same with all tensors on a device."""
    if isinstance(value, Parameter):
        return Parameter(value.detach().to(place), value.requires_grad)
    if isinstance(value, Tensor):
        return value.to(place)
    if isinstance(value, dict):
        return type(value)((key, _moved(entry, place)) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return type(value)(_moved(entry, place) for entry in value)
    return value


class _StorageType:
    """What a file's `torch.FloatStorage` stands for."""

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name} cannot be set")

    def __setstate__(self, state: Any) -> None:
        raise FileFormatError("a storage's type cannot be changed")

    def array(self, content: bytes, order: Literal["<", ">"]) -> np.ndarray:
        """The storage's elements, in this machine's byte order."""
        if self.name == BFLOAT16:
            upper = np.frombuffer(content, f"{order}u2").astype(np.uint32)
            return (upper << 16).view(np.float32)
        kind = np.dtype(STORAGES[self.name])
        return np.frombuffer(content, kind.newbyteorder(order)).astype(kind)

    @property
    def itemsize(self) -> int:
        """Bytes of an element in the file."""
        return 2 if self.name == BFLOAT16 else np.dtype(STORAGES[self.name]).itemsize


def _rebuild_tensor(
    storage: np.ndarray,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool = False,
    *_: Any,
) -> Tensor:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= storage.size):
        raise ValueError(
            f"a tensor of size {tuple(size)} reaches beyond its {storage.size} elements"
        )
    if 0 in size:
        array = np.empty(size, storage.dtype)
    else:
        steps = [step * storage.itemsize for step in stride]
        array = np.lib.stride_tricks.as_strided(storage[offset:], size, steps)
        if array.size <= storage.size:
            array = array.copy()  # an expanded tensor stays a view: a copy could fill all memory
    return layout.pin(wrap(array)).requires_grad_(bool(requires_grad))


def _rebuild_parameter(data: Tensor, requires_grad: bool, *_: Any) -> Parameter:
    return Parameter(data.detach(), bool(requires_grad))


NAMES: Mapping[tuple[str, str], Any] = {
    **ENCODE,
    ("collections", "OrderedDict"): Maker(OrderedDict),
    ("torch", "Size"): Maker(tuple),
    ("torch._utils", "_rebuild_tensor"): Maker(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Maker(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): Maker(_rebuild_parameter),
    ("builtins", "set"): Maker(set),
    ("__builtin__", "set"): Maker(set),
    **{("torch", name): _StorageType(name) for name in (*STORAGES, BFLOAT16)},
}
# the same without elements, to learn which storages a file has
WITHOUT_ELEMENTS: Mapping[tuple[str, str], Any] = {
    key: Maker(lambda *_: None) if key[1].startswith("_rebuild") else maker
    for key, maker in NAMES.items()
}


def _read_zip(content: bytes, source: Any) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(entries) != 1:
                raise FileFormatError(f"{source} is a zip archive, but not one of PyTorch's.")
            folder = entries[0].removesuffix("data.pkl")
            names = set(archive.namelist())
            order: Literal["<", ">"] = "<"
            if f"{folder}byteorder" in names:
                order = ">" if archive.read(f"{folder}byteorder") == b"big" else "<"
            storages: dict[str, np.ndarray] = {}

            def persistent(pid: Any) -> np.ndarray:
                _, kind, key, _, count = pid
                if not isinstance(kind, _StorageType):
                    raise ValueError("a storage has no type")
                if key not in storages:
                    array = kind.array(archive.read(f"{folder}data/{key}"), order)
                    if array.size < count:
                        raise ValueError(f"storage {key} is shorter than {count} elements")
                    storages[key] = array
                return storages[key]

            return read_pickle(archive.read(entries[0]), NAMES, source, persistent)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError) as error:
        raise FileFormatError(f"{source} is damaged: {error}.") from None


def _read_legacy(content: bytes, source: Any) -> Any:
    """The format of PyTorch before 1.6.

    Pickles of a magic number, the protocol, facts about the machine, the object, and the list of
    the storages' keys; then for each key the number of elements (int64) and the elements.
    """
    stream = io.BytesIO(content)
    none: Mapping[tuple[str, str], Any] = {}
    try:
        magic = read_pickle(stream, none, source)
    except FileFormatError:
        magic = None
    if magic != LEGACY_MAGIC:
        raise FileFormatError(f"{source} is not a file of PyTorch's.")
    if read_pickle(stream, none, source) != LEGACY_PROTOCOL:
        raise FileFormatError(f"{source} has an unknown version of PyTorch's old format.")
    facts = read_pickle(stream, none, source)
    little = not isinstance(facts, dict) or facts.get("little_endian", True)
    order: Literal["<", ">"] = "<" if little else ">"
    # the object comes before its storages: it is read a first time to learn their types
    kinds: dict[str, _StorageType] = {}

    def learn(pid: Any) -> None:
        if not isinstance(pid[1], _StorageType):
            raise ValueError("a storage has no type")
        kinds[pid[2]] = pid[1]

    start = stream.tell()
    read_pickle(stream, WITHOUT_ELEMENTS, source, learn)
    storages: dict[str, np.ndarray] = {}
    for key in read_pickle(stream, none, source):
        header = stream.read(8)
        if key not in kinds or len(header) < 8:
            raise FileFormatError(f"{source} is truncated or damaged.")
        size = struct.unpack(f"{order}q", header)[0] * kinds[key].itemsize
        part = stream.read(max(size, 0))
        if len(part) != size:
            raise FileFormatError(f"{source} is truncated or damaged.")
        storages[key] = kinds[key].array(part, order)
    return read_pickle(io.BytesIO(content[start:]), NAMES, source, lambda pid: storages[pid[2]])


class _PickleWriter:
    """Writes a pickle (protocol 2) as PyTorch's own reader of weights accepts it."""

    def __init__(self) -> None:
        self.storages: list[np.ndarray] = []
        self._open: set[int] = set()

    def write(self, obj: Any) -> bytes:
        """The pickle of obj; its tensors' elements are appended to `storages`."""
        return b"\x80\x02" + self._value(obj, "obj") + b"."

    def _value(self, value: Any, where: str) -> bytes:
        if value is None:
            return b"N"
        if isinstance(value, bool | np.bool_):
            return b"\x88" if value else b"\x89"
        if isinstance(value, int | np.integer):
            return _integer(int(value))
        if isinstance(value, float | np.floating):
            return b"G" + struct.pack(">d", float(value))
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, bytes):
            latin = _text(value.decode("latin1"))
            return b"c_codecs\nencode\n(" + latin + _text("latin1") + b"tR"
        if isinstance(value, Parameter):
            inner = self._tensor(value.detach())
            grad = self._value(value.requires_grad, where)
            return b"ctorch._utils\n_rebuild_parameter\n(" + inner + grad + EMPTY_DICT + b"tR"
        if isinstance(value, Tensor):
            return self._tensor(value)
        containers: Mapping[type, Callable[[Any, str], bytes]] = {
            list: lambda v, w: b"](" + self._all(enumerate(v), w) + b"e",
            tuple: lambda v, w: b"(" + self._all(enumerate(v), w) + b"t",
        }
        if id(value) in self._open:
            raise TypeError(f"save: {where} contains itself, which cannot be saved.")
        self._open.add(id(value))
        try:
            if isinstance(value, dict):
                start = b"}" if type(value) is dict else EMPTY_DICT
                return start + b"(" + self._items(value, where) + b"u"
            for kind, write in containers.items():
                if isinstance(value, kind):
                    return write(value, where)
        finally:
            self._open.discard(id(value))
        raise TypeError(
            f"save: {where} is a {type(value).__name__}; only tensors, numbers, text and bytes in "
            "dicts, lists and tuples can be saved. Of a module, save its state_dict()."
        )

    def _all(self, entries: Any, where: str) -> bytes:
        return b"".join(self._value(entry, f"{where}[{i}]") for i, entry in entries)

    def _items(self, entries: Mapping[Any, Any], where: str) -> bytes:
        return b"".join(
            self._value(key, f"a key of {where}") + self._value(value, f"{where}[{key!r}]")
            for key, value in entries.items()
        )

    def _tensor(self, tensor: Tensor) -> bytes:
        array = np.asarray(move(tensor.detach().array, "cpu"), order="C")
        storage = STORAGE_OF[array.dtype]
        key = str(len(self.storages))
        self.storages.append(array)
        strides = tuple(step // array.itemsize for step in array.strides) if array.size else None
        steps = strides or tuple(
            int(np.prod(np.maximum(array.shape[i + 1 :], 1))) for i in range(array.ndim)
        )
        return (
            b"ctorch._utils\n_rebuild_tensor_v2\n(("
            + _text("storage")
            + f"ctorch\n{storage}\n".encode()
            + _text(key)
            + _text("cpu")
            + _integer(array.size)
            + b"tQ"
            + _integer(0)
            + self._value(array.shape, "")
            + self._value(steps, "")
            + self._value(tensor.requires_grad, "")
            + EMPTY_DICT
            + b"tR"
        )


EMPTY_DICT = b"ccollections\nOrderedDict\n)R"


def _integer(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def _text(value: str) -> bytes:
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content
