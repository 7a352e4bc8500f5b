"""Answers are verified before they are timed.

Workers are processes of their own, and a large network's gradients are too much to send around, so
each array is sent as a digest: its norm, and its inner product with random directions. Whatever is
wrong in an array of norm n by a part e of it moves such a product by about e n.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

LOSS_TOLERANCE = 1e-3  # relative, of each of the first losses
ARRAY_TOLERANCE = 1e-3  # of scores and of what kernels give, relative to the norm
# Of a gradient, relative to its norm. Float32 rounds differently in each library, and where that
# turns a ReLU on or off gradients jump: PyTorch's own float64 gradients of VGG-16 with batch norm
# change by 0.007 to 0.011 when its input is moved by a millionth (and by 1e-6 for a ten-millionth).
GRADIENT_TOLERANCE = 0.03
# A gradient that is this small beside the largest one is nothing but rounding, such as that of a
# bias that batch norm subtracts again: it is compared on this scale.
NEGLIGIBLE = 1e-4
BLOCK = 4096


def digest(array: ndarray) -> dict[str, Any]:
    """{"shape", "norm", "products"}: what tells this array from others."""
    array = np.asarray(array)
    flat = np.ascontiguousarray(array, np.float32).reshape(-1)
    flat = np.concatenate([flat, np.zeros(-flat.size % BLOCK, np.float32)])
    rng = np.random.default_rng(flat.size)
    blocks = flat.reshape(-1, BLOCK)
    # A direction per block and one within each: their outer product is the whole direction.
    within = blocks @ rng.standard_normal((BLOCK, 4), dtype=np.float32)
    outer = rng.standard_normal((len(blocks), 4))
    norm = math.sqrt(float(np.sum(np.einsum("ij,ij->i", blocks, blocks), dtype=np.float64)))
    return {
        "shape": list(array.shape),
        "norm": norm,
        "products": [float(p) for p in (within * outer).sum(axis=0)],
    }


def digests(*arrays: ndarray | None) -> dict[str, Any]:
    """What a program's results are compared by; None is passed over."""
    return {"arrays": {f"result {i}": digest(a) for i, a in enumerate(arrays, 1) if a is not None}}


def training_answers(
    losses: list[float], gradients: dict[str, ndarray], **more: Any
) -> dict[str, Any]:
    """What a training is compared by, and what else is known of it."""
    return {
        "losses": losses,
        "gradients": {name: digest(gradient) for name, gradient in gradients.items()},
        **more,
    }


def difference(got: dict[str, Any], wanted: dict[str, Any], looser: float = 1) -> str | None:
    """What is wrong with these answers, in words; None if nothing. The tolerances are `looser`
    times those of float32."""
    for i, (loss, right) in enumerate(
        zip(got.get("losses", ()), wanted.get("losses", ()), strict=True), start=1
    ):
        if not abs(loss - right) <= looser * LOSS_TOLERANCE * abs(right):
            return f"the loss of step {i} is {loss:.6g}, not {right:.6g}"
    ours, theirs = got.get("gradients", {}), wanted.get("gradients", {})
    if ours.keys() != theirs.keys():
        return f"there are gradients of {sorted(ours)}, not of {sorted(theirs)}"
    scale = NEGLIGIBLE * max((one["norm"] for one in theirs.values()), default=0.0)
    for name in theirs:
        error = distance(ours[name], theirs[name], scale)
        if not error <= looser * GRADIENT_TOLERANCE:
            return f"the gradient of {name} is off by {error:.2g} of its norm"
    for name, other in wanted.get("arrays", {}).items():
        if name not in got.get("arrays", {}):
            return f"{name} is missing"
        error = distance(got["arrays"][name], other)
        if not error <= looser * ARRAY_TOLERANCE:
            return f"{name} is off by {error:.2g} of its norm"
    return None


def distance(got: dict[str, Any], wanted: dict[str, Any], scale: float = 0.0) -> float:
    """How far two arrays are apart, relative to the second one's norm (at least `scale`), as far
    as digests tell."""
    if got["shape"] != wanted["shape"]:
        return math.inf
    norm = max(wanted["norm"], scale)
    errors = [abs(a - b) for a, b in zip(got["products"], wanted["products"], strict=True)]
    errors.append(abs(got["norm"] - wanted["norm"]))
    if not all(map(math.isfinite, errors)):
        return math.inf
    return 0.0 if max(errors) == 0 else max(errors) / norm if norm else math.inf
