"""Kernels: arrays in, arrays out. One folder per family, one file per backend.

    backend = kernels.of(x, w)                          # NumPy arrays: cpu, CuPy arrays: cuda
    y = backend.conv2d.forward(x, w, bias, dims=dims)

    with kernels.use("reference"): ...                  # force a backend
    with kernels.use("cuda-host"): ...                  # the CUDA kernels, on NumPy arrays
    with kernels.use(conv2d="naive"): ...               # choose a family's algorithm

What `of` returns holds the chosen algorithms, so an operation's backward can run on the same
backend object as its forward, whatever is in force by then.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from numpy import ndarray

from .errors import ShapeError

__all__ = [
    "ALGORITHMS",
    "BACKENDS",
    "FAMILIES",
    "Backend",
    "Family",
    "ShapeError",
    "algorithms",
    "of",
    "unavailable",
    "use",
]

FAMILIES = (
    "activation",
    "batch_norm",
    "conv2d",
    "cross_entropy",
    "dropout",
    "matmul",
    "optimizer",
    "pointwise",
    "pool2d",
)

BACKENDS = ("reference", "cpu", "cuda", "cuda-host")

# Families with several algorithms: name -> module, for NumPy arrays. `auto` is what the backend
# itself would take.
ALGORITHMS = {
    "conv2d": {
        "naive": "conv2d.naive",
        "im2col": "conv2d.reference",
        "im2col_tiled": "conv2d.im2col_tiled",
        "im2row": "conv2d.im2row",
        "direct": "conv2d.direct",
        "winograd": "conv2d.winograd",
        "fft": "conv2d.fft",
    },
}
# Algorithms beside the backend's own that Numba compiles.
COMPILED = frozenset({"conv2d.direct", "conv2d.im2col_tiled", "conv2d.im2row", "conv2d.winograd"})

# The same for CUDA. Their functions are in the family's cuda.py, in a table
# ALGORITHMS = {"naive": {"forward": ..., ...}, ...}; what a step leaves out, `auto` does.
CUDA_ALGORITHMS = {
    "conv2d": (
        "naive",
        "tiled",
        "im2col",
        "im2col_library",
        "implicit_gemm",
        "implicit_gemm_tf32",
        "winograd",
        "winograd_4x4",
    ),
}


def algorithms(family: str, backend: str | None = None) -> tuple[str, ...]:
    """The algorithms of a family on a backend, or on any."""
    cuda = CUDA_ALGORITHMS.get(family, ()) if backend in (None, "cuda", "cuda-host") else ()
    others = ALGORITHMS.get(family, {}) if backend in (None, "cpu", "reference") else {}
    return tuple(dict.fromkeys(("auto", *others, *cuda)))


class Family:
    """One family's kernels on one backend: `forward`, `backward`, ... as plain attributes."""

    def __init__(self, name: str, backend: str, functions: Mapping[str, Callable]) -> None:
        self._name, self._backend = name, backend
        self.__dict__.update(functions)

    def __getattr__(self, function: str) -> Callable[..., Any]:
        raise AttributeError(
            f"{self._name}.{function} has no {self._backend} version. "
            f"Run it under kernels.use('reference'), or write it."
        )

    def __repr__(self) -> str:
        return f"<{self._name} on {self._backend}>"


def _functions(module: str) -> dict[str, Callable]:
    """What a family's module defines itself."""
    return {
        function: value
        for function, value in vars(import_module(f".{module}", __name__)).items()
        if callable(value) and getattr(value, "__module__", "").endswith(f"kernels.{module}")
    }


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
        known = algorithms(family, self.name)
        if algorithm not in known:
            raise NotImplementedError(
                f"{family} has no algorithm {algorithm!r} on {self.name}; "
                f"it has {', '.join(known)}."
            )
        on_cuda = self.name in ("cuda", "cuda-host")
        functions = self._cuda(family, algorithm) if on_cuda else self._numpy(family, algorithm)
        loaded = Family(family, self.name, functions)
        setattr(self, family, loaded)  # from now on found without __getattr__
        return loaded

    def _numpy(self, family: str, algorithm: str) -> dict[str, Callable]:
        module = ALGORITHMS[family][algorithm] if algorithm != "auto" else f"{family}.{self.name}"
        if (module.endswith(".cpu") or module in COMPILED) and _without_numba():
            module = f"{family}.reference"
        return _functions(module)

    def _cuda(self, family: str, algorithm: str) -> dict[str, Callable]:
        module = f"{family}.cuda"
        if find_spec(f".{module}", __name__) is None:
            raise NotImplementedError(
                f"{family} has no {self.name} version: there is no kernels/{family}/cuda.py. "
                f"Run it under kernels.use('reference'), or write it."
            )
        functions = _functions(module)
        if algorithm != "auto":
            functions |= import_module(f".{module}", __name__).ALGORITHMS[algorithm]
        return functions

    def __repr__(self) -> str:
        chosen = "".join(f", {family}={name!r}" for family, name in self.algorithms.items())
        return f"<kernels {self.name}{chosen}>"


