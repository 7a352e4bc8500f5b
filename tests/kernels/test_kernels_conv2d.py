import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.conv2d.cases import CASES, Conv2dCase
from tinynet.kernels.conv2d.dims import Conv2dDims
from tinynet.kernels.errors import ShapeError

SMALLER = [case for case in CASES if case.size != "large"]
ALGORITHMS = ("naive", "im2col", "im2col_tiled", "auto")
DTYPES = ("float32", "float64")


def run(case: Conv2dCase, algorithm: str, x, w, bias, dy) -> dict[str, np.ndarray]:
    with kernels.use(conv2d=algorithm) as backend:
        conv2d = backend.conv2d
        return {
            "forward": conv2d.forward(x, w, bias, dims=case.dims),
            "grad_input": conv2d.grad_input(dy, w, dims=case.dims),
            "grad_weight": conv2d.grad_weight(dy, x, dims=case.dims),
        }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hand_worked(algorithm):
    """One 3x3 image and one 2x2 filter, small enough to do on paper."""
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    w = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    dy = np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    case = Conv2dCase("paper", x.shape, w.shape)
    got = run(case, algorithm, x, w, np.array([0.5]), dy)
    # 1*1 + 2*2 + 4*3 + 5*4 = 37, and so on
    np.testing.assert_array_equal(got["forward"], [[[[37.5, 47.5], [67.5, 77.5]]]])
    expected = [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]
    np.testing.assert_array_equal(got["grad_input"], [[expected]])
    expected = [[5421, 6532], [8754, 9865]]  # 1*1 + 10*2 + 100*4 + 1000*5 = 5421
    np.testing.assert_array_equal(got["grad_weight"], [[expected]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", ["im2col", "im2col_tiled"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_agrees_with_the_definition(case, algorithm, dtype):
    """Within the rounding error of sums of that many terms, a bound and not a choice."""
    arrays = case.arrays(dtype)
    exact = [None if a is None else a.astype(np.float64) for a in arrays]
    wanted = run(case, "im2col" if case.flops > 1e5 else "naive", *exact)
    sizes = run(case, "im2col", *(None if a is None else abs(a) for a in exact))
    tolerance = case.tolerance(dtype)
    for name, got in run(case, algorithm, *arrays).items():
        assert got.dtype == dtype
        assert got.flags.c_contiguous or got.transpose(0, 2, 3, 1).flags.c_contiguous
        assert got.shape == wanted[name].shape
        assert (abs(got - wanted[name]) <= tolerance[name] * sizes[name]).all(), name


# PyTorch takes no tensors without channels.
TAKEN_BY_TORCH = [case for case in SMALLER if 0 not in (*case.x, *case.w)]


@pytest.mark.parametrize("case", TAKEN_BY_TORCH, ids=lambda case: case.name)
def test_reference_agrees_with_torch(case):
    torch = pytest.importorskip("torch")
    x, w, bias, dy = case.arrays("float64")
    tx, tw = (torch.tensor(a.copy(), requires_grad=True) for a in (x, w))
    ty = torch.nn.functional.conv2d(
        tx, tw, None if bias is None else torch.tensor(bias),
        case.stride, case.padding, case.dilation, case.groups,
    )  # fmt: skip
    ty.backward(torch.tensor(dy.copy()))
    got = run(case, "im2col", x, w, bias, dy)
    np.testing.assert_allclose(got["forward"], ty.detach().numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(got["grad_input"], tx.grad.numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(got["grad_weight"], tw.grad.numpy(), rtol=1e-10, atol=1e-10)


# The definition's loops would take minutes on the larger cases.
ADJOINTS = [(c, a) for c in SMALLER for a in ALGORITHMS if a != "naive" or c.flops <= 1e5]


@pytest.mark.parametrize(("case", "algorithm"), ADJOINTS, ids=lambda v: getattr(v, "name", v))
def test_adjoints(case, algorithm):
    """<conv(x, w), dy> = <x, grad_input(dy, w)> = <w, grad_weight(dy, x)> for any x, w, dy."""
    x, w, _, dy = case.arrays("float64", seed=1)
    got = run(case, algorithm, x, w, None, dy)
    product = np.vdot(got["forward"], dy)
    size = np.vdot(abs(got["forward"]), abs(dy)) + 1
    assert abs(product - np.vdot(x, got["grad_input"])) <= 1e-12 * size
    assert abs(product - np.vdot(w, got["grad_weight"])) <= 1e-12 * size


def test_whole_lattice_of_geometry():
    """Every combination of stride, padding, dilation and groups on an odd, not square image."""
    for stride in ((1, 1), (2, 1), (3, 2)):
        for padding in ((0, 0), (1, 2)):
            for dilation in ((1, 1), (2, 3)):
                for groups in (1, 2):
                    for kernel in ((1, 1), (2, 3), (3, 1)):
                        w = (4, 4 // groups, *kernel)
                        x = (2, 4, 8, 9)
                        case = Conv2dCase("", x, w, stride, padding, dilation, groups)
                        arrays = case.arrays("float64")
                        wanted = run(case, "im2col", *arrays)
                        for name, got in run(case, "im2col_tiled", *arrays).items():
                            np.testing.assert_allclose(
                                got, wanted[name], rtol=1e-11, atol=1e-11, err_msg=f"{name} {case}"
                            )


def test_infinities_and_nan_stay_where_they_belong():
    """What lies outside an output's window must not reach it, not even times zero."""
    x = np.ones((1, 1, 6, 7), np.float32)
    x[0, 0, 2, 6], x[0, 0, 5, 0] = np.inf, np.nan
    case = Conv2dCase("", x.shape, (3, 1, 3, 3), padding=1)
    _, w, _, dy = case.arrays("float32")
    with np.errstate(invalid="ignore"):
        wanted = run(case, "im2col", x, abs(w), None, dy)
        got = run(case, "im2col_tiled", x, abs(w), None, dy)
    for name in wanted:
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        (
            (8, 3, 32, 32), (16, 4, 3, 3), {},
            "conv2d: x is (N, C, H, W) = (8, 3, 32, 32), w is (K, C, R, S) = (16, 4, 3, 3); "
            "x has 3 channels but w expects 4. Make in_channels of the layer 3, or bring x to 4 "
            "channels.",
        ),
        (
            (1, 4, 9, 9), (6, 4, 3, 3), {"groups": 2},
            "conv2d: x is (N, C, H, W) = (1, 4, 9, 9), w is (K, C, R, S) = (6, 4, 3, 3); x has 4 "
            "channels but w expects 4 in each of 2 groups. Make in_channels of the layer 4, or "
            "bring x to 8 channels.",
        ),
        (
            (1, 3, 9, 9), (6, 1, 3, 3), {"groups": 4},
            "groups = 4 must be positive and divide C = 3 and K = 6. Choose groups from their "
            "common divisors.",
        ),
        (
            (3, 28, 28), (6, 3, 3, 3), {},
            "conv2d: x must be (N, C, H, W) and w must be (K, C, R, S), but x has shape "
            "(3, 28, 28) and w has shape (6, 3, 3, 3). Add the missing axes, for one image "
            "x.unsqueeze(0).",
        ),
        (
            (1, 3, 4, 9), (6, 3, 3, 3), {"dilation": 2},
            "the kernel spans (5, 5) pixels (dilation = (2, 2)) but the padded image has only "
            "(4, 9) (padding = (0, 0)). Use larger images, a smaller kernel or more padding.",
        ),
        ((1, 3, 9, 9), (6, 3, 0, 3), {}, "the kernel (R, S) must be at least (1, 1)."),
        ((1, 3, 9, 9), (6, 3, 3, 3), {"stride": 0}, "stride is 0, but must be at least 1."),
        ((1, 3, 9, 9), (6, 3, 3, 3), {"padding": (0, -1)}, "padding is (0, -1), but must be at"),
    ],
)  # fmt: skip
def test_errors_are_sentences(x, w, options, message):
    with pytest.raises(ShapeError) as error:
        Conv2dDims.of(x, w, **options)
    assert message in str(error.value)


def test_a_parameter_of_the_wrong_type():
    with pytest.raises(TypeError, match=r"conv2d: stride is \(1, 2, 3\), but must be one int or"):
        Conv2dDims.of((1, 1, 5, 5), (1, 1, 3, 3), stride=(1, 2, 3))
