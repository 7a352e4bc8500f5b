"""Tensors, layers and optimisers on a GPU, as far as a stand-in for CuPy can tell.

fake_cupy refuses what CuPy refuses: above all, to mix its arrays with NumPy's. Its kernels are the
real ones, run through cuda-host.
"""

import copy
import io
import pickle
import sys

import fake_cupy
import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels import reports

import tinynet
from tinynet import nn
from tinynet.models.lenet5 import LeNet5
from tinynet.models.vgg import VGG
from tinynet.nn import functional as F
from tinynet.testing.operations import OPERATIONS
from tinynet.train import Config, train


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(reports, "_boards", {})
    return fake_cupy.install(monkeypatch)


def on_gpu(tensor):
    return type(tensor.array) is fake_cupy.ndarray


# Rows whose call holds a tensor or an array of its own, on the CPU.
WITH_CONSTANTS = {
    "pow of zeros", "pow from zero", "plane_gather", "batch_norm, evaluation",
    "batch_norm, evaluation, plain", "binary_cross_entropy, certain",
    "fractional_max_pool2d", "fractional_max_pool3d", "multilabel_margin_loss", "ctc_loss",
    "embedding", "embedding_bag sum", "embedding_bag mean", "embedding_bag max",
    "scaled_dot_product_attention masked", "copysign", "hypot at 0", "xlogy of 0",
}  # fmt: skip
ROWS = [
    row
    for row in OPERATIONS
    if row.name not in WITH_CONSTANTS and not row.name.startswith("cross_entropy ignored")
]


