"""What is computed of a network for the pictures, and that it is left as it was."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import nn, optim, viz
from tinynet.autograd import gradcheck
from tinynet.nn import functional as F
from tinynet.random import default_generator
from tinynet.train import find_lr


def network(seed: int = 0) -> Any:
    """Batch norm, dropout and ReLUs in place; float64, in training mode, with running means."""
    tinynet.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(5 * 4, 3),
    ).double()
    with tinynet.no_grad():
        model(tinynet.randn(8, 2, 8, 8, dtype=tinynet.float64))
    model[3].eval()  # a mode that differs from the rest's
    return model


def image(seed: int = 1) -> Any:
    return tinynet.tensor(np.random.default_rng(seed).standard_normal((2, 8, 8)))


def loss_of(model: Any) -> Any:
    x = np.random.default_rng(0).standard_normal((6, 2, 8, 8))
    return F.cross_entropy(model(tinynet.tensor(x)), tinynet.arange(6) % 3)


def everything(model: Any) -> list[Any]:
    """All that looking might change."""
    return [
        {name: t.numpy().tobytes() for name, t in model.state_dict().items()},
        [m.training for m in model.modules()],
        [(p.grad is None, p.requires_grad) for p in model.parameters()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        str(default_generator.get_state()),
    ]


LOOKS = {
    "feature_maps": lambda m: viz.feature_maps(m, image(), ["0", "4", "8"]),
    "saliency": lambda m: viz.saliency(m, image()),
    "occlusion": lambda m: viz.occlusion(m, image(), size=3),
    "grad_cam": lambda m: viz.grad_cam(m, image(), "4"),
    "loss_surface": lambda m: viz.loss_surface(m, loss_of, points=3),
    "signals": lambda m: viz.signals(m, loss_of),
    "find_lr": lambda m: find_lr(
        m,
        optim.SGD(m.parameters(), lr=1.0),
        nn.CrossEntropyLoss(),
        [(image()[None], tinynet.tensor([1])), (image(3)[None], tinynet.tensor([0]))],
        steps=5,
    ),
}


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("frozen", [False, True])
def test_the_network_stays_as_it_is(name: str, frozen: bool) -> None:
    model = network()
    if frozen:
        model[:8].requires_grad_(False)
    before = everything(model)
    LOOKS[name](model)
    assert everything(model) == before


def test_it_also_stays_when_something_fails() -> None:
    model = network()
    before = everything(model)
    with pytest.raises(ValueError, match="no layer 'features'"):
        viz.grad_cam_map(model, image(), "features")
    with pytest.raises(RuntimeError):
        viz.layer_outputs(model, tinynet.zeros(3, 8, 8), ["4"])
    calls = []

    def fails(m: Any) -> Any:
        calls.append(m)
        if len(calls) == 3:
            raise ZeroDivisionError
        return loss_of(m)

    with pytest.raises(ZeroDivisionError):
        viz.loss_grid(model, fails, points=3)
    assert everything(model) == before


def test_layer_outputs_are_those_of_evaluation() -> None:
    model, x = network(), image()
    outputs = viz.layer_outputs(model, x, ["1", "8"])
    model.eval()
    normalised = model[1](model[0](x[None]))
    np.testing.assert_array_equal(outputs["1"], normalised.detach().numpy()[0])
    assert outputs["1"].min() < 0  # the ReLU in place behind it did not reach it
    np.testing.assert_array_equal(outputs["8"], model(x[None]).detach().numpy()[0])


def test_saliency_is_the_checked_gradient() -> None:
    model, x = network(), image()
    found = viz.saliency_map(model, x, target=2)
    model.eval()
    assert gradcheck(lambda z: model(z)[0, 2], x[None].clone().requires_grad_())
    slopes, eps = np.empty((2, 8, 8)), 1e-6
    with tinynet.no_grad():
        for place in np.ndindex(2, 8, 8):
            step = np.zeros((1, 2, 8, 8))
            step[0][place] = eps
            up, down = (model(x + s * tinynet.tensor(step))[0, 2].item() for s in (1, -1))
            slopes[place] = (up - down) / (2 * eps)
    np.testing.assert_allclose(found, abs(slopes).max(axis=0), rtol=1e-5, atol=1e-8)
    seen = int(model(x[None]).argmax(dim=1).item())
    np.testing.assert_array_equal(
        viz.saliency_map(model, x), viz.saliency_map(model, x, target=seen)
    )


def test_grad_cam_by_hand() -> None:
    """With a mean over the planes and one linear layer, a_k = W[c, k] / (H W)."""
    tinynet.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )
    x = tinynet.randn(1, 7, 9)
    A = model[1](model[0](x[None])).detach().numpy()[0]
    for c in (0, 1):
        weights = model[4].weight.detach().numpy()[c] / (5 * 7)
        expected = np.maximum(np.einsum("k,khw->hw", weights, A), 0)
        np.testing.assert_allclose(
            viz.grad_cam_map(model, x, "1", c), expected, rtol=1e-5, atol=1e-8
        )
    # before the ReLU, a plane's gradient is that mean over where it was positive
    planes = model[0](x[None]).detach().numpy()[0]
    weights = model[4].weight.detach().numpy()[0] / (5 * 7) * (planes > 0).mean(axis=(1, 2))
    expected = np.maximum(np.einsum("k,khw->hw", weights, planes), 0)
    assert expected.max() > 0
    np.testing.assert_allclose(viz.grad_cam_map(model, x, "0", 0), expected, rtol=1e-5, atol=1e-8)


def planted() -> tuple[Any, Any]:
    """A network that sees class 1 where the patch (3..5, 6..9) is bright, and an image with it."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(12 * 12, 2))
    weight = np.zeros((2, 12, 12), np.float32)
    weight[1, 3:6, 6:10] = 0.5
    with tinynet.no_grad():
        model[1].weight.copy_(tinynet.tensor(weight.reshape(2, -1)))
        model[1].bias.copy_(tinynet.tensor([0.0, -1.0]))
    picture = np.random.default_rng(0).random((1, 12, 12), np.float32)
    picture[0, 3:6, 6:10] = 1
    return model, tinynet.tensor(picture)