class _Choice(NamedTuple):
    """What `use` forces: a backend, or None for the one where the arrays live; algorithms."""

    backend: str | None
    algorithms: tuple[tuple[str, str], ...]


_backend = lru_cache(maxsize=None)(Backend)
_cpu = _backend("cpu")
_chosen: ContextVar[_Choice | None] = ContextVar("tinynet.kernels.chosen", default=None)


def of(*arrays: Any) -> Backend:
    """The backend for these arrays (None is passed over): what `use` forces, or where they live.

    Raises TypeError for arrays that no backend takes, RuntimeError if they are not in one place.
    """
    home = None
    for array in arrays:
        if array is None:
            continue
        here = "cpu" if isinstance(array, ndarray) else _home(array)
        if home is not None and here != home:
            raise RuntimeError(
                "kernels: Expected all tensors to be on the same device, but found cpu and cuda; "
                "move one with .to(device)."
            )
        home = here
    choice = _chosen.get()
    if choice is None:
        return _cpu if home != "cuda" else _backend("cuda")
    name = choice.backend or home or "cpu"
    if home is not None and (name == "cuda") != (home == "cuda"):
        raise TypeError(
            f"kernels: the backend {name} is in force, which takes "
            f"{'CuPy' if name == 'cuda' else 'NumPy'} arrays, but got "
            f"{'CuPy' if home == 'cuda' else 'NumPy'} arrays."
        )
    return _backend(name, choice.algorithms)


def _home(array: Any) -> str:
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        return "cuda"
    raise TypeError(
        f"kernels: expected NumPy or CuPy arrays, got {type(array).__module__}."
        f"{type(array).__qualname__}. All arrays of one call must live on one device."
    )


@contextmanager
def use(backend: str | None = None, **algorithms: str) -> Iterator[Backend]:
    """Within the `with` block `of` returns this backend, and these algorithms of its families.

    use("reference") forces a backend, use(conv2d="im2col") an algorithm, "auto" undoes a choice.
    Nested blocks add up. Raises ValueError for a name that does not exist.
    """
    outer = _chosen.get() or _Choice(None, ())
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"kernels.use: no backend {backend!r}; there are {', '.join(BACKENDS)}.")
    name = backend or outer.backend
    for family, algorithm in algorithms.items():
        _check_algorithm(family, algorithm, name)
    inherited = outer.algorithms if backend is None else ()
    chosen = dict(inherited) | algorithms
    kept = tuple(sorted((f, a) for f, a in chosen.items() if a != "auto"))
    token = _chosen.set(_Choice(name, kept))
    try:
        yield _backend(name or "cpu", kept)
    finally:
        _chosen.reset(token)


def _check_algorithm(family: str, algorithm: str, backend: str | None) -> None:
    if family not in FAMILIES:
        raise ValueError(f"kernels.use: no family {family!r}; there are {', '.join(FAMILIES)}.")
    known = algorithms(family, backend)
    if algorithm not in known:
        raise ValueError(
            f"kernels.use: {family} has no algorithm {algorithm!r}"
            f"{f' on {backend}' if backend else ''}; it has {', '.join(known)}."
        )


@cache
def unavailable(backend: str) -> str | None:
    """Why this backend cannot run here, in words; None if it can."""
    if backend == "cpu":
        try:
            import_module("numba")
        except Exception as error:  # not only ImportError: Numba also refuses newer NumPy versions
            return f"Numba cannot be imported ({type(error).__name__}: {error})"
    if backend == "cuda":
        try:
            import_module("cupy")
        except Exception as error:
            return f"CuPy cannot be imported ({type(error).__name__}: {error})"
    if backend == "cuda-host":
        from . import cuda_host

        try:
            cuda_host.compiler()
        except cuda_host.CompilerMissing as error:
            return str(error)
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
