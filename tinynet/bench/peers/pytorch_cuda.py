"""PyTorch on a GPU: cuDNN and cuBLAS, as installed and with the settings that make it faster."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from .. import programs
from ..device_clock import elapsed, sampled
from ..families import arrays_of, case_of
from ..networks import network
from ..verify import digests, training_answers
from .pytorch import _channels_last, _convolution

Timed = tuple[Callable[[], Any], dict[str, Any]]

DEVICE = "cuda"


def start(threads: int) -> dict[str, str]:
    if not torch.cuda.is_available():
        raise ImportError(f"PyTorch {torch.__version__} finds no GPU it can use")
    return {"torch": torch.__version__, "cuDNN": str(torch.backends.cudnn.version())}


def tf32(allowed: bool) -> None:
    """Whether convolutions and matrix products may round to TF32, from now on."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def measured(run: Callable[[], Any], count: int) -> float:
    """Seconds of so many calls, by the GPU's clock."""
    return elapsed(torch.cuda, run, count)


# name: keywords of the program, and whether cuDNN tries its algorithms before it takes one
SETTINGS: dict[str, tuple[dict[str, Any], bool]] = {
    "": ({}, False),
    "channels_last": ({"prepare": _channels_last}, False),
    "channels_last, tuned": ({"prepare": _channels_last}, True),
    "tuned": ({}, True),
    "graph": ({"graph": True}, True),
}


def _tuned(run: Callable[[], Any], wanted: bool) -> Callable[[], Any]:
    def tuned() -> Any:
        torch.backends.cudnn.benchmark = wanted
        return run()

    return tuned


def training(task: dict[str, Any]) -> Timed:
    setting, torch.backends.cudnn.benchmark = SETTINGS[task["setting"]]
    if task["setting"].endswith("tuned"):
        setting = setting | {"fused": True}
    one = programs.Training(torch, network(task["model"]), task["batch"], device=DEVICE, **setting)
    answers = training_answers(*one.answers(task["steps"]))
    run = _tuned(one.step, torch.backends.cudnn.benchmark)
    return run, answers | {"first": max(0.0, one.seconds[0] - min(one.seconds[1:]))}


def inference(task: dict[str, Any]) -> Timed:
    setting, torch.backends.cudnn.benchmark = SETTINGS[task["setting"]]
    net = network(task["model"])
    run = programs.inference(torch, net, task["batch"], device=DEVICE, **setting)
    return _tuned(run, torch.backends.cudnn.benchmark), digests(sampled(run()).cpu().numpy())


def kernel(task: dict[str, Any]) -> Timed:
    """The convolutions and matrix products; `algorithm` may be channels_last."""
    family, name, times = task["family"], task["case"], task["times"]
    last = task["algorithm"] == "channels_last"

    def move(array: Any, n: int) -> Any:
        moved = torch.from_numpy(array).to(DEVICE)
        moved = moved.repeat(n, *[1] * (moved.ndim - 1)) if n > 1 else moved
        return (
            moved.contiguous(memory_format=torch.channels_last)
            if last and moved.ndim == 4
            else moved
        )

    given = partial(arrays_of, family, name, task["dtype"], move, times)
    if family == "matmul":
        run = partial(torch.matmul, *given())
    elif family == "conv2d":
        run = partial(_convolution, task["function"], case_of(family, name, times), *given())
    else:
        raise NotImplementedError("convolutions and matrix products are compared")
    torch.backends.cudnn.benchmark = True

    def timed() -> Any:
        with torch.no_grad():
            return run()

    return _tuned(timed, True), digests(sampled(timed()).cpu().numpy())


def gemm(dtype: str, size: int = 8192) -> float:
    """Float operations per second of the matrix product."""
    a, b = torch.full((2, size, size), 0.5, dtype=getattr(torch, dtype), device=DEVICE)
    seconds = min(measured(partial(torch.mm, a, b), 5) for _ in range(5)) / 5
    return 2 * size**3 / seconds
