"""Rows of a table by their number, and their sum back into the table: each other's derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.tape import differentiable, wrap
from ..device import xp_of

if TYPE_CHECKING:
    from ..tensor import Tensor


@differentiable
def embedding(table: Tensor, *, rows: Any, share: Any) -> Any:
    """y[i] = table[rows[i]]; the gradient of y[i] counts `share[i]` times in that of its row."""
    count = table.shape[0]
    return table.array[rows], (
        lambda dy: embedding_sum(dy * wrap(share[..., None]), rows=rows, count=count),
    )


@differentiable
def embedding_sum(dy: Tensor, *, rows: Any, count: int) -> Any:
    """table[r] = the sum of dy[i] over all i with rows[i] == r."""
    xp = xp_of(dy.array)
    table = xp.zeros((count, dy.shape[-1]), dy.array.dtype)
    xp.add.at(table, rows.reshape(-1), dy.array.reshape(-1, dy.shape[-1]))
    share = xp.ones(rows.shape, dy.array.dtype)
    return table, (lambda g: embedding(g, rows=rows, share=share),)
