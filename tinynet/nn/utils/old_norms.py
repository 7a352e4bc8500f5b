"""`weight_norm` and `spectral_norm` as programs from before parametrisations use them.

The weight is computed by a hook before each forward pass; the trained tensors stand beside it in
the module, as weight_g and weight_v, or weight_orig.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from ...tensor import Tensor
from .. import functional as F
from ..module import Module
from ..parameter import Parameter
from .parametrizations import as_matrix, norm_except_dim, power_iterations

T = TypeVar("T", bound=Module)


class WeightNorm:
    """The hook that makes weight = g * v / |v|."""

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight of the present g and v."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: T, name: str = "weight", dim: int | None = 0) -> T:
    """Train a weight's length and direction apart, as parameters <name>_g and <name>_v."""
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    if any(isinstance(h, WeightNorm) and h.name == name for h in _pre_hooks(module)):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, -1 if dim is None else dim)
    weight = getattr(module, name)
    del module._parameters[name]
    length = norm_except_dim(weight.detach(), hook.dim)
    module.register_parameter(name + "_g", Parameter(length))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: T, name: str = "weight") -> T:
    """Make the weight a plain parameter again."""
    hook = _removed(module, name, WeightNorm, "weight_norm")
    weight = hook.compute_weight(module)
    delattr(module, name)
    del module._parameters[name + "_g"], module._parameters[name + "_v"]
    setattr(module, name, Parameter(weight.detach()))
    return module


class SpectralNorm:
    """The hook that divides a weight by its largest singular value."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight of the present original, after power iterations if they are wanted."""
        original = getattr(module, self.name + "_orig")
        matrix = as_matrix(original, self.dim)
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        if do_power_iteration:
            # first v, then u: by the transposed matrix, with the two exchanged
            v, u = power_iterations(matrix.t(), v, u, self.n_power_iterations, self.eps)
            setattr(module, self.name + "_u", u)
            setattr(module, self.name + "_v", v)
        return original / u.dot(matrix.mv(v))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: T,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> T:
    """Divide a weight by its largest singular value; <name>_orig is trained."""
    if any(isinstance(h, SpectralNorm) and h.name == name for h in _pre_hooks(module)):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    hook = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    rows, columns = as_matrix(weight.detach(), dim).shape
    u = F.normalize(weight.new_empty((rows,)).normal_(0, 1), dim=0, eps=eps)
    v = F.normalize(weight.new_empty((columns,)).normal_(0, 1), dim=0, eps=eps)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: T, name: str = "weight") -> T:
    """Make the weight a plain parameter again."""
    hook = _removed(module, name, SpectralNorm, "spectral_norm")
    weight = hook.compute_weight(module, False)
    delattr(module, name)
    for suffix in ("_orig", "_u", "_v"):
        delattr(module, name + suffix)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


def _pre_hooks(module: Module) -> list[Any]:
    return [hook for hook, _ in module._forward_pre_hooks.values()]


def _removed(module: Module, name: str, kind: type, what: str) -> Any:
    """Take the hook of this tensor away and return it."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            del module._forward_pre_hooks[key]
            return hook
    raise ValueError(f"{what} of '{name}' not found in {module}")
