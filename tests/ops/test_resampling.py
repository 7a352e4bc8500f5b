"""Resampling against PyTorch, for many sizes; what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.nn import functional as F

CASES = [
    *(
        ((2, 3, *sides), options)
        for sides, mode in (((7,), "linear"), ((5, 8), "bilinear"), ((3, 4, 2), "trilinear"))
        for options in (
            {"mode": mode, "size": [9, 3, 6][: len(sides)]},
            {"mode": mode, "size": 4, "align_corners": True},
            {"mode": mode, "size": 1, "align_corners": True},
            {"mode": mode, "scale_factor": 1.7},
            {"mode": mode, "scale_factor": 1.7, "recompute_scale_factor": True},
            {"mode": mode, "scale_factor": 0.6, "align_corners": False},
            {"mode": "nearest", "scale_factor": 2},
            {"mode": "nearest", "scale_factor": 0.77},
            {"mode": "nearest-exact", "scale_factor": 2.3},
            {"mode": "nearest-exact", "size": 4},
        )
    ),
    *(((1, 1, n), {"size": m}) for n in (1, 2, 3, 10, 41) for m in (1, 5, 10, 41, 82, 123)),
]


@pytest.mark.parametrize(("shape", "options"), CASES, ids=str)
def test_against_pytorch(shape, options):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(shape)
    ours, theirs = (lib.tensor(x, requires_grad=True) for lib in (tinynet, torch))
    assert ours.dtype == tinynet.float64
    y, v = F.interpolate(ours, **options), torch.nn.functional.interpolate(theirs, **options)
    np.testing.assert_allclose(y.detach().numpy(), v.detach().numpy(), rtol=1e-10, atol=1e-12)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(tinynet.tensor(dy))
    v.backward(torch.tensor(dy))
    if "mode" in options:  # PyTorch's backward rounds places otherwise than its forward
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-12)


def test_float32_stays():
    x = tinynet.rand(1, 2, 5, 3)
    for mode in ("nearest", "bilinear"):
        y = F.interpolate(x, scale_factor=3, mode=mode)
        assert (y.dtype, y.shape) == (tinynet.float32, (1, 2, 15, 9))
        wide = F.interpolate(x.double(), scale_factor=3, mode=mode)
        np.testing.assert_allclose(y.numpy(), wide.numpy(), rtol=1e-5)


def test_infinity_stays_where_it_is():
    x = tinynet.tensor([[[1.0, float("inf"), 3.0, 5.0]]])
    y = F.interpolate(x, scale_factor=2, mode="linear").numpy()[0, 0]
    assert np.isfinite(y[[0, 5, 6, 7]]).all()
    assert y[6] == 4.5


def test_the_same_size_is_a_copy():
    x = tinynet.ones(1, 1, 2, 2)
    y = F.interpolate(x, size=2)
    y += 1
    assert x.sum().item() == 4


def test_the_layer():
    layer = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    assert repr(layer) == "Upsample(scale_factor=2.0, mode='bilinear')"
    assert repr(nn.Upsample(size=(3, 4))) == "Upsample(size=(3, 4), mode='nearest')"
    x = tinynet.arange(4.0).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(layer(x)[0, 0, 0].numpy(), [0, 1 / 3, 2 / 3, 1], rtol=1e-6)


def test_what_is_wrong_is_said():
    x = tinynet.ones(1, 1, 4, 4)
    for options, error, text in (
        ({}, ValueError, "either size or scale_factor should be defined"),
        ({"size": 2, "scale_factor": 2}, ValueError, "only one of size or scale_factor"),
        ({"size": 2, "align_corners": True}, ValueError, "linear | bilinear | trilinear"),
        ({"size": (2,)}, ValueError, r"2 axes behind \(N, C\), but size is \(2,\)"),
        ({"size": 0}, RuntimeError, "no axis may be 0"),
        ({"size": 2, "mode": "linear"}, NotImplementedError, r"must be \(N, C, L\), but it is"),
        ({"size": 2, "mode": "cubic"}, NotImplementedError, "no mode 'cubic'; there are"),
        ({"size": 2, "antialias": True}, NotImplementedError, "antialias=True is not supported"),
    ):
        with pytest.raises(error, match=text):
            F.interpolate(x, **options)
