"""Kernels: each algorithm of each family on its case table, beside this machine's ceilings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .families import FAMILIES, algorithms, cases, functions
from .session import Session
from .timing import Program, Worker, interleave, workers
from .verify import ARRAY_TOLERANCE, difference

# Definitions, much too slow to be timed on large cases.
NOT_TIMED = ("naive", "im2col")
SAMPLE = 0.02  # seconds of a sample
SLOW = 0.3  # seconds a call: such a program gets few samples


def run(
    session: Session,
    families: Sequence[str] = FAMILIES,
    size: str = "large",
    dtype: str = "float32",
    skipped: Sequence[str] = NOT_TIMED,
) -> None:
    """Every function of the families on their cases of this size, one row each."""
    for threads in session.threads:
        with workers() as worker:
            own = worker("tinynet", threads)
            if not session.present(own):
                continue
            peers = [worker("pytorch", threads)] if "pytorch" in session.peers else []
            peers = [peer for peer in peers if session.present(peer)]
            ceilings = _ceilings(session, own, peers, threads, dtype)
            for family in families:
                for case in (case for case in cases(family) if case.size == size):
                    for function in functions(family, case.name):
                        key = f"kernels/{family}/{case.name}/{function}/{dtype}/{threads}"
                        if not session.wanted(key):
                            continue
                        session.watcher.progress(key)
                        task = {
                            "kind": "kernel",
                            "family": family,
                            "case": case.name,
                            "function": function,
                            "dtype": dtype,
                        }
                        row = _row(session, own, peers, key, task, skipped)
                        session.done(
                            {
                                "key": key,
                                "unit": "s",
                                **{k: v for k, v in task.items() if k != "kind"},
                                "threads": threads,
                                "flops": case.flops,
                                "bytes": case.bytes(dtype),
                                "ceilings": ceilings,
                                "tolerance": ARRAY_TOLERANCE,
                                **row,
                            }
                        )


def _ceilings(
    session: Session, own: Worker, peers: Sequence[Worker], threads: int, dtype: str
) -> dict[str, float]:
    """The best matrix product that any library has (flop/s), and copying memory (bytes/s)."""
    session.watcher.progress("ceilings")
    products = [one.request("ask", what="gemm", dtype=dtype) for one in (own, *peers)]
    return {"gemm": max(products), "copy": own.request("ask", what="copy", threads=threads)}


def _row(
    session: Session,
    own: Worker,
    peers: Sequence[Worker],
    key: str,
    task: dict[str, Any],
    skipped: Sequence[str],
) -> dict[str, Any]:
    refused: dict[str, str] = {}
    unverified: dict[str, str] = {}
    programs: list[Program] = []
    right = None
    family = task["family"]
    choices = [(own, a, a) for a in algorithms(family) if a not in skipped]
    for peer in peers:
        choices.append((peer, peer.peer, ""))
        if family == "conv2d":
            choices.append((peer, f"{peer.peer} channels_last", "channels_last"))
    for worker, label, algorithm in choices:
        answer = worker.request("prepare", name=label, task=task | {"algorithm": algorithm})
        if "refused" in answer:
            refused[label] = answer["refused"]
            continue
        right = right or answer["answers"]
        wrong = difference(answer["answers"], right)
        if wrong is None:
            programs.append(Program(label, worker, label, retries=session.retries))
        else:
            unverified[label] = wrong
    fast: list[Program] = []
    slow: list[Program] = []
    for program in programs:
        took = program.calibrate(SAMPLE) / program.calls
        (slow if took > SLOW else fast).append(program)
    for group, rounds in ((fast, (3, 15)), (slow, (3, 3))):
        interleave(
            group,
            seconds=session.seconds or 1,
            sample_seconds=SAMPLE,
            rounds=session.rounds or rounds,
        )
    entries = {}
    for program in programs:
        more = {}
        if program.worker is own:
            more["workspace"] = own.request(
                "ask", what="workspace", task=task | {"algorithm": program.label}
            )
        entries[program.label] = program.record(**more)
        program.worker.request("drop", name=program.name)
    return {"entries": entries, "refused": refused, "unverified": unverified}


def measures(row: dict[str, Any], entry: dict[str, Any]) -> dict[str, float]:
    """GFLOP/s and GB/s at the median, and which part of the ceilings they are."""
    flops, moved = row["flops"] / entry["median"], row["bytes"] / entry["median"]
    return {
        "gflops": flops / 1e9,
        "gbytes": moved / 1e9,
        "of_gemm": flops / row["ceilings"]["gemm"],
        "of_copy": moved / row["ceilings"]["copy"],
    }
