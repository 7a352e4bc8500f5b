"""Matrix products on a GPU: `cuda.matmul.allow_tf32`."""

from __future__ import annotations

from . import tf32


def is_built() -> bool:
    """True: the CUDA kernels are in the package; whether a GPU is there says `tinynet.cuda`."""
    return True


class _Matmul:
    allow_tf32 = tf32.switch("matmul")


matmul = _Matmul()