def test_occlusion_finds_the_planted_patch() -> None:
    model, x = planted()
    heat = viz.occlusion_map(model, x, size=1, stride=1, batch_size=7)
    inside = np.zeros((12, 12), bool)
    inside[3:6, 6:10] = True
    np.testing.assert_array_equal(heat > 1e-6, inside)
    scores = np.array([0.0, 12 * 0.5 - 1])

    def probability(score: float) -> float:
        return 1 / (1 + math.exp(-score))

    # one bright pixel less: the score falls by 0.5
    expected = probability(scores[1]) - probability(scores[1] - 0.5)
    np.testing.assert_allclose(heat[inside], expected, rtol=1e-4)
    wide = viz.occlusion_map(model, x, size=5, stride=3)
    assert inside[np.unravel_index(wide.argmax(), wide.shape)]
    assert wide[0, 0] == pytest.approx(0, abs=1e-7)
    # for the other class covering it is a gain
    other = viz.occlusion_map(model, x, target=0, size=1, stride=1)
    np.testing.assert_allclose(other, -heat, atol=1e-6)
    # the value matters: a patch of ones covers nothing
    bright = viz.occlusion_map(model, x, size=1, stride=1, value=1.0)
    np.testing.assert_allclose(bright, 0, atol=1e-6)


def test_occlusion_reaches_the_border_and_says_what_does_not_fit() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(49, 2))
    x = tinynet.rand(1, 7, 7)
    heat = viz.occlusion_map(model, x, size=3, stride=3)  # 0, 3, and 4 at the border
    assert (heat != 0).all()
    with pytest.raises(ValueError, match="square of 8 in steps of 4 does not fit 7x7"):
        viz.occlusion_map(model, x, size=8)
    gaps = viz.occlusion_map(model, x, size=1, stride=4)
    assert (gaps != 0).sum() == 9


def test_random_directions_are_filter_normalised() -> None:
    model = network()
    direction = viz.random_direction(model, 0)
    for p, d in zip(model.parameters(), direction, strict=True):
        w = p.detach().numpy()
        if w.ndim == 1:
            assert not d.any()
            continue
        rows = (len(w), -1)
        np.testing.assert_allclose(
            np.linalg.norm(d.reshape(rows), axis=1), np.linalg.norm(w.reshape(rows), axis=1)
        )
        assert np.unique(d).size == d.size
    assert (viz.random_direction(model, 1)[0] != direction[0]).all()
    np.testing.assert_array_equal(viz.random_direction(model, 0)[0], direction[0])


def test_the_loss_grid_is_the_loss_at_the_moved_weights() -> None:
    model = network()
    directions = viz.random_direction(model, 5), viz.random_direction(model, 6)
    grid = viz.loss_grid(model, loss_of, span=0.5, points=3, directions=directions)
    np.testing.assert_allclose(grid.along, [-0.5, 0, 0.5])
    model.eval()
    for i, a in enumerate(grid.along):
        for j, b in enumerate(grid.along):
            moved = copy.deepcopy(model)
            with tinynet.no_grad():
                for p, d, e in zip(moved.parameters(), *directions, strict=True):
                    p.add_(tinynet.tensor(a * d + b * e))
                assert grid.losses[i, j] == pytest.approx(loss_of(moved).item(), rel=1e-9)
    assert np.unique(grid.losses).size == 9


