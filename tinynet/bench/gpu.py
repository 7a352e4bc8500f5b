"""`tinynet bench --device cuda`: kernels and networks on a GPU, beside PyTorch with cuDNN.

Every row is measured twice, in float32 and with TF32 allowed, which is switched in the same way on
both sides. Times are those between CUDA events; compilation, and whatever else only the first call
does, is kept apart ("first"). Ceilings are of the same run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import tinynet.kernels as kernels

from .families import FAMILIES, case_of, cases, functions
from .networks import network
from .session import Session
from .timing import Program, Worker, WorkerError, interleave, workers
from .verify import ARRAY_TOLERANCE, GRADIENT_TOLERANCE, LOSS_TOLERANCE, difference

PRECISIONS = ("fp32", "tf32")
BATCHES = {"vgg16": 64, "alexnet": 128, "lenet5": 64}  # of the networks that are measured
IMAGES = {"VGG": 64, "AlexNet": 128}  # the same for the cases of these names
LOOSER = {"fp32": 1.0, "tf32": 5.0}  # tolerances, in those of float32
SAMPLE = 0.02  # seconds of a sample

TINYNET = {"tinynet": "", "tinynet graph": "graph", "tinynet channels_last": "channels_last"}
PYTORCH = {
    "pytorch": "",
    "pytorch channels_last": "channels_last",
    "pytorch tuned": "tuned",
    "pytorch channels_last, tuned": "channels_last, tuned",
    "pytorch graph": "graph",
}


def rows(models: Sequence[str] = tuple(BATCHES)) -> Iterator[tuple[str, str, int, str]]:
    """(model, mode, batch, precision) of the networks' rows."""
    for model in models:
        batch = BATCHES.get(model, network(model).batch)
        for mode, images in (("training", batch), ("inference", 1), ("inference", batch)):
            for precision in PRECISIONS:
                yield model, mode, images, precision


def model_key(model: str, mode: str, batch: int, precision: str) -> str:
    return f"cuda-models/{model}/{mode}/{batch}/{precision}"


def run_models(session: Session, models: Sequence[str] = tuple(BATCHES)) -> None:
    """Training and inference of the networks."""
    with _started(session) as one:
        for model, mode, batch, precision in rows(models):
            key = model_key(model, mode, batch, precision)
            if not session.wanted(key):
                continue
            session.watcher.progress(key)
            task = {"kind": mode, "model": model, "batch": batch, "steps": 3}
            choices = [
                (worker, label, {"setting": setting})
                for worker, table in ((one.pytorch, PYTORCH), (one.own, TINYNET))
                if worker is not None
                for label, setting in table.items()
                if mode == "training" or setting != "graph"
            ]
            measured = one.measure(session, key, task, choices, precision, (5, 21), 4.0)
            session.done(
                {
                    "key": key,
                    "unit": "s",
                    "clock": "cuda events",
                    "model": model,
                    "mode": mode,
                    "batch": batch,
                    "precision": precision,
                    "image": list(network(model).image),
                    "tolerance": {
                        "losses": LOSS_TOLERANCE * LOOSER[precision],
                        "gradients": GRADIENT_TOLERANCE * LOOSER[precision],
                        "scores": ARRAY_TOLERANCE * LOOSER[precision],
                    },
                    **measured,
                }
            )


def run_kernels(session: Session, families: Sequence[str] = FAMILIES, size: str = "large") -> None:
    """Every function of the families on their cases of this size."""
    with _started(session) as one:
        for precision in PRECISIONS:
            ceilings = one.ceilings(session, precision)
            for family, case, function in _kernel_rows(families, size):
                if precision == "tf32" and family not in ("conv2d", "matmul"):
                    continue
                times = _times(family, case)
                larger = case_of(family, case.name, times)
                images = f", {larger.x[0]} images" if times > 1 else ""
                key = f"cuda-kernels/{family}/{case.name}{images}/{function}/{precision}"
                if not session.wanted(key):
                    continue
                session.watcher.progress(key)
                task = {
                    "kind": "kernel",
                    "family": family,
                    "case": case.name,
                    "times": times,
                    "function": function,
                    "dtype": "float32",
                }
                choices = list(_kernel_choices(one, family, precision))
                measured = one.measure(session, key, task, choices, precision, (3, 15), 0.5)
                session.done(
                    {
                        "key": key,
                        "unit": "s",
                        "clock": "cuda events",
                        **{k: v for k, v in task.items() if k != "kind"},
                        "case": case.name + images,
                        "precision": precision,
                        "flops": larger.flops,
                        "bytes": larger.bytes("float32"),
                        "ceilings": ceilings,
                        "tolerance": ARRAY_TOLERANCE * LOOSER[precision],
                        **measured,
                    }
                )


