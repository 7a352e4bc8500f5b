"""`DataLoader`: batches of a dataset, in this process or prepared ahead by workers."""

from __future__ import annotations

import contextlib
import itertools
import math
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

from ...random import Generator, default_generator
from . import channel
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .fetch import FetchPlan
from .sampler import BatchSampler, RandomSampler, SequentialSampler
from .worker import work

FROZEN = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
STOP_SECONDS = 1.0


class DataLoader:
    """Batches of a dataset, an epoch for each `for` loop, with PyTorch's arguments.

    batch_size: items in a batch; None gives single items.
    shuffle: a new random order each epoch, every item once.
    sampler, batch_sampler: an order of one's own, of items or of batches.
    num_workers: processes that prepare batches ahead; 0 prepares them here. The order of the
        batches does not depend on it.
    collate_fn: makes a batch of a list of items (default: `default_collate`).
    drop_last: leave out a last batch that is not full.
    timeout: seconds to wait for a worker's batch; 0 waits as long as the worker lives.
    worker_init_fn: called in each worker with its number.
    generator: where the order and the workers' seeds are drawn from (default: the one that
        `tinynet.manual_seed` seeds).
    prefetch_factor: batches that each worker prepares ahead (default 2).
    persistent_workers: keep the workers from one epoch to the next.
    pin_memory, pin_memory_device: accepted for PyTorch's sake; arrays are in ordinary memory.
    in_order: True; what a slow worker prepares is waited for.

    Raises ValueError for arguments that exclude one another. An exception in a worker is raised
    here with the worker's traceback; a worker that is killed is a RuntimeError.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if not in_order:
            raise ValueError("DataLoader: batches come in order; in_order=False is not there.")
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        iterable = isinstance(dataset, IterableDataset)
        if iterable:
            _check_iterable(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                    "and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )
        if sampler is None:
            if iterable:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate

        self.dataset: Dataset[Any] = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = _context(multiprocessing_context, num_workers)
        self.generator = generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self._persistent: _WorkerIterator | None = None
        self._ready = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FROZEN and getattr(self, "_ready", False):
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _SerialIterator(self)
        if not self.persistent_workers:
            return _WorkerIterator(self)
        if self._persistent is None or not self._persistent.alive:
            self._persistent = _WorkerIterator(self)
        else:
            self._persistent.reset(self)
        return self._persistent

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._sampler)  # type: ignore[arg-type]
        length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return (math.floor if self.drop_last else math.ceil)(length / self.batch_size)

    @property
    def _sampler(self) -> Iterable[Any]:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    @property
    def _plan(self) -> FetchPlan:
        return FetchPlan(
            self.dataset, self.batch_sampler is not None, self.collate_fn, self.drop_last
        )

    def _begin(self) -> tuple[Iterator[Any], int]:
        """The indices of one epoch and the seed of its workers.

        The seed is drawn even without workers, so that the orders do not depend on their number.
        """
        seed = (self.generator or default_generator).key() >> 1
        return iter(self._sampler), seed


class _Endless:
    """Indices for a dataset that has none."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class _SerialIterator:
    """An epoch prepared in this process."""

    def __init__(self, loader: DataLoader) -> None:
        self._sampler = loader._sampler
        self._indices, _ = loader._begin()
        self._fetch = loader._plan.fetcher()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._fetch(next(self._indices))

    def __len__(self) -> int:
        return len(self._sampler)  # type: ignore[arg-type]


class _Worker:
    """The parent's view of a worker: the process, the pipe to it, and whether it has more."""

    def __init__(self, context: Any, earlier: list[Connection], *arguments: Any) -> None:
        self.connection, theirs = context.Pipe(duplex=True)
        inherited = [*earlier, self.connection] if context.get_start_method() == "fork" else []
        self.process = context.Process(
            target=work,
            args=(theirs, inherited, os.getpid(), *arguments),
            daemon=True,
        )
        self.active = True
        with warnings.catch_warnings():
            # Python warns that a lock held by another thread stays locked in the child. tinynet's
            # threads hold none between kernels, and in a forked child kernels run without threads.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded")
            self.process.start()
        theirs.close()


