import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.errors import ShapeError
from tinynet.kernels.pool2d import reference
from tinynet.kernels.pool2d.cases import CASES
from tinynet.kernels.pool2d.dims import Pool2dDims

SMALLER = [case for case in CASES if case.size != "large"]
AVERAGES = [{}, {"count_include_pad": False}, {"divisor_override": 5}]
cpu = kernels.of(np.zeros(1)).pool2d


@pytest.mark.parametrize("pool2d", [reference, cpu], ids=["reference", "cpu"])
def test_hand_worked(pool2d):
    x = np.array([[[[1.0, 5.0, 2.0], [5.0, 0.0, 3.0], [7.0, 8.0, 9.0]]]])
    dims = Pool2dDims.of(x.shape, kernel_size=2, stride=1)
    y, winners = pool2d.max_forward(x, dims=dims)
    np.testing.assert_array_equal(y, [[[[5, 5], [8, 9]]]])
    index = pool2d.max_index(winners, dims=dims)
    np.testing.assert_array_equal(index, [[[[1, 1], [7, 8]]]])  # the first 5 of two wins
    dx = pool2d.max_backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]), winners, dims=dims)
    np.testing.assert_array_equal(dx, [[[[0, 11, 0], [0, 0, 0], [0, 100, 1000]]]])
    mean = pool2d.avg_forward(x, dims=dims)
    np.testing.assert_array_equal(mean, [[[[2.75, 2.5], [5, 5]]]])
    dx = pool2d.avg_backward(np.array([[[[4.0, 8.0], [12.0, 16.0]]]]), dims=dims)
    np.testing.assert_array_equal(dx, [[[[1, 3, 2], [4, 10, 6], [3, 7, 4]]]])


def channels_innermost(a):
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


ORDERS = [
    (x_order, dy_order)
    for x_order in (np.asarray, channels_innermost)
    for dy_order in (np.asarray, channels_innermost)
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype):
    x, dy = case.arrays(dtype)
    dims = case.dims
    y, index = reference.max_forward(x, dims=dims)
    dx = reference.max_backward(dy, index, dims=dims)
    tolerance = case.tolerance(dtype)
    for x_order, dy_order in ORDERS:
        got_y, winners = cpu.max_forward(x_order(x), dims=dims)
        np.testing.assert_array_equal(got_y, y)
        got_index = cpu.max_index(winners, dims=dims)
        np.testing.assert_array_equal(got_index, index)
        assert got_y.dtype == dtype
        assert got_index.dtype == np.int64
        got_dx = cpu.max_backward(dy_order(dy), winners, dims=dims)
        np.testing.assert_allclose(got_dx, dx, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(cpu.max_gather(x_order(x), winners, dims=dims), y)
    if dims.dilation != (1, 1) or case.values == "infinite":
        return
    for options in AVERAGES:
        wanted = reference.avg_forward(x, dims=dims, **options)
        size = reference.avg_forward(abs(x), dims=dims, **options)
        wanted_dx = reference.avg_backward(dy, dims=dims, **options)
        size_dx = reference.avg_backward(abs(dy), dims=dims, **options)
        for order in (np.asarray, channels_innermost):
            got = cpu.avg_forward(order(x), dims=dims, **options)
            check_average(got, wanted, tolerance * size)
            got = cpu.avg_backward(order(dy), dims=dims, **options)
            check_average(got, wanted_dx, tolerance * size_dx)


def check_average(got, wanted, bound):
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    known = ~np.isnan(wanted)
    assert (abs(got - wanted)[known] <= bound[known]).all()


@pytest.mark.parametrize("order", [np.asarray, channels_innermost])
def test_a_window_of_more_pixels_than_a_byte_counts(order):
    x = np.random.default_rng(0).standard_normal((2, 3, 20, 20)).astype("float32")
    dims = Pool2dDims.of(x.shape, kernel_size=17, stride=2)
    y, index = reference.max_forward(x, dims=dims)
    got, winners = cpu.max_forward(order(x), dims=dims)
    np.testing.assert_array_equal(got, y)
    np.testing.assert_array_equal(cpu.max_index(winners, dims=dims), index)
    dx = reference.max_backward(y, index, dims=dims)
    np.testing.assert_array_equal(cpu.max_backward(y, winners, dims=dims), dx)


def test_winners_take_a_byte_each():
    x = np.zeros((2, 3, 8, 8), "float32")
    _, winners = cpu.max_forward(x, dims=Pool2dDims.of(x.shape, kernel_size=3))
    assert winners.dtype == np.uint8


# PyTorch takes no empty images.
TAKEN_BY_TORCH = [case for case in SMALLER if 0 not in case.x]


@pytest.mark.parametrize("case", TAKEN_BY_TORCH, ids=lambda case: case.name)
def test_reference_agrees_with_torch(case):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    x, dy = case.arrays("float64")
    dims = case.dims
    parameters = (case.kernel_size, case.stride, case.padding)
    tx = torch.tensor(x.copy(), requires_grad=True)
    ty, tindex = F.max_pool2d(
        tx, *parameters, case.dilation, ceil_mode=case.ceil_mode, return_indices=True
    )
    ty.backward(torch.tensor(dy.copy()))
    y, index = reference.max_forward(x, dims=dims)
    np.testing.assert_array_equal(y, ty.detach().numpy())
    if case.values == "NaN":
        return  # of several NaN in a window torch points at the last, we at the first
    np.testing.assert_array_equal(index, tindex.numpy())
    np.testing.assert_allclose(reference.max_backward(dy, index, dims=dims), tx.grad.numpy())
    if dims.dilation != (1, 1) or case.values == "infinite":
        return
    for options in AVERAGES:
        tx = torch.tensor(x.copy(), requires_grad=True)
        ty = F.avg_pool2d(tx, *parameters, ceil_mode=case.ceil_mode, **options)
        ty.backward(torch.tensor(dy.copy()))
        y = reference.avg_forward(x, dims=dims, **options)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-15)
        dx = reference.avg_backward(dy, dims=dims, **options)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("pool2d", [reference, cpu], ids=["reference", "cpu"])
