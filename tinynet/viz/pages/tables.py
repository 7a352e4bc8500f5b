"""Pages on operations on tables: batch norm, softmax with cross-entropy, broadcasting."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tinynet import tensor
from tinynet.nn import functional as F

from ...autograd import grad
from .shell import numbers, write_page

LARGEST = 400  # cells of a table that can still be read


class NotATable(ValueError):
    """The page draws tables; this would not be one that can be read."""


def _page(path: str | os.PathLike[str], name: str, title: str, data: dict[str, Any]) -> None:
    write_page(
        path,
        title=f"{title} under the glass",
        body=f"{name}.html",
        styles=("shell.css", "explain.css"),
        scripts=("shell.js", "explain.js", f"{name}.js"),
        data={k: numbers(v) if isinstance(v, np.ndarray) else v for k, v in data.items()},
    )


def _check(*sizes: int) -> None:
    if np.prod(sizes) > LARGEST:
        raise NotATable(
            f"a table of {' x '.join(map(str, sizes))} numbers is too large to be read; "
            f"{LARGEST} at most"
        )


def batch_norm_page(
    path: str | os.PathLike[str], *, batch: int = 6, channels: int = 3, seed: int = 0
) -> None:
    """Batch normalisation of x (batch, channels): its steps, its gradients, and who touches whom.

    The loss is a weighted sum of y, so dy is known from the start and not the same everywhere.
    Raises NotATable where the table would be too large.
    """
    _check(batch, channels)
    random = np.random.default_rng(seed)
    scale, shift = random.uniform(0.5, 4, channels), random.uniform(-3, 3, channels)
    values = random.normal(size=(batch, channels)) * scale + shift
    x = tensor(values.round(1).astype(np.float32), requires_grad=True)
    weight = tensor(
        random.uniform(0.5, 2, channels).round(1).astype(np.float32), requires_grad=True
    )
    bias = tensor(random.uniform(-1, 1, channels).round(1).astype(np.float32), requires_grad=True)
    dy = tensor(random.normal(size=(batch, channels)).round(1).astype(np.float32))
    eps = 1e-5
    y = F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)
    # dy[i, c] / dx[n, c]: one backward pass for each output of a channel; channels do not mix
    touched = np.stack(
        [grad(y[i].sum(), x, retain_graph=True)[0].numpy() for i in range(batch)]
    )  # (i, n, c)
    y.backward(dy)
    mean, var = x.detach().mean(0), x.detach().var(0, correction=0)
    r = (var + eps).rsqrt()
    xhat = (x.detach() - mean) * r
    parts = {"mean": mean, "var": var, "r": r, "xhat": xhat, "y": y.detach(), "dy": dy}
    parts |= {"dy_mean": dy.mean(0), "dyxhat_mean": (dy * xhat).mean(0)}
    parts |= {"x": x, "weight": weight, "bias": bias}
    parts |= {"dx": x.grad, "dweight": weight.grad, "dbias": bias.grad}
    arrays = {name: part.array for name, part in parts.items()}
    shape = {"N": batch, "C": channels, "eps": eps}
    _page(path, "batch_norm", "batch_norm", {**shape, **arrays, "touched": touched})


def cross_entropy_page(
    path: str | os.PathLike[str],
    *,
    batch: int = 4,
    classes: int = 5,
    scale: float = 2.0,
    seed: int = 0,
) -> None:
    """Softmax and cross-entropy of logits (batch, classes): probabilities, losses, p - onehot.

    scale: how far the logits spread. Raises NotATable where the table would be too large.
    """
    _check(batch, classes)
    random = np.random.default_rng(seed)
    values = (random.normal(size=(batch, classes)) * scale).round(1).astype(np.float32)
    logits = tensor(values, requires_grad=True)
    target = tensor(random.permutation(np.arange(batch) % classes))
    losses = F.cross_entropy(logits.detach(), target, reduction="none")
    loss = F.cross_entropy(logits, target)
    loss.backward()
    shifted = logits.detach() - logits.detach().amax(1, keepdim=True)
    data = {
        "logits": logits.array,
        "target": target.array,
        "shifted": shifted.array,
        "exp": shifted.exp().array,
        "p": F.softmax(logits.detach(), 1).array,
        "losses": losses.array,
        "loss": loss.detach().array.reshape(1),
        "dlogits": logits.grad.array,
    }
    _page(path, "cross_entropy", "softmax and cross-entropy", {"N": batch, "C": classes, **data})


def broadcasting_page(
    path: str | os.PathLike[str], *, x_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> None:
    """z = x * y with shapes that differ: what is repeated forward is summed backward.

    Raises RuntimeError where the shapes do not broadcast, NotATable for more than two dimensions.
    """
    if max(len(x_shape), len(y_shape)) > 2:
        raise NotATable("the page draws tables: give shapes of at most two dimensions, such as 3x1")
    x = tensor(_counting(x_shape, 1), requires_grad=True)
    y = tensor(_counting(y_shape, 10), requires_grad=True)
    z = x * y
    _check(*z.shape)
    dz = tensor((np.arange(z.numel()) % 3 + 1).reshape(z.shape).astype(np.float32))
    z.backward(dz)
    data = {"x_shape": list(x_shape), "y_shape": list(y_shape), "z_shape": list(z.shape)}
    arrays = {"x": x.array, "y": y.array, "z": z.detach().array, "dz": dz.array}
    gradients = {"dx": x.grad.array, "dy": y.grad.array}
    _page(path, "broadcasting", "broadcasting", {**data, **arrays, **gradients})


def _counting(shape: tuple[int, ...], start: int) -> np.ndarray:
    return np.arange(start, start + np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
