"""Every operation against PyTorch: value, dtype, shape, first and second derivative.

One row per call: a name, the call written once for both frameworks (`m` is tinynet or torch), and
its inputs. Adding an operation is adding a row; a test at the end names those that have none.
"""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinynet
from tinynet.autograd.gradcheck import gradcheck
from tinynet.ops import (
    arithmetic,
    elementwise,
    factorization,
    indexing,
    linalg,
    older,
    order,
    pointwise,
    products,
    reduction,
    scattering,
    shape,
    special,
    statistics,
    window,
)

Maker = Callable[[np.random.Generator], np.ndarray]


class Row(NamedTuple):
    name: str  # the function's name, then what is special about this call
    call: Callable[..., Any]
    inputs: tuple[Maker, ...]
    smooth: bool = True  # False: at a corner or a tie, where finite differences say nothing
    twice: bool = True  # False: the second derivative does not exist there


ROWS: list[Row] = []


def row(name: str, call: Callable[..., Any], *inputs: Maker, **flags: bool) -> None:
    ROWS.append(Row(name, call, inputs, **flags))


# ---------------------------------------------------------------------------------------- inputs


def normal(*size: int) -> Maker:
    return lambda random: random.standard_normal(size)


def positive(*size: int) -> Maker:
    return lambda random: np.asarray(random.random(size) + 0.5)


def within(low: float, high: float, *size: int) -> Maker:
    return lambda random: np.asarray(random.random(size) * (high - low) + low)


def distinct(*size: int) -> Maker:
    """No two elements closer than 0.1: no ties, and no finite difference crosses one."""
    return lambda random: random.permutation(math.prod(size)).reshape(size) * 0.3 - 1.15


def integers(low: int, high: int, *size: int) -> Maker:
    return lambda random: random.integers(low, high, size)


def booleans(*size: int) -> Maker:
    return lambda random: random.random(size) < 0.5


def values(*data: Any) -> Maker:
    return lambda random: np.array(data)


def turned(maker: Maker) -> Maker:
    """The same shape, but lying in memory in the reverse order of dimensions."""
    return lambda random: np.asfortranarray(maker(random))


def gaps(maker: Maker) -> Maker:
    """The same values, two elements apart in memory."""

    def make(random: np.random.Generator) -> np.ndarray:
        x = maker(random)
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]

    return make


def by_name(name: str, *arguments: Any, **keywords: Any) -> Callable[..., Any]:
    """The function of this name, called with the inputs and then these arguments."""
    return lambda m, *xs: getattr(m, name)(*xs, *arguments, **keywords)


def functional(m: Any) -> Any:
    return shape if m is tinynet else m.nn.functional


# ------------------------------------------------------------------------------------ arithmetic

for name in ("add", "sub", "mul", "div", "maximum", "minimum", "atan2"):
    row(name, by_name(name), normal(2, 3), normal(2, 3))
    row(f"{name} broadcast", by_name(name), normal(2, 1, 3), normal(4, 1))
    row(f"{name} 0-d", by_name(name), normal(), normal(3))
    row(f"{name} empty", by_name(name), normal(0, 3), normal(3))
    row(f"{name} strided", by_name(name), turned(normal(2, 3)), gaps(normal(2, 3)))
for name in ("remainder", "fmod"):
    row(name, by_name(name), normal(2, 3), within(0.3, 0.9, 2, 3))
row("add alpha", lambda m, x, y: m.add(x, y, alpha=3), normal(2), normal(2))
row("sub alpha", lambda m, x, y: m.sub(x, y, alpha=3), normal(2), normal(2))
row("sub from a number", lambda m, x: 3 - x, normal(2, 3))
row("div a number", lambda m, x: 3 / x, positive(2, 3))
row("div integers", lambda m, x, y: x / y, integers(1, 5, 3), integers(1, 5, 3))
row(
    "div floor",
    lambda m, x, y: m.div(x, y, rounding_mode="floor"),
    integers(-9, 9, 5),
    integers(1, 5, 5),
)
row(
    "div trunc",
    lambda m, x, y: m.div(x, y, rounding_mode="trunc"),
    integers(-9, 9, 5),
    integers(1, 5, 5),
)
row("floor_divide", lambda m, x, y: m.floor_divide(x, y), integers(-9, 9, 5), integers(1, 5, 5))
row("mul mixed dtypes", lambda m, x, y: x * y, normal(3), integers(1, 5, 3))
row("mul bool", lambda m, x, y: x * y, normal(3), booleans(3))
row("add number to int", lambda m, x: x + 1.5, integers(1, 5, 3))
row(
    "maximum tie",
    lambda m, x, y: m.maximum(x, y),
    values(1.0, 2.0, 3.0),
    values(1.0, 3.0, 2.0),
    smooth=False,
)
row(
    "minimum tie",
    lambda m, x, y: m.minimum(x, y),
    values(1.0, 2.0, 3.0),
    values(1.0, 3.0, 2.0),
    smooth=False,
)
row("neg", lambda m, x: -x, normal(2, 3))
row("abs", lambda m, x: m.abs(x), normal(2, 3))
row("abs zero", lambda m, x: m.abs(x), values(0.0, -1.0, 2.0), smooth=False)
for exponent in (2, 3, 0, 1, -1, 0.5, 2.5):
    row(f"pow {exponent}", lambda m, x, p=exponent: x**p, positive(2, 3))
row("pow negative base", lambda m, x: x**3, normal(2, 3))
row("pow 2 at zero", lambda m, x: x**2, values(0.0, 1.0, -1.0))
row("pow 0 at zero", lambda m, x: x**0, values(0.0, 1.0, -1.0))
row("pow tensor", lambda m, x, y: m.pow(x, y), positive(2, 3), normal(3))
row("pow base", lambda m, y: 2**y, normal(3))
row("pow integers", lambda m, x: x**2, integers(-3, 4, 5))
row("square", lambda m, x: m.square(x), normal(3))
row("clamp", lambda m, x: m.clamp(x, -0.5, 0.5), normal(3, 4))
row("clamp min", lambda m, x: m.clamp(x, min=0.1), normal(3, 4))
row("clamp max", lambda m, x: x.clamp(max=0.1), normal(3, 4))
row(
    "clamp tensors",
    lambda m, x, a, b: m.clamp(x, a, b),
    normal(4, 3),
    within(-1, -0.5, 3),
    within(0.5, 1, 3),
)
row("where", lambda m, c, x, y: m.where(c, x, y), booleans(2, 3), normal(2, 3), normal(2, 3))
row("where broadcast", lambda m, c, x, y: m.where(c, x, y), booleans(2, 1), normal(3), normal(2, 3))
row("where number", lambda m, c, x: m.where(c, x, 0.0), booleans(2, 3), normal(2, 3))
for name in ("sign", "floor", "ceil", "trunc", "round"):
    row(name, by_name(name), normal(2, 3))
row("round decimals", lambda m, x: m.round(x, decimals=2), normal(5))
for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    row(name, by_name(name), integers(0, 3, 4, 5), integers(0, 3, 5))
    row(f"{name} number", by_name(name, 0), normal(4))
for name in ("logical_and", "logical_or", "logical_xor"):
    row(name, by_name(name), booleans(4, 5), booleans(5))
for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    row(name, by_name(name), integers(0, 9, 4), integers(0, 9, 4))
row("logical_not", lambda m, x: m.logical_not(x), integers(0, 2, 5))
row("bitwise_not", lambda m, x: ~x, booleans(5))
SPECIAL = values(1.0, math.nan, math.inf, -math.inf, 0.0)
for name in ("isnan", "isinf", "isfinite"):
    row(name, by_name(name), SPECIAL, smooth=False)
