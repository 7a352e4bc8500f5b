"""Captured graphs of training steps, on the stand-in for CuPy, which repeats what it recorded."""

import fake_cupy
import numpy as np
import pytest
import tinynet.kernels as kernels
from test_cuda_device import NETWORKS, gpu  # noqa: F401 the fixture
from tinynet.kernels import reports

import tinynet
from tinynet import nn
from tinynet.nn import functional as F

pytestmark = pytest.mark.usefixtures("gpu")


def prepared(network="LeNet-5"):
    """(model, batches of images and labels, a step that gives the loss) on the GPU."""
    make, shape = NETWORKS[network]
    tinynet.manual_seed(0)
    model = make().to("cuda")
    batches = [
        (tinynet.randn(*shape).to("cuda"), tinynet.randint(0, 10, (shape[0],)).to("cuda"))
        for _ in range(4)
    ]
    optimizer = tinynet.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return model, batches, step


def state_of(model):
    return {name: value.cpu().numpy() for name, value in model.state_dict().items()}


def captured(step, x, y):
    """The graph of a step on the fixed tensors x and y, and its loss."""
    g = tinynet.cuda.CUDAGraph()
    with tinynet.cuda.graph(g):
        assert tinynet.cuda.is_current_stream_capturing()
        loss = step(x, y)
    assert not tinynet.cuda.is_current_stream_capturing()
    return g, loss


def test_replays_train_as_steps_do():
    """The same losses and weights, to the bit, on new batches; the capture changes nothing."""
    model, batches, step = prepared()
    wanted = [step(*batch).item() for batch in (*batches, *batches)]
    wanted_state = state_of(model)

    model, batches, step = prepared()
    losses = [step(*batches[0]).item()]
    before = state_of(model)
    x, y = (t.clone() for t in batches[0])
    g, loss = captured(step, x, y)
    for name, value in state_of(model).items():
        np.testing.assert_array_equal(value, before[name])
    waits = fake_cupy.waits
    for batch in (*batches[1:], *batches):
        x.copy_(batch[0])
        y.copy_(batch[1])
        g.replay()
        assert fake_cupy.waits == waits
        losses.append(loss.item())
        waits = fake_cupy.waits
    assert losses == wanted
    for name, value in state_of(model).items():
        np.testing.assert_array_equal(value, wanted_state[name])


def test_a_network_with_batch_norm_and_dropout():
    """Statistics move, masks are new in each replay, and the loss falls."""
    model, batches, step = prepared("VGG")
    step(*batches[0])
    g, loss = captured(step, *batches[0])
    losses = []
    for _ in range(6):
        g.replay()
        losses.append(loss.item())
    assert len(set(losses)) == 6
    assert all(np.isfinite(losses))
    tracked = [v.item() for name, v in model.state_dict().items() if name.endswith("_tracked")]
    assert set(tracked) == {7}


def test_dropout_draws_new_masks_and_backward_the_same():
    x = tinynet.ones(4, 50, device="cuda", requires_grad=True)
    g = tinynet.cuda.CUDAGraph()
    with tinynet.cuda.graph(g):
        y = F.dropout(x, 0.5)
        (dx,) = tinynet.autograd.grad(y.sum(), x)
    masks = []
    for _ in range(3):
        g.replay()
        masks.append(y.detach().cpu().numpy())
        np.testing.assert_array_equal(dx.cpu().numpy(), masks[-1])
        assert 0.3 < (masks[-1] > 0).mean() < 0.7
    for i in range(2):
        assert 0.3 < (masks[i] == masks[i + 1]).mean() < 0.7


def test_the_replay_number_is_added_to_the_key():
    """The stream of replay 3 is that of key + 3, on every backend."""
    tinynet.manual_seed(5)
    x = tinynet.ones(40, device="cuda")
    g = tinynet.cuda.CUDAGraph()
    with tinynet.cuda.graph(g):
        y = F.dropout(x, 0.3)
    for _ in range(3):
        g.replay()
    tinynet.manual_seed(5)
    key = tinynet.random.default_generator.key()
    with kernels.use("reference") as reference:
        wanted = reference.dropout.apply(np.ones(40, np.float32), p=0.3, key=(key + 3) % 2**64)
    np.testing.assert_array_equal(y.cpu().numpy(), wanted)


