import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.conv2d import direct, im2col_tiled, im2row
from tinynet.kernels.conv2d.cases import CASES, Conv2dCase
from tinynet.kernels.conv2d.dims import Conv2dDims
from tinynet.kernels.conv2d.estimate import DIRECTIONS
from tinynet.kernels.conv2d.plan import choose, conv2d_plan
from tinynet.kernels.errors import ShapeError

SMALLER = [case for case in CASES if case.size != "large"]
ALGORITHMS = ("naive", "im2col", "im2col_tiled", "im2row", "direct", "auto")
DTYPES = ("float32", "float64")


def taken(case: Conv2dCase, algorithm: str) -> bool:
    """Winograd has its own file of tests; the definition's loops would take minutes at times."""
    if algorithm == "naive":
        return case.flops <= 1e5
    return algorithm != "direct" or direct.refuses(case.dims) is None


BOTH = [(case, name) for case in SMALLER for name in ALGORITHMS if taken(case, name)]
each = pytest.mark.parametrize(("case", "algorithm"), BOTH, ids=lambda v: getattr(v, "name", v))


def channels_last(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


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
@each
def test_agrees_with_the_definition(case, algorithm, dtype):
    """Within the rounding error of sums of that many terms, a bound and not a choice; what Winograd
    does, within its stated error, beside the largest such sum. In either order of memory."""
    x, w, bias, dy = case.arrays(dtype)
    exact = [None if a is None else a.astype(np.float64) for a in (x, w, bias, dy)]
    wanted = run(case, "im2col" if case.flops > 1e5 else "naive", *exact)
    sizes = run(case, "im2col", *(None if a is None else abs(a) for a in exact))
    tolerance = case.tolerance(dtype)
    bounds = {name: tolerance[name] * sizes[name] for name in sizes}
    for name in sizes if algorithm == "auto" else ():
        choice = choose(case.dims, name, np.dtype(dtype))
        if choice.algorithm == "winograd":
            bounds[name] = choice.error * sizes[name].max(initial=0)
    for images in ((x, dy), (channels_last(x), channels_last(dy))):
        for name, got in run(case, algorithm, images[0], w, bias, images[1]).items():
            assert got.dtype == dtype
            assert got.flags.c_contiguous or got.transpose(0, 2, 3, 1).flags.c_contiguous
            assert got.shape == wanted[name].shape
            assert (abs(got - wanted[name]) <= bounds[name]).all(), name


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


@each
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
                        for algorithm in ("im2col_tiled", "im2row", "direct"):
                            if not taken(case, algorithm):
                                continue
                            for name, got in run(case, algorithm, *arrays).items():
                                np.testing.assert_allclose(
                                    got, wanted[name], rtol=1e-11, atol=1e-11,
                                    err_msg=f"{algorithm} {name} {case}",
                                )  # fmt: skip


@pytest.mark.parametrize("algorithm", ["im2col_tiled", "im2row", "direct"])
def test_infinities_and_nan_stay_where_they_belong(algorithm):
    """What lies outside an output's window must not reach it, not even times zero."""
    x = np.ones((1, 1, 6, 7), np.float32)
    x[0, 0, 2, 6], x[0, 0, 5, 0] = np.inf, np.nan
    case = Conv2dCase("", x.shape, (3, 1, 3, 3), padding=1)
    _, w, _, dy = case.arrays("float32")
    with np.errstate(invalid="ignore"):
        wanted = run(case, "im2col", x, abs(w), None, dy)
        got = run(case, algorithm, x, abs(w), None, dy)
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


def test_direct_says_what_it_refuses():
    x = np.ones((1, 4, 9, 9), np.float32)
    for w, options, message in (
        ((4, 4, 3, 3), {"dilation": 2}, "'direct' needs dilation 1, but the dilation is (2, 2). L"),
        (
            (4, 2, 3, 3),
            {"groups": 2},
            "'direct' needs one group, but there are 2. Leave the choice",
        ),
    ):
        dims = Conv2dDims.of(x.shape, w, **options)
        with pytest.raises(ValueError, match=r"^conv2d: x is \(N, C, H, W\)") as error:
            direct.forward(x, np.ones(w, np.float32), None, dims=dims)
        assert message in str(error.value)


def test_the_plan_is_what_auto_does():
    """Same bits as the algorithm it names, and numbers that add up."""
    cases = {
        "winograd": Conv2dCase("", (8, 32, 14, 14), (48, 32, 3, 3), padding=1),
        "direct": Conv2dCase("", (2, 32, 14, 14), (48, 32, 1, 1)),
        "im2col_tiled": Conv2dCase("", (2, 4, 9, 9), (6, 2, 3, 3), dilation=2, groups=2),
        "im2row": Conv2dCase("", (1, 96, 4, 4), (64, 96, 3, 3), padding=1),
    }
    for algorithm, case in cases.items():
        x, w, bias, dy = case.arrays("float32")
        planned = conv2d_plan(
            case.x, case.w, padding=case.padding, dilation=case.dilation, groups=case.groups
        )
        by_auto = run(case, "auto", x, w, bias, dy)
        by_name = run(case, algorithm, x, w, bias, dy)
        for direction in DIRECTIONS:
            choice = getattr(planned, direction)
            assert choice.algorithm == algorithm
            assert choice.direction == direction
            assert choice.flops == case.dims.flops
            np.testing.assert_array_equal(by_auto[direction], by_name[direction])
            assert f"{direction:<12}{algorithm}" in str(planned)
    winograd = conv2d_plan((8, 32, 16, 16), (48, 32, 3, 3), padding=1).forward
    assert winograd.variant == "F(4, 3)"
    assert winograd.multiplied * 4 == winograd.flops  # 16 x 16 outputs, whole tiles, whole panels
    assert "direct" in winograd.why
    strided = conv2d_plan((2, 32, 16, 16), (48, 32, 3, 3), stride=2).forward
    assert "winograd needs stride 1, but the stride is (2, 2)" in strided.why


@pytest.mark.parametrize("algorithm", ["im2col_tiled", "im2row", "direct"])
def test_expected_error(algorithm):
    """The plan's `error` bounds what is measured, and is not twenty times too large."""
    case = Conv2dCase("", (4, 48, 20, 20), (40, 48, 3, 3), padding=1)
    x, w, _, dy = case.arrays("float32")
    exact = run(case, "im2col", x.astype(float), w.astype(float), None, dy.astype(float))
    got = run(case, algorithm, x, w, None, dy)
    for direction in DIRECTIONS:
        module = {"im2col_tiled": im2col_tiled, "im2row": im2row, "direct": direct}[algorithm]
        expected = module.estimate(case.dims, direction, np.dtype(np.float32))
        error = abs(got[direction] - exact[direction]).max() / abs(exact[direction]).max()
        assert expected.error / 20 < error <= expected.error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_fft_agrees_with_the_definition(case, dtype):
    """Errors of a transform are relative to the largest of its numbers: log2(size) roundings each
    way (Higham 2002, 24.1), a few eps each."""
    x, w, bias, dy = case.arrays(dtype)
    exact = [None if a is None else a.astype(np.float64) for a in (x, w, bias, dy)]
    wanted = run(case, "im2col", *exact)
    sizes = run(case, "im2col", *(None if a is None else abs(a) for a in exact))
    for name, got in run(case, "fft", x, w, bias, dy).items():
        assert got.dtype == dtype
        assert got.shape == wanted[name].shape
        bound = 30 * np.finfo(dtype).eps * sizes[name].max(initial=0)
        assert abs(got - wanted[name]).max(initial=0) <= bound, name
