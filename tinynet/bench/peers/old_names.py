"""Libraries of another time use names that NumPy and Python have dropped since."""

from __future__ import annotations

import collections
import collections.abc
import importlib
from typing import Any

import numpy as np

NUMPY = {
    **{"int": int, "bool": bool, "float": float, "object": object},
    "sctypes": {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "float": [np.float16, np.float32, np.float64],
    },
}
COLLECTIONS = ("Iterable", "Mapping", "MutableMapping", "Sequence")


def load(name: str) -> Any:
    """Import a module that needs the old names."""
    for old, value in NUMPY.items():
        if old not in vars(np):
            setattr(np, old, value)
    for old in COLLECTIONS:
        if not hasattr(collections, old):
            setattr(collections, old, getattr(collections.abc, old))
    return importlib.import_module(name)
