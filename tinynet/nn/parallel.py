"""Data parallelism on one device: the module itself, under the name that programs give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .module import Module


class DataParallel(Module):
    """Calls `module`, whose members stand under "module." in the state dict.

    PyTorch spreads the batch over several GPUs; tinynet uses one device, and so does this.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise NotImplementedError(
                f"DataParallel: device_ids names {len(device_ids)} devices, but tinynet computes "
                "on one; name one or none."
            )
        self.module = module
        self.device_ids = list(device_ids or [])
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
