"""The GPU's own clock, and what of a result is looked at; one text for tinynet and PyTorch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

WARM_UP = 0.02  # seconds: an idle GPU's clock is low, and rises within some milliseconds
SAMPLED = 2**22  # numbers of a result that are compared, about


def elapsed(cuda: Any, run: Callable[[], Any], count: int) -> float:
    """Seconds between two events around so many calls, after a warm-up that does not count.

    Work that the CPU cannot hand out fast enough counts too: the GPU waits between the events.
    """
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    stop = time.perf_counter() + WARM_UP
    while True:
        run()
        cuda.synchronize()
        if time.perf_counter() >= stop:
            break
    begin.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def sampled(array: Any) -> Any:
    """Some of a large array's images, evenly spaced; small ones whole."""
    count = 1
    for size in array.shape:
        count *= size
    return array if len(array.shape) == 0 else array[:: max(1, count // SAMPLED)]
