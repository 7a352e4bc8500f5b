"""Launches the CUDA cross-entropy: on CuPy arrays on the GPU, on NumPy arrays on the CPU.

A label that is no class is noted on the device, and raised when somebody reads a result: asking
in every step would make the CPU wait for the GPU. `reports.check` is what asks.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import reports
from ..device_arrays import dense, run, xp_of
from ..launch import Kernels
from .reference import check_shapes, invalid_label

KERNELS = Kernels(
    "cross_entropy/cross_entropy.cu",
    {f"cross_entropy_{name}<T>": {"float": 56, "double": 64} for name in ("forward", "backward")},
)
WARPS = 8  # rows of one block


def forward(logits: Any, target: Any, *, ignore_index: int) -> tuple[Any, Any, Any]:
    """loss (N,), logsumexp (N,) and how many rows count (); those labelled ignore_index lose 0.

    Raises ShapeError for shapes that do not match. For a label that is no class the loss is NaN,
    and IndexError follows when a result is read (for NumPy arrays at once).
    """
    check_shapes(logits, target)
    (logits,) = dense(logits)
    xp = xp_of(logits)
    target = xp.ascontiguousarray(target, np.int64)
    N, C = logits.shape
    loss, logsumexp = xp.empty((2, N), logits.dtype)
    kept = xp.zeros((), np.uint64)  # stays on the device
    if N:
        report = reports.slot(xp, partial(_invalid_label, (N, C), ignore_index))
        last = np.int64(N), C, np.int64(ignore_index)
        _run("forward", logits, target, loss, logsumexp, kept, report, *last)
        if xp is np:
            reports.check()
    return loss, logsumexp, kept


def backward(dloss: Any, logits: Any, target: Any, logsumexp: Any, *, ignore_index: int) -> Any:
    """dlogits (N, C) from dloss (N,)."""
    check_shapes(logits, target)
    dloss, logits, logsumexp = dense(dloss, logits, logsumexp)
    xp = xp_of(logits)
    dlogits = xp.empty_like(logits)
    N, C = logits.shape
    if dlogits.size:
        target = xp.ascontiguousarray(target, np.int64)
        last = np.int64(N), C, np.int64(ignore_index)
        _run("backward", dloss, logits, target, logsumexp, dlogits, *last)
    return dlogits


def _invalid_label(shape: tuple[int, int], ignore_index: int, report: int) -> IndexError:
    """From the row and the label (a signed int) that the kernel packed into one number."""
    row, label = report >> 32, report & 0xFFFFFFFF
    label -= label >> 31 << 32
    return invalid_label(row, label, shape, ignore_index)


def _run(name: str, *args: Any) -> None:
    grid = (-(-int(args[-3]) // WARPS),)
    run(KERNELS, f"cross_entropy_{name}<T>", args[0], grid, (32 * WARPS,), *args)
