"""Compare derivatives with finite differences, so that a wrong one cannot pass.

For a function f, inputs x and a random cotangent v, backward computes J^T v. Each element of it is
compared with the central difference

    (<v, f(x + eps e_i)> - <v, f(x - eps e_i)>) / (2 eps)  =  (J^T v)_i  +  O(eps^2),

in float64, for every element of every input that requires a gradient, and for every output with a
cotangent of its own. The cotangent is random because a fixed one is blind: all ones, for instance,
cannot see the derivative of softmax, whose outputs always sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import engine
from .mode import enable_grad
from .tape import TensorBase, node_of, wrap


class GradcheckError(RuntimeError):
    """A derivative disagrees with finite differences, or nothing could be checked."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    seed: int = 0,
) -> bool:
    """True if the gradients of `func(*inputs)` agree with central differences.

    inputs: one tensor or a tuple; those with `requires_grad` are checked, and must be float64
        (rounding in float32 hides errors of a percent and more).
    eps: half the step of the difference. atol, rtol: |got - expected| <= atol + rtol |expected|.
    nondet_tol: how far two backward passes may differ.
    seed: of the random cotangents.

    Raises GradcheckError with the worst element (or returns False, without `raise_exception`).
    """
    try:
        _check(func, inputs, eps, atol, rtol, nondet_tol, seed)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    seed: int = 0,
) -> bool:
    """True if the gradients of the gradients of `func(*inputs)` agree with central differences.

    The function checked is (inputs, cotangents) -> gradients, in all of its arguments: its
    derivative with respect to the cotangents shows that backward is linear in them.
    """
    inputs = _as_tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if _is_checked(x)]
    if grad_outputs is None:
        random = np.random.default_rng(seed + 1)
        grad_outputs = []
        for y in _differentiable(func(*inputs)):
            v = wrap(random.standard_normal(y.array.shape).astype(y.array.dtype))
            grad_outputs.append(v.requires_grad_())
    grad_outputs = _as_tuple(grad_outputs)

    def gradients(*arguments: Any) -> Any:
        xs, vs = arguments[: len(inputs)], arguments[len(inputs) :]
        with enable_grad():
            ys = _differentiable(func(*xs))
            return engine.grad(
                ys, [xs[i] for i in checked], vs, create_graph=True, materialize_grads=True
            )

    return gradcheck(
        gradients,
        inputs + grad_outputs,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        seed=seed,
    )


def _check(
    func: Callable[..., Any],
    inputs: Any,
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    seed: int,
) -> None:
    inputs = _as_tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if _is_checked(x)]
    if not checked:
        raise GradcheckError(
            "gradcheck: nothing to check: no input is a tensor with requires_grad=True"
        )
    for i in checked:
        if inputs[i].array.dtype != np.float64:
            raise GradcheckError(
                f"gradcheck: input {i} has dtype {inputs[i].array.dtype}; finite differences need "
                "float64 (call .double() before requires_grad_())"
            )
    xs = [inputs[i] for i in checked]
    outputs = _differentiable(func(*inputs))
    if not outputs:
        raise GradcheckError("gradcheck: nothing to check: no output depends on a checked input")
    random = np.random.default_rng(seed)
    for j, y in enumerate(outputs):
        v = random.standard_normal(y.array.shape)
        got = _pulled_back(y, xs, v)
        again = _pulled_back(_differentiable(func(*inputs))[j], xs, v)
        for i, x, g, h in zip(checked, xs, got, again):
            if not np.allclose(g, h, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: backward is not reproducible: the gradient of input {i} differed "
                    f"by {np.abs(g - h).max():.3g} between two runs"
                )
            expected = _differences(lambda j=j: _differentiable(func(*inputs))[j], x, v, eps)
            _compare(i, j, x.array.shape, g, expected, atol, rtol)


def _pulled_back(y: Any, xs: Sequence[Any], v: Any) -> list[Any]:
    """J^T v by backward."""
    found = engine.grad([y], xs, [wrap(v.copy())], retain_graph=True, allow_unused=True)
    return [
        np.zeros(x.array.shape) if g is None else g.array for x, g in zip(xs, found, strict=True)
    ]


def _differences(value: Callable[[], Any], x: Any, v: Any, eps: float) -> Any:
    """J^T v by central differences: x is moved one element at a time, and put back."""
    result = np.zeros(x.array.shape)
    for index in np.ndindex(x.array.shape):
        before = x.array[index]
        ends = []
        for step in (eps, -eps):
            x.array[index] = before + step
            ends.append((x.array[index] - before, value().array.copy()))
        x.array[index] = before
        (up, y_up), (down, y_down) = ends
        result[index] = np.sum((y_up - y_down) / (up - down) * v)
    return result


def _compare(
    i: int, j: int, shape: tuple[int, ...], got: Any, expected: Any, atol: float, rtol: float
) -> None:
    if got.shape != shape:
        raise GradcheckError(
            f"gradcheck: the gradient of input {i} has shape {list(got.shape)}, the input "
            f"{list(shape)}"
        )
    wrong = ~(np.abs(got - expected) <= atol + rtol * np.abs(expected))
    if wrong.any():
        excess = np.where(wrong, np.abs(got - expected), -1)
        worst = np.unravel_index(np.argmax(np.nan_to_num(excess, nan=np.inf)), got.shape)
        raise GradcheckError(
            f"gradcheck: the gradient of input {i} is wrong: of output {j} with a random "
            f"cotangent, at index {tuple(int(k) for k in worst)} backward gives "
            f"{got[worst]:.9g}, finite differences give {expected[worst]:.9g}; "
            f"{int(wrong.sum())} of {got.size} elements disagree"
        )


def _as_tuple(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)


def _is_checked(x: Any) -> bool:
    return isinstance(x, TensorBase) and node_of(x) is not None


def _differentiable(outputs: Any) -> list[Any]:
    """The outputs that backward can start from."""
    return [
        y
        for y in _as_tuple(outputs)
        if isinstance(y, TensorBase) and y.array.dtype.kind == "f" and node_of(y) is not None
    ]
