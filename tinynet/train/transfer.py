"""Transfer learning: start from a trained network, keep what it has learnt to see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .config import UserError


def start_from(model: Any, state: dict[str, Any]) -> list[str]:
    """Give the network the tensors of a state dict whose names and shapes agree with its own.

    Returns the names of those that do not agree and start anew: the head, if there are other
    classes. Raises UserError if none agree.
    """
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in state.items()
        if name in own and own[name].shape == tensor.shape
    }
    if not fitting:
        raise UserError("None of the weights to start from fit into the network.")
    model.load_state_dict({**own, **fitting})
    return [name for name in own if name not in fitting]


def freeze(model: Any, parts: Iterable[str]) -> int:
    """Stop training the parts of a network (such as "features"); returns how many parameters stay.

    No gradient is computed for them, and where nothing before them is trained, nothing is
    remembered. `train_batches` keeps them in evaluation mode.
    Raises UserError if a part has no parameters, or nothing is left to train.
    """
    for part in parts:
        inside = [
            parameter
            for name, parameter in model.named_parameters()
            if name == part or name.startswith(f"{part}.")
        ]
        if not inside:
            names = dict.fromkeys(name.partition(".")[0] for name, _ in model.named_parameters())
            raise UserError(
                f"The network has no part {part!r} that could be frozen; it has {', '.join(names)}."
            )
        for parameter in inside:
            parameter.requires_grad_(False)
    frozen = [p for p in model.parameters() if not p.requires_grad]
    if len(frozen) == len(list(model.parameters())):
        raise UserError("All of the network is frozen: there is nothing left to train.")
    return sum(p.numel() for p in frozen)