row("isclose", lambda m, x, y: m.isclose(x, y, equal_nan=True), SPECIAL, SPECIAL, smooth=False)
row("allclose", lambda m, x: m.allclose(x, x + 1e-9), normal(3))
row("equal", lambda m, x: (m.equal(x, x), m.equal(x, x + 1)), normal(3))

# ------------------------------------------------------------------------------------- pointwise

for name, low, high in (
    ("exp", -2, 2), ("exp2", -2, 2), ("expm1", -2, 2), ("log", 0.1, 3), ("log2", 0.1, 3),
    ("log10", 0.1, 3), ("log1p", -0.5, 3), ("sqrt", 0.1, 3), ("rsqrt", 0.1, 3),
    ("reciprocal", 0.3, 3), ("tanh", -2, 2), ("sigmoid", -3, 3), ("sin", -3, 3), ("cos", -3, 3),
    ("tan", -1, 1), ("asin", -0.9, 0.9), ("acos", -0.9, 0.9), ("atan", -3, 3), ("sinh", -2, 2),
    ("cosh", -2, 2), ("asinh", -2, 2), ("atanh", -0.9, 0.9), ("erf", -2, 2),
):  # fmt: skip
    row(name, by_name(name), within(low, high, 2, 3))
    row(f"{name} 0-d", by_name(name), within(low, high))
    row(f"{name} empty", by_name(name), within(low, high, 0, 2))
    row(f"{name} strided", by_name(name), turned(within(low, high, 2, 3)))
for name in ("exp", "sqrt", "sigmoid", "sin", "erf"):
    row(f"{name} of integers", by_name(name), integers(1, 4, 3))

# ------------------------------------------------------------------------------------- reductions

DIMS: tuple[Any, ...] = (None, 0, -1, (0, 2), (1,), ())
for name in ("sum", "mean", "amax", "amin", "logsumexp", "std", "var"):
    for dim in DIMS:
        if (name == "logsumexp" and dim in (None, ())) or (name in ("std", "var") and dim == ()):
            continue  # PyTorch refuses the first; its gradient of the second is infinite
        for keepdim in (False, True):
            if dim is None and keepdim and name == "sum":
                continue
            row(
                f"{name} dim={dim} keepdim={keepdim}",
                by_name(name, dim=dim, keepdim=keepdim),
                distinct(2, 3, 2),
            )
    row(f"{name} strided", by_name(name, dim=1), turned(distinct(3, 4)))
for name in ("sum", "mean", "amax", "amin", "logsumexp"):
    row(f"{name} 0-d", by_name(name, dim=0), normal())
for name in ("sum", "mean", "prod", "amax", "amin", "max", "min", "std", "var"):
    row(f"{name} of everything", by_name(name), distinct(3, 4))
for name in ("sum", "prod", "cumsum", "cumprod"):
    row(f"{name} of integers", by_name(name, 0), integers(1, 4, 3, 2))
    row(f"{name} of booleans", by_name(name, 0), booleans(3, 2))
    row(f"{name} dtype", lambda m, x, n=name: getattr(m, n)(x, 0, dtype=m.float64), normal(3, 2))
    row(f"{name} empty", by_name(name, 0), normal(0, 2))
row("sum empty other", lambda m, x: m.sum(x, 1), normal(0, 2))
row("mean of nothing", lambda m, x: m.mean(x, 0), normal(0, 2), smooth=False)
row("mean dtype", lambda m, x: m.mean(x, dtype=m.float64), integers(0, 5, 4))
row("nansum", lambda m, x: m.nansum(x, 0), values(1.0, math.nan, 2.0), smooth=False)
for correction in (0, 1, 2):
    row(
        f"var correction={correction}",
        lambda m, x, c=correction: m.var(x, 0, correction=c),
        normal(4, 3),
    )
row("var biased", lambda m, x: m.var(x, unbiased=False), normal(4, 3))
row("var older form", lambda m, x: m.var(x, 1, False, True), normal(4, 3))
row("std bool", lambda m, x: x.std(False), normal(4))
row("std of equals", lambda m, x: m.std(x), values(1.0, 1.0, 1.0), smooth=False, twice=False)
row("var_mean", lambda m, x: m.var_mean(x, 1, keepdim=True), normal(3, 4))
row("std_mean", lambda m, x: m.std_mean(x, (0, 1)), normal(3, 4))
row("amax tie", lambda m, x: m.amax(x, 0), values(2.0, 1.0, 2.0, 2.0), smooth=False)
row("amin tie", lambda m, x: m.amin(x), values(1.0, 1.0, 2.0), smooth=False)
row("max tie", lambda m, x: m.max(x), values(2.0, 1.0, 2.0), smooth=False)
row("min tie", lambda m, x: m.min(x), values(1.0, 1.0, 2.0), smooth=False)
row("max dim tie", lambda m, x: m.max(x, 0), values(1.0, 2.0, 2.0), smooth=False)
row(
    "max nan", lambda m, x: m.max(x, 1), values([1.0, math.nan, 2.0], [3.0, 1.0, 2.0]), smooth=False
)
for name in ("max", "min", "median"):
    for dim, keepdim in ((0, False), (1, True), (-1, False)):
        row(f"{name} dim={dim} {keepdim}", by_name(name, dim, keepdim), distinct(3, 4))
    row(f"{name} 0-d dim", by_name(name, 0), normal())
    row(f"{name} integers", by_name(name, 0), integers(0, 99, 5))
row("max of two", lambda m, x, y: m.max(x, y), normal(3), normal(3))
row("max named", lambda m, x: (x.max(1).values, x.max(1).indices), distinct(3, 4))
row("min of two", lambda m, x, y: m.min(x, y), normal(3), normal(3))
row("median", lambda m, x: m.median(x), distinct(3, 4))
row("median nan", lambda m, x: m.median(x, 0), values(1.0, math.nan, 2.0), smooth=False)
row("aminmax", lambda m, x: tuple(m.aminmax(x, dim=1)), distinct(3, 4))
for name in ("argmax", "argmin"):
    row(name, by_name(name), distinct(3, 4))
    row(f"{name} dim", by_name(name, 1), distinct(3, 4))
    row(f"{name} keepdim", by_name(name, dim=0, keepdim=True), distinct(3, 4))
for name in ("all", "any"):
    row(name, by_name(name), booleans(3, 4))
    row(f"{name} dim", by_name(name, 1), booleans(3, 4))
    row(f"{name} dims", lambda m, x, n=name: getattr(m, n)(x, (0, 1), True), integers(0, 2, 3, 4))
    row(f"{name} uint8", lambda m, x, n=name: getattr(m, n)(x.to(m.uint8), 0), integers(0, 2, 3, 4))
    row(f"{name} empty", by_name(name, 0), booleans(0, 2))
