"""Collation: from a list of items to a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ...autograd.tape import wrap
from ...ops.creation import from_numpy
from ...ops.shape import stack
from ...tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack items into a batch: a new first dimension for tensors, arrays and numbers.

    Tensors and arrays of shape S become a tensor (B, *S), ints int64 (B,), floats float64 (B,);
    text stays a list; dicts, lists and (named) tuples are collated member by member, a plain tuple
    into a list.
    Raises TypeError for other types, RuntimeError if lists differ in length.
    """
    item = batch[0]
    if isinstance(item, Tensor):
        return stack(list(batch), dim=0)
    if isinstance(item, np.ndarray) and item.dtype.kind in "fiub":
        return stack([wrap(np.asarray(array)) for array in batch], dim=0)
    if isinstance(item, np.number | np.bool_):
        return wrap(np.array(batch))
    if isinstance(item, float):
        return wrap(np.array(batch, np.float64))
    if isinstance(item, int):
        return wrap(np.array(batch, np.bool_ if isinstance(item, bool) else np.int64))
    if isinstance(item, str | bytes):
        return batch
    if isinstance(item, Mapping | Sequence):
        return _collate_members(item, batch)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{item.dtype if isinstance(item, np.ndarray) else type(item)}"
    )


def _collate_members(item: Any, batch: Sequence[Any]) -> Any:
    if isinstance(item, Mapping):
        pairs = {key: default_collate([d[key] for d in batch]) for key in item}
        return _rebuild(item, pairs, lambda clone: clone.update(pairs))
    if any(len(other) != len(item) for other in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    members = [default_collate(samples) for samples in zip(*batch, strict=True)]
    if isinstance(item, tuple):
        return type(item)(*members) if hasattr(item, "_fields") else members
    return _rebuild(item, members, lambda clone: clone.__setitem__(slice(None), members))


def default_convert(item: Any) -> Any:
    """What a loader without batching does: arrays and NumPy numbers become tensors."""
    if isinstance(item, Tensor | str | bytes):
        return item
    if isinstance(item, np.ndarray | np.number | np.bool_):
        array = np.asarray(item)
        return from_numpy(array) if array.dtype.kind in "fiub" else item
    if isinstance(item, Mapping):
        pairs = {key: default_convert(value) for key, value in item.items()}
        return _rebuild(item, pairs, lambda clone: clone.update(pairs))
    if isinstance(item, Sequence):
        members = [default_convert(value) for value in item]
        if isinstance(item, tuple):
            return type(item)(*members) if hasattr(item, "_fields") else members
        return _rebuild(item, members, lambda clone: clone.__setitem__(slice(None), members))
    return item


def _rebuild(item: Any, content: Any, fill: Callable[[Any], None]) -> Any:
    """The content in a container of the item's type, or as a plain dict or list."""
    try:
        if isinstance(item, MutableMapping | MutableSequence):
            # a subclass may have attributes of its own, which a copy keeps
            clone = copy.copy(item)
            fill(clone)
            return clone
        return type(item)(content)
    except TypeError:
        return content
