"""The printed form of tensors, character by character as PyTorch's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tinynet as tn
from tinynet.formatting import printoptions

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


def text(tensor: Any) -> str:
    """The text; what names the library is three letters longer and may stand on its own line."""
    return re.sub(r",\s+(?=dtype|size|grad_fn|requires)", ", ", repr(tensor)).replace(
        "torch.", "tinynet."
    )


def without_names(text: str) -> str:
    """An operation's name is its own where it is composed of others."""
    return re.sub(r"grad_fn=<\w+>", "grad_fn=<...>", text)


def both(array: np.ndarray) -> tuple[str, str]:
    return text(tn.from_numpy(array)), text(torch.from_numpy(array))


KINDS = ["float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_array(data: st.DataObject) -> None:
    kind = np.dtype(data.draw(st.sampled_from(KINDS)))
    array = data.draw(arrays.arrays(kind, data.draw(SHAPES)))
    ours, theirs = both(array)
    assert ours == theirs


MAGNITUDES = [1, 1e-3, 1e-5, 1e3, 1e7, 1e9, 1e20]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("size", [(), (1,), (7,), (40,), (3, 5), (2, 3, 4), (1001,), (30, 40)])
def test_numbers_of_many_magnitudes(kind: str, size: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    for scale in MAGNITUDES:
        for special in (None, np.nan, -np.inf, 0.0):
            for whole in (False, True):
                values = np.asarray(random.standard_normal(size) * scale)
                values = np.rint(values) if whole else values
                if special is not None and values.size:
                    values.reshape(-1)[0] = special
                with np.errstate(over="ignore"):
                    ours, theirs = both(np.asarray(values.astype(kind)))
                assert ours == theirs


OPTIONS: list[dict[str, Any]] = [
    {"precision": 2},
    {"precision": 8},
    {"threshold": 5},
    {"threshold": 5, "edgeitems": 1},
    {"threshold": 5, "edgeitems": 0},
    {"linewidth": 30},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "full", "precision": 1, "linewidth": 120},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(options: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    with printoptions(**options), torch._tensor_str.printoptions(**options):
        for array in (
            random.standard_normal((4, 11)),
            random.standard_normal(12).astype(np.float32) * 1e6,
            np.arange(1200),
            np.arange(24).reshape(2, 3, 4).astype(np.float32),
            np.array([True, False]),
            np.array(1e-7),
            np.zeros((0, 2)),
        ):
            ours, theirs = both(array)
            assert ours == theirs


def test_the_rest_of_the_text() -> None:
    def texts(lib: Any) -> list[str]:
        x = lib.linspace(0, 1, 13, requires_grad=True)
        long = lib.zeros(2, 11, requires_grad=True)
        return [
            text(t)
            for t in (
                x, x * 2, x.sum(), long, long + 1, (x * 2).view(13, 1), x.detach(), x.double(),
                x.half(), x[:0], lib.zeros(0, dtype=lib.int32), lib.empty(2, 0, 3),
                x.max(0).values, x.unsqueeze(0)[0],
            )
        ]  # fmt: skip

    for ours, theirs in zip(texts(tn), texts(torch)):
        assert without_names(ours) == without_names(theirs)


def test_parameters_and_named_tuples() -> None:
    def texts(lib: Any) -> list[str]:
        x = lib.tensor([[1.0, 3.0], [4.0, 2.0]])
        found = [x.max(0), x.min(1), x.sort(), x.topk(1), x.median(0), x.mode(0), x.kthvalue(1)]
        found += [x.cummax(0), x.aminmax(), lib.linalg.slogdet(x), lib.linalg.qr(x), lib.frexp(x)]
        return [repr(r).replace("torch.", "tinynet.") for r in found]

    assert texts(tn) == texts(torch)
    weight = tn.nn.Parameter(tn.ones(2))
    theirs = torch.nn.Parameter(torch.ones(2))
    assert repr(weight) == repr(theirs)
