"""Kernels: arrays in, arrays out. One folder per family, one file per backend.

    backend = kernels.of(x, w)                          # NumPy arrays: cpu
    y = backend.conv2d.forward(x, w, bias, dims=dims)

    with kernels.use("reference"): ...                  # force a backend
    with kernels.use(conv2d="naive"): ...               # choose a family's algorithm

What `of` returns holds the chosen algorithms, so an operation's backward can run on the same
backend object as its forward, whatever is in force by then.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

from numpy import ndarray

from .errors import ShapeError

__all__ = ["ALGORITHMS", "FAMILIES", "Backend", "Family", "ShapeError", "of", "unavailable", "use"]

FAMILIES = (
    "batch_norm",
    "conv2d",
    "cross_entropy",
    "dropout",
    "matmul",
    "optimizer",
    "pool2d",
)

BACKENDS = ("reference", "cpu")

# Families with several algorithms: name -> module. Each works on NumPy arrays. `auto` is what the
# backend itself would take.
ALGORITHMS = {
    "conv2d": {
        "naive": "conv2d.naive",
        "im2col": "conv2d.reference",
        "im2col_tiled": "conv2d.cpu",
    },
}


class Family:
    """One family's kernels on one backend: `forward`, `backward`, ... as plain attributes."""

    def __init__(self, name: str, backend: str, module: str) -> None:
        self._name, self._backend = name, backend
        functions = {
            function: value
            for function, value in vars(import_module(f".{module}", __name__)).items()
            if callable(value) and getattr(value, "__module__", "").endswith(f"kernels.{module}")
        }
        self.__dict__.update(functions)

    def __getattr__(self, function: str) -> Callable[..., Any]:
        raise AttributeError(
            f"{self._name}.{function} has no {self._backend} version. "
            f"Run it under kernels.use('reference'), or write it."
        )

    def __repr__(self) -> str:
        return f"<{self._name} on {self._backend}>"


class Backend:
    """A backend with one algorithm chosen per family; a family is imported when first used."""

    def __init__(self, name: str, algorithms: tuple[tuple[str, str], ...] = ()) -> None:
        self.name, self.algorithms = name, dict(algorithms)

    def __getattr__(self, family: str) -> Family:
        if family not in FAMILIES:
            raise AttributeError(
                f"there is no kernel family {family!r}; there are {', '.join(FAMILIES)}."
            )
        algorithm = self.algorithms.get(family, "auto")
        module = ALGORITHMS[family][algorithm] if algorithm != "auto" else f"{family}.{self.name}"
        if module.endswith(".cpu") and _without_numba():
            module = f"{family}.reference"
        loaded = Family(family, self.name, module)
        setattr(self, family, loaded)  # from now on found without __getattr__
        return loaded

    def __repr__(self) -> str:
        chosen = "".join(f", {family}={name!r}" for family, name in self.algorithms.items())
        return f"<kernels {self.name}{chosen}>"


_backend = lru_cache(maxsize=None)(Backend)
_cpu = _backend("cpu")
_forced: ContextVar[Backend | None] = ContextVar("tinynet.kernels.forced", default=None)


def of(*arrays: ndarray | None) -> Backend:
    """The backend for these arrays (None is passed over): what `use` forces, or where they live.

    Raises TypeError for arrays that no backend takes.
    """
    for array in arrays:
        if type(array) is not ndarray and array is not None and not isinstance(array, ndarray):
            raise TypeError(
                f"kernels: expected NumPy arrays, got {type(array).__module__}."
                f"{type(array).__qualname__}. All arrays of one call must live on one device."
            )
    return _forced.get() or _cpu


@contextmanager
def use(backend: str | None = None, **algorithms: str) -> Iterator[Backend]:
    """Within the `with` block `of` returns this backend, and these algorithms of its families.

    use("reference") forces a backend, use(conv2d="im2col") an algorithm, "auto" undoes a choice.
    Nested blocks add up. Raises ValueError for a name that does not exist.
    """
    outer = _forced.get() or _cpu
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"kernels.use: no backend {backend!r}; there are {', '.join(BACKENDS)}.")
    for family, algorithm in algorithms.items():
        known = ("auto", *ALGORITHMS.get(family, ())) if family in FAMILIES else ()
        if algorithm not in known:
            raise ValueError(
                f"kernels.use: {family} has no algorithm {algorithm!r}; it has {', '.join(known)}."
                if known
                else f"kernels.use: no family {family!r}; there are {', '.join(FAMILIES)}."
            )
    inherited = outer.algorithms if backend is None else {}
    chosen = {f: a for f, a in (inherited | algorithms).items() if a != "auto"}
    inner = _backend(backend or outer.name, tuple(sorted(chosen.items())))
    token = _forced.set(inner)
    try:
        yield inner
    finally:
        _forced.reset(token)


@cache
def unavailable(backend: str) -> str | None:
    """Why this backend cannot run here, in words; None if it can."""
    if backend == "cpu":
        try:
            import_module("numba")
        except Exception as error:  # not only ImportError: Numba also refuses newer NumPy versions
            return f"Numba cannot be imported ({type(error).__name__}: {error})"
    return None


@cache
def _without_numba() -> bool:
    """True if the cpu kernels cannot run; the first to ask is told why, once."""
    reason = unavailable("cpu")
    if reason is not None:
        warnings.warn(
            f"tinynet: {reason}, so the slow NumPy kernels run instead. "
            f"Install it with: pip install --upgrade numba",
            RuntimeWarning,
            stacklevel=4,
        )
    return reason is not None
