"""What a failed check says, and what is neither passed nor failed: kinks, rounding, plain NumPy."""

import numpy as np
import pytest
from tinynet.kernels.conv2d import naive, reference
from tinynet.kernels.conv2d.dims import Conv2dDims

import tinynet as tn
from tinynet import nn
from tinynet.autograd import Function, GradcheckError, gradcheck, gradgradcheck
from tinynet.autograd.gradcheck import KinkError, check
from tinynet.autograd.tape import differentiable
from tinynet.nn import functional as F


def leaf(*shape, seed=0):
    return tn.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def given(*values):
    return tn.tensor(values, dtype=tn.float64, requires_grad=True)


def function(forward, backward):
    """A user's Function with this forward and this (wrong) backward, on tensors' arrays."""

    class Mine(Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return tn.from_numpy(forward(*[x.numpy(force=True) for x in inputs]))

        @staticmethod
        def backward(ctx, dy):
            inputs = [x.numpy(force=True) for x in ctx.saved_tensors]
            found = backward(dy.numpy(force=True), *inputs)
            found = found if isinstance(found, tuple) else (found,)
            return tuple(None if g is None else tn.from_numpy(np.array(g)) for g in found)

    return Mine.apply


DIMS = Conv2dDims.of((1, 1, 5, 5), (1, 1, 3, 3))


def conv(x, w):
    return reference.forward(x, w, None, dims=DIMS)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def overwriting(dy, x):
    dx = np.zeros_like(x)
    dx[[1, 1, 0]] = dy
    return dx


BUGS = {
    # what the lesson must say -> (forward, backward, shapes of the inputs)
    "the sign": (np.sin, lambda dy, x: -dy * np.cos(x), [(3, 2)]),
    "a factor: backward gives 1.5 times": (
        lambda x: x**2,
        lambda dy, x: 3 * dy * x,
        [(4,)],
    ),
    "one over the batch size 5: a mean where a sum belongs": (
        lambda x, b: x + b,
        lambda dy, x, b: (dy, dy.mean(0)),
        [(5, 3), (3,)],
    ),
    "a missing sum over the batch": (
        lambda x, b: x + b,
        lambda dy, x, b: (dy, dy[0]),
        [(5, 3), (3,)],
    ),
    "broadcasting is not undone": (
        lambda x, b: x * b,
        lambda dy, x, b: (dy * b, (dy * x)[:, -1:]),
        [(3, 4), (3, 1)],
    ),
    "transposed: the gradient's axes 0 and 1": (
        lambda x, w: x @ w,
        lambda dy, x, w: (dy @ w.T, (x.T @ dy).T),
        [(2, 3), (3, 3)],
    ),
    "transposed: backward multiplies with the Jacobian": (
        lambda x, w: w @ x,
        lambda dy, x, w: (w @ dy, np.outer(dy, x)),
        [(3,), (3, 3)],
    ),
    "overwritten: where an element is used several times (duplicate": (
        lambda x: x[[1, 1, 0]],
        overwriting,
        [(3, 2)],
    ),
    "the kernel is flipped: within each window of 3 x 3": (
        conv,
        lambda dy, x, w: (
            naive.grad_input(dy, w[..., ::-1, ::-1], dims=DIMS),
            naive.grad_weight(dy, x, dims=DIMS),
        ),
        [(1, 1, 5, 5), (1, 1, 3, 3)],
    ),
    "the kernel is flipped: the gradient is reversed": (
        conv,
        lambda dy, x, w: (
            naive.grad_input(dy, w, dims=DIMS),
            naive.grad_weight(dy, x, dims=DIMS)[..., ::-1, ::-1],
        ),
        [(1, 1, 5, 5), (1, 1, 3, 3)],
    ),
    "the input is not wired": (lambda x, y: x * y, lambda dy, x, y: (dy * y, None), [(3,), (3,)]),
    "the gradient is deleted": (np.exp, lambda dy, x: 0 * dy, [(3,)]),
    "a missing term: backward treats the function as elementwise": (
        softmax,
        lambda dy, x: dy * softmax(x),
        [(2, 3)],
    ),
    "a missing term: what lacks has rank 1": (
        lambda x: x - x.mean() + np.sin(x),
        lambda dy, x: dy * (1 + np.cos(x)) + dy.sum() / 6 * 0 - np.flip(dy) * 0 - dy[0] / 99,
        [(6,)],
    ),
    "misplaced": (lambda x: x[[1, 2, 0, 3]] * 2, lambda dy, x: dy * 2, [(4,)]),
    "one element: only the gradient at index (1, 2)": (
        lambda x: x**3,
        lambda dy, x: 3 * x**2 * dy * (1 + 0.01 * (np.arange(12) == 6).reshape(3, 4)),
        [(3, 4)],
    ),
    "a factor that differs from element to element": (
        lambda x: x**3,
        lambda dy, x: 3 * x * dy,
        [(4,)],
    ),
    "only elements at 3 of axis 1": (
        lambda x: np.cumsum(x, 1),
        lambda dy, x: np.concatenate([np.cumsum(dy[:, ::-1], 1)[:, :0:-1], 2 * dy[:, -1:]], axis=1),
        [(2, 4)],
    ),
}


@pytest.mark.parametrize("lesson", BUGS)
def test_a_wrong_function_is_told_its_mistake(lesson):
    forward, backward, shapes = BUGS[lesson]
    inputs = tuple(leaf(*s, seed=i) for i, s in enumerate(shapes))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(function(forward, backward), inputs)
    text = str(caught.value)
    assert "Likely cause: " in text
    assert lesson in caught.value.report.cause
    assert "The differences settle" in text
    assert "Errors of the Jacobian" in text
    assert "evaluations of the function" in text
    assert not gradcheck(function(forward, backward), inputs, raise_exception=False)


# -------------------------------------------------------------------------- the rules of a pullback


def test_a_gradient_that_aliases_what_it_remembers():
    @differentiable
    def half_square(x):
        return x.array**2 / 2, (lambda dy: x,)  # right for dy = 1, and x itself

    with pytest.raises(GradcheckError, match="shares its memory with input 0"):
        gradcheck(half_square, leaf(3))


def test_a_changed_cotangent():
    class Doubled(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            dy.array *= 2
            return dy

    with pytest.raises(GradcheckError, match="changes the cotangent dy in place"):
        gradcheck(Doubled.apply, leaf(3))


def test_a_changed_input():
    def pull(dy, x):
        x *= 1.5
        return dy

    with pytest.raises(GradcheckError, match="backward changes input 0 in place"):
        gradcheck(lambda x: x * 1, np.ones(3), vjp=pull)


def test_a_backward_that_is_not_linear():
    with pytest.raises(GradcheckError, match="not linear in the cotangent"):
        gradcheck(function(np.sin, lambda dy, x: dy**3 * np.cos(x)), leaf(3))
    with pytest.raises(GradcheckError, match="not linear: for a cotangent of zeros"):
        gradcheck(function(np.sin, lambda dy, x: dy * np.cos(x) + 1e-9), leaf(3))


def test_a_wrong_shape_and_an_irreproducible_function():
    with pytest.raises(GradcheckError, match=r"broadcasting is not undone.*axes \[0\]"):
        gradcheck(lambda x, b: x + b, (np.ones((4, 3)), np.ones(3)), vjp=lambda dy, x, b: (dy, dy))
    with pytest.raises(GradcheckError, match="invalid gradient"):
        gradcheck(function(lambda x: x * 2, lambda dy, x: dy[:2]), leaf(3))
    random = np.random.default_rng(0)
    with pytest.raises(GradcheckError, match="the function is not reproducible"):
        gradcheck(lambda x: x * random.random(), leaf(3))


def test_expanded_inputs_and_float32_outputs_are_refused():
    with pytest.raises(GradcheckError, match="clone"):
        gradcheck(lambda x: x * 2, leaf(1).expand(3))
    with pytest.raises(GradcheckError, match="output 0 has dtype float32"):
        gradcheck(lambda x: x.float(), leaf(3))
    with pytest.raises(GradcheckError, match="output 0 is nan"):
        gradcheck(lambda x: x.log(), given(-1.0))
    with pytest.raises(ValueError, match="check_forward_ad=True is not supported"):
        gradcheck(lambda x: x, leaf(3), check_forward_ad=True)


# ------------------------------------------------------------------------------------------- kinks


@pytest.mark.parametrize(
    ("call", "x"),
    [
        (F.relu, given(0.0, 1.0, -2.0)),
        (lambda x: x.abs(), given(0.0, 0.0)),
        (lambda x: x.amax(), given(2.0, 1.0, 2.0)),
        (lambda x: F.max_pool2d(x.reshape(1, 1, 2, 2), 2), given(1.0, 1.0, 1.0, 0.0)),
        (lambda x: x.sqrt(), given(0.0, 4.0)),
    ],
    ids=["relu", "abs", "amax", "max_pool2d", "sqrt"],
)
def test_a_kink_is_stepped_away_from(call, x):
    before = x.array.copy()
    report = check(call, x)
    assert report
    assert report.stepped_away
    assert any("index (0,)" in place for place in report.kinks)
    assert "kink" in report.text()
    np.testing.assert_array_equal(x.array, before)


def test_a_wrong_derivative_cannot_hide_behind_a_kink():
    @differentiable
    def relu(x):
        return np.maximum(x.array, 0), (lambda dy: dy * tn.tensor((x.array > 0) * 1.1),)

    for x in (given(0.0, 0.0, 0.0), given(0.0, 1.0)):
        with pytest.raises(GradcheckError, match="is wrong") as caught:
            gradcheck(relu, x)
        assert not isinstance(caught.value, KinkError)


def test_kinks_everywhere_are_no_verdict():
    @differentiable
    def flat(x):
        return abs(x.array - held[0]), (lambda dy: dy * 0,)

    x = leaf(2)
    held = [x.array.copy()]

    def follow(x):
        if np.abs(x.array - held[0]).max() > 1e-4:  # stepped away: the kink follows
            held[0] = x.array.copy()
        return flat(x)

    with pytest.raises(KinkError, match="no smooth point was found nearby") as caught:
        gradcheck(follow, x)
    assert caught.value.report.verdict == "kink"


def test_a_steep_function_is_not_called_wrong():
    report = check(lambda x: (x * 1e6).sin(), leaf(3))
    assert report.verdict == "rounding"
    assert "truncation" in report.text()
    assert report.sweep.best_step < 1e-6
    noisy = check(lambda x: (x + 1e9) - 1e9, leaf(3))
    assert noisy.verdict == "rounding"
    assert "it is rounding" in noisy.text()
    assert gradcheck(lambda x: (x + 1e9) - 1e9, leaf(3), eps=noisy.sweep.best_step)


# ------------------------------------------------------------------ modules, fast mode, plain NumPy


def test_every_parameter_of_a_module_is_checked():
    tn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 2))
    model = model.double()
    running = model[1].running_mean.array.copy()
    x = leaf(3, 1, 4, 4).detach()
    report = check(model, x)
    assert report
    assert len(report.each) == 6
    assert gradgradcheck(model, x, atol=1e-4)
    np.testing.assert_array_equal(model[1].running_mean.array, running)
    assert all(p.grad is None for p in model.parameters())

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(tn.ones(3, dtype=tn.float64))

        def forward(self, x):
            return x * self.scale.detach() + 0 * self.scale

    with pytest.raises(GradcheckError, match="gradient of parameter 'scale' is wrong"):
        gradcheck(Scaled(), leaf(3))
    with pytest.raises(GradcheckError, match=r"parameter '0.weight' has dtype float32"):
        gradcheck(nn.Sequential(nn.Linear(2, 2)), leaf(2))


