"""Every differentiable operation of tinynet, called on small awkward inputs.

The table has three readers: `tinynet gradcheck`, which prints it with each verdict; the tests,
which fail if an operation is recorded by none of its rows; and the mutants, which break each
operation and demand that its rows notice.

A row is one call with float64 inputs away from kinks. What it covers is not declared but observed:
the operations that the tape records while it runs, its backward pass included.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

import tinynet
import tinynet.kernels as kernels
import tinynet.linalg as linalg_of

from .. import ops
from ..autograd import tape
from ..autograd.gradcheck import Report, check
from ..kernels.pool2d.dims import Pool2dDims
from ..nn import functional as F
from ..ops import arithmetic, indexing, linalg, pooling, reduction, special
from ..ops import dropout as dropping
from ..tensor import Tensor

Maker = Callable[[np.random.Generator], Any]

NUMPY = "numpy"  # the backend of an operation that has no kernels


@dataclass(frozen=True)
class Operation:
    """One row: a call and how to make its inputs."""

    name: str
    call: Callable[..., Any]
    makers: tuple[Maker, ...]
    kernels: bool = False  # runs kernels: checked on each backend
    flat: bool = False  # its derivative is 0 wherever it exists
    orders: tuple[int, ...] = (1, 2)
    eps: float = 1e-6
    atol: float = 1e-6
    rtol: float = 1e-4

    @property
    def backends(self) -> tuple[str, ...]:
        """Where the row is checked."""
        return kernels.BACKENDS if self.kernels else (NUMPY,)

    def inputs(self) -> tuple[Any, ...]:
        """Fresh tensors, the same each time; those of floating point require a gradient."""
        random = np.random.default_rng(zlib.crc32(self.name.encode()))
        arrays = [np.array(make(random)) for make in self.makers]
        return tuple(tinynet.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays)

    def check(self, order: int = 1, backend: str = NUMPY, **settings: Any) -> Report:
        """Check the derivative of this order on a backend; `settings` as those of `check`."""
        chosen = {"eps": self.eps, "atol": self.atol, "rtol": self.rtol, "order": order}
        with kernels.use(None if backend == NUMPY else backend):
            return check(self.call, self.inputs(), **(chosen | settings))


# ------------------------------------------------------------------------------------------ inputs


def normal(*size: int) -> Maker:
    """Standard normal numbers."""
    return lambda random: random.standard_normal(size)


def within(low: float, high: float, *size: int) -> Maker:
    """Uniform numbers."""
    return lambda random: random.uniform(low, high, size)


def apart(*size: int) -> Maker:
    """Numbers of both signs, none within 0.1 of another or of 0: no ties, no corners."""
    n = prod(size)
    return lambda random: (random.permutation(n).reshape(size) - n // 2 + 0.5) * 0.3


def invertible(*size: int) -> Maker:
    """Matrices far from singular."""
    return lambda random: random.standard_normal(size) + 3 * np.eye(size[-1])


def labels(classes: int, *size: int) -> Maker:
    """Integers below `classes`."""
    return lambda random: random.integers(0, classes, size)


def given(*values: Any) -> Maker:
    """These values."""
    return lambda random: np.array(values)


# ------------------------------------------------------------------------------------------- calls


def _named(name: str, *arguments: Any, **keywords: Any) -> Callable[..., Any]:
    return lambda *xs: getattr(tinynet, name)(*xs, *arguments, **keywords)


def _functional(name: str, *arguments: Any, **keywords: Any) -> Callable[..., Any]:
    return lambda *xs: getattr(F, name)(*xs, *arguments, **keywords)


def _assigned(x: Tensor, value: Tensor) -> Tensor:
    y = x.clone()
    y[1:, [2, 0]] = value
    return y


def _in_place_view(x: Tensor, value: Tensor) -> Tensor:
    y = x.clone()
    y[1].mul_(value)
    return y


def _running(x: Tensor, weight: Any = None, bias: Any = None) -> Tensor:
    mean, var = tinynet.tensor([0.3, -0.2]).double(), tinynet.tensor([0.7, 1.4]).double()
    return F.batch_norm(x, mean, var, weight, bias, training=False)


def _gathered(x: Tensor) -> Tensor:
    """What the derivative of max pooling's derivative does, called by itself."""
    backend = kernels.of(x.array).pool2d
    dims = Pool2dDims.of(x.array.shape, kernel_size=2, stride=1)
    _, winners = backend.max_forward(x.array, dims=dims)
    return pooling.max_pool2d_gather(x * x, winners=winners, dims=dims, backend=backend)


def _plane_gathered(x: Tensor) -> Tensor:
    """The same of adaptive max pooling."""
    index = np.array([[0, 5, 5, 11], [1, 1, 6, 7]])
    return pooling.plane_gather(x * x, index=index, window=(2, 2))


