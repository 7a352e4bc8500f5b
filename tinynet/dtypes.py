"""dtypes with PyTorch's names and PyTorch's rules of type promotion, on NumPy's dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np


class dtype:
    """The type of a tensor's elements; `.numpy` is NumPy's name for it."""

    def __init__(self, name: str, scalar: Any) -> None:
        self.name = name
        self.numpy = np.dtype(scalar)
        self.is_floating_point = self.numpy.kind == "f"
        self.is_complex = False
        self.is_signed = self.numpy.kind in "fi"
        self.itemsize = self.numpy.itemsize

    def __repr__(self) -> str:
        return f"tinynet.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


class layout:
    """How elements lie in memory: `strided`, the only way that tinynet has."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"tinynet.{self.name}"


strided = layout("strided")

float16 = half = dtype("float16", np.float16)
float32 = float_ = dtype("float32", np.float32)
float64 = double = dtype("float64", np.float64)
uint8 = dtype("uint8", np.uint8)
int8 = dtype("int8", np.int8)
int16 = short = dtype("int16", np.int16)
int32 = int_ = dtype("int32", np.int32)
int64 = long = dtype("int64", np.int64)
bool_ = dtype("bool", np.bool_)

ALL = (float16, float32, float64, uint8, int8, int16, int32, int64, bool_)
_BY_NUMPY = {d.numpy: d for d in ALL}
_BY_NAME = {d.name: d for d in ALL}
_BY_PYTHON = {float: float32, int: int64, bool: bool_}

_default = float32


def get_default_dtype() -> dtype:
    """The dtype of floating-point tensors made from Python numbers: float32 unless changed."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Make new floating-point tensors float32 or float64 by default."""
    global _default
    if not (isinstance(d, dtype) and d.is_floating_point):
        raise TypeError(f"only floating-point types are supported as the default type, not {d}")
    _default = d


def as_dtype(value: Any) -> dtype:
    """The dtype meant by a tinynet dtype, its name, a NumPy dtype, or float, int, bool."""
    if isinstance(value, dtype):
        return value
    if value in _BY_PYTHON:
        return _default if value is float else _BY_PYTHON[value]
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    try:
        return _BY_NUMPY[np.dtype(value)]
    except (TypeError, KeyError):
        names = ", ".join(d.name for d in ALL)
        raise TypeError(f"{value!r} is not a dtype of tinynet; there are: {names}") from None


def of(array: Any) -> dtype:
    """The dtype of a NumPy or CuPy array."""
    return _BY_NUMPY[array.dtype]


def numpy_dtype(value: Any) -> np.dtype[Any]:
    """NumPy's dtype for anything that `as_dtype` takes."""
    return as_dtype(value).numpy


class finfo:
    """The limits of a floating-point dtype (the default one without an argument)."""

    def __init__(self, type: Any = None) -> None:
        kind = _default if type is None else as_dtype(type)
        if not kind.is_floating_point:
            raise TypeError(
                f"tinynet.finfo() requires a floating point input type, not {kind}. Use iinfo to "
                "handle 'tinynet.finfo'"
            )
        limits = np.finfo(kind.numpy)
        self.dtype = kind.name
        self.bits = limits.bits
        self.eps, self.resolution = float(limits.eps), float(limits.resolution)
        self.max, self.min = float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer dtype."""

    def __init__(self, type: Any) -> None:
        kind = as_dtype(type)
        if kind.is_floating_point or kind is bool_:
            raise TypeError(
                f"tinynet.iinfo() requires an integer input type, not {kind}. Use finfo for "
                "floating point"
            )
        limits = np.iinfo(kind.numpy)
        self.dtype, self.bits = kind.name, limits.bits
        self.max, self.min = int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def _promote(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The common dtype; an integer never widens a float (int64 and float32 give float32)."""
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)


def promote_types(a: Any, b: Any) -> dtype:
    """The dtype that holds the results of `a` with `b`, by PyTorch's rules."""
    return _BY_NUMPY[_promote(numpy_dtype(a), numpy_dtype(b))]


def can_cast(a: Any, b: Any) -> bool:
    """True if PyTorch's rules let a value of dtype `a` be written into one of dtype `b`."""
    rank = {"b": 0, "u": 1, "i": 2, "f": 3}
    one, two = rank[numpy_dtype(a).kind], rank[numpy_dtype(b).kind]
    return one <= two or {one, two} == {1, 2}


def _combine(higher: np.dtype[Any] | None, lower: np.dtype[Any] | None) -> Any:
    """A value of lower priority changes the dtype only if it brings a higher category."""
    if higher is None or lower is None:
        return higher if lower is None else lower
    if higher.kind == "f":
        return higher
    if higher.kind == "b" or lower.kind == "f":
        return _promote(higher, lower)
    return higher


def result_type(*operands: Any) -> np.dtype[Any]:
    """NumPy's dtype for a result of arrays and Python numbers together, by PyTorch's rules.

    Arrays with dimensions come first, 0-dimensional arrays next, Python numbers last: a later one
    counts only where it is of a higher category (bool < integer < floating point). So a Python
    number never turns float32 into float64.
    """
    levels: list[np.dtype[Any] | None] = [None, None, None]
    for x in operands:
        if isinstance(x, bool | int | float):
            level, d = 2, as_dtype(type(x)).numpy
        else:
            level, d = (0 if x.ndim else 1), x.dtype
        held = levels[level]
        levels[level] = d if held is None else _promote(held, d)
    return _combine(_combine(levels[0], levels[1]), levels[2])
