"""Dropout (Srivastava et al. 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tinynet.kernels as kernels

from ..autograd import layout
from ..autograd.tape import elementwise

if TYPE_CHECKING:
    from ..tensor import Tensor


@elementwise
def dropout(x: Tensor, *, p: float, key: int) -> Any:
    """y = x * keep / (1 - p), where keep is 0 with probability p.

    `keep` is a function of the 64-bit `key` and of the position alone, the same on every
    backend. So backward draws it again instead of remembering it; the map is its own adjoint.
    """
    y = kernels.of(x.array).dropout.apply(x.array, p=p, key=key)
    return layout.kept(y, x), (lambda dy: dropout(dy, p=p, key=key),)
