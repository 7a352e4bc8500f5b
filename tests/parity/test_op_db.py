"""PyTorch's own sample inputs for its operators, run through tinynet and through PyTorch.

Every operator of `op_db` whose name tinynet has; values, dtypes, shapes, gradients, and the type of
the error where the input is wrong. What differs stands in op_db.toml, each with its reason, and a
difference that is listed there and is gone fails as well.
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytest.importorskip("expecttest", reason="PyTorch's test tools need it")

pytestmark = pytest.mark.slow

TABLE = tomllib.loads((Path(__file__).parent / "op_db.toml").read_text())
DTYPES = ("float64", "float32", "int64", "bool")
MOST = 8  # samples of one operator and dtype: some have thousands, which are much alike
TOLERANCE = {"float64": 1e-7, "float32": 1e-3}


class Unsupported(Exception):
    """A sample that speaks of something tinynet does not have: complex numbers, sparse tensors."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread_of_pytorch() -> Iterator[None]:
    """Its threads and ours would wait for each other at every small sample."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def operators() -> dict[str, Any]:
    """name (with its variant) -> PyTorch's description, of the operators that tinynet has."""
    from torch.testing._internal.common_methods_invocations import op_db

    found = {}
    for op in op_db:
        if ours(op.name) is not None:
            variant = f"/{op.variant_test_name}" if op.variant_test_name else ""
            found[op.name + variant] = op
    return found


def ours(name: str) -> Any:
    """tinynet's function (or method) of that name, or None."""
    owner: Any = tinynet
    for part in name.split("."):
        try:
            owner = getattr(owner, part)
        except AttributeError:
            owner = None
            break
    if owner is None and "." not in name:
        try:
            owner = getattr(tinynet.Tensor, name)
        except AttributeError:
            return None
    if not callable(owner):
        return None
    arranged = ARRANGED.get(name)
    return owner if arranged is None else lambda *a, **k: arranged(owner, *a, **k)


def called(op: Any) -> Any:
    """What the operator's samples are given to."""
    variant = op.variant_test_name
    if variant == "in_place":
        return getattr(tinynet.Tensor, f"{op.name}_")
    if variant == "singular":
        return lambda a, b: tinynet.linalg.pinv(a @ b.mT)
    if variant == "grad_oriented":
        return lambda *a, **k: tinynet.linalg.lstsq(*a, **k)[:2]
    return ours(op.name)


# Where PyTorch's description calls the operator in another way than by its arguments in order.
ARRANGED: dict[str, Any] = {
    "einsum": lambda f, tensors, equation: f(equation, *tensors),
    "polygamma": lambda f, x, n: f(n, x),
    "special.polygamma": lambda f, x, n: f(n, x),
    "where": lambda f, x, condition, other: f(condition, x, other),
    "nn.functional.embedding": lambda f, weight, index, **k: f(index, weight, **k),
    "nn.functional.embedding_bag": lambda f, weight, index, **k: f(index, weight, **k),
    "zero_": lambda f, x: f(x.clone()),
    "fill_": lambda f, x, *a: f(x.clone(), *a),
}


# ------------------------------------------------------------------------------------- conversion


def converted(value: Any, leaves: list[Any]) -> Any:
    """The value with tinynet's tensors and dtypes; (PyTorch's, ours) of each leaf is noted."""
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.layout != torch.strided or value.dtype not in KINDS:
            raise Unsupported
        if value.device.type != "cpu" or value.ndim > np.ndim(np.empty((1,) * 64)):
            raise Unsupported
        result = tinynet.from_numpy(in_same_memory(value.detach()))
        if value.requires_grad:
            result.requires_grad_()
            leaves.append((value, result))
        return result
    if isinstance(value, torch.dtype):
        if value not in KINDS:
            raise Unsupported
        return getattr(tinynet, KINDS[value])
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, tuple | list):
        return type(value)(converted(v, leaves) for v in value)
    if isinstance(value, dict):
        return {k: converted(v, leaves) for k, v in value.items()}
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, torch.memory_format | torch.layout):
        name = str(value).rpartition(".")[2]
        if not hasattr(tinynet, name):
            raise Unsupported
        return getattr(tinynet, name)
    if isinstance(value, complex) or type(value).__module__.startswith("torch"):
        raise Unsupported
    return value