def test_dropout_draws_the_same_mask_each_time():
    assert gradcheck(lambda x: F.dropout(x, 0.5, training=True), leaf(4, 5))


def test_fast_mode_bounds_the_evaluations_and_explains_with_the_jacobian():
    x = leaf(30, 30)
    report = check(lambda x: x.tanh(), x, fast_mode=True)
    assert report
    assert report.mode == "directions"
    assert report.evaluations < 15
    wrong = function(np.sin, lambda dy, x: dy * np.cos(x) * (1 + (np.arange(20) == 7)))
    with pytest.raises(GradcheckError, match=r"one element: only the gradient at index \(7,\)"):
        gradcheck(wrong, leaf(20), fast_mode=True)


def test_many_outputs_get_random_cotangents():
    x = leaf(20, 20)
    report = check(lambda x: x.exp(), x, max_evaluations=1000)
    assert report.mode == "gradient"
    assert report.evaluations <= 2 * 400 + 3
    assert report.compared == 3 * 400
    zeros = function(softmax, lambda dy, x: 0 * dy)  # what a cotangent of ones cannot see
    with pytest.raises(GradcheckError, match="deleted"):
        gradcheck(zeros, leaf(20, 20), max_evaluations=1000)


def test_a_derivative_that_is_zero_everywhere_is_noted():
    report = check(lambda x: x.relu(), given(-1.0, -2.0))
    assert report
    assert report.vacuous == ["input 0"]
    assert "a deleted one would have passed too" in report.text()


