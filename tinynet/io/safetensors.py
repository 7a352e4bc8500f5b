"""Weights in the safetensors format: named arrays and nothing that could be executed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd.tape import wrap
from ..device import move
from ..tensor import Tensor
from .atomic import write_atomically


class FileFormatError(ValueError):
    """A file is damaged or of another format; the sentence names it."""


def save_safetensors(
    state: Mapping[str, Any],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a state dict (names to tensors or arrays) to a safetensors file, atomically.

    metadata: text stored beside the tensors.
    Source: the format is at https://github.com/huggingface/safetensors.
    """
    import safetensors.numpy

    arrays = {
        # in C order, and (unlike ascontiguousarray) a 0-dimensional array stays one
        name: np.asarray(move(t.array if isinstance(t, Tensor) else t, "cpu"), order="C")
        for name, t in state.items()
    }
    write_atomically(path, safetensors.numpy.save(arrays, dict(metadata or {}) or None))


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a safetensors file: names to tensors, ready for `Module.load_state_dict`.

    Raises FileFormatError if the file is damaged or something else.
    """
    import safetensors
    import safetensors.numpy

    content = Path(path).read_bytes()
    try:
        arrays = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise FileFormatError(f"{path} is not a safetensors file, or damaged: {error}.") from None
    # the library's arrays lie in the file's bytes, which cannot be written to
    return {name: wrap(array.copy()) for name, array in arrays.items()}
