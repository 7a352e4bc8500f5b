"""Mixed precision with the names of `torch.amp`: everything stays in float32.

Programs that ask for float16 or bfloat16 run, in full precision: `autocast` changes nothing and
says so once, and with nothing that could underflow `GradScaler` scales by 1.
"""

from __future__ import annotations

import warnings
from contextlib import ContextDecorator
from typing import Any


class autocast(ContextDecorator):
    """A context or decorator in which everything is computed as outside of it, in float32."""

    def __init__(
        self,
        device_type: str = "cuda",
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if enabled:
            warnings.warn(
                "autocast: tinynet computes in the dtype of its tensors (float32 unless told "
                "otherwise); mixed precision changes nothing here.",
                stacklevel=2,
            )

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exc: object) -> None:
        return


class GradScaler:
    """Scales the loss so that float16 gradients do not underflow: here, by 1.

    `scale(loss)` is the loss, `step(optimizer)` the optimiser's step, `update()` does nothing.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._enabled = enabled

    def scale(self, outputs: Any) -> Any:
        """The outputs themselves."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Gradients are as they are."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """The optimiser's step."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """The scale stays 1."""

    def get_scale(self) -> float:
        """1."""
        return 1.0

    def is_enabled(self) -> bool:
        """Whether it was made with enabled=True."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""
