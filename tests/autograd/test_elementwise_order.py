"""How the elements of elementwise results lie in memory: as in PyTorch, whatever the operands.

Strides of dimensions of size 1 mean nothing and are not compared.
"""

import math

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import tinynet
import tinynet.nn.functional as F

# How one dimension of an operand comes about: all of its memory, every second element, all but
# the first, one element repeated, or one element that the operation broadcasts.
DIMENSIONS = ("all", "step", "cut", "repeated", "one")


@st.composite
def operands(draw, count):
    """Recipes of operands that broadcast to one shape.

    With dimensions of size 1 nothing is repeated: their strides, which mean nothing and need not be
    PyTorch's, would have a say where no operand knows which of two dimensions is the nearer.
    """
    shape = draw(st.lists(st.sampled_from((1, 2, 2, 3, 3, 4)), max_size=4))
    whole = 1 in shape
    recipes = []
    for _ in range(count):
        own = shape
        if not whole and draw(st.integers(0, 3)) == 0:
            own = shape[draw(st.integers(0, len(shape))) :]
        how = [draw(st.sampled_from(DIMENSIONS[: 3 if whole else 5])) for _ in own]
        if draw(st.booleans()):
            how = ["all"] * len(own)
        if "one" in how:
            how = ["all" if h == "repeated" else h for h in how]
        order = draw(st.permutations(range(len(own))))
        dtype = draw(st.sampled_from(("float32", "float32", "float32", "float64", "int64")))
        recipes.append((own, how, order, dtype))
    sizes = [[1 if h == "one" else n for n, h in zip(own, how)] for own, how, _, _ in recipes]
    assume(whole or 1 not in torch.broadcast_shapes(*sizes))
    return recipes


def build(lib, recipe):
    """The operand: memory, its dimensions moved, cut and repeated."""
    shape, how, order, dtype = recipe
    sizes = [{"step": 2 * n, "cut": n + 1, "all": n}.get(h, 1) for n, h in zip(shape, how)]
    x = lib.arange(1, 1 + math.prod(sizes), dtype=getattr(lib, dtype))
    x = x.reshape([sizes[d] for d in order])
    x = x.permute([order.index(d) for d in range(len(order))])
    cuts = {"step": slice(None, None, 2), "cut": slice(1, None)}
    x = x[(..., *(cuts.get(h, slice(None)) for h in how))]
    return x.expand([n if h == "repeated" else m for n, h, m in zip(shape, how, x.shape)])


def strides(x):
    return [s for s, n in zip(x.stride(), x.shape) if n > 1]


def floats(recipes):
    """The recipes in one floating-point dtype, for functions that take no others."""
    return [(*recipe[:3], "float32") for recipe in recipes]


