"""How long `import` takes beyond NumPy, in a fresh process, once the files are in memory.

As bytecode, which Python writes the first time: some machines are set not to keep any.
"""

from __future__ import annotations

from typing import Any

from .processes import ProcessError, fresh
from .session import Session
from .timing import summary

MODULES = {
    "tinynet": "tinynet",
    "tinynet.nn": "tinynet.nn, tinynet.optim",
    "pytorch": "torch",
    "jax": "jax",
    "tinygrad": "tinygrad",
    "autograd": "autograd",
    "dezero": "dezero",
    "chainer": "chainer",
}
PROGRAM = """
import numpy, time
start = time.perf_counter()
import {modules}
print(time.perf_counter() - start)
"""


def run(session: Session, rounds: int = 9) -> None:
    """One row: every library's import, round by round."""
    key = "import"
    if not session.wanted(key):
        return
    samples: dict[str, list[float]] = {}
    refused: dict[str, str] = {}
    wanted = {
        label: modules
        for label, modules in MODULES.items()
        if label.partition(".")[0] in session.peers
    }
    for i in range(-1, rounds):  # the first brings the files into memory
        for label, modules in wanted.items():
            session.watcher.progress(f"{key}: {label}, round {i + 1} of {rounds}")
            if label in refused:
                continue
            try:
                took = fresh(
                    PROGRAM.format(modules=modules), environment={"PYTHONDONTWRITEBYTECODE": ""}
                )
            except ProcessError as error:
                refused[label] = str(error)
                continue
            if i >= 0:
                samples.setdefault(label, []).append(took)
    entries: dict[str, Any] = {
        label: {"library": label.partition(".")[0], **summary(taken)}
        for label, taken in samples.items()
    }
    session.done({"key": key, "unit": "s", "entries": entries, "refused": refused})
