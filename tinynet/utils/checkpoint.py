"""Less memory for more time: a part of the network is computed again when backward needs it.

Source: Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd import Function, backward, enable_grad, no_grad
from ..autograd.mode import mode
from ..random import default_generator
from ..tensor import Tensor


class _Checkpointed(Function):
    """Runs a function unrecorded, and once more, recorded, when its gradients are asked for."""

    @staticmethod
    def forward(ctx: Any, function: Any, keep_random: bool, anchor: Any, *args: Any) -> Any:
        ctx.function, ctx.args = function, args
        ctx.random = default_generator.get_state() if keep_random else None
        with no_grad():
            return function(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        if mode.enabled:
            raise RuntimeError(
                "checkpoint: a gradient of a gradient cannot be taken through a checkpoint; call "
                "the function directly."
            )
        now = default_generator.get_state()
        if ctx.random is not None:
            default_generator.set_state(ctx.random)
        inputs = [
            a.detach().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a
            for a in ctx.args
        ]
        with enable_grad():
            outputs = ctx.function(*inputs)
        if ctx.random is not None:
            default_generator.set_state(now)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [
            (y, dy)
            for y, dy in zip(outputs, gradients)
            if isinstance(y, Tensor) and y.requires_grad and dy is not None
        ]
        backward([y for y, _ in pairs], [dy for _, dy in pairs])
        given = [a.grad if isinstance(a, Tensor) else None for a in inputs]
        return (None, None, None, *given)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which backward remembers only the arguments.

    What happens inside is computed again in backward, with the same random numbers if
    preserve_rng_state. use_reentrant: accepted; there is one way of doing it here.
    """
    anchor = Tensor(0).requires_grad_()  # so that it is recorded for the sake of parameters, too
    run = (lambda *inputs: function(*inputs, **kwargs)) if kwargs else function
    if not mode.enabled:
        return run(*args)
    return _Checkpointed.apply(run, preserve_rng_state, anchor, *args)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """A Sequential in segments, of which all but the last are checkpoints."""
    layers: Sequence[Any] = list(functions)
    size = len(layers) // segments
    x = input
    for i in range(segments):
        part = layers[i * size : (i + 1) * size if i < segments - 1 else None]
        run = _chained(part)
        last = i == segments - 1
        x = run(x) if last else checkpoint(run, x, preserve_rng_state=preserve_rng_state)
    return x


def _chained(layers: Sequence[Any]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return run