def agree(function, recipes, name):
    ours = [build(tinynet, r) for r in recipes]
    theirs = [build(torch, r) for r in recipes]
    for x, t in zip(ours, theirs):
        assert strides(x) == strides(t)
    y, u = function(*ours), function(*theirs)
    assert tuple(y.shape) == tuple(u.shape)
    assert strides(y) == strides(u), name
    steps = [s // y.element_size() for s in y.numpy().strides]
    assert [s for s, n in zip(steps, y.shape) if n > 1] == strides(y)


UNARY = (
    "abs neg exp log sqrt rsqrt square reciprocal tanh sigmoid sin erf relu sign floor "
    "logical_not isnan isinf isfinite isposinf clone signbit nan_to_num logit sinc frac lgamma "
    "digamma erfinv expm1 i0 deg2rad zeros_like ones_like empty_like"
)
UNARY_FLOATS = (
    "softplus gelu silu hardtanh leaky_relu elu hardswish hardsigmoid mish softsign celu selu "
    "relu6 softshrink tanhshrink hardshrink logsigmoid"
)
UNARY_OTHERS = {
    "double": lambda x: x.double(),
    "bool": lambda x: x.bool(),
    "clamp": lambda x: x.clamp(0.2, 0.5),
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "1 - x": lambda x: 1 - x,
    "2 x": lambda x: x * 2,
    "x == 1": lambda x: x == 1,
    "masked_fill": lambda x: x.masked_fill(x > 1, 0),
    "number": lambda x: x + x.new_ones(()),
    "number first": lambda x: x.new_ones(()) + x,
}


@settings(max_examples=15, deadline=None)
@given(operands(1))
def test_functions_of_one_number_keep_the_order(recipes):
    for name in UNARY.split():
        if recipes[0][3] == "int64" and name in ("frac", "empty_like"):
            continue
        agree(
            lambda x, name=name: getattr(tinynet if is_ours(x) else torch, name)(x), recipes, name
        )
    for name in UNARY_FLOATS.split():
        agree(
            lambda x, name=name: getattr(F if is_ours(x) else torch.nn.functional, name)(x),
            floats(recipes),
            name,
        )
    for name, function in UNARY_OTHERS.items():
        agree(function, recipes, name)


def is_ours(x):
    return isinstance(x, tinynet.Tensor)


BINARY = (
    "add sub mul div maximum minimum fmax fmin atan2 eq ne lt le gt ge logical_and logical_xor "
    "hypot copysign xlogy pow remainder fmod floor_divide logaddexp isclose heaviside"
)
ONE_DTYPE = {"isclose", "heaviside", "hypot", "logaddexp"}


@settings(max_examples=40, deadline=None)
@given(operands(2))
@example([([2, 3], ["all", "all"], [1, 0], "float32"), ([2, 3], ["all", "all"], [0, 1], "float32")])
def test_of_two_operands_the_first_decides(recipes):
    for name in BINARY.split():
        given = floats(recipes) if name in ONE_DTYPE else recipes
        agree(
            lambda x, y, name=name: getattr(tinynet if is_ours(x) else torch, name)(x, y),
            given,
            name,
        )


TERNARY = {
    "where": lambda x, y, z: (tinynet if is_ours(x) else torch).where(x > 0.5, y, z),
    "addcmul": lambda x, y, z: x.addcmul(y, z),
    "addcmul value": lambda x, y, z: x.addcmul(y, z, value=2),
    "addcdiv": lambda x, y, z: x.addcdiv(y, z),
    "lerp": lambda x, y, z: x.lerp(y, z),
    "clamp": lambda x, y, z: x.clamp(y, z),
    "clamp min": lambda x, y, z: x.clamp(y),
    "clamp max": lambda x, y, z: x.clamp(max=y),
}


@settings(max_examples=40, deadline=None)
@given(operands(3))
def test_of_three_operands(recipes):
    for name, function in TERNARY.items():
        agree(function, floats(recipes), name)


@settings(max_examples=40, deadline=None)
@given(operands(2))
def test_gradients(recipes):
    """`.grad` lies as its leaf does, what `grad` returns as the derivative's operands do."""
    recipes = floats(recipes)
    for name in ("mul", "div", "maximum", "hypot", "sub"):
        seen = []
        for lib in (tinynet, torch):
            x, y = (build(lib, r).clone().requires_grad_() for r in recipes)
            z = getattr(lib, name)(x, y)
            dz = lib.ones_like(z)
            first = lib.autograd.grad(z, (x, y), dz, retain_graph=True)
            z.retain_grad()
            z.backward(dz)
            seen.append([strides(t) for t in (z, *first, x.grad, y.grad, z.grad)])
        assert seen[0] == seen[1], name


@pytest.mark.parametrize("name", ["relu", "exp", "tanh", "mul"])
def test_in_place_changes_keep_the_strides_and_out_its_own(name):
    x = tinynet.ones(3, 4).t()[::2]
    before = x.stride()
    out = tinynet.empty(4, 2).t()
    if name == "mul":
        x.mul_(tinynet.ones(2, 3))
    else:
        getattr(x, f"{name}_")()
        tinynet.add(tinynet.ones(2, 4), 1, out=out)
        assert out.stride() == (1, 2)
    assert x.stride() == before
