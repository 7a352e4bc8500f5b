"""tinynet on a GPU. Needs CuPy and NumPy; no Numba."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
import tinynet.kernels as kernels

from ...device import to_numpy, why_no_cuda
from .. import programs
from ..device_clock import elapsed, sampled
from ..families import arrays_of, calls
from ..networks import network
from ..verify import digests, training_answers

Timed = tuple[Callable[[], Any], dict[str, Any]]


def start(threads: int) -> dict[str, str]:
    reason = why_no_cuda()
    if reason is not None:
        raise ImportError(reason)
    import cupy

    return {
        "tinynet": tn.__version__,
        "cupy": cupy.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def gpu() -> dict[str, Any]:
    """What GPU it is, and the CUDA that is used."""
    import cupy

    found = tn.cuda.get_device_properties()
    runtime = cupy.cuda.runtime
    return {
        "gpu": found.name,
        "compute capability": f"{found.major}.{found.minor}",
        "gpu memory": found.total_memory,
        "multiprocessors": found.multi_processor_count,
        "CUDA": _version(runtime.runtimeGetVersion()),
        "driver's CUDA": _version(runtime.driverGetVersion()),
        "NVRTC": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
    }


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def tf32(allowed: bool) -> None:
    """Whether convolutions and matrix products may round to TF32, from now on."""
    tn.backends.cudnn.allow_tf32 = tn.backends.cuda.matmul.allow_tf32 = allowed


def measured(run: Callable[[], Any], count: int) -> float:
    """Seconds of so many calls, by the GPU's clock."""
    return elapsed(tn.cuda, run, count)


def _first(run: Callable[[], Any]) -> tuple[Any, float]:
    """What the first call gives, and the seconds it took more than the second: compilation."""
    seconds = []
    for _ in range(2):
        tn.cuda.synchronize()
        begin = time.perf_counter()
        value = run()
        tn.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return value, max(0.0, seconds[0] - seconds[1])


def _channels_last(net: Any, x: Any) -> tuple[Any, Any]:
    layout = tn.channels_last
    return net.to(memory_format=layout), x.contiguous(memory_format=layout)


# name: keywords of the program
SETTINGS: dict[str, dict[str, Any]] = {
    "": {},
    "channels_last": {"prepare": _channels_last},
    "graph": {"graph": True},
}


def training(task: dict[str, Any]) -> Timed:
    setting = SETTINGS[task["setting"]]
    one = programs.Training(tn, network(task["model"]), task["batch"], device="cuda", **setting)
    answers = training_answers(*one.answers(task["steps"]))
    return one.step, answers | {"first": max(0.0, one.seconds[0] - min(one.seconds[1:]))}


def inference(task: dict[str, Any]) -> Timed:
    setting = SETTINGS[task["setting"]]
    run = programs.inference(tn, network(task["model"]), task["batch"], device="cuda", **setting)
    value, first = _first(run)
    return run, digests(sampled(value).cpu().numpy()) | {"first": first}


def kernel(task: dict[str, Any]) -> Timed:
    """task: family, case, times, function, dtype, algorithm."""
    import cupy

    def move(array: Any, n: int) -> Any:
        moved = cupy.asarray(array)
        return moved if n == 1 else cupy.concatenate([moved] * n)

    family, case, dtype, times = (task[name] for name in ("family", "case", "dtype", "times"))
    arrays = arrays_of(family, case, dtype, move, times)
    with kernels.use("cuda", **{family: task["algorithm"]}) as backend:
        pass
    call = calls(family, case, dtype, times=times, arrays=arrays)[task["function"]]
    value, first = _first(lambda: call(backend))
    results = value if isinstance(value, tuple) else (value,)
    # A step in place gives nothing: the tests compare those.
    found = [None if a is None else to_numpy(sampled(a)) for a in results]
    return (lambda: call(backend)), digests(*found) | {"first": first}


def gemm(dtype: str, size: int = 8192) -> float:
    """Float operations per second of our matrix product."""
    import cupy

    a, b = (cupy.full((size, size), 0.5, dtype) for _ in range(2))
    product = kernels.of(a).matmul.matmul
    return 2 * size**3 / best(lambda: product(a, b))


def copy(size: int = 2**30) -> float:
    """Bytes per second, read and written, of copying memory on the GPU."""
    import cupy

    source, target = cupy.ones(size // 4, np.float32), cupy.empty(size // 4, np.float32)
    return 2 * source.nbytes / best(lambda: cupy.copyto(target, source))


def best(run: Callable[[], Any], rounds: int = 5, count: int = 5) -> float:
    """Seconds of a call, the best of some rounds."""
    return min(measured(run, count) for _ in range(rounds)) / count
