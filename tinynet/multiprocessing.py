"""Python's `multiprocessing` under PyTorch's name.

Tensors are pickled on their way to another process, so that each process has its own; PyTorch
would share their memory.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import *  # noqa: F403
from typing import Any

__all__ = [*multiprocessing.__all__, "get_all_sharing_strategies", "spawn"]


def spawn(
    fn: Any, args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False
) -> Any:
    """Run `fn(i, *args)` in nprocs new processes, i = 0, 1, ...; raises if one of them fails.

    join: wait for them; else the processes are returned.
    """
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for process in processes:
        process.join()
    failed = [i for i, process in enumerate(processes) if process.exitcode]
    if failed:
        raise RuntimeError(
            f"spawn: process {failed[0]} ended with exit code {processes[failed[0]].exitcode}; "
            "what it printed says why."
        )
    return None


def get_all_sharing_strategies() -> set[str]:
    """No memory of tensors is shared."""
    return set()
