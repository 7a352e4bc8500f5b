"""L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..autograd.mode import enable_grad, no_grad
from ..ops.shape import cat
from ..tensor import Tensor
from .optimizer import Optimizer, at_least_zero


class LBFGS(Optimizer):
    """Newton's method with a Hessian known from the last steps: limited-memory BFGS.

    The direction is -H g, where the two-loop recursion applies the inverse Hessian H that the last
    history_size differences of parameters s and gradients y tell. `step` needs a closure that
    computes the loss and its gradient, which is called up to max_eval times; with line_search_fn
    "strong_wolfe" the length of a step is searched for. One parameter group only.
    Liu and Nocedal 1989; Nocedal and Wright 2006, chapters 3 and 7.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": at_least_zero("learning rate", lr),
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def _parameters(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def _gradient(self) -> Tensor:
        """All gradients as one vector."""
        return cat(
            [
                p.new_zeros((p.numel(),)) if p.grad is None else p.grad.reshape(-1)
                for p in self._parameters()
            ]
        )

    def _move(self, t: float, direction: Tensor) -> None:
        start = 0
        for p in self._parameters():
            p.add_(direction[start : start + p.numel()].reshape(p.shape) * t)
            start += p.numel()

    def _direction(self, g: Tensor, state: dict[str, Any]) -> Tensor:
        """-H g by the two-loop recursion, after taking the last step into the history."""
        y = g - state["prev_flat_grad"]
        s = state["d"] * state["t"]
        curvature = y.dot(s).item()
        ys, steps, rhos = state["old_dirs"], state["old_stps"], state["ro"]
        if curvature > 1e-10:
            if len(ys) == self.param_groups[0]["history_size"]:
                for oldest in (ys, steps, rhos):
                    oldest.pop(0)
            ys.append(y)
            steps.append(s)
            rhos.append(1 / curvature)
            state["H_diag"] = curvature / y.dot(y).item()
        q = -g
        alphas = []
        for y, s, rho in zip(reversed(ys), reversed(steps), reversed(rhos), strict=True):
            alphas.append((s.dot(q) * rho).item())
            q = q - y * alphas[-1]
        q = q * state["H_diag"]
        for y, s, rho, alpha in zip(ys, steps, rhos, reversed(alphas), strict=True):
            q = q + s * (alpha - (y.dot(q) * rho).item())
        return q

    def descend(self, closure: Callable[[], Any] | None) -> Any:
        """Take up to max_iter steps; returns the closure's first loss."""
        with no_grad():
            return self._descend(closure)

    def _descend(self, closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            raise TypeError("LBFGS.step: a closure that computes the loss anew is needed")
        group = self.param_groups[0]
        lr, most = group["lr"], group["max_iter"]
        search = group["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        # PyTorch's way: one state for all parameters, kept under the first
        state = self.state[self._parameters()[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss, loss, g = self._evaluated(closure)
        evaluations = 1
        state["func_evals"] += 1
        if _flat(g, group):
            return first_loss
        for iteration in range(1, most + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d: Tensor = -g
                state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
                t = min(1.0, 1.0 / g.abs().sum().item()) * lr
            else:
                d, t = self._direction(g, state), lr
            before, slope = loss, g.dot(d).item()
            state.update(d=d, t=t, prev_flat_grad=g.clone(), prev_loss=before)
            if slope > -group["tolerance_change"]:
                break
            if search is not None:
                start = Point(0.0, loss, g, slope)
                point, count = self._searched(closure, start, t, d, group, evaluations)
                loss, g, t = point.f, point.g, point.t
                state["t"] = t
                self._move(t, d)
            else:
                self._move(t, d)
                count = 0
                if iteration != most:  # the last one is for the next call to evaluate
                    _, loss, g = self._evaluated(closure)
                    count = 1
            evaluations += count
            state["func_evals"] += count
            if (
                evaluations >= group["max_eval"]
                or _flat(g, group)
                or (d * t).abs().max().item() <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break
        return first_loss

    def _evaluated(self, closure: Callable[[], Any]) -> tuple[Any, float, Tensor]:
        with enable_grad():
            loss = closure()
        return loss, float(loss), self._gradient()

    def _searched(
        self,
        closure: Callable[[], Any],
        start: Point,
        t: float,
        d: Tensor,
        group: dict[str, Any],
        evaluations: int,
    ) -> tuple[Point, int]:
        origin = [p.clone() for p in self._parameters()]

        def at(t: float) -> Point:
            self._move(t, d)
            _, loss, g = self._evaluated(closure)
            for p, value in zip(self._parameters(), origin, strict=True):
                p.copy_(value)
            return Point(t, loss, g, g.dot(d).item())

        width = d.abs().max().item()
        tolerance = group["tolerance_change"]
        return strong_wolfe(at, start, t, width, tolerance, group["max_eval"] - evaluations)


def _flat(g: Tensor, group: dict[str, Any]) -> bool:
    return g.abs().max().item() <= group["tolerance_grad"]


class Point(NamedTuple):
    """The loss at a distance t along the direction, its gradient, and its slope there."""

    t: float
    f: float
    g: Tensor
    slope: float


def strong_wolfe(
    at: Callable[[float], Point],
    start: Point,
    t: float,
    width: float,
    tolerance: float,
    most: int,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[Point, int]:
    """A point with f <= f0 + c1 * t * slope0 and |slope| <= c2 * |slope0|, and evaluations needed.

    First the step is lengthened until such a point lies between two, then that interval shrinks,
    each time at the minimum of the cubic through both ends.  Nocedal and Wright 2006, algorithms
    3.5 and 3.6.
    """

    def too_high(point: Point) -> bool:
        return point.f > start.f + c1 * point.t * start.slope

    def gentle(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    point, count, previous, rounds = at(t), 1, start, 0
    while rounds < most:
        if too_high(point) or (rounds > 1 and point.f >= previous.f):
            break
        if gentle(point):
            return point, count
        if point.slope >= 0:
            break
        nearest = point.t + 0.01 * (point.t - previous.t)
        t = _bottom(previous, point, nearest, point.t * 10)
        previous, point = point, at(t)
        count += 1
        rounds += 1
    else:
        previous = start
    low, high = (previous, point) if previous.f <= point.f else (point, previous)
    stuck = False
    while rounds < most and abs(high.t - low.t) * width >= tolerance:
        left, right = sorted((low.t, high.t))
        t = _bottom(low, high, left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # too near an end: once is allowed
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        point = at(t)
        count += 1
        rounds += 1
        if too_high(point) or point.f >= low.f:
            low, high = (low, point) if low.f <= point.f else (point, low)
        else:
            if gentle(point):
                return point, count
            if point.slope * (high.t - low.t) >= 0:
                high = low
            low = point
    return low, count


def _bottom(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic with the values and slopes of both points is smallest, within limits."""
    a, b = (a, b) if a.t <= b.t else (b, a)
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if square < 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, least), most)