def test_a_label_that_is_no_class_is_raised_after_the_replay_that_met_it():
    logits, target = tinynet.zeros(4, 10, device="cuda"), tinynet.tensor([0, 1, 2, 3]).cuda()
    g = tinynet.cuda.CUDAGraph()
    with tinynet.cuda.graph(g):
        loss = F.cross_entropy(logits, target)
    for _ in range(2):
        target.fill_(3)
        g.replay()
        assert loss.item() == pytest.approx(np.log(10))
        target[2] = 10
        g.replay()
        with pytest.raises(IndexError, match=r"target\[2\] = 10 is not a class"):
            loss.item()
    before = len(reports._boards)
    g.reset()
    assert len(reports._boards) == before - 1


ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("forbidden", "words"),
    [
        (lambda x: x.sum().item(), "reading a result would wait .* Read it after a replay"),
        (lambda x: bool(x[0]), "reading a result would wait"),
        (lambda x: x.cpu(), "reading a result would wait"),
        (lambda x: x + tinynet.from_numpy(ONE).cuda(), "a copy from the CPU.* copy_ new values"),
        (lambda x: fake_cupy.array([1.0, 2.0]), "a copy from the CPU"),
        (lambda x: tinynet.cuda.synchronize(), "cannot wait for itself"),
        (lambda x: first_step("Adam", x), r"counts its steps on the CPU.* Use SGD"),
        (lambda x: first_step("SGD", x, momentum=0.9), "starts the momentum.* Take a step before"),
        (lambda x: by_cublas(x), "cuBLAS.* Use im2col"),
    ],
    ids=["item", "bool", "cpu", "cuda", "constant", "synchronize", "Adam", "momentum", "cuBLAS"],
)
def test_what_cannot_be_captured_is_refused_with_a_sentence(forbidden, words):
    x = tinynet.ones(3, device="cuda", requires_grad=True)
    x.grad = tinynet.ones(3, device="cuda")
    g = tinynet.cuda.CUDAGraph()
    with (
        pytest.raises(RuntimeError, match=f"A CUDA graph is being captured, but .*{words}"),
        tinynet.cuda.graph(g),
    ):
        forbidden(x)
    assert not tinynet.cuda.is_current_stream_capturing()
    assert (x + 1).tolist() == [2, 2, 2]  # and everything works as before
    with pytest.raises(RuntimeError, match="nothing was captured"):
        g.replay()


def first_step(name, x, **options):
    getattr(tinynet.optim, name)([x], lr=0.1, **options).step()


def by_cublas(x):
    with kernels.use(conv2d="im2col_library"):
        F.conv2d(x.reshape(1, 1, 1, 3), x.reshape(1, 3, 1, 1)[:, :1])


def test_the_rest_of_the_interface():
    x = tinynet.ones(3, device="cuda")
    g, other = tinynet.cuda.CUDAGraph(), tinynet.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="non-default stream"):
        g.capture_begin()
    with pytest.raises(RuntimeError, match="call capture_begin first"):
        g.capture_end()
    with tinynet.cuda.graph(g, stream=tinynet.cuda.Stream()):
        y = x * 2
    with pytest.raises(RuntimeError, match=r"has a captured graph already; reset\(\)"):
        g.capture_begin()
    with tinynet.cuda.graph(other, pool=g.pool()):
        z = y + 1
    assert other.pool() is g.pool()
    g.replay()
    other.replay()
    assert z.tolist() == [3, 3, 3]
    x.fill_(5)
    g.replay()
    assert y.tolist() == [10, 10, 10]


def test_linear_layers_need_no_cublas():
    """However small the product: cuBLAS cannot be captured."""
    model, x = nn.Linear(3, 2).to("cuda"), tinynet.ones(4, 3, device="cuda", requires_grad=True)
    g = tinynet.cuda.CUDAGraph()
    with tinynet.cuda.graph(g):
        (dx, dw) = tinynet.autograd.grad(model(x).square().sum(), [x, model.weight])
    g.replay()
    wanted = tinynet.autograd.grad(model(x).square().sum(), [x, model.weight])
    for ours, theirs in zip((dx, dw), wanted, strict=True):
        np.testing.assert_array_equal(ours.cpu().numpy(), theirs.cpu().numpy())
