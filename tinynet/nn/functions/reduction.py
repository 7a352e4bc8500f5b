"""How losses are brought to one number, and that prediction and target fit."""

from __future__ import annotations

import warnings

from ...kernels.errors import ShapeError
from ...tensor import Tensor


class LossShapeError(ShapeError, ValueError):
    """Prediction and target do not fit; PyTorch raises now RuntimeError, now ValueError here."""


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that the arguments mean, PyTorch's old pair of booleans included."""
    if size_average is not None or reduce is not None:
        old = {(True, True): "mean", (False, True): "sum"}.get(
            (size_average is not False, reduce is not False), "none"
        )
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{old}' instead.",
            stacklevel=3,
        )
        return old
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The loss as it is ("none"), its mean or its sum."""
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def same_shape(name: str, input: Tensor, target: Tensor) -> None:
    """Raise LossShapeError unless both have one shape."""
    if input.array.shape != target.array.shape:
        raise LossShapeError(
            f"{name}: input has shape {tuple(input.shape)} and target has shape "
            f"{tuple(target.shape)}; they must be equal, because broadcasting would compare every "
            "prediction with every target. Reshape one of them: target.view_as(input), or "
            "input.squeeze(1)."
        )
