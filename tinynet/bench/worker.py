"""One library in a process of its own: `python -m tinynet.bench.worker PEER`.

It takes requests as lines of JSON on stdin and answers each with one line. Nothing else reaches
the answers: what libraries print goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from .programs import TooSlow

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def busy_seconds() -> float | None:
    """What all processes of this machine have used of its CPUs so far; None if nobody counts."""
    try:
        with open("/proc/stat") as file:
            fields = file.readline().split()
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def timed(
    run: Callable[[], Any],
    calls: int,
    measured: Callable[[Callable[[], Any], int], float] | None = None,
) -> dict[str, float]:
    """Seconds and CPU seconds per call, and what other processes used of the CPUs meanwhile.

    `measured(run, calls)` gives the seconds of all calls by another clock than the CPU's.
    """
    busy, own = busy_seconds(), time.process_time()
    start = time.perf_counter()
    if measured is None:
        for _ in range(calls):
            run()
        wall = seconds = time.perf_counter() - start
    else:
        seconds = measured(run, calls)
        wall = time.perf_counter() - start
    own = time.process_time() - own
    foreign = 0.0 if busy is None else (busy_seconds() or 0.0) - busy - own
    return {
        "seconds": seconds / calls,
        "cpu": own / calls,
        "wall": wall,
        "foreign": max(0.0, foreign),
    }


class Server:
    """The requests, a method each."""

    def __init__(self, peer: str) -> None:
        self.peer_name = peer
        self.programs: dict[str, Callable[[], Any]] = {}

    def hello(self, threads: int) -> dict[str, Any]:
        """Import the library; its version, or why it is not there."""
        try:
            self.peer = importlib.import_module(f"tinynet.bench.peers.{self.peer_name}")
            return {"versions": self.peer.start(threads)}
        except Exception as error:  # old libraries fail in many ways on a new NumPy
            return {"absent": f"{type(error).__name__}: {str(error).splitlines()[0]}"}

    def prepare(self, name: str, task: dict[str, Any]) -> dict[str, Any]:
        """Make a program under this name; its answers, or why it cannot be made here.

        Where the task has a `limit`, "slow" are the seconds of a step that took longer.
        """
        kind = task["kind"]
        make = getattr(self.peer, kind, None)
        if make is None:
            return {"refused": f"its adapter has no {kind}"}
        try:
            self.programs[name], answers = make(task)
        except NotImplementedError as error:
            return {"refused": str(error)}
        except TooSlow as error:
            return {"slow": error.seconds}
        except Exception as error:
            return {"refused": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}
        return {"answers": answers}

    def time(self, name: str, calls: int) -> dict[str, float]:
        return timed(self.programs[name], calls, getattr(self.peer, "measured", None))

    def drop(self, name: str) -> dict[str, Any]:
        self.programs.pop(name, None)
        return {}

    def ask(self, what: str, **arguments: Any) -> Any:
        """Whatever else the peer can tell."""
        return getattr(self.peer, what)(**arguments)


def serve(peer: str) -> None:
    """Answer requests until stdin is closed."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(peer)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(server, request.pop("do"))(**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
