"""How large the signals are, layer by layer: forward the activations, backward the gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn
from ..autograd import enable_grad, grad
from ..tensor import Tensor
from .figure import FAINT, INK, TEST, TRAIN, new_figure, quiet
from .looking import host_array, outputs_of, undisturbed


@dataclass(frozen=True)
class Signals:
    """What passed a layer: its outputs y and dL/dy, flat; dw is dL/dw of all its parameters."""

    layer: str
    outputs: np.ndarray
    gradients: np.ndarray
    parameter_gradients: np.ndarray


def layer_signals(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], layers: Sequence[str] | None = None
) -> list[Signals]:
    """One forward and backward pass, recorded at the layers (default: all that have weights).

    loss: gives the scalar to differentiate, as `lambda net: F.cross_entropy(net(images), labels)`.
    The network runs in the mode that it is in. No gradient is left in its parameters; buffers and
    the random stream are put back.
    """
    if layers is None:
        layers = [name for name, m in model.named_modules() if m._parameters and not m._modules]
    modules = dict(model.named_modules())
    with undisturbed(model, evaluate=False), enable_grad(), outputs_of(model, layers) as outputs:
        value = loss(model)
        passed = [name for name in layers if name in outputs]
        parameters = [[p for p in modules[name].parameters() if p.requires_grad] for name in passed]
        wanted = [outputs[name] for name in passed] + [p for ps in parameters for p in ps]
        found = iter(grad(value, wanted, allow_unused=True))
        gradients = [_flat(next(found)) for _ in passed]
        others = [[_flat(next(found)) for _ in ps] for ps in parameters]
    nothing = np.empty(0)
    return [
        Signals(name, _flat(outputs[name]), dy, np.concatenate([nothing, *dw]))
        for name, dy, dw in zip(passed, gradients, others, strict=True)
    ]


def _flat(tensor: Tensor | None) -> np.ndarray:
    """All numbers in a row; of what the loss does not depend on, none."""
    return np.empty(0) if tensor is None else host_array(tensor).reshape(-1)


def signals(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    layers: Sequence[str] | None = None,
    title: str = "",
) -> Any:
    """`layer_signals` as histograms: signals that vanish or explode slope down or up.

    For each layer, from the input on the left to the loss on the right, how the magnitudes of its
    outputs (left) and of dL/d output (right) are distributed, on a logarithmic scale; the line is
    their root mean square, and below stands the share of exact zeros. A healthy start is level:
    gradients that fall from the right to the left by a factor at each layer vanish.
    """
    recorded = layer_signals(model, loss, layers)
    if not recorded:
        raise ValueError("signals: no layer with weights was passed.")
    figure = new_figure(9.6, 3.9)
    panels = figure.subplots(1, 2)
    for axes, name, rows, colour in (
        (panels[0], "outputs y", [s.outputs for s in recorded], TRAIN),
        (panels[1], "gradients dL/dy", [s.gradients for s in recorded], TEST),
    ):
        _histograms(axes, rows, [s.layer for s in recorded], colour)
        axes.set_title(name, loc="left", fontsize=11, fontweight="bold", color=INK)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=FAINT)
    return figure


def _histograms(axes: Any, rows: Sequence[np.ndarray], names: Sequence[str], colour: str) -> None:
    """A histogram of log10 |value| upright for each layer, and the line of root mean squares."""
    quiet(axes)
    logs = [np.log10(np.abs(row[row != 0])) for row in rows]
    logs = [log[np.isfinite(log)] for log in logs]
    used = np.concatenate(logs)
    if not used.size:
        axes.set_xlabel("all are 0", color=INK, fontsize=9)
        return
    # the few smallest of many thousands say nothing
    low = min(float(np.quantile(log, 0.01)) for log in logs if log.size)
    edges = np.linspace(low, float(used.max()) + 0.2, 60)
    for i, log in enumerate(logs):
        if log.size:
            counts, _ = np.histogram(log, edges)
            width = 0.85 * counts / max(counts.max(), 1)
            centres = (edges[1:] + edges[:-1]) / 2
            axes.fill_betweenx(
                centres, i - width / 2, i + width / 2, color=colour, alpha=0.45, linewidth=0
            )
    places = [i for i, log in enumerate(logs) if log.size]
    middle = [np.log10(np.sqrt(np.mean(np.square(rows[i], dtype=np.float64)))) for i in places]
    axes.plot(places, middle, color=INK, linewidth=1.2, marker="o", markersize=3)
    zeros = [f"{np.mean(row == 0):.0%}" if row.size else "" for row in rows]
    labels = [
        f"{name}\n{zero} zero" if zero not in ("", "0%") else name
        for name, zero in zip(names, zeros, strict=True)
    ]
    axes.set_xticks(range(len(names)), labels, rotation=60, ha="right", fontsize=7)
    axes.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    axes.yaxis.get_major_locator().set_params(integer=True)