def test_the_surface_does_not_see_scales_between_layers() -> None:
    """Li et al.: ReLU networks that differ by a factor moved from layer to layer look the same."""
    tinynet.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False))
    other = copy.deepcopy(model)
    with tinynet.no_grad():
        other[0].weight.mul_(8)
        other[2].weight.mul_(1 / 8)
    x, y = tinynet.randn(9, 4), tinynet.arange(9) % 3
    grids = [
        viz.loss_grid(m, lambda net: F.cross_entropy(net(x), y), points=5) for m in (model, other)
    ]
    np.testing.assert_allclose(grids[0].losses, grids[1].losses, rtol=1e-4)


def test_layer_signals_are_the_outputs_and_gradients() -> None:
    model = network()
    model.eval()
    first, normed, second, last = viz.layer_signals(model, loss_of)
    assert [s.layer for s in (first, normed, second, last)] == ["0", "1", "4", "8"]
    by_hand = copy.deepcopy(model)
    loss_of(by_hand).backward()
    for signal, layer in ((first, 0), (second, 4), (last, 8)):
        expected = np.concatenate([p.grad.numpy().reshape(-1) for p in by_hand[layer].parameters()])
        np.testing.assert_allclose(signal.parameter_gradients, expected, rtol=1e-9)
    # the bias of a layer gets the sum of dL/dy over the batch
    dy = last.gradients.reshape(6, 3)
    np.testing.assert_allclose(dy.sum(axis=0), by_hand[8].bias.grad.numpy(), rtol=1e-9)
    x = np.random.default_rng(0).standard_normal((6, 2, 8, 8))
    np.testing.assert_allclose(
        last.outputs.reshape(6, 3), model(tinynet.tensor(x)).detach().numpy(), rtol=1e-9
    )


@pytest.mark.parametrize(("std", "factor"), [(0.01, 0.15), (0.3, 4.0)])
def test_vanishing_and_exploding_gradients_show(std: float, factor: float) -> None:
    """Each layer of 100 ReLUs multiplies the gradient by about std * sqrt(100 / 2)."""
    tinynet.manual_seed(0)
    layers = [m for _ in range(6) for m in (nn.Linear(100, 100, bias=False), nn.ReLU())]
    model = nn.Sequential(*layers)
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=std)
    x = tinynet.randn(64, 100)
    recorded = viz.layer_signals(model, lambda net: net(x).sum())
    size = np.array([np.sqrt((s.gradients**2).mean()) for s in recorded])
    steps = size[:-1] / size[1:]  # from a layer to the one before
    np.testing.assert_allclose(steps[1:], std * math.sqrt(50), rtol=0.35)
    assert (steps < factor).all() if factor < 1 else (steps > factor / 3).all()
    figure = viz.signals(model, lambda net: net(x).sum())
    heights = np.array(figure.axes[1].lines[0].get_ydata())
    np.testing.assert_allclose(10**heights, size, rtol=1e-5)
    assert (np.diff(heights) > 0).all() == (std < 0.1)