def _rows() -> Iterator[Operation]:
    two = normal(2, 3), normal(2, 3)
    for name in ("add", "sub", "mul", "div", "atan2"):
        yield Operation(name, _named(name), two)
        yield Operation(f"{name} broadcast", _named(name), (normal(2, 1, 3), normal(4, 1)))
    for name in ("maximum", "minimum"):
        yield Operation(name, lambda x, n=name: getattr(tinynet, n)(x[0], x[1]), (apart(2, 5),))
        yield Operation(
            f"{name} broadcast",
            lambda x, n=name: getattr(tinynet, n)(x[:3, None], x[3:]),
            (apart(7),),
        )
    for name in ("remainder", "fmod"):
        yield Operation(name, _named(name), (given(2.3, -3.1, 5.2), given(0.7, 0.9, -1.1)))
    yield Operation("neg", lambda x: -x, (normal(3),))
    yield Operation("abs", _named("abs"), (apart(2, 3),))
    for exponent in (2, 3, 0.5, -1.5):
        yield Operation(f"pow {exponent}", lambda x, p=exponent: x**p, (within(0.5, 1.5, 2, 3),))
    yield Operation("pow 0", lambda x: x**0, (normal(3),), flat=True)
    yield Operation("pow tensor", _named("pow"), (within(0.5, 1.5, 2, 3), normal(3)))
    exponents, bases = tinynet.tensor([0.0, 3.0, 1.0]), tinynet.tensor([0.0, 0.0, 1.5])
    yield Operation(
        "pow of zeros", lambda x: tinynet.pow(x, exponents.double()), (given(0.0, 0.0, 1.3),)
    )
    yield Operation(
        "pow from zero",
        lambda y: tinynet.pow(bases.double(), y),
        (given(2.0, 0.5, 0.7),),
    )
    yield Operation(
        "pow with exponents 0 and 1", _named("pow"), (given(1.3, 0.7, 1.9), given(0.0, 1.0, 2.0))
    )
    yield Operation("clamp", lambda x: x.clamp(-0.5, 0.4), (apart(3, 4),))
    yield Operation(
        "where", lambda x, y: tinynet.where(x.detach() > 0, x, y), (apart(2, 1), normal(2, 3))
    )
    yield Operation(
        "cast", lambda x: x.float().double() * x, (normal(3),), eps=1e-2, atol=1e-4, rtol=1e-3
    )
    yield Operation("cast to itself", lambda x: arithmetic.cast(x, dtype=np.float64), (normal(3),))
    for name in ("floor", "ceil", "trunc", "round", "sign"):
        yield Operation(name, _named(name), (apart(4),), flat=True, orders=(1,))

    for name, low, high in (
        ("exp", -2, 2), ("exp2", -2, 2), ("expm1", -2, 2), ("log", 0.3, 3), ("log2", 0.3, 3),
        ("log10", 0.3, 3), ("log1p", -0.5, 3), ("sqrt", 0.3, 3), ("rsqrt", 0.3, 3),
        ("reciprocal", 0.4, 3), ("square", -2, 2), ("tanh", -2, 2), ("sigmoid", -3, 3),
        ("acosh", 1.3, 3),
        ("sin", -3, 3), ("cos", -3, 3), ("tan", -1, 1), ("asin", -0.8, 0.8), ("acos", -0.8, 0.8),
        ("atan", -3, 3), ("sinh", -2, 2), ("cosh", -2, 2), ("asinh", -2, 2), ("atanh", -0.8, 0.8),
        ("erf", -2, 2),
    ):  # fmt: skip
        yield Operation(name, _named(name), (within(low, high, 2, 2),))

    yield from _special()
    for name in ("sum", "mean", "var", "std", "amax", "amin", "logsumexp"):
        maker = apart(2, 3, 2)
        yield Operation(f"{name} (0, 2)", _named(name, (0, 2)), (maker,))
        yield Operation(f"{name} keepdim", _named(name, 1, keepdim=True), (maker,))
    for name in ("sum", "mean", "prod", "amax", "max", "min", "std", "var"):
        yield Operation(f"{name} of everything", _named(name), (apart(2, 3),))
    yield Operation("prod dim", _named("prod", 1), (normal(2, 4),))
    yield Operation("prod with a zero", _named("prod", 0), (given(2.0, 0.0, 3.0),))
    yield Operation("max dim", lambda x: x.max(1)[0], (apart(3, 4),))
    yield Operation("median", lambda x: x.median(0)[0], (apart(5, 2),))
    yield Operation("sort", lambda x: x.sort(1)[0], (apart(2, 4),))
    yield Operation("cumsum", _named("cumsum", 1), (normal(2, 4),))
    yield Operation("cumprod", _named("cumprod", 1), (normal(2, 4),))
    yield Operation("cumprod with a zero", _named("cumprod", 0), (given(2.0, 0.0, 3.0, 1.5),))
    for p in (1, 2, 3, 0.5):
        yield Operation(
            f"norm p={p}", lambda x, p=p: reduction.vector_norm(x, p, 1), (apart(2, 4),)
        )

    for p in (2, 3):
        yield Operation(
            f"norm p={p} is 1", lambda x, p=p: reduction.vector_norm(x, p), (given(0.0, -1.0, 0.0),)
        )

    yield Operation("reshape", lambda x: x.reshape(3, 2) * x.reshape(3, 2), (normal(2, 3),))
    yield Operation("view", lambda x: x.view(-1).exp(), (normal(2, 3),))
    yield Operation("expand", lambda x: x.expand(4, 2, 3), (normal(2, 1),))
    yield Operation("expand in front", lambda x: x.expand(4, 2, 3), (normal(2, 3),))
    yield Operation("permute", lambda x: x.permute(2, 0, 1), (normal(2, 3, 2),))
    yield Operation("cat", lambda x, y: tinynet.cat([x, y, x], 1), (normal(2, 3), normal(2, 1)))
    yield Operation("stack", lambda x, y: tinynet.stack([x, y, x], 1), two)
    yield Operation("clone", lambda x: x.clone(), (normal(3),))
    rows = tinynet.contiguous_format
    yield Operation("clone, contiguous", lambda x: x.clone(memory_format=rows), (normal(3),))
    yield Operation(
        "to a device", lambda x: arithmetic.to_device(x, device=x.device) * 1, (normal(3),)
    )
    yield Operation("flip", lambda x: x.flip(0, 1), (normal(2, 3),))
    yield Operation("roll", lambda x: x.roll((1, -1), (0, 1)), (normal(2, 3),))
    yield Operation("repeat", lambda x: x.repeat(2, 1, 3), (normal(2, 3),))
    yield Operation("tril", lambda x: x.tril(-1), (normal(3, 3),))
    yield Operation("triu", lambda x: x.triu(1), (normal(2, 4),))
    yield Operation("diagonal", lambda x: x.diagonal(1), (normal(3, 4),))
    yield Operation("diag_embed", lambda x: tinynet.diag_embed(x, -1), (normal(2, 3),))
    yield Operation("unfold overlapping", lambda x: x.unfold(0, 3, 2), (normal(7),))
    yield Operation("unfold", lambda x: x.unfold(1, 2, 3), (normal(2, 6),))
    yield Operation("split", lambda x: x.split(2), (normal(5, 2),))
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield Operation(f"pad {mode}", _functional("pad", (2, 1), mode=mode), (normal(1, 2, 3),))

    yield Operation("x[1, ::2]", lambda x: x[1, ::2], (normal(2, 5),))
    yield Operation("x[[1, 1, 0]]", lambda x: x[[1, 1, 0]], (normal(2, 3),))
    yield Operation("x[mask]", lambda x: x[x.detach() > 0], (apart(3, 4),))
    yield Operation("x[i, :, j]", lambda x: x[[0, 1, 0], :, [2, 2, 2]], (normal(2, 2, 3),))
    yield Operation("x[key] = v", _assigned, (normal(3, 3), normal(2, 2)))
    yield Operation("x[1].mul_(v)", _in_place_view, (normal(3, 2), normal(2)))
    last = tinynet.channels_last
    yield Operation("contiguous", lambda x: x.contiguous(memory_format=last), (normal(2, 3, 2, 2),))
    yield Operation("x.relu_()", lambda x: (x * 1).relu_(), (apart(2, 4),))
    index = tinynet.tensor([[0, 0, 2], [1, 1, 1]])
    yield Operation(
        "interpolate bilinear",
        _functional("interpolate", size=(3, 5), mode="bilinear"),
        (normal(1, 2, 4, 3),),
    )
    yield Operation(
        "interpolate nearest",
        _functional("interpolate", scale_factor=(2, 0.7)),
        (normal(1, 2, 2, 3),),
    )
    yield Operation("gather", lambda x: x.gather(1, index), (normal(2, 3),))
    yield Operation("scatter_add", lambda x, y: x.scatter_add(1, index, y), two)
    yield Operation(
        "index_put",
        lambda x, v: indexing.index_put(x, v, key=indexing.array_key([2, 0, 2], x.array)),
        (normal(3, 2), normal(2)),
    )
    yield Operation(
        "index_put with extra sizes of 1",
        lambda x, v: indexing.index_put(x, v, key=indexing.array_key(1, x.array)),
        (normal(3, 4), normal(1, 1, 4)),
    )
    yield Operation("masked_fill", lambda x: x.masked_fill(x.detach() > 0, 2.0), (apart(5),))

    for name, a, b in (
        ("matrices", (2, 3), (3, 4)), ("square", (3, 3), (3, 3)), ("vectors", (3,), (3,)),
        ("matrix vector", (2, 3), (3,)), ("vector matrix", (3,), (3, 2)),
        ("batches", (2, 1, 2, 3), (3, 3, 2)),
        ("rows", (2, 2, 3), (3, 4)),
    ):  # fmt: skip
        yield Operation(f"matmul {name}", _named("matmul"), (normal(*a), normal(*b)), True)
    linear = (normal(4, 3), normal(2, 3), normal(2))
    yield Operation("linear", F.linear, linear, True)
    yield Operation("linear, one operation", linalg.linear, linear, True)
    yield Operation(
        "einsum",
        lambda x, y: tinynet.einsum("bij,bjk->ik", x, y),
        (normal(2, 2, 3), normal(2, 3, 2)),
    )
    yield Operation("inv", linalg.inv, (invertible(2, 3, 3),))
    yield Operation("solve", linalg.solve, (invertible(3, 3), normal(3, 2)))
    yield Operation("solve vector", linalg.solve, (invertible(3, 3), normal(3)))
    yield Operation("det", linalg.det, (invertible(2, 3, 3),))
    yield Operation("slogdet", lambda a: linalg.slogdet(a)[1], (invertible(3, 3),))
    yield from _factorizations()

    yield Operation(
        "bilinear", F.bilinear, (normal(3, 2), normal(3, 3), normal(2, 2, 3), normal(2))
    )
    for name, keywords, maker in (
        ("relu", {}, apart(2, 4)), ("leaky_relu", {"negative_slope": 0.2}, apart(2, 4)),
        ("elu", {"alpha": 1.3}, apart(2, 4)), ("selu", {}, apart(2, 3)), ("celu", {}, apart(2, 3)),
        ("gelu", {}, normal(2, 3)), ("gelu", {"approximate": "tanh"}, normal(2, 3)),
        ("silu", {}, normal(2, 3)), ("mish", {}, normal(2, 3)),
        ("hardtanh", {"min_val": -0.5, "max_val": 0.7}, apart(2, 4)), ("relu6", {}, apart(5, 4)),
        ("hardsigmoid", {}, normal(2, 3)), ("hardswish", {}, normal(2, 3)),
        ("softplus", {"beta": 2.0, "threshold": 1.0}, apart(2, 4)),
        ("threshold", {"threshold": -0.5, "value": 2.0}, apart(2, 4)),
        ("hardshrink", {"lambd": 0.5}, apart(2, 4)), ("softshrink", {"lambd": 0.5}, apart(2, 4)),
        ("logsigmoid", {}, normal(2, 3)), ("softsign", {}, apart(2, 3)),
        ("tanhshrink", {}, normal(2, 3)), ("glu", {"dim": 1}, normal(2, 4)),
    ):  # fmt: skip
        title = name + "".join(f" {v}" for v in keywords.values())
        yield Operation(title, _functional(name, **keywords), (maker,))
    yield Operation("prelu", F.prelu, (apart(2, 3, 2), within(0.1, 0.4, 3)))
    for name in ("softmax", "log_softmax", "softmin"):
        yield Operation(name, _functional(name, dim=1), (normal(2, 3, 2),))
    yield Operation(
        "softmax far apart",
        _functional("softmax", dim=1),
        (given([100.0, 101.0, 99.5], [0.1, 0.2, -0.3]),),
    )
    yield Operation("normalize", F.normalize, (normal(2, 3),))
    yield Operation("dropout", _functional("dropout", 0.4), (apart(3, 5),), True)
    yield Operation(
        "dropout with a key", lambda x: dropping.dropout(x, p=0.3, key=7), (apart(3, 5),), True
    )
    yield Operation("alpha_dropout", _functional("alpha_dropout", 0.4), (apart(3, 5),), True)
    yield Operation("dropout2d", _functional("dropout2d", 0.4), (apart(2, 3, 2),), True)
    yield from _convolutions()
    yield from _pooling()
    yield from _normalisation()
    yield from _losses()
    yield from _other_convolutions()
    yield from _other_pooling()
    yield from _other_losses()
    yield from _sampling()
    yield from _sequences()


