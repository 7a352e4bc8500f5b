"""The graph that backward walks, with the names of `torch.autograd.graph`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import parity as _parity
from .tape import Node, Output, node_of


class GradientEdge(NamedTuple):
    """Where a gradient goes: to which of a node's outputs."""

    node: Node
    output_nr: int


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """Where this tensor's gradient goes."""
    node = node_of(tensor)
    if node is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    return (
        GradientEdge(node.source, node.index) if isinstance(node, Output) else GradientEdge(node, 0)
    )


class _Handles:
    """Several hooks that are taken away together."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = handles

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[..., None], *, mode: str = "all"
) -> _Handles:
    """Call fn in backward when the gradients of all these tensors are known, or of the first.

    mode: "all" calls fn(gradients), a list with one for each tensor, once all have come; "any"
        calls fn(gradient) with the one that comes first.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    held: dict[int, Any] = {}

    def hook_of(i: int) -> Callable[[Any], None]:
        def hook(gradient: Any) -> None:
            held[i] = gradient
            if mode == "any" and len(held) == 1:
                fn(gradient)
            if len(held) == len(tensors):
                gradients = [held[j] for j in range(len(tensors))]
                held.clear()
                if mode == "all":
                    fn(gradients)

        return hook

    return _Handles([t.register_hook(hook_of(i)) for i, t in enumerate(tensors)])


__getattr__ = _parity.module_getattr(__name__)
