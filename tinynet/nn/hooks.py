"""Backward hooks of modules: two identities, before and after `forward`, see the gradients pass."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..autograd.function import Function
from ..tensor import RemovableHandle, Tensor

if TYPE_CHECKING:
    from .module import Module


# Hooks on the calls of every module: key -> (kind, hook, with_kwargs, always_call).
everywhere: OrderedDict[int, tuple[str, Any, bool, bool]] = OrderedDict()


def of_kind(kind: str) -> list[Any]:
    """The hooks of every module of this kind."""
    return [hook for of, hook, *_ in everywhere.values() if of == kind]


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call hook(module, args) before every module's `forward`."""
    return RemovableHandle(everywhere, ("forward_pre", hook, False, False))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call hook(module, args, output) after every module's `forward`."""
    return RemovableHandle(everywhere, ("forward", hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call hook(module, grad_output) when the gradients of any module's outputs are known."""
    return RemovableHandle(everywhere, ("backward_pre", hook, False, False))


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call hook(module, grad_input, grad_output) when those of any module's inputs are known."""
    return RemovableHandle(everywhere, ("backward", hook, False, False))


register_module_backward_hook = register_module_full_backward_hook


class _Call:
    """One call of a module: collects the gradients of its outputs, then of its inputs."""

    def __init__(self, module: Module, inputs: list[Any]) -> None:
        self.module = module
        self.inputs = inputs
        self.waits_for_inputs = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        self.grad_output: tuple[Any, ...] = ()

    def outputs_arrived(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        hooks = [*of_kind("backward_pre"), *self.module._backward_pre_hooks.values()]
        for hook in hooks:
            gradients = _replaced(hook(self.module, gradients), gradients)
        self.grad_output = gradients
        if not self.waits_for_inputs:
            self.inputs_arrived((None,) * len(self.inputs))
        return gradients

    def inputs_arrived(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in [*of_kind("backward"), *self.module._backward_hooks.values()]:
            gradients = _replaced(hook(self.module, gradients, self.grad_output), gradients)
        return gradients


def _replaced(answer: Any, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a hook returned, if it returned something, as a tuple of the right length."""
    if answer is None:
        return gradients
    answer = answer if isinstance(answer, tuple) else (answer,)
    if len(answer) != len(gradients):
        raise RuntimeError(
            f"Backward hook returned an invalid number of grad_input, got {len(answer)}, but "
            f"expected {len(gradients)}"
        )
    return answer


class _Inputs(Function):
    """The identity on a module's tensor inputs."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *inputs: Any) -> Any:
        ctx.set_materialize_grads(False)
        ctx.call = call
        return inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None, *ctx.call.inputs_arrived(gradients))


class _Outputs(Function):
    """The identity on a module's tensor outputs."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *outputs: Any) -> Any:
        ctx.set_materialize_grads(False)
        ctx.call = call
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None, *ctx.call.outputs_arrived(gradients))


def call_with_backward_hooks(module: Module, args: tuple[Any, ...], kwargs: Any) -> Any:
    """module.forward(*args, **kwargs) with its backward hooks in place."""
    call = _Call(module, list(args))
    if call.waits_for_inputs:
        args = _Inputs.apply(call, *args)
    result = module.forward(*args, **kwargs)
    outputs = result if isinstance(result, tuple) else (result,)
    if any(isinstance(y, Tensor) and y.requires_grad for y in outputs):
        outputs = _Outputs.apply(call, *outputs)
    return outputs if isinstance(result, tuple) else outputs[0]