def _convolutions() -> Iterator[Operation]:
    for name, x, w, keywords in (
        ("3x3", (2, 2, 4, 5), (3, 2, 3, 3), {"padding": 1}),
        ("1x1", (2, 3, 3, 2), (4, 3, 1, 1), {}),
        ("kernel is the image", (2, 2, 3, 4), (3, 2, 3, 4), {}),
        ("stride does not divide", (1, 2, 7, 6), (2, 2, 3, 2),
         {"stride": (2, 3), "padding": (1, 2)}),
        ("stride above kernel", (1, 2, 7, 7), (2, 2, 2, 1), {"stride": (3, 4)}),
        ("dilated", (1, 2, 7, 6), (2, 2, 2, 3), {"dilation": (3, 2), "padding": 1}),
        ("groups, dilated, strided", (1, 4, 6, 5), (6, 2, 2, 3),
         {"stride": 2, "padding": 2, "dilation": (2, 1), "groups": 2}),
        ("depthwise", (2, 3, 4, 4), (3, 1, 3, 3), {"padding": "same", "groups": 3}),
        ("square kernel, one channel", (1, 1, 4, 4), (1, 1, 2, 2), {}),
    ):  # fmt: skip
        call = _functional("conv2d", **keywords)
        yield Operation(f"conv2d {name}", call, (normal(*x), normal(*w), normal(w[0])), True)
    yield Operation(
        "conv2d and relu at once",
        lambda x, w, bias: F._conv2d(x, w, bias, 1, 0, 1, 1, rectified=True),
        (normal(1, 2, 3, 3), within(-0.5, 0.5, 3, 2, 2, 2), given(5.0, -5.0, 5.0)),
        True,
    )


