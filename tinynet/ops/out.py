"""`out=`: the result of a function written into a tensor that is there already."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..autograd import tape
from ..autograd.mode import mode, no_grad
from ..autograd.tape import TensorBase, node_of
from ..device import xp_of


def takes_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a keyword `out`: a tensor, or one per result, that receives the result.

    It is resized where its shape is another. RuntimeError if its dtype cannot hold the result, or
    if a gradient would be recorded: `out` has no history.
    """

    @functools.wraps(function)
    def with_out(*args: Any, out: Any = None, **keywords: Any) -> Any:
        if out is None:
            return function(*args, **keywords)
        targets = (out,) if isinstance(out, TensorBase) else tuple(out)
        name = function.__name__.strip("_")
        if mode.enabled:
            given = [*args, *keywords.values(), *targets]
            given += [x for v in given if isinstance(v, tuple | list) for x in v]
            if any(isinstance(x, TensorBase) and node_of(x) is not None for x in given):
                raise RuntimeError(
                    f"{name}(): functions with out=... arguments don't support automatic "
                    "differentiation, but one of the arguments requires grad."
                )
        with no_grad():
            result = function(*args, **keywords)
        results = (result,) if isinstance(result, TensorBase) else tuple(result)
        if len(targets) != len(results):
            raise TypeError(f"{name}(): out needs {len(results)} tensors, but got {len(targets)}")
        for target, value in zip(targets, results):
            _receive(target, value, name)
        return out if isinstance(result, TensorBase) else _same_kind(result, targets)

    return with_out


def _same_kind(result: Any, values: tuple[Any, ...]) -> Any:
    """The values in the kind of tuple that the function gives."""
    return type(result)(*values) if hasattr(result, "_fields") else values


def _receive(target: Any, value: Any, name: str) -> None:
    a, b = target.array, value.array
    if not dtypes.can_cast(b.dtype, a.dtype):
        raise RuntimeError(
            f"{name}: result type {dtypes.of(b)} can't be cast to the desired output type "
            f"{dtypes.of(a)}"
        )
    if a.shape != b.shape:
        _resize(target, b.shape, name)
    target.array[...] = b
    tape.mark_modified(target, f"{name}(out=...)")


def _resize(target: Any, shape: tuple[int, ...], name: str) -> None:
    """Give `out` the result's shape; one that held something was probably not meant, so warn."""
    if target.array.size:
        warnings.warn(
            f"{name}: An output with one or more elements was resized since it had shape "
            f"{list(target.array.shape)}, which does not match the required output shape "
            f"{list(shape)}.",
            stacklevel=4,
        )
    target.array = xp_of(target.array).empty(shape, target.array.dtype)
