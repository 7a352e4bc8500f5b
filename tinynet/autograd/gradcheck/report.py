"""What a check found, in words, as a table of numbers and as a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

SHADES = ".:-=+*#%@"  # of relative errors from just too large up to 1 and more


class GradcheckError(RuntimeError):
    """A derivative disagrees with finite differences, or nothing could be checked.

    `report` is the `Report` of the check, where one got so far.
    """

    report: Report | None = None


class KinkError(GradcheckError):
    """The function has no derivative here, and no point nearby where it has one was found."""


@dataclass
class Worst:
    """The element that disagrees most (or, if all agree, comes closest to disagreeing)."""

    name: str  # of the input
    index: tuple[int, ...]  # in the input
    output: str  # "output 0 at index (1, 2)", or "the outputs with a random cotangent"
    got: float  # what backward gives
    expected: float  # what finite differences give
    relative_error: float


@dataclass
class Sweep:
    """One derivative measured with many step sizes."""

    steps: list[float]
    values: list[float]
    got: float  # what backward gives
    settled: float  # where the measurements agree best with their neighbours
    best_step: float
    spread: float  # how far those neighbours differ
    conclusion: str = ""

    def agreement(self, allowed: float) -> float | None:
        """A step that, as well as its neighbour, agrees with backward; None if there is none."""
        near = [abs(v - self.got) <= allowed for v in self.values]
        for k in range(len(near) - 1):
            # Exact zeros at tiny steps: the step was lost in rounding, nothing was measured.
            lost = self.values[k] == 0 == self.values[k + 1] and self.steps[k] < 1e-7
            if near[k] and near[k + 1] and not lost:
                return self.steps[k + 1]
        return None

    def text(self) -> str:
        """One line per step size."""
        lines = ["  step      finite differences   away from backward's"]
        lines += [
            f"  {h:<8.0e}  {v:>18.10g}   {abs(v - self.got):>9.1e}"
            + ("   <- settles here" if h == self.best_step else "")
            for h, v in zip(self.steps, self.values, strict=True)
        ]
        return "\n".join(lines)


@dataclass
class Report:
    """The result of one check.

    verdict: "passed"; "wrong" (the derivative); "rounding" (the differences are too inaccurate to
    tell); "kink" (no derivative here); "pullback" (backward breaks another rule).
    """

    verdict: str = "passed"
    headline: str = ""
    cause: str = ""
    worst: Worst | None = None
    each: dict[str, Worst] = field(default_factory=dict)  # the worst element of each input
    compared: int = 0  # how many derivatives were compared
    evaluations: int = 0  # of the function
    backwards: int = 0  # backward passes
    mode: str = "jacobian"  # or "gradient" (random cotangents) or "directions" (fast mode)
    order: int = 1
    kinks: list[str] = field(default_factory=list)  # where, in words
    stepped_away: bool = False
    vacuous: list[str] = field(default_factory=list)  # inputs whose derivative is 0 everywhere
    notes: list[str] = field(default_factory=list)
    sweep: Sweep | None = None
    complex_step: float | None = None  # the largest relative error against the complex step
    got: Any = None  # the Jacobian by backward (M, n) of the failing input, where it was computed
    expected: Any = None  # the Jacobian by finite differences
    tolerance: tuple[float, float] = (0.0, 0.0)  # atol, rtol

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    @property
    def worst_relative_error(self) -> float:
        """max |got - expected| / (|expected| + atol / rtol): at most rtol exactly if all agree."""
        return 0.0 if self.worst is None else self.worst.relative_error

    def text(self) -> str:
        """The whole lesson."""
        parts = [self.headline or self._summary()]
        if self.cause:
            parts.append(f"Likely cause: {self.cause}")
        if self.complex_step is not None:
            parts.append(
                "Second opinion: the complex-step derivative, exact to rounding, differs from "
                f"backward by {self.complex_step:.1e} (relative)."
            )
        if self.sweep is not None:
            parts.append(f"{self.sweep.conclusion}\n{self.sweep.text()}")
        if self.got is not None and self.verdict == "wrong":
            parts.append(self.error_map())
        parts += self.notes
        parts.append(
            f"({self.compared} derivatives compared, {self.evaluations} evaluations of the "
            f"function, {self.backwards} backward passes)"
        )
        return "\n\n".join(parts)

    __str__ = text

    def _summary(self) -> str:
        name = "gradcheck" if self.order == 1 else "gradgradcheck"
        parts = [f"{name}: passed, worst relative error {self.worst_relative_error:.1e}"]
        if self.stepped_away:
            parts.append(f"away from a kink at {', '.join(self.kinks[:4])}")
        if self.vacuous:
            parts.append(
                f"but the derivative by {', '.join(self.vacuous)} is 0 everywhere, so a deleted "
                "one would have passed too"
            )
        return "; ".join(parts)

    def errors(self) -> Any:
        """The Jacobian's relative errors (M, n), 0 where the tolerance is kept."""
        atol, rtol = self.tolerance
        difference = np.abs(self.got - self.expected)
        allowed = atol + rtol * np.abs(self.expected)
        relative = difference / (np.abs(self.expected) + atol / (rtol or 1))
        return np.where(difference <= allowed, 0, np.nan_to_num(relative, nan=np.inf))

    def error_map(self, rows: int = 16, columns: int = 64) -> str:
        """The Jacobian's errors in characters: a row per output element, a column per input's."""
        errors = self.errors()
        small = _pooled(errors, rows, columns)
        lines = []
        for line in small:
            level = np.clip(9 + 2 * np.log10(np.maximum(line, 1e-30)), 1, 9).astype(int) - 1
            lines.append(
                "  "
                + "".join(" " if e == 0 else SHADES[k] for e, k in zip(line, level, strict=True))
            )
        scale = "" if small.shape == errors.shape else ", the largest of each block"
        name = self.worst.name if self.worst else "the input"
        edge = "  " + "-" * small.shape[1]
        return "\n".join(
            [
                f"Errors of the Jacobian (rows: {errors.shape[0]} output elements, columns: "
                f"{errors.shape[1]} elements of {name}; blank is right, @ is wrong by its own size"
                f" or more{scale}):",
                edge,
                *lines,
                edge,
            ]
        )

    def figure(self) -> Any:
        """A Matplotlib figure: both Jacobians, their errors, and the step-size sweep."""
        from matplotlib.figure import Figure  # no global state, no window

        panels = (3 if self.got is not None else 0) + (self.sweep is not None)
        if not panels:
            raise ValueError(
                f"nothing to draw: the verdict is {self.verdict!r}, and a check that passes keeps "
                "no Jacobian"
            )
        figure = Figure(figsize=(3.6 * panels, 3.4), layout="constrained")
        axes = list(np.atleast_1d(figure.subplots(1, panels)))
        if self.got is not None:
            both = np.concatenate([self.got.ravel(), self.expected.ravel()])
            both = np.abs(both[np.isfinite(both)])
            limit = both.max(initial=0) or 1.0
            errors = np.log10(np.maximum(np.nan_to_num(self.errors(), posinf=1e3), 1e-12))
            pictures = (
                ("backward", self.got, "RdBu", (-limit, limit)),
                ("finite differences", self.expected, "RdBu", (-limit, limit)),
                ("log10 of the relative error", errors, "magma", (-6, 0)),
            )
            for title, values, colours, (low, high) in pictures:
                ax = axes.pop(0)
                image = ax.imshow(
                    values, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="none"
                )
                ax.set(title=title, xlabel="input element", ylabel="output element")
                figure.colorbar(image, ax=ax)
        if self.sweep is not None:
            values, ax = np.array(self.sweep.values), axes.pop(0)
            for label, target in (("backward", self.sweep.got), ("limit", self.sweep.settled)):
                away = np.maximum(np.abs(values - target), 1e-15)
                ax.loglog(self.sweep.steps, away, "o-", label=f"away from {label}")
            ax.set(title="finite differences", xlabel="step", ylabel="distance")
            ax.legend()
        return figure


def _pooled(errors: Any, rows: int, columns: int) -> Any:
    """The largest error in each of at most rows x columns blocks."""
    for axis, most in ((0, rows), (1, columns)):
        n = errors.shape[axis]
        if n > most:
            starts = np.unique(np.arange(most) * n // most)
            errors = np.maximum.reduceat(errors, starts, axis=axis)
    return errors
