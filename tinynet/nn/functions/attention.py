"""Attention: for each query the mean of the values, weighted by how the keys fit it.

Vaswani et al. 2017.
"""

from __future__ import annotations

import math
from typing import Any

from ...autograd.tape import wrap
from ...device import xp_of
from ...kernels.errors import ShapeError
from ...ops import dropout as dropping
from ...ops.creation import zeros
from ...ops.linalg import linear
from ...ops.shape import cat, pad
from ...ops.softmax import softmax
from ...random import default_generator
from ...tensor import Tensor


def _weights(
    query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """softmax(query @ key.T * scale + mask) over the keys: (..., L, S)."""
    scores = query.matmul(key.transpose(-2, -1)) * (
        1 / math.sqrt(query.shape[-1]) if scale is None else scale
    )
    xp = xp_of(scores.array)
    if is_causal:
        if mask is not None:
            raise RuntimeError(
                "scaled_dot_product_attention: Explicit attn_mask should not be set when "
                "is_causal=True"
            )
        mask = wrap(xp.tril(xp.ones(scores.shape[-2:], bool)))
    if mask is None:
        return softmax(scores, -1)
    if mask.array.dtype.kind != "b":
        return softmax(scores + mask, -1)
    allowed = mask.expand(scores.shape)
    # a query without any key gets 0 from each, not nan
    some = wrap(allowed.array.any(axis=-1, keepdims=True))
    return softmax(scores.where(allowed | ~some, -math.inf), -1) * some


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value, scale 1/sqrt(E) if not given.

    query (..., L, E), key (..., S, E), value (..., S, V) -> (..., L, V). attn_mask: True where a
    key may be seen, or numbers to be added; is_causal: query i sees the keys up to i. enable_gqa:
    several heads of queries share one head of keys and values.
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    weights = _weights(query, key, attn_mask, is_causal, scale)
    if dropout_p > 0:
        weights = dropping.dropout(weights, p=dropout_p, key=default_generator.key())
    return weights.matmul(value)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention in several heads, with its projections: `nn.MultiheadAttention` as a function.

    query (L, N, E), key and value (S, N, E), or without N -> (L, N, E) and the weights (N, L, S),
    of all heads (N, heads, L, S) unless averaged. Masks: True where a key must not be seen, or
    numbers to be added; attn_mask (L, S) or (N * heads, L, S), key_padding_mask (N, S).
    """
    single = query.ndim == 2
    if single:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    L, N, E = query.shape
    if embed_dim_to_check != E:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim_to_check}, but got {E}"
        )
    size = E // num_heads
    if size * num_heads != E:
        raise AssertionError(f"embed_dim {E} not divisible by num_heads {num_heads}")
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if use_separate_proj_weight:
        in_weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        in_weights = in_proj_weight.chunk(3)  # type: ignore[union-attr]
    in_biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (
        linear(x, w, b) for x, w, b in zip((query, key, value), in_weights, in_biases, strict=True)
    )
    mask = _added(attn_mask, q)
    padding = _added(key_padding_mask, q)
    if bias_k is not None and bias_v is not None:
        k = cat([k, bias_k.expand(1, N, E)])
        v = cat([v, bias_v.expand(1, N, E)])
        mask = None if mask is None else pad(mask, (0, 1))
        padding = None if padding is None else pad(padding, (0, 1))

    def heads(x: Tensor) -> Tensor:
        """(S, N, E) -> (N * heads, S, size)."""
        return x.reshape(x.shape[0], N * num_heads, size).transpose(0, 1)

    q = heads(q)
    k = heads(k) if static_k is None else static_k
    v = heads(v) if static_v is None else static_v
    if add_zero_attn:
        nothing = zeros(N * num_heads, 1, size, dtype=k.dtype, device=k.device)
        k, v = cat([k, nothing], 1), cat([v, nothing], 1)
        mask = None if mask is None else pad(mask, (0, 1))
        padding = None if padding is None else pad(padding, (0, 1))
    S = k.shape[1]
    if mask is not None and tuple(mask.shape) not in ((L, S), (N * num_heads, L, S)):
        raise ShapeError(
            f"The shape of the attn_mask is {tuple(mask.shape)}, but should be {(L, S)} or "
            f"{(N * num_heads, L, S)}."
        )
    if padding is not None:
        if tuple(padding.shape) != (N, S):
            raise AssertionError(
                f"expecting key_padding_mask shape of {(N, S)}, but got {tuple(padding.shape)}"
            )
        spread = padding.reshape(N, 1, 1, S).expand(N, num_heads, 1, S).reshape(-1, 1, S)
        mask = spread if mask is None else mask + spread
    weights = _weights(q, k, mask, False, None)
    if training and dropout_p > 0:
        weights = dropping.dropout(weights, p=dropout_p, key=default_generator.key())
    y = weights.matmul(v).transpose(0, 1).reshape(L * N, E)
    y = linear(y, out_proj_weight, out_proj_bias).reshape(L, N, E)
    y = y.squeeze(1) if single else y
    if not need_weights:
        return y, None
    weights = weights.reshape(N, num_heads, L, S)
    weights = weights.mean(1) if average_attn_weights else weights
    return y, weights.squeeze(0) if single else weights


def _added(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """A mask as numbers to be added: -inf where a key must not be seen."""
    if mask is None or mask.array.dtype.kind == "f":
        return mask
    if mask.array.dtype.kind != "b":
        raise AssertionError("only bool and floating types of masks are supported")
    return zeros(*mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask, -math.inf)
