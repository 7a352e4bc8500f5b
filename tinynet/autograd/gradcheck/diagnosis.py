"""Guess what is wrong with a derivative from how it differs from the right one.

Each mistake leaves its mark on the Jacobian J (outputs x elements of one input): a sign flips all
of it, an overwritten duplicate empties all but one entry of a column, a flipped kernel reverses
each row within its window. The guesses are tried from the most to the least specific.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np


class Evidence(NamedTuple):
    """A wrong derivative and the right one."""

    got: Any  # (K, n): by backward, a row per output element (or per random cotangent)
    expected: Any  # (K, n): by finite differences
    wrong: Any  # (K, n): where they differ
    shape: tuple[int, ...]  # of the input
    outputs: tuple[tuple[int, ...], ...]  # shapes of the outputs; () if the rows are cotangents
    missing: bool  # no gradient arrived at all

    @property
    def scale(self) -> float:
        """The largest right entry."""
        return float(np.abs(self.expected).max(initial=0)) or 1.0

    def close(self, a: Any, b: Any) -> bool:
        """Equal up to what finite differences can resolve."""
        return bool(np.allclose(a, b, rtol=1e-3, atol=1e-5 * self.scale))


def diagnose(evidence: Evidence) -> str:
    """A sentence that names the likely mistake."""
    for guess in GUESSES:
        sentence = guess(evidence)
        if sentence:
            return sentence
    return "no known pattern: compare the formula term by term; the error map shows where it fails."


def _absent(e: Evidence) -> str | None:
    if e.missing:
        return (
            "the input is not wired: no gradient arrives at it, though the outputs change with it. "
            "Look for detach(), .data, NumPy in the middle, or a backward that returns None for it."
        )
    if not e.got.any():
        return (
            "the gradient is deleted: backward gives zeros, though the outputs change with the "
            "input."
        )
    return None


def _factor(e: Evidence) -> str | None:
    c = float((e.got * e.expected).sum() / (e.expected**2).sum()) if e.expected.any() else 0.0
    if abs(c) < 1e-6 or not e.close(e.got, c * e.expected):
        return None
    if abs(c + 1) < 1e-3:
        return "the sign: backward gives minus the right gradient."
    batch = {s[0]: f"the batch size {s[0]}" for s in e.outputs if s and s[0] > 1}
    sizes = {int(np.prod(s)): f"the number of output elements, {np.prod(s)}" for s in e.outputs}
    known = {n: text for n, text in {**sizes, **batch}.items() if n > 1}
    for n, text in known.items():
        if abs(c * n - 1) < 1e-3:
            return (
                f"a factor of 1/{n}, one over {text}: a mean where a sum belongs (a missing sum "
                "over the batch), or a mean taken twice."
            )
        if abs(c / n - 1) < 1e-3:
            return f"a factor of {n}, {text}: a sum where a mean belongs."
    return f"a factor: backward gives {c:.6g} times the right gradient."


def _one_element(e: Evidence) -> str | None:
    columns = np.flatnonzero(e.wrong.any(axis=0))
    if columns.size != 1 or e.got.shape[1] < 3:
        return None
    j = int(columns[0])
    index = tuple(int(k) for k in np.unravel_index(j, e.shape))
    largest = int(np.abs(e.expected[:, j]).argmax())
    ratio = e.got[largest, j] / e.expected[largest, j] if e.expected[largest, j] else np.inf
    return (
        f"one element: only the gradient at index {index} is wrong ({ratio:.6g} times the right "
        "one); look at what is special about that place (an end, a corner, a padding value)."
    )


def _transposed(e: Evidence) -> str | None:
    if len(e.shape) >= 2:
        got, expected = (a.reshape(-1, *e.shape) for a in (e.got, e.expected))
        for i, j in combinations(range(len(e.shape)), 2):
            if max(e.shape[i], e.shape[j]) == 1:
                continue
            turned = list(e.shape)
            turned[i], turned[j] = turned[j], turned[i]
            candidate = e.got.reshape(-1, *turned).swapaxes(i + 1, j + 1)
            if e.close(candidate, expected):
                return (
                    f"transposed: the gradient's axes {i} and {j} are exchanged; its shape is right"
                    + (" because both have the same size." if e.shape[i] == e.shape[j] else ".")
                )
        del got
    square = e.got.shape[0] == e.got.shape[1] > 1
    if square and e.outputs and e.close(e.got.T, e.expected):
        return (
            "transposed: backward multiplies with the Jacobian where it must multiply with its "
            "transpose (W where W.T belongs)."
        )
    return None


def _flipped(e: Evidence) -> str | None:
    if len(e.shape) < 2:
        return None
    got, expected = (a.reshape(-1, *e.shape) for a in (e.got, e.expected))
    for axes in ((-2, -1), (-1,), (-2,)):
        if e.close(np.flip(got, axes), expected):
            return f"the kernel is flipped: the gradient is reversed along its axes {axes}."
    if not e.outputs:
        return None
    # An image's gradient by a flipped kernel: each row is right but for the order in its window.
    windows = [_window(row, e.scale) for row in expected]
    sizes = [tuple(s.stop - s.start for s in w) for w in windows if w is not None]
    if not sizes or max(a * b for a, b in sizes) == 1:
        return None
    full = max(sizes, key=lambda s: s[0] * s[1])
    whole = [
        (g[(..., *w)], x[(..., *w)])
        for g, x, w in zip(got, expected, windows, strict=True)
        if w is not None and tuple(s.stop - s.start for s in w) == full
    ]
    for axes in ((-2, -1), (-1,), (-2,)):
        if all(e.close(np.flip(g, axes), x) for g, x in whole):
            return (
                f"the kernel is flipped: within each window of {full[0]} x {full[1]} the gradient "
                f"is reversed along axes {axes} (a convolution where a correlation belongs, or the "
                "other way round)."
            )
    return None


def _window(row: Any, scale: float) -> tuple[slice, slice] | None:
    """Where a row of the Jacobian is not 0 in its last two axes."""
    used = np.abs(row) > 1e-6 * scale
    used = used.reshape(-1, *row.shape[-2:]).any(axis=0)
    if not used.any():
        return None
    (a, b), (c, d) = (np.flatnonzero(used.any(axis=k))[[0, -1]] for k in (1, 0))
    return slice(a, b + 1), slice(c, d + 1)


def _one_slice(e: Evidence) -> str | None:
    """Only one slice of an output's axis sends a gradient back."""
    if len(e.outputs) != 1:
        return None
    shape = e.outputs[0]
    got, expected = (a.reshape(*shape, -1) for a in (e.got, e.expected))
    for axis, n in enumerate(shape):
        if n < 2 or (np.moveaxis(expected, axis, 0) != 0).reshape(n, -1).any(axis=1).sum() < 2:
            continue
        slices = list(zip(np.moveaxis(got, axis, 0), np.moveaxis(expected, axis, 0), strict=True))
        kept = [i for i, (g, x) in enumerate(slices) if g.any() and e.close(g, x)]
        if len(kept) == 1 and not any(g.any() for i, (g, _) in enumerate(slices) if i != kept[0]):
            batch = " over the batch" if axis == 0 else ""
            return (
                f"a missing sum{batch}: only the outputs at {kept[0]} of axis {axis} send a "
                f"gradient back; broadcasting is not undone: sum over axis {axis} of dy "
                f"({n} of them)."
            )
    return None


