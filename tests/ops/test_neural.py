"""Neural operations: values and derivatives of first and second order, by finite differences and
against PyTorch; error texts; what each operation remembers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tinynet.kernels as kernels
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tinynet.kernels.errors import ShapeError

import tinynet
import tinynet.nn.functional as F
from tinynet.autograd import grad, gradcheck, gradgradcheck
from tinynet.random import default_generator


class Case(NamedTuple):
    """One call, spelled alike in both libraries: `call(F, *tensors)`."""

    name: str
    call: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    spread: float = 1.0  # of the random inputs
    constants: int = 0  # how many of the last inputs get no gradient
    torch_twice: bool = True  # False where PyTorch has no second derivative
    torch_digits: float = 1e-10  # larger where PyTorch computes a constant in float32


def image(*shape: int) -> tuple[tuple[int, ...], ...]:
    return (shape,)


ACTIVATIONS = [
    Case("relu", lambda F, x: F.relu(x), ((3, 4),)),
    Case("leaky_relu", lambda F, x: F.leaky_relu(x, 0.2), ((3, 4),)),
    Case("elu", lambda F, x: F.elu(x, 1.3), ((3, 4),)),
    Case("selu", lambda F, x: F.selu(x), ((3, 4),)),
    Case("celu", lambda F, x: F.celu(x, 0.5), ((3, 4),)),
    Case("gelu", lambda F, x: F.gelu(x), ((3, 4),)),
    Case("gelu tanh", lambda F, x: F.gelu(x, approximate="tanh"), ((3, 4),)),
    Case("silu", lambda F, x: F.silu(x), ((3, 4),)),
    Case("mish", lambda F, x: F.mish(x), ((3, 4),)),
    Case("hardtanh", lambda F, x: F.hardtanh(x, -0.5, 0.7), ((3, 4),)),
    Case("relu6", lambda F, x: F.relu6(x), ((3, 4),), spread=8),
    Case(
        "hardsigmoid",
        lambda F, x: F.hardsigmoid(x),
        ((3, 4),),
        spread=4,
        torch_twice=False,
        torch_digits=1e-7,
    ),
    Case("hardswish", lambda F, x: F.hardswish(x), ((3, 4),), spread=4),
    Case("softplus", lambda F, x: F.softplus(x, 2.0, 3.0), ((3, 4),)),
    Case("logsigmoid", lambda F, x: F.logsigmoid(x), ((3, 4),), spread=3),
    Case("softsign", lambda F, x: F.softsign(x), ((3, 4),)),
    Case("tanhshrink", lambda F, x: F.tanhshrink(x), ((3, 4),)),
    Case("glu", lambda F, x: F.glu(x, 1), ((3, 4),)),
    Case("threshold", lambda F, x: F.threshold(x, 0.1, -2.0), ((3, 4),)),
    Case("hardshrink", lambda F, x: F.hardshrink(x, 0.4), ((3, 4),)),
    Case("softshrink", lambda F, x: F.softshrink(x, 0.4), ((3, 4),)),
    Case("prelu", lambda F, x, w: F.prelu(x, w), ((2, 3, 4), (3,))),
    Case("prelu shared", lambda F, x, w: F.prelu(x, w), ((2, 3), (1,))),
    Case("softmax", lambda F, x: F.softmax(x, dim=1), ((3, 4, 2),)),
    Case("softmax 0", lambda F, x: F.softmax(x, dim=0), ((5,),)),
    Case("softmin", lambda F, x: F.softmin(x, dim=-1), ((3, 4),)),
    Case("log_softmax", lambda F, x: F.log_softmax(x, dim=-2), ((3, 4, 2),)),
]

LAYERS = [
    Case("linear", lambda F, x, w, b: F.linear(x, w, b), ((5, 3), (4, 3), (4,))),
    Case("linear 3-d", lambda F, x, w: F.linear(x, w), ((2, 5, 3), (4, 3))),
    Case("linear vector", lambda F, x, w, b: F.linear(x, w, b), ((3,), (4, 3), (4,))),
    Case(
        "bilinear",
        lambda F, x, z, w, b: F.bilinear(x, z, w, b),
        ((5, 3), (5, 2), (4, 3, 2), (4,)),
    ),
    Case("conv2d", lambda F, x, w, b: F.conv2d(x, w, b), ((2, 2, 4, 3), (2, 2, 3, 2), (2,))),
    Case(
        "conv2d stride padding",
        lambda F, x, w: F.conv2d(x, w, stride=(2, 3), padding=(1, 2)),
        ((1, 2, 5, 4), (2, 2, 3, 2)),
    ),
    Case(
        "conv2d groups dilation",
        lambda F, x, w, b: F.conv2d(x, w, b, 2, 2, (2, 1), 2),
        ((1, 4, 4, 3), (2, 2, 2, 3), (2,)),
    ),
    Case(
        "conv2d depthwise same",
        lambda F, x, w: F.conv2d(x, w, padding="same", groups=3),
        ((1, 3, 3, 4), (3, 1, 3, 3)),
    ),
    Case(
        "conv2d valid",
        lambda F, x, w: F.conv2d(x, w, padding="valid"),
        ((1, 1, 4, 4), (2, 1, 3, 3)),
    ),
    Case("conv2d one image", lambda F, x, w: F.conv2d(x, w), ((2, 4, 4), (3, 2, 2, 2))),
    Case("max_pool2d", lambda F, x: F.max_pool2d(x, 2), image(2, 3, 6, 5)),
    Case(
        "max_pool2d overlapping",
        lambda F, x: F.max_pool2d(x, (3, 2), stride=(1, 2), padding=1, ceil_mode=True),
        image(2, 2, 5, 7),
    ),
    Case("max_pool2d dilated", lambda F, x: F.max_pool2d(x, 2, 1, 0, 2), image(1, 2, 5, 6)),
    Case("max_pool2d one image", lambda F, x: F.max_pool2d(x, 2), image(2, 4, 4)),
    Case("avg_pool2d", lambda F, x: F.avg_pool2d(x, 2), image(2, 3, 6, 5)),
    Case(
        "avg_pool2d padding",
        lambda F, x: F.avg_pool2d(x, 3, 2, 1, True, False),
        image(2, 2, 5, 6),
    ),
    Case(
        "avg_pool2d divisor",
        lambda F, x: F.avg_pool2d(x, (2, 3), 1, divisor_override=5),
        image(1, 2, 4, 5),
    ),
    Case("adaptive_avg_pool2d", lambda F, x: F.adaptive_avg_pool2d(x, (3, 2)), image(2, 2, 6, 4)),
    Case(
        "adaptive_avg_pool2d uneven",
        lambda F, x: F.adaptive_avg_pool2d(x, (3, None)),
        image(2, 2, 7, 5),
    ),
    Case("adaptive_avg_pool2d larger", lambda F, x: F.adaptive_avg_pool2d(x, 5), image(1, 2, 3, 4)),
    Case("adaptive_max_pool2d", lambda F, x: F.adaptive_max_pool2d(x, (3, 2)), image(2, 2, 6, 4)),
    Case(
        "adaptive_max_pool2d uneven",
        lambda F, x: F.adaptive_max_pool2d(x, (3, None)),
        image(2, 2, 7, 5),
    ),
    Case("adaptive_max_pool2d larger", lambda F, x: F.adaptive_max_pool2d(x, 5), image(2, 3, 4)),
    Case("lp_pool2d", lambda F, x: F.lp_pool2d(x, 2, 2), image(2, 3, 6, 5)),
    Case(
        "lp_pool2d overlapping",
        lambda F, x: F.lp_pool2d(x.abs(), 3.0, (3, 2), (2, 1), True),
        image(2, 2, 6, 5),
    ),
    Case("layer_norm", lambda F, x, w, b: F.layer_norm(x, (4,), w, b), ((2, 3, 4), (4,), (4,))),
    Case("layer_norm 2-d", lambda F, x: F.layer_norm(x, (3, 4), eps=1e-2), ((2, 3, 4),)),
    Case(
        "group_norm",
        lambda F, x, w, b: F.group_norm(x, 2, w, b),
        ((2, 4, 3, 2), (4,), (4,)),
    ),
    Case("group_norm plain", lambda F, x: F.group_norm(x, 1), ((3, 4),)),
    Case(
        "instance_norm",
        lambda F, x, w, b: F.instance_norm(x, None, None, w, b),
        ((2, 3, 3, 2), (3,), (3,)),
    ),
    Case(
        "local_response_norm",
        lambda F, x: F.local_response_norm(x, 3, 0.5, 0.75, 2.0),
        image(2, 5, 3, 2),
    ),
    Case(
        "local_response_norm even and wide",
        lambda F, x: F.local_response_norm(x, 4, 0.5, 0.5),
        ((2, 3, 4),),
    ),
    Case(
        "batch_norm",
        lambda F, x, w, b: F.batch_norm(x, None, None, w, b, True),
        ((3, 2, 2, 1), (2,), (2,)),
    ),
    Case(
        "batch_norm (N, C)",
        lambda F, x, w, b: F.batch_norm(x, None, None, w, b, True, eps=1e-2),
        ((4, 2), (2,), (2,)),
    ),
    Case("batch_norm plain", lambda F, x: F.batch_norm(x, None, None, training=True), ((4, 2, 3),)),
    Case("pad", lambda F, x: F.pad(x, (1, 2, 0, 3), value=1.5), image(2, 3, 4)),
    Case("pad reflect", lambda F, x: F.pad(x, (2, 1, 1, 3), mode="reflect"), image(2, 2, 4, 5)),
    Case("pad replicate", lambda F, x: F.pad(x, (2, 1, 0, 5), mode="replicate"), image(1, 2, 4, 3)),
    Case("pad circular", lambda F, x: F.pad(x, (2, 1, 1, 4), mode="circular"), image(1, 2, 4, 3)),
    Case("normalize", lambda F, x: F.normalize(x), ((3, 4),)),
]

LOSSES = [
    Case("mse", lambda F, x, t: F.mse_loss(x, t), ((3, 4), (3, 4))),
    Case("mse none", lambda F, x, t: F.mse_loss(x, t, reduction="none"), ((3, 4), (3, 4))),
    Case("l1", lambda F, x, t: F.l1_loss(x, t, reduction="sum"), ((3, 4), (3, 4))),
    Case("smooth_l1", lambda F, x, t: F.smooth_l1_loss(x, t, beta=0.7), ((3, 4), (3, 4))),
    Case("smooth_l1 0", lambda F, x, t: F.smooth_l1_loss(x, t, beta=0.0), ((3, 4), (3, 4))),
    Case("huber", lambda F, x, t: F.huber_loss(x, t, delta=0.7), ((3, 4), (3, 4))),
    Case(
        "bce",
        lambda F, x, t: F.binary_cross_entropy(x.sigmoid(), t.sigmoid()),
        ((3, 4), (3, 4)),
    ),
    Case(
        "bce weight",
        lambda F, x, t, w: F.binary_cross_entropy(x.sigmoid(), t.sigmoid(), w),
        ((3, 4), (3, 4), (4,)),
        constants=2,
    ),
    Case(
        "bce logits",
        lambda F, x, t: F.binary_cross_entropy_with_logits(x, t),
        ((3, 4), (3, 4)),
        spread=3,
    ),
    Case(
        "bce logits weights",
        lambda F, x, t, w, p: F.binary_cross_entropy_with_logits(
            x, t, w, reduction="none", pos_weight=p
        ),
        ((3, 4), (3, 4), (3, 4), (4,)),
        constants=3,
    ),
    Case(
        "kl_div",
        lambda F, x, t: F.kl_div(
            F.log_softmax(x, dim=1), F.softmax(t, dim=1), reduction="batchmean"
        ),
        ((3, 4), (3, 4)),
        constants=1,
    ),
    Case(
        "kl_div log",
        lambda F, x, t: F.kl_div(x, t, reduction="sum", log_target=True),
        ((3, 4), (3, 4)),
    ),
    Case(
        "cross_entropy of probabilities",
        lambda F, x, t: F.cross_entropy(x, F.softmax(t, dim=1), label_smoothing=0.1),
        ((3, 4), (3, 4)),
    ),
    Case(
        "cross_entropy of probabilities, N-d, weights",
        lambda F, x, t, w: F.cross_entropy(x, F.softmax(t, dim=1), w, reduction="none"),
        ((2, 3, 4), (2, 3, 4), (3,)),
        constants=1,
    ),
]

CASES = ACTIVATIONS + LAYERS + LOSSES


def draw(case: Case, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape) * case.spread for shape in case.shapes]


def leaves(library: Any, arrays: list[np.ndarray], dtype: str, constants: int = 0) -> list[Any]:
    variables = len(arrays) - constants
    return [
        library.tensor(a.astype(dtype)).requires_grad_(i < variables) for i, a in enumerate(arrays)
    ]


def first_and_second(
    library: Any, grad: Any, call: Any, inputs: list[Any], twice: bool = True
) -> list[np.ndarray]:
    """y, dy/dx for a random cotangent, and the derivative of that along random directions."""
    random = np.random.default_rng(1)

    def like(t: Any) -> Any:
        values = random.standard_normal(tuple(t.shape))
        return library.tensor(values.astype(t.detach().numpy().dtype))

    y = call(*inputs)
    xs = [x for x in inputs if x.requires_grad]
    first = grad(y, xs, like(y), create_graph=True, allow_unused=True)
    known = [g for g in first if g is not None]
    inner = sum((g * like(g)).sum() for g in known)
    second = [None] * len(xs)
    if twice and inner.requires_grad:
        second = grad(inner, xs, allow_unused=True)
    results = [y, *first, *second]
    return [None if t is None else t.detach().numpy(force=True) for t in results]


def zeros_for_none(values: list[Any], others: list[Any]) -> list[np.ndarray]:
    """PyTorch and tinynet may differ in whether a zero derivative is None or zeros."""
    return [
        np.zeros_like(o) if v is None and o is not None else v
        for v, o in zip(values, others, strict=True)
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_finite_differences(case: Case) -> None:
    xs = leaves(tinynet, draw(case), "float64", case.constants)
    assert gradcheck(lambda *xs: case.call(F, *xs), tuple(xs))
    assert gradgradcheck(lambda *xs: case.call(F, *xs), tuple(xs), atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_against_torch(case: Case, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    arrays = draw(case, seed=2)
    ours = first_and_second(
        tinynet,
        grad,
        lambda *xs: case.call(F, *xs),
        leaves(tinynet, arrays, dtype, case.constants),
        case.torch_twice,
    )
    theirs = first_and_second(
        torch,
        torch.autograd.grad,
        lambda *xs: case.call(torch.nn.functional, *xs),
        leaves(torch, arrays, dtype, case.constants),
        case.torch_twice,
    )
    tolerance = case.torch_digits if dtype == "float64" else 2e-5
    ours, theirs = zeros_for_none(ours, theirs), zeros_for_none(theirs, ours)
    for a, b in zip(ours, theirs, strict=True):
        if b is not None:
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, abs(b).max()))


# ------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("sizes", [(), (5,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_class_labels(
    name: str, sizes: tuple[int, ...], reduction: str, weighted: bool, smoothing: float
) -> None:
    torch = pytest.importorskip("torch")
    if name == "nll_loss" and (smoothing or sizes == ()):
        sizes, smoothing = (6,), 0.0
    random = np.random.default_rng(3)
    classes = 4
    shape = (classes,) if sizes == () else (sizes[0], classes, *sizes[1:])
    scores = random.standard_normal(shape)
    labels = random.integers(0, classes, sizes)
    if sizes:
        labels.flat[0] = 2
        labels.flat[-1] = -7  # ignored
    weight = random.random(classes) + 0.5

    def call(library: Any, functional: Any) -> Any:
        options = {"label_smoothing": smoothing} if name == "cross_entropy" else {}

        def of(x: Any) -> Any:
            return getattr(functional, name)(
                x if name == "cross_entropy" else functional.log_softmax(x, dim=1),
                library.tensor(labels),
                library.tensor(weight) if weighted else None,
                ignore_index=-7,
                reduction=reduction,
                **options,
            )

        return of

    ours = first_and_second(tinynet, grad, call(tinynet, F), leaves(tinynet, [scores], "float64"))
    theirs = first_and_second(
        torch,
        torch.autograd.grad,
        call(torch, torch.nn.functional),
        leaves(torch, [scores], "float64"),
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    if sizes == (3, 4) and reduction != "sum":
        (x,) = leaves(tinynet, [scores[-2:]], "float64")
        labels = labels[-2:]  # the ignored one among them
        assert gradcheck(call(tinynet, F), (x,))
        assert gradgradcheck(call(tinynet, F), (x,))


def test_a_batch_without_counted_labels_has_no_mean() -> None:
    scores = tinynet.zeros(2, 3)
    assert math.isnan(F.cross_entropy(scores, tinynet.tensor([-100, -100])).item())
    assert F.cross_entropy(scores, tinynet.tensor([-100, -100]), reduction="sum").item() == 0


def test_labels_out_of_range_are_refused() -> None:
    scores = tinynet.zeros(2, 3)
    for bad in (3, -1):
        with pytest.raises(IndexError, match=str(bad)):
            F.cross_entropy(scores, tinynet.tensor([0, bad]))
        with pytest.raises(IndexError, match=f"Target {bad} is out of bounds"):
            F.nll_loss(scores, tinynet.tensor([0, bad]))


@pytest.mark.parametrize(
    "name",
    [
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "kl_div",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
    ],
)
def test_losses_refuse_unequal_shapes(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"{name}: input has shape \(5, 1\) and target .* \(5,\)"):
        getattr(F, name)(tinynet.zeros(5, 1), tinynet.zeros(5))
    with pytest.raises(ValueError, match="must be equal"):
        getattr(F, name)(tinynet.zeros(5, 1), tinynet.zeros(5))


def test_labels_of_the_wrong_shape_or_dtype() -> None:
    with pytest.raises(ValueError, match=r"target of class labels is \(N, ...\) = \(4,\)"):
        F.cross_entropy(tinynet.zeros(3, 5), tinynet.zeros(4).long())
    with pytest.raises(RuntimeError, match=r"expected scalar type Long but found tinynet\.float32"):
        F.cross_entropy(tinynet.zeros(3, 5), tinynet.zeros(3))
    with pytest.raises(ValueError, match="avg is not a valid value for reduction"):
        F.mse_loss(tinynet.zeros(3), tinynet.zeros(3), reduction="avg")
    with pytest.raises(RuntimeError, match="label_smoothing must be between"):
        F.cross_entropy(tinynet.zeros(3, 5), tinynet.zeros(3).long(), label_smoothing=1.5)
    with pytest.raises(ValueError, match="either for all 5 classes"):
        F.cross_entropy(tinynet.zeros(3, 5), tinynet.zeros(3).long(), tinynet.ones(4))
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.binary_cross_entropy(tinynet.tensor([1.5]), tinynet.tensor([1.0]))


def test_old_reduction_arguments() -> None:
    x, t = tinynet.tensor([1.0, 2.0]), tinynet.tensor([0.0, 0.0])
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert F.mse_loss(x, t, size_average=False).item() == 5
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert F.mse_loss(x, t, reduce=False).shape == (2,)


def test_certain_and_wrong_probabilities_cost_100() -> None:
    torch = pytest.importorskip("torch")
    x, t = [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]
    ours = tinynet.tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    a = F.binary_cross_entropy(ours, tinynet.tensor(t), reduction="none")
    b = torch.nn.functional.binary_cross_entropy(theirs, torch.tensor(t), reduction="none")
    a.sum().backward()
    b.sum().backward()
    assert a.tolist() == b.tolist() == [100, 100, 0, 0]
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-5)


def test_a_confident_and_wrong_sigmoid_still_learns() -> None:
    x = tinynet.tensor([-20.0, -60.0], requires_grad=True)
    loss = F.binary_cross_entropy(x.sigmoid(), tinynet.ones(2), reduction="sum")
    loss.backward()
    assert loss.item() == pytest.approx(80, rel=1e-6)
    assert x.grad.tolist()[0] == pytest.approx(-1, rel=1e-3)


def test_logits_far_out_keep_their_digits() -> None:
    x = tinynet.tensor([-1e4, -50.0, 50.0, 1e4], dtype=tinynet.float64, requires_grad=True)
    t = tinynet.tensor([1.0, 1.0, 0.0, 0.0], dtype=tinynet.float64)
    loss = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    np.testing.assert_allclose(loss.tolist(), [1e4, 50, 50, 1e4], rtol=1e-12)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [-1, -1, 1, 1])


# ------------------------------------------------------------------------------------- softmax


def test_softmax_of_extreme_rows() -> None:
    inf = math.inf
    rows = [[1e4, 1e4 + 1, 0], [-1e4, -1e4 + 1, -inf], [-inf, -inf, -inf], [inf, 0, 1]]
    p = F.softmax(tinynet.tensor(rows), dim=1).numpy()
    e = 1 / (1 + math.e)
    np.testing.assert_allclose(p[:2], [[e, 1 - e, 0], [e, 1 - e, 0]], atol=1e-7)
    assert np.isnan(p[2]).all()
    assert np.isnan(p[3, 0])
    log_p = F.log_softmax(tinynet.tensor(rows), dim=1).numpy()
    np.testing.assert_allclose(
        log_p[0], [math.log(e), math.log(1 - e), -1e4 - 1.3132617], rtol=1e-6
    )
    assert log_p[1, 2] == -inf
    assert np.isnan(log_p[2]).all()


def test_softmax_arguments() -> None:
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert F.softmax(tinynet.zeros(2, 4)).sum(1).tolist() == [1, 1]
    with pytest.raises(IndexError, match="Dimension out of range"):
        F.softmax(tinynet.zeros(2, 4), dim=2)
    with pytest.raises(NotImplementedError, match="floating point"):
        F.softmax(tinynet.zeros(2, dtype=tinynet.int64), dim=0)
    assert F.softmax(tinynet.tensor([0, 0]), dim=0, dtype=tinynet.float64).tolist() == [0.5, 0.5]
    assert F.softmax(tinynet.tensor(3.0), dim=0).item() == 1
    assert F.softmax(tinynet.zeros(0, 3), dim=0).shape == (0, 3)


# --------------------------------------------------------------------------------- conventions


def test_relu_at_zero_and_nan() -> None:
    x = tinynet.tensor([-1.0, 0.0, 2.0, math.nan], requires_grad=True)
    y = F.relu(x)
    assert y.tolist()[:3] == [0, 0, 2]
    assert math.isnan(y[3].item())
    y[:3].sum().backward()
    assert x.grad.tolist()[:3] == [0, 0, 1]


@pytest.mark.parametrize("name", ["relu", "tanh"])
@pytest.mark.parametrize("shape", [(3, 4001), (2, 5, 30, 21)])
def test_a_kernel_and_numpy_agree_on_values_and_slopes(name: str, shape: tuple[int, ...]) -> None:
    """Large arrays go to a kernel, small ones to NumPy: the same elements, in all and alone."""
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((2, *shape)).astype(np.float32)
    function = getattr(tinynet, name)
    whole = tinynet.from_numpy(numbers[0]).requires_grad_()
    function(whole).backward(tinynet.from_numpy(numbers[1]))
    parts = [x[:, :100].reshape(-1)[:900] for x in numbers]
    x = tinynet.from_numpy(parts[0].copy()).requires_grad_()
    y = function(x)
    y.backward(tinynet.from_numpy(parts[1].copy()))
    close = {"rtol": 2e-6, "atol": 2e-7} if name == "tanh" else {"rtol": 0, "atol": 0}
    for large, small in ((function(whole), y), (whole.grad, x.grad)):
        got = large.detach().numpy()[:, :100].reshape(-1)[:900]
        np.testing.assert_allclose(got, small.detach().numpy(), **close)


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardtanh", "relu6"]
)
def test_in_place_activations(name: str) -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal((3, 4))
    x, z = (tinynet.tensor(values, requires_grad=True) for _ in range(2))
    v = tinynet.tensor(random.standard_normal((3, 4)))
    plain = getattr(F, name)(x * 2)
    inner = z * 2
    written = getattr(F, name)(inner, inplace=True)
    assert written is inner
    assert inner.tolist() == plain.tolist()
    assert grad(written, z, v)[0].tolist() == grad(plain, x, v)[0].tolist()


def test_max_pool_gives_ties_to_the_first_and_pads_with_minus_infinity() -> None:
    x = tinynet.full((1, 1, 2, 2), -3.0).requires_grad_()
    y, index = F.max_pool2d(x, 2, return_indices=True)
    assert (y.item(), index.item(), index.dtype) == (-3, 0, tinynet.int64)
    y.sum().backward()
    assert x.grad.flatten().tolist() == [1, 0, 0, 0]
    assert F.max_pool2d(x.detach(), 2, padding=1).flatten().tolist() == [-3] * 4


@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (3, 5, 6)])
def test_max_pool_indices_against_torch(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 4, shape).astype("float32")  # many ties
    ours = F.max_pool2d(tinynet.tensor(x), 3, 2, 1, return_indices=True)
    theirs = torch.nn.functional.max_pool2d(torch.tensor(x), 3, 2, 1, return_indices=True)
    for a, b in zip(ours, theirs, strict=True):
        assert a.tolist() == b.tolist()


def test_writing_into_returned_indices_does_not_change_backward() -> None:
    x = tinynet.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    y, index = F.max_pool2d(x, 2, return_indices=True)
    index.zero_()
    y.sum().backward()
    assert x.grad.flatten().nonzero().flatten().tolist() == [5, 7, 13, 15]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_norm_running_statistics(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((4, 3, 2, 5)).astype(dtype) * 3 + 1
    ours = tinynet.zeros(3, dtype=dtype), tinynet.ones(3, dtype=dtype)
    theirs = torch.tensor(np.zeros(3, dtype)), torch.tensor(np.ones(3, dtype))
    for _ in range(3):
        F.batch_norm(tinynet.tensor(x), *ours, training=True, momentum=0.3)
        torch.nn.functional.batch_norm(torch.tensor(x), *theirs, training=True, momentum=0.3)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)


def test_instance_norm_running_statistics() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x = random.standard_normal((4, 3, 2, 5)) * 3 + 1
    ours = [tinynet.zeros(3, dtype=tinynet.float64), tinynet.ones(3, dtype=tinynet.float64)]
    theirs = [torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)]
    for _ in range(3):
        F.instance_norm(tinynet.tensor(x), *ours, momentum=0.3)
        torch.nn.functional.instance_norm(torch.tensor(x), *theirs, momentum=0.3)
    y = F.instance_norm(tinynet.tensor(x), *ours, use_input_stats=False)
    expected = torch.nn.functional.instance_norm(torch.tensor(x), *theirs, use_input_stats=False)
    for a, b in zip([*ours, y], [*theirs, expected], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        F.instance_norm(tinynet.zeros(2, 3, 1, 1))


def test_norms_of_empty_batches() -> None:
    x = tinynet.zeros(0, 4, 3, 3)
    for y in (F.group_norm(x, 2), F.layer_norm(x, (3, 3)), F.instance_norm(x)):
        assert y.shape == x.shape


def test_lp_pool_of_a_window_of_zeros_has_derivative_zero() -> None:
    x = tinynet.zeros(1, 1, 2, 4)
    x[..., 2:] = 1
    x.requires_grad_()
    y = F.lp_pool2d(x, 2, 2)
    assert y.flatten().tolist() == [0, 2]
    y.sum().backward()
    assert x.grad.flatten().tolist() == [0, 0, 0.5, 0.5] * 2


def test_adaptive_max_pool_of_overlapping_windows() -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 4, (2, 3, 7, 5)).astype("float32")  # many ties
    x[0, 0, 3, 3] = math.nan
    ours, theirs = tinynet.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, index = F.adaptive_max_pool2d(ours, (4, 3), return_indices=True)
    v, expected = torch.nn.functional.adaptive_max_pool2d(theirs, (4, 3), return_indices=True)
    np.testing.assert_array_equal(y.detach().numpy(), v.detach().numpy())
    assert index.tolist() == expected.tolist()
    index.zero_()  # the caller's own copy
    y.sum().backward()
    v.sum().backward()
    assert ours.grad.tolist() == theirs.grad.tolist()


def test_logistic_with_a_slope() -> None:
    x = tinynet.tensor([-2.0, 0.0, 0.5], dtype=tinynet.float64, requires_grad=True)
    y = F.sigmoid(x, slope=3)
    np.testing.assert_allclose(y.tolist(), [1 / (1 + math.exp(-3 * v)) for v in (-2, 0, 0.5)])
    (g,) = grad(y.sum(), x)
    assert g[1].item() == 0.75  # slope / 4
    assert gradcheck(lambda x: F.sigmoid(x, slope=3), (x,))


def test_batch_norm_in_evaluation() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(s) for s in ((3, 2, 2, 2), (2,), (2,))]
    mean, var = random.standard_normal(2), random.random(2) + 0.1

    def call(library: Any, functional: Any) -> Any:
        m, v = library.tensor(mean), library.tensor(var)
        return lambda x, w, b: functional.batch_norm(x, m, v, w, b)

    ours = first_and_second(tinynet, grad, call(tinynet, F), leaves(tinynet, arrays, "float64"))
    theirs = first_and_second(
        torch,
        torch.autograd.grad,
        call(torch, torch.nn.functional),
        leaves(torch, arrays, "float64"),
    )
    for a, b in zip(zeros_for_none(ours, theirs), zeros_for_none(theirs, ours), strict=True):
        if b is not None:
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    xs = leaves(tinynet, arrays, "float64")
    assert gradcheck(call(tinynet, F), tuple(xs))
    assert gradgradcheck(call(tinynet, F), tuple(xs))


def test_batch_norm_statistics_may_move_between_forward_and_backward() -> None:
    mean, var = tinynet.zeros(2), tinynet.ones(2)
    x = tinynet.randn(4, 2).requires_grad_()
    w = tinynet.ones(2).requires_grad_()
    y = F.batch_norm(x, mean, var, w)
    mean.add_(5)
    y.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), x.detach().numpy().sum(0), rtol=1e-4)


# ------------------------------------------------------------------------------------- dropout


def test_dropout_scales_and_repeats_with_the_seed() -> None:
    x = tinynet.ones(100, 100).requires_grad_()
    tinynet.manual_seed(4)
    y = F.dropout(x, 0.3)
    tinynet.manual_seed(4)
    again = F.dropout(x, 0.3)
    assert (y == again).all()
    assert (F.dropout(x, 0.3) != y).any()
    values, counts = np.unique(y.detach().numpy(), return_counts=True)
    np.testing.assert_allclose(values, [0, 1 / 0.7], rtol=1e-6)
    assert abs(counts[0] / 1e4 - 0.3) < 0.02
    y.sum().backward()
    assert (x.grad == y).all()  # of ones, the gradient is the mask itself
    z = tinynet.tensor(np.random.default_rng(0).standard_normal((4, 5)), requires_grad=True)

    def same_mask(z: Any) -> Any:
        default_generator.manual_seed(1)
        return F.dropout(z * z, 0.4)

    assert gradcheck(same_mask, (z,))
    assert gradgradcheck(same_mask, (z,))


def test_dropout_of_nothing_and_of_everything() -> None:
    x = tinynet.ones(3)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).tolist() == [0, 0, 0]
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            F.dropout(x, p)
    inner = tinynet.ones(50).requires_grad_() * 1
    assert F.dropout(inner, 0.5, inplace=True) is inner
    assert set(inner.tolist()) == {0, 2}


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    tinynet.manual_seed(0)
    x = tinynet.randn(200, 500, dtype=tinynet.float64).requires_grad_()
    y = F.alpha_dropout(x, 0.3, training=True)
    assert abs(y.mean().item()) < 0.02
    assert y.var().item() == pytest.approx(1, abs=0.02)
    low = -1.7580993408473766
    a = (0.7 * (1 + 0.3 * low**2)) ** -0.5
    dropped = np.isclose(y.detach().numpy(), a * low - a * low * 0.3)
    assert dropped.mean() == pytest.approx(0.3, abs=0.01)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.where(dropped, 0, a))
    assert F.alpha_dropout(x, 0.3) is x
    assert (F.alpha_dropout(x, 1.0, training=True) == 0).all()
    inner = x * 1
    assert F.alpha_dropout(inner, 0.5, True, inplace=True) is inner


def test_dropout2d_drops_whole_channels() -> None:
    x = tinynet.ones(8, 16, 3, 3).requires_grad_()
    y = F.dropout2d(x, 0.5).detach().numpy()
    assert set(np.unique(y)) == {0, 2}
    assert (y == y[:, :, :1, :1]).all()


# -------------------------------------------------------------------------------- error texts


def test_shape_errors_are_sentences() -> None:
    with pytest.raises(ShapeError, match=r"x is \(N, C, H, W\) = \(8, 3, 9, 9\).*w expects 4"):
        F.conv2d(tinynet.zeros(8, 3, 9, 9), tinynet.zeros(16, 4, 3, 3))
    with pytest.raises(ShapeError, match=r"bias must be \(K,\) = \(16,\)"):
        F.conv2d(tinynet.zeros(8, 4, 9, 9), tinynet.zeros(16, 4, 3, 3), tinynet.zeros(3))
    with pytest.raises(ShapeError, match=r"linear: x is .*x has 3 features but w expects 4"):
        F.linear(tinynet.zeros(2, 3), tinynet.zeros(5, 4))
    with pytest.raises(ShapeError, match=r"weight is \(4,\); weight must be \(C,\) = \(3,\)"):
        F.batch_norm(tinynet.zeros(2, 3), None, None, tinynet.ones(4), training=True)
    with pytest.raises(ShapeError, match=r"layer_norm: x is \(2, 3\), normalized_shape is \(4,\)"):
        F.layer_norm(tinynet.zeros(2, 3), (4,))
    with pytest.raises(ShapeError, match=r"layer_norm: bias is \(2,\) but normalized_shape"):
        F.layer_norm(tinynet.zeros(2, 3), (3,), tinynet.ones(3), tinynet.ones(2))
    with pytest.raises(ShapeError, match=r"its 4 channels cannot be divided into 3 groups"):
        F.group_norm(tinynet.zeros(2, 4, 2), 3)
    with pytest.raises(ShapeError, match=r"weight is \(3,\); weight must be \(C,\) = \(4,\)"):
        F.group_norm(tinynet.zeros(2, 4, 2), 2, tinynet.ones(3))
    with pytest.raises(ShapeError, match=r"adaptive_max_pool2d: x must be \(N, C, H, W\)"):
        F.adaptive_max_pool2d(tinynet.zeros(2, 4), 2)
    with pytest.raises(ValueError, match="Expected 3D or higher"):
        F.local_response_norm(tinynet.zeros(2, 4), 2)
    with pytest.raises(RuntimeError, match="lambda must be greater or equal to 0"):
        F.softshrink(tinynet.zeros(2), -1)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        F.batch_norm(tinynet.zeros(1, 3), None, None, training=True)
    with pytest.raises(RuntimeError, match="running_mean and running_var"):
        F.batch_norm(tinynet.zeros(2, 3), None, None)
    with pytest.raises(RuntimeError, match="not supported for strided"):
        F.conv2d(tinynet.zeros(1, 1, 4, 4), tinynet.zeros(1, 1, 3, 3), padding="same", stride=2)


def test_dtypes_must_agree() -> None:
    w = tinynet.zeros(4, 3, 3, 3)
    with pytest.raises(RuntimeError, match=r"x has dtype tinynet.uint8.*x.float\(\)"):
        F.conv2d(tinynet.zeros(1, 3, 5, 5, dtype=tinynet.uint8), w)
    with pytest.raises(RuntimeError, match=r"x has dtype tinynet\.float64 but weight has"):
        F.conv2d(tinynet.zeros(1, 3, 5, 5, dtype=tinynet.float64), w)


# ------------------------------------------------------------------- what each operation remembers


def remembered(node: Any) -> list[tuple[int, ...]]:
    """The shapes of the tensors and arrays that a node keeps for backward, each once."""
    values = {id(v): v for _, v in node.remembers()}
    shapes = [tuple(v.shape) for v in values.values()]
    return sorted(shapes + ([tuple(node.output[0].shape)] if node.output is not None else []))


def leaf(*shape: int, needs: bool = True) -> Any:
    return tinynet.rand(*shape).requires_grad_(needs)


X, W, B = (2, 3, 6, 6), (4, 3, 3, 3), (4,)


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("conv2d", lambda: F.conv2d(leaf(*X), leaf(*W), leaf(*B)), [X, W]),
        ("conv2d, frozen w", lambda: F.conv2d(leaf(*X), leaf(*W, needs=False)), [W]),
        ("conv2d, first layer", lambda: F.conv2d(leaf(*X, needs=False), leaf(*W)), [X]),
        (
            "conv2d, bias only",
            lambda: F.conv2d(leaf(*X, needs=False), leaf(*W, needs=False), leaf(*B)),
            [],
        ),
        ("relu", lambda: F.relu(leaf(3, 4)), [(3, 4)]),  # its output
        ("leaky_relu", lambda: F.leaky_relu(leaf(3, 4)), [(3, 4)]),  # the slopes
        ("max_pool2d", lambda: F.max_pool2d(leaf(*X), 2), [(2, 3, 3, 3)]),  # the index
        ("avg_pool2d", lambda: F.avg_pool2d(leaf(*X), 2), []),
        ("adaptive_avg_pool2d", lambda: F.adaptive_avg_pool2d(leaf(*X), 4), []),
        ("adaptive_max_pool2d", lambda: F.adaptive_max_pool2d(leaf(*X), 4), [(6, 16)]),  # index
        ("threshold", lambda: F.threshold(leaf(3, 4), 0, 0), [(3, 4)]),  # where it is above
        ("dropout", lambda: F.dropout(leaf(3, 4)), []),
        ("softmax", lambda: F.softmax(leaf(3, 4), dim=1), [(3, 4)]),  # its output
        (
            "cross_entropy",
            lambda: F.cross_entropy(leaf(5, 4), tinynet.zeros(5).long(), reduction="none"),
            [(5,), (5,), (5, 4)],  # labels, logsumexp, scores
        ),
        (
            "batch_norm",
            lambda: F.batch_norm(leaf(*X), None, None, leaf(3), leaf(3), True),
            [X, (3,), (3,), (3,)],  # x, weight, mean, var
        ),
        (
            "batch_norm in evaluation, frozen weight",
            lambda: F.batch_norm(leaf(*X), tinynet.zeros(3), tinynet.ones(3)),
            [(1, 3, 1, 1)],  # 1 / sqrt(var + eps)
        ),
    ],
)
def test_remembers(name: str, make: Any, expected: list[tuple[int, ...]]) -> None:
    node = make().grad_fn
    if "reshape" in node.operation.__name__ or "view" in node.operation.__name__:
        node = node.next_functions[0][0]
    assert remembered(node) == sorted(expected), name


def test_backward_uses_the_backend_of_its_forward() -> None:
    x, w = leaf(1, 2, 5, 5), leaf(3, 2, 3, 3)
    with kernels.use("reference"):
        y = F.conv2d(x, w)
    backend = next(
        cell.cell_contents
        for cell in y.grad_fn.pullbacks[0].__closure__
        if "reference" in repr(cell.cell_contents)
    )
    assert backend is kernels.of().conv2d or "reference" in repr(backend)
    y.sum().backward()
    assert x.grad.shape == x.shape


# ------------------------------------------------------------------------------ convolution lattice


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
@pytest.mark.parametrize("padding", [0, (2, 1)])
@pytest.mark.parametrize("stride", [1, (3, 2)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3)])
def test_convolution_geometry(
    kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> None:
    """<conv(x), dy> = <x, conv_T(dy)> = <w, grad_w(dy)>, and PyTorch's numbers."""
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x, w = random.standard_normal((2, 4, 7, 6)), random.standard_normal((6, 4 // groups, *kernel))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    tx, tw = leaves(torch, [x, w], "float64")
    ours_x, ours_w = leaves(tinynet, [x, w], "float64")
    y = F.conv2d(ours_x, ours_w, **options)
    theirs = torch.nn.functional.conv2d(tx, tw, **options)
    np.testing.assert_allclose(y.detach().numpy(), theirs.detach().numpy(), atol=1e-11)
    dy = random.standard_normal(tuple(y.shape))
    dx, dw = grad(y, (ours_x, ours_w), tinynet.tensor(dy))
    for a, b in zip((dx, dw), torch.autograd.grad(theirs, (tx, tw), torch.tensor(dy)), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-11)
    product = (y.detach().numpy() * dy).sum()
    assert math.isclose((dx.numpy() * x).sum(), product, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose((dw.numpy() * w).sum(), product, rel_tol=1e-9, abs_tol=1e-9)


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def pairs(low: int, high: int) -> Any:
    return st.tuples(st.integers(low, high), st.integers(low, high))


def forward_and_backward(call: Any, arrays: list[np.ndarray]) -> None:
    """The values and gradients that PyTorch gives, or an error where it gives one."""
    torch = pytest.importorskip("torch")
    theirs = leaves(torch, arrays, "float64")
    try:
        expected = call(torch.nn.functional, *theirs)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            call(F, *leaves(tinynet, arrays, "float64"))
        return
    ours = leaves(tinynet, arrays, "float64")
    y = call(F, *ours)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), atol=1e-11)
    dy = numbers(tuple(y.shape), 9)
    gradients = grad(y, ours, tinynet.tensor(dy))
    for a, b in zip(
        gradients, torch.autograd.grad(expected, theirs, torch.tensor(dy)), strict=True
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-11)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    batch=st.integers(0, 2),
    groups=st.integers(1, 3),
    per_group=pairs(1, 2),
    size=pairs(1, 8),
    kernel=pairs(1, 4),
    stride=pairs(1, 3),
    padding=pairs(0, 3),
    dilation=pairs(1, 3),
    bias=st.booleans(),
)
def test_any_convolution(
    batch: int,
    groups: int,
    per_group: tuple[int, int],
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    bias: bool,
) -> None:
    arrays = [
        numbers((batch, groups * per_group[0], *size), 0),
        numbers((groups * per_group[1], per_group[0], *kernel), 1),
    ]
    if bias:
        arrays.append(numbers((groups * per_group[1],), 2))
    forward_and_backward(
        lambda F, x, w, b=None: F.conv2d(x, w, b, stride, padding, dilation, groups), arrays
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(["max", "average", "adaptive"]),
    batch=st.integers(1, 2),
    size=pairs(1, 8),
    kernel=pairs(1, 4),
    stride=st.none() | pairs(1, 3),
    padding=pairs(0, 2),
    dilation=pairs(1, 2),
    ceil_mode=st.booleans(),
    count=st.booleans(),
)
def test_any_pooling(
    kind: str,
    batch: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: Any,
    padding: tuple[int, int],
    dilation: tuple[int, int],
    ceil_mode: bool,
    count: bool,
) -> None:
    def call(F: Any, x: Any) -> Any:
        if kind == "max":
            return F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
        if kind == "average":
            return F.avg_pool2d(x, kernel, stride, padding, ceil_mode, count)
        return F.adaptive_avg_pool2d(x, kernel)

    # PyTorch lets dilated windows see padding only, and gives -inf with an index outside.
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if kind == "max" and max(dilation) > 1:
        assume(all(n + p >= s for n, p, s in zip(size, padding, spans, strict=True)))
        assume(padding == (0, 0))
    forward_and_backward(call, [numbers((batch, 2, *size), 0)])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    dim=st.integers(-4, 3),
    log=st.booleans(),
    scale=st.sampled_from([1.0, 50.0]),
)
def test_any_softmax(shape: tuple[int, ...], dim: int, log: bool, scale: float) -> None:
    assume(-len(shape) <= dim < len(shape))
    forward_and_backward(
        lambda F, x: F.log_softmax(x, dim) if log else F.softmax(x, dim),
        [numbers(shape, 0) * scale],
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 3),
    spatial=st.lists(st.integers(1, 3), max_size=3).map(tuple),
    affine=st.booleans(),
)
def test_any_batch_norm(batch: int, channels: int, spatial: tuple[int, ...], affine: bool) -> None:
    assume(batch * math.prod(spatial) > 1)
    arrays = [numbers((batch, channels, *spatial), 0)]
    if affine:
        arrays += [numbers((channels,), 1), numbers((channels,), 2)]
    forward_and_backward(
        lambda F, x, w=None, b=None: F.batch_norm(x, None, None, w, b, training=True), arrays
    )


