"""How the arguments of a kernel get from a Python tuple into compiled code.

Numba would write, for each kernel anew, a function that takes the arguments out of Python's
objects: it takes as long to compile as the kernel, and microseconds to call. Here one function,
`unpack`, does it for all kernels: it writes the arguments into memory as a row of words of eight
bytes,

    an array       the address of its numbers, its shape, its strides
    an integer     itself
    a float        as float64
    a tuple        its items, one after the other

and `load` makes compiled values of them. What a kernel takes is said by a table (`described`),
which `unpack` follows and checks: an argument that does not fit is refused, never misread.

Where things lie in Python's objects is what C code that uses them is compiled with: see "Common
Object Structures" in CPython's manual and "Python types and C-structures" in NumPy's.
"""

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, int64, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import numpy_support
from numba.np.arrayobj import populate_array
from numpy import ndarray

WORD = 8
MOST_WORDS = 256  # of one call
NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_TYPE = object.__basicsize__ - WORD  # of every object: ob_type, its last field
_LENGTH = object.__basicsize__  # of a tuple: ob_size
_ITEMS = tuple.__basicsize__  # and ob_item


class _ArrayFields(ctypes.Structure):
    """What an array object holds after the fields of every object."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("nd", ctypes.c_int),
        ("dimensions", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("descr", ctypes.c_void_p),
        ("flags", ctypes.c_int),
    )


def _field(name: str) -> int:
    return object.__basicsize__ + int(getattr(_ArrayFields, name).offset)


_DATA, _SHAPE, _STRIDES = _field("data"), _field("dimensions"), _field("strides")
_NDIM, _DTYPE, _FLAGS = _field("nd"), _field("descr"), _field("flags")
_C_CONTIGUOUS, _ALIGNED, _WRITEABLE = 0x1, 0x100, 0x400  # of the flags

# A row of the table of what a kernel takes: (what, its class, its size, its dtype, needed flags).
_ARRAY, _INTEGER, _FLOAT, _TUPLE = range(4)
_ROW = 5 * WORD


def described(kinds: types.BaseTuple) -> ndarray:
    """The table for arguments of these types: its first number is how many, then their rows."""
    rows = [row for kind in kinds for row in _rows(kind)]
    return np.array([len(kinds), *(number for row in rows for number in row)], np.int64)


def _rows(kind: Any) -> Iterator[tuple[int, int, int, int, int]]:
    if isinstance(kind, types.Array):
        needed = _ALIGNED | (_C_CONTIGUOUS if kind.layout == "C" else 0)
        needed |= _WRITEABLE if kind.mutable else 0
        yield _ARRAY, id(ndarray), kind.ndim, id(numpy_support.as_dtype(kind.dtype)), needed
    elif isinstance(kind, types.BaseTuple):
        yield _TUPLE, id(getattr(kind, "instance_class", tuple)), len(kind), 0, 0
        for item in kind:
            yield from _rows(item)
    else:
        assert kind in (int64, float32, float64), f"no kernel can take {kind}"
        yield (_INTEGER if kind == int64 else _FLOAT), 0, 0, 0, 0


def words(kind: Any) -> int:
    """How many words an argument of this type takes."""
    if isinstance(kind, types.BaseTuple):
        return sum(words(item) for item in kind)
    return 1 + 2 * kind.ndim if isinstance(kind, types.Array) else 1


def canonical(argument: Any) -> Any:
    """An array as exactly np.ndarray and of exactly the dtype object that the table names."""
    if isinstance(argument, tuple):
        parts = [canonical(item) for item in argument]
        return type(argument)(*parts) if hasattr(argument, "_fields") else tuple(parts)
    if not isinstance(argument, ndarray):
        return argument
    plain = argument.view(ndarray)
    known = np.dtype(argument.dtype.name) if argument.dtype.isnative else argument.dtype
    return plain.view(known) if known == argument.dtype else plain


@njit(nogil=True, **NO_WRAPPERS)
def unpack(arguments, table, memory):
    """Write the tuple at the address `arguments` into memory; all three are addresses.

    0, or the number (from 1) of the first argument that is not what the table says; one more than
    the table has if there are fewer arguments, or more.
    """
    row = table + WORD
    expected = _word(table)
    if _word(arguments + _LENGTH) != expected:
        return expected + 1
    for number in range(expected):
        item = _word(arguments + _ITEMS + number * WORD)
        if _word(row) == _TUPLE:
            count = _word(row + 2 * WORD)
            if _word(item + _TYPE) != _word(row + WORD) or _word(item + _LENGTH) != count:
                return number + 1
            row += _ROW
            first = item + _ITEMS
        else:
            count, first = 1, arguments + _ITEMS + number * WORD
        for i in range(count):
            memory = _unpack_one(_word(first + i * WORD), row, memory)
            if memory == 0:
                return number + 1
            row += _ROW
    return 0


@njit(nogil=True, **NO_WRAPPERS)
def _unpack_one(item, row, memory):
    """The place after the words of the item; 0 if it is not what its row of the table says."""
    what = _word(row)
    if what == _INTEGER:
        return memory + WORD if _store_integer(item, memory) else 0
    if what == _FLOAT:
        return memory + WORD if _store_float(item, memory) else 0
    ndim, dtype, needed = _word(row + 2 * WORD), _word(row + 3 * WORD), _word(row + 4 * WORD)
    if _word(item + _TYPE) != _word(row + WORD) or _half(item + _NDIM) != ndim:
        return 0
    if _word(item + _DTYPE) != dtype or _half(item + _FLAGS) & needed != needed:
        return 0
    _store(memory, _word(item + _DATA))
    shape, strides = _word(item + _SHAPE), _word(item + _STRIDES)
    for axis in range(ndim):
        _store(memory + (1 + axis) * WORD, _word(shape + axis * WORD))
        _store(memory + (1 + ndim + axis) * WORD, _word(strides + axis * WORD))
    return memory + (1 + 2 * ndim) * WORD


def load(context: Any, builder: ir.IRBuilder, place: ir.Value, kinds: Any) -> list[ir.Value]:
    """The compiled values of these types from the words at a place in memory."""
    word, double = ir.IntType(64), ir.DoubleType()
    position = 0

    def following(kind: ir.Type = word) -> ir.Value:
        nonlocal position
        here = builder.gep(builder.inttoptr(place, word.as_pointer()), [word(position)])
        position += 1
        return builder.load(builder.bitcast(here, kind.as_pointer()))

    def value(kind: Any) -> ir.Value:
        if isinstance(kind, types.BaseTuple):
            return context.make_tuple(builder, kind, [value(item) for item in kind])
        if kind == float64:
            return following(double)
        if kind == float32:
            return builder.fptrunc(following(double), ir.FloatType())
        if not isinstance(kind, types.Array):
            return following()
        array = context.make_array(kind)(context, builder)
        number = context.get_data_type(kind.dtype)
        populate_array(
            array,
            data=following(number.as_pointer()),
            shape=[following() for _ in range(kind.ndim)],
            strides=[following() for _ in range(kind.ndim)],
            itemsize=context.get_abi_sizeof(number),
            meminfo=None,  # Python's tuple holds the array
        )
        return array._getvalue()

    return [value(kind) for kind in kinds]


@intrinsic
def memory_for_words(typing):
    """The address of MOST_WORDS words on the stack of the function that asks for them."""

    def codegen(context, builder, signature, values):
        word = ir.IntType(64)
        memory = cgutils.alloca_once(builder, word, word(MOST_WORDS))
        return builder.ptrtoint(memory, word)

    return int64(), codegen


@intrinsic
def _word(typing, address):
    def codegen(context, builder, signature, values):
        return builder.load(builder.inttoptr(values[0], ir.IntType(64).as_pointer()))

    return int64(int64), codegen


@intrinsic
def _half(typing, address):
    """A C int, of four bytes."""

    def codegen(context, builder, signature, values):
        number = builder.load(builder.inttoptr(values[0], ir.IntType(32).as_pointer()))
        return builder.sext(number, ir.IntType(64))

    return int64(int64), codegen


@intrinsic
def _store(typing, address, number):
    def codegen(context, builder, signature, values):
        address, number = values
        builder.store(number, builder.inttoptr(address, number.type.as_pointer()))
        return context.get_dummy_value()

    return types.void(int64, int64), codegen


def _storing(convert: str) -> Any:
    """memory = Python's number `item`, by a function of Python's C interface; whether it is one."""

    @intrinsic
    def store(typing, item, memory):
        def codegen(context, builder, signature, values):
            python = context.get_python_api(builder)
            item, memory = values
            number = getattr(python, convert)(builder.inttoptr(item, python.pyobj))
            builder.store(number, builder.inttoptr(memory, number.type.as_pointer()))
            fine = cgutils.is_null(builder, python.err_occurred())
            with builder.if_then(builder.not_(fine), likely=False):
                python.err_clear()
            return fine

        return types.boolean(int64, int64), codegen

    return store


_store_integer = _storing("long_as_longlong")
_store_float = _storing("float_as_double")