row("count_nonzero", lambda m, x: m.count_nonzero(x, 1), integers(0, 2, 3, 4))
row("bincount", lambda m, x: m.bincount(x, minlength=6), integers(0, 4, 9))
row("bincount weights", lambda m, x: m.bincount(x, m.ones(9)), integers(0, 4, 9))
row("prod dim", lambda m, x: m.prod(x, 1), normal(2, 5))
row("prod keepdim", lambda m, x: m.prod(x, 0, keepdim=True), normal(4, 2))
row("prod one zero", lambda m, x: m.prod(x, 1), values([1.0, 0.0, 3.0], [2.0, 4.0, 5.0]))
row("prod two zeros", lambda m, x: m.prod(x), values(0.0, 2.0, 0.0, 3.0, 4.0))
row("prod zeros everywhere", lambda m, x: m.prod(x), values(0.0, 0.0, 0.0))
row("prod one", lambda m, x: m.prod(x, 0), normal(1))
row("cumsum", lambda m, x: m.cumsum(x, 1), normal(2, 5))
row("cumsum dim=0", lambda m, x: m.cumsum(x, dim=0), turned(normal(4, 2)))
row("cumsum 0-d", lambda m, x: m.cumsum(x, 0), normal())
row("cumprod", lambda m, x: m.cumprod(x, 1), normal(2, 5))
row("cumprod zero", lambda m, x: m.cumprod(x, 0), values(2.0, 0.0, 3.0, 4.0))
row("cumprod zeros", lambda m, x: m.cumprod(x, 0), values(2.0, 0.0, 3.0, 0.0, 5.0, 6.0))
row(
    "logsumexp far apart", lambda m, x: m.logsumexp(x, 1), values([1000.0, 0.0], [-1000.0, -1001.0])
)
row("logsumexp -inf", lambda m, x: m.logsumexp(x, 0), values(-math.inf, 1.0, 2.0), smooth=False)
row("logsumexp integers", lambda m, x: m.logsumexp(x, 0), integers(0, 5, 4))
for p in ("fro", 1, 2, 3, 0.5, 1.5, math.inf, -math.inf, 0):
    row(f"norm p={p}", lambda m, x, p=p: m.norm(x, p), distinct(3, 4))
    row(f"norm p={p} dim", lambda m, x, p=p: m.norm(x, p, 1, True), distinct(3, 4))
row("norm of zeros", lambda m, x: m.norm(x), values(0.0, 0.0), smooth=False, twice=False)
row("norm method", lambda m, x: x.norm(), normal(3))
row(
    "vector_norm",
    lambda m, x: (reduction if m is tinynet else m.linalg).vector_norm(x, 3.0, 0),
    positive(3, 2),
)
for descending in (False, True):
    row(
        f"sort descending={descending}",
        lambda m, x, d=descending: tuple(m.sort(x, 0, d)),
        distinct(4, 3),
    )
    row(
        f"sort stable {descending}",
        lambda m, x, d=descending: tuple(m.sort(x, dim=0, descending=d, stable=True)),
        integers(0, 3, 9),
    )
    row(
        f"sort nan {descending}",
        lambda m, x, d=descending: tuple(m.sort(x, descending=d)),
        values(1.0, math.nan, 0.0),
        smooth=False,
    )
    row(
        f"argsort {descending}",
        lambda m, x, d=descending: m.argsort(x, descending=d),
        distinct(3, 4),
    )
    row(
        f"topk {descending}",
        lambda m, x, d=descending: tuple(m.topk(x, 2, dim=1, largest=d)),
        distinct(3, 4),
    )
row("sort 0-d", lambda m, x: tuple(m.sort(x)), normal())
row("topk 0-d", lambda m, x: tuple(m.topk(x, 1)), normal())
row("unique", lambda m, x: m.unique(x), integers(0, 4, 9))
row(
    "unique all",
    lambda m, x: m.unique(x, return_inverse=True, return_counts=True),
    integers(0, 4, 3, 3),
)
row("unique dim", lambda m, x: m.unique(x, dim=0), integers(0, 2, 6, 2))
row("diff", lambda m, x: m.diff(x), normal(2, 4))
row("diff twice", lambda m, x: m.diff(x, n=2, dim=0), normal(4, 2))

# ------------------------------------------------------------------------------------------- shape

row("reshape", lambda m, x: m.reshape(x, (3, 2)), normal(2, 3))
row("reshape written out", lambda m, x: x.reshape(3, -1), normal(2, 3))
row("reshape strided", lambda m, x: x.reshape(-1), turned(normal(2, 3)))
row("reshape to 0-d", lambda m, x: x.reshape(()), normal(1, 1))
row("reshape empty", lambda m, x: x.reshape(2, 0, 5), normal(0, 3))
row("view", lambda m, x: x.view(3, -1), normal(2, 3))
row("view of a view", lambda m, x: x.t().view(3, 2, 1), normal(2, 3))
row("view_as", lambda m, x, y: x.view_as(y), normal(2, 3), normal(6))
row("reshape_as", lambda m, x, y: x.t().reshape_as(y), normal(2, 3), normal(6))
row("flatten", lambda m, x: m.flatten(x), normal(2, 3, 2))
row("flatten 0-d", lambda m, x: m.flatten(x), normal())
row("flatten from 1", lambda m, x: m.flatten(x, 1), turned(normal(2, 3, 2)))
row("flatten some", lambda m, x: m.flatten(x, start_dim=0, end_dim=1), normal(2, 3, 2))
row("unflatten", lambda m, x: m.unflatten(x, 1, (2, -1)), normal(2, 6))
row("ravel", lambda m, x: m.ravel(x), turned(normal(2, 3)))
row("squeeze", lambda m, x: m.squeeze(x), normal(1, 3, 1))
row("squeeze dim", lambda m, x: m.squeeze(x, 0), normal(1, 3, 1))
row("squeeze other", lambda m, x: m.squeeze(x, 1), normal(1, 3, 1))
row("squeeze dims", lambda m, x: m.squeeze(x, (0, -1)), normal(1, 3, 1))
row("unsqueeze", lambda m, x: m.unsqueeze(x, -1), normal(2, 3))
row("unsqueeze 0-d", lambda m, x: m.unsqueeze(x, dim=0), normal())
row("expand", lambda m, x: x.expand(4, 2, -1), normal(2, 1))
row("expand 0-d", lambda m, x: x.expand(2, 3), normal())
row("expand to nothing", lambda m, x: x.expand(0, 3), normal(1, 3))
row("expand_as", lambda m, x, y: x.expand_as(y) * y, normal(3), normal(2, 3))
row("broadcast_to", lambda m, x: m.broadcast_to(x, (2, 3)), normal(3))
row("broadcast_tensors", lambda m, x, y: m.broadcast_tensors(x, y), normal(2, 1), normal(3))
row("permute", lambda m, x: m.permute(x, (2, 0, 1)), normal(2, 3, 4))
row("permute written out", lambda m, x: x.permute(-1, 0, 1), normal(2, 3, 4))
row("permute named", lambda m, x: x.permute(dims=(1, 0, 2)), normal(2, 3, 4))
row("transpose", lambda m, x: m.transpose(x, 0, -1), normal(2, 3, 4))
row("swapaxes", lambda m, x: m.swapaxes(x, 0, 1), normal(2, 3))
row("t", lambda m, x: m.t(x), normal(2, 3))
row("t vector", lambda m, x: x.t(), normal(3))
row("T", lambda m, x: x.T, normal(2, 3))
row("mT", lambda m, x: x.mT, normal(2, 3, 4))
row("adjoint", lambda m, x: m.adjoint(x), normal(2, 3, 4))
row("movedim", lambda m, x: m.movedim(x, 0, -1), normal(2, 3, 4))
row("movedim several", lambda m, x: m.movedim(x, (0, 1), (2, 0)), normal(2, 3, 4))
row("cat", lambda m, x, y: m.cat([x, y]), normal(2, 3), normal(1, 3))
row("cat dim", lambda m, x, y: m.cat((x, y, x), dim=-1), turned(normal(2, 3)), normal(2, 1))
row("cat dtypes", lambda m, x, y: m.cat([x, y]), normal(2), integers(0, 3, 2))
row("cat nothing", lambda m, x, y: m.cat([x, y]), normal(0), normal(2, 3))
row("cat empty", lambda m, x, y: m.cat([x, y]), normal(0, 3), normal(2, 3))
row("stack", lambda m, x, y: m.stack([x, y]), normal(2, 3), normal(2, 3))
row("stack dim", lambda m, x, y: m.stack((x, y), dim=-1), normal(2, 3), turned(normal(2, 3)))
row("stack 0-d", lambda m, x, y: m.stack([x, y, x]), normal(), normal())
row("hstack", lambda m, x, y: m.hstack([x, y]), normal(2, 3), normal(2, 1))
row("hstack vectors", lambda m, x, y: m.hstack([x, y]), normal(2), normal())
row("vstack", lambda m, x, y: m.vstack([x, y]), normal(3), normal(2, 3))
row("column_stack", lambda m, x, y: m.column_stack([x, y]), normal(3), normal(3, 2))
row("atleast_1d", lambda m, x: m.atleast_1d(x), normal())
row("atleast_2d", lambda m, x, y: m.atleast_2d(x, y), normal(), normal(3))
row("narrow", lambda m, x: m.narrow(x, 1, 1, 2), normal(2, 4))
row("narrow from the end", lambda m, x: m.narrow(x, 0, -2, 1), normal(3))
row("select", lambda m, x: m.select(x, 1, -1), normal(2, 4))
row("split", lambda m, x: m.split(x, 2), normal(5, 2))
row("split sections", lambda m, x: m.split(x, [1, 3], dim=1), normal(2, 4))
row("split_with_sizes", lambda m, x: x.split_with_sizes((3, 1), 1), normal(2, 4))
row("chunk", lambda m, x: m.chunk(x, 3, dim=1), normal(2, 7))
row("chunk many", lambda m, x: m.chunk(x, 5), normal(3))
row("tensor_split", lambda m, x: m.tensor_split(x, 3), normal(7))
row("tensor_split at", lambda m, x: m.tensor_split(x, (1, 3), dim=1), normal(2, 4))
row("unbind", lambda m, x: m.unbind(x, 1), normal(2, 3))
row("unbind iteration", lambda m, x: tuple(x), normal(2, 3))
row("clone", lambda m, x: m.clone(x), turned(normal(2, 3)))
row("contiguous", lambda m, x: x.contiguous(), turned(normal(2, 3)))
row("flip", lambda m, x: m.flip(x, (0, 1)), normal(2, 3))
row("flip named", lambda m, x: x.flip(dims=[1]), normal(2, 3))
row("fliplr", lambda m, x: m.fliplr(x), normal(2, 3))
row("flipud", lambda m, x: m.flipud(x), normal(2, 3))
for k in (0, 1, 2, 3, -1):
    row(f"rot90 {k}", lambda m, x, k=k: m.rot90(x, k, (0, 1)), normal(2, 3))
