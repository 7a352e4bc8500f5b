"""Gradients of a whole network taken together: their norm, and clipping."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import tinynet.kernels as kernels

from ...autograd.mode import no_grad
from ...autograd.tape import wrap
from ...device import xp_of
from ...ops import creation, shape
from ...tensor import Tensor


def _listed(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors' elements together, as if they were one vector."""
    norm_type = float(norm_type)
    listed = _listed(tensors)
    if not listed:
        return creation.tensor(0.0)
    arrays = [t.array for t in listed]
    if norm_type == 2 and {a.dtype.char for a in arrays} in ({"f"}, {"d"}):  # as kernels take them
        norm = kernels.of(*arrays).optimizer.norm(arrays)
        total = wrap(xp_of(arrays[0]).asarray(norm, arrays[0].dtype))
    else:
        with no_grad():
            norms = [t.norm(norm_type) for t in listed]
            total = shape.stack([n.to(norms[0].dtype) for n in norms]).norm(norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor so that their total norm is at most max_norm.

    Returns the norm before.  Pascanu et al. 2013.
    """
    parameters = _listed(parameters)  # an iterator gives them once only
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients by max_norm / total_norm if that is below 1."""
    gradients = [p.grad for p in _listed(parameters) if p.grad is not None]
    if not gradients:
        return
    total = total_norm
    with no_grad():
        factor = (float(max_norm) / (total + 1e-6)).clamp(max=1.0)
        # To ask whether there is anything to do would wait for a GPU. NaN goes into the gradients,
        # as in PyTorch.
        if factor.is_cuda or factor.item() != 1:
            for gradient in gradients:
                gradient.mul_(factor.to(gradient.device))


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Cut every element of every gradient to [-clip_value, clip_value]."""
    limit = float(clip_value)
    with no_grad():
        for p in _listed(parameters):
            if p.grad is not None:
                p.grad.clamp_(-limit, limit)
