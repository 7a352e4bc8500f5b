"""A start from which deep networks of ReLUs learn at once (He et al. 2015, arXiv:1502.01852,
"Delving Deep into Rectifiers")."""

from __future__ import annotations

from .. import nn


def he_start(network: nn.Module) -> None:
    """Convolutions normal with variance 2 / fan-out, linear layers with deviation 0.01, biases 0.

    A ReLU sets half of its inputs to 0, which the 2 makes up for: gradients keep their size from
    layer to layer, however many there are. The linear layers start small, so that all classes are
    about equally likely at first.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
