"""`Variable`, of the time before tensors had gradients: today a tensor is all that it was."""

from __future__ import annotations

import warnings
from typing import Any

from .tape import TensorBase, alias


class _Tensors(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TensorBase)


class Variable(metaclass=_Tensors):
    """A tensor on the same memory; every tensor is an instance of it.

    volatile: had the meaning of `no_grad()`, and has none now.
    """

    def __new__(
        cls, data: Any = None, requires_grad: bool = False, volatile: bool | None = None
    ) -> Any:
        if volatile:
            warnings.warn(
                "volatile was removed and now has no effect. Use `with tinynet.no_grad():` "
                "instead.",
                stacklevel=2,
            )
        if not isinstance(data, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        variable: Any = alias(data)
        return variable.requires_grad_() if requires_grad else variable
