"""`FloatTensor`, `LongTensor`, ...: the types of tensors before there were dtypes.

FloatTensor(2, 3)           2 x 3 numbers, unset
LongTensor([1, 2])          of data
x.type(FloatTensor)         converted
isinstance(x, FloatTensor)  true for float32 in main memory
"""

from __future__ import annotations

from typing import Any

from . import dtypes
from .ops import creation
from .tensor import Tensor


class _TensorType(type):
    dtype: dtypes.dtype

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, Tensor)
            and instance.dtype is cls.dtype
            and instance.device.type == "cpu"
        )

    def __repr__(cls) -> str:
        return f"<class 'tinynet.{cls.__name__}'>"


def _tensor_type(name: str, dtype: dtypes.dtype) -> _TensorType:
    def new(cls: Any, *data: Any) -> Tensor:
        if all(isinstance(d, int) and not isinstance(d, bool) for d in data):
            return creation.zeros(*(data or (0,)), dtype=dtype)
        if len(data) != 1:
            raise TypeError(f"{name}: expected sizes ({name}(2, 3)) or one sequence of data")
        if isinstance(data[0], Tensor):
            if data[0].dtype is not dtype:
                raise TypeError(f"expected {name} (got {data[0].type()}); use .type({name})")
            return data[0].detach()
        return creation.tensor(data[0], dtype=dtype)

    text = f"The type of tensors with elements {dtype}, and how they are made of sizes or data."
    return _TensorType(name, (), {"__new__": new, "dtype": dtype, "__doc__": text})


HalfTensor = _tensor_type("HalfTensor", dtypes.float16)
FloatTensor = _tensor_type("FloatTensor", dtypes.float32)
DoubleTensor = _tensor_type("DoubleTensor", dtypes.float64)
ByteTensor = _tensor_type("ByteTensor", dtypes.uint8)
CharTensor = _tensor_type("CharTensor", dtypes.int8)
ShortTensor = _tensor_type("ShortTensor", dtypes.int16)
IntTensor = _tensor_type("IntTensor", dtypes.int32)
LongTensor = _tensor_type("LongTensor", dtypes.int64)
BoolTensor = _tensor_type("BoolTensor", dtypes.bool_)


def set_default_tensor_type(t: Any, /) -> None:
    """The dtype of new floating-point tensors, by its old name: `set_default_tensor_type(
    DoubleTensor)` or "torch.DoubleTensor"."""
    if isinstance(t, str):
        known = {c.__name__: c for c in (HalfTensor, FloatTensor, DoubleTensor)}
        name = t.rpartition(".")[2]
        if name not in known:
            raise TypeError(f"set_default_tensor_type: {t!r} is not a floating-point tensor type")
        t = known[name]
    dtypes.set_default_dtype(t.dtype)