def test_plain_numpy_pairs_and_the_complex_step():
    x, w, _ = (
        np.random.default_rng(i).standard_normal(s)
        for i, s in enumerate([(1, 1, 5, 5), (1, 1, 3, 3), ()])
    )

    def vjp(dy, x, w):
        return reference.grad_input(dy, w, dims=DIMS), reference.grad_weight(dy, x, dims=DIMS)

    report = check(conv, (x, w), vjp=vjp)
    assert report
    assert report.complex_step < 1e-14
    assert check(np.abs, np.ones(3), vjp=lambda dy, x: dy * np.sign(x)).complex_step is None
    off = check(lambda x: x**2, np.ones(3), vjp=lambda dy, x: 2.000001 * dy * x)
    assert off.verdict == "wrong"
    assert "complex-step" in off.text()
    with pytest.raises(GradcheckError, match="Second opinion: the complex-step"):
        gradcheck(lambda x: x**2, np.ones(3), vjp=lambda dy, x: 3 * dy * x)
    labelled = check(lambda x, i: x[i], (np.arange(3.0), np.array([1, 1])), vjp=_indexed)
    assert labelled
    with pytest.raises(GradcheckError, match="float64"):
        gradcheck(np.sin, np.ones(3, np.float32), vjp=lambda dy, x: dy * np.cos(x))
    with pytest.raises(GradcheckError, match="shares its memory with the cotangent"):
        gradcheck(lambda x: x * 1, np.ones(3), vjp=lambda dy, x: dy)


def _indexed(dy, x, i):
    dx = np.zeros_like(x)
    np.add.at(dx, i, dy)
    return dx, None


def test_the_picture():
    pytest.importorskip("matplotlib")
    report = check(function(np.sin, lambda dy, x: -dy * np.cos(x)), leaf(3))
    figure = report.figure()
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == [
        "backward",
        "finite differences",
        "log10 of the relative error",
        "finite differences",
    ]
    with pytest.raises(ValueError, match="nothing to draw"):
        check(lambda x: x.sin(), leaf(3)).figure()
