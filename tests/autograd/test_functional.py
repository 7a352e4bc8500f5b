"""Derivatives of functions: `autograd.functional`, `func`, checkpoints, and options of `grad`."""

import numpy as np
import pytest

import tinynet
from tinynet import func
from tinynet.autograd import functional, grad, graph
from tinynet.utils.checkpoint import checkpoint, checkpoint_sequential

RANDOM = np.random.default_rng(0)


def numbers(*shape):
    return tinynet.tensor(RANDOM.standard_normal(shape))


def two(x, y):
    """Two outputs of two inputs."""
    return (x * y).sin(), (x**2).sum() * y


def one(x, y):
    return (x * y).sin().sum() + (x**3).sum()


X, Y = numbers(2, 3), numbers(3)


def differences(f, x, eps=1e-6):
    """The Jacobian of f at x by central differences."""
    flat = x.numpy().ravel()
    columns = []
    for i in range(flat.size):
        step = np.zeros_like(flat)
        step[i] = eps
        up, down = (tinynet.tensor((flat + s).reshape(x.shape)) for s in (step, -step))
        columns.append((f(up).numpy() - f(down).numpy()) / (2 * eps))
    return np.stack(columns, -1).reshape(*columns[0].shape, *x.shape)


def test_jacobian():
    found = functional.jacobian(two, (X, Y))
    for i in range(2):
        for j, f in enumerate((lambda x, i=i: two(x, Y)[i], lambda y, i=i: two(X, y)[i])):
            expected = differences(f, (X, Y)[j])
            np.testing.assert_allclose(found[i][j].numpy(), expected, atol=1e-8)
    single = functional.jacobian(lambda x: x.exp(), X)
    np.testing.assert_allclose(single.numpy(), differences(lambda x: x.exp(), X), atol=1e-8)


def test_products_with_the_jacobian():
    jacobian = functional.jacobian(two, (X, Y))
    u, v = (numbers(2, 3), numbers(3)), (numbers(2, 3), numbers(3))
    value, pulled = functional.vjp(two, (X, Y), u)
    np.testing.assert_array_equal(value[0].numpy(), two(X, Y)[0].numpy())
    for j, size in enumerate((6, 3)):
        expected = sum(
            u[i].numpy().ravel() @ jacobian[i][j].numpy().reshape(-1, size) for i in range(2)
        )
        np.testing.assert_allclose(pulled[j].numpy().ravel(), expected)
    _, pushed = functional.jvp(two, (X, Y), v)
    for i in range(2):
        expected = sum(
            jacobian[i][j].numpy().reshape(-1, size) @ v[j].numpy().ravel()
            for j, size in enumerate((6, 3))
        )
        np.testing.assert_allclose(pushed[i].numpy().ravel(), expected)
    assert not pushed[0].requires_grad
    assert functional.vjp(two, (X, Y), u, create_graph=True)[1][0].requires_grad


def test_hessian_and_its_products():
    hessian = functional.hessian(one, (X, Y))
    expected = differences(lambda x: functional.jacobian(lambda a: one(a, Y), x), X)
    np.testing.assert_allclose(hessian[0][0].numpy(), expected, atol=1e-7)
    np.testing.assert_allclose(
        hessian[0][1].numpy().reshape(6, 3), hessian[1][0].numpy().reshape(3, 6).T
    )
    v = (numbers(2, 3), numbers(3))
    rows = [
        sum(np.tensordot(hessian[i][j].numpy(), v[j].numpy(), v[j].ndim) for j in range(2))
        for i in range(2)
    ]
    for product in (functional.hvp, functional.vhp):
        value, found = product(one, (X, Y), v)
        np.testing.assert_allclose(value.item(), one(X, Y).item())
        for i in range(2):
            np.testing.assert_allclose(found[i].numpy(), rows[i])


def test_functions_that_do_not_depend():
    jacobian = functional.jacobian(lambda x, y: x * 2, (X, Y))
    assert not jacobian[1].numpy().any()
    with pytest.raises(RuntimeError, match="does not depend on input 1, and strict=True"):
        functional.jacobian(lambda x, y: x * 2, (X, Y), strict=True)
    assert not functional.jvp(lambda x: tinynet.ones(2), X, X)[1].numpy().any()
    with pytest.raises(RuntimeError, match="v can only be None"):
        functional.vjp(lambda x: x, X)
    with pytest.raises(RuntimeError, match=r"shapes \[\(3,\)\], but must have \[\(2, 3\)\]"):
        functional.jvp(lambda x: x, X, Y)
    with pytest.raises(RuntimeError, match="single element"):
        functional.hessian(lambda x: x, X)
    with pytest.raises(TypeError, match="tuple of Tensors"):
        functional.jacobian(lambda x: x, 3.0)


