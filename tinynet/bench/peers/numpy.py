"""NumPy alone: tinynet on its reference kernels, without Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet.kernels as kernels

from . import tinynet

Timed = tuple[Callable[[], Any], dict[str, Any]]


def start(threads: int) -> dict[str, str]:
    return {"numpy": np.__version__}


def _on_reference(make: Callable[[dict[str, Any]], Timed], task: dict[str, Any]) -> Timed:
    with kernels.use("reference"):
        run, answers = make(task)

    def timed() -> None:
        with kernels.use("reference"):
            run()

    return timed, answers


def training(task: dict[str, Any]) -> Timed:
    return _on_reference(tinynet.training, task)


def inference(task: dict[str, Any]) -> Timed:
    return _on_reference(tinynet.inference, task)
