"""What one small operation costs: chains of 8x8 operations, forward and backward, one thread.

The CPU's time is taken, which other programs disturb less than the wall's.
"""

from __future__ import annotations

from typing import Any

from .programs import CHAIN, OPERATIONS
from .session import Session
from .timing import Program, interleave, workers
from .verify import difference


def run(session: Session, operations: Any = tuple(OPERATIONS), length: int = CHAIN) -> None:
    """Every operation, without and with backward; seconds are those of one operation."""
    with workers() as worker:
        wanted_peers = [p for p in ("tinynet", "pytorch") if p in session.peers]
        started = [worker(peer, 1) for peer in wanted_peers]
        present = [one for one in started if session.present(one)]
        for operation in operations:
            for backward in (False, True):
                key = f"ops/{operation}/{'forward + backward' if backward else 'forward'}"
                if not session.wanted(key):
                    continue
                session.watcher.progress(key)
                row: dict[str, Any] = {
                    "key": key,
                    "unit": "s",
                    "operation": operation,
                    "pass": "forward + backward" if backward else "forward",
                    "threads": 1,
                    "clock": "cpu",
                    "dtype": "float32",
                    "shape": [8, 8],
                    "length": length,
                    "unverified": {},
                    "refused": {},
                }
                task = {
                    "kind": "operation",
                    "operation": operation,
                    "backward": backward,
                    "length": length,
                }
                programs: list[Program] = []
                right = None
                for one in present:
                    answer = one.request("prepare", name=key, task=task)
                    if "refused" in answer:
                        row["refused"][one.peer] = answer["refused"]
                        continue
                    right = right or answer["answers"]
                    wrong = difference(answer["answers"], right)
                    if wrong is None:
                        programs.append(
                            Program(one.peer, one, key, retries=session.retries, clock="cpu")
                        )
                    else:
                        row["unverified"][one.peer] = wrong
                interleave(
                    programs,
                    seconds=session.seconds or 1.5,
                    sample_seconds=0.02,
                    rounds=session.rounds or (11, 31),
                )
                for program in programs:
                    program.samples = [seconds / length for seconds in program.samples]
                    program.worker.request("drop", name=key)
                row["entries"] = {program.label: program.record() for program in programs}
                session.done(row)