def test_find_lr_on_a_parabola() -> None:
    """loss = c w^2 / 2: the best rate is 1 / c, and from 2 / c on the steps grow."""
    c = 4.0
    model = nn.Linear(1, 1, bias=False)
    with tinynet.no_grad():
        model.weight.fill_(3.0)
    x, y = tinynet.tensor([[math.sqrt(c)]]), tinynet.zeros(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    search = find_lr(
        model,
        optimizer,
        lambda out, target: 0.5 * ((out - target) ** 2).sum(),
        [(x, y)],
        lowest=1e-4,
        highest=10.0,
        steps=60,
        smoothing=0.0,
    )
    np.testing.assert_allclose(search.rates[1:] / search.rates[:-1], (10 / 1e-4) ** (1 / 59))
    w = 3.0
    for rate, loss in zip(search.rates, search.losses, strict=True):
        assert loss == pytest.approx(0.5 * c * w * w, rel=1e-3, abs=1e-12)
        w -= rate * c * w
    np.testing.assert_allclose(search.smoothed, search.losses)
    assert 0 < search.suggestion < 2 / c
    assert model.weight.item() == 3.0
    assert (optimizer.param_groups[0]["lr"], len(optimizer.state)) == (0.5, 0)
    assert model.weight.grad is None
    figure = viz.learning_rates(search)
    assert f"steepest at {search.suggestion:.2g}" in [t.get_text() for t in figure.axes[0].texts]


def test_find_lr_stops_and_smooths() -> None:
    losses = iter([1.0, 3.0, 2.0, 100.0, 5.0])
    model = nn.Linear(1, 1)
    search = find_lr(
        model,
        optim.SGD(model.parameters(), lr=1.0),
        lambda out, target: out.sum() * 0 + next(losses),
        [(tinynet.ones(1, 1), tinynet.zeros(1, 1))],
        smoothing=0.5,
    )
    assert search.losses.tolist() == [1.0, 3.0, 2.0, 100.0]  # 100 is far above: no step from there
    weights = np.array([1, 2, 4, 8])
    for i in range(4):
        expected = (weights[: i + 1] * search.losses[: i + 1]).sum() / weights[: i + 1].sum()
        assert search.smoothed[i] == pytest.approx(expected)
    with pytest.raises(ValueError, match="did not fall"):
        _ = search.suggestion
    with pytest.raises(ValueError, match="lowest < highest"):
        find_lr(model, None, None, [], lowest=1.0, highest=0.1)


def test_what_is_wrong_is_said() -> None:
    model = network()
    for image_, text in (
        (tinynet.zeros(2, 2, 8, 8), r"One image is \(C, H, W\)"),
        (tinynet.zeros(8, 8), r"One image is \(C, H, W\)"),
    ):
        with pytest.raises(ValueError, match=text):
            viz.saliency_map(model, image_)
    with pytest.raises(ValueError, match="classes 0 to 2, not 3"):
        viz.saliency_map(model, image(), target=3)
    with pytest.raises(ValueError, match="8 does not give planes"):
        viz.grad_cam_map(model, image(), "8")
    with pytest.raises(ValueError, match=r"\(K, C, R, S\), but it is \(3, 20\)"):
        viz.filters(model[8])
    with pytest.raises(ValueError, match="must give scores"):
        viz.saliency_map(nn.Sequential(nn.Conv2d(2, 2, 1)), image())


# ------------------------------------------------------------------------------------ the pictures


def shown(axes: Any) -> Any:
    return np.asarray(axes.images[0].get_array())


def test_filters_are_drawn_on_one_scale() -> None:
    colour = tinynet.randn(5, 3, 4, 6)
    figure = viz.filters(colour)
    assert len([a for a in figure.axes if a.images]) == 5
    w = colour.numpy()
    np.testing.assert_allclose(
        shown(figure.axes[2]), w[2].transpose(1, 2, 0) / (2 * abs(w).max()) + 0.5, rtol=1e-5
    )
    layer = nn.Conv2d(2, 3, 3)
    figure = viz.filters(layer)
    assert len([a for a in figure.axes if a.images]) == 6
    np.testing.assert_array_equal(shown(figure.axes[3]), layer.weight.detach().numpy()[1, 1])
    assert figure.axes[0].images[0].get_clim()[1] == pytest.approx(
        abs(layer.weight.detach().numpy()).max()
    )
    assert "4 of 3 filters" not in figure.get_suptitle()
    assert "4 of 5 filters" in viz.filters(colour, most=4).get_suptitle()


def test_feature_maps_are_drawn_plane_by_plane() -> None:
    model, x = network(), image()
    figure = viz.feature_maps(model, x, ["0", "8"], most=3)
    outputs = viz.layer_outputs(model, x, ["0", "8"])
    pictures = [shown(axes) for axes in figure.axes if axes.images]
    assert len(pictures) == 4
    np.testing.assert_array_equal(pictures[1], outputs["0"][1])
    np.testing.assert_array_equal(pictures[3], outputs["8"][None])


def test_heat_is_drawn_over_the_image() -> None:
    model, x = planted()
    for figure, heat in (
        (viz.saliency(model, x), viz.saliency_map(model, x)),
        (viz.occlusion(model, x, size=1), viz.occlusion_map(model, x, size=1)),
    ):
        left, right, _ = figure.axes
        assert shown(left).shape == (12, 12)
        np.testing.assert_array_equal(np.asarray(right.images[1].get_array()), heat)
    deep = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    figure = viz.grad_cam(deep, tinynet.rand(3, 9, 6), "0")
    assert shown(figure.axes[0]).shape == (9, 6, 3)
    small = viz.grad_cam_map(deep, tinynet.rand(3, 9, 6), "0")
    assert small.shape == (4, 2)
    assert np.asarray(figure.axes[1].images[1].get_array()).shape == (9, 6)


def test_the_loss_surface_is_drawn() -> None:
    model = network()
    grid = viz.loss_grid(model, loss_of, points=5, span=2.0)
    figure = viz.loss_surface(model, loss_of, points=5, span=2.0)
    assert f"loss {grid.losses[2, 2]:.3g} in the middle" in figure.get_suptitle()
    limit = model[0].weight[0, 0, 0, 0].item() + 0.01
    figure = viz.loss_surface(
        model, lambda m: loss_of(m) * (1 if m[0].weight[0, 0, 0, 0].item() < limit else math.inf)
    )
    assert "not finite" in figure.get_suptitle()
    figure.canvas.draw()
