"""The parameters of a whole network as one long vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...ops import shape
from ...tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters as one vector (recorded: gradients flow back to the parameters)."""
    return shape.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the pieces of one vector into the parameters, in order."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected tinynet.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        stop = start + p.numel()
        p.data = vec[start:stop].reshape(p.shape).detach()
        start = stop
