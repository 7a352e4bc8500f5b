"""A worker process of a `DataLoader`: fetches batches when told to, until it is told to stop."""

from __future__ import annotations

import os
import pickle
import random
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ... import random as tinynet_random
from . import channel
from .fetch import FetchPlan

CHECK_PARENT_SECONDS = 2.0


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker knows about itself."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker: its id, the number of workers, its seed and its dataset; elsewhere None."""
    return _worker_info


class Failure:
    """An exception on its way from a worker to the parent, as text and type."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.kind: type[BaseException] = type(error)
        trace = "".join(traceback.format_exception(error))
        self.message = f"Caught {self.kind.__name__} {where}.\nOriginal {trace}"
        try:
            pickle.dumps(self.kind)
        except Exception:
            # a class defined in a function has no name that the parent could find
            self.kind = RuntimeError

    def reraise(self) -> None:
        """Raise the worker's exception, with its traceback in the message."""
        if self.kind is KeyError:
            raise KeyError(_Verbatim(self.message))
        try:
            error = self.kind(self.message)
        except Exception:
            # a constructor that wants something other than a message
            error = RuntimeError(self.message)
        raise error


class _Verbatim(str):
    """KeyError prints the repr of its message; this one's repr keeps the line breaks."""

    def __repr__(self) -> str:
        return str(self)


def work(
    connection: Connection,
    inherited: Sequence[Connection],
    parent: int,
    folder: str | None,
    plan: FetchPlan,
    worker_id: int,
    num_workers: int,
    base_seed: int,
    init: Callable[[int], None] | None,
) -> None:
    """The main function of a worker process.

    It answers ("fetch", indices) with ("batch", batch), ("end", None) when an iterable dataset has
    no more, or ("error", Failure); ("reset", None) with ("ready", None); and ends on ("stop", None)
    or when the parent is gone.
    """
    global _worker_info
    # Ctrl-C reaches every process of a terminal; the parent alone reacts, and stops its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A copy of the parent's end in a sibling would hide from that sibling's pipe that the parent
    # has closed it
    for sibling in inherited:
        sibling.close()
    seed = base_seed + worker_id
    random.seed(seed)
    tinynet_random.manual_seed(seed)
    np.random.seed(np.random.SeedSequence([base_seed, worker_id]).generate_state(4))  # noqa: NPY002
    _worker_info = WorkerInfo(worker_id, num_workers, seed, plan.dataset)
    where = f"in DataLoader worker process {worker_id}"

    def send(message: Any) -> None:
        channel.send(connection, message, folder)

    try:
        failure = _initialise(init, worker_id, where)
        fetch: Any = None
        while True:
            while not connection.poll(CHECK_PARENT_SECONDS):
                if os.getppid() != parent:
                    return
            command, indices = connection.recv()
            if command == "stop":
                return
            if command == "reset":
                fetch = None
                send(("ready", None))
                continue
            if failure is None:
                try:
                    fetch = fetch or plan.fetcher()
                    send(("batch", fetch(indices)))
                    continue
                except StopIteration as end:
                    if plan.iterable:
                        send(("end", None))
                        continue
                    answer = Failure(end, where)
                except (BrokenPipeError, ConnectionResetError):
                    return
                except Exception as error:
                    answer = Failure(error, where)
            send(("error", failure or answer))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # the parent has closed its end: it wants no more batches
        return


def _initialise(init: Callable[[int], None] | None, worker_id: int, where: str) -> Failure | None:
    try:
        if init is not None:
            init(worker_id)
    except Exception as error:
        return Failure(error, where)
    return None