def _special() -> Iterator[Operation]:
    """Functions beyond arithmetic, of one number and of two."""
    for name, low, high in (
        ("erfc", -2, 2), ("erfinv", -0.8, 0.8), ("lgamma", 0.3, 3), ("digamma", 0.4, 3),
        ("i0", -2, 2),
    ):  # fmt: skip
        yield Operation(name, _named(name), (within(low, high, 2, 2),))
    for name, low, high in (
        ("i1", -2, 2), ("i0e", 0.3, 2), ("i1e", -2, -0.3), ("log_ndtr", -2, 2),
        ("ndtri", 0.2, 0.8),
    ):  # fmt: skip
        call = getattr(special, name)
        yield Operation(name, lambda x, call=call: call(x), (within(low, high, 2, 2),))
    yield Operation("i1 at 0", special.i1, (given(0.0),), orders=(1,))
    yield Operation("i1e near 0", special.i1e, (given(1e-3),), orders=(1,), eps=1e-7)
    for n in (1, 2):
        yield Operation(
            f"polygamma {n}", lambda x, n=n: tinynet.polygamma(n, x), (within(0.6, 3, 2, 2),)
        )
    signs = tinynet.tensor([-1.0, 2.0, -3.0], dtype=tinynet.float64)
    yield Operation("copysign", lambda x: tinynet.copysign(x, signs), (apart(2, 3),))
    yield Operation("hypot", _named("hypot"), (normal(2, 3), normal(3)))
    yield Operation(
        "hypot at 0",
        lambda x: tinynet.hypot(x, tinynet.tensor([1.0, -2.0], dtype=tinynet.float64)),
        (given(0.0, 0.7),),
    )
    yield Operation("logaddexp", _named("logaddexp"), (normal(2, 3), normal(3)))
    yield Operation("xlogy", _named("xlogy"), (normal(2, 3), within(0.4, 2, 3)))
    yield Operation(
        "xlogy of 0",
        lambda y: tinynet.xlogy(tinynet.tensor([0.0, 1.0], dtype=tinynet.float64), y),
        (given(0.5, 1.5),),
    )
    for mode in ("floor", "trunc"):
        yield Operation(
            f"div {mode}",
            lambda x, y, mode=mode: tinynet.div(x, y, rounding_mode=mode),
            (given(2.3, -3.1), given(0.7, 0.9)),
            flat=True,
            orders=(1,),
        )
    yield Operation("logcumsumexp", _named("logcumsumexp", 1), (normal(2, 4),))
    yield Operation(
        "as_strided", lambda x: x.as_strided((3, 3), (1, 2), 1) * x.sum(), (normal(2, 4),)
    )
    yield Operation(
        "as_strided_scatter",
        lambda x, y: tinynet.as_strided_scatter(x, y, (2,), (3,), 1) * x.sum(),
        (normal(2, 3), normal(2)),
    )