def test_third_derivative_of_a_convolution() -> None:
    x, w = leaves(tinynet, [np.ones((1, 1, 3, 3)), np.full((1, 1, 2, 2), 0.5)], "float64")
    y = (F.conv2d(x, w) ** 3).sum()
    (g,) = grad(y, w, create_graph=True)
    (h,) = grad(g.sum(), w, create_graph=True)
    (t,) = grad(h.sum(), w)
    # y = 4 s^3 with s = sum(w) = 2: dy = 12 s^2, summed over w twice more: 4 * 24 s, 4 * 4 * 24
    assert g.tolist() == [[[[48, 48], [48, 48]]]]
    assert h.tolist() == [[[[192, 192], [192, 192]]]]
    assert t.tolist() == [[[[384, 384], [384, 384]]]]


@pytest.mark.parametrize("shape", [(0, 3, 6, 6)])
def test_empty_batches(shape: tuple[int, ...]) -> None:
    x, w = tinynet.zeros(*shape).requires_grad_(), leaf(*W)
    y = F.max_pool2d(F.relu(F.conv2d(x, w, padding=1)), 2)
    assert y.shape == (0, 4, 3, 3)
    y.sum().backward()
    assert x.grad.shape == shape
    assert (w.grad == 0).all()


def test_non_contiguous_inputs() -> None:
    x = tinynet.tensor(np.random.default_rng(0).standard_normal((2, 6, 5, 3)))
    w = tinynet.tensor(np.random.default_rng(1).standard_normal((3, 3, 4, 3)))
    view, other = x.permute(0, 3, 1, 2), w.permute(2, 0, 1, 3)
    for call in (
        lambda x, w: F.conv2d(x, w),
        lambda x, w: F.max_pool2d(x, 2),
        lambda x, w: F.batch_norm(x, None, None, training=True),
        lambda x, w: F.softmax(x, dim=1),
    ):
        expected = call(view.contiguous(), other.contiguous()).numpy()
        np.testing.assert_allclose(call(view, other).numpy(), expected, rtol=1e-12)


