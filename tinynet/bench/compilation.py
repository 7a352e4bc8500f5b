"""How long the kernels take to compile: cold, and from the cache on disk."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from contextlib import suppress
from typing import Any

from .families import FAMILIES, algorithms, calls, cases, functions
from .networks import network
from .processes import fresh
from .session import Session
from .timing import summary

CALL = "from tinynet.bench import compilation; compilation.{function}({arguments})"


def run(session: Session, model: str = "convnet", everything: bool = True) -> None:
    """The kernels of one training step in float32, and all kernels in both dtypes."""
    with tempfile.TemporaryDirectory() as folder:
        cache = {"TINYNET_CACHE_DIR": folder}
        step = CALL.format(function="first_step", arguments=repr(model))
        programs = [(f"one step of {model}, cold", step), (f"one step of {model}, cached", step)]
        if everything:
            rest = CALL.format(function="all_kernels", arguments="")
            programs += [("all kernels, cold", rest), ("all kernels, cached", rest)]
        for label, program in programs:
            key = f"compile/{label}"
            if not session.wanted(key):
                continue
            session.watcher.progress(key)
            if label == "all kernels, cold":
                with tempfile.TemporaryDirectory() as empty:
                    found = fresh(program, environment={"TINYNET_CACHE_DIR": empty})
                    again = fresh(program, environment={"TINYNET_CACHE_DIR": empty})
            elif label == "all kernels, cached":
                found = again
            else:
                found = fresh(program, environment=cache)
            entry: dict[str, Any] = {"library": "tinynet", **summary([found["seconds"]])}
            entry["compiled"] = found["compiled"]
            session.done({"key": key, "unit": "s", "what": label, "entries": {"tinynet": entry}})


def _count_compiled() -> list[str]:
    import tinynet.kernels.jit as jit

    compiled: list[str] = []
    jit.on_compile(lambda kernel, why: compiled.append(kernel))
    return compiled


def first_step(model: str) -> None:
    """Print how much longer the first training step takes than the next ones (Numba's import,
    which it needs, included)."""
    import tinynet

    from .programs import Training

    net = network(model)
    step = Training(tinynet, net, net.batch).step
    times = []
    start = time.perf_counter()
    compiled = _count_compiled()
    step()
    first = time.perf_counter() - start
    for _ in range(3):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": first - statistics.median(times), "compiled": len(compiled)}))


def all_kernels() -> None:
    """Print how long it takes to run every algorithm of every family on its smaller cases."""
    import tinynet.kernels as kernels

    start = time.perf_counter()
    compiled = _count_compiled()
    for family in FAMILIES:
        for algorithm in algorithms(family):
            if algorithm == "reference":
                continue
            with kernels.use("cpu", **{family: algorithm}) as backend:
                for dtype in ("float32", "float64"):
                    for case in (case for case in cases(family) if case.size != "large"):
                        for function in functions(family, case.name):
                            with suppress(ValueError):  # an algorithm that is not for this case
                                calls(family, case.name, dtype)[function](backend)
    print(json.dumps({"seconds": time.perf_counter() - start, "compiled": len(compiled)}))