def _overwritten(e: Evidence) -> str | None:
    """`=` for `+=`: of several contributions to an element only one arrived."""
    if not e.outputs:
        return None
    tiny = 1e-6 * e.scale
    columns = np.flatnonzero(e.wrong.any(axis=0))
    for j in columns:
        got, expected = e.got[:, j], e.expected[:, j]
        several = (np.abs(expected) > tiny).sum() > 1
        right = np.isclose(got, expected, rtol=1e-3, atol=tiny)
        if not several or not (right | (np.abs(got) <= tiny)).all() or not got.any():
            return None
    return (
        "overwritten: where an element is used several times (duplicate indices, overlapping "
        "windows) only one contribution arrives. Add them up: += for =, np.add.at for "
        "dx[index] = dy."
    )


def _diagonal(e: Evidence) -> str | None:
    if e.got.shape[0] != e.got.shape[1] or not e.outputs or e.got.shape[0] < 2:
        return None
    off = ~np.eye(e.got.shape[0], dtype=bool)
    if not e.got[off].any() and (np.abs(e.expected[off]) > 1e-5 * e.scale).any():
        return (
            "a missing term: backward treats the function as elementwise, but each output depends "
            "on several inputs (through a sum, a mean, a maximum); that part is left out."
        )
    return None


def _low_rank(e: Evidence) -> str | None:
    """What is missing is much simpler than the whole: a term with a sum in it."""
    if not e.outputs or max(e.got.shape) > 200 or min(e.got.shape) < 3:
        return None
    ranks = [np.linalg.matrix_rank(a, tol=1e-4 * e.scale) for a in (e.got - e.expected, e.expected)]
    if 0 < ranks[0] <= ranks[1] / 2:
        return (
            f"a missing term: what lacks has rank {ranks[0]} where the Jacobian has rank "
            f"{ranks[1]}, as a term made of a sum or a mean of dy has."
        )
    return None


