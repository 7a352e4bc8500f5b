"""Seeded random numbers: one stream per `Generator`, the same on every machine and backend."""

from __future__ import annotations

from typing import Any

import numpy as np


class Generator:
    """A stream of random numbers (NumPy's Philox, a counter-based generator).

    The numbers are drawn on the CPU and moved, so that a seed gives the same numbers everywhere.
    They are not the numbers that PyTorch draws from the same seed.
    """

    _seed: int
    _philox: Any
    numpy: np.random.Generator  # draws the numbers

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device

    def __getattr__(self, name: str) -> Any:
        # Nobody has seeded the stream, and it is begun. NumPy imports its own when it is asked to.
        if name not in ("_seed", "_philox", "numpy"):
            raise AttributeError(f"'Generator' object has no attribute {name!r}")
        self.seed()
        return vars(self)[name]

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to `seed`; returns the generator."""
        self._seed = int(seed) % 2**64
        self._philox = np.random.Philox(key=self._seed)
        self.numpy = np.random.Generator(self._philox)
        return self

    def seed(self) -> int:
        """Start a stream from a seed that the operating system chooses; returns that seed."""
        chosen = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        self.manual_seed(chosen)
        return chosen

    def initial_seed(self) -> int:
        """The seed this stream started from."""
        return self._seed

    def key(self) -> int:
        """A fresh 64-bit key, for kernels that make their own stream (dropout)."""
        return int(self.numpy.integers(0, 2**64, dtype=np.uint64))

    def get_state(self) -> dict[str, Any]:
        """Where the stream stands; `set_state` goes back there."""
        return {"seed": self._seed, "philox": self._philox.state}

    def set_state(self, state: dict[str, Any]) -> Generator:
        """Go on from where `get_state` was called."""
        self.manual_seed(state["seed"])
        self._philox.state = state["philox"]
        return self


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed everything in tinynet that draws random numbers; returns the default generator."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def seed() -> int:
    """Seed the default generator from the operating system; returns the seed."""
    return default_generator.seed()


def get_rng_state() -> dict[str, Any]:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the default generator back to a state that `get_rng_state` gave."""
    default_generator.set_state(state)
