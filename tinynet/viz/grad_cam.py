"""Where a layer sees a class (Selvaraju et al. 2017, "Grad-CAM", arXiv:1610.02391)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..autograd import enable_grad, grad
from ..nn import functional as F
from ..ops import creation
from .heat import over_image
from .looking import class_of, host_array, one_image, outputs_of, undisturbed


def grad_cam_map(model: nn.Module, image: Any, layer: str, target: int | None = None) -> np.ndarray:
    """relu(sum over channels of a_k A_k), (H, W): where the layer's planes speak for a class.

    A (K, H, W): the layer's output.  a_k: the mean over the plane of d score / d A_k.

    image: (C, H, W), as the network takes it.  layer: a name of `model.named_modules()`, mostly
        the last convolution or what follows it.  target: a class; None: the one the network sees.
    Parameters get no gradients, and the network stays as it is.
    Raises ValueError if there is no such layer, or its output has no planes.
    """
    with undisturbed(model), enable_grad(), outputs_of(model, [layer]) as outputs:
        scores = model(one_image(model, image))
        if layer not in outputs or outputs[layer].ndim != 4:
            raise ValueError(f"grad_cam_map: {layer} does not give planes (1, K, H, W).")
        (dA,) = grad(scores[0, class_of(scores, target)], [outputs[layer]])
    planes = host_array(outputs[layer])[0]
    weights = host_array(dA)[0].mean(axis=(1, 2))
    return np.maximum(np.tensordot(weights, planes, axes=1), 0)


def grad_cam(
    model: nn.Module, image: Any, layer: str, target: int | None = None, title: str = ""
) -> Any:
    """The image under its `grad_cam_map`, enlarged to the image's size, as a figure."""
    heat = grad_cam_map(model, image, layer, target)
    x = one_image(model, image)
    large = F.interpolate(
        creation.tensor(heat[None, None]), size=list(x.shape[2:]), mode="bilinear"
    )
    return over_image(x, host_array(large)[0, 0], title or f"Grad-CAM at {layer}")
