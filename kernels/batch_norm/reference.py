"""Batch normalisation in NumPy (Ioffe and Szegedy 2015, arXiv:1502.03167).

For x (N, C, *spatial) and each channel c, over its M = N times spatial values:

    mean = sum(x) / M,   var = sum((x - mean)^2) / M        (biased: divided by M)
    y = z weight + bias  with  z = (x - mean) / sqrt(var + eps)

Statistics are taken in float64 and in two passes: sum(x^2) - M mean^2 would cancel when the mean
is large beside the spread. An empty batch has mean and variance 0.
"""

import numpy as np
from numpy import ndarray

from ..activation.reference import relu


def forward(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, *, eps: float
) -> tuple[ndarray, ndarray, ndarray]:
    """y like x, and the batch's mean (C,) and biased variance (C,)."""
    M = _count(x)
    mean = _channel_sum(x) / M
    centered, offset = _center(x, mean)
    var = _channel_sum(centered**2) / M
    y = _affine(centered / _along(np.sqrt(var + eps), x), weight, bias)
    return y.astype(x.dtype), (mean + offset).astype(x.dtype), var.astype(x.dtype)


def normalize(
    x: ndarray,
    mean: ndarray,
    var: ndarray,
    weight: ndarray | None,
    bias: ndarray | None,
    *,
    eps: float,
) -> ndarray:
    """y like x with statistics from elsewhere, such as running averages in evaluation."""
    deviation = np.sqrt(var.astype(np.float64) + eps)
    z = (x - _along(mean.astype(np.float64), x)) / _along(deviation, x)
    return _affine(z, weight, bias).astype(x.dtype)


def normalize_relu(*arrays: ndarray | None, eps: float) -> ndarray:
    """max(y, 0) of what `normalize` gives."""
    y = normalize(*arrays, eps=eps)  # type: ignore[arg-type]
    return relu(y, y)


def backward(
    dy: ndarray, x: ndarray, weight: ndarray | None, mean: ndarray, var: ndarray, *, eps: float
) -> tuple[ndarray, ndarray, ndarray]:
    """dx like x, dweight (C,), dbias (C,).

    x reaches y directly, through mean and through var. Collected:

        dbias = sum(dy),   dweight = sum(dy z)
        dx = weight / sqrt(var + eps) (dy - dbias / M - z dweight / M)

    `mean` arrives rounded to x's dtype; what rounding took is added back, because beside a small
    spread it can be large (a float32 mean of 1e4 is only good to 5e-4).
    """
    M = _count(x)
    centered, _ = _center(x, mean.astype(np.float64))
    inverse = 1 / np.sqrt(var.astype(np.float64) + eps)
    z = centered * _along(inverse, x)
    dbias, dweight = _channel_sum(dy), _channel_sum(dy * z)
    scale = inverse if weight is None else inverse * weight
    dx = _along(scale, x) * (dy - _along(dbias / M, x) - z * _along(dweight / M, x))
    return dx.astype(x.dtype), dweight.astype(x.dtype), dbias.astype(x.dtype)


def _count(x: ndarray) -> int:
    """M, how many values a channel has; 1 for none, so that their sums of 0 stay 0."""
    return max(1, x.size // max(1, x.shape[1]))


def _center(x: ndarray, mean: ndarray) -> tuple[ndarray, ndarray]:
    """x - mean like x, and what the mean lacked (C,), already subtracted.

    A mean is rounded, so the deviations from it do not quite sum to 0; their own mean is the rest
    (the corrected two-pass algorithm of Chan, Golub and LeVeque 1983).
    """
    centered = x - _along(mean, x)
    offset = _channel_sum(centered) / _count(x)
    return centered - _along(offset, x), offset


def _channel_sum(a: ndarray) -> ndarray:
    """(C,) in float64: the sum over every axis but the second."""
    return a.sum(axis=(0, *range(2, a.ndim)), dtype=np.float64)


def _along(per_channel: ndarray, x: ndarray) -> ndarray:
    """(C,) as (1, C, 1, ...), to be broadcast against x."""
    return per_channel.reshape(1, -1, *(1,) * (x.ndim - 2))


def _affine(z: ndarray, weight: ndarray | None, bias: ndarray | None) -> ndarray:
    if weight is not None:
        z = z * _along(weight, z)
    if bias is not None:
        z = z + _along(bias, z)
    return z
