"""Networks: a training step and inference, beside PyTorch (as installed and at its best), peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .networks import NETWORKS, TINY, network
from .session import Session
from .timing import Program, Worker, interleave, workers
from .verify import ARRAY_TOLERANCE, GRADIENT_TOLERANCE, LOSS_TOLERANCE, difference

MODES = ("training", "inference")
# An allocator that gives no memory back to the system, and so needs no fresh pages.
KEPT_HEAP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1099511627776"}
# The networks that are small enough for peers in pure Python, and to be compiled by PyTorch.
SMALL = ("convnet", "lenet5", "mlp", *TINY)
# PyTorch's settings (see peers/pytorch.py) that are tried, with the kept heap, and the first one
# without it: what most often wins, so that the others need not be waited for.
SETTINGS = {
    "training": ("channels_last, fused", "fused", "channels_last", "foreach"),
    "inference": ("mkldnn", "channels_last", "inference_mode", "frozen"),
}
LONG = 0.5  # seconds of a step: its verification is trial enough
GIVE_UP = 1.15  # such a step that takes so much longer than the best one is not run again
COMPILED = {"training": "compiled, fused", "inference": "compiled"}


def run(
    session: Session,
    models: Sequence[str] = tuple(NETWORKS),
    modes: Sequence[str] = MODES,
    compiled: bool = True,
) -> None:
    """Every model in every mode, at its batch and for inference at batch 1, for each of the
    session's numbers of threads."""
    for threads in session.threads:
        with workers() as worker:
            for model in models:
                for mode, batch in rows(model, modes):
                    key = model_key(model, mode, batch, threads)
                    if session.wanted(key):
                        session.done(
                            _row(session, worker, key, model, mode, batch, threads, compiled)
                        )


def model_key(model: str, mode: str, batch: int, threads: int) -> str:
    """The key of a row."""
    return f"models/{model}/{mode}/{batch}/{threads}"


def rows(model: str, modes: Sequence[str] = MODES) -> Iterator[tuple[str, int]]:
    """(mode, batch) of a network's rows."""
    for mode in modes:
        for batch in (1, network(model).batch) if mode == "inference" else (network(model).batch,):
            yield mode, batch


def _row(
    session: Session,
    worker: Any,
    key: str,
    model: str,
    mode: str,
    batch: int,
    threads: int,
    compiled: bool,
) -> dict[str, Any]:
    net = network(model)
    small = model in SMALL
    row: dict[str, Any] = {
        "key": key,
        "unit": "s",
        "model": model,
        "mode": mode,
        "batch": batch,
        "threads": threads,
        "dtype": "float32",
        "image": list(net.image),
        "tolerance": {
            "losses": LOSS_TOLERANCE,
            "gradients": GRADIENT_TOLERANCE,
            "scores": ARRAY_TOLERANCE,
        },
        "unverified": {},  # label: what was wrong; these are not timed
        "refused": {},  # label: why it could not be tried
        "tried": {},  # PyTorch's settings: seconds of a short trial
    }
    task = {"kind": mode, "model": model, "batch": batch, "steps": 3 if small else 2}
    wanted: dict[str, Any] = {}

    def prepare(one: Worker, label: str, **more: Any) -> Program | None:
        """The verified program; None if there is none, and the row says why."""
        session.watcher.progress(f"{key}: {label}, verified")
        answer = one.request("prepare", name=label, task=task | more)
        if "refused" in answer:
            row["refused"][label] = answer["refused"]
            return None
        if "slow" in answer:
            row["tried"][label] = answer["slow"]
            return None
        if answer["answers"].get("seconds", 0) > LONG:
            row["tried"][label] = answer["answers"]["seconds"]
        wrong = difference(answer["answers"], wanted.setdefault("answers", answer["answers"]))
        if wrong is not None:
            row["unverified"][label] = wrong
            one.request("drop", name=label)
            return None
        row.setdefault("losses", answer["answers"].get("losses"))
        return Program(label, one, label, retries=session.retries)

    def start(peer: str, environment: dict[str, str] | None = None) -> Worker | None:
        if peer not in session.peers:
            return None
        one = worker(peer, threads, environment)
        return one if session.present(one) else None

    programs: list[Program] = []
    records: dict[str, dict[str, Any]] = {}
    pytorch, kept, own = start("pytorch"), start("pytorch", KEPT_HEAP), start("tinynet")
    # The first to answer is what the others have to agree with.
    if pytorch is not None and (program := prepare(pytorch, "pytorch")):
        programs.append(program)
    others = [p for p in session.peers if p not in ("tinynet", "pytorch")]
    slow: list[Program] = []
    if small and threads != 1 and batch == net.batch:
        for peer in others:
            one = start(peer)
            if one is not None and (program := prepare(one, peer)):
                slow.append(program)
    if own is not None and (program := prepare(own, "tinynet")):
        programs.insert(0, program)
    if pytorch is not None and kept is not None:
        known = session.result.rows.get(model_key(model, mode, batch, 2), {})
        best = _best_setting(row, prepare, pytorch, kept, compiled and small, known)
        if best is not None:
            setting, program = best
            program.label = "pytorch best"
            records[program.label] = {"setting": setting}
            programs.append(program)
    interleave(
        programs,
        seconds=session.seconds or 8,
        rounds=session.rounds or ((5, 21) if threads > 1 else (3, 15)),
        progress=lambda text: session.watcher.progress(f"{key}: {text}"),
    )
    if slow:
        interleave(slow, seconds=4, rounds=session.rounds or (3, 7))
    row["entries"] = {p.label: p.record(**records.get(p.label, {})) for p in (*programs, *slow)}
    for program in (*programs, *slow):
        program.worker.request("drop", name=program.name)
    return row


def _best_setting(
    row: dict[str, Any],
    prepare: Any,
    plain: Worker,
    kept: Worker,
    compiled: bool,
    known: dict[str, Any],
) -> tuple[str, Program] | None:
    """PyTorch's fastest setting by a short trial of each, and its program.

    What won with two threads is taken for one thread too. The default may win. A long step is
    tried while it is verified, and given up when another one was faster.
    """
    mode = row["mode"]
    settings = [*SETTINGS[mode], *([COMPILED[mode]] if compiled else [])]
    candidates = [(f"{setting}, kept heap", setting, kept) for setting in settings]
    candidates += [("kept heap", "", kept), (settings[0], settings[0], plain)]
    chosen = known.get("entries", {}).get("pytorch best", {}).get("setting")
    if chosen is not None:
        candidates = [c for c in candidates if c[0] == chosen] or candidates
    best: tuple[float, str, Program] | None = None
    for name, setting, worker in candidates:
        limit = {"limit": GIVE_UP * best[0]} if best is not None and best[0] > LONG else {}
        program = prepare(worker, name, setting=setting, **limit)
        if program is None:
            continue
        if name not in row["tried"]:
            program.calibrate(0.05)
            program.sample()
            row["tried"][name] = program.samples.pop()
            program.discarded = program.disturbed = 0
        seconds = row["tried"][name]
        if best is not None and best[0] <= seconds:
            worker.request("drop", name=name)
            continue
        if best is not None:
            best[2].worker.request("drop", name=best[2].name)
        best = seconds, name, program
    return None if best is None else (best[1], best[2])