def in_same_memory(value: Any) -> Any:
    """A copy of the whole storage, shown by the same sizes, strides and offset."""
    size = value.untyped_storage().nbytes() // value.element_size()
    memory = torch.as_strided(value, (size,), (1,), 0).numpy().copy()
    steps = [s * memory.itemsize for s in value.stride()]
    offset = value.storage_offset() * memory.itemsize
    return np.ndarray(tuple(value.shape), memory.dtype, memory, offset, steps)


KINDS = {
    getattr(torch, name): name
    for name in (
        "float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool",
    )
}  # fmt: skip


def flat(result: Any) -> list[Any]:
    """Tensors and numbers of a result, in order."""
    if isinstance(result, tuple | list):
        return [x for r in result for x in flat(r)]
    return [result]


# ------------------------------------------------------------------------------------- comparison


def compared(mine: Any, theirs: Any, kind: str) -> Iterator[tuple[str, str]]:
    """(what differs, how) of two results."""
    mine, theirs = flat(mine), flat(theirs)
    if len(mine) != len(theirs):
        yield "value", f"{len(mine)} results, not {len(theirs)}"
        return
    for a, b in zip(mine, theirs):
        if not isinstance(b, torch.Tensor):
            if not (a == b or (a != a and b != b)) and not (
                isinstance(a, float) and np.isclose(a, b, rtol=1e-4)
            ):
                if isinstance(b, torch.dtype):
                    if KINDS.get(b) != getattr(a, "name", None):
                        yield "value", f"{a!r}, not {b!r}"
                else:
                    yield "value", f"{a!r}, not {b!r}"
            continue
        if not isinstance(a, tinynet.Tensor):
            yield "value", f"{type(a).__name__}, not a tensor"
            continue
        if a.dtype.name != KINDS.get(b.dtype):
            yield "dtype", f"{a.dtype}, not {b.dtype}"
            continue
        if tuple(a.shape) != tuple(b.shape):
            yield "shape", f"{tuple(a.shape)}, not {tuple(b.shape)}"
            continue
        if a.requires_grad != b.requires_grad:
            yield "requires_grad", f"{a.requires_grad}, not {b.requires_grad}"
        yield from (("value", text) for text in close(a, b, kind))


def close(a: Any, b: Any, kind: str) -> Iterator[str]:
    x, y = a.detach().numpy(), b.detach().resolve_conj().resolve_neg().numpy()
    tolerance = max(TOLERANCE.get(kind, 1e-4), TOLERANCE.get(str(y.dtype), 0))
    scale = np.abs(y[np.isfinite(y)]).max(initial=1e-3) if y.dtype.kind == "f" else 0
    try:
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * min(scale, 1))
    except AssertionError as error:
        yield " ".join(str(error).split())[:300]


def differences(name: str, kind: str) -> Iterator[tuple[str, str]]:
    """(what differs, how) over the samples of an operator in one dtype."""
    op = operators()[name]
    dtype = getattr(torch, kind)
    if dtype not in op.supported_dtypes("cpu"):
        return
    differentiable = kind.startswith("float") and op.supports_autograd
    torch.manual_seed(0)
    function = called(op)
    for i, sample in enumerate(op.sample_inputs("cpu", dtype, requires_grad=differentiable)):
        if i >= MOST:
            break
        try:
            leaves: list[Any] = []
            # The first argument's gradient may be asked for of each tensor in a list.
            mine = converted((sample.input, tuple(sample.args), sample.kwargs), leaves)
        except Unsupported:
            continue
        theirs = op.op(sample.input, *sample.args, **sample.kwargs)
        if any(isinstance(t, torch.Tensor) and t.is_complex() for t in flat(theirs)):
            continue
        what = f"{kind} sample {i}, {describe(sample)}"
        try:
            result = function(mine[0], *mine[1], **mine[2])
        except Exception as error:
            yield "call", f"{type(error).__name__}: {str(error)[:200]} ({what})"
            continue
        if op.name in TIES:  # which of equals was taken, differs; what it is, does not
            result, theirs = (
                [t for t in flat(v) if "int64" not in str(t.dtype)] for v in (result, theirs)
            )
        if op.name in SIGNS:
            result, theirs = ([t.abs() for t in v] for v in (result, theirs))
        drawn = op.name in RANDOM or sample.kwargs.get("dropout_p", 0) > 0
        if drawn:
            found = [d for d in compared(result, theirs, kind) if d[0] in ("dtype", "shape")]
        else:
            found = list(compared(result, theirs, kind))
        yield from ((d, f"{text} ({what})") for d, text in found)
        if found or kind != "float64" or not leaves or drawn:
            continue
        yield from ((d, f"{text} ({what})") for d, text in gradients(result, theirs, leaves, op))