def _factorizations() -> Iterator[Operation]:
    yield Operation("cholesky", lambda a: linalg_of.cholesky(a @ a.mT), (invertible(2, 3, 3),))
    for name, size in (("tall", (4, 3)), ("square", (3, 3)), ("wide", (2, 3, 4))):
        yield Operation(f"qr {name}", lambda a: tuple(linalg_of.qr(a)), (normal(*size),))
        yield Operation(
            f"svd {name}",
            lambda a: _without_signs(*linalg_of.svd(a, full_matrices=False)),
            (normal(*size),),
        )
    yield Operation("svdvals", linalg_of.svdvals, (normal(2, 3, 2),))
    yield Operation("eigh", lambda a: _without_signs(*linalg_of.eigh(a + a.mT)), (normal(2, 3, 3),))
    yield Operation("eigvalsh", lambda a: linalg_of.eigvalsh(a + a.mT), (normal(3, 3),))
    yield Operation("lu", lambda a: tuple(linalg_of.lu(a))[1:], (normal(2, 3, 4),))
    for name, size in (("tall", (2, 4, 2)), ("wide", (2, 3))):
        yield Operation(f"pinv {name}", linalg_of.pinv, (normal(*size),))
    yield Operation("matrix_exp", linalg_of.matrix_exp, (normal(2, 3, 3),))


def _without_signs(*parts: Tensor) -> tuple[Tensor, ...]:
    """Vectors may point either way: their squares do not."""
    return tuple(v * v if v.ndim > 1 else v for v in parts)


Call = tuple[str, tuple[int, ...], tuple[Any, ...], dict[str, Any]]


def _pooling() -> Iterator[Operation]:
    largest: tuple[Call, ...] = (
        ("", (2, 2, 5, 4), (2,), {}),
        (" overlapping", (1, 2, 5, 6), ((3, 2), (1, 2), 1), {"ceil_mode": True}),
        (" dilated", (1, 1, 5, 6), (2, 1, 0, 2), {}),
        (" stride above kernel", (1, 2, 6, 7), (2, 3), {}),
    )
    for name, x, arguments, keywords in largest:
        call = _functional("max_pool2d", *arguments, **keywords)
        yield Operation(f"max_pool2d{name}", call, (apart(*x),), True)
    yield Operation(
        "max_pool2d with indices",
        lambda x: F.max_pool2d(x, 2, 1, return_indices=True)[0],
        (apart(1, 2, 3, 4),),
        True,
    )
    for output, x in (((3, 2), (1, 2, 5, 3)), ((2, 2), (2, 1, 4, 6))):
        call = _functional("adaptive_max_pool2d", output)
        yield Operation(f"adaptive_max_pool2d {output}", call, (apart(*x),), True)
    yield Operation("plane_gather", _plane_gathered, (normal(2, 3, 4),))
    yield Operation(
        "lp_pool2d", _functional("lp_pool2d", 3.0, 2), (within(0.3, 2, 1, 2, 4, 5),), True
    )
    yield Operation("max_pool2d_gather", _gathered, (apart(1, 2, 3, 4),), True)
    means: tuple[Call, ...] = (
        ("", (2, 2, 5, 4), (2,), {}),
        (" padded", (1, 2, 5, 6), (3, 2, 1, True, False), {}),
        (" counting the padding", (1, 1, 4, 6), ((3, 2), 2, (1, 0), True, True), {}),
        (" counting both paddings", (1, 1, 6, 4), ((2, 3), 2, 1, True, True), {}),
        (" divisor", (1, 2, 4, 5), ((2, 3), 1), {"divisor_override": 5}),
    )
    for name, x, arguments, keywords in means:
        call = _functional("avg_pool2d", *arguments, **keywords)
        yield Operation(f"avg_pool2d{name}", call, (normal(*x),), True)
    yield Operation(
        "adaptive_avg_pool2d", _functional("adaptive_avg_pool2d", (3, 2)), (normal(1, 2, 7, 5),)
    )