row("roll", lambda m, x: m.roll(x, 2), normal(2, 3))
row("roll dim", lambda m, x: m.roll(x, (1, -1), (0, 1)), normal(2, 3))
row("repeat", lambda m, x: x.repeat(2, 1, 3), normal(2, 3))
row("repeat none", lambda m, x: x.repeat(0, 2), normal(2, 3))
row("tile", lambda m, x: m.tile(x, (2,)), normal(2, 3))
row("repeat_interleave", lambda m, x: m.repeat_interleave(x, 2), normal(2, 3))
row(
    "repeat_interleave dim",
    lambda m, x: m.repeat_interleave(x, m.tensor([1, 0, 2]), dim=1),
    normal(2, 3),
)
row("tril", lambda m, x: m.tril(x), normal(2, 3, 4))
row("triu", lambda m, x: m.triu(x, 1), normal(3, 4))
row("diagonal", lambda m, x: m.diagonal(x), normal(3, 4))
row("diagonal offset", lambda m, x: m.diagonal(x, -1, 0, 2), normal(3, 2, 4))
row("diag vector", lambda m, x: m.diag(x, 1), normal(3))
row("diag matrix", lambda m, x: m.diag(x), normal(3, 4))
row("diag_embed", lambda m, x: m.diag_embed(x, -1, 0, 2), normal(2, 3))
row("trace", lambda m, x: m.trace(x), normal(3, 3))
row("meshgrid", lambda m, x, y: m.meshgrid(x, y, indexing="ij"), normal(2), normal(3))
row(
    "meshgrid xy",
    lambda m, x, y, z: m.meshgrid(x, y, z, indexing="xy"),
    normal(2),
    normal(3),
    normal(2),
)
row("unfold", lambda m, x: x.unfold(1, 3, 2), normal(2, 7))
row("unfold overlapping", lambda m, x: x.unfold(0, 2, 1), normal(4, 2))
row("pad", lambda m, x: functional(m).pad(x, (1, 2, 0, 1)), normal(2, 3))
row("pad value", lambda m, x: functional(m).pad(x, (1, 0), value=2.5), normal(2, 3))
row("pad negative", lambda m, x: functional(m).pad(x, (-1, 2, 1, -1)), normal(2, 3))
for mode in ("reflect", "replicate", "circular"):
    row(f"pad {mode}", lambda m, x, n=mode: functional(m).pad(x, (2, 1), mode=n), normal(1, 2, 3))
    row(
        f"pad {mode} 2d",
        lambda m, x, n=mode: functional(m).pad(x, (1, 2, 0, 1), mode=n),
        normal(1, 2, 3, 4),
    )

# ---------------------------------------------------------------------------------------- indexing

KEYS: dict[str, Any] = {
    "int": lambda m: 1,
    "negative": lambda m: -1,
    "slice": lambda m: slice(1, None, 2),
    "None": lambda m: (None, 0, ..., None),
    "Ellipsis": lambda m: (..., 1),
    "full": lambda m: (1, 2, 3),
    "list": lambda m: [2, 0, 2, 2],
    "tensor": lambda m: m.tensor([[2, 0], [-1, 2]]),
    "0-d tensor": lambda m: m.tensor(1),
    "pair": lambda m: (m.tensor([0, 1, 0]), m.tensor([1, 1, 1])),
    "outer pair": lambda m: (m.tensor([[0], [1]]), m.tensor([0, 2, 0])),
    "apart": lambda m: (m.tensor([0, 1, 0]), slice(None), m.tensor([1, 1, 3])),
    "int and tensor": lambda m: (1, slice(None), m.tensor([0, 0, 2])),
    "tensor and int": lambda m: (slice(None), m.tensor([0, 2]), 1),
    "slice and tensor": lambda m: (slice(1, 3), [0, 2, 2]),
    "mask": lambda m: m.tensor([True, False, True]),
    "mask middle": lambda m: (slice(None), m.tensor([True, False, True]), 2),
    "mask and tensor": lambda m: (m.tensor([True, False, True]), m.tensor([0, 2])),
    "wide mask": lambda m: m.arange(9).reshape(3, 3) % 2 == 0,
    "True": lambda m: True,
    "False": lambda m: (0, False),
    "empty list": lambda m: [],
    "None and tensor": lambda m: (None, m.tensor([0, 1]), None, slice(0, 2)),
    "numpy": lambda m: (np.array([0, 2]), np.int64(1)),
}
for label, key in KEYS.items():
    row(f"getitem {label}", lambda m, x, k=key: x[k(m)], turned(normal(3, 3, 4)))


def assigned(m: Any, x: Any, value: Any, key: Any) -> Any:
    y = x.clone()
    y[key(m)] = value
    return y


for label in ("int", "slice", "list", "pair", "apart", "mask", "wide mask", "None"):
    if label == "list":
        row(
            "setitem list",
            lambda m, x, v: assigned(m, x, v, lambda m: [2, 0]),
            normal(3, 3, 4),
            normal(),
        )
    elif label not in ("pair", "apart"):
        row(
            f"setitem {label}",
            lambda m, x, v, k=KEYS[label]: assigned(m, x, v, k),
            normal(3, 3, 4),
            normal(),
        )