def gradients(result: Any, theirs: Any, leaves: list[Any], op: Any) -> Iterator[tuple[str, str]]:
    pairs = [
        (a, b)
        for a, b in zip(flat(result), flat(theirs))
        if isinstance(b, torch.Tensor) and b.requires_grad and b.is_floating_point()
    ]
    if not pairs:
        return
    random = np.random.default_rng(1)
    cotangents = [random.standard_normal(tuple(b.shape)) for _, b in pairs]
    given = [b for _, b in pairs], [t for t, _ in leaves]
    try:
        expected = torch.autograd.grad(
            *given, [torch.from_numpy(np.asarray(c)) for c in cotangents], allow_unused=True
        )
    except (RuntimeError, NotImplementedError) as error:
        expected = None
        why = str(error)
    try:
        found = tinynet.autograd.grad(
            [a for a, _ in pairs],
            [t for _, t in leaves],
            [tinynet.from_numpy(np.asarray(c)) for c in cotangents],
            allow_unused=True,
        )
    except Exception as error:
        if expected is not None:
            yield "gradient", f"{type(error).__name__}: {str(error)[:200]}"
        return
    if expected is None:
        yield "gradient", f"PyTorch has none: {why[:100]}"
        return
    for (leaf, _), g, t in zip(leaves, found, expected):
        zero = np.zeros(tuple(leaf.shape))
        x, y = (zero if v is None else v.detach().numpy(force=True) for v in (g, t))
        size = np.abs(y[np.isfinite(y)]).max(initial=1e-3)
        try:
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7 * max(size, 1))
        except AssertionError as error:
            yield "gradient", " ".join(str(error).split())[:300]


def describe(sample: Any) -> str:
    def short(v: Any) -> str:
        if isinstance(v, torch.Tensor):
            return f"{str(v.dtype).rpartition('.')[2]}{list(v.shape)}"
        if isinstance(v, tuple | list):
            return "[" + ", ".join(map(short, v)) + "]"
        return repr(v)

    parts = [short(v) for v in (sample.input, *sample.args)]
    return ", ".join(parts + [f"{k}={short(v)}" for k, v in sample.kwargs.items()])[:200]


def errors(name: str) -> Iterator[tuple[str, str]]:
    """Inputs that PyTorch refuses, and tinynet does not (or with another type of error)."""
    op = operators()[name]
    if op.error_inputs_func is None:
        return
    for i, case in enumerate(op.error_inputs("cpu")):
        sample = case.sample_input
        try:
            mine = converted((sample.input, tuple(sample.args), sample.kwargs), [])
        except Unsupported:
            continue
        kinds = case.error_type if isinstance(case.error_type, tuple) else (case.error_type,)
        what = f"case {i}, {describe(sample)}: {str(case.error_regex)[:80]}"
        try:
            called(op)(mine[0], *mine[1], **mine[2])
        except Exception as error:
            if not isinstance(error, kinds):
                yield "error", f"{type(error).__name__}, not {kinds[0].__name__} ({what})"
        else:
            yield "error", f"no error ({what})"


RANDOM = frozenset(TABLE["random"]["names"])
TIES = frozenset(TABLE["ties"]["names"])
SIGNS = frozenset(TABLE["signs"]["names"])


def all_differences(name: str) -> dict[str, str]:
    """What differs -> the first example of it."""
    found: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in DTYPES:
            for what, text in differences(name, kind):
                found.setdefault(what, text)
        for what, text in errors(name):
            found.setdefault(what, text)
    return found


def test_agrees_with_pytorch_on_its_own_samples() -> None:
    explained: dict[str, set[str]] = {}
    for row in TABLE["difference"]:
        for name in row["names"]:
            explained.setdefault(name, set()).update(row["differs"])
    wrong = {}
    for name in operators():
        found = all_differences(name)
        if set(found) != explained.pop(name, set()):
            wrong[name] = found or "an explained difference is gone"
    assert wrong == {}
    assert explained == {}, "explained, but tinynet has no such operator"
