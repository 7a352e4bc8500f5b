"""Every CUDA kernel, run on the CPU through `cuda-host`, against the reference."""

import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels import cuda_host, precision, tiles
from tinynet.kernels.batch_norm.cases import CASES as BATCH_NORM
from tinynet.kernels.conv2d import cuda_im2col, cuda_winograd
from tinynet.kernels.conv2d.cases import CASES as CONV2D
from tinynet.kernels.conv2d.cases import Conv2dCase
from tinynet.kernels.cross_entropy.cases import CASES as CROSS_ENTROPY
from tinynet.kernels.dropout.cases import CASES as DROPOUT
from tinynet.kernels.matmul.cases import CASES as MATMUL
from tinynet.kernels.optimizer.cases import CASES as OPTIMIZER
from tinynet.kernels.pointwise.cases import CASES as POINTWISE
from tinynet.kernels.pool2d.cases import CASES as POOL2D
from tinynet.kernels.pool2d.dims import Pool2dDims
from tinynet.kernels.samples import rounding

DTYPES = ("float32", "float64")
EXACT = ("naive", "tiled", "im2col", "im2col_library", "implicit_gemm")
AVERAGES = [{}, {"count_include_pad": False}, {"divisor_override": 5}]

# Beyond what fits one tile: several tiles both ways, sums that are split, images that end in them.
TILED_CASES = [
    Conv2dCase("several tiles", (1, 9, 13, 11), (132, 9, 3, 3), padding=1, bias=True),
    Conv2dCase("several tiles, strided", (2, 6, 17, 18), (260, 3, 3, 2), 2, 1, 1, 2, True),
    Conv2dCase("split sum", (5, 3, 16, 20), (5, 3, 3, 3), padding=1),
]


def smaller(cases):
    return [case for case in cases if case.size != "large"]


def by_name(case):
    return getattr(case, "name", None)


def run(conv2d, case, x, w, bias, dy):
    return {
        "forward": conv2d.forward(x, w, bias, dims=case.dims),
        "grad_input": conv2d.grad_input(dy, w, dims=case.dims),
        "grad_weight": conv2d.grad_weight(dy, x, dims=case.dims),
    }


def on_cpu(family, algorithm="auto"):
    """A family's CUDA kernels, for NumPy arrays."""
    with kernels.use("cuda-host", **{family: algorithm}) as backend:
        return getattr(backend, family)


cuda = on_cpu  # tests/gpu puts the GPU in its place


def both(family):
    """The family's reference and its CUDA kernels."""
    with kernels.use("reference") as reference:
        return getattr(reference, family), cuda(family)


def check_conv2d(case, algorithm, dtype, rounded=lambda a: a, growth=None):
    """Within the bound that holds for sums of so many products, times what `growth` says."""
    x, w, bias, dy = case.arrays(dtype)
    results = run(cuda("conv2d", algorithm), case, x, w, bias, dy)
    reference, _ = both("conv2d")
    exact = [rounded(a).astype(np.float64) for a in (x, w)]
    exact += [None if bias is None else bias.astype(np.float64), rounded(dy).astype(np.float64)]
    wanted = run(reference, case, *exact)
    sizes = run(reference, case, *(None if a is None else abs(a) for a in exact))
    tolerance = case.tolerance(dtype)
    for name, got in results.items():
        assert got.dtype == dtype
        assert got.flags.c_contiguous
        assert got.shape == wanted[name].shape
        bound = tolerance[name] * (sizes[name] if growth is None else growth(sizes[name]))
        assert (abs(got - wanted[name]) <= bound).all(), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", EXACT)
