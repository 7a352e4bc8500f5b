"""What programs set of cuDNN, which is not here: convolutions are tinynet's own kernels.

allow_tf32: whether float32 products may be rounded to TF32; it holds for tinynet's convolutions.
enabled, benchmark, deterministic: may be set, and change nothing: the algorithm is chosen by a
    model of its cost, and every gradient has the same bits from run to run.
"""

from __future__ import annotations

import sys
from types import ModuleType

from . import tf32

enabled = False
benchmark = False
deterministic = True


def is_available() -> bool:
    """False: there is no cuDNN."""
    return False


def version() -> None:
    """None: there is no cuDNN."""
    return


class _Switches(ModuleType):
    allow_tf32 = tf32.switch("conv2d")


sys.modules[__name__].__class__ = _Switches
