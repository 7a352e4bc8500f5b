"""Tensors that a module registers when they are assigned: parameters and buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd import tape
from ..ops import creation
from ..tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that a Module registers when it is assigned as an attribute.

    It shares `data`'s memory and requires a gradient unless told otherwise, even under `no_grad`.
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        parameter: Parameter = _alias(cls, data)
        parameter.requires_grad_(requires_grad)
        return parameter


class Buffer(Tensor):
    """A tensor that is state but not trained: assigned to a Module it becomes a buffer."""

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        buffer: Buffer = _alias(cls, data)
        buffer.persistent = persistent
        return buffer


def _alias(cls: Any, data: Any) -> Any:
    if data is None:
        data = creation.empty(0)
    elif not isinstance(data, Tensor):
        raise TypeError(
            f"{cls.__name__}: data must be a Tensor, but got {type(data).__name__}; make one with "
            "tinynet.tensor(data)"
        )
    return tape.alias(data, object.__new__(cls))


class _Uninitialized(Tensor):
    """A tensor whose sizes are not known yet; `materialize` gives it some."""

    becomes: Any  # the class of what it will be

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary tensor of this shape, without values yet."""
        data = creation.empty(
            *shape, device=self.device if device is None else device, dtype=dtype or self.dtype
        )
        self.__class__ = self.becomes
        self.data = data

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def __repr__(self, *args: Any, **kwargs: Any) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter of a lazy layer before the first input has told its sizes."""

    becomes = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        parameter = _alias(cls, creation.empty(0, device=device, dtype=dtype))
        parameter.requires_grad_(requires_grad)
        return parameter


class UninitializedBuffer(_Uninitialized):
    """A buffer of a lazy layer before the first input has told its sizes."""

    becomes = Tensor
    persistent: bool

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        buffer = _alias(cls, creation.empty(0, device=device, dtype=dtype))
        buffer.persistent = persistent
        return buffer
