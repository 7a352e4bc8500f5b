"""Compare derivatives with finite differences, so that a wrong one cannot pass.

For a function f and inputs x, backward computes J^T v for a cotangent v. Each element of the
Jacobian J is compared with the central difference

    (f(x + eps e_j) - f(x - eps e_j))_i / (2 eps)  =  J_ij  +  O(eps^2),

in float64, for every element of every input and parameter that requires a gradient. Where the
outputs are too many for a backward pass each, cotangents are random, because a fixed one is blind:
all ones, for instance, cannot see the derivative of softmax, whose outputs always sum to 1.

`checking.py` is the check from start to end, `differences.py` the measurement, `diagnosis.py` the
guess at what is wrong, `report.py` what is told about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ...device import xp_of
from .. import engine
from ..mode import enable_grad
from ..tape import TensorBase, node_of, wrap
from .checking import Check, Settings, complex_agreement
from .problem import PairProblem, Problem, TensorProblem, as_tuple, is_differentiable
from .report import GradcheckError, KinkError, Report, Sweep, Worst

__all__ = [
    "GradcheckError",
    "KinkError",
    "Report",
    "Sweep",
    "Worst",
    "check",
    "gradcheck",
    "gradgradcheck",
]

MAX_EVALUATIONS = 5000
REFUSED = ("check_batched_grad", "check_forward_ad", "check_batched_forward_grad")
REFUSED_TWICE = ("check_batched_grad", "check_fwd_over_rev", "gen_non_contig_grad_outputs")


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
    vjp: Callable[..., Any] | None = None,
    parameters: Mapping[str, Any] | Iterable[Any] | None = None,
    max_evaluations: int = MAX_EVALUATIONS,
    seed: int = 0,
) -> bool:
    """True if the gradients of `func(*inputs)` agree with central differences.

    func: a function of tensors, a module (all its parameters are checked too), or, together with
        `vjp`, a function of NumPy arrays.
    inputs: one tensor or a tuple; those with `requires_grad` are checked, and must be float64
        (rounding in float32 hides errors of a percent and more).
    eps: half the step of the difference. atol, rtol: |got - expected| <= atol + rtol |expected|.
    nondet_tol: how far two backward passes may differ.
    fast_mode: random directions instead of every element; a failure is then located.
    vjp: vjp(dy, *inputs) -> a gradient per input (None for those that are not floating point), the
        pullback of a plain NumPy `func`.
    parameters: further tensors that `func` depends on, by name or not.
    max_evaluations: beyond so many for the whole Jacobian, outputs get random cotangents instead
        of one each; beyond so many for that, as in fast mode. A point with suspected kinks costs
        up to twice as many.
    seed: of the random cotangents and directions.

    Undefined gradients and dtypes are always checked. Also checked: backward is linear in the
    cotangent, zero for zero, repeatable, leaves inputs and cotangent as they were, and hands out
    no memory that it was handed. At a kink (ReLU at 0, a tie) the check steps to a point nearby.

    Raises GradcheckError with the lesson (or returns False, without `raise_exception`); KinkError,
    a kind of it, if no smooth point was found; ValueError for PyTorch's modes that have no meaning
    here (forward mode, batched gradients).
    """
    given = locals()
    _refuse("gradcheck", [name for name in REFUSED if given[name]])
    if not check_backward_ad:
        raise ValueError("gradcheck: check_backward_ad=False leaves nothing to check")
    settings = Settings(eps, atol, rtol, nondet_tol, fast_mode, max_evaluations, seed)
    return _answer(lambda: _first(func, inputs, vjp, parameters, settings), raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
    parameters: Mapping[str, Any] | Iterable[Any] | None = None,
    max_evaluations: int = MAX_EVALUATIONS,
    seed: int = 0,
) -> bool:
    """True if the gradients of the gradients of `func(*inputs)` agree with central differences.

    The function checked is (inputs, cotangents) -> gradients, in all of its arguments: its
    derivative with respect to the cotangents shows that backward is linear in them. The arguments
    are those of `gradcheck`; grad_outputs are the cotangents (random, if not given).
    """
    given = locals()
    _refuse("gradgradcheck", [name for name in REFUSED_TWICE if given[name]])
    if not check_rev_over_rev:
        raise ValueError("gradgradcheck: check_rev_over_rev=False leaves nothing to check")
    settings = Settings(
        eps, atol, rtol, nondet_tol, fast_mode, max_evaluations, seed, "gradgradcheck"
    )
    return _answer(
        lambda: _second(func, inputs, grad_outputs, parameters, settings), raise_exception
    )


def check(
    func: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 1,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    vjp: Callable[..., Any] | None = None,
    parameters: Mapping[str, Any] | Iterable[Any] | None = None,
    max_evaluations: int = MAX_EVALUATIONS,
    seed: int = 0,
) -> Report:
    """The whole `Report` of gradcheck (order 1) or gradgradcheck (order 2), whatever its verdict.

    Raises GradcheckError only where nothing could be checked: no checked input, float32, ...
    """
    if order not in (1, 2):
        raise ValueError(f"check: order must be 1 or 2, not {order}")
    if order == 2 and vjp is not None:
        raise ValueError("check: a plain NumPy pair has no second derivative; order must be 1")
    name = "gradcheck" if order == 1 else "gradgradcheck"
    settings = Settings(eps, atol, rtol, nondet_tol, fast_mode, max_evaluations, seed, name)
    if order == 2:
        return _second(func, inputs, None, parameters, settings)
    return _first(func, inputs, vjp, parameters, settings)


def _answer(run: Callable[[], Report], raise_exception: bool) -> bool:
    try:
        report = run()
        if not report:
            error = (KinkError if report.verdict == "kink" else GradcheckError)(report.text())
            error.report = report
            raise error
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _refuse(name: str, asked: list[str]) -> None:
    if asked:
        raise ValueError(
            f"{name}: {asked[0]}=True is not supported: tinynet has reverse mode only, one "
            "cotangent at a time"
        )


def _first(func: Any, inputs: Any, vjp: Any, parameters: Any, settings: Settings) -> Report:
    inputs = as_tuple(inputs)
    if vjp is None:
        return Check(TensorProblem(func, inputs, _named(func, parameters)), settings).run()
    problem: Problem = PairProblem(func, vjp, inputs)
    report = Check(problem, settings).run()
    if report and report.mode == "jacobian" and not report.stepped_away:
        problem.restart()
        report.complex_step = complex_agreement(problem)  # type: ignore[arg-type]
        report.evaluations = problem.evaluations
        # Far from the real derivative too, it is no derivative: f is not analytic. Near but not
        # equal, vjp has an error that finite differences cannot resolve.
        off = report.complex_step
        if off is not None and 1e-8 < off < settings.rtol:
            report.verdict = "wrong"
            report.headline = (
                "gradcheck: vjp is off by a little: finite differences cannot tell, but the "
                f"complex-step derivative differs from it by {off:.1e} (relative)"
            )
            report.cause = "an approximation, a constant with too few digits, float32 inside."
    return report


def _second(
    func: Any, inputs: Any, grad_outputs: Any, parameters: Any, settings: Settings
) -> Report:
    inputs = as_tuple(inputs)
    named = _named(func, parameters)
    wanted = [x for x in inputs if isinstance(x, TensorBase) and node_of(x) is not None]
    wanted += [p for p in named.values() if node_of(p) is not None]
    wanted = list({id(x): x for x in wanted}.values())
    problem = TensorProblem(func, inputs, named)  # says what is missing
    problem.restart()
    if grad_outputs is None:
        random = np.random.default_rng(settings.seed + 1)
        cotangents = [
            _leaf(random.standard_normal(y.array.shape).astype(y.array.dtype), y.array)
            for y in problem.outputs
        ]
    else:
        cotangents = list(as_tuple(grad_outputs))
    problem.close()

    def gradients(*arguments: Any) -> Any:
        xs, vs = arguments[: len(inputs)], arguments[len(inputs) :]
        with enable_grad():
            ys = [y for y in as_tuple(func(*xs)) if is_differentiable(y)]
            return engine.grad(ys, wanted, vs, create_graph=True, materialize_grads=True)

    gradients.named_buffers = getattr(func, "named_buffers", tuple)  # type: ignore[attr-defined]
    checked = Check(TensorProblem(gradients, (*inputs, *cotangents), named), settings)
    report = checked.run()
    report.order = 2
    return report


def _leaf(array: Any, like: Any) -> Any:
    tensor = wrap(xp_of(like).asarray(array))
    return tensor.requires_grad_()


def _named(func: Any, parameters: Any) -> dict[str, Any]:
    """The parameters of a module, and those given."""
    found = dict(func.named_parameters()) if hasattr(func, "named_parameters") else {}
    if isinstance(parameters, Mapping):
        found.update(parameters)
    else:
        found.update({str(i): p for i, p in enumerate(parameters or ())})
    return found
