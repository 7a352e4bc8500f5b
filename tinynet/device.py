"""Which module an array belongs to, moving arrays, and whether CUDA is there, and if not why."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .kernels import capture, reports


class device:
    """Where a tensor lives: `device("cpu")`, `device("cuda")`, `device("cuda:1")`."""

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index
        if isinstance(type, int):
            type, index = "cuda", type
        kind, _, number = str(type).partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
            raise RuntimeError(
                f"device: expected cpu or cuda (cuda:0, cuda:1, ...), but got {type!r}"
            )
        self.type = kind
        self.index = int(number) if number else index

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = device(other)
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __enter__(self) -> device:
        _defaults.append(check_device(self))
        return self

    def __exit__(self, *exc: object) -> None:
        _defaults.pop()

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"


CPU = device("cpu")

# Where new tensors are made: the last one counts. `with device(...):` adds one for its block.
_defaults: list[device | None] = [None]


def default_device() -> device | None:
    """Where new tensors are made, None for the CPU."""
    return _defaults[-1]


def get_default_device() -> device:
    """Where new tensors are made."""
    return _defaults[-1] or CPU


def set_default_device(device: Any) -> None:
    """Make new tensors on this device unless another is asked for (None: on the CPU)."""
    _defaults[-1] = None if device is None else check_device(device)


def xp_of(array: Any) -> Any:
    """The module an array belongs to: NumPy or CuPy."""
    if array.__class__ is np.ndarray or isinstance(array, np.generic):
        return np
    return sys.modules.get("cupy", np)


def is_array(value: Any) -> bool:
    """True for NumPy and CuPy arrays."""
    if isinstance(value, np.ndarray):
        return True
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(value, cupy.ndarray)


def is_writable(array: Any) -> bool:
    """False if several elements lie in one place (a broadcast view) or NumPy says read-only.

    CuPy has no word for it, and would write to such a place from many threads at once.
    """
    if xp_of(array) is np:
        return array.flags.writeable
    return all(stride or n < 2 for n, stride in zip(array.shape, array.strides, strict=True))


def mixed_devices(operation: str, arrays: Any) -> RuntimeError | None:
    """The error that says so if the arrays live on several devices."""
    places = sorted({str(device_of(array)) for array in arrays})
    if len(places) < 2:
        return None
    return RuntimeError(
        f"{operation}: Expected all tensors to be on the same device, but found "
        f"{' and '.join(places)}; move one with .to(device)."
    )


def device_of(array: Any) -> device:
    """The device an array lives on."""
    return CPU if xp_of(array) is np else device("cuda", int(array.device.id))


def is_on(array: Any, target: device) -> bool:
    """True if the array lives on that device (on any GPU, if no index is given)."""
    here = device_of(array)
    return here.type == target.type and target.index in (None, here.index)


def why_no_cuda() -> str | None:
    """None if a CUDA GPU can be used, or a sentence with the reason and the cure."""
    try:
        import cupy
    except ImportError:
        return (
            "CUDA was asked for, but CuPy is not installed; on a machine with an NVIDIA GPU run "
            "pip install 'tinynet[cuda12]' or 'tinynet[cuda13]', elsewhere use device cpu."
        )
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CUDA was asked for, but no GPU can be used ({error}); use device cpu."
    return None if count else "CUDA was asked for, but this machine has no GPU; use device cpu."


def to_numpy(array: Any) -> Any:
    """The array as NumPy's: itself, or a copy, which waits for the GPU to have computed it.

    Raises what a kernel has found wrong on the way, such as a label that is no class.
    """
    if xp_of(array) is np:
        return array
    capture.refuse(
        "reading a result would wait for the GPU", "Read it after a replay, outside of the graph."
    )
    copied = array.get()
    reports.check()
    return copied


def move(array: Any, target: Any) -> Any:
    """The array on another device (the array itself if it is there already)."""
    target = device(target)
    if target.type == "cpu":
        return to_numpy(array)
    reason = why_no_cuda()
    if reason is not None:
        raise RuntimeError(reason)
    if xp_of(array) is np:
        capture.refuse(
            "it cannot hold a copy from the CPU",
            "Make the tensor before, and copy_ new values into it before each replay.",
        )
    import cupy

    with cupy.cuda.Device(target.index or 0):
        return cupy.asarray(array)


def check_device(target: Any) -> device:
    """The device, or RuntimeError with the reason if it cannot be used."""
    target = device(target)
    if target.type == "cuda":
        reason = why_no_cuda()
        if reason is not None:
            raise RuntimeError(reason)
    return target
