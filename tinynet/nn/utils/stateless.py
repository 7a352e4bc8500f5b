"""A module called with other parameters and buffers than its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...tensor import Tensor
from ..module import Module


@contextmanager
def _with_members(module: Module, members: Mapping[str, Tensor], strict: bool) -> Iterator[None]:
    """Within the block the module has these members, by path, in place of its own."""
    own = dict(module.named_parameters(remove_duplicate=False)) | dict(
        module.named_buffers(remove_duplicate=False)
    )
    if strict:
        missing = [n for n in own if n not in members]
        unexpected = [n for n in members if n not in own]
        if missing or unexpected:
            raise RuntimeError(
                "Error(s) in loading state_dict: "
                f"Unexpected key(s): {unexpected}. Missing key(s): {missing}."
            )
    replaced = []
    try:
        for path, value in members.items():
            place, _, name = path.rpartition(".")
            holder = module.get_submodule(place)
            kind = next(
                (k for k in ("_parameters", "_buffers") if name in getattr(holder, k)), None
            )
            if kind is None:
                raise AttributeError(f"{type(holder).__name__} has no attribute `{name}`")
            table = getattr(holder, kind)
            replaced.append((table, name, table[name]))
            table[name] = value
        yield
    finally:
        for table, name, value in reversed(replaced):
            table[name] = value


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with these tensors in place of its members of the same path.

    tie_weights: a tensor that the module has under several names is replaced under all of them.
    """
    members = dict(parameters_and_buffers)
    if tie_weights:
        own = dict(module.named_parameters(remove_duplicate=False)) | dict(
            module.named_buffers(remove_duplicate=False)
        )
        given = {id(own[name]): value for name, value in members.items() if name in own}
        for name, value in own.items():
            if id(value) in given:
                members.setdefault(name, given[id(value)])
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _with_members(module, members, strict):
        return module(*args, **(kwargs or {}))
