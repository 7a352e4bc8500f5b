"""Pickles as data: read without executing what they ask for.

A pickle is a program: it may name any function of any module and call it. Here a name is looked up
in a short table instead, and any other is refused; the table's entries make containers and arrays.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from .safetensors import FileFormatError


class Maker:
    """The only thing that a pickle can call. A pickle's BUILD, which sets attributes, is refused:
    what one file does to a shared object would be seen by the next."""

    __slots__ = ("make",)
    make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise pickle.UnpicklingError("it sets attributes of a function")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{name} cannot be set")


class OrderedDict(collections.OrderedDict):
    """As Python's, but a pickle gives it entries only, and no attributes."""

    def __setstate__(self, state: Any) -> None:
        pass


class RestrictedUnpickler(pickle.Unpickler):
    """Reads a pickle whose names are all in `names`: (module, name) to what stands for it."""

    def __init__(
        self,
        file: io.BufferedIOBase,
        names: Mapping[tuple[str, str], Any],
        persistent: Callable[[Any], Any] | None = None,
        encoding: str = "ASCII",
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._names = names
        self._persistent = persistent

    def find_class(self, module: str, name: str) -> Any:
        """The table's entry. Raises UnpicklingError for another name: nothing is imported."""
        try:
            return self._names[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which is not data; nothing of it was executed"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        """What the file calls by `pid`: a tensor's storage."""
        if self._persistent is None:
            raise pickle.UnpicklingError("it refers to other files")
        return self._persistent(pid)


def read_pickle(
    content: bytes | io.BufferedIOBase,
    names: Mapping[tuple[str, str], Any],
    source: Any,
    persistent: Callable[[Any], Any] | None = None,
    encoding: str = "ASCII",
) -> Any:
    """The object in a pickle, as bytes or an open file, which is left at the pickle's end.

    Raises FileFormatError, naming `source`, if it is refused or damaged. Damage shows in many ways
    (UnpicklingError, EOFError, IndexError, AttributeError, TypeError, ...).
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        return RestrictedUnpickler(file, names, persistent, encoding).load()
    except FileFormatError:
        raise
    except Exception as error:
        raise FileFormatError(
            f"{source} is refused or damaged: {str(error).rstrip('.') or type(error).__name__}."
        ) from None


class _PickledArray:
    """An ndarray on its way: NumPy makes an empty one and then sets its state."""

    array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _PickledDtype):
            raise pickle.UnpicklingError("an array has no dtype")
        content = data.encode("latin1") if isinstance(data, str) else data
        order: Any = "F" if fortran else "C"
        array = np.frombuffer(bytearray(content), dtype.numpy)
        self.array = array.reshape(shape, order=order)


class _PickledDtype:
    """A dtype on its way, of numbers only."""

    def __init__(self, name: str, *_: Any) -> None:
        self.numpy = np.dtype(name)
        if self.numpy.kind not in "biuf":
            raise pickle.UnpicklingError(f"an array holds {name}, not numbers")

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.numpy = self.numpy.newbyteorder(state[1])


# how protocol 2, which knows no bytes, writes them
ENCODE: Mapping[tuple[str, str], Any] = {
    ("_codecs", "encode"): Maker(lambda text, _="latin1": text.encode("latin1"))
}
ARRAYS: Mapping[tuple[str, str], Any] = {
    **{
        (f"numpy.{core}.multiarray", "_reconstruct"): Maker(lambda *_: _PickledArray())
        for core in ("core", "_core")
    },
    ("numpy", "ndarray"): Maker(lambda *_: _PickledArray()),
    ("numpy", "dtype"): Maker(_PickledDtype),
    **ENCODE,
}


def read_arrays(content: bytes, source: Any) -> dict[str, Any]:
    """A pickled dict of arrays, lists, numbers and text, as Python 2 or 3 wrote it.

    Raises FileFormatError if it is anything else, or asks for anything that is not data.
    """
    value = read_pickle(content, ARRAYS, source, encoding="latin1")
    if not isinstance(value, dict):
        raise FileFormatError(f"{source} holds no dict.")
    return {
        key.decode("latin1") if isinstance(key, bytes) else str(key): (
            entry.array if isinstance(entry, _PickledArray) else entry
        )
        for key, entry in value.items()
    }