def _kernel_rows(families: Sequence[str], size: str) -> Iterator[tuple[str, Any, str]]:
    for family in families:
        for case in cases(family):
            if case.size == size:
                for function in functions(family, case.name):
                    yield family, case, function


def _times(family: str, case: Any) -> int:
    """How many times the images of the case: those of the networks' batches."""
    wanted = IMAGES.get(case.name.split()[0], 0) if family == "conv2d" else 0
    return max(1, wanted // case.x[0]) if wanted else 1


def _kernel_choices(one: _Workers, family: str, precision: str) -> Iterator[tuple[Any, str, dict]]:
    """(worker, label, task): PyTorch first, which the others have to agree with."""
    if one.pytorch is not None:
        yield one.pytorch, "pytorch", {"algorithm": ""}
        if family == "conv2d":
            yield one.pytorch, "pytorch channels_last", {"algorithm": "channels_last"}
    for algorithm in kernels.algorithms(family, "cuda"):
        if algorithm == "auto" or algorithm.endswith("tf32") == (precision == "tf32"):
            yield one.own, algorithm, {"algorithm": algorithm}


class _Workers:
    """tinynet and PyTorch, each in a process of its own, and what they measure."""

    def __init__(self, own: Worker, pytorch: Worker | None) -> None:
        self.own, self.pytorch = own, pytorch

    def _allow(self, precision: str) -> list[Worker]:
        there = [one for one in (self.pytorch, self.own) if one is not None]
        for one in there:
            one.request("ask", what="tf32", allowed=precision == "tf32")
        return there

    def ceilings(self, session: Session, precision: str) -> dict[str, float]:
        """The best matrix product of either library (flop/s), and copying memory (bytes/s)."""
        session.watcher.progress(f"ceilings, {precision}")
        products = [
            one.request("ask", what="gemm", dtype="float32") for one in self._allow(precision)
        ]
        return {"gemm": max(products), "copy": self.own.request("ask", what="copy")}

    def measure(
        self,
        session: Session,
        key: str,
        task: dict[str, Any],
        choices: Sequence[tuple[Worker, str, dict[str, Any]]],
        precision: str,
        rounds: tuple[int, int],
        seconds: float,
    ) -> dict[str, Any]:
        """The row's entries: programs are verified, then take turns."""
        self._allow(precision)
        refused: dict[str, str] = {}
        unverified: dict[str, str] = {}
        programs: list[Program] = []
        firsts: dict[str, float] = {}
        right: dict[str, Any] | None = None
        for worker, label, more in choices:
            session.watcher.progress(f"{key}: {label}, verified")
            answer = worker.request("prepare", name=label, task=task | more)
            if "refused" in answer:
                refused[label] = answer["refused"]
                continue
            answers = answer["answers"]
            right = right or answers
            wrong = difference(answers, right, LOOSER[precision])
            if wrong is not None:
                unverified[label] = wrong
                worker.request("drop", name=label)
                continue
            firsts[label] = answers.get("first", 0.0)
            programs.append(Program(label, worker, label, retries=session.retries))
        interleave(
            programs,
            seconds=session.seconds or seconds,
            sample_seconds=SAMPLE,
            rounds=session.rounds or rounds,
            progress=lambda text: session.watcher.progress(f"{key}: {text}"),
        )
        entries = {p.label: p.record(first=firsts[p.label]) for p in programs}
        for program in programs:
            program.worker.request("drop", name=program.name)
        return {"entries": entries, "refused": refused, "unverified": unverified}


class _started:
    """`with _started(session) as workers:`; WorkerError says why there is no GPU to measure.

    Kernels are compiled into an empty cache, so that what compilation takes is seen.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def __enter__(self) -> _Workers:
        self.cache = tempfile.TemporaryDirectory()
        self.workers = workers()
        worker = self.workers.__enter__()
        try:
            own = worker("tinynet_cuda", 1, {"CUPY_CACHE_DIR": self.cache.name})
            if not self.session.present(own):
                raise WorkerError(str(own.absent).partition(": ")[2])
            self.session.result.machine |= own.request("ask", what="gpu")
            pytorch = worker("pytorch_cuda", 1) if "pytorch" in self.session.peers else None
            there = pytorch is not None and self.session.present(pytorch)
        except BaseException:
            self.__exit__()
            raise
        return _Workers(own, pytorch if there else None)

    def __exit__(self, *exc: object) -> None:
        self.workers.__exit__(None, None, None)
        self.cache.cleanup()
