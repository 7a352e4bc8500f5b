"""What the figures depend on: the machine, the versions, the load, and the ceilings."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tinynet.kernels.ahead import cores


def describe() -> dict[str, Any]:
    """CPU, vector width, cores, system."""
    return {
        "cpu": _cpu_name(),
        "isa": vector_isa(),
        "float32 lanes": {"AVX-512": 16, "AVX2": 8, "NEON": 4}.get(vector_isa()),
        "cores": cores(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def now() -> str:
    """The date and time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def load() -> float | None:
    """Processes that wanted to run in the last minute, on average; None where nobody counts."""
    with contextlib.suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None


def _cpu_name() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        fields = dict(part.split(":", 1) for part in (line.strip() for line in file) if ":" in part)
        names = {name.strip(): value.strip() for name, value in fields.items()}
        if "model name" in names:
            family = names.get("cpu family", "?"), names.get("model", "?")
            return f"{names['model name']} (family {family[0]}, model {family[1]})"
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def vector_isa() -> str:
    """AVX-512, AVX2, NEON or another, as the compiler of the kernels sees it."""
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return "unknown"
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return "AVX-512"
    if features.get("avx2"):
        return "AVX2"
    if features.get("neon") or platform.machine().lower() in ("arm64", "aarch64"):
        return "NEON"
    return "SSE" if features.get("sse2") else "unknown"


def gemm_ceiling(product: Callable[[Any, Any], Any], a: Any, b: Any, seconds: float = 0.4) -> float:
    """The best float operations per second of `product` on two square matrices."""
    n = a.shape[0]
    return 2 * n**3 / _best(lambda: product(a, b), seconds)


def copy_ceiling(threads: int, size: int = 1 << 26, seconds: float = 0.4) -> float:
    """The best bytes per second, read and written, of copying memory with so many threads."""
    source = np.ones((threads, size // threads), np.uint8)
    target = np.empty_like(source)

    def copy() -> None:  # NumPy copies without the interpreter lock
        others = [
            threading.Thread(target=np.copyto, args=(target[i], source[i]))
            for i in range(1, threads)
        ]
        for other in others:
            other.start()
        np.copyto(target[0], source[0])
        for other in others:
            other.join()

    return 2 * source.nbytes / _best(copy, seconds)


def _best(run: Callable[[], Any], seconds: float) -> float:
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best
