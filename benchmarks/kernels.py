"""What each kernel takes on the large cases of its table, algorithm by algorithm.

    python benchmarks/kernels.py [FAMILY ...] [--threads N] [--dtype float64] [--rounds 7]

Every result is compared with the reference before it is timed. A row is the best of the rounds in
milliseconds, GFLOP/s by the definition's operations, and GB/s by the memory that must move.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tinynet.kernels as kernels

Call = Callable[[Any], Any]  # takes a backend, gives an array or several


def conv2d(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    x, w, bias, dy = case.arrays(dtype)
    dims = case.dims
    yield "forward", lambda on: on.conv2d.forward(x, w, bias, dims=dims)
    yield "grad_input", lambda on: on.conv2d.grad_input(dy, w, dims=dims)
    yield "grad_weight", lambda on: on.conv2d.grad_weight(dy, x, dims=dims)


def pool2d(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    x, dy = case.arrays(dtype)
    dims = case.dims
    _, index = kernels.of(x).pool2d.max_forward(x, dims=dims)
    yield "max_forward", lambda on: on.pool2d.max_forward(x, dims=dims)
    yield "max_backward", lambda on: on.pool2d.max_backward(dy, index, dims=dims)
    yield "avg_forward", lambda on: on.pool2d.avg_forward(x, dims=dims)
    yield "avg_backward", lambda on: on.pool2d.avg_backward(dy, dims=dims)


def batch_norm(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    x, weight, bias, dy = case.arrays(dtype)
    _, mean, var = kernels.of(x).batch_norm.forward(x, weight, bias, eps=case.eps)
    yield "forward", lambda on: on.batch_norm.forward(x, weight, bias, eps=case.eps)
    yield (
        "backward",
        lambda on: on.batch_norm.backward(dy, x, weight, mean, var, eps=case.eps),
    )


def cross_entropy(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    logits, target, dloss = case.arrays(dtype)
    ignored = {"ignore_index": case.ignore_index}
    _, logsumexp, _ = kernels.of(logits).cross_entropy.forward(logits, target, **ignored)
    inputs = dloss, logits, target, logsumexp
    yield "forward", lambda on: on.cross_entropy.forward(logits, target, **ignored)
    yield "backward", lambda on: on.cross_entropy.backward(*inputs, **ignored)


def dropout(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    (x,) = case.arrays(dtype)
    yield "apply", lambda on: on.dropout.apply(x, p=case.p, key=case.key)


def optimizer(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    arrays = case.arrays(dtype)

    def step(on: Any) -> Any:  # goes on from where the last one stopped; see `agree`
        getattr(on.optimizer, case.step)(*arrays, **case.options)

    yield case.step, step


def matmul(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    a, b = case.arrays(dtype)
    yield "matmul", lambda on: on.matmul.matmul(a, b)


def pointwise(case: Any, dtype: str) -> Iterator[tuple[str, Call]]:
    (x,) = case.arrays(dtype)
    yield "tanh", lambda on: on.pointwise.tanh(x)
    yield "erf", lambda on: on.pointwise.erf(x)


FAMILIES = (conv2d, matmul, pool2d, batch_norm, cross_entropy, dropout, optimizer, pointwise)


def choices(family: str) -> Iterator[Any]:
    """The backends to compare: the reference, and every other algorithm that is not naive."""
    with kernels.use("reference") as reference:
        yield reference
    for algorithm in kernels.ALGORITHMS.get(family, {"auto": ""}):
        if algorithm not in ("naive", "im2col"):
            with kernels.use("cpu", **{family: algorithm}) as backend:
                yield backend


def agree(got: Any, wanted: Any, dtype: str) -> bool:
    """Equal up to rounding, beside each array's largest number. (A step in place gives nothing: the
    tests compare those.)"""
    if wanted is None:
        return got is None
    if not isinstance(wanted, tuple):
        got, wanted = (got,), (wanted,)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    return all(
        np.abs(a - b).max() <= tolerance * np.abs(b).max() for a, b in zip(got, wanted, strict=True)
    )


def best_time(call: Call, backend: Any, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call(backend)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    reason = kernels.unavailable("cpu")
    if reason is not None:
        sys.exit(f"There is nothing to compare: {reason}.")
    import numba

    if options.threads:
        numba.set_num_threads(options.threads)
    print(f"{options.dtype}, {numba.get_num_threads()} threads of Numba, best of {options.rounds}")
    for family in FAMILIES:
        if options.families and family.__name__ not in options.families:
            continue
        cases = importlib.import_module(f"tinynet.kernels.{family.__name__}.cases").CASES
        for case in (case for case in cases if case.size == "large"):
            for name, call in family(case, options.dtype):
                wanted = None
                for backend in choices(family.__name__):
                    got = call(backend)
                    wanted = got if wanted is None else wanted
                    if not agree(got, wanted, options.dtype):
                        sys.exit(f"{family.__name__}.{name} is wrong on {backend}: {case}")
                    seconds = best_time(call, backend, options.rounds)
                    algorithm = backend.algorithms.get(family.__name__, backend.name)
                    print(
                        f"{family.__name__:13} {case.name:18} {name:12} {algorithm:12}"
                        f"{seconds * 1e3:9.3f} ms {case.flops / seconds / 1e9:7.1f} GFLOP/s"
                        f"{case.bytes(options.dtype) / seconds / 1e9:7.1f} GB/s",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
