"""What backward remembers of each operation: nothing more than its derivative needs."""

from __future__ import annotations

from typing import Any

import pytest

import tinynet
from tinynet.ops import indexing, linalg

Y = "output"

# Which of its inputs (by position), and whether its output, an operation remembers.
TABLE: list[tuple[str, Any, set[Any]]] = [
    ("add", lambda x, y: x + y, set()),
    ("sub", lambda x, y: x - y, set()),
    ("neg", lambda x, y: -x, set()),
    ("mul", lambda x, y: x * y, {0, 1}),
    ("div", lambda x, y: x / y, {1, Y}),
    ("pow", lambda x, y: x**2, {0}),
    ("abs", lambda x, y: x.abs(), {0}),
    ("clamp", lambda x, y: x.clamp(0, 1), {0}),
    ("exp", lambda x, y: x.exp(), {Y}),
    ("tanh", lambda x, y: x.tanh(), {Y}),
    ("sigmoid", lambda x, y: x.sigmoid(), {Y}),
    ("sqrt", lambda x, y: x.sqrt(), {Y}),
    ("log", lambda x, y: x.log(), {0}),
    ("sin", lambda x, y: x.sin(), {0}),
    ("sum", lambda x, y: x.sum(0), set()),
    ("mean", lambda x, y: x.mean(), set()),
    ("var", lambda x, y: x.var(), {0}),
    ("prod", lambda x, y: x.prod(0, keepdim=True), {0}),
    ("amax", lambda x, y: x.amax(0), {0, Y}),
    ("logsumexp", lambda x, y: x.logsumexp(0), {0, Y}),
    ("cumsum", lambda x, y: x.cumsum(0), set()),
    ("cumprod", lambda x, y: x.cumprod(0), {0}),
    ("reshape", lambda x, y: x.reshape(9), set()),
    ("permute", lambda x, y: x.permute(1, 0), set()),
    ("expand", lambda x, y: x.expand(2, 3, 3), set()),
    ("cat", lambda x, y: tinynet.cat([x, y]), set()),
    ("stack", lambda x, y: tinynet.stack([x, y]), set()),
    ("narrow", lambda x, y: x.narrow(0, 1, 1), set()),
    ("flip", lambda x, y: x.flip(0), set()),
    ("roll", lambda x, y: x.roll(1), set()),
    ("repeat", lambda x, y: x.repeat(2, 2), set()),
    ("tril", lambda x, y: x.tril(), set()),
    ("diagonal", lambda x, y: x.diagonal(), set()),
    ("clone", lambda x, y: x.clone(), set()),
    ("x[1:]", lambda x, y: x[1:], set()),
    ("matmul", lambda x, y: x @ y, {0, 1}),
    ("linear", lambda x, y: linalg.linear(x, y), {0, 1}),
    ("inv", lambda x, y: linalg.inv(x), {Y}),
]


def data(value: Any) -> int:
    """Where an array's memory begins."""
    return getattr(value, "array", value).__array_interface__["data"][0]


def remembered(result: Any, inputs: list[Any]) -> set[Any]:
    node = result.grad_fn
    found: set[Any] = {Y} if node.output is not None else set()
    for name, value in node.remembers():
        positions = [i for i, x in enumerate(inputs) if data(x) == data(value)]
        found.add(positions[0] if positions else name)
    return found


@pytest.mark.parametrize(("name", "call", "expected"), TABLE, ids=[t[0] for t in TABLE])
def test_remembers(name: str, call: Any, expected: set[Any]) -> None:
    inputs = [tinynet.rand(3, 3).requires_grad_() for _ in range(2)]
    assert remembered(call(*inputs), inputs) == expected


def test_a_frozen_factor_frees_the_other() -> None:
    x, w = tinynet.rand(3, 3).requires_grad_(), tinynet.rand(3, 3)
    assert remembered(x @ w, [x, w]) == {1}
    assert remembered(x * w, [x, w]) == {1}
    assert remembered(linalg.linear(x, w), [x, w]) == {1}
    assert remembered(linalg.linear(w, x), [w, x]) == {0}


def test_indexing_remembers_its_key_alone() -> None:
    x = tinynet.rand(3, 3).requires_grad_()
    index = tinynet.tensor([0, 0, 1])
    for y in (x[index], x.gather(0, index[:, None]), x[index > 0]):
        arrays = [v for _, v in y.grad_fn.remembers()]
        assert arrays
        assert all(v.dtype.kind in "ib" for v in arrays)
        assert all(data(v) not in (data(x), data(index)) for v in arrays)
    z = indexing.index_put(x, tinynet.ones(3), key=indexing.array_key(1, x.array))
    assert not list(z.grad_fn.remembers())
