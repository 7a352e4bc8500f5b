"""Which tinynet this is, with the names of `torch.version`."""

from __future__ import annotations

from importlib.metadata import version as installed

__version__ = installed("tinynet")
cuda: str | None = None  # kernels are compiled for the CUDA that CuPy finds
hip: str | None = None
