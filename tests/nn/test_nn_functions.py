"""The functions that the layers' samples do not reach, against PyTorch: values and gradients."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinynet
import tinynet.nn as nn
import tinynet.nn.functional as F

torch = pytest.importorskip("torch")


def both(call: Any, *arrays: Any) -> tuple[list[Any], list[Any]]:
    """Outputs and gradients of `call(lib, F, *tensors)` in both libraries."""
    results = []
    for lib in (tinynet, torch):
        inputs = [lib.tensor(a) for a in arrays]
        for x in inputs:
            if x.is_floating_point():
                x.requires_grad_()
        functional = F if lib is tinynet else torch.nn.functional
        y = call(lib, functional, *inputs)
        ys = list(y) if isinstance(y, tuple) else [y]
        total = sum((t * t.detach().cos()).sum() for t in ys if t.requires_grad)
        if not isinstance(total, int):
            total.backward()
        grads = [x.grad for x in inputs]
        results.append(
            [t.detach().numpy() for t in ys] + [g.numpy() for g in grads if g is not None]
        )
    return results[0], results[1]


def normal(*size: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(size)


IMAGE = normal(2, 3, 5, 6)
GRID = np.random.default_rng(1).uniform(-1.4, 1.4, (2, 4, 3, 2))
VOLUME = normal(1, 2, 3, 4, 3)
VOLUME_GRID = np.random.default_rng(2).uniform(-1.4, 1.4, (1, 2, 2, 3, 3))

CALLS: dict[str, Any] = {
    f"grid_sample {mode} {padding} {corners}": (
        lambda lib, F, x, g, m=mode, p=padding, c=corners: F.grid_sample(x, g, m, p, c),
        IMAGE,
        GRID,
    )
    for mode, padding, corners in itertools.product(
        ("bilinear", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    )
}
CALLS |= {
    f"grid_sample volume {padding}": (
        lambda lib, F, x, g, p=padding: F.grid_sample(x, g, "bilinear", p, False),
        VOLUME,
        VOLUME_GRID,
    )
    for padding in ("zeros", "border", "reflection")
}
CALLS |= {
    f"interpolate {mode} {kwargs}": (
        lambda lib, F, x, m=mode, k=kwargs: F.interpolate(x, mode=m, **k),
        IMAGE,
    )
    for mode, kwargs in (
        ("bicubic", {"size": (7, 4)}),
        ("bicubic", {"scale_factor": 1.7, "align_corners": True}),
        ("bicubic", {"scale_factor": (0.6, 2.0)}),
        ("area", {"size": (3, 8)}),
        ("area", {"scale_factor": 0.5}),
    )
}
ROWS = np.array([[1, 0, 3], [3, 3, 2]])
CALLS |= {
    "unfold": (lambda lib, F, x: F.unfold(x, (2, 3), 2, 1, (1, 2)), IMAGE),
    "fold": (
        lambda lib, F, x: F.fold(x, (5, 6), (2, 3), 2, 1, (1, 2)),
        normal(2, 6, 5 * 2),
    ),
    "affine_grid": (lambda lib, F, t: F.affine_grid(t, (2, 1, 3, 4), False), normal(2, 2, 3)),
    "affine_grid corners": (
        lambda lib, F, t: F.affine_grid(t, (2, 1, 3, 4), True),
        normal(2, 2, 3),
    ),
    "affine_grid volume": (
        lambda lib, F, t: F.affine_grid(t, (1, 1, 2, 3, 4), False),
        normal(1, 3, 4),
    ),
    "pixel_shuffle": (lambda lib, F, x: F.pixel_shuffle(x, 2), normal(2, 8, 3, 2)),
    "pixel_unshuffle": (lambda lib, F, x: F.pixel_unshuffle(x, 3), normal(2, 1, 6, 9)),
    "channel_shuffle": (lambda lib, F, x: F.channel_shuffle(x, 3), normal(2, 6, 2)),
    "conv_transpose2d far padding": (
        lambda lib, F, x, w: F.conv_transpose2d(x, w, None, 1, 0, 2, 1, 3),
        normal(1, 2, 3, 3),
        normal(2, 2, 2, 2),
    ),
    "conv_transpose3d": (
        lambda lib, F, x, w, b: F.conv_transpose3d(x, w, b, (2, 1, 3), 1, (1, 0, 2), 2, (1, 2, 1)),
        normal(1, 4, 3, 3, 2),
        normal(4, 2, 2, 3, 3),
        normal(4),
    ),
    "max_unpool2d": (
        lambda lib, F, x: F.max_unpool2d(
            *F.max_pool2d(x, 2, 2, return_indices=True), 2, output_size=(5, 6)
        ),
        IMAGE,
    ),
    "max_unpool3d": (
        lambda lib, F, x: F.max_unpool3d(
            *F.max_pool3d(x, 2, return_indices=True), 2, output_size=(3, 4, 3)
        ),
        VOLUME,
    ),
    "max_pool3d indices": (
        lambda lib, F, x: F.max_pool3d(x, 2, 2, 1, return_indices=True),
        VOLUME,
    ),
    "adaptive_max_pool3d indices": (
        lambda lib, F, x: F.adaptive_max_pool3d(x, (2, None, 2), return_indices=True),
        VOLUME,
    ),
    "adaptive_max_pool1d with indices": (
        lambda lib, F, x: F.adaptive_max_pool1d_with_indices(x, 3),
        normal(1, 2, 7),
    ),
    "avg_pool3d ceil": (
        lambda lib, F, x: F.avg_pool3d(x, 2, 2, 1, ceil_mode=True, count_include_pad=False),
        VOLUME,
    ),
    "embedding padded": (lambda lib, F, w: F.embedding(lib.tensor(ROWS), w, 3), normal(4, 2)),
    "embedding by frequency": (
        lambda lib, F, w: F.embedding(lib.tensor(ROWS), w, None, None, 2.0, True),
        normal(4, 2),
    ),
    "embedding_bag padded": (
        lambda lib, F, w: F.embedding_bag(lib.tensor(ROWS), w, mode="mean", padding_idx=3),
        normal(4, 2),
    ),
    "embedding_bag weighted": (
        lambda lib, F, w, p: F.embedding_bag(
            lib.tensor(ROWS.reshape(-1)), w, lib.tensor([0, 2, 2]), mode="sum", per_sample_weights=p
        ),
        normal(4, 2),
        normal(6),
    ),
    "embedding_bag max": (
        lambda lib, F, w: F.embedding_bag(
            lib.tensor(ROWS.reshape(-1)),
            w,
            lib.tensor([0, 4, 6]),
            mode="max",
            include_last_offset=True,
        ),
        normal(4, 2),
    ),
    "prelu at 0": (
        lambda lib, F, x, w: F.prelu(x, w),
        np.array([[0.0, -1.0, 2.0]]),
        np.array([0.3]),
    ),
    "pdist": (lambda lib, F, x: F.pdist(x, 3), normal(5, 3)),
    "cosine_similarity": (
        lambda lib, F, x, y: F.cosine_similarity(x, y, 0),
        normal(3, 4),
        normal(3, 1, seed=1),
    ),
    "triplet swapped": (
        lambda lib, F, a, p, n: F.triplet_margin_loss(a, p, n, 2.0, 3, swap=True),
        normal(4, 3),
        normal(4, 3, seed=1),
        normal(4, 3, seed=2),
    ),
    "attention causal": (
        lambda lib, F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.7),
        normal(2, 3, 4, 5),
        normal(2, 3, 4, 5, seed=1),
        normal(2, 3, 4, 2, seed=2),
    ),
    "attention grouped": (
        lambda lib, F, q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        normal(2, 4, 3, 5),
        normal(2, 2, 3, 5, seed=1),
        normal(2, 2, 3, 2, seed=2),
    ),
    "attention with a mask to add": (
        lambda lib, F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, m),
        normal(2, 3, 5),
        normal(2, 4, 5, seed=1),
        normal(2, 4, 2, seed=2),
        normal(3, 4, seed=3),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_pytorch(name: str) -> None:
    mine, theirs = both(*CALLS[name])
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_nearest_grid() -> None:
    for padding in ("zeros", "border", "reflection"):
        mine, theirs = both(
            lambda lib, F, x, p=padding: F.grid_sample(x, lib.tensor(GRID), "nearest", p, False),
            IMAGE,
        )
        np.testing.assert_allclose(mine[0], theirs[0])
        np.testing.assert_allclose(mine[1], theirs[1])


def test_embedding_shortens_rows_in_place() -> None:
    ours, theirs = normal(4, 3) * 5, torch.tensor(normal(4, 3) * 5)
    w = tinynet.tensor(ours)
    y = F.embedding(tinynet.tensor([1, 1, 2]), w, max_norm=1.0)
    z = torch.nn.functional.embedding(torch.tensor([1, 1, 2]), theirs, max_norm=1.0)
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-6)
    np.testing.assert_allclose(w.numpy(), theirs.numpy(), rtol=1e-6)


def test_embeddings_refuse_sparse_gradients_and_rows_that_are_not_there() -> None:
    layer = nn.Embedding(3, 2, padding_idx=-1)
    assert layer.weight[2].tolist() == [0, 0]
    assert not nn.Embedding.from_pretrained(tinynet.ones(2, 2)).weight.requires_grad
    with pytest.raises(IndexError, match="rows 0 to 2, but 3 is asked for"):
        layer(tinynet.tensor([0, 3]))
    with pytest.raises(NotImplementedError, match="sparse=True"):
        nn.Embedding(3, 2, sparse=True)(tinynet.tensor([0]))


def test_gumbel_softmax_draws_classes() -> None:
    tinynet.manual_seed(0)
    logits = tinynet.tensor([0.0, 1.0, 2.0]).log_softmax(0).expand(4000, 3).clone()
    logits.requires_grad_()
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(hard.detach().numpy().round(6))) == {0.0, 1.0}
    share = hard.detach().mean(0).numpy()
    np.testing.assert_allclose(share, logits[0].exp().detach().numpy(), atol=0.03)
    (hard * tinynet.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert float(logits.grad.abs().sum()) > 0  # the soft ones' derivative


def test_rrelu_draws_slopes_in_training() -> None:
    tinynet.manual_seed(0)
    x = -tinynet.ones(2000)
    slopes = -F.rrelu(x, 0.1, 0.5, training=True)
    assert 0.1 <= float(slopes.min()) < 0.12
    assert 0.48 < float(slopes.max()) <= 0.5
    assert float(F.rrelu(x, 0.1, 0.5)[0]) == pytest.approx(-0.3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("relu_", ()),
        ("leaky_relu_", (0.2,)),
        ("threshold_", (0.1, 3.0)),
        ("hardtanh_", (-0.5, 0.5)),
        ("elu_", (1.2,)),
        ("selu_", ()),
        ("celu_", (0.7,)),
        ("rrelu_", (0.1, 0.3)),
    ],
)
def test_in_place_activations(name: str, arguments: tuple[float, ...]) -> None:
    a = normal(3, 4)
    x, y = tinynet.tensor(a), torch.tensor(a)
    assert getattr(F, name)(x, *arguments) is x
    np.testing.assert_allclose(x.numpy(), getattr(torch.nn.functional, name)(y, *arguments).numpy())


@pytest.mark.parametrize("axes", [1, 3])
def test_channels_are_dropped_as_a_whole(axes: int) -> None:
    tinynet.manual_seed(0)
    x = tinynet.ones(200, 4, *(3,) * axes)
    y = getattr(F, f"dropout{axes}d")(x, 0.25).numpy().reshape(800, -1)
    assert (y.min(1) == y.max(1)).all()
    assert (y[:, 0] == 0).mean() == pytest.approx(0.25, abs=0.05)
    assert y.max() == pytest.approx(1 / 0.75)


def test_ctc_of_what_cannot_be_said() -> None:
    x = np.log(np.full((2, 1, 3), 1 / 3))
    for zero in (False, True):
        mine = F.ctc_loss(tinynet.tensor(x), tinynet.tensor([[1, 1]]), (2,), (2,), 0, "sum", zero)
        theirs = torch.nn.functional.ctc_loss(
            torch.tensor(x), torch.tensor([[1, 1]]), (2,), (2,), 0, "sum", zero
        )
        assert float(mine) == float(theirs)


def test_wrong_shapes_are_sentences() -> None:
    x = tinynet.zeros(1, 2, 5)
    for call, text in (
        (lambda: F.conv1d(x, tinynet.zeros(3, 4, 2)), "x has 2 channels but w expects 4"),
        (lambda: F.conv1d(tinynet.zeros(5), tinynet.zeros(3, 2, 2)), r"x must be \(N, C, L\)"),
        (lambda: F.conv3d(tinynet.zeros(1, 1, 1, 3, 3), tinynet.zeros(1, 1, 2, 2, 2)), "greater"),
        (lambda: F.conv_transpose1d(x, tinynet.zeros(3, 2, 2)), "both must have the same K"),
        (
            lambda: F.conv_transpose1d(x, tinynet.zeros(2, 2, 2), output_padding=1),
            "output padding must be smaller than either stride or dilation",
        ),
        (lambda: F.fold(tinynet.zeros(1, 5, 4), (3, 3), 2), "must be a multiple of 4"),
        (lambda: F.unfold(tinynet.zeros(1, 1, 2, 2), 3), "no window fits"),
        (lambda: F.pixel_shuffle(tinynet.zeros(1, 3, 2, 2), 2), "divisible by the square"),
        (lambda: F.rms_norm(x, (4,)), r"normalized_shape is \(4,\)"),
        (lambda: F.grid_sample(x, x), r"grid must be \(N, P, Q, 2\)"),
    ):
        with pytest.raises(RuntimeError, match=text):
            call()


def test_gradients_of_convolutions_by_themselves() -> None:
    x, w = normal(1, 4, 5, 6), normal(2, 2, 3, 2)
    dy = normal(1, 2, 3, 6, seed=1)
    results = []
    for lib, functions in ((tinynet, nn.grad), (torch, torch.nn.grad)):
        of = {"stride": (2, 1), "padding": (1, 1), "dilation": (1, 2), "groups": 2}
        dx = functions.conv2d_input((1, 4, 5, 6), lib.tensor(w), lib.tensor(dy), **of)
        dw = functions.conv2d_weight(lib.tensor(x), (2, 2, 3, 2), lib.tensor(dy), **of)
        results.append((dx.numpy(), dw.numpy()))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
