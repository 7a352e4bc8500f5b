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
    y, index = pool2d.max_forward(x, dims=dims)
    np.testing.assert_array_equal(y, [[[[5, 5], [8, 9]]]])
    np.testing.assert_array_equal(index, [[[[1, 1], [7, 8]]]])  # the first 5 of two wins
    dx = pool2d.max_backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]), index, dims=dims)
    np.testing.assert_array_equal(dx, [[[[0, 11, 0], [0, 0, 0], [0, 100, 1000]]]])
    mean = pool2d.avg_forward(x, dims=dims)
    np.testing.assert_array_equal(mean, [[[[2.75, 2.5], [5, 5]]]])
    dx = pool2d.avg_backward(np.array([[[[4.0, 8.0], [12.0, 16.0]]]]), dims=dims)
    np.testing.assert_array_equal(dx, [[[[1, 3, 2], [4, 10, 6], [3, 7, 4]]]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_cpu_agrees_with_reference(case, dtype):
    x, dy = case.arrays(dtype)
    dims = case.dims
    y, index = reference.max_forward(x, dims=dims)
    got_y, got_index = cpu.max_forward(x, dims=dims)
    np.testing.assert_array_equal(got_y, y)
    np.testing.assert_array_equal(got_index, index)
    assert got_y.dtype == dtype
    assert got_index.dtype == np.int64
    dx = reference.max_backward(dy, index, dims=dims)
    tolerance = case.tolerance(dtype)
    np.testing.assert_allclose(
        cpu.max_backward(dy, index, dims=dims), dx, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_array_equal(cpu.max_gather(x, index, dims=dims), y)
    if dims.dilation != (1, 1) or case.values == "infinite":
        return
    for options in AVERAGES:
        for got, wanted, size in (
            (
                cpu.avg_forward(x, dims=dims, **options),
                reference.avg_forward(x, dims=dims, **options),
                reference.avg_forward(abs(x), dims=dims, **options),
            ),
            (
                cpu.avg_backward(dy, dims=dims, **options),
                reference.avg_backward(dy, dims=dims, **options),
                reference.avg_backward(abs(dy), dims=dims, **options),
            ),
        ):
            assert got.dtype == dtype
            np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
            known = ~np.isnan(wanted)
            assert (abs(got - wanted)[known] <= tolerance * size[known]).all()


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
        y, index = pool2d.max_forward(x, dims=case.dims)
        dx = pool2d.max_backward(dy, index, dims=case.dims)
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