row(
    "setitem broadcast",
    lambda m, x, v: assigned(m, x, v, lambda m: slice(1, 3)),
    normal(3, 3, 4),
    normal(3, 1),
)
row(
    "setitem extra ones",
    lambda m, x, v: assigned(m, x, v, lambda m: 1),
    normal(3, 3, 4),
    normal(1, 3, 4),
)
row(
    "setitem rows",
    lambda m, x, v: assigned(m, x, v, lambda m: m.tensor([2, 0])),
    normal(3, 4),
    normal(2, 4),
)
row(
    "setitem mask values",
    lambda m, x, v: assigned(m, x, v, lambda m: m.tensor([True, False, True])),
    normal(3, 4),
    normal(2, 4),
)
row("gather", lambda m, x: m.gather(x, 1, m.tensor([[0, 0, 2], [1, 1, 1]])), normal(2, 3))
row("gather smaller", lambda m, x: m.gather(x, 0, m.tensor([[1, 0]])), normal(3, 4))
row("gather 0-d", lambda m, x: m.gather(x, 0, m.tensor(0)), normal())
row(
    "scatter",
    lambda m, x, y: m.scatter(x, 1, m.tensor([[0, 2], [1, 0]]), y),
    normal(2, 3),
    normal(2, 2),
)
row("scatter number", lambda m, x: m.scatter(x, 1, m.tensor([[0], [1]]), 2.5), normal(2, 3))
row("scatter value", lambda m, x: m.scatter(x, 1, m.tensor([[0], [1]]), value=2.5), normal(2, 3))
row(
    "scatter_add",
    lambda m, x, y: m.scatter_add(x, 1, m.tensor([[0, 0], [1, 0]]), y),
    normal(2, 3),
    normal(2, 2),
)
row(
    "scatter_add integers",
    lambda m, x: m.scatter_add(x, 0, m.tensor([0, 1, 1]), m.ones(3, dtype=m.int64)),
    integers(0, 3, 4),
)
row("index_select", lambda m, x: m.index_select(x, 1, m.tensor([2, 0, 2])), normal(2, 3))
row(
    "index_add",
    lambda m, x, y: m.index_add(x, 0, m.tensor([1, 1, 0]), y, alpha=2),
    normal(2, 3),
    normal(3, 3),
)
row(
    "index_copy",
    lambda m, x, y: m.index_copy(x, 1, m.tensor([2, 0]), y),
    normal(2, 3),
    normal(2, 2),
)
row("index_fill", lambda m, x: m.index_fill(x, 1, m.tensor([2, 0]), 1.5), normal(2, 3))
row(
    "masked_fill",
    lambda m, x, c: m.masked_fill(x, c, -math.inf).exp(),
    normal(2, 3),
    booleans(2, 3),
)
row("masked_fill broadcast", lambda m, x, c: x.masked_fill(c, 0), normal(2, 3), booleans(3))
row(
    "masked_fill tensor",
    lambda m, x, c, v: m.masked_fill(x, c, v),
    normal(2, 3),
    booleans(2, 3),
    normal(),
)
row("masked_fill integers", lambda m, x, c: x.masked_fill(c, 7), integers(0, 3, 4), booleans(4))
row("masked_select", lambda m, x, c: m.masked_select(x, c), normal(2, 3), booleans(3))
row("take", lambda m, x: m.take(x, m.tensor([[0, 5], [-1, 0]])), turned(normal(2, 3)))
row("take_along_dim", lambda m, x: m.take_along_dim(x, m.argsort(x, 1), 1), distinct(2, 3))
row(
    "take_along_dim broadcast",
    lambda m, x: m.take_along_dim(x, m.tensor([[1, 0]]), 1),
    normal(2, 3),
)
row("take_along_dim flat", lambda m, x: m.take_along_dim(x, m.tensor([5, 0])), normal(2, 3))
row("nonzero", lambda m, x: m.nonzero(x), integers(0, 2, 3, 4))
row("nonzero tuple", lambda m, x: m.nonzero(x, as_tuple=True), integers(0, 2, 3, 4))
row("nonzero 0-d", lambda m, x: m.nonzero(x), normal())
row("argwhere", lambda m, x: m.argwhere(x), booleans(3, 4))
row(
    "one_hot",
    lambda m, x: (indexing if m is tinynet else m.nn.functional).one_hot(x, 5),
    integers(0, 5, 2, 3),
)

# ------------------------------------------------------------------------------------------ linalg

for label, a, b in (
    ("vectors", (3,), (3,)), ("matrix vector", (2, 3), (3,)), ("vector matrix", (3,), (3, 2)),
    ("matrices", (2, 3), (3, 4)), ("batch matrix", (2, 2, 3), (3, 4)),
    ("matrix batch", (2, 3), (2, 3, 2)), ("batches", (2, 2, 3), (2, 3, 4)),
    ("broadcast", (2, 1, 2, 3), (3, 3, 2)), ("batch vector", (2, 2, 3), (3,)),
    ("vector batch", (3,), (2, 3, 2)), ("empty", (2, 0), (0, 3)), ("no rows", (0, 3), (3, 2)),
):  # fmt: skip
    row(f"matmul {label}", lambda m, x, y: m.matmul(x, y), normal(*a), normal(*b))
row("matmul strided", lambda m, x, y: x @ y, turned(normal(2, 3)), gaps(normal(3, 4)))
row("matmul integers", lambda m, x, y: x @ y, integers(-3, 4, 2, 3), integers(-3, 4, 3, 2))
row("mm", lambda m, x, y: m.mm(x, y), normal(2, 3), normal(3, 2))
row("bmm", lambda m, x, y: m.bmm(x, y), normal(2, 2, 3), normal(2, 3, 2))
row("mv", lambda m, x, y: m.mv(x, y), normal(2, 3), normal(3))
row("dot", lambda m, x, y: m.dot(x, y), normal(3), normal(3))
row("inner", lambda m, x, y: m.inner(x, y), normal(2, 3), normal(4, 3))
row("outer", lambda m, x, y: m.outer(x, y), normal(2), normal(3))
row(
    "addmm",
    lambda m, c, x, y: m.addmm(c, x, y, beta=0.5, alpha=2),
    normal(2),
    normal(3, 4),
    normal(4, 2),
)
row("addmv", lambda m, c, x, y: m.addmv(c, x, y), normal(3), normal(3, 4), normal(4))
row(
    "baddbmm",
    lambda m, c, x, y: m.baddbmm(c, x, y),
    normal(2, 3, 2),
    normal(2, 3, 4),
    normal(2, 4, 2),
)
row("tensordot", lambda m, x, y: m.tensordot(x, y, 2), normal(2, 3, 4), normal(3, 4, 2))
row(
    "tensordot dims",
    lambda m, x, y: m.tensordot(x, y, ([0, 2], [1, 0])),
    normal(2, 3, 4),
    normal(4, 2, 2),
)
row("tensordot none", lambda m, x, y: m.tensordot(x, y, 0), normal(2), normal(3))


def linear(m: Any, *inputs: Any) -> Any:
    return (linalg if m is tinynet else m.nn.functional).linear(*inputs)


row("linear", linear, normal(4, 3), normal(2, 3), normal(2))
row("linear no bias", linear, normal(4, 3), normal(2, 3))
row("linear vector", linear, normal(3), normal(2, 3), normal(2))
row("linear batch", linear, turned(normal(2, 4, 3)), normal(2, 3), normal(2))
row("linear no rows", linear, normal(0, 3), normal(2, 3), normal(2))
for equation, *sizes in (
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ii->i", (3, 3)), ("ii", (3, 3)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)),
    ("i,j->ij", (2,), (3,)), ("i,i", (3,), (3,)), ("ij,ij->ij", (2, 3), (2, 3)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (3, 3, 2)), ("...i,...i", (2, 3), (3,)),
    ("bhid,bhjd->bhij", (2, 2, 3, 2), (2, 2, 2, 2)), ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)),
    ("i,ij,j", (2,), (2, 3), (3,)), ("iij,jk->ik", (2, 2, 3), (3, 2)),
    ("ab,cd,ab->c", (2, 3), (3, 2), (2, 3)), ("ij,jk->ik", (2, 1), (3, 4)), ("...->...", (2, 3)),
    ("ijk,i->kj", (2, 3, 2), (2,)), ("iji->j", (2, 3, 2)), ("ij,kj->", (2, 3), (4, 3)),
    ("a,b,c,d->dcba", (2,), (2,), (3,), (1,)), ("i...->...", (2, 3)),
    ("ij,jk->ik", (2, 0), (0, 3)), ("BA,AC->BC", (2, 3), (3, 2)), ("BA,Aa", (2, 3), (3, 2)),
):  # fmt: skip
    row(
        f"einsum {equation} {sizes}",
        lambda m, *xs, e=equation: m.einsum(e, *xs),
        *[normal(*s) for s in sizes],
    )