def test_one_hot() -> None:
    assert F.one_hot(tinynet.tensor([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert F.one_hot(tinynet.tensor([1]), 3).tolist() == [[0, 1, 0]]
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        F.one_hot(tinynet.tensor([3]), 3)


@pytest.mark.parametrize("shape", [(20, 30), (8, 16, 20, 20)])
@pytest.mark.parametrize("view", ["whole", "rows", "transposed", "channels last"])
@pytest.mark.parametrize("inplace", [False, True])
def test_relu_of_any_size_and_order_agrees_with_torch(shape, view, inplace):
    """Large arrays go to a kernel, in place without a copy; NaN passes, views write through."""
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    values.flat[::7] = np.nan
    results = []
    for lib in (tinynet, torch):
        leaf = lib.tensor(values, requires_grad=True)
        x = leaf * 1
        if view == "channels last" and len(shape) == 4:
            x = x.contiguous(memory_format=lib.channels_last)
        seen = {
            "rows": lambda x: x[1:],
            "transposed": lambda x: x.transpose(-1, -2),
        }.get(view, lambda x: x)(x)
        y = lib.nn.functional.relu(seen, inplace=inplace)
        assert not inplace or y is seen
        (y.nan_to_num() if lib is torch else y.where(~y.isnan(), 0.0)).sum().backward()
        results.append([a.detach().numpy() for a in (x, y, leaf.grad)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)
