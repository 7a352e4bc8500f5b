"""Winograd's convolution: its matrices, its answers, its error, what it refuses."""

import re

import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.conv2d import cook_toom, winograd
from tinynet.kernels.conv2d.cases import CASES, Conv2dCase
from tinynet.kernels.conv2d.dims import Conv2dDims

VARIANTS = [(4, 3), (2, 3), (4, 5), (2, 5)]
both_orders = pytest.mark.parametrize("channels_last", [False, True], ids=["NCHW", "NHWC"])


def run(algorithm, x, w, bias, dy, dims):
    with kernels.use(conv2d=algorithm) as backend:
        return {
            "forward": backend.conv2d.forward(x, w, bias, dims=dims),
            "grad_input": backend.conv2d.grad_input(dy, w, dims=dims),
            "grad_weight": backend.conv2d.grad_weight(dy, x, dims=dims),
        }


def in_order(a, channels_last):
    if a is None or not channels_last:
        return a
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("m", "r"), VARIANTS)
def test_the_matrices_compute_a_correlation(m, r):
    AT, G, BT = cook_toom.cook_toom(m, r)
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal(m + r - 1), rng.standard_normal(r)
    y = AT @ ((G @ g) * (BT @ d))
    np.testing.assert_allclose(y, np.correlate(d, g), rtol=1e-13, atol=1e-13)


def test_the_matrices_of_f23_are_those_of_the_paper():
    """Lavin and Gray 2016, equation 7; the signs of a row of G and of B.T may change together."""
    AT, G, BT = cook_toom.cook_toom(2, 3)
    paper_G = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
    paper_BT = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
    paper_AT = [[1, 1, 1, 0], [0, 1, -1, -1]]
    sign = np.array([-1, 1, 1, 1])
    np.testing.assert_array_equal(sign[:, None] * G, paper_G)
    np.testing.assert_array_equal((sign * [1, 1, 1, -1])[:, None] * BT, paper_BT)
    np.testing.assert_array_equal(AT * [1, 1, 1, -1], paper_AT)


def test_what_cancels_is_exactly_zero():
    """Zeros save the work; a residue of 1e-16 in their place would not."""
    for m, r in VARIANTS:
        _, _, BT = cook_toom.cook_toom(m, r)
        assert not ((abs(BT) < 1e-12) & (BT != 0)).any()


TAKEN = [case for case in CASES if case.size != "large" and not winograd.refuses(case.dims)]
TAKEN += [
    Conv2dCase("one tile", (1, 1, 4, 4), (1, 1, 3, 3), padding=1, bias=True),
    Conv2dCase("less than a tile", (2, 3, 3, 3), (2, 3, 3, 3), bias=True),
    Conv2dCase("tiles that reach over", (2, 5, 13, 11), (7, 5, 3, 3), padding=(1, 0), bias=True),
    Conv2dCase("wide padding", (1, 4, 5, 6), (3, 4, 3, 3), padding=(4, 2), bias=True),
    Conv2dCase("whole groups of channels", (2, 32, 12, 8), (48, 32, 3, 3), padding=1, bias=True),
    Conv2dCase("panels of channels", (1, 300, 6, 6), (20, 300, 3, 3), padding=1),
    Conv2dCase("several blocks of tiles", (3, 33, 60, 70), (34, 33, 3, 3), padding=1, bias=True),
    Conv2dCase("not contiguous, larger", (2, 16, 9, 9), (16, 16, 3, 3), padding=1, strided=True),
    Conv2dCase("5x5", (2, 5, 9, 8), (6, 5, 5, 5), padding=2, bias=True),
    Conv2dCase("5x5, whole groups", (2, 16, 12, 12), (32, 16, 5, 5), padding=(0, 1)),
    Conv2dCase("11x11 stride 4", (2, 3, 24, 37), (20, 3, 11, 11), 4, 2, bias=True),
    Conv2dCase("5x5 stride 2, not whole", (3, 4, 12, 11), (6, 4, 5, 5), 2, (0, 3)),
    Conv2dCase("6x6 stride 2, rest of x", (1, 2, 11, 12), (3, 2, 6, 6), 2, strided=True),
    Conv2dCase("5x5, 1 + 1 channel", (1, 1, 5, 7), (1, 1, 5, 5), padding=(3, 4)),
]


def taps(case):
    """Of the filters along an axis; strided ones become filters of three."""
    return case.dims.R if case.dims.stride == (1, 1) else 3


EACH = [(m, case, dtype) for case in TAKEN for m in (4, 2) for dtype in ("float32", "float64")]


def slow(m, r, dtype):
    """Each variant and dtype compiles seven kernels more."""
    fast = [(4, 3, "float32"), (4, 3, "float64"), (2, 3, "float32"), (4, 5, "float32")]
    return [] if (m, r, dtype) in fast else [pytest.mark.slow]


@both_orders
@pytest.mark.parametrize(
    ("m", "case", "dtype"),
    [
        pytest.param(
            m, case, dtype, marks=slow(m, taps(case), dtype), id=f"{m}-{case.name}-{dtype}"
        )
        for m, case, dtype in EACH
    ],
)
def test_agrees_with_the_definition(m, case, dtype, channels_last, monkeypatch):
    """Within the stated error, relative to the largest sum of absolute values."""
    monkeypatch.setattr(winograd, "tile_size", lambda dims: m)
    x, w, bias, dy = case.arrays(dtype)
    x, dy = in_order(x, channels_last), in_order(dy, channels_last)
    exact = [None if a is None else a.astype(np.float64) for a in (x, w, bias, dy)]
    wanted = run("im2col", *exact, case.dims)
    sizes = run("im2col", *(None if a is None else abs(a) for a in exact), case.dims)
    error = winograd.ERRORS[m, taps(case)] * np.finfo(dtype).eps
    for name, got in run("winograd", x, w, bias, dy, case.dims).items():
        assert got.dtype == dtype
        assert got.shape == wanted[name].shape
        assert abs(got - wanted[name]).max(initial=0) <= error * sizes[name].max(initial=0), name