def test_grad_of_functions():
    np.testing.assert_allclose(func.grad(one)(X, Y).numpy(), func.grad(one, 0)(X, Y).numpy())
    x, y = func.grad(one, (0, 1))(X, Y)
    expected = functional.jacobian(one, (X, Y))
    np.testing.assert_allclose(x.numpy(), expected[0].numpy())
    np.testing.assert_allclose(y.numpy(), expected[1].numpy())
    g, (value, aux) = func.grad_and_value(lambda x: (one(x, Y), "more"), has_aux=True)(X)
    assert (value.item(), aux) == (one(X, Y).item(), "more")
    assert not g.requires_grad
    with pytest.raises(RuntimeError, match="scalar tensor, got a tensor with 2 dims"):
        func.grad(lambda x: x)(X)


def test_grad_of_grad():
    x = tinynet.tensor(0.7)
    third = func.grad(func.grad(func.grad(lambda x: x.sin())))
    assert third(x).item() == pytest.approx(-np.cos(0.7))
    # the inner function sees the outer one's argument only by its closure
    mixed = func.grad(lambda u: func.grad(lambda x: u * u * x**3)(tinynet.tensor(3.0)))
    assert mixed(tinynet.tensor(2.0)).item() == 2 * 2 * 27
    assert not mixed(tinynet.tensor(2.0)).requires_grad


def test_grad_keeps_what_is_recorded_outside():
    w = tinynet.tensor(2.0, requires_grad=True)
    slope = func.grad(lambda x: (w * x * x).sum())(tinynet.tensor(3.0))
    slope.backward()
    assert (slope.item(), w.grad.item()) == (12, 6)
    x = tinynet.tensor(3.0, requires_grad=True)
    func.grad(lambda x: x**3)(x).backward()
    assert x.grad.item() == 18


def test_grad_of_dictionaries():
    tree = {"w": X, "b": Y}
    g = func.grad(lambda p: one(p["w"], p["b"]))(tree)
    np.testing.assert_allclose(g["b"].numpy(), func.grad(one, 1)(X, Y).numpy())


def test_jacobians_of_functions():
    expected = functional.jacobian(two, (X, Y))
    for jacobian in (func.jacrev, func.jacfwd):
        found = jacobian(two, (0, 1))(X, Y)
        np.testing.assert_allclose(found[0][1].numpy(), expected[0][1].numpy())
    np.testing.assert_allclose(
        func.hessian(one)(X, Y).numpy(), functional.hessian(one, (X, Y))[0][0].numpy()
    )
    value, pull = func.vjp(two, X, Y)
    v = numbers(2, 3), numbers(3)
    for a, b in zip(pull(v), functional.vjp(two, (X, Y), v)[1]):
        np.testing.assert_allclose(a.numpy(), b.numpy())
    assert not value[0].requires_grad
    _, push = func.linearize(two, X, Y)
    for found in (push(X, Y), func.jvp(two, (X, Y), (X, Y))[1]):
        for a, b in zip(found, functional.jvp(two, (X, Y), (X, Y))[1]):
            np.testing.assert_allclose(a.numpy(), b.numpy())


def test_vmap():
    rows = func.vmap(lambda a, b: (a * b).sum(), in_dims=(0, None))(X, Y)
    np.testing.assert_allclose(rows.numpy(), X.numpy() @ Y.numpy())
    per_example = func.vmap(func.grad(one), in_dims=(0, None))(X, Y)
    for i in range(2):
        np.testing.assert_allclose(per_example[i].numpy(), func.grad(one)(X[i], Y).numpy())
    turned = func.vmap(lambda a: {"twice": 2 * a}, in_dims=1, out_dims=1)(X)
    np.testing.assert_array_equal(turned["twice"].numpy(), 2 * X.numpy())
    with pytest.raises(ValueError, match=r"one size, but have \[2, 3\]"):
        func.vmap(one)(X, Y)


