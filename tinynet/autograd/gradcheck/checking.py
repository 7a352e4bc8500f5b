"""One check from start to end: the rules of a pullback, the comparison, the explanation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .diagnosis import Evidence, diagnose, shape_mistake
from .differences import Mover, Sample, kinks, sweep
from .problem import PairProblem, Problem, flat
from .report import GradcheckError, Report, Worst

COTANGENTS = 3  # random ones, where the outputs are too many for one each
DIRECTIONS = 3  # random ones per input in fast mode
TRIES = 4  # points nearby, where the given one is a kink
EXPLAINED = 600  # the most elements of an input, and of the outputs, of an explaining Jacobian


@dataclass(frozen=True)
class Settings:
    """What gradcheck was asked for."""

    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    fast_mode: bool
    max_evaluations: int
    seed: int
    name: str = "gradcheck"

    def allowed(self, expected: Any) -> Any:
        """The largest error that counts as agreement."""
        return self.atol + self.rtol * np.abs(expected)


class Found(Exception):
    """Ends a check with its report."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.headline)
        self.report = report


class Check:
    """A check in progress: the problem, the settings, and the report so far."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem, self.settings = problem, settings
        self.random = np.random.default_rng(settings.seed)
        self.report = Report(tolerance=(settings.atol, settings.rtol))

    def run(self) -> Report:
        """The finished report."""
        problem, report = self.problem, self.report
        try:
            # Infinities and NaN are judged, not warned about.
            with np.errstate(invalid="ignore", divide="ignore"):
                y = flat(problem.restart())
                self._check_function(y)
                self._check_pullback()
                kinked = self._compare(y)
                if kinked:
                    self._step_away(kinked)
        except Found as found:
            report = found.report
        finally:
            problem.close()
        report.evaluations, report.backwards = problem.evaluations, problem.backwards
        return report

    def _found(self, verdict: str, sentence: str, cause: str = "") -> Found:
        self.report.verdict, self.report.cause = verdict, cause
        self.report.headline = f"{self.settings.name}: {sentence}"
        return Found(self.report)

    # --------------------------------------------------------------------- the rules of a pullback

    def _check_function(self, y: Any) -> None:
        """Defined here, the same each time, and its inputs left alone."""
        problem = self.problem
        if not np.isfinite(y).all():
            i, index = problem.where(int(np.flatnonzero(~np.isfinite(y))[0]))
            raise self._found(
                "kink",
                f"output {i} is {y[~np.isfinite(y)][0]} at index {index}: the function has no "
                "derivative at these inputs; choose others",
            )
        before = [a.copy() for a in problem.arrays]
        again = problem.value()
        self._check_unchanged(before, "the function changes")
        if not np.allclose(y, again, rtol=0, atol=self.settings.nondet_tol):
            raise self._found(
                "pullback",
                "the function is not reproducible: its outputs differed by "
                f"{np.abs(y - again).max():.3g} between two evaluations at the same point",
            )

    def _check_unchanged(self, before: list[Any], what: str) -> None:
        for name, array, copy in zip(self.problem.names, self.problem.arrays, before, strict=True):
            if not np.array_equal(array, copy, equal_nan=True):
                array[...] = copy
                raise self._found("pullback", f"{what} {name} in place")

    def _cotangent(self) -> Any:
        return self.random.standard_normal(self.problem.out_size)

    def _pull(self, v: Any) -> list[Any]:
        """The gradients for a cotangent (M,), checked for shape and dtype; copies."""
        problem = self.problem
        self._sent = dy = problem.split(v)
        try:
            found = problem.pull(dy)
        except GradcheckError:
            raise
        except RuntimeError as error:
            raise self._found("pullback", f"backward raised an error: {error}") from error
        for name, array, g in zip(problem.names, problem.arrays, found, strict=True):
            if g is not None and g.shape != array.shape:
                raise self._found(
                    "pullback",
                    f"the gradient of {name} has shape {list(g.shape)}, the input "
                    f"{list(array.shape)}",
                    shape_mistake(name, g.shape, array.shape),
                )
            if g is not None and g.dtype != array.dtype:
                raise self._found(
                    "pullback", f"the gradient of {name} has dtype {g.dtype}, not float64"
                )
        for sent, kept in zip(dy, problem.split(v), strict=True):
            if not np.array_equal(sent, kept):
                raise self._found(
                    "pullback",
                    "backward changes the cotangent dy in place; others may still need it",
                    "an in-place operation on dy (dy *= ..., dy[mask] = 0): write dx = dy * ...",
                )
        return found

    def _check_pullback(self) -> None:
        """Repeatable, linear, zero for zero; nothing changed, nothing shared."""
        problem = self.problem
        v, w = self._cotangent(), self._cotangent()
        before = [a.copy() for a in problem.arrays]
        gradients = self._pull(v)
        self._check_unchanged(before, "backward changes")
        shared = problem.aliases(self._sent, gradients)
        if shared is not None:
            raise self._found(
                "pullback",
                f"{shared}: changing one would change the other",
                "backward returns an array it was handed or remembered; return a copy.",
            )
        first = self._filled(gradients)
        self._check_same(first, self._filled(self._pull(v)), "two runs over one graph")
        problem.restart()
        self._check_same(first, self._filled(self._pull(v)), "two runs")
        second = self._filled(self._pull(w))
        both = self._filled(self._pull(1.75 * v - 0.625 * w))
        zero = self._filled(self._pull(np.zeros_like(v)))
        # A gradient that is 0 in exact arithmetic (a bias before batch norm) is rounding alone.
        floor = 1e-12 * (np.abs(v).max(initial=0) + np.abs(w).max(initial=0))
        for name, a, b, c, z in zip(problem.names, first, second, both, zero, strict=True):
            z = np.where(np.isfinite(z), z, 0)  # 0 times infinity is left to the comparison
            if z.any():
                raise self._found(
                    "pullback",
                    f"backward is not linear: for a cotangent of zeros the gradient of {name} is "
                    f"{z[z != 0][0]:.6g}, not 0",
                    "something is added that does not depend on dy, or 0 is multiplied by "
                    "infinity.",
                )
            scale = np.abs(a).max(initial=0) + np.abs(b).max(initial=0)
            allowed = (
                max(1e-8, 1e-3 * self.settings.rtol) * scale + 4 * self.settings.nondet_tol + floor
            )
            error = np.abs(c - (1.75 * a - 0.625 * b)).max(initial=0)
            if error > allowed:  # a NaN is left to the comparison
                raise self._found(
                    "pullback",
                    f"backward is not linear in the cotangent: the gradient of {name} for a v + b w"
                    f" differs by {error:.3g} from a times that for v plus b times that for w",
                    "dy is squared, clipped, compared with something or otherwise bent; a pullback "
                    "multiplies dy by the Jacobian and does nothing else.",
                )

    def _check_same(self, first: list[Any], again: list[Any], what: str) -> None:
        for name, g, h in zip(self.problem.names, first, again, strict=True):
            if not np.allclose(g, h, rtol=0, atol=self.settings.nondet_tol, equal_nan=True):
                raise self._found(
                    "pullback",
                    f"backward is not reproducible: the gradient of {name} differed by "
                    f"{np.abs(g - h).max():.3g} between {what}",
                    "it changes what it remembers, or depends on something else that changes.",
                )

    def _filled(self, gradients: list[Any]) -> list[Any]:
        """Copies, with zeros for a gradient that did not arrive."""
        return [
            np.zeros(a.shape) if g is None else np.array(g)
            for a, g in zip(self.problem.arrays, gradients, strict=True)
        ]

    # ------------------------------------------------------------------------------ the comparison

    def _mode(self) -> str:
        N, M, most = self.problem.size, self.problem.out_size, self.settings.max_evaluations
        each = 2 * N  # evaluations for every element
        if self.settings.fast_mode or each + COTANGENTS > most:
            return "directions"
        return "jacobian" if each + M <= most else "gradient"

    def _compare(self, y: Any) -> list[str]:
        """Compare everything once; returns where the function has kinks, or raises Found."""
        mode = self.report.mode = self._mode()
        self.report.vacuous, self.report.each = [], {}
        if mode == "directions":
            return self._by_direction(y)
        places = [
            place for k in range(len(self.problem.arrays)) for place in self._by_element(k, y)
        ]
        if not self.report.compared and not places:
            self.report.notes = ["Nothing has any elements: only shapes and dtypes were checked."]
        return places

    def _cotangents(self, mode: str) -> Any:
        """Rows (K, M) to multiply the Jacobian with: the identity, or a few random ones."""
        M = self.problem.out_size
        if mode == "jacobian":
            return np.eye(M)
        return self.random.standard_normal((COTANGENTS, M))

    def _pulled(self, rows: Any) -> list[Any]:
        """(K, n) of each input: the gradients for each of the rows."""
        N = [a.size for a in self.problem.arrays]
        results = [np.zeros((len(rows), n)) for n in N]
        for r, v in enumerate(rows):
            for result, g in zip(results, self._pull(v), strict=True):
                if g is not None:
                    result[r] = np.ravel(g)
        return results

    def _by_element(self, k: int, y: Any) -> list[str]:
        """Every element of input k, for every output element or for random cotangents."""
        if k == 0:
            self._rows = self._cotangents(self.report.mode)
            self._got = self._pulled(self._rows)
        rows, got = self._rows, self._got[k]
        expected, bent = self._measured(k, y, rows, got)
        where = f"{self.problem.names[k]} at index "
        shape = self.problem.arrays[k].shape
        places = [
            where + str(tuple(int(i) for i in np.unravel_index(j, shape)))
            for j in np.flatnonzero(bent.any(axis=0))
        ]
        self._judge(k, y, rows, got, expected, bent)
        return places

    def _measured(self, k: int, y: Any, rows: Any, got: Any) -> tuple[Any, Any]:
        """By finite differences: rows @ Jacobian (K, n), and where a kink spoils it."""
        mover, eps = Mover(self.problem, k, y), self.settings.eps
        identity = len(rows) == y.size and self.report.mode == "jacobian"
        expected, bent = np.empty(got.shape), np.zeros(got.shape, bool)
        for j, index in enumerate(np.ndindex(self.problem.arrays[k].shape)):
            sample = mover.element(index, eps)
            column = sample.central if identity else rows @ sample.central
            kinked = self._kinked(
                sample,
                np.abs(got[:, j] - column) if identity else None,
                lambda h, index=index: mover.element(index, h),  # type: ignore[misc]
                eps,
            )
            expected[:, j] = column
            if kinked.any():
                bent[:, j] = (kinked | ~np.isfinite(got[:, j])) if identity else True
        return expected, bent

    def _kinked(
        self, sample: Sample, error: Any, again: Callable[[float], Sample], h: float
    ) -> Any:
        """Which outputs (M,) have a kink within h, judging by the samples."""
        with np.errstate(invalid="ignore"):
            suspicious = sample.jump > 1e-4 * (1 + np.abs(sample.central))
            if error is not None:
                wrong = error > self.settings.allowed(sample.central)
                suspicious |= wrong & (sample.jump > 0.1 * error)
        return kinks(sample, suspicious, again, h)

    def _judge(self, k: int, y: Any, rows: Any, got: Any, expected: Any, bent: Any) -> None:
        """Raise Found if a derivative disagrees away from kinks; else note the worst."""
        settings, report = self.settings, self.report
        smooth = ~bent
        report.compared += int(smooth.sum())
        with np.errstate(invalid="ignore"):
            error = np.abs(got - expected)
            allowed = settings.allowed(expected)
            wrong = ~(error <= allowed) & smooth
        if not smooth.any():
            return
        if np.abs(np.where(smooth, expected, 0)).max() <= settings.atol and not wrong.any():
            report.vacuous.append(self.problem.names[k])
        relative = error / (np.abs(expected) + settings.atol / (settings.rtol or 1))
        relative = np.where(smooth, np.nan_to_num(relative, nan=np.inf), -1)
        if wrong.any():
            relative = np.where(wrong, relative, -1)
        r, j = (int(i) for i in np.unravel_index(np.argmax(relative), relative.shape))
        index = tuple(int(i) for i in np.unravel_index(j, self.problem.arrays[k].shape))
        worst = Worst(
            self.problem.names[k],
            index,
            self._row_name(r),
            float(got[r, j]),
            float(expected[r, j]),
            float(relative[r, j]),
        )
        self._note(worst)
        if wrong.any():
            self._explain(k, y, rows, got, expected, wrong, worst, r)

    def _row_name(self, r: int) -> str:
        if self.report.mode == "jacobian":
            i, index = self.problem.where(r)
            return f"output {i} at index {index}"
        return "the outputs with a random cotangent"

    def _by_direction(self, y: Any) -> list[str]:
        """Random directions in each input against random cotangents; a failure is then located."""
        places: list[str] = []
        zero = [True] * len(self.problem.arrays)
        for _ in range(DIRECTIONS):
            v = self._cotangent()
            gradients = self._pull(v)
            for k, array in enumerate(self.problem.arrays):
                g = gradients[k]
                if array.size and not self._direction(k, y, v, g):
                    places.append(f"{self.problem.names[k]} along a random direction")
                zero[k] &= g is None or not g.any()
        self.report.vacuous += [n for n, z in zip(self.problem.names, zero, strict=True) if z]
        return list(dict.fromkeys(places))

    def _direction(self, k: int, y: Any, v: Any, g: Any) -> bool:
        """One direction in input k; False if every step meets a kink."""
        settings, report, array = self.settings, self.report, self.problem.arrays[k]
        mover, u = (
            Mover(self.problem, k, y),
            self.random.standard_normal(self.problem.arrays[k].shape),
        )
        got = 0.0 if g is None else float(np.vdot(g, u))
        name = self.problem.names[k]
        best: Worst | None = None
        # In a large network some ReLU is always near its kink: a shorter step stays clear of it,
        # and a wrong gradient is wrong at every step.
        for h in settings.eps / 8.0 ** np.arange(4):
            sample = mover.along(u, h)
            if self._kinked(sample, None, lambda h: mover.along(u, h), h).any():
                continue
            expected = float(v @ sample.central)
            # One wrong element among n moves the sum by 1/sqrt(n) of its own error.
            size = max(abs(got), abs(expected))
            tolerance = settings.atol + settings.rtol * size / np.sqrt(array.size)
            tolerance += float(np.abs(v) @ sample.noise)
            error = abs(got - expected)
            relative = error / (abs(expected) + settings.atol / (settings.rtol or 1))
            if best is None or relative < best.relative_error:
                place = "the outputs with a random cotangent"
                best = Worst(name, (), place, got, expected, relative)
            if error <= tolerance:
                break
        else:
            if best is None:
                return False
            report.worst = best
            self._locate(k, y)
            raise self._found(
                "wrong",
                f"the gradient of {name} is wrong: along a random direction and with a random "
                f"cotangent backward gives {got:.9g}, finite differences give {best.expected:.9g} "
                f"(relative error {best.relative_error:.1e})",
            )
        report.compared += 1
        assert best is not None
        self._note(best)
        return True

    def _note(self, worst: Worst) -> None:
        """Keep the worst element, of all and of each input."""
        report = self.report
        if report.worst is None or worst.relative_error > report.worst.relative_error:
            report.worst = worst
        held = report.each.get(worst.name)
        if held is None or worst.relative_error > held.relative_error:
            report.each[worst.name] = worst

    def _locate(self, k: int, y: Any) -> None:
        """Fast mode found input k wrong: compare its elements one by one, as far as is sensible."""
        if self.problem.arrays[k].size > self.settings.max_evaluations:
            self.report.notes.append("The input is too large to say which elements are wrong.")
            return
        M = self.problem.out_size
        self.report.mode = "jacobian" if M <= EXPLAINED else "gradient"
        rows = self._cotangents(self.report.mode)
        got = self._pulled(rows)[k]
        self._judge(k, y, rows, got, *self._measured(k, y, rows, got))

    # ----------------------------------------------------------------------------- the explanation

    def _explain(
        self, k: int, y: Any, rows: Any, got: Any, expected: Any, wrong: Any, worst: Worst, r: int
    ) -> None:
        """Raise Found: measure the worst element with many steps, and guess at the cause."""
        problem, settings, report = self.problem, self.settings, self.report
        report.worst = worst
        mover = Mover(problem, k, y)
        row = rows[r]
        report.sweep = found = sweep(
            lambda h: row @ mover.element(worst.index, h).central, worst.got, settings.eps
        )
        settled = found.settled
        elements = int(wrong.any(axis=0).sum())
        sentence = (
            f"at index {worst.index}, for {worst.output}, backward gives {worst.got:.9g}, finite "
            f"differences give {worst.expected:.9g} (relative error {worst.relative_error:.1e}); "
            f"{elements} of {got.shape[1]} elements disagree"
        )
        at = found.agreement(settings.allowed(worst.got))
        if at is not None:
            found.best_step = at
            why = "rounding" if found.best_step > settings.eps else "truncation"
            found.conclusion = (
                f"At a step of {found.best_step:.0e} the differences agree with backward: at "
                f"{settings.eps:.0e} it is {why} that spoils them, not the gradient."
            )
            raise self._found(
                "rounding",
                f"the differences of {worst.name} are too inaccurate to judge by: {sentence}; "
                f"try eps={found.best_step:.0e}",
            )
        found.conclusion = (
            f"The differences settle at {settled:.9g} and backward stays away from it: the "
            "gradient is wrong, not the measurement."
        )
        jacobian = self._explaining(k, y, rows, got, expected)
        evidence = Evidence(
            *jacobian[:2],
            ~(np.abs(jacobian[0] - jacobian[1]) <= settings.allowed(jacobian[1])),
            problem.arrays[k].shape,
            tuple(problem.shapes) if jacobian[2] else (),
            self._pull(self._cotangent())[k] is None,
        )
        if jacobian[2]:
            report.got, report.expected = jacobian[:2]
        self._second_opinion(k, worst, jacobian[0])
        raise self._found(
            "wrong", f"the gradient of {worst.name} is wrong: {sentence}", diagnose(evidence)
        )

    def _explaining(
        self, k: int, y: Any, rows: Any, got: Any, expected: Any
    ) -> tuple[Any, Any, bool]:
        """The Jacobian of input k both ways, if it is small enough; else what there is."""
        if self.report.mode == "jacobian":
            return got, expected, True
        if max(y.size, got.shape[1]) > EXPLAINED:
            return got, expected, False
        identity = np.eye(y.size)
        complete = self._pulled(identity)[k]
        mover = Mover(self.problem, k, y)
        measured = [
            mover.element(index, self.settings.eps).central
            for index in np.ndindex(self.problem.arrays[k].shape)
        ]
        return complete, np.stack(measured, axis=1), True

    def _second_opinion(self, k: int, worst: Worst, got: Any) -> None:
        """For plain NumPy pairs: the worst column by a complex step, if f takes complex numbers."""
        if isinstance(self.problem, PairProblem) and self.report.mode == "jacobian":
            column = self.problem.complex_column(k, worst.index)
            if column is not None:
                j = int(np.ravel_multi_index(worst.index, self.problem.arrays[k].shape))
                self.report.complex_step = _away(got[:, j], column)

    # ----------------------------------------------------------------------------- away from kinks

    def _step_away(self, places: list[str]) -> None:
        """Check at a point nearby instead; raise Found if every one of them has kinks too."""
        report, problem = self.report, self.problem
        report.kinks = places
        before = [a.copy() for a in problem.arrays]
        try:
            for moves in self._moves():
                for array, start, move in zip(problem.arrays, before, moves, strict=True):
                    size = float(np.sqrt(np.mean(start**2))) if start.size else 0.0
                    array[...] = start + 1e-2 * (size or 1.0) * move
                y = flat(problem.restart())
                if np.isfinite(y).all() and not self._compare(y):
                    report.stepped_away = True
                    return
        finally:
            for array, start in zip(problem.arrays, before, strict=True):
                array[...] = start
        shown = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
        raise self._found(
            "kink",
            f"the function has a kink at {shown}: its slopes to the left and to the right differ, "
            "so there is no derivative to compare with, and no smooth point was found nearby",
            "a maximum or a comparison with a tie, an absolute value or ReLU at 0, rounding. This "
            "is no error of backward's, but nothing is proven either: choose other inputs.",
        )

    def _moves(self) -> Iterator[list[Any]]:
        """Ways to leave a point: at random, then all upwards, then all downwards."""
        shapes = [a.shape for a in self.problem.arrays]
        for i in range(TRIES):
            noise = [self.random.uniform(0.3, 1, s) for s in shapes]
            if i in (1, 2):
                yield [(1 if i == 1 else -1) * n for n in noise]
            else:
                yield [n * self.random.choice([-1.0, 1.0], n.shape) for n in noise]


def _away(got: Any, expected: Any) -> float:
    scale = np.abs(expected).max(initial=0) or 1.0
    return float(np.abs(got - expected).max(initial=0) / scale)


def complex_agreement(problem: PairProblem) -> float | None:
    """The largest error of vjp's Jacobian against complex steps, relative to its largest entry.

    None if f does not take complex numbers, or its complex derivative is not its real one.
    """
    M = problem.out_size
    rows = [problem.pull(problem.split(row)) for row in np.eye(M)]
    worst = 0.0
    for k, array in enumerate(problem.arrays):
        got = np.array([np.zeros(array.shape) if g[k] is None else g[k] for g in rows])
        for index in np.ndindex(array.shape):
            column = problem.complex_column(k, index)
            if column is None or not np.isfinite(column).all():
                return None
            worst = max(worst, _away(got[(slice(None), *index)], column))
    return worst