def _normalisation() -> Iterator[Operation]:
    def call(x: Tensor, weight: Any = None, bias: Any = None) -> Tensor:
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=1e-3)

    affine = normal(2), normal(2)
    yield Operation("batch_norm", call, (normal(3, 2, 2, 2), *affine), True)
    yield Operation("batch_norm (N, C)", call, (normal(4, 2), *affine), True)
    yield Operation("batch_norm plain", call, (normal(3, 2, 2),), True)
    yield Operation("batch_norm one image", call, (normal(1, 2, 3, 2), *affine), True)
    yield Operation("batch_norm one channel", call, (normal(3, 1, 2, 3),), True)
    yield Operation(
        "layer_norm",
        lambda x, *affine: F.layer_norm(x, (3, 2), *affine),
        (normal(2, 3, 2), normal(3, 2), normal(3, 2)),
        True,
    )
    yield Operation(
        "group_norm",
        lambda x, *affine: F.group_norm(x, 2, *affine),
        (normal(2, 4, 3), normal(4), normal(4)),
        True,
    )
    yield Operation(
        "instance_norm",
        lambda x, *affine: F.instance_norm(x, None, None, *affine),
        (normal(2, 2, 3, 2), *affine),
        True,
    )
    yield Operation(
        "local_response_norm",
        _functional("local_response_norm", 4, alpha=0.5, beta=0.7),
        (normal(2, 5, 2),),
    )
    yield Operation("batch_norm, evaluation", _running, (normal(3, 2, 2), *affine), True)
    yield Operation("batch_norm, evaluation, plain", _running, (normal(3, 2, 2),), True)


def _losses() -> Iterator[Operation]:
    pair = normal(2, 3), normal(2, 3)
    yield Operation("mse_loss", F.mse_loss, pair)
    yield Operation("mse_loss none", _functional("mse_loss", reduction="none"), pair)
    yield Operation("l1_loss", lambda x: F.l1_loss(x[0], x[1]), (apart(2, 5),))
    yield Operation("smooth_l1_loss", lambda x: F.smooth_l1_loss(x[0], x[1]), (apart(2, 5),))
    yield Operation("huber_loss", lambda x: F.huber_loss(x[0], x[1], delta=0.7), (apart(2, 5),))
    probabilities = within(0.2, 0.8, 2, 3)
    yield Operation("binary_cross_entropy", F.binary_cross_entropy, (probabilities, probabilities))
    yield Operation(
        "binary_cross_entropy_with_logits",
        F.binary_cross_entropy_with_logits,
        (normal(2, 3), probabilities),
    )
    certain = tinynet.tensor([1e-60, 1.0, 0.3], dtype=tinynet.float64)
    yield Operation(
        "binary_cross_entropy, certain",
        lambda t: F.binary_cross_entropy(certain, t),
        (within(0.2, 0.8, 3),),
    )
    scores, target = normal(4, 3), labels(3, 4)
    yield Operation("cross_entropy", F.cross_entropy, (scores, target), True)
    yield Operation(
        "cross_entropy none", _functional("cross_entropy", reduction="none"), (scores, target), True
    )
    yield Operation(
        "cross_entropy sum", _functional("cross_entropy", reduction="sum"), (scores, target), True
    )
    yield Operation(
        "cross_entropy ignored, mean",
        lambda x: F.cross_entropy(x, tinynet.tensor([0, -1, 1]), ignore_index=-1),
        (normal(3, 3),),
        True,
    )
    yield Operation(
        "cross_entropy ignored, none",
        lambda x: F.cross_entropy(x, tinynet.tensor([0, -1, 1]), ignore_index=-1, reduction="none"),
        (normal(3, 3),),
        True,
    )
    yield Operation(
        "cross_entropy of large scores",
        F.cross_entropy,
        (given([800.0, 801.0, 799.5], [-900.2, -900.0, -901.0]), given(2, 0)),
        True,
    )
    yield Operation(
        "cross_entropy ignored, smoothed",
        lambda x, w: F.cross_entropy(
            x, tinynet.tensor([0, 2, -1, 1]), w, ignore_index=-1, label_smoothing=0.2
        ),
        (scores, within(0.5, 2, 3)),
        True,
    )
    yield Operation(
        "cross_entropy images", F.cross_entropy, (normal(2, 3, 2, 2), labels(3, 2, 2, 2)), True
    )
    yield Operation("cross_entropy of probabilities", F.cross_entropy, pair)
    yield Operation("nll_loss", F.nll_loss, (scores, target))
    yield Operation("kl_div", _functional("kl_div", reduction="sum"), (normal(2, 3), probabilities))


