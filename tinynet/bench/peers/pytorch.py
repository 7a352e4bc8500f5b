"""PyTorch, as installed and with every setting that is said to make it faster."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from .. import programs
from ..families import case_of
from ..machine import gemm_ceiling
from ..networks import network
from ..verify import digests, training_answers


def start(threads: int) -> dict[str, str]:
    torch.set_num_threads(threads)
    return {"torch": torch.__version__}


def _channels_last(net: Any, x: Any) -> tuple[Any, Any]:
    layout = torch.channels_last
    return net.to(memory_format=layout), x.contiguous(memory_format=layout)


def _compiled(net: Any, x: Any) -> tuple[Any, Any]:
    return torch.compile(net), x


def _compiled_channels_last(net: Any, x: Any) -> tuple[Any, Any]:
    return _compiled(*_channels_last(net, x))


def _frozen(net: Any, x: Any) -> tuple[Any, Any]:
    """Traced, with the weights as constants in the layout that oneDNN likes best."""
    with torch.no_grad():
        traced = torch.jit.freeze(torch.jit.trace(net, x))
        return torch.jit.optimize_for_inference(traced), x


def _mkldnn(net: Any, x: Any) -> tuple[Any, Any]:
    from torch.utils import mkldnn

    converted, images = mkldnn.to_mkldnn(net), x.to_mkldnn()
    return (lambda images: converted(images).to_dense()), images


# name: keywords of the program
TRAINING: dict[str, dict[str, Any]] = {
    "": {},
    "fused": {"fused": True},
    "channels_last": {"prepare": _channels_last},
    "channels_last, fused": {"prepare": _channels_last, "fused": True},
    "foreach": {"foreach": True},
    "compiled, fused": {"prepare": _compiled, "fused": True},
    "compiled, channels_last, fused": {"prepare": _compiled_channels_last, "fused": True},
}
INFERENCE: dict[str, dict[str, Any]] = {
    "": {},
    "inference_mode": {"mode": torch.inference_mode},
    "channels_last": {"prepare": _channels_last, "mode": torch.inference_mode},
    "mkldnn": {"prepare": _mkldnn, "mode": torch.inference_mode},
    "frozen": {"prepare": _frozen, "mode": torch.inference_mode},
    "compiled": {"prepare": _compiled, "mode": torch.inference_mode},
}


def training(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    setting = TRAINING[task.get("setting", "")]
    one = programs.Training(torch, network(task["model"]), task["batch"], **setting)
    found = one.answers(task["steps"], task.get("limit"))
    return one.step, training_answers(*found, seconds=min(one.seconds))


def inference(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    setting = INFERENCE[task.get("setting", "")]
    run = programs.inference(torch, network(task["model"]), task["batch"], **setting)
    return run, digests(run().numpy())


def operation(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    run = programs.chain(torch, task["operation"], task["backward"], task["length"])
    value, dx = run()
    return run, digests(value.numpy(), None if dx is None else dx.numpy())


def kernel(task: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    """The convolutions and matrix products; `algorithm` may be channels_last."""
    case = case_of(task["family"], task["case"])
    given: list[Any] = [a if a is None else torch.from_numpy(a) for a in case.arrays(task["dtype"])]
    if task["family"] == "matmul":
        run = partial(torch.matmul, *given)
    elif task["family"] == "conv2d":
        if task.get("algorithm") == "channels_last":
            given = [
                a.contiguous(memory_format=torch.channels_last)
                if a is not None and a.ndim == 4
                else a
                for a in given
            ]
        run = partial(_convolution, task["function"], case, *given)
    else:
        raise NotImplementedError("convolutions and matrix products are compared")
    with torch.no_grad():
        value = run()

    def timed() -> Any:
        with torch.no_grad():
            return run()

    return timed, digests(value.numpy())


def _convolution(function: str, case: Any, x: Any, w: Any, bias: Any, dy: Any) -> Any:
    pair = lambda value: list(value) if isinstance(value, tuple) else [value, value]  # noqa: E731
    stride, padding, dilation = map(pair, (case.stride, case.padding, case.dilation))
    if function == "forward":
        return torch.conv2d(x, w, bias, stride, padding, dilation, case.groups)
    wanted = [function == "grad_input", function == "grad_weight", False]
    found = torch.ops.aten.convolution_backward(
        dy, x, w, None, stride, padding, dilation, False, [0, 0], case.groups, wanted
    )
    return found[0] if function == "grad_input" else found[1]


def gemm(dtype: str) -> float:
    """Float operations per second of the matrix product."""
    a, b = torch.rand(2, 1536, 1536, dtype=getattr(torch, dtype))
    return gemm_ceiling(torch.mm, a, b)
