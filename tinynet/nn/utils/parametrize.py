"""Parameters that are functions of others: a weight that is always normalised, symmetric, ...

register_parametrization(layer, "weight", module) keeps the trained tensor in
layer.parametrizations.weight.original, and layer.weight is module(original), computed on each use.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...autograd.mode import no_grad
from ...tensor import Tensor
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

_cache: dict[tuple[int, str], Any] | None = None


@contextmanager
def cached() -> Iterator[None]:
    """Within the block each parametrised tensor is computed once."""
    global _cache
    outer, _cache = _cache, {} if _cache is None else _cache
    try:
        yield
    finally:
        _cache = outer


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, and the original(s) that the first is applied to."""

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        new = original
        with no_grad():
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    new = module.right_inverse(new)
        self.is_tensor = isinstance(new, Tensor)
        trained = isinstance(original, Parameter)
        if self.is_tensor:
            # the optimiser may hold this very tensor
            kept = original if new is original or trained else new.detach()
            if trained and new is not original:
                with no_grad():
                    original.data = new.detach()
            self._keep("original", kept, trained)
        else:
            self.ntensors = len(new)
            for i, part in enumerate(new):
                self._keep(f"original{i}", part.detach(), trained)

    def _keep(self, name: str, value: Tensor, trained: bool) -> None:
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
        elif trained:
            self.register_parameter(name, Parameter(value))
        else:
            self.register_buffer(name, value)

    def originals(self) -> tuple[Tensor, ...]:
        """What the first parametrisation is applied to."""
        if self.is_tensor:
            return (self.original,)
        return tuple(getattr(self, f"original{i}") for i in range(self.ntensors))

    def right_inverse(self, value: Tensor) -> None:
        """Set the original(s) so that the parametrised tensor is `value`."""
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                new = module.right_inverse(new)
            parts = (new,) if self.is_tensor else new
            for original, part in zip(self.originals(), parts, strict=True):
                original.copy_(part)

    def forward(self) -> Tensor:
        """The parametrised tensor."""
        x = self[0](*self.originals())
        for module in list(self)[1:]:
            x = module(x)
        return x


def _property(name: str) -> property:
    def get(self: Module) -> Tensor:
        parametrization = self.parametrizations[name]
        if _cache is None:
            return parametrization()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = parametrization()
        return _cache[key]

    def put(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _deepcopy(self: Module, memo: dict[int, Any]) -> Module:
    """A copy has a class of its own, so that removing a parametrisation there leaves this one."""
    twin = self.__new__(type(self))
    memo[id(self)] = twin
    twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
    cls = type(self)
    twin.__class__ = type(cls.__name__, cls.__bases__, dict(cls.__dict__))
    return twin


def _with_own_class(module: Module) -> None:
    """Give the module a class of its own, in which properties can be put."""
    cls = type(module)
    name = f"Parametrized{cls.__name__}"
    module.__class__ = type(name, (cls,), {"__deepcopy__": _deepcopy, "__module__": cls.__module__})
    module.parametrizations = ModuleDict()


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """True if the module has parametrisations (of this tensor)."""
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return tensor_name in found if tensor_name is not None else len(found) > 0


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Make module.<tensor_name> a function of what it was: parametrization(original).

    A `right_inverse` of the parametrisation says what the original is for a value that is assigned,
    the present one first. unsafe: do not check that shape and dtype stay.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        listed: Any = module.parametrizations[tensor_name]
        if not unsafe:
            before = getattr(module, tensor_name)
            _check_same(tensor_name, before, parametrization(before))
        if hasattr(parametrization, "right_inverse"):
            value = getattr(module, tensor_name).detach()
            listed.append(parametrization)
            listed.right_inverse(value)
        else:
            listed.append(parametrization)
        listed.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    original = getattr(module, tensor_name)
    before = original.detach().clone()
    listed = ParametrizationList([parametrization], original, unsafe=unsafe)
    if not unsafe:
        _check_same(tensor_name, before, listed().detach())
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _with_own_class(module)
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = listed
    return module


def _check_same(name: str, before: Tensor, after: Any) -> None:
    if not isinstance(after, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
    for what, a, b in (
        ("dtype", before.dtype, after.dtype),
        ("shape", before.shape, after.shape),
    ):
        if a != b:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                f"the `unsafe` flag is enabled.\nmodule.{name}.{what}: {a}\n"
                f"parametrization(module.{name}).{what}: {b}"
            )


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make module.<tensor_name> a plain tensor again: its present value, or the original."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    listed: Any = module.parametrizations[tensor_name]
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach()
    elif not listed.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    originals = listed.originals()
    kept = originals[0]
    if leave_parametrized:
        if listed.is_tensor:
            with no_grad():
                kept.data = value  # the optimiser may hold this very tensor
        else:
            trained = any(isinstance(o, Parameter) for o in originals)
            kept = Parameter(value) if trained else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(kept, Parameter):
        module.register_parameter(tensor_name, kept)
    else:
        module.register_buffer(tensor_name, kept)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before it was parametrised."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Copy the parametrisations of one module, or of one of its tensors, to another."""
    if not is_parametrized(from_module):
        return to_module
    names = [tensor_name] if tensor_name else list(from_module.parametrizations.keys())
    for name in names:
        listed: Any = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in listed:
            register_parametrization(to_module, name, copy.deepcopy(parametrization), unsafe=True)
        target: Any = to_module.parametrizations[name]
        with no_grad():
            for mine, theirs in zip(target.originals(), listed.originals(), strict=True):
                mine.copy_(theirs)
    return to_module
