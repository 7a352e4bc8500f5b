"""The switch `allow_tf32` of a family of kernels."""

from __future__ import annotations

from typing import Any

from ..kernels import precision


def switch(family: str) -> Any:
    """A property that says whether the family's float32 products may be rounded to TF32."""

    def get(_: Any) -> bool:
        return precision.tf32[family]

    def set_(_: Any, allowed: bool) -> None:
        precision.tf32[family] = bool(allowed)

    return property(get, set_)