@pytest.mark.parametrize(
    ("m", "r"), [pytest.param(*each, marks=slow(*each, "float32")) for each in VARIANTS]
)
@pytest.mark.parametrize("size", [(2, 64, 30, 64), (2, 192, 13, 128), (8, 16, 60, 16)])
def test_stated_error(m, r, size, monkeypatch):
    """Normal numbers: relative to the largest result, not to a sum of absolute values."""
    monkeypatch.setattr(winograd, "tile_size", lambda dims: m)
    N, C, H, K = size
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, C, H, H)).astype(np.float32)
    w = (rng.standard_normal((K, C, r, r)) / (C * r * r) ** 0.5).astype(np.float32)
    dims = Conv2dDims.of(x.shape, w.shape, padding=r // 2)
    dy = rng.standard_normal(dims.y_shape).astype(np.float32)
    x64, w64, dy64 = (a.astype(np.float64) for a in (x, w, dy))
    wanted = run("im2col", x64, w64, None, dy64, dims)
    for name, got in run("winograd", x, w, None, dy, dims).items():
        error = abs(got - wanted[name]).max() / abs(wanted[name]).max()
        assert error <= winograd.ERRORS[m, r] * np.finfo(np.float32).eps, name


def test_the_chosen_points_are_better_than_the_usual_ones(monkeypatch):
    """0, +-1, +-2, infinity make four times the error in the worst of the 16 outputs of a tile."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((64, 3, 3))
    d = rng.standard_normal((200, 64, 6, 6))

    def outputs(dtype):
        AT, G, BT = (a.astype(dtype) for a in cook_toom.cook_toom.__wrapped__(4, 3))
        U, V = G @ w.astype(dtype) @ G.T, BT @ d.astype(dtype) @ BT.T
        return AT @ sum(U[c] * V[:, c] for c in range(64)) @ AT.T  # channel after channel

    def error():
        square = (outputs(np.float32) - outputs(np.float64)) ** 2
        return np.sqrt(square.mean(axis=0)).max()

    ours = error()
    monkeypatch.setitem(cook_toom.POINTS, 6, (0.0, 1.0, -1.0, 2.0, -2.0))
    assert error() > 3 * ours


@pytest.mark.parametrize("r", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_adjoints(r):
    """<conv(x, w), dy> = <x, grad_input(dy, w)> = <w, grad_weight(dy, x)>."""
    case = Conv2dCase("", (2, 18, 11, 14), (17, 18, r, r), padding=(2, 1))
    x, w, _, dy = case.arrays("float64", seed=1)
    got = run("winograd", x, w, None, dy, case.dims)
    product = np.vdot(got["forward"], dy)
    size = np.vdot(abs(got["forward"]), abs(dy))
    assert abs(product - np.vdot(x, got["grad_input"])) <= 1e-12 * size
    assert abs(product - np.vdot(w, got["grad_weight"])) <= 1e-12 * size


def test_nan_and_infinity_reach_every_output_that_sees_them():
    """And no output of a tile that does not: NaN spreads within its tile only."""
    x = np.ones((1, 2, 12, 12), np.float32)
    x[0, 1, 5, 5], x[0, 0, 0, 11] = np.nan, np.inf
    w = np.ones((3, 2, 3, 3), np.float32)
    dims = Conv2dDims.of(x.shape, w.shape, padding=1)
    with np.errstate(invalid="ignore"):
        wanted = run("im2col", x, w, None, x[:, [0, 1, 1]], dims)["forward"]
        got = run("winograd", x, w, None, x[:, [0, 1, 1]], dims)["forward"]
    assert not np.isfinite(got[~np.isfinite(wanted)]).any()
    bad = ~np.isfinite(got[0, 0])
    assert bad[4:8, 4:8].all()
    bad[4:8, 4:8] = bad[:4, 8:] = False
    assert not bad.any()


@pytest.mark.parametrize(
    ("w", "options", "message"),
    [
        ((4, 4, 3, 3), {"stride": 2}, "needs stride 1, but the stride is (2, 2). Leave the choice"),
        ((4, 4, 3, 3), {"dilation": 2}, "needs dilation 1, but the dilation is (2, 2)"),
        ((4, 2, 3, 3), {"groups": 2}, "needs one group, but there are 2"),
        ((4, 4, 3, 5), {}, "needs filters of 3 x 3 or 5 x 5, but they are 3 x 5"),
    ],
)
def test_what_it_refuses(w, options, message):
    x, w = np.ones((1, 4, 9, 9), np.float32), np.ones(w, np.float32)
    dims = Conv2dDims.of(x.shape, w.shape, **options)
    dy = np.ones(dims.y_shape, np.float32)
    with kernels.use(conv2d="winograd") as backend:
        for pass_ in (
            lambda: backend.conv2d.forward(x, w, None, dims=dims),
            lambda: backend.conv2d.grad_input(dy, w, dims=dims),
            lambda: backend.conv2d.grad_weight(dy, x, dims=dims),
        ):
            start = "conv2d: x is (N, C, H, W) = (1, 4, 9, 9), w is "
            with pytest.raises(ValueError, match=re.escape(start)) as error:
                pass_()
            assert message in str(error.value)
