"""Operations written by users, with PyTorch's `ctx`."""

import pytest

import tinynet as tn
from tinynet.autograd import Function, grad, gradcheck, gradgradcheck, once_differentiable


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * x * x * dy


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * y


class Scale(Function):
    @staticmethod
    def forward(ctx, x, factor, unused=None):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.factor, None, None


def leaf(*values):
    return tn.tensor(values, dtype=tn.float64, requires_grad=True)


@pytest.mark.parametrize("function", [Cube, Exp])
def test_first_and_second_order(function):
    x = leaf(0.5, -1.2, 2.0)
    assert gradcheck(function.apply, x)
    assert gradgradcheck(function.apply, x)


def test_a_wrong_backward_is_caught():
    class Wrong(Cube):
        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return 3.03 * x * x * dy

    with pytest.raises(RuntimeError, match="gradient of input 0 is wrong"):
        gradcheck(Wrong.apply, leaf(0.5, -1.2))


def test_plain_arguments_and_attributes():
    x = leaf(2.0)
    y = Scale.apply(x, 5)
    y.backward()
    assert (y.item(), x.grad.item()) == (10, 5)
    assert y.grad_fn.name() == "ScaleBackward"


def test_saved_output_makes_no_cycle():
    import gc
    import weakref

    gc.disable()
    try:
        x = leaf(1.0)
        y = Exp.apply(x)
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_needs_input_grad_and_none_for_frozen_inputs():
    seen = []

    class Product(Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, dy):
            seen.append(ctx.needs_input_grad)
            x, w = ctx.saved_tensors
            return dy * w, dy * x if ctx.needs_input_grad[1] else None

    x = leaf(2.0)
    Product.apply(x, tn.tensor([3.0]).double()).backward()
    assert seen == [(True, False)]
    assert x.grad.item() == 3


def test_several_outputs_and_unused_ones_give_zeros_or_none():
    seen = []

    class Two(Function):
        materialize = True

        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(Two.materialize)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, da, db):
            seen.append(db if db is None else db.tolist())
            return da * 2 + (0 if db is None else db * 3)

    x = leaf(1.0)
    Two.apply(x)[0].backward()
    Two.materialize = False
    Two.apply(x)[0].backward()
    assert seen == [[0.0], None]
    a, b = Two.apply(x)
    x.grad = None
    (a * b).backward()
    assert x.grad.item() == 2 * 2 * 3


def test_non_differentiable_outputs():
    class Top(Function):
        @staticmethod
        def forward(ctx, x):
            values, indices = x.max(dim=0)
            ctx.mark_non_differentiable(indices)
            ctx.save_for_backward(indices)
            ctx.n = x.shape[0]
            return values, indices

        @staticmethod
        def backward(ctx, dv, di):
            (indices,) = ctx.saved_tensors
            dx = tn.zeros(ctx.n, dtype=dv.dtype)
            dx[indices] = dv
            return dx

    x = leaf(1.0, 5.0, 2.0)
    values, indices = Top.apply(x)
    assert (values.requires_grad, indices.requires_grad) == (True, False)
    values.backward()
    assert x.grad.tolist() == [0, 1, 0]


def test_mark_dirty():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            x.mul_(2)
            return x

        @staticmethod
        def backward(ctx, dy):
            return dy * 2

    x = leaf(3.0)
    y = x * 1
    z = Double.apply(y)
    assert z is y
    z.backward()
    assert (y.item(), x.grad.item()) == (6, 2)


def test_an_input_returned_unchanged_gets_its_own_history():
    class Flip(Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, dy):
            return -dy

    x = leaf(3.0)
    (Flip.apply(x) * 2).backward()
    assert x.grad.item() == -2


def test_a_saved_tensor_changed_in_place_is_refused():
    x = leaf(2.0)
    y = x * 1
    z = Cube.apply(y)
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*CubeBackward"):
        z.backward()


def test_backward_twice():
    x = leaf(2.0)
    y = Cube.apply(x)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_wrong_number_and_kind_of_gradients():
    class TooMany(Cube):
        @staticmethod
        def backward(ctx, dy):
            return dy, dy

    class NotATensor(Cube):
        @staticmethod
        def backward(ctx, dy):
            return 1.0

    with pytest.raises(RuntimeError, match=r"TooManyBackward.*expected 1, got 2"):
        TooMany.apply(leaf(1.0)).backward()
    with pytest.raises(TypeError, match="float as gradient 0"):
        NotATensor.apply(leaf(1.0)).backward()


def test_only_tensors_are_saved():
    class SavesANumber(Cube):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x

    with pytest.raises(TypeError, match="can only save variables"):
        SavesANumber.apply(leaf(1.0))


def test_once_differentiable():
    class Once(Cube):
        @staticmethod
        @once_differentiable
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return tn.from_numpy(3 * x.detach().numpy() ** 2 * dy.detach().numpy())

    x = leaf(2.0)
    (first,) = grad(Once.apply(x), x, create_graph=True)
    assert first.item() == 12
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad(first, x)


def test_setup_context():
    class Separate(Function):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return 3 * x * x * dy

    assert gradcheck(Separate.apply, leaf(0.5, 2.0))