def test_adjoints(pool2d):
    for case in SMALLER:
        if case.values != "normal":
            continue
        x, dy = case.arrays("float64", seed=2)
        y, winners = pool2d.max_forward(x, dims=case.dims)
        dx = pool2d.max_backward(dy, winners, dims=case.dims)
        np.testing.assert_allclose(np.vdot(y, dy), np.vdot(x, dx), atol=1e-10)
        if case.dims.dilation == (1, 1):
            y, dx = pool2d.avg_forward(x, dims=case.dims), pool2d.avg_backward(dy, dims=case.dims)
            np.testing.assert_allclose(np.vdot(y, dy), np.vdot(x, dx), atol=1e-10)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ((3, 8, 8), {"kernel_size": 2}, "pool2d: x must be (N, C, H, W), but has shape (3, 8, 8)."),
        (
            (1, 3, 8, 8), {"kernel_size": 3, "padding": 2},
            "pool2d: x is (N, C, H, W) = (1, 3, 8, 8), the window is (R, S) = (3, 3); "
            "padding = (2, 2) is more than half a window, so some windows would hold padding "
            "only. Use at most (1, 1).",
        ),
        (
            (1, 3, 1, 4), {"kernel_size": 2},
            "which is more than the padded image of (1, 4) (padding = (0, 0)). Use larger images, "
            "fewer poolings or a smaller window.",
        ),
        (
            (1, 1, 3, 9), {"kernel_size": 2, "padding": 1, "dilation": 4},
            "with dilation = (4, 4) and padding = (1, 1) some windows would hold padding only.",
        ),
        ((1, 1, 3, 9), {"kernel_size": 2, "stride": 0}, "pool2d: stride is 0, but must be at"),
    ],
)  # fmt: skip
def test_errors_are_sentences(x, options, message):
    with pytest.raises(ShapeError) as error:
        Pool2dDims.of(x, **options)
    assert message in str(error.value)