row(
    "einsum sublists",
    lambda m, x, y: m.einsum(x, [0, 1], y, [1, 2], [0, 2]),
    normal(2, 3),
    normal(3, 2),
)
row(
    "einsum integers",
    lambda m, x, y: m.einsum("ij,jk->ik", x, y),
    integers(0, 3, 2, 3),
    integers(0, 3, 3, 2),
)


def la(m: Any) -> Any:
    return linalg if m is tinynet else m.linalg


def invertible(*size: int) -> Maker:
    return lambda random: random.standard_normal(size) + 3 * np.eye(size[-1])


row("inv", lambda m, a: la(m).inv(a), invertible(2, 3, 3))
row("solve", lambda m, a, b: la(m).solve(a, b), invertible(3, 3), normal(3, 2))
row("solve vector", lambda m, a, b: la(m).solve(a, b), invertible(3, 3), normal(3))
row("solve batch", lambda m, a, b: la(m).solve(a, b), invertible(2, 3, 3), normal(2, 3, 2))
row("det", lambda m, a: la(m).det(a), invertible(2, 3, 3))
row("slogdet", lambda m, a: la(m).slogdet(a)[1], invertible(2, 3, 3))

# ------------------------------------------------------ functions beyond arithmetic, of one and two

for name in ("logaddexp", "logaddexp2", "hypot", "copysign", "fmax", "fmin"):
    row(name, by_name(name), normal(2, 3), distinct(3))
for name, low, high in (
    ("erfc", -3, 3), ("erfinv", -0.9, 0.9), ("lgamma", 0.3, 4), ("digamma", 0.4, 4), ("i0", -3, 3),
    ("acosh", 1.2, 3), ("logit", 0.1, 0.9), ("sinc", 0.3, 3), ("deg2rad", -9, 9),
    ("rad2deg", -9, 9), ("frac", 0.1, 0.9), ("positive", -1, 1), ("sgn", 0.3, 1),
    ("angle", 0.3, 1), ("nan_to_num", -1, 1), ("conj", -1, 1),
):  # fmt: skip
    row(name, by_name(name), within(low, high, 2, 3))
for name in ("isposinf", "isneginf", "isreal", "signbit", "nan_to_num"):
    row(f"{name} special", by_name(name), SPECIAL, smooth=False)
for name in ("gcd", "lcm"):
    row(name, by_name(name), integers(-9, 9, 5), integers(1, 9, 5))
for name in ("bitwise_left_shift", "bitwise_right_shift"):
    row(name, by_name(name), integers(1, 90, 5), integers(0, 4, 5))
row("erfinv ends", lambda m, x: m.erfinv(x), values(-1.0, 1e-10, 1.0), smooth=False)
row("lgamma poles", lambda m, x: m.lgamma(x), values(-1.0, -0.5, 0.0), smooth=False, twice=False)
row("digamma below 0", lambda m, x: m.digamma(x), values(-1.5, -0.3, -2.7), twice=False)
row("polygamma", lambda m, x: m.polygamma(2, x), within(0.5, 3, 4))
row("mvlgamma", lambda m, x: m.mvlgamma(x, 2), within(1, 3, 4))
row("i0 large", lambda m, x: m.i0(x), values(40.0, -50.0))
row("sinc at 0", lambda m, x: m.sinc(x), values(0.0, 1.0), smooth=False,
    twice=False)  # fmt: skip
row("xlogy", lambda m, x, y: m.xlogy(x, y), normal(2, 3), positive(3))
row("xlogy 0", lambda m, x, y: m.xlogy(x, y), values(0.0, 1.0), values(0.0, 2.0), smooth=False)
row("heaviside", lambda m, x, y: m.heaviside(x.detach(), y.detach()), values(-1.0, 0.0, 1.0),
    positive(3), smooth=False)  # fmt: skip
row("nextafter", lambda m, x, y: m.nextafter(x, y).detach(), normal(3), normal(3),
    smooth=False)  # fmt: skip
row("float_power", lambda m, x: m.float_power(x, 1.5), positive(3))
row("ldexp", lambda m, x, n: m.ldexp(x, n), normal(3), integers(-3, 4, 3))
row("frexp", lambda m, x: tuple(m.frexp(x)), within(0.6, 0.9, 3))
row("rsub", lambda m, x, y: m.rsub(x, y, alpha=3), normal(3), normal(3))
row("addcmul", lambda m, x, y, z: m.addcmul(x, y, z, value=0.5), normal(3), normal(3), normal(3))
row("addcdiv", lambda m, x, y, z: m.addcdiv(x, y, z, value=0.5), normal(3), normal(3), positive(3))
row("lerp", lambda m, x, y: m.lerp(x, y, 0.3), normal(3), normal(3))
row("lerp weights", lambda m, x, y, w: m.lerp(x, y, w), normal(2, 3), normal(3), positive(3))
row("clamp_min", lambda m, x: m.clamp_min(x, 0.1), distinct(3, 4))
row("clamp_max", lambda m, x: m.clamp_max(x, 0.1), distinct(3, 4))
row("logit eps", lambda m, x: m.logit(x, 0.2), values(0.1, 0.5, 0.95))
row("isin", lambda m, x, y: m.isin(x, y), integers(0, 5, 6), integers(0, 3, 2))
row("is_nonzero", lambda m, x: m.is_nonzero(x), values(2.0))
row("result_type", lambda m, x: str(m.result_type(x, 2)).split(".")[1], integers(0, 2, 2))

# ---------------------------------------------------------------------- order, counts, integrals

for name in ("cummax", "cummin"):
    row(name, lambda m, x, n=name: tuple(getattr(m, n)(x, 1)), distinct(3, 4))
row("cummax ties", lambda m, x: tuple(m.cummax(x, 0)), values(1.0, 2.0, 2.0, math.nan, 3.0),
    smooth=False)  # fmt: skip
row("kthvalue", lambda m, x: tuple(m.kthvalue(x, 2, 0, True)), distinct(4, 3))
row("mode", lambda m, x: m.mode(x, 1).values, integers(0, 3, 4, 6))
row("msort", lambda m, x: m.msort(x), distinct(4, 3))
row("nanmean", lambda m, x: m.nanmean(x, 0), values([1.0, math.nan], [3.0, 4.0]), smooth=False)
row("nanmedian", lambda m, x: tuple(m.nanmedian(x, 1)), values([1.0, math.nan, 5.0, 3.0]),
    smooth=False)  # fmt: skip
for kind in ("linear", "lower", "higher", "midpoint", "nearest"):
    row(
        f"quantile {kind}",
        lambda m, x, kind=kind: m.quantile(x, 0.4, 1, interpolation=kind),
        distinct(3, 6),
    )
row("quantile of several", lambda m, x, q: m.quantile(x, q, 0, True), distinct(5, 2),
    values(0.1, 0.55, 1.0), twice=False, smooth=False)  # fmt: skip
row("quantile nan", lambda m, x: m.quantile(x, 0.5, 1), values([1.0, math.nan], [2.0, 3.0]),
    smooth=False)  # fmt: skip