class _WorkerIterator:
    """An epoch prepared by worker processes, each with a pipe of its own.

    Batch k was asked of a known worker, and each pipe keeps its order: waiting for that worker's
    next message gives the batches in order, and no lock is shared that a killed worker could hold.
    """

    def __init__(self, loader: DataLoader) -> None:
        # not the loader itself, which may hold this iterator: a cycle would keep workers alive
        self._sampler = loader._sampler
        self._timeout = loader.timeout
        self._prefetch = loader.num_workers * (loader.prefetch_factor or 2)
        self._persistent = loader.persistent_workers
        self._workers: list[_Worker] = []
        folder = None if channel.IN_MEMORY else tempfile.mkdtemp(prefix="tinynet-")
        self._indices, seed = loader._begin()
        self._stop = weakref.finalize(self, _stop_workers, self._workers, folder, os.getpid())
        for i in range(loader.num_workers):
            earlier = [worker.connection for worker in self._workers]
            self._workers.append(
                _Worker(
                    loader.multiprocessing_context,
                    earlier,
                    folder,
                    loader._plan,
                    i,
                    loader.num_workers,
                    seed,
                    loader.worker_init_fn,
                )
            )
        self._ask_ahead()

    @property
    def alive(self) -> bool:
        """True until the workers have been stopped."""
        return self._stop.alive

    def reset(self, loader: DataLoader) -> None:
        """Start another epoch with the same workers."""
        for worker in self._workers:
            worker.connection.send(("reset", None))
        for worker in self._workers:
            # batches of an epoch that was left early come before the answer
            while self._receive(worker)[0] != "ready":
                pass
            worker.active = True
        self._indices, _ = loader._begin()
        self._ask_ahead()

    def _ask_ahead(self) -> None:
        self._turn = itertools.cycle(self._workers)
        self._asked: deque[_Worker] = deque()
        for _ in range(self._prefetch):
            self._ask()

    def _ask(self) -> None:
        """Ask the next worker that has more for the next batch, if there is one."""
        if not any(worker.active for worker in self._workers):
            return
        for indices in self._indices:
            worker = next(worker for worker in self._turn if worker.active)
            try:
                worker.connection.send(("fetch", indices))
            except OSError:
                self._report_death(worker)
            self._asked.append(worker)
            return

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while self._asked:
            worker = self._asked[0]
            kind, value = self._receive(worker)
            self._asked.popleft()
            if kind == "end":
                worker.active = False
            self._ask()
            if kind == "error":
                value.reraise()
            if kind == "batch":
                return value
        if not self._persistent:
            self._stop()
        raise StopIteration

    def __len__(self) -> int:
        return len(self._sampler)  # type: ignore[arg-type]

    def _receive(self, worker: _Worker) -> Any:
        sentinels = {other.process.sentinel: other for other in self._workers}
        ready = wait([worker.connection, *sentinels], self._timeout or None)
        if worker.connection in ready:
            try:
                return channel.receive(worker.connection)
            except (EOFError, OSError):
                self._report_death(worker)
        if ready:
            self._report_death(sentinels[ready[0]])
        self._fail(f"DataLoader timed out after {self._timeout} seconds")

    def _report_death(self, worker: _Worker) -> NoReturn:
        worker.process.join(STOP_SECONDS)
        pid, code = worker.process.pid, worker.process.exitcode
        if code is not None and code < 0:
            self._fail(
                f"DataLoader worker (pid {pid}) is killed by signal: {signal.Signals(-code).name}. "
                "If nobody killed it, it may have run out of memory."
            )
        self._fail(f"DataLoader worker (pid {pid}) exited unexpectedly with exit code {code}.")

    def _fail(self, message: str) -> NoReturn:
        self._stop()
        self._asked.clear()
        raise RuntimeError(message)


def _stop_workers(workers: list[_Worker], folder: str | None, owner: int) -> None:
    """End the workers: ask, close the pipe, and after a second insist."""
    if os.getpid() != owner:
        # a forked child drops its copy of the iterator; the workers are not its own
        return
    for worker in workers:
        with contextlib.suppress(OSError, ValueError):
            # never wait for a worker that does not read
            if os.name == "posix":
                os.set_blocking(worker.connection.fileno(), False)
            worker.connection.send(("stop", None))
        worker.connection.close()
    deadline = time.monotonic() + STOP_SECONDS
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    for insist in ("terminate", "kill"):
        for worker in workers:
            if worker.process.exitcode is None:
                getattr(worker.process, insist)()
                worker.process.join(STOP_SECONDS)
    for worker in workers:
        if worker.process.exitcode is not None:
            worker.process.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _context(wanted: Any, num_workers: int) -> Any:
    """multiprocessing's context: fork on Linux, as tutorials have no main guard; else spawn."""
    if wanted is None:
        if num_workers == 0:
            return None
        return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > "
            f"0), but got num_workers={num_workers}"
        )
    if isinstance(wanted, str):
        methods = multiprocessing.get_all_start_methods()
        if wanted not in methods:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{methods!r}, but got multiprocessing_context={wanted!r}"
            )
        return multiprocessing.get_context(wanted)
    return wanted


def _check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            "multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 "
            "to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_iterable(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    for name, value, unset in (
        ("shuffle", shuffle, shuffle is None or shuffle is False),
        ("sampler", sampler, sampler is None),
        ("batch_sampler", batch_sampler, batch_sampler is None),
    ):
        if not unset:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                f"{name}={value}"
            )