def test_functional_call():
    net = tinynet.nn.Sequential(tinynet.nn.Linear(3, 2), tinynet.nn.BatchNorm1d(2))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    weights = {k: tinynet.ones_like(v) for k, v in net.named_parameters()}
    x = numbers(4, 3).float()
    found = func.functional_call(net.eval(), weights, x)
    np.testing.assert_allclose(
        found.numpy(), (x.numpy().sum(1, keepdims=True) + 1) / np.sqrt(1 + 1e-5) * [1, 1] + 1, 1e-5
    )
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key].numpy())
    gradients = func.grad(lambda w: func.functional_call(net, w, (x,)).sum())(weights)
    assert set(gradients) == set(weights)
    with pytest.raises(RuntimeError, match=r"unexpected names \['no'\]"):
        func.functional_call(net, {"no": x}, (x,), strict=True)


def test_stacked_models():
    nets = [tinynet.nn.Linear(3, 2) for _ in range(4)]
    parameters, buffers = func.stack_module_state(nets)
    assert parameters["weight"].shape == (4, 2, 3)
    assert not buffers
    results = func.vmap(lambda p: func.functional_call(nets[0], p, Y.float()))(parameters)
    np.testing.assert_allclose(
        results[2].detach().numpy(), nets[2](Y.float()).detach().numpy(), 1e-6
    )


def test_batched_gradients():
    x = X.clone().requires_grad_()
    y = (x**2).sum(1)
    (found,) = grad(y, x, tinynet.eye(2).double(), is_grads_batched=True)
    np.testing.assert_allclose(
        found.numpy(), functional.jacobian(lambda x: (x**2).sum(1), X).numpy()
    )
    with pytest.raises(ValueError, match="only_inputs=False is no more"):
        grad((x**2).sum(), x, only_inputs=False)


def test_hooks_on_several_gradients():
    x, y = X.clone().requires_grad_(), Y.clone().requires_grad_()
    calls = []
    handle = graph.register_multi_grad_hook([x, y], lambda g: calls.append([len(g), *g]))
    one(x, y).backward()
    assert calls[0][0] == 2
    np.testing.assert_array_equal(calls[0][2].numpy(), y.grad.numpy())
    handle.remove()
    one(x, y).backward()
    assert len(calls) == 1
    graph.register_multi_grad_hook([x, y], calls.append, mode="any")
    one(x, y).backward()
    assert len(calls) == 2
    edge = graph.get_gradient_edge(x * 2)
    assert edge.node.name() == "MulBackward0"
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.get_gradient_edge(X)


def test_checkpoint():
    tinynet.manual_seed(0)
    net = tinynet.nn.Sequential(
        tinynet.nn.Linear(3, 8), tinynet.nn.Dropout(0.5), tinynet.nn.Tanh(), tinynet.nn.Linear(8, 1)
    )
    x = numbers(5, 3).float().requires_grad_()
    runs = []
    for run in (
        lambda: net(x),
        lambda: checkpoint(net, x, use_reentrant=False),
        lambda: checkpoint(lambda a, flip: net(a), x, flip=True),
        lambda: checkpoint_sequential(net, 2, x),
    ):
        tinynet.manual_seed(3)
        net.zero_grad()
        x.grad = None
        value = run()
        value.sum().backward()
        runs.append([value.detach(), x.grad, *(p.grad for p in net.parameters())])
    for other in runs[1:]:
        for a, b in zip(runs[0], other):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    with tinynet.no_grad():
        assert not checkpoint(net, x).requires_grad


def test_checkpoints_remember_less():
    kept = []

    def watched(x):
        y = (x * 2).tanh()
        kept.append(y)
        return y * 3

    x = X.clone().requires_grad_()
    checkpoint(watched, x)
    assert not kept[0].requires_grad  # nothing was recorded inside
    with pytest.raises(RuntimeError, match="gradient of a gradient"):
        grad(checkpoint(watched, x).sum(), x, create_graph=True)


def test_compile_is_the_function():
    @tinynet.compile
    def twice(x):
        return 2 * x

    @tinynet.compile(mode="max-autotune")
    def thrice(x):
        return 3 * x

    assert (twice(2), thrice(2)) == (4, 6)
    net = tinynet.nn.Linear(1, 1)
    assert tinynet.compile(net) is net
