"""Exercises that check themselves: the ends of the notebooks.

    check("02-3", answer)       # says whether the answer is right, and if not, where to look

An answer is a number or a word, of which only a digest is kept here, so that reading this file does
not spoil the exercise; or it is a function or an array, which is put to the test: a derivative
against finite differences, a kernel against the definition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Known:
    """An answer that is known beforehand: numbers, to some digits, or words."""

    digests: tuple[str, ...]  # one per number or word, in order
    hint: str
    digits: int = 3  # significant digits that must be right, to one unit of the last

    def fault(self, name: str, answer: Any) -> str | None:
        """None if the answer is right, or a sentence."""
        parts = _parts(answer)
        if len(parts) != len(self.digests):
            return f"{len(self.digests)} value(s) are asked for, but these are {len(parts)}."
        for place, (part, right) in enumerate(zip(parts, self.digests, strict=True)):
            if not any(digest(name, place, text) == right for text in _texts(part, self.digits)):
                return self.hint if len(parts) == 1 else f"Value {place + 1}: {self.hint}"
        return None


@dataclass(frozen=True)
class Tested:
    """An answer that is put to the test: `test` returns None, or what fails, in a sentence."""

    test: Callable[[Any], str | None]

    def fault(self, name: str, answer: Any) -> str | None:
        """None if the answer passes, or a sentence."""
        try:
            return self.test(answer)
        except Exception as error:  # whatever a student's function raises is an answer to explain
            return f"it raised {type(error).__name__}: {error}"


def check(name: str, answer: Any = ...) -> bool:
    """Say whether `answer` solves the exercise `name` ("02-3": notebook 2, exercise 3).

    Prints one line; returns True if it is right. `...`, or a function with that as its body, stands
    for "not answered yet".
    Raises KeyError for an exercise that does not exist.
    """
    from .exercise_table import EXERCISES  # the table imports this module

    if name not in EXERCISES:
        raise KeyError(f"there is no exercise {name!r}; there are {', '.join(sorted(EXERCISES))}")
    if answer is ... or _is_empty(answer):
        print(f"{name}: not answered yet. Put your answer in place of the dots and run the cell.")
        return False
    fault = EXERCISES[name].fault(name, answer)
    print(f"{name}: right." if fault is None else f"{name}: not yet. {fault}")
    return fault is None


def _is_empty(answer: Any) -> bool:
    """True for a function whose body is nothing but dots."""

    def empty() -> None: ...

    code = getattr(answer, "__code__", None)
    return code is not None and code.co_code == empty.__code__.co_code


def digest(name: str, place: int, text: str) -> str:
    """What is kept of an answer: enough to recognise it, too little to read it."""
    return hashlib.sha256(f"{name}/{place}/{text}".encode()).hexdigest()[:16]


def digests(name: str, answer: Any, digits: int = 3) -> tuple[str, ...]:
    """The digests of a right answer, for a new line in the table."""
    return tuple(digest(name, i, _texts(part, digits)[0]) for i, part in enumerate(_parts(answer)))


def _parts(answer: Any) -> list[Any]:
    """The numbers and words of an answer, in order, as plain Python values."""
    if isinstance(answer, str):
        return [answer]
    if hasattr(answer, "detach"):
        answer = answer.detach().numpy()
    if isinstance(answer, dict | set):
        raise TypeError("give the values one after the other, in a tuple")
    if isinstance(answer, Sequence):
        return [part for one in answer for part in _parts(one)]
    return list(np.asarray(answer).ravel().tolist())


def _texts(part: Any, digits: int) -> list[str]:
    """How a value is written to be compared; a number also as its neighbours in the last digit."""
    if isinstance(part, str):
        return ["".join(part.lower().split())]
    if not np.isfinite(part) or part == 0:
        return [str(float(part))]
    if float(part).is_integer() and abs(part) >= 10**digits:
        return [str(int(part))]  # a count, to be right to the last digit
    unit = 10.0 ** (np.floor(np.log10(abs(part))) - digits + 1)
    return [f"{part + step * unit:.{digits - 1}e}" for step in (0, 1, -1)]