def outputs_and_gradients(row, device):
    """Every output, and the first (and second) derivatives of the sum of its squares."""
    inputs = [x.detach().to(device).requires_grad_(x.requires_grad) for x in row.inputs()]
    leaves = [x for x in inputs if x.requires_grad]
    tinynet.manual_seed(0)
    made = row.call(*inputs)
    made = list(made) if isinstance(made, tuple | list) else [made]
    results, sums = list(made), [y for y in made if y.requires_grad]
    for order in row.orders:
        if not sums:
            break
        total = sum(((y * y).sum() for y in sums[1:]), (sums[0] * sums[0]).sum())
        grads = tinynet.autograd.grad(
            total, leaves, allow_unused=True, create_graph=order < max(row.orders)
        )
        results += grads
        sums = [g for g in grads if g is not None and g.requires_grad]
    return results


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_operation(gpu, row):
    """Values and derivatives as on the CPU, and nothing came back by way of the CPU."""
    with kernels.use("reference"):
        wanted = outputs_and_gradients(row, "cpu")
    got = outputs_and_gradients(row, "cuda")
    for a, b in zip(got, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert on_gpu(a)
            np.testing.assert_allclose(
                a.detach().cpu().numpy(), b.detach().numpy(), rtol=1e-7, atol=1e-9
            )


def some_rows():
    names = ("add broadcast", "matmul batches", "x[i, :, j]", "index_put", "sort", "conv2d 3x3",
             "max_pool2d overlapping", "batch_norm", "cross_entropy", "logsumexp (0, 2)", "erf",
             "pad reflect", "diagonal", "slogdet", "where")  # fmt: skip
    return [row for row in ROWS if row.name in names]


@pytest.mark.parametrize("row", some_rows(), ids=lambda row: row.name)
def test_some_operations(gpu, row):
    test_every_operation(gpu, row)


def small_vgg():
    return VGG(
        (1, 1, 1, 1, 1), 10, dropout=0.3, batch_norm=True, image_size=32,
        channels=(4, 6, 8, 8, 8), hidden=12,
    )  # fmt: skip


NETWORKS = {
    "LeNet-5": (LeNet5, (6, 1, 28, 28)),
    "VGG": (small_vgg, (5, 3, 32, 32)),
}


def trained(network, device, optimizer, steps=2, backend=None):
    """The parameters, and the losses, after some steps from the same start."""
    make, shape = NETWORKS[network]
    tinynet.manual_seed(0)
    model = make()
    x = tinynet.randn(*shape).to(device)
    y = tinynet.randint(0, 10, (shape[0],)).to(device)
    model.to(device)
    step = optimizer(model.parameters())
    losses = []
    with kernels.use(backend):
        for _ in range(steps):
            step.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            step.step()
            losses.append(loss.detach())
    state = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    return state, [loss.cpu().numpy() for loss in losses]


OPTIMIZERS = {
    "SGD": lambda p: tinynet.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda p: tinynet.optim.Adam(p, lr=1e-3),
}


def agree(one, other, tolerance):
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for name, value in one[0].items():
        np.testing.assert_allclose(value, other[0][name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("backend", ["reference", pytest.param("cpu", marks=pytest.mark.slow)])
def test_training_through_the_emulator(network, backend):
    """Two steps with every kernel of the network in CUDA C++, on NumPy arrays."""
    ours = trained(network, "cpu", OPTIMIZERS["SGD"], backend="cuda-host")
    agree(ours, trained(network, "cpu", OPTIMIZERS["SGD"], backend=backend), 2e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_training_on_the_gpu(gpu, network, optimizer):
    """The same, on the GPU's arrays; Adam divides by what is nearly 0, and so is less exact."""
    ours = trained(network, "cuda", OPTIMIZERS[optimizer])
    theirs = trained(network, "cpu", OPTIMIZERS[optimizer], backend="reference")
    agree(ours, theirs, 2e-5 if optimizer == "SGD" else 3e-3)


def test_two_runs_agree_to_the_bit(gpu):
    one, two = (trained("VGG", "cuda", OPTIMIZERS["SGD"]) for _ in range(2))
    for name, value in one[0].items():
        np.testing.assert_array_equal(value, two[0][name])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("clip", [False, True], ids=["plain", "clipped"])
def test_a_step_does_not_wait(gpu, network, clip):
    make, shape = NETWORKS[network]
    model = make().to("cuda")
    x, y = tinynet.randn(*shape).to("cuda"), tinynet.randint(0, 10, (shape[0],)).to("cuda")
    optimizer = tinynet.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    before = fake_cupy.waits
    for _ in range(2):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert fake_cupy.waits == before
    assert np.isfinite(loss.item())
    assert fake_cupy.waits > before


def test_a_label_that_is_no_class_is_raised_when_the_loss_is_read(gpu):
    logits = tinynet.zeros(4, 10, device="cuda", requires_grad=True)
    loss = F.cross_entropy(logits, tinynet.tensor([0, 1, 10, 3], device="cuda"))
    loss.backward()
    with pytest.raises(IndexError, match=r"target\[2\] = 10 is not a class: logits are \(N, C\)"):
        loss.item()
    assert np.isnan(loss.item())  # said once
    F.cross_entropy(logits, tinynet.tensor([-1, 1, 1, 3]).cuda())
    with pytest.raises(IndexError, match=r"target\[0\] = -1 is not a class"):
        tinynet.cuda.synchronize()


def test_moving(gpu):
    x = tinynet.randn(2, 3)
    for y in (x.cuda(), x.to("cuda"), x.to("cuda:0"), x.cuda(0), x.to(x.cuda())):
        assert on_gpu(y)
        assert y.is_cuda
        assert str(y.device) == "cuda:0"
        assert y.get_device() == 0
        assert y.to("cuda") is y
        np.testing.assert_array_equal(y.cpu().numpy(), x.numpy())
    for make in (tinynet.zeros, tinynet.ones, tinynet.empty, tinynet.rand, tinynet.randn):
        assert on_gpu(make(2, 3, device="cuda"))
    assert on_gpu(tinynet.tensor([1.0, 2.0], device="cuda"))
    assert on_gpu(tinynet.arange(5, device="cuda") * 2 + 1)
    assert on_gpu(tinynet.zeros_like(y))
    assert y.data_ptr() == y.detach().data_ptr() != y.clone().data_ptr()
    with pytest.raises(TypeError, match="can't convert cuda device type tensor to numpy"):
        y.numpy()


def test_gradients_come_home(gpu):
    x = tinynet.ones(3, requires_grad=True)
    (x.cuda() * 2).sum().cpu().backward()
    assert not on_gpu(x.grad)
    np.testing.assert_array_equal(x.grad.numpy(), [2, 2, 2])


def test_numbers_from_the_cpu(gpu):
    """One number on the CPU goes with tensors on the GPU, as in PyTorch; arrays do not."""
    scale = tinynet.tensor(2.0, requires_grad=True)
    y = (tinynet.ones(3, device="cuda") * scale).sum()
    assert on_gpu(y)
    y.backward()
    assert scale.grad.item() == 3
    assert not on_gpu(scale.grad)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x, y: x + y,
        lambda x, y: x @ y,
        lambda x, y: F.linear(x, y),
        lambda x, y: tinynet.cat([x, y]),
        lambda x, y: F.cross_entropy(x, y[0].long()),
        lambda x, y: F.batch_norm(x, y[0], y[0], training=False),
        lambda x, y: F.conv2d(x[None, None], y[None, None]),
        lambda x, y: tinynet.where(x > 0, x, y),
        lambda x, y: nn.Linear(2, 2)(x),
    ],
    ids=[
        "add",
        "matmul",
        "linear",
        "cat",
        "cross_entropy",
        "batch_norm",
        "conv2d",
        "where",
        "layer",
    ],
)
def test_mixed_devices_are_refused_with_a_sentence(gpu, mix):
    x, y = tinynet.ones(2, 2, device="cuda"), tinynet.ones(2, 2)
    with pytest.raises(RuntimeError, match=r"same device, but found .* and .*\.to\(device"):
        mix(x, y)


def test_writing_to_an_expanded_tensor_is_refused(gpu):
    """All its elements lie in one place, and the GPU's threads would write there at once."""
    x = tinynet.zeros(3, 1, device="cuda").expand(3, 4)
    with pytest.raises(RuntimeError, match="more than one element of it refers to a single memory"):
        x.add_(1)


def test_views_share_memory(gpu):
    x = tinynet.arange(6, device="cuda").reshape(2, 3)
    x[0].add_(10)
    x[:, 1] = 0
    assert x.tolist() == [[10, 0, 12], [3, 0, 5]]
    x[tinynet.tensor([1, 1]).cuda(), 0] = tinynet.tensor([7, 8]).cuda()  # the last one stays
    assert x.tolist() == [[10, 0, 12], [8, 0, 5]]


def test_printing_copying_and_saving(gpu, tmp_path):
    x = tinynet.tensor([1.5, 2.5], device="cuda")
    assert repr(x) == "tensor([1.5000, 2.5000], device='cuda:0')"
    assert f"{x[0]:.2f}" == "1.50"
    assert on_gpu(copy.deepcopy(x))
    assert pickle.loads(pickle.dumps(x)).tolist() == [1.5, 2.5]
    model = LeNet5().to("cuda")
    assert all(on_gpu(p) for p in model.parameters())
    file = io.BytesIO()
    tinynet.save(model.state_dict(), file)
    file.seek(0)
    other = LeNet5().to("cuda")
    other.load_state_dict(tinynet.load(file))
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert on_gpu(b)
        np.testing.assert_array_equal(a.detach().cpu().numpy(), b.detach().cpu().numpy())


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adadelta", "AdamW", "SGD"])
def test_every_optimizer(gpu, name):
    results = []
    for device in ("cpu", "cuda"):
        tinynet.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).to(device)
        optimizer = getattr(tinynet.optim, name)(model.parameters(), lr=0.1)
        x = tinynet.randn(3, 4).to(device)
        with kernels.use("reference" if device == "cpu" else None):
            for _ in range(3):
                optimizer.zero_grad()
                model(x).square().sum().backward()
                optimizer.step()
        results.append([p.detach().cpu().numpy() for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradcheck_on_the_gpu(gpu):
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    model = model.double().to("cuda")
    x = tinynet.randn(2, 2, 4, 4).double().to("cuda").requires_grad_()
    assert tinynet.autograd.gradcheck(model, (x,))


@pytest.mark.slow
def test_train_command(gpu, tmp_path):
    """`tinynet train --device cuda`: the batches are read, moved, trained on and tested there."""
    config = {"model": "mlp", "data": "digits", "epochs": 1, "per_class": 12, "batch_size": 16}
    runs = []
    for device in ("cuda", "cpu"):
        with kernels.use("reference" if device == "cpu" else None):
            runs.append(train(Config(device=device, **config), tmp_path / device)[1][0])
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-4)
    assert runs[0].test_loss == pytest.approx(runs[1].test_loss, rel=1e-4)


def test_the_namespace(gpu):
    cuda = tinynet.cuda
    assert cuda.is_available()
    assert cuda.device_count() == 1
    assert cuda.current_device() == 0
    assert cuda.get_device_name() == "a stand-in"
    assert cuda.get_device_capability() == (9, 0)
    assert cuda.memory_allocated() <= cuda.memory_reserved()
    assert cuda.max_memory_allocated() >= cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    cuda.empty_cache()
    assert cuda.mem_get_info()[0] < cuda.mem_get_info()[1]
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    with cuda.stream(cuda.Stream()):
        begin.record()
        end.record(cuda.current_stream())
    end.synchronize()
    assert begin.elapsed_time(end) == 1.0
    with pytest.raises(ValueError, match="enable_timing=True"):
        cuda.Event().elapsed_time(end)
    cuda.manual_seed(3)
    one = tinynet.rand(3)
    cuda.manual_seed_all(3)
    assert one.tolist() == tinynet.rand(3).tolist()
    with pytest.raises(ValueError, match="expected a CUDA device, but got cpu"):
        cuda.get_device_name("cpu")


def test_tf32_switches():
    from tinynet.kernels import precision

    assert precision.tf32 == {"conv2d": False, "matmul": False}
    try:
        tinynet.backends.cuda.matmul.allow_tf32 = True
        assert precision.tf32 == {"conv2d": False, "matmul": True}
        tinynet.backends.cudnn.allow_tf32 = True
        assert tinynet.backends.cudnn.allow_tf32
    finally:
        tinynet.backends.cuda.matmul.allow_tf32 = tinynet.backends.cudnn.allow_tf32 = False


def test_without_cupy_the_reason_and_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    assert not tinynet.cuda.is_available()
    assert tinynet.cuda.device_count() == 0
    for ask in (
        lambda: tinynet.ones(1).cuda(),
        lambda: tinynet.zeros(1, device="cuda"),
        lambda: nn.Linear(1, 1).to("cuda"),
        lambda: tinynet.cuda.synchronize(),
        lambda: tinynet.cuda.init(),
    ):
        with pytest.raises(RuntimeError, match=r"CuPy is not installed; .* pip install 'tinynet"):
            ask()


def test_without_a_gpu_the_reason_and_the_cure(monkeypatch):
    cupy = fake_cupy.install(monkeypatch)

    def none():
        raise fake_cupy.CUDARuntimeError("cudaErrorInsufficientDriver")

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", none)
    assert not tinynet.cuda.is_available()
    with pytest.raises(RuntimeError, match=r"no GPU can be used .*InsufficientDriver.*use device"):
        tinynet.ones(1).cuda()


def test_the_stand_in_is_strict(gpu):
    """Else these tests would prove little."""
    a, b = gpu.asarray(np.ones(3)), np.ones(3)
    for mix in (lambda: a + b, lambda: b + a, lambda: gpu.maximum(a, b), lambda: np.asarray(a)):
        with pytest.raises(TypeError):
            mix()
    with pytest.raises(TypeError):
        a[:2] = b[:2]
    with pytest.raises(TypeError):
        a.max(initial=0)
    with pytest.raises(AttributeError):
        gpu.errstate  # noqa: B018
    assert type(a.sum()) is type(a[0]) is type(np.exp(a)) is fake_cupy.ndarray
    assert a[1:].base is a
    before = fake_cupy.waits
    assert float(a.sum()) == 3
    assert fake_cupy.waits == before + 1