def _other_convolutions() -> Iterator[Operation]:
    calls: tuple[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
        ("conv1d", (2, 4, 6), (2, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
        ("conv3d", (1, 1, 3, 3, 2), (1, 1, 2, 2, 2), {"stride": (1, 2, 1), "padding": (1, 0, 1)}),
        ("conv_transpose1d", (1, 2, 3), (2, 2, 3), {"stride": 2, "output_padding": 1}),
        ("conv_transpose2d", (1, 4, 2, 3), (4, 1, 2, 3),
         {"stride": (2, 1), "padding": (0, 1), "output_padding": (1, 0), "groups": 2}),
        ("conv_transpose2d, further rows", (1, 2, 2, 2), (2, 1, 2, 2),
         {"stride": 1, "dilation": 2, "output_padding": 1}),
        ("conv_transpose3d", (1, 2, 2, 2, 2), (2, 1, 2, 2, 2), {"stride": (2, 1, 1)}),
    )  # fmt: skip
    for name, x, w, keywords in calls:
        function = name.partition(",")[0]
        channels = w[0] if function in ("conv1d", "conv3d") else w[1] * keywords.get("groups", 1)
        makers = normal(*x), normal(*w), normal(channels)
        yield Operation(name, _functional(function, **keywords), makers)
    windows = {"kernel_size": (2, 3), "dilation": (2, 1), "padding": (1, 0), "stride": (1, 2)}
    yield Operation("unfold windows", _functional("unfold", **windows), (normal(1, 2, 4, 5),))
    columns = normal(1, 12, 4 * 2)
    yield Operation("fold", _functional("fold", output_size=(4, 5), **windows), (columns,))


def _other_pooling() -> Iterator[Operation]:
    line, volume = (1, 2, 7), (1, 1, 3, 2, 4)
    samples = tinynet.tensor([[[0.3, 0.7]]])
    deep = tinynet.tensor([[[0.2, 0.6, 0.4]]])
    for name, shape, arguments, keywords in (
        ("max_pool1d", line, (3, 2, 1), {}),
        ("max_pool3d", volume, ((2, 2, 3), 1), {}),
        ("avg_pool1d", line, (3, 2, 1), {"count_include_pad": False}),
        ("avg_pool3d", volume, (2, 1, 1), {"divisor_override": 5}),
        ("adaptive_max_pool1d", line, (3,), {}),
        ("adaptive_max_pool3d", volume, ((2, 2, 3),), {}),
        ("adaptive_avg_pool1d", line, (3,), {}),
        ("adaptive_avg_pool3d", volume, ((2, 1, 3),), {}),
        ("fractional_max_pool2d", (1, 1, 5, 6), (2, (3, 2)), {"_random_samples": samples}),
        ("fractional_max_pool3d", (1, 1, 3, 4, 4), (2, (2, 2, 3)), {"_random_samples": deep}),
    ):  # fmt: skip
        call = _functional(name, *arguments, **keywords)
        yield Operation(name, call, (apart(*shape),))
    for axes, shape in ((1, (1, 2, 6)), (3, (1, 1, 2, 4, 2))):
        call = _functional(f"lp_pool{axes}d", 3.0, 2)
        yield Operation(f"lp_pool{axes}d", call, (within(0.3, 2, *shape),))
    for axes in (1, 2, 3):
        index = tinynet.tensor([[1, 3]]).reshape(1, 1, 2, *(1,) * (axes - 1))

        def unpooled(x: Tensor, axes: int = axes, index: Any = index) -> Tensor:
            return getattr(F, f"max_unpool{axes}d")(x, index, 2)

        yield Operation(f"max_unpool{axes}d", unpooled, (normal(*index.shape),))


def _other_losses() -> Iterator[Operation]:
    pair, signs = (apart(2, 3), normal(2, 3)), given([1, -1, 1], [-1, 1, -1])
    three = normal(2, 3), normal(2, 3), normal(2, 3)
    classes = tinynet.tensor([[2, 0, -1], [1, -1, 0]])
    for name, keywords, makers in (
        ("hinge_embedding_loss", {"margin": 0.8}, (apart(2, 3), signs)),
        ("cosine_embedding_loss", {"margin": -0.9}, (*pair, given(1, -1))),
        ("margin_ranking_loss", {"margin": 5.0}, (*pair, signs)),
        ("triplet_margin_loss", {"margin": 9.0, "p": 3}, three),
        ("triplet_margin_with_distance_loss", {"margin": 9.0, "swap": True}, three),
        ("soft_margin_loss", {}, (normal(2, 3), signs)),
        ("multi_margin_loss", {"margin": 9.0, "p": 2}, (apart(2, 3), labels(3, 2))),
        ("multilabel_soft_margin_loss", {}, (normal(2, 3), within(0, 1, 2, 3))),
        ("poisson_nll_loss", {"full": True}, (normal(2, 3), within(2, 5, 2, 3))),
        ("gaussian_nll_loss", {"full": True}, (normal(2, 3), normal(2, 3), within(0.5, 2, 2, 3))),
        ("cosine_similarity", {"dim": 1}, pair), ("pairwise_distance", {"p": 3.0}, pair),
        ("rms_norm", {"normalized_shape": (3,)}, (normal(2, 3),)),
    ):  # fmt: skip
        yield Operation(name, _functional(name, **keywords), makers)
    yield Operation(
        "multilabel_margin_loss",
        lambda x: F.multilabel_margin_loss(x * 0.1, classes),
        (apart(2, 3),),
    )
    yield Operation("pdist", _functional("pdist", 3.0), (apart(4, 2),))
    yield Operation(
        "ctc_loss",
        lambda x: F.ctc_loss(
            F.log_softmax(x, 2), tinynet.tensor([[1, 1, 2], [2, 0, 0]]), (6, 4), (3, 1)
        ),
        (normal(6, 2, 3),),
    )


def _sampling() -> Iterator[Operation]:
    image = normal(1, 1, 3, 3)
    places = within(-1.3, 1.3, 1, 1, 2, 2)
    for mode, padding in (
        ("bilinear", "zeros"), ("bilinear", "border"), ("bilinear", "reflection"),
        ("bicubic", "zeros"), ("bicubic", "reflection"),
    ):  # fmt: skip
        call = _functional("grid_sample", mode=mode, padding_mode=padding, align_corners=False)
        yield Operation(f"grid_sample {mode} {padding}", call, (image, places))
    yield Operation(
        "grid_sample volume",
        _functional("grid_sample", align_corners=True),
        (normal(1, 1, 2, 3, 2), within(-0.9, 0.9, 1, 1, 2, 1, 3)),
    )
    yield Operation(
        "affine_grid", lambda theta: F.affine_grid(theta, (1, 1, 2, 3)), (normal(1, 2, 3),)
    )
    yield Operation("pixel_shuffle", _functional("pixel_shuffle", 2), (normal(1, 4, 2, 1),))
    yield Operation("pixel_unshuffle", _functional("pixel_unshuffle", 2), (normal(1, 1, 2, 4),))
    yield Operation("channel_shuffle", _functional("channel_shuffle", 2), (normal(1, 4, 2),))
    for mode in ("area", "bicubic"):
        call = _functional("interpolate", size=(2, 5), mode=mode)
        yield Operation(f"interpolate {mode}", call, (normal(1, 1, 3, 4),))
    for name, dims in (("dropout1d", (2, 3, 2)), ("dropout3d", (1, 3, 2, 1, 2))):
        yield Operation(name, _functional(name, 0.4), (apart(*dims),))
    channels = _functional("feature_alpha_dropout", 0.4, training=True)
    yield Operation("feature_alpha_dropout", channels, (apart(2, 3, 2),))
    yield Operation("rrelu", _functional("rrelu", training=True), (apart(2, 4),))
    for name, arguments in (
        ("relu_", ()), ("leaky_relu_", (0.2,)), ("threshold_", (-0.5, 2.0)), ("elu_", (1.3,)),
        ("hardtanh_", (-0.5, 0.7)), ("selu_", ()), ("celu_", (1.2,)), ("rrelu_", (0.1, 0.3, True)),
    ):  # fmt: skip
        in_place = getattr(F, name)
        yield Operation(name, lambda x, f=in_place, a=arguments: f(x * 1, *a), (apart(2, 4),))


def _sequences() -> Iterator[Operation]:
    rows = tinynet.tensor([[2, 0, 2], [1, 2, 3]])
    yield Operation(
        "embedding",
        lambda table: F.embedding(rows, table),
        (normal(4, 2),),
    )
    for mode in ("sum", "mean", "max"):
        yield Operation(
            f"embedding_bag {mode}",
            lambda table, mode=mode: F.embedding_bag(
                tinynet.tensor([2, 0, 2, 3, 1]), table, tinynet.tensor([0, 2, 2]), mode=mode
            ),
            (apart(4, 2),),
        )
    heads = normal(1, 2, 3, 2), normal(1, 2, 4, 2), normal(1, 2, 4, 3)
    yield Operation("scaled_dot_product_attention", F.scaled_dot_product_attention, heads)
    yield Operation(
        "scaled_dot_product_attention masked",
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, tinynet.tensor([[True, False, True, True], [False] * 4, [True] * 4])
        ),
        heads,
    )

    def attention(x: Tensor, w: Tensor, b: Tensor, out: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.multi_head_attention_forward(
            x, x, x, 4, 2, w, b, k, v, True, 0.0, out, None
        )[0]  # fmt: skip

    makers = normal(2, 1, 4), normal(12, 4), normal(12), normal(4, 4), normal(1, 1, 4)
    yield Operation("multi_head_attention_forward", attention, (*makers, normal(1, 1, 4)))
    soft = _functional("gumbel_softmax", tau=0.8)

    def seeded(x: Tensor) -> Tensor:
        tinynet.manual_seed(0)
        return soft(x)

    yield Operation("gumbel_softmax", seeded, (normal(2, 3),))
    for old in ("upsample", "upsample_nearest", "upsample_bilinear"):

        def resized(x: Tensor, old: str = old) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # they are deprecated
                return getattr(F, old)(x, 3)

        yield Operation(old, resized, (normal(1, 1, 2, 2),))


OPERATIONS: tuple[Operation, ...] = tuple(_rows())


# ------------------------------------------------------------------------------- what rows cover


def discover() -> dict[str, Any]:
    """Every differentiable operation that tinynet defines: "module.name" -> the operation."""
    names = [info.name for info in pkgutil.iter_modules(ops.__path__, f"{ops.__name__}.")]
    return {
        f"{module.__name__.removeprefix('tinynet.')}.{name}": _innermost(value)
        for module in (tape, *map(importlib.import_module, names))
        for name, value in vars(module).items()
        if getattr(value, "is_operation", False) and value.__module__ == module.__name__
    }


def _innermost(operation: Any) -> Any:
    """The operation that the tape sees, without what converts its arguments."""
    while getattr(operation.__wrapped__, "is_operation", False):
        operation = operation.__wrapped__
    return operation


@contextmanager
def observed(see: Callable[[Any, Any, Any, Any], Any]) -> Iterator[None]:
    """Within the block, `see(operation, inputs, pullbacks, result)` is asked for the pullbacks.

    It is called for each operation that is about to be recorded; what it returns is recorded.
    """
    record = tape.record

    def between(operation: Any, inputs: Any, pullbacks: Any, result: Any) -> None:
        record(operation, inputs, see(operation, inputs, pullbacks, result), result)

    tape.record = between
    try:
        yield
    finally:
        tape.record = record


def covered_by(row: Operation, order: int = 2) -> list[Any]:
    """The operations that are recorded, with a gradient wanted, as the row is differentiated."""
    seen: dict[int, Any] = {}

    def see(operation: Any, inputs: Any, pullbacks: Any, result: Any) -> Any:
        if any(x is not None and x.requires_grad for x in inputs):
            seen[id(operation)] = operation
        return pullbacks

    inputs = row.inputs()
    with observed(see):
        outputs = row.call(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        outputs = [y for y in outputs if y.requires_grad]
        if order == 2:
            cotangents = [tinynet.ones_like(y).requires_grad_() for y in outputs]
            wanted = [x for x in inputs if x.requires_grad]
            tinynet.autograd.grad(outputs, wanted, cotangents, create_graph=True, allow_unused=True)
    return list(seen.values())
