"""Embeddings: rows of a trained table, looked up by number."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ...autograd import tape
from ...autograd.mode import no_grad
from ...autograd.tape import wrap
from ...device import xp_of
from ...kernels.errors import ShapeError
from ...ops import embedding as lookup
from ...ops.creation import zeros
from ...ops.shape import stack
from ...tensor import Tensor


def _checked(name: str, input: Tensor, weight: Tensor, sparse: bool) -> Any:
    """The numbers of the rows, as an array."""
    if sparse:
        raise NotImplementedError(
            f"{name}: sparse=True asks for a sparse gradient, and tinynet's tensors are all dense; "
            "leave it out, the result is the same."
        )
    rows = input.array
    if rows.dtype.name not in ("int64", "int32"):
        raise RuntimeError(
            f"{name}: Expected tensor for argument #1 'indices' to have one of the following "
            f"scalar types: Long, Int; but got {input.type()} instead"
        )
    if weight.ndim != 2:
        raise ShapeError(f"{name}: weight must be (rows, columns), but is {tuple(weight.shape)}")
    count = weight.shape[0]
    if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < count:
        raise IndexError(
            f"{name}: index out of range in self: the table has rows 0 to {count - 1}, but "
            f"{int(rows.max() if int(rows.min()) >= 0 else rows.min())} is asked for"
        )
    return rows


def _counted_row(name: str, padding_idx: int | None, count: int) -> int | None:
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % count


def _renormed(weight: Tensor, rows: Any, max_norm: float, norm_type: float) -> None:
    """Shorten the rows that are asked for and longer than max_norm, in place."""
    xp = xp_of(rows)
    used = xp.unique(rows)
    with no_grad():
        norms = weight[wrap(used)].norm(norm_type, 1, keepdim=True).array
        factor = xp.where(norms > max_norm, max_norm / (norms + 1e-7), 1)
        weight.array[used] *= factor.astype(weight.array.dtype)
        tape.mark_modified(weight, "embedding with max_norm")


def _shares(rows: Any, dtype: Any, padding_idx: int | None, scale_grad_by_freq: bool) -> Any:
    """How much of each gradient counts: none for padding, 1/n for a row that comes n times."""
    xp = xp_of(rows)
    share = xp.ones(rows.shape, dtype)
    if scale_grad_by_freq:
        _, place, counts = xp.unique(rows, return_inverse=True, return_counts=True)
        share /= counts[place].reshape(rows.shape)
    if padding_idx is not None:
        share *= rows != padding_idx
    return share


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """y[...] = weight[input[...]]: input (...) of integers, weight (rows, D), y (..., D).

    The row padding_idx gets no gradient. max_norm: rows that are looked up are first shortened to
    this length, in place. Raises IndexError for a number that is not a row.
    """
    rows = _checked("embedding", input, weight, sparse)
    padding_idx = _counted_row("embedding", padding_idx, weight.shape[0])
    if max_norm is not None:
        _renormed(weight, rows, max_norm, norm_type)
    share = _shares(rows, weight.array.dtype, padding_idx, scale_grad_by_freq)
    return lookup.embedding(weight, rows=rows, share=share)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows in each bag: y (bags, columns).

    input (bags, n), or one line of all bags' rows with the offsets at which they start. Rows
    padding_idx do not count; an empty bag gives 0.
    """
    rows = _checked("embedding_bag", input, weight, sparse)
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}')."
        )
    if rows.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                "of fixed length sequences."
            )
        ends = [i * rows.shape[1] for i in range(rows.shape[0] + 1)]
        rows = rows.reshape(-1)
    elif rows.ndim == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        ends = [int(i) for i in offsets.array]
        if ends and ends[0] != 0:
            raise ValueError(f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch "
                             f"has to start from position 0. However, got {ends[0]}")  # fmt: skip
        ends = ends if include_last_offset else [*ends, len(rows)]
    else:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {rows.ndim}"
        )
    padding_idx = _counted_row("embedding_bag", padding_idx, weight.shape[0])
    if max_norm is not None:
        _renormed(weight, rows, max_norm, norm_type)
    share = _shares(rows, weight.array.dtype, None, scale_grad_by_freq)
    found = lookup.embedding(weight, rows=rows, share=share)
    if per_sample_weights is not None:
        found = found * per_sample_weights.reshape(-1, 1)
    bags = []
    for start, end in pairwise(ends):
        bag = found[start:end]
        if padding_idx is not None:
            bag = bag[wrap(rows[start:end] != padding_idx)]
        if not len(bag):
            bags.append(zeros(weight.shape[1], dtype=weight.dtype, device=weight.device))
        else:
            bags.append(bag.max(0)[0] if mode == "max" else getattr(bag, mode)(0))
    return stack(bags)