row("nanquantile", lambda m, x: m.nanquantile(x, 0.3), values(1.0, math.nan, 2.0, 5.0),
    smooth=False)  # fmt: skip
EDGES = values(0.0, 1.0, 1.0, 2.5)
row("searchsorted", lambda m, e, x: m.searchsorted(e, x, right=True), EDGES, values(1.0, 3.0, -1.0))
row("searchsorted rows", lambda m, e, x: m.searchsorted(e.sort(1)[0], x), distinct(2, 4),
    normal(2, 3))  # fmt: skip
row("bucketize", lambda m, x, e: m.bucketize(x, e), values([1.0, 3.0], [-1.0, 0.5]), EDGES)
row("unique_consecutive", lambda m, x: m.unique_consecutive(x, True, True), integers(0, 2, 9))
row("unique_consecutive dim", lambda m, x: m.unique_consecutive(x, dim=1), integers(0, 2, 2, 9))
row("histc", lambda m, x: m.histc(x.detach(), 4, -1, 1), normal(30), smooth=False)
row("histogram", lambda m, x: tuple(m.histogram(x.detach(), 4, range=(-1.0, 1.0), density=True)),
    normal(30), smooth=False)  # fmt: skip
row("nonzero_static", lambda m, x: m.nonzero_static(x, size=4), integers(0, 2, 3, 2))
row("cov", lambda m, x: m.cov(x), normal(3, 5))
row("cov weights", lambda m, x, w, n: m.cov(x, fweights=n, aweights=w, correction=0), normal(2, 4),
    positive(4), integers(1, 4, 4))  # fmt: skip
row("corrcoef", lambda m, x: m.corrcoef(x), normal(3, 5))
row("trapezoid", lambda m, y: m.trapezoid(y, dx=0.5, dim=0), normal(4, 2))
row("trapezoid at points", lambda m, y, x: m.trapz(y, x), normal(2, 4), distinct(4))
row(
    "cumulative_trapezoid", lambda m, y, x: m.cumulative_trapezoid(y, x), normal(2, 4), normal(2, 4)
)
row("gradient", lambda m, y: m.gradient(y, spacing=0.5, edge_order=2), normal(4, 3))
row(
    "gradient at points",
    lambda m, y: m.gradient(y, spacing=(m.arange(3).to(y.dtype) ** 2,), dim=0),
    normal(3, 2),
)
row("logcumsumexp", lambda m, x: m.logcumsumexp(x, 1), normal(2, 4))

# ------------------------------------------------------------------------- writing into copies

AT = integers(0, 3, 4, 2)
for kind in ("sum", "prod", "mean", "amax", "amin"):
    for own in (True, False):
        row(
            f"scatter_reduce {kind} {own}",
            lambda m, x, i, s, k=kind, o=own: m.scatter_reduce(x, 0, i, s, k, include_self=o),
            distinct(3, 2), AT, normal(4, 2), twice=False,
        )  # fmt: skip
row("index_reduce", lambda m, x, i, s: m.index_reduce(x, 0, i, s, "prod"), positive(3, 2),
    integers(0, 3, 4), positive(4, 2), twice=False)  # fmt: skip
row("index_put", lambda m, x, i, v: m.index_put(x, (i,), v), normal(3, 2), values(2, 0), normal(2))
row("index_put added", lambda m, x, i, v: m.index_put(x, (i,), v, True), normal(3, 2),
    values(2, 0, 2), normal(2))  # fmt: skip
row("put", lambda m, x, i, v: m.put(x, i, v, True), normal(3, 2), values(2, 5, 2), normal(3))
row("masked_scatter", lambda m, x, k, v: m.masked_scatter(x, k, v), normal(3, 2), booleans(3, 2),
    normal(7))  # fmt: skip
row("select_scatter", lambda m, x, v: m.select_scatter(x, v, 1, 0), normal(3, 2), normal(3))
row("slice_scatter", lambda m, x, v: m.slice_scatter(x, v, 0, 1, 5, 2), normal(5, 2), normal(2, 2))
row("diagonal_scatter", lambda m, x, v: m.diagonal_scatter(x, v, 1), normal(3, 3), normal(2))
row("as_strided", lambda m, x: m.as_strided(x, (2, 3), (1, 2), 1), normal(2, 4))
row("as_strided_scatter", lambda m, x, v: m.as_strided_scatter(x.detach(), v, (2,), (3,), 1),
    normal(2, 3), normal(2), smooth=False)  # fmt: skip
row("storage_offset", lambda m, x: x[1:].storage_offset(), normal(3, 2))
row("renorm", lambda m, x: m.renorm(x, 2, 0, 1.0), normal(3, 4), twice=False)

# --------------------------------------------------------------------- products and distances

row("dist", lambda m, x, y: m.dist(x, y, 3), normal(2, 3), normal(2, 3), twice=False)
for p in (1.0, 2.0, 3.0):
    row(f"cdist {p}", lambda m, x, y, p=p: m.cdist(x, y, p), normal(2, 3), normal(4, 3),
        twice=False)  # fmt: skip
row("pdist", lambda m, x: m.pdist(x), normal(4, 3), twice=False)
row("cross", lambda m, x, y: m.cross(x, y, dim=0), normal(3, 2), normal(3, 2))
row("kron", lambda m, x, y: m.kron(x, y), normal(2, 3), normal(2))
row("addr", lambda m, x, a, b: m.addr(x, a, b, beta=2, alpha=3), normal(3, 2), normal(3), normal(2))
row("addbmm", lambda m, x, a, b: m.addbmm(x, a, b, beta=2, alpha=3), normal(3, 2), normal(4, 3, 2),
    normal(4, 2, 2))  # fmt: skip
row("chain_matmul", lambda m, *xs: m.linalg.multi_dot(xs), normal(2, 5), normal(5, 3), normal(3))
row("vander", lambda m, x: m.vander(x, 4), integers(-3, 4, 3))
row("cartesian_prod", lambda m, x, y: m.cartesian_prod(x, y), normal(2), normal(3))
row("combinations", lambda m, x: m.combinations(x, 2, True), normal(3))
row("block_diag", lambda m, x, y, z: m.block_diag(x, y, z), normal(2, 3), normal(2), normal())
row("unravel_index", lambda m, i: m.unravel_index(i, (3, 4)), integers(0, 12, 5))
row("atleast_3d", lambda m, x: m.atleast_3d(x), normal(2, 3))
row("diagflat", lambda m, x: m.diagflat(x, 1), normal(2, 2))
row("dstack", lambda m, x, y: m.dstack((x, y)), normal(2, 3), normal(2, 3))
row("hsplit", lambda m, x: m.hsplit(x, 2), normal(2, 4))
row("vsplit", lambda m, x: m.vsplit(x, [1]), normal(3, 2))
row("dsplit", lambda m, x: m.dsplit(x, 2), normal(2, 1, 4))
row("sum_to_size", lambda m, x: x.sum_to_size(3, 1), normal(2, 3, 4))
for name in ("hann", "hamming", "blackman", "bartlett", "kaiser"):
    row(f"{name}_window", lambda m, n=name: getattr(m, f"{n}_window")(7))
    row(f"{name}_window both ends", lambda m, n=name: getattr(m, f"{n}_window")(6, False))

# ------------------------------------------------------------------------------ factorizations


def squares(parts: Any) -> Any:
    """Vectors may point either way: their squares do not."""
    return tuple(v * v if v.ndim > 1 else v for v in parts)


row("inverse", lambda m, a: m.inverse(a), invertible(2, 3, 3))
row("cholesky", lambda m, a: m.cholesky(a @ a.mT), invertible(2, 3, 3))
row("cholesky_solve", lambda m, b, a: m.cholesky_solve(b, m.linalg.cholesky(a @ a.mT)),
    normal(3, 2), invertible(3, 3))  # fmt: skip
