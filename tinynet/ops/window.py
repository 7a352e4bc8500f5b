"""Windows: weights for the samples of a signal, heaviest in the middle.

Each is a sum of cosines, or a formula of the position, over N points; `periodic` leaves out the
last of N + 1. Harris, "On the use of windows for harmonic analysis" (1978).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .creation import _floating_kind, _made


def _window(
    name: str, formula: Callable[[Any], Any], n: int, periodic: bool, dtype: Any, device: Any,
    requires_grad: bool,
) -> Any:  # fmt: skip
    """formula of positions from 0 to 1."""
    if n < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={n}")
    kind = _floating_kind(dtype, name)
    if n == 1:
        return _made(np.ones(1, kind), device, requires_grad)
    points = np.arange(n) / (n if periodic else n - 1)
    return _made(np.asarray(formula(points)).astype(kind), device, requires_grad)


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """1/2 - 1/2 cos(2 pi t)."""
    return hamming_window(
        window_length, periodic, 0.5, 0.5, dtype=dtype, device=device, requires_grad=requires_grad
    )


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """alpha - beta cos(2 pi t)."""
    return _window(
        "hamming_window", lambda t: alpha - beta * np.cos(2 * np.pi * t), window_length, periodic,
        dtype, device, requires_grad,
    )  # fmt: skip


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t)."""
    return _window(
        "blackman_window",
        lambda t: 0.42 - 0.5 * np.cos(2 * np.pi * t) + 0.08 * np.cos(4 * np.pi * t),
        window_length, periodic, dtype, device, requires_grad,
    )  # fmt: skip


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """1 - |2 t - 1|: a triangle."""
    return _window(
        "bartlett_window", lambda t: 1 - abs(2 * t - 1), window_length, periodic, dtype, device,
        requires_grad,
    )  # fmt: skip


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """I0(beta sqrt(1 - (2 t - 1)^2)) / I0(beta)."""
    return _window(
        "kaiser_window",
        lambda t: np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0))) / np.i0(beta),
        window_length, periodic, dtype, device, requires_grad,
    )  # fmt: skip
