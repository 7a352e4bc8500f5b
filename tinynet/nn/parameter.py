"""Parameter: a tensor that a module trains."""

from __future__ import annotations

from typing import Any

from ..autograd import tape
from ..ops import creation
from ..tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that a Module registers when it is assigned as an attribute.

    It shares `data`'s memory and requires a gradient unless told otherwise, even under `no_grad`.
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = creation.empty(0)
        elif not isinstance(data, Tensor):
            raise TypeError(
                f"Parameter: data must be a Tensor, but got {type(data).__name__}; make one with "
                "tinynet.tensor(data)"
            )
        parameter: Parameter = tape.alias(data, object.__new__(cls))
        parameter.requires_grad_(requires_grad)
        return parameter
