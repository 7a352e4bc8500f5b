"""Derivatives of functions as tensors, with the names of `torch.autograd.functional`.

Each takes a function of tensors and its arguments (one tensor, or a tuple), and computes the
derivative there. The Jacobian is computed row by row, by one walk backward for each output.

create_graph: the result can be differentiated again.
strict: an output that does not depend on an input is an error, not a derivative of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..device import xp_of
from . import engine
from .mode import enable_grad
from .tape import TensorBase, alias, node_of, wrap

Tensors = Any  # a tensor or a tuple of tensors


def vjp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """func's value, and v^T J: the gradient of <v, func(inputs)> (v: 1 for a single number)."""
    xs, ys, several, many = _run(func, inputs, create_graph, "vjp")
    vs = _vectors(v, ys, "vjp")
    gradients = _pull(ys, xs, vs, create_graph, strict, "vjp")
    return _packed(_released(ys, create_graph), many), _packed(gradients, several)


def jvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """func's value, and J v: how it changes along v.

    Two walks backward: u -> u^T J is linear in u, and its derivative along v is J v.
    """
    xs, ys, _, many = _run(func, inputs, create_graph, "jvp")
    vs = _vectors(v, xs, "jvp")
    with enable_grad():
        us = [_leaf(_zeros(y)) for y in ys]
        pulled = _pull(ys, xs, us, True, strict, "jvp")
        along = _pull(pulled, us, vs, create_graph, False, "jvp")
    return _packed(_released(ys, create_graph), many), _packed(along, many)


def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """J of shape (*output, *input): d output / d input.

    Of several inputs a tuple, of several outputs a tuple of those. vectorize, strategy: accepted;
    rows are computed one after another, backward.
    """
    xs, ys, several, many = _run(func, inputs, create_graph, "jacobian")
    rows = []
    for y in ys:
        flat = y.reshape(-1)
        parts: list[list[Any]] = [[] for _ in xs]
        for i in range(flat.array.size):
            one = xp_of(flat.array).zeros_like(flat.array)
            one[i] = 1
            pulled = _pull([flat], xs, [wrap(one)], create_graph, strict, "jacobian")
            for part, gradient in zip(parts, pulled):
                part.append(gradient)
        shapes = [(*y.array.shape, *x.array.shape) for x in xs]
        blocks = [_stacked(part, x).reshape(shape) for part, x, shape in zip(parts, xs, shapes)]
        rows.append(_packed(blocks, several))
    return _packed(rows, many)


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The matrix of second derivatives of a function with a single number as its value.

    Of several inputs a tuple of tuples: the element [i][j] has the shape (*input_i, *input_j).
    """

    def gradient(*xs: Any) -> Any:
        value = func(*xs)
        _check_single(value, "hessian")
        with enable_grad():
            found = _pull([value], list(xs), [_ones(value)], True, strict, "hessian")
        return tuple(found) if isinstance(inputs, tuple) else found[0]

    return jacobian(gradient, inputs, create_graph=create_graph, strict=strict)


def vhp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """func's value (a single number), and v^T H, with H its matrix of second derivatives."""
    xs, ys, several, _ = _run(func, inputs, True, "vhp")
    _check_single(ys[0] if len(ys) == 1 else None, "vhp")
    vs = _vectors(v, xs, "vhp")
    with enable_grad():
        first = _pull(ys, xs, [_ones(ys[0])], True, strict, "vhp")
        second = _pull(first, xs, vs, create_graph, False, "vhp")
    return _released(ys, create_graph)[0], _packed(second, several)


def hvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """func's value (a single number), and H v, which is (v^T H)^T as H is symmetric."""
    return vhp(func, inputs, v, create_graph, strict)


def _run(
    func: Callable[..., Any], inputs: Tensors, create_graph: bool, name: str
) -> tuple[list[Any], list[Any], bool, bool]:
    """The arguments as they were differentiated, the outputs, and whether each was a tuple."""
    several = isinstance(inputs, tuple)
    given = list(inputs) if several else [inputs]
    for x in given:
        if not isinstance(x, TensorBase):
            raise TypeError(
                f"The inputs given to {name} must be either a Tensor or a tuple of Tensors but the "
                f"given inputs contain a {type(x).__name__}."
            )
    with enable_grad():
        xs = [x.view_as(x) if create_graph and node_of(x) is not None else _leaf(x) for x in given]
        result = func(*xs)
    many = isinstance(result, tuple)
    ys = list(result) if many else [result]
    for y in ys:
        if not isinstance(y, TensorBase):
            raise TypeError(
                f"The outputs of the user-provided function given to {name} must be either a "
                f"Tensor or a tuple of Tensors but they contain a {type(y).__name__}."
            )
    return xs, ys, several, many


def _leaf(x: Any) -> Any:
    leaf: Any = alias(x) if isinstance(x, TensorBase) else wrap(x)
    return leaf.requires_grad_()


def _zeros(y: Any) -> Any:
    return wrap(xp_of(y.array).zeros_like(y.array))


def _ones(y: Any) -> Any:
    return wrap(xp_of(y.array).ones_like(y.array))


def _vectors(v: Tensors, targets: list[Any], name: str) -> list[Any]:
    if v is None:
        if len(targets) != 1 or targets[0].array.size != 1:
            raise RuntimeError(
                f"{name}: the vector v can only be None if there is one single number to go with "
                "it; give a tensor of the same shape."
            )
        return [_ones(targets[0])]
    vs = list(v) if isinstance(v, tuple) else [v]
    shapes = [tuple(t.array.shape) for t in targets]
    if [tuple(one.array.shape) for one in vs] != shapes:
        raise RuntimeError(
            f"{name}: v has the shapes {[tuple(one.array.shape) for one in vs]}, but must have "
            f"{shapes}."
        )
    return vs


def _pull(
    ys: list[Any], xs: list[Any], vs: list[Any], create_graph: bool, strict: bool, name: str
) -> list[Any]:
    """d <v, y> / d x for each x: zeros, or an error if strict, where y does not depend on it."""
    known = [(y, v) for y, v in zip(ys, vs) if node_of(y) is not None]
    if strict and len(known) < len(ys):
        raise RuntimeError(f"{name}: an output does not depend on the inputs, and strict=True.")
    found: Any = [None] * len(xs)
    if known:
        found = engine.grad(
            [y for y, _ in known],
            xs,
            [v for _, v in known],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    for i, gradient in enumerate(found):
        if gradient is None and strict:
            raise RuntimeError(f"{name}: the output does not depend on input {i}, and strict=True.")
    return [_zeros(x) if g is None else g for g, x in zip(found, xs)]


def _stacked(parts: list[Any], x: Any) -> Any:
    out = wrap(xp_of(x.array).zeros((len(parts), *x.array.shape), x.array.dtype))
    for i, part in enumerate(parts):
        out[i] = part
    return out


def _released(ys: list[Any], create_graph: bool) -> list[Any]:
    return ys if create_graph else [y.detach() for y in ys]


def _packed(values: list[Any], several: bool) -> Any:
    return tuple(values) if several else values[0]


def _check_single(value: Any, name: str) -> None:
    if not isinstance(value, TensorBase) or value.array.size != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )
