"""What the layers make of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd import no_grad
from .figure import FAINT, INK, new_figure
from .looking import host_array, one_image, outputs_of, undisturbed


def layer_outputs(model: nn.Module, image: Any, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """The outputs of the layers of these names for one image (C, H, W), without the batch axis.

    Runs in evaluation mode without gradients; the network stays as it is.
    Raises ValueError for a layer that there is not, or that the image does not pass.
    """
    with undisturbed(model), no_grad(), outputs_of(model, layers) as outputs:
        model(one_image(model, image))
    for name in layers:
        if name not in outputs:
            raise ValueError(f"layer_outputs: the image does not pass through {name}.")
    return {name: host_array(outputs[name])[0] for name in layers}


def feature_maps(
    model: nn.Module, image: Any, layers: Sequence[str] | str, *, most: int = 8, title: str = ""
) -> Any:
    """The first planes of the outputs of layers, a row for each layer, as a figure.

    Each plane has its own scale from its least to its greatest value, which the layer's heading
    gives for all of them. A vector of features is shown as one strip.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    outputs = layer_outputs(model, image, names)
    figure = new_figure(1.15 * most, 1.4 * len(names) + 0.3)
    for part, name in zip(
        np.atleast_1d(figure.subfigures(len(names), 1, squeeze=False)[:, 0]), names, strict=True
    ):
        planes = outputs[name]
        planes = planes if planes.ndim == 3 else planes.reshape(1, 1, -1)
        shown = planes[:most]
        size = " x ".join(map(str, outputs[name].shape))
        part.suptitle(
            f"{name}: {size}, {planes.min():.2g} to {planes.max():.2g}",
            x=0.01,
            ha="left",
            fontsize=8,
            color=INK,
        )
        grid = part.subplots(1, most if len(planes) > 1 else 1, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, plane in zip(grid.flat, shown, strict=False):
            axes.imshow(plane, cmap="gray", aspect="equal" if len(planes) > 1 else "auto")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=FAINT)
    return figure
