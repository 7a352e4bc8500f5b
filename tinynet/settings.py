"""Settings that hold for the whole process, under PyTorch's names.

Some of PyTorch's choices are not tinynet's: its kernels give the same bits from run to run in any
case, and never compute float32 products in less. Asking for that is answered, not refused.
"""

from __future__ import annotations

import warnings


def get_num_threads() -> int:
    """How many threads a kernel on the CPU may use."""
    import numba

    return numba.get_num_threads()


def set_num_threads(threads: int) -> None:
    """Let a kernel on the CPU use this many threads (at most as many as Numba was started with)."""
    import numba

    if not isinstance(threads, int) or threads < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {threads!r}")
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


def get_num_interop_threads() -> int:
    """1: operations run one after the other."""
    return 1


def set_num_interop_threads(threads: int) -> None:
    """Nothing: operations run one after the other."""


class _Deterministic:
    asked = False
    warn_only = False


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for the same bits from run to run: tinynet's algorithms all give them."""
    _Deterministic.asked, _Deterministic.warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms(True)` was called."""
    return _Deterministic.asked


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether that call said warn_only."""
    return _Deterministic.asked and _Deterministic.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by another name: "default", "warn" or "error", or 0 to 2."""
    names = {"default": 0, "warn": 1, "error": 2}
    level = names.get(debug_mode, debug_mode) if isinstance(debug_mode, str) else debug_mode
    if level not in (0, 1, 2):
        raise RuntimeError(
            f"debug_mode: expected one of default, warn, error, but got {debug_mode}"
        )
    use_deterministic_algorithms(level != 0, warn_only=level == 1)


def get_deterministic_debug_mode() -> int:
    """0 (default), 1 (warn) or 2 (error)."""
    return 0 if not _Deterministic.asked else 1 if _Deterministic.warn_only else 2


class _Precision:
    name = "highest"


def set_float32_matmul_precision(precision: str) -> None:
    """Allow float32 products in less precision; tinynet's are in float32 whatever is allowed."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(
            f"{precision} is not one of 'highest', 'high', or 'medium', the precisions there are"
        )
    _Precision.name = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was told."""
    return _Precision.name


def set_flush_denormal(mode: bool) -> bool:
    """False: tinynet leaves numbers next to 0 as they are."""
    return False


class _Warnings:
    always = False


def set_warn_always(b: bool) -> None:
    """Show each of tinynet's warnings every time, or once per place."""
    _Warnings.always = b
    warnings.filterwarnings("always" if b else "default", module=r"tinynet(\.|$)")


def is_warn_always_enabled() -> bool:
    """Whether `set_warn_always(True)` was called."""
    return _Warnings.always
