"""What one way to compute a convolution consists of."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Algorithm(NamedTuple):
    """The three passes, with the signatures of reference.py; forward also takes `relu`."""

    forward: Callable[..., Any]
    grad_input: Callable[..., Any]
    grad_weight: Callable[..., Any]
