"""Running a network to look into it, and leaving it as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import nn
from ..autograd import is_grad_enabled
from ..ops import creation
from ..random import default_generator
from ..tensor import Tensor


@contextlib.contextmanager
def undisturbed(model: nn.Module, *, evaluate: bool = True) -> Iterator[None]:
    """Put back afterwards what running the network changes, whatever happens meanwhile.

    That is: the mode of each module, buffers such as running means, and the random stream.
    evaluate: evaluation mode meanwhile, instead of the mode that the network is in.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.array.copy()) for buffer in model.buffers()]
    stream = default_generator.get_state()
    try:
        if evaluate:
            model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training
        for buffer, before in buffers:
            buffer.array[...] = before
        default_generator.set_state(stream)


@contextlib.contextmanager
def outputs_of(model: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Fill a dict with the outputs of the layers of these names (last call) while inside.

    What follows gets a copy of an output: a ReLU in place would change the one that is kept.
    Where gradients are recorded, an output can be differentiated by even if all before is frozen.
    Raises ValueError for a name that there is not.
    """
    kept: dict[str, Tensor] = {}
    handles = []

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            if isinstance(output, Tensor):
                if is_grad_enabled() and not output.requires_grad:
                    output = output.detach().requires_grad_()
                kept[name] = output
                return output.clone()
            return None

        return hook

    modules = dict(model.named_modules())
    try:
        for name in layers:
            if name not in modules:
                raise ValueError(
                    f"There is no layer {name!r} in the network; there are "
                    f"{', '.join(n for n in modules if n)}."
                )
            handles.append(modules[name].register_forward_hook(keep(name)))
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def one_image(model: nn.Module, image: Any) -> Tensor:
    """(1, C, H, W) of an image (C, H, W) or (1, C, H, W), detached, where the parameters are."""
    x = image.detach() if isinstance(image, Tensor) else creation.tensor(image)
    x = x[None] if x.ndim == 3 else x
    if x.ndim != 4 or len(x) != 1:
        raise ValueError(f"One image is (C, H, W) or (1, C, H, W), not {tuple(x.shape)}.")
    where = next(iter(model.parameters()), None)
    return x if where is None else x.to(device=where.device, dtype=where.dtype)


def class_of(scores: Tensor, target: int | None) -> int:
    """The class that is asked for, or else the one with the highest score; scores are (1, K)."""
    if scores.ndim != 2 or len(scores) != 1:
        raise ValueError(f"The network must give scores (1, K), not {tuple(scores.shape)}.")
    if target is None:
        return int(scores.argmax(dim=1).item())
    if not 0 <= target < scores.shape[1]:
        raise ValueError(f"The network knows classes 0 to {scores.shape[1] - 1}, not {target}.")
    return target


def host_array(tensor: Tensor) -> np.ndarray:
    """A copy of the numbers, in NumPy."""
    return np.array(tensor.detach().cpu().numpy())
