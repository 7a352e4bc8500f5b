"""Which pixels a class's score depends on (Simonyan, Vedaldi, Zisserman 2014, arXiv:1312.6034)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..autograd import enable_grad, grad
from .heat import over_image
from .looking import class_of, host_array, one_image, undisturbed


def saliency_map(model: nn.Module, image: Any, target: int | None = None) -> np.ndarray:
    """max over channels of |d score / d pixel|, (H, W): how much each pixel moves the score.

    image: (C, H, W), as the network takes it.  target: a class; None: the one it sees.
    Runs in evaluation mode; parameters get no gradients, and the network stays as it is.
    """
    x = one_image(model, image).clone().requires_grad_()
    with undisturbed(model), enable_grad():
        scores = model(x)
        (dx,) = grad(scores[0, class_of(scores, target)], [x])
    return np.abs(host_array(dx)[0]).max(axis=0)


def saliency(model: nn.Module, image: Any, target: int | None = None, title: str = "") -> Any:
    """The image beside its `saliency_map`, as a figure."""
    heat = saliency_map(model, image, target)
    return over_image(one_image(model, image), heat, title or "Saliency", mix=0.0)
