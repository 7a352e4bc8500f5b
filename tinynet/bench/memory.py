"""Peak memory of a training step and of inference, above what the imports take.

tinynet imports Numba, and Numba most of itself, with the first kernel: that counts as an import.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from .networks import NETWORKS, network
from .processes import ProcessError, fresh
from .session import Session

LIBRARIES = {"tinynet": "tinynet", "pytorch": "torch"}
STEPS = 3


def run(
    session: Session,
    models: Sequence[str] = tuple(NETWORKS),
    modes: Sequence[str] = ("training", "inference"),
) -> None:
    """Every model in every mode, each library in a process of its own."""
    threads = max(session.threads)
    for model in models:
        for mode in modes:
            batch = network(model).batch
            key = f"memory/{model}/{mode}/{batch}/{threads}"
            if not session.wanted(key):
                continue
            row: dict[str, Any] = {
                "key": key,
                "unit": "bytes",
                "model": model,
                "mode": mode,
                "batch": batch,
                "threads": threads,
                "dtype": "float32",
                "entries": {},
                "refused": {},
            }
            for label, library in LIBRARIES.items():
                if label not in session.peers:
                    continue
                session.watcher.progress(f"{key}: {label}")
                program = (
                    "from tinynet.bench.memory import measure\n"
                    f"measure({library!r}, {model!r}, {mode!r}, {threads})"
                )
                try:
                    found = fresh(program, threads)
                except ProcessError as error:
                    row["refused"][label] = str(error)
                    continue
                session.result.versions[library] = found.pop("version")
                peak = found.pop("peak")
                row["entries"][label] = {
                    "library": label,
                    "median": peak,
                    "best": peak,
                    "quartiles": [peak, peak],
                    "samples": [peak],
                    **found,
                }
            session.done(row)


def measure(library: str, model: str, mode: str, threads: int) -> None:
    """Print as JSON the peak above the memory after import, of this very process."""
    from . import programs

    lib = importlib.import_module(library)
    importlib.import_module(f"{library}.nn")
    importlib.import_module(f"{library}.optim")
    if library == "torch":
        lib.set_num_threads(threads)
    else:
        from numba.core.registry import cpu_target

        cpu_target.target_context.refresh()  # imports what Numba puts off
    imported = resident()
    net = network(model)
    if mode == "training":
        step = programs.Training(lib, net, net.batch).step
    else:
        step = programs.inference(lib, net, net.batch)
    built = resident()
    forget_peak()  # what it took to make the first weights does not count
    for _ in range(STEPS):
        step()
    found = {
        "peak": peak() - imported,
        "imported": imported,
        "built": built - imported,
        "version": lib.__version__,
    }
    print(json.dumps(found))


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return _status("VmRSS")


def peak() -> int:
    """The most there were, since `forget_peak` where the system can forget."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Let `peak` start anew."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _status(name: str) -> int:
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    # elsewhere only the peak is known, in bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