def _misplaced(e: Evidence) -> str | None:
    if not e.outputs or e.got.shape[1] < 2:
        return None
    if e.close(np.sort(e.got, axis=1), np.sort(e.expected, axis=1)):
        return "misplaced: the right numbers arrive at the wrong elements (a wrong order or index)."
    return None


def _elementwise(e: Evidence) -> str | None:
    used = np.abs(e.expected) > 1e-6 * e.scale
    if (np.abs(e.got[~used]) > 1e-5 * e.scale).any() or not (e.got[used] != 0).all():
        return None
    return (
        "a factor that differs from element to element: every entry that should be there is there, "
        "with the wrong size (a missing term or factor, a wrong exponent, dy used twice)."
    )


def _confined(e: Evidence) -> str | None:
    """All errors lie in one slice of one axis of the input."""
    at = np.unravel_index(np.flatnonzero(e.wrong.any(axis=0)), e.shape)
    for axis, n in enumerate(e.shape):
        places = np.unique(at[axis])
        if n > 2 and places.size == 1:
            return f"only elements at {int(places[0])} of axis {axis} ({n} long) are wrong."
        if n > 4 and set(places.tolist()) <= {0, n - 1}:
            return f"only elements at the ends of axis {axis} are wrong: look at the padding."
    return None


GUESSES: tuple[Callable[[Evidence], str | None], ...] = (
    _absent,
    _factor,
    _one_element,
    _one_slice,
    _overwritten,
    _transposed,
    _flipped,
    _misplaced,
    _diagonal,
    _confined,
    _low_rank,
    _elementwise,
)


def shape_mistake(name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Why a gradient may have the wrong shape."""
    try:
        stretched = np.broadcast_shapes(got, expected) == got
    except ValueError:
        stretched = False
    if stretched:
        return (
            f"broadcasting is not undone: {name} was stretched to {list(got)}; sum the gradient "
            f"over the stretched axes {list(_stretched(got, expected))}."
        )
    if sorted(got) == sorted(expected):
        return "transposed: the sizes are right, their order is not."
    return "the gradient of an input has that input's shape, always."


def _stretched(got: tuple[int, ...], expected: tuple[int, ...]) -> Iterator[int]:
    extra = len(got) - len(expected)
    for axis, n in enumerate(got):
        if axis < extra or expected[axis - extra] != n:
            yield axis