@pytest.mark.parametrize("case", [*smaller(CONV2D), *TILED_CASES], ids=by_name)
def test_conv2d(case, algorithm, dtype):
    check_conv2d(case, algorithm, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", smaller(CONV2D), ids=by_name)
def test_conv2d_as_chosen(case, dtype):
    check_conv2d(case, "auto", dtype)


@pytest.fixture
def large_tiles(monkeypatch):
    """The tiles that only large shapes get."""
    monkeypatch.setattr(tiles, "least_blocks", 0)
    monkeypatch.setattr(tiles, "least_side", 0)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize("algorithm", ["implicit_gemm", "implicit_gemm_tf32"])
@pytest.mark.parametrize("case", [*smaller(CONV2D), *TILED_CASES], ids=by_name)
def test_conv2d_in_large_tiles(case, algorithm):
    rounded = to_tf32 if algorithm.endswith("tf32") else lambda a: a
    check_conv2d(case, algorithm, "float32", rounded)


def to_tf32(a):
    """Rounded to 10 bits of mantissa, ties away from zero, as cvt.rna.tf32 does."""
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


@pytest.mark.parametrize("case", [*smaller(CONV2D), *TILED_CASES], ids=by_name)
def test_conv2d_tf32(case):
    """Exactly the product of rounded numbers: so it is TF32, and nothing else is lost."""
    check_conv2d(case, "implicit_gemm_tf32", "float32", to_tf32)


def test_tf32_is_only_for_those_who_ask(monkeypatch):
    case = TILED_CASES[0]
    arrays = x, w, bias = case.arrays("float32")[:3]
    exact = [a.astype(np.float64) for a in arrays]
    reference, conv2d = both("conv2d")
    wanted = reference.forward(*exact, dims=case.dims)
    assert abs(conv2d.forward(x, w, bias, dims=case.dims) - wanted).max() < 1e-4
    monkeypatch.setitem(precision.tf32, "conv2d", True)
    assert 1e-4 < abs(conv2d.forward(x, w, bias, dims=case.dims) - wanted).max() < 0.1
    assert abs(conv2d.forward(*exact, dims=case.dims) - wanted).max() < 1e-12


WINOGRAD_CASES = [
    Conv2dCase("even", (2, 3, 8, 8), (4, 3, 3, 3), padding=1, bias=True),
    Conv2dCase("odd", (2, 3, 7, 9), (5, 3, 3, 3), padding=1, bias=True),
    Conv2dCase("unpadded", (1, 5, 11, 6), (3, 5, 3, 3)),
    Conv2dCase("padded by two", (3, 2, 5, 6), (2, 2, 3, 3), padding=2),
    Conv2dCase("padded one way", (2, 4, 6, 9), (3, 4, 3, 3), padding=(0, 1)),
    Conv2dCase("one output", (2, 3, 3, 3), (4, 3, 3, 3)),
    Conv2dCase("many channels", (1, 70, 9, 9), (66, 70, 3, 3), padding=1),
    Conv2dCase("another shape", (2, 4, 14, 11), (6, 2, 3, 2), (2, 3), (2, 1), (2, 3), 2, True),
]
# The sums of absolute values that the transforms make of ones: the rows of |in|, |filter|, |out|
# add up to at most these, each applied twice.
GROWTH = {"winograd": (2 * 1.5 * 3) ** 2, "winograd_4x4": (5.13 * 1.48 * 7.37) ** 2}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", list(GROWTH))
@pytest.mark.parametrize("case", WINOGRAD_CASES, ids=by_name)
def test_winograd(case, algorithm, dtype):
    """A tile's outputs share their errors, so the bound is the largest product, grown."""
    check_conv2d(
        case, algorithm, dtype, growth=lambda sizes: GROWTH[algorithm] * sizes.max(initial=0)
    )


@pytest.mark.parametrize("algorithm", ["winograd", "im2col"])
def test_workspaces_of_a_few_images(monkeypatch, algorithm):
    """What does not fit one workspace is done in parts, and gives the same."""
    monkeypatch.setattr(cuda_winograd, "WORKSPACE", 20_000)
    monkeypatch.setattr(cuda_im2col, "WORKSPACE", 20_000)
    check_conv2d(
        Conv2dCase("five images", (5, 3, 8, 8), (4, 3, 3, 3), padding=1, bias=True),
        algorithm,
        "float64",
        growth=lambda sizes: 10 * sizes,
    )


@pytest.mark.parametrize("algorithm", [*EXACT, "winograd"])
def test_conv2d_with_relu(algorithm):
    """max(y, 0) in the same pass; NaN stays NaN."""
    case = Conv2dCase("", (2, 3, 6, 7), (9, 3, 3, 3), padding=1, bias=True)
    x, w, bias, _ = case.arrays("float32")
    x[1, 2, 3, 4] = np.nan
    conv2d = cuda("conv2d", algorithm)
    y = conv2d.forward(x, w, bias, dims=case.dims)
    activated = conv2d.forward(x, w, bias, dims=case.dims, relu=True)
    assert np.isnan(y).any()
    assert (y < 0).any()
    np.testing.assert_array_equal(activated, np.maximum(y, 0))


@pytest.mark.parametrize("algorithm", EXACT)
def test_infinities_and_nan_stay_where_they_belong(algorithm):
    """What lies outside an output's window must not reach it, not even times zero."""
    x = np.ones((1, 1, 6, 7), np.float32)
    x[0, 0, 2, 6], x[0, 0, 5, 0] = np.inf, np.nan
    case = Conv2dCase("", x.shape, (3, 1, 3, 3), padding=1)
    _, w, _, dy = case.arrays("float32")
    reference, _ = both("conv2d")
    with np.errstate(invalid="ignore"):
        wanted = run(reference, case, x, abs(w), None, dy)
        got = run(cuda("conv2d", algorithm), case, x, abs(w), None, dy)
    for name in wanted:
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", smaller(MATMUL), ids=by_name)
def test_matmul(case, dtype):
    check_matmul(case.arrays(dtype))


MATRICES = [(5, 7, 9), (130, 140, 300), (64, 200, 64), (129, 65, 700)]


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize("size", MATRICES, ids=str)
@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize("tf32", [False, True], ids=["float32", "TF32"])
def test_matmul_in_large_tiles(size, transposed, tf32, monkeypatch):
    check_matmul(matrices(size, transposed), tf32, monkeypatch)


@pytest.mark.parametrize("size", MATRICES, ids=str)
@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
def test_matmul_tf32(size, transposed, monkeypatch):
    check_matmul(matrices(size, transposed), True, monkeypatch)


def matrices(size, transposed):
    M, N, K = size
    rng = np.random.default_rng(0)
    a = rng.standard_normal((K, M) if "a" in transposed else (M, K)).astype(np.float32)
    b = rng.standard_normal((N, K) if "b" in transposed else (K, N)).astype(np.float32)
    return a.T if "a" in transposed else a, b.T if "b" in transposed else b


def check_matmul(arrays, tf32=False, monkeypatch=None):
    if tf32:
        monkeypatch.setitem(precision.tf32, "matmul", True)
    reference, ours = both("matmul")
    c = ours.matmul(*arrays)
    a, b = ((to_tf32(x) if tf32 else x).astype(np.float64) for x in arrays)
    bound = rounding(a.shape[-1], c.dtype) * reference.matmul(abs(a), abs(b))
    assert c.dtype == arrays[0].dtype
    assert c.flags.c_contiguous
    assert (abs(c - reference.matmul(a, b)) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", smaller(POOL2D), ids=by_name)
def test_pool2d(case, dtype):
    x, dy = case.arrays(dtype)
    dims, tolerance = case.dims, case.tolerance(dtype)
    reference, ours = both("pool2d")
    y, index = reference.max_forward(x, dims=dims)
    got_y, got_index = ours.max_forward(x, dims=dims)
    np.testing.assert_array_equal(got_y, y)
    np.testing.assert_array_equal(got_index, index)
    assert (got_y.dtype, got_index.dtype) == (dtype, np.int64)
    np.testing.assert_array_equal(ours.max_gather(x, index, dims=dims), y)
    dx = reference.max_backward(dy, index, dims=dims)
    np.testing.assert_allclose(
        ours.max_backward(dy, index, dims=dims), dx, rtol=tolerance, atol=tolerance
    )
    if dims.dilation != (1, 1) or case.values == "infinite":
        return
    for options in AVERAGES:
        for name, a in (("avg_forward", x), ("avg_backward", dy)):
            got = getattr(ours, name)(a, dims=dims, **options)
            wanted, size = (getattr(reference, name)(v, dims=dims, **options) for v in (a, abs(a)))
            assert got.dtype == dtype
            np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
            known = ~np.isnan(wanted)
            assert (abs(got - wanted)[known] <= 2 * tolerance * size[known]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", smaller(BATCH_NORM), ids=by_name)
def test_batch_norm(case, dtype):
    x, weight, bias, dy = case.arrays(dtype)
    reference, ours = both("batch_norm")
    _, mean, var = reference.forward(x, weight, bias, eps=case.eps)
    results = [
        (
            *f.forward(x, weight, bias, eps=case.eps),
            f.normalize(x, mean, var, weight, bias, eps=case.eps),
            *f.backward(dy, x, weight, mean, var, eps=case.eps),
        )
        for f in (ours, reference)
    ]
    for a, b in zip(*results, strict=True):
        assert a.dtype == dtype
        assert a.flags.c_contiguous
        scale = abs(b).max(initial=1e-30)
        np.testing.assert_allclose(a, b, rtol=0, atol=case.tolerance(dtype) * scale)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_norm_in_several_chunks(dtype):
    """More values a channel than one block takes, and a mean far above the spread."""
    rng = np.random.default_rng(0)
    x = (1e3 + 1e-2 * rng.standard_normal((70, 3, 9, 11))).astype(dtype)
    dy = rng.standard_normal(x.shape).astype(dtype)
    exact, exact_dy = x.astype(np.float64), dy.astype(np.float64)
    reference, ours = both("batch_norm")
    y, mean, var = ours.forward(x, None, None, eps=1e-10)
    wanted_y, wanted_mean, wanted_var = reference.forward(exact, None, None, eps=1e-10)
    np.testing.assert_allclose(var, wanted_var, rtol=1e-6)
    np.testing.assert_allclose(y, wanted_y, atol=1e-5)
    dx, dweight, dbias = ours.backward(dy, x, None, mean, var, eps=1e-10)
    wanted = reference.backward(exact_dy, exact, None, wanted_mean, wanted_var, eps=1e-10)
    np.testing.assert_allclose(dx, wanted[0], atol=1e-4 * abs(wanted[0]).max())
    np.testing.assert_allclose(dweight, wanted[1], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(dbias, wanted[2], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", smaller(CROSS_ENTROPY), ids=by_name)
def test_cross_entropy(case, dtype):
    logits, target, dloss = case.arrays(dtype)
    reference, ours = both("cross_entropy")
    *wanted, count = reference.forward(logits, target, ignore_index=case.ignore_index)
    *got, kept = ours.forward(logits, target, ignore_index=case.ignore_index)
    assert int(kept) == count
    inputs = dloss, logits, target, wanted[1]
    wanted.append(reference.backward(*inputs, ignore_index=case.ignore_index))
    got.append(ours.backward(*inputs, ignore_index=case.ignore_index))
    tolerance = case.tolerance(dtype)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("target", [[0, 1, 10, 11], [0, -1, 0, 0], [3, 0, 0, 2**40]], ids=str)
def test_a_label_that_is_no_class(target):
    logits, target = np.zeros((4, 10)), np.array(target)
    reference, ours = both("cross_entropy")
    with pytest.raises(IndexError) as theirs:
        reference.forward(logits, target, ignore_index=-100)
    with pytest.raises(IndexError) as raised:
        ours.forward(logits, target, ignore_index=-100)
    if abs(target).max() < 2**31:  # the note has room for 32 bits of the label
        assert str(raised.value) == str(theirs.value)
    ours.forward(logits, np.zeros(4, int), ignore_index=-100)  # and is not raised twice


def test_rows_without_a_softmax_are_nan():
    logits = np.array([[np.inf, 0.0], [np.nan, 0.0], [-np.inf, -np.inf], [0.0, 0.0]])
    _, ours = both("cross_entropy")
    loss, logsumexp, _ = ours.forward(logits, np.zeros(4, int), ignore_index=-100)
    np.testing.assert_array_equal(np.isnan(loss), [True, True, True, False])
    dx = ours.backward(np.ones(4), logits, np.zeros(4, int), logsumexp, ignore_index=-100)
    assert np.isnan(dx[1]).all()
    np.testing.assert_allclose(dx[3], [-0.5, 0.5])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", smaller(DROPOUT), ids=by_name)
def test_dropout(case, dtype):
    """The same bits as everywhere."""
    (x,) = case.arrays(dtype)
    reference, ours = both("dropout")
    got = ours.apply(x, p=case.p, key=case.key)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, reference.apply(x, p=case.p, key=case.key))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", smaller(OPTIMIZER), ids=by_name)
def test_optimizer(case, dtype):
    wanted, got, before = case.arrays(dtype), case.arrays(dtype), case.arrays(dtype)
    reference, ours = both("optimizer")
    getattr(reference, case.step)(*wanted, **case.options)
    getattr(ours, case.step)(*got, **case.options)
    tolerance = case.tolerance(dtype)
    for mine, theirs in zip(got, wanted, strict=True):
        for a, b in zip(mine or (), theirs or (), strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for changed, grad, a, b in zip(got[0], got[1], before[0], before[1], strict=True):
        np.testing.assert_array_equal(grad, b)  # the gradient is left alone
        assert changed.size == 0 or (changed != a).any()


def test_more_parameters_than_one_launch_takes():
    rng = np.random.default_rng(0)
    shapes = [(int(n),) for n in rng.integers(0, 3000, 150)]
    params, grads, buffers = ([rng.standard_normal(s) for s in shapes] for _ in range(3))
    wanted = [p.copy() for p in params], [b.copy() for b in buffers]
    reference, ours = both("optimizer")
    reference.sgd_step(wanted[0], grads, wanted[1], lr=0.1, momentum=0.9)
    ours.sgd_step(params, grads, buffers, lr=0.1, momentum=0.9)
    for got, want in zip((*params, *buffers), (*wanted[0], *wanted[1]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_norm(dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(dtype) for s in [(3, 4), (3000,), (), (0, 2)] * 20]
    arrays[0] = arrays[0].T
    reference, ours = both("optimizer")
    assert ours.norm(arrays) == pytest.approx(reference.norm(arrays), rel=1e-13)
    assert ours.norm([]) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", ["tanh", "erf"])
@pytest.mark.parametrize("case", smaller(POINTWISE), ids=by_name)
def test_pointwise(case, function, dtype):
    (x,) = case.arrays(dtype)
    reference, ours = both("pointwise")
    got = getattr(ours, function)(x)
    assert got.dtype == dtype
    wanted = getattr(reference, function)(x.astype(np.float64))
    np.testing.assert_allclose(got, wanted, rtol=case.tolerance(dtype))


def everything():
    """One result of every kernel, in both dtypes, as bytes."""
    results = []
    for dtype in DTYPES:
        for algorithm in kernels.algorithms("conv2d", "cuda-host"):
            case = WINOGRAD_CASES[1] if algorithm.startswith("winograd") else TILED_CASES[1]
            results += run(cuda("conv2d", algorithm), case, *case.arrays(dtype)).values()
        rng = np.random.default_rng(0)
        x, dy = rng.standard_normal((2, 6, 5, 20, 24)).astype(dtype)
        dims = Pool2dDims.of(x.shape, kernel_size=3, stride=2, padding=1)
        pool2d, batch_norm = cuda("pool2d"), cuda("batch_norm")
        y, index = pool2d.max_forward(x, dims=dims)
        results += [y, pool2d.max_backward(y, index, dims=dims), pool2d.avg_backward(y, dims=dims)]
        y, mean, var = batch_norm.forward(x, None, None, eps=1e-5)
        results += [y, mean, var, *batch_norm.backward(dy, x, None, mean, var, eps=1e-5)]
        logits, target = x.reshape(-1, 80), rng.integers(0, 80, 180)
        loss, logsumexp, count = cuda("cross_entropy").forward(logits, target, ignore_index=3)
        inputs = loss, logits, target, logsumexp
        results += [loss, count, cuda("cross_entropy").backward(*inputs, ignore_index=3)]
        results += [cuda("matmul").matmul(logits, logits.T), cuda("dropout").apply(x, p=0.3, key=1)]
        results += [cuda("pointwise").tanh(x), np.float64(cuda("optimizer").norm([x, dy]))]
    return [np.asarray(a).tobytes() for a in results]


def test_the_order_of_the_threads_does_not_matter():
    """Ascending, descending, shuffled: the same bits, so nothing depends on who comes first."""
    results = []
    for order in (0, 1, 12345):
        with cuda_host.settings(order=order):
            results.append(everything())
    assert len(results[0]) > 60
    assert results[0] == results[1] == results[2]


def test_batches_beyond_the_grid(monkeypatch):
    """A grid has at most 65535 layers; more are further launches."""
    monkeypatch.setattr("tinynet.kernels.matmul.cuda.LARGEST_GRID_Z", 3)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((7, 2, 3)), rng.standard_normal((7, 3, 4))
    np.testing.assert_allclose(both("matmul")[1].matmul(a, b), a @ b, rtol=1e-13)
