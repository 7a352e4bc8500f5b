"""Kernels that will be needed next are compiled by another process, while this one compiles.

Numba compiles one kernel at a time, and the kernels of a network's first training step take
seconds. Whoever convolves will probably want the gradients too: `Kernel.then` says so. When a
kernel is not in the cache on disk, the names of those that follow it are written to a helper, which
compiles them into the same cache. Nobody waits for it: a kernel that is not there when it is needed
is compiled here, at worst by both.

The helper is a Python of its own, not a fork, as this process may have threads. It says nothing,
and ends when nothing has been asked for in a while, or this process ends.
There is none where no cache can be written, on a single core, or in a forked child.
"""

import atexit
import importlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

IDLE = 5.0  # seconds after which the helper ends
PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from {package} import ahead
ahead.serve()
"""

enabled = True
_helper: subprocess.Popen | None = None
_lock = threading.Lock()


def request(names: Iterable[str], dtype: np.dtype, cache: Path) -> None:
    """Have kernels of these names compiled into the cache of this process, if it can be helped.

    Without names the helper is started: it takes a second.
    """
    lines = "".join(f"{name} {dtype.name}\n" for name in names)
    if not enabled or cores() < 2:
        return
    with _lock, suppress(OSError):  # without help everything is compiled here
        helper = _running(cache)
        if helper is not None and helper.stdin is not None:
            helper.stdin.write(lines)
            helper.stdin.flush()


def serve() -> None:
    """What the helper does: compile the kernels whose names it reads, the newest first.

    The first that backward needs is the last that forward has asked for.
    """
    global enabled
    enabled = False
    asked: queue.LifoQueue[str] = queue.LifoQueue()
    threading.Thread(target=_read, args=(asked,), daemon=True).start()
    try:
        while line := asked.get(timeout=IDLE):
            name, dtype = line.split()
            module, _, kernel = name.rpartition(".")
            found = importlib.import_module(f"{__package__}.{module}")
            getattr(found, kernel).compile(np.dtype(dtype))
    finally:
        os._exit(0)  # the other thread still reads: Python could not end in order


def _read(asked: "queue.LifoQueue[str]") -> None:
    for line in sys.stdin:
        asked.put(line)
    asked.put("")  # the process that asks has ended


def _running(cache: Path) -> subprocess.Popen | None:
    """The helper, started if need be; None where no Python can be started."""
    global _helper
    if _helper is not None and _helper.poll() is None:
        return _helper
    if not Path(sys.executable or "").name.startswith("python"):  # Python within another program
        return None
    if _helper is not None and _helper.stdin is not None:
        _helper.stdin.close()
    _helper = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(package=__package__), json.dumps(sys.path)],
        env={**os.environ, "TINYNET_CACHE_DIR": str(cache.parent.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # on Windows
    )
    return _helper


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@atexit.register
def _end() -> None:
    if _helper is not None and _helper.returncode is None:
        _helper.kill()
        _helper.communicate()


def _after_fork() -> None:
    """In a forked child: the helper is the parent's."""
    global enabled, _lock
    enabled, _lock = False, threading.Lock()
    if _helper is not None:
        _helper.returncode = 0  # not ours to wait for


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