row("cholesky_inverse", lambda m, a: m.cholesky_inverse(m.linalg.cholesky(a @ a.mT)),
    invertible(3, 3))  # fmt: skip
for name, size in (("tall", (2, 4, 3)), ("square", (3, 3)), ("wide", (3, 4))):
    row(f"qr {name}", lambda m, a: tuple(m.qr(a)), normal(*size))
    row(f"svd {name}", lambda m, a: squares(m.svd(a)), normal(*size))
    row(f"lu {name}", lambda m, a: tuple(m.linalg.lu(a)), normal(*size))
    row(f"pinverse {name}", lambda m, a: m.pinverse(a), normal(*size))
row("svdvals", lambda m, a: m.linalg.svdvals(a), normal(2, 3, 4))
row("eigh", lambda m, a: squares(m.linalg.eigh(a + a.mT)), normal(3, 3))
row("eigvalsh", lambda m, a: m.linalg.eigvalsh(a + a.mT), normal(2, 3, 3))
row("lu_unpack", lambda m, a: tuple(m.lu_unpack(*m.linalg.lu_factor(a))), normal(2, 3, 4))
row("lu_solve", lambda m, b, a: m.lu_solve(b, *m.linalg.lu_factor(a)), normal(3, 2), normal(3, 3))
row("triangular_solve", lambda m, b, a: m.triangular_solve(b, a).solution, normal(3, 2),
    invertible(3, 3))  # fmt: skip
row("matrix_power", lambda m, a: m.matrix_power(a, 3), normal(2, 3, 3))
row("matrix_power inverse", lambda m, a: m.matrix_power(a, -2), invertible(3, 3))
row("matrix_exp", lambda m, a: m.matrix_exp(a), normal(2, 3, 3))
row("logdet", lambda m, a: m.logdet(a @ a.mT), invertible(3, 3))
row("householder_product", lambda m, a, t: m.linalg.householder_product(a, t), normal(4, 3),
    normal(2))  # fmt: skip
row("lstsq", lambda m, a, b: m.linalg.lstsq(a, b).solution, normal(4, 2), normal(4, 3))
row("tensorinv", lambda m, a: m.linalg.tensorinv(a.reshape(2, 2, 4)), invertible(4, 4))
row("tensorsolve", lambda m, a, b: m.linalg.tensorsolve(a.reshape(2, 2, 4), b), invertible(4, 4),
    normal(2, 2))  # fmt: skip
for kind in ("fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf):
    row(f"matrix_norm {kind}", lambda m, a, k=kind: m.linalg.matrix_norm(a, k), distinct(2, 3, 4),
        twice=False)  # fmt: skip
for kind in (None, 2, -2):
    row(f"cond {kind}", lambda m, a, k=kind: m.linalg.cond(a, k), invertible(3, 3), twice=False)

# ------------------------------------------------------------------------------------ the machinery


def made(r: Row, dtype: str) -> list[np.ndarray]:
    random = np.random.default_rng(zlib.crc32(r.name.encode()))
    return [
        x.astype(dtype, order="K", copy=False) if x.dtype.kind == "f" else x
        for x in (maker(random) for maker in r.inputs)
    ]


def tensors(m: Any, arrays: list[np.ndarray]) -> list[Any]:
    found = [m.from_numpy(a.copy(order="K")) for a in arrays]
    return [x.requires_grad_() if x.is_floating_point() else x for x in found]


def listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def shown(x: Any) -> np.ndarray:
    return x.detach().numpy(force=True)


def agree(ours: Any, theirs: Any, dtype: str, what: str) -> None:
    """Same dtype, shape and values (a missing gradient is zero)."""
    if not isinstance(ours, tinynet.Tensor):
        assert ours == theirs, what
        return
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1], what
    a, b = shown(ours), shown(theirs)
    assert a.shape == b.shape, what
    tolerance = 1e-9 if dtype == "float64" and a.dtype != np.float32 else 2e-4
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


def gradients(m: Any, outputs: list[Any], xs: list[Any], vs: list[Any], create: bool) -> list[Any]:
    found = m.autograd.grad(
        outputs, xs, vs, create_graph=create, retain_graph=True, allow_unused=True
    )
    return [m.zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)]


def called(m: Any, arrays: list[np.ndarray], r: Row) -> tuple[list[Any], list[Any]]:
    """(inputs that require a gradient, outputs) of a row's call in one framework."""
    xs = tensors(m, arrays)
    return [x for x in xs if x.requires_grad], listed(r.call(m, *xs))


IDS = [r.name for r in ROWS]


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's own, of what is old or new
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("r", ROWS, ids=IDS)
def test_agrees_with_pytorch(r: Row, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    arrays = made(r, dtype)
    (xs, ys), (xt, yt) = called(tinynet, arrays, r), called(torch, arrays, r)
    assert len(ys) == len(yt)
    for y, t in zip(ys, yt, strict=True):
        agree(y, t, dtype, "value")
    pairs = [(y, t) for y, t in zip(ys, yt, strict=True) if isinstance(t, torch.Tensor)]
    for y, t in pairs:
        assert y.requires_grad == t.requires_grad
    pairs = [(y, t) for y, t in pairs if t.requires_grad]
    if not pairs:
        return
    random = np.random.default_rng(1)
    cotangents = [random.standard_normal(t.shape).astype(shown(t).dtype) for _, t in pairs]
    vs, vt = tensors(tinynet, cotangents), tensors(torch, cotangents)
    first = gradients(tinynet, [y for y, _ in pairs], xs, vs, True)
    first_t = gradients(torch, [t for _, t in pairs], xt, vt, True)
    for g, t in zip(first, first_t, strict=True):
        agree(g, t, dtype, "gradient")
    # The second derivative: of the gradients, with respect to inputs and cotangents.
    double = [(g, t) for g, t in zip(first, first_t, strict=True) if t.requires_grad]
    if not double or not r.twice:
        return
    cotangents = [random.standard_normal(t.shape).astype(shown(t).dtype) for _, t in double]
    ws, wt = tensors(tinynet, cotangents), tensors(torch, cotangents)
    second = gradients(tinynet, [g for g, _ in double], xs + vs, ws, False)
    second_t = gradients(torch, [t for _, t in double], xt + vt, wt, False)
    for g, t in zip(second, second_t, strict=True):
        agree(g, t, dtype, "second gradient")


SMOOTH = [r for r in ROWS if r.smooth]


@pytest.mark.parametrize("r", SMOOTH, ids=[r.name for r in SMOOTH])
def test_agrees_with_finite_differences(r: Row) -> None:
    xs = tensors(tinynet, made(r, "float64"))
    outputs = [y for y in listed(r.call(tinynet, *xs)) if isinstance(y, tinynet.Tensor)]
    if not any(y.requires_grad for y in outputs):
        assert all(y.dtype.is_floating_point is False for y in outputs) or not any(
            x.requires_grad for x in xs
        )
        return
    assert gradcheck(lambda *a: r.call(tinynet, *a), tuple(xs))


def test_every_operation_has_a_row() -> None:
    words = {r.name.split()[0] for r in ROWS}
    modules = {m.__name__ for m in (
        arithmetic, elementwise, factorization, indexing, linalg, older, order, pointwise,
        products, reduction, scattering, shape, special, statistics, window,
    )}  # fmt: skip
    names: dict[Any, set[str]] = {}
    for owner in (tinynet, tinynet.Tensor):
        for name, value in vars(owner).items():
            in_table = not name.startswith("_") and not name.endswith("_")  # in-place: elsewhere
            if in_table and inspect.isfunction(value) and value.__module__ in modules:
                names.setdefault(inspect.unwrap(value), set()).add(name)
    assert [sorted(n) for n in names.values() if not n & words] == []
