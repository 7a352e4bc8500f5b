"""The table in docs/conventions.md, row by row."""

import math

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.nn import functional as F


def derivative(function, *values):
    x = tn.tensor(values, dtype=tn.float64, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


def test_relu_and_abs_at_0():
    assert derivative(tn.relu, -1, 0, 1) == [0, 0, 1]
    assert derivative(tn.abs, -1, 0, 1) == [-1, 0, 1]


@pytest.mark.parametrize(
    "function", [tn.amax, tn.amin, tn.max, tn.min, lambda x: x.max(), lambda x: x.min()]
)
def test_whole_reductions_share_a_tie(function):
    assert derivative(function, 2, 2) == [0.5, 0.5]


def test_elementwise_maximum_and_minimum_share_a_tie():
    one = tn.ones(1, dtype=tn.float64)
    assert derivative(lambda x: tn.maximum(x, one), 1) == [0.5]
    assert derivative(lambda x: tn.minimum(x, one), 1) == [0.5]


def test_reductions_with_indices_give_a_tie_to_the_first():
    assert derivative(lambda x: x.max(dim=0).values, 2, 2, 1) == [1, 0, 0]
    assert derivative(lambda x: x.min(dim=0).values, 3, 1, 1) == [0, 1, 0]
    pool = derivative(lambda x: F.max_pool2d(x.reshape(1, 1, 2, 2), 2), 5, 5, 5, 5)
    assert pool == [1, 0, 0, 0]


def test_clamp_passes_at_its_ends():
    assert derivative(lambda x: x.clamp(-1, 1), -2, -1, 0, 1, 2) == [0, 1, 1, 1, 0]


def test_power_at_0():
    x = tn.zeros(1, dtype=tn.float64, requires_grad=True)
    y = tn.zeros(1, dtype=tn.float64)
    z = x**y
    z.backward()
    assert (z.item(), x.grad.item()) == (1, 0)


def test_max_pooling_pads_with_minus_infinity():
    x = tn.full((1, 1, 2, 2), -3.0)
    assert F.max_pool2d(x, 2, stride=2, padding=1).flatten().tolist() == [-3] * 4


def test_average_pooling_counts_its_padding():
    x = tn.ones(1, 1, 2, 2)
    assert F.avg_pool2d(x, 2, 2, 1).flatten().tolist() == [0.25] * 4
    assert F.avg_pool2d(x, 2, 2, 1, count_include_pad=False).flatten().tolist() == [1] * 4


def test_batch_norm_variances():
    norm = nn.BatchNorm1d(1, momentum=1.0, eps=0.0)
    x = tn.tensor([[0.0], [2.0]])
    assert norm(x).flatten().tolist() == pytest.approx([-1, 1])  # biased variance 1
    assert norm.running_var.item() == pytest.approx(2)  # unbiased


def test_dropout_scales_while_training():
    drop = nn.Dropout(0.75)
    assert set(drop(tn.ones(1000)).tolist()) == {0.0, 4.0}
    assert drop.eval()(tn.ones(10)).tolist() == [1] * 10


@pytest.mark.parametrize(
    ("layer", "fan_in"), [(nn.Linear(400, 300), 400), (nn.Conv2d(16, 64, 5), 16 * 25)]
)
def test_initialisation(layer, fan_in):
    bound = 1 / math.sqrt(fan_in)
    for parameter in (layer.weight, layer.bias):
        assert parameter.abs().max().item() <= bound
    spread = layer.weight.std().item()
    assert spread == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_numbers_never_promote_and_integers_divide_to_floats():
    assert (tn.ones(1) * 2.5).dtype is tn.float32
    assert (tn.tensor([1]) / tn.tensor([2])).dtype is tn.float32


def test_losses_refuse_unequal_shapes():
    with pytest.raises(RuntimeError, match=r"\[5, 1\].*\[5\]|\(5, 1\).*\(5,\)"):
        F.mse_loss(tn.zeros(5, 1), tn.zeros(5))


def test_lp_pooling_of_zeros_has_derivative_zero():
    x = tn.zeros(1, 1, 2, 2, requires_grad=True)
    F.lp_pool2d(x, 2, 2).sum().backward()
    assert (x.grad == 0).all()


def test_sigmoid_has_a_slope():
    x = tn.tensor([0.0], requires_grad=True)
    nn.Sigmoid(slope=3.0)(x).backward()
    assert x.grad.item() == 0.75
    assert nn.Sigmoid()(tn.zeros(1)).item() == 0.5


def test_once_differentiable_refuses_where_the_gradient_would_be_incomplete():
    class Square(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @tn.autograd.once_differentiable
        def backward(ctx, dy):
            return 2 * ctx.saved_tensors[0] * dy

    x = tn.ones(1, requires_grad=True)
    (first,) = tn.autograd.grad(Square.apply(x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        (first * x).backward()
