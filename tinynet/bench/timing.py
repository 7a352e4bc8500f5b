"""Timing on a machine that others use, too.

Programs run in worker processes, one library each, so that no thread pool disturbs another. They
take turns, round by round. A sample during which other processes used the CPU is thrown away and
taken again; when that does not help for long, the quietest is kept, and counted as disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RETRIES = 5
# Other processes may use so many seconds, or this part of the time, whichever is more. The kernel
# counts in hundredths of a second.
QUIET_SECONDS, QUIET_SHARE = 0.021, 0.1


class WorkerError(RuntimeError):
    """A worker process failed."""


def pool_sizes(threads: int) -> dict[str, str]:
    """The environment that lets every library's pool have so many threads."""
    return {f"{pool}_NUM_THREADS": str(threads) for pool in ("OMP", "NUMBA", "OPENBLAS", "MKL")}


class Worker:
    """A process with one library (see worker.py)."""

    def __init__(
        self,
        peer: str,
        threads: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.peer, self.threads = peer, threads
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tinynet.bench.worker", peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **pool_sizes(threads), **(environment or {})},
        )
        self.versions: dict[str, str] = {}
        self.absent: str | None = None
        answer = self.request("hello", threads=threads)
        self.versions, self.absent = answer.get("versions", {}), answer.get("absent")

    def request(self, do: str, **arguments: Any) -> Any:
        """Send one request and wait for its answer. Raises WorkerError if there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:] or ["it said nothing"]
            raise WorkerError(f"the {self.peer} worker died: {last[0]}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.peer}: {answer['error'].strip()}")
        return answer["ok"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


@dataclass
class Program:
    """A program that a worker has prepared under a name, and how long it took."""

    label: str  # as the tables have it
    worker: Worker
    name: str
    calls: int = 1  # in one sample
    samples: list[float] = field(default_factory=list)  # seconds per call
    discarded: int = 0  # samples that were disturbed and taken again
    disturbed: int = 0  # samples that were kept although disturbed
    retries: int = RETRIES
    clock: str = "seconds"  # or "cpu": what a program of one thread uses, whoever else runs

    def sample(self) -> None:
        """Take one sample."""
        attempts = []
        retries = (
            self.retries if self.disturbed < 2 else min(1, self.retries)
        )  # the others will not go away
        for attempt in range(retries + 1):
            took = self.worker.request("time", name=self.name, calls=self.calls)
            share = took["foreign"] / max(took["wall"], 1e-9)
            attempts.append((share, took[self.clock]))
            if took["foreign"] <= max(QUIET_SECONDS, QUIET_SHARE * took["wall"]):
                break
            if attempt < retries:
                time.sleep(0.05 * (attempt + 1))
        else:
            self.disturbed += 1
        self.discarded += len(attempts) - 1
        self.samples.append(min(attempts)[1])

    def calibrate(self, sample_seconds: float) -> float:
        """Choose how many calls a sample has; returns the seconds of a sample."""
        took = self.worker.request("time", name=self.name, calls=1)["seconds"]
        if took < sample_seconds:  # the first call may have been special
            took = self.worker.request("time", name=self.name, calls=2)["seconds"]
        self.calls = max(1, round(sample_seconds / max(took, 1e-7)))
        return took * self.calls

    def record(self, **more: Any) -> dict[str, Any]:
        """For the JSON."""
        return {
            "library": self.worker.peer.removesuffix("_cuda"),
            **summary(self.samples),
            "calls": self.calls,
            "discarded": self.discarded,
            "disturbed": self.disturbed,
            **more,
        }


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """All samples, their median, quartiles and the best."""
    quartiles = statistics.quantiles(samples, n=4) if len(samples) > 1 else [samples[0]] * 3
    return {
        "median": statistics.median(samples),
        "best": min(samples),
        "quartiles": [quartiles[0], quartiles[2]],
        "samples": list(samples),
    }


def interleave(
    programs: Sequence[Program],
    *,
    seconds: float,
    sample_seconds: float = 0.1,
    rounds: tuple[int, int] = (5, 21),
    progress: Callable[[str], None] = lambda text: None,
) -> None:
    """Sample the programs in turn for about so many seconds, at least and at most so many rounds.

    Every second round goes backwards, so that nobody always runs after the same neighbour.
    """
    if not programs:
        return
    least, most = rounds
    each = sum(program.calibrate(sample_seconds) for program in programs)
    count = min(most, max(least, int(seconds / max(each, 1e-9))))
    for i in range(count):
        for program in programs if i % 2 == 0 else programs[::-1]:
            progress(f"{program.label}, round {i + 1} of {count}")
            program.sample()


@contextlib.contextmanager
def workers() -> Iterator[Callable[..., Worker]]:
    """A function that starts a worker, or gives the one that was started with these arguments."""
    started: dict[Any, Worker] = {}

    def worker(
        peer: str,
        threads: int,
        environment: Mapping[str, str] | None = None,
    ) -> Worker:
        key = peer, threads, tuple(sorted((environment or {}).items()))
        if key not in started:
            started[key] = Worker(peer, threads, environment)
        return started[key]

    try:
        yield worker
    finally:
        for one in started.values():
            one.close()
