"""`tinynet cuda`: check the CUDA kernels on a computer without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
import numpy as np

from .. import kernels
from ..kernels import cuda_host, passes, precision
from . import Sentence

DTYPES = ("float32", "float64")
ORDERS = (0, 1, 7)


@click.group()
def cuda() -> None:
    """Check the CUDA kernels, without a GPU."""


@cuda.command()
@click.argument("families", nargs=-1, metavar="[FAMILY]...")
@click.option("--algorithm", help="Of conv2d: naive, tiled, ...  [default: all]")
@click.option("--case", "match", default="", help="Only cases with this in their name.")
@click.option("--dtype", type=click.Choice(DTYPES), help="[default: both]")
def check(families: tuple[str, ...], algorithm: str | None, match: str, dtype: str | None) -> int:
    """Run the kernels of FAMILY (all if none is named) and look at every access to memory.

    Every case of a family's table runs on the CPU, checked: races, missing and divergent barriers,
    accesses out of bounds or not aligned, shared memory that nobody has written, missing waits for
    asynchronous copies, lanes missing in warp operations. Then three orders of threads must give
    the same bits. Findings name the kernel's file and line; the exit code is 1 if there are any.

    The kernels run in a process of their own, which a kernel that destroys it does not take along.
    """
    for family in families:
        if family not in kernels.FAMILIES:
            raise Sentence(
                f"cuda check: no family {family!r}; there are {', '.join(kernels.FAMILIES)}."
            )
    reason = kernels.unavailable("cuda-host")
    if reason:
        raise Sentence(f"cuda check: {reason}")
    dtypes = DTYPES if dtype is None else (dtype,)
    jobs = list(_jobs(families or kernels.FAMILIES, algorithm, match, dtypes))
    if not jobs:
        raise Sentence("cuda check: no case is called so, or there is no such algorithm.")
    return _supervise(jobs)


class Job(NamedTuple):
    """One case of one family in one dtype."""

    family: str
    algorithm: str
    case: str
    dtype: str


def _jobs(
    families: Sequence[str], algorithm: str | None, match: str, dtypes: Sequence[str]
) -> Iterator[Job]:
    for family in families:
        names = [n for n in kernels.algorithms(family, "cuda-host") if n != "auto"] or ["auto"]
        if family == "matmul":
            names.append("tf32")  # chosen by a switch, not by name
        for name in names:
            if algorithm in (None, name):
                for case in passes.cases(family):
                    if match in case.name:
                        yield from (Job(family, name, case.name, dtype) for dtype in dtypes)


def _run(job: Job) -> str | None:
    """What is wrong with a case, or None."""
    case = next(c for c in passes.cases(job.family) if c.name == job.case)
    by_name = job.algorithm in kernels.algorithms(job.family, "cuda-host")
    with (
        kernels.use("cuda-host", **{job.family: job.algorithm} if by_name else {}) as backend,
        _tf32(job.family, job.algorithm == "tf32"),
    ):
        functions = getattr(backend, job.family)

        def results(**how: Any) -> dict[str, np.ndarray]:
            with cuda_host.settings(**how):
                return passes.passes(job.family, functions, case, job.dtype)

        try:
            results(mode="check")
            first, *others = (results(order=order) for order in ORDERS)
        except cuda_host.CudaHostError as error:
            return str(error)
    for other in others:
        for name, array in first.items():
            if array.tobytes() != other[name].tobytes():
                return f"{name} depends on the order in which threads run."
    return None


@contextmanager
def _tf32(family: str, wanted: bool) -> Iterator[None]:
    """Within the `with` block the family multiplies on the tensor cores, if that is wanted."""
    before = dict(precision.tf32)
    precision.tf32[family] = wanted
    try:
        yield
    finally:
        precision.tf32.clear()
        precision.tf32.update(before)


def work() -> None:
    """Run the jobs that come as JSON lines; answer each with a line, a finding or null."""
    for line in sys.stdin:
        print(json.dumps(_run(Job(*json.loads(line)))), flush=True)


def _supervise(jobs: Sequence[Job]) -> int:
    """Run the jobs in another process and print what it finds."""
    started, done, findings = time.perf_counter(), 0, 0
    program = "from tinynet.cli.cuda import work; work()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for job in jobs:
            try:
                process.stdin.write(json.dumps(job) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                break
            line = process.stdout.readline()
            if not line:
                break
            done += 1
            found = json.loads(line)
            if found is not None:
                findings += 1
                click.echo(f"{job.family} {job.algorithm}, {job.case!r}, {job.dtype}: {found}")
    if done < len(jobs):
        job = jobs[done]
        findings += 1
        click.echo(
            f"{job.family} {job.algorithm}, {job.case!r}, {job.dtype}: the process ended with code "
            f"{process.returncode}."
        )
    click.echo(
        f"{done} of {len(jobs)} cases checked, {findings} findings, "
        f"{time.perf_counter() - started:.0f} s"
    )
    return 1 if findings else 0


@cuda.command("compile")
def compile_kernels() -> int:
    """Compile every kernel for every architecture; print registers, fail if one spills."""
    from ..kernels import compile_check

    return compile_check.main()
