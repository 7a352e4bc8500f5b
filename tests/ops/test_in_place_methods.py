"""Every method that writes in place, `out=`, and what fills tensors, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import methods

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")

WORDS = methods.IN_PLACE.split()
OF_INTEGERS = {
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "gcd", "lcm",
}  # fmt: skip
BINARY = {
    "arctan2", "atan2", "copysign", "divide", "eq", "float_power", "floor_divide", "fmod", "ge",
    "greater", "greater_equal", "gt", "heaviside", "hypot", "ldexp", "le", "less", "less_equal",
    "logical_and", "logical_or", "logical_xor", "lt", "multiply", "ne", "nextafter", "not_equal",
    "remainder", "subtract", "true_divide", "xlogy",
}  # fmt: skip


# PyTorch has no derivative of these in place.
FLAT = {
    "acosh", "arccosh", "arcsinh", "arctanh", "asinh", "atanh", "floor_divide", "heaviside",
    "nextafter",
}  # fmt: skip


def arguments(m: Any, name: str) -> tuple[Any, ...]:
    """What the method is called with beside a (3, 3) tensor of numbers between 1.1 and 1.9."""
    y = m.tensor([[1.5, 0.5, 1.25]], dtype=m.float64)
    matrix = m.arange(9, dtype=m.float64).reshape(3, 3) / 5
    vector, batch = matrix[0], matrix.reshape(1, 3, 3)
    index = m.tensor([[0, 2, 1], [1, 1, 0]])
    rows = m.tensor([2, 0])
    if name in BINARY:
        return (y,)
    if name in OF_INTEGERS - {"bitwise_not"}:
        return (m.tensor([[1, 2, 3]]),)
    special: dict[str, tuple[Any, ...]] = {
        "addbmm": (batch, batch), "baddbmm": (batch, batch), "addmm": (matrix, matrix),
        "addmv": (matrix, vector), "addr": (vector, vector), "addcmul": (y, y), "addcdiv": (y, y),
        "clamp": (1.2, 1.6), "clip": (1.2, 1.6), "clamp_min": (1.4,), "clamp_max": (1.4,),
        "cumsum": (0,), "cumprod": (1,), "lerp": (y, 0.3), "mvlgamma": (2,), "polygamma": (1,),
        "renorm": (2, 0, 1.0), "index_fill": (0, rows, 7.0), "index_add": (0, rows, matrix[:2]),
        "index_copy": (0, rows, matrix[:2]), "index_put": ((rows,), vector),
        "index_reduce": (0, rows, matrix[:2] + 1, "prod"), "masked_fill": (y > 1, 2.0),
        "masked_scatter": (y > 1, matrix), "put": (rows, vector[:2]),
        "scatter": (0, index, matrix), "scatter_add": (0, index, matrix),
        "scatter_reduce": (0, index, matrix[:2], "amax"),
    }  # fmt: skip
    return special.get(name, ())


def started(m: Any, name: str) -> Any:
    if name in OF_INTEGERS:
        return m.arange(9).reshape(3, 3)
    x = m.tensor(np.linspace(1.1, 1.9, 9).reshape(3, 3).tolist(), dtype=m.float64)
    if name in ("acos", "arccos", "asin", "arcsin", "atanh", "arctanh", "erfinv", "logit"):
        x = x - 1
    if name == "baddbmm":
        x = x.reshape(1, 3, 3)
    if name == "addmv":
        x = x[0].clone()
    return x


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", WORDS)
def test_in_place(name: str) -> None:
    """The same memory, value, dtype and gradient; the version counts."""
    found = []
    for m in (tinynet, torch):
        leaf = started(m, name)
        differentiable = leaf.is_floating_point() and name not in FLAT
        if differentiable:
            leaf.requires_grad_()
        x = leaf * 1
        at, version = x.data_ptr(), x._version
        y = getattr(x, f"{name}_")(*arguments(m, name))
        assert y is x
        assert x.data_ptr() == at
        assert x._version > version
        gradient = None
        if differentiable and x.requires_grad:
            (x * x).sum().backward()
            gradient = np.zeros((3, 3)) if leaf.grad is None else leaf.grad.numpy(force=True)
        found.append((x.detach().numpy(), gradient))
    (mine, dmine), (theirs, dtheirs) = found
    assert mine.dtype == theirs.dtype
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    if dmine is not None and dtheirs is not None:
        np.testing.assert_allclose(dmine, dtheirs, rtol=1e-7, atol=1e-12)


def test_every_in_place_name_of_pytorch_is_there() -> None:
    left_out = {
        "igamma_", "igammac_", "resize_as_sparse_", "sparse_resize_", "sparse_resize_and_clear_",
    }  # fmt: skip
    theirs = {n for n in dir(torch.Tensor) if n.endswith("_") and not n.startswith("_")}
    assert {n for n in theirs if not hasattr(tinynet.Tensor, n)} == left_out
    top = {n for n in dir(torch) if n.endswith("_") and not n.startswith("_")}
    assert {n for n in top if n.removesuffix("_") in WORDS} <= set(dir(tinynet))


@pytest.mark.parametrize("name", methods.VIEWS_IN_PLACE.split())
def test_views_in_place(name: str) -> None:
    given = {
        "as_strided": ((2, 2), (1, 3)), "swapaxes": (0, 1), "swapdims": (0, 1),
        "transpose": (0, 1), "unsqueeze": (0,),
    }.get(name, ())  # fmt: skip
    found = []
    for m in (tinynet, torch):
        leaf = m.arange(3, dtype=m.float64).reshape(1, 3).expand(2, 3).clone().requires_grad_()
        x = leaf * 1
        at = x.data_ptr()
        y = getattr(x, f"{name}_")(*given)
        assert y is x
        assert x.data_ptr() == at
        x.mul_(x.detach() + 1)
        (x * x).sum().backward()
        found.append((tuple(x.shape), tuple(x.stride()), x.tolist(), leaf.grad.tolist()))
        with pytest.raises(RuntimeError, match="leaf"):
            getattr(leaf, f"{name}_")(*given)
    assert found[0] == found[1]


def test_a_view_whose_base_was_turned_is_refused() -> None:
    """Its history would be told from the base as it was."""
    x = tinynet.ones(2, 3, requires_grad=True) * 1
    first = x[0]
    x.t_()
    x.mul_(2)
    with pytest.raises(RuntimeError, match="turned"):
        first.sum().backward()


OUT: list[tuple[str, Any]] = [
    ("mul", lambda m, x, o: m.mul(x, 2, out=o)),
    ("add", lambda m, x, o: m.add(x, x, alpha=2, out=o)),
    ("matmul", lambda m, x, o: m.matmul(x, x.T, out=o)),
    ("exp", lambda m, x, o: m.exp(x, out=o)),
    ("sum", lambda m, x, o: m.sum(x, 0, out=o)),
    ("cat", lambda m, x, o: m.cat([x, x], out=o)),
    ("arange", lambda m, x, o: m.arange(4, out=o)),
    ("zeros", lambda m, x, o: m.zeros(2, 2, out=o)),
    ("itself", lambda m, x, o: m.mul(x, 3, out=x)),
    ("max", lambda m, x, o: m.max(x, 1, out=(o, m.empty(0, dtype=m.int64)))),
    ("sort", lambda m, x, o: m.sort(x, 1, out=(o, m.empty(0, dtype=m.int64)))),
]


@pytest.mark.parametrize(("name", "call"), OUT, ids=[n for n, _ in OUT])
def test_out(name: str, call: Any) -> None:
    found = []
    for m in (tinynet, torch):
        x, o = m.arange(6.0).reshape(2, 3), m.empty(0)
        result = call(m, x, o)
        target = result[0] if isinstance(result, tuple) else result
        assert target is (x if name == "itself" else o)
        found.append((target.numpy(), str(target.dtype).split(".")[1]))
    assert found[0][1] == found[1][1]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)


def test_out_refuses() -> None:
    for m in (tinynet, torch):
        x = m.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            m.mul(x, 2, out=m.empty(2))
        with pytest.raises(RuntimeError, match="can't be cast"):
            m.mul(m.ones(2), 2, out=m.empty(2, dtype=m.int64))
        with pytest.warns(UserWarning, match="resized"):
            m.mul(m.ones(2), 2, out=m.empty(3))
        with m.no_grad():
            assert m.mul(x, 2, out=m.empty(2)).tolist() == [2, 2]


def test_filled() -> None:
    """Random numbers of the right kind, and the old ways to fill a tensor."""
    tinynet.manual_seed(0)
    x = tinynet.empty(20000)
    counts = x.geometric_(0.25)
    assert abs(counts.mean().item() - 4) < 0.2
    assert counts.min().item() == 1
    assert abs(x.cauchy_(1, 2).median().item() - 1) < 0.1
    assert abs(x.log_normal_(0, 0.5).log().std().item() - 0.5) < 0.02
    assert abs(tinynet.poisson(tinynet.full((20000,), 3.0)).mean().item() - 3) < 0.1
    trials = tinynet.binomial(tinynet.full((20000,), 10.0), tinynet.full((20000,), 0.3))
    assert abs(trials.mean().item() - 3) < 0.1
    found = []
    for m in (tinynet, torch):
        y = m.arange(6.0).reshape(2, 3)
        y.apply_(lambda v: v + 1)
        y.map_(m.ones(2, 3), lambda a, b: a * 2 + b)
        y.fill_diagonal_(9)
        z = m.zeros(0).set_(y)
        z.resize_(2, 2)
        w = y.new(2, 3).copy_(y)
        found.append([y.tolist(), z.tolist(), w.tolist(), y.new([1, 2]).tolist()])
    assert found[0] == found[1]
