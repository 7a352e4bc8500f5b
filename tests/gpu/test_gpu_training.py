"""Networks on the GPU: as on the CPU, the same bits every run, and no memory that stays behind."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import test_cuda_device as emulated

import tinynet
from tinynet import nn
from tinynet.models import alexnet, vgg16
from tinynet.nn import functional as F

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("row", emulated.ROWS, ids=lambda row: row.name)
def test_every_operation(row, monkeypatch):
    monkeypatch.setattr(emulated, "on_gpu", lambda tensor: tensor.is_cuda)
    emulated.test_every_operation(None, row)


@pytest.mark.parametrize("optimizer", emulated.OPTIMIZERS)
@pytest.mark.parametrize("network", emulated.NETWORKS)
def test_training(network, optimizer):
    emulated.test_training_on_the_gpu(None, network, optimizer)


@pytest.mark.parametrize("network", emulated.NETWORKS)
def test_two_runs_agree_to_the_bit(network):
    one, two = (
        emulated.trained(network, "cuda", emulated.OPTIMIZERS["SGD"], steps=5) for _ in range(2)
    )
    for name, value in one[0].items():
        np.testing.assert_array_equal(value, two[0][name])


def test_gradcheck():
    emulated.test_gradcheck_on_the_gpu(None)


def step_of(make, batch):
    """A training step of a full-size network."""
    tinynet.manual_seed(0)
    model = make().to("cuda")
    optimizer = tinynet.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x = tinynet.randn(batch, 3, 224, 224).to("cuda")
    y = tinynet.randint(0, 1000, (batch,)).to("cuda")

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return model, step


@pytest.mark.parametrize(("make", "batch"), [(vgg16, 8), (alexnet, 32)], ids=["VGG-16", "AlexNet"])
def test_full_size_steps(make, batch):
    """The loss falls, every gradient is finite, and memory does not grow from step to step."""
    model, step = step_of(make, batch)
    losses = [step() for _ in range(3)]
    tinynet.cuda.synchronize()
    held = tinynet.cuda.memory_allocated()
    losses += [step() for _ in range(5)]
    tinynet.cuda.synchronize()
    assert tinynet.cuda.memory_allocated() == held
    values = [loss.item() for loss in losses]
    assert all(np.isfinite(values))
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


def test_tf32_changes_little(monkeypatch):
    """The switches reach the kernels: the loss changes, in its fourth digit or so."""
    _, step = step_of(alexnet, 8)
    full = step().item()
    monkeypatch.setattr(tinynet.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(tinynet.backends.cuda.matmul, "allow_tf32", True)
    _, step = step_of(alexnet, 8)
    rounded = step().item()
    assert 0 < abs(full - rounded) < 0.02 * abs(full)


def test_memory_comes_back():
    tinynet.cuda.empty_cache()
    before = tinynet.cuda.memory_allocated()
    tinynet.cuda.reset_peak_memory_stats()
    x = tinynet.zeros(1024, 1024, device="cuda")
    assert tinynet.cuda.memory_allocated() >= before + x.nbytes
    y = x + 1
    del x, y
    assert tinynet.cuda.memory_allocated() == before
    assert tinynet.cuda.max_memory_allocated() >= before + 2 * 4 * 1024 * 1024
    assert tinynet.cuda.memory_reserved() > before
    tinynet.cuda.empty_cache()


def test_a_deep_graph_is_given_back_without_the_collector():
    before = tinynet.cuda.memory_allocated()
    x = tinynet.ones(1000, device="cuda", requires_grad=True)
    y = x
    for _ in range(1000):
        y = y * 1.001
    del x, y
    assert tinynet.cuda.memory_allocated() == before


def test_a_label_that_is_no_class_is_raised_when_the_loss_is_read():
    emulated.test_a_label_that_is_no_class_is_raised_when_the_loss_is_read(None)


@pytest.mark.parametrize("mix", [lambda x, y: x + y, lambda x, y: nn.Linear(2, 2)(x)])
def test_mixed_devices_are_refused_with_a_sentence(mix):
    x, y = tinynet.ones(2, 2, device="cuda"), tinynet.ones(2, 2)
    with pytest.raises(RuntimeError, match="same device"):
        mix(x, y)


PROGRAM = """
import sys; sys.path[:0] = ["tests/cuda"]
import test_cuda_device as emulated
emulated.trained("VGG", "cuda", emulated.OPTIMIZERS["SGD"], steps=1)
emulated.trained("LeNet-5", "cuda", emulated.OPTIMIZERS["Adam"], steps=1)
"""


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "synccheck", "initcheck"])
def test_compute_sanitizer_finds_nothing(tool):
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not installed")
    command = [sanitizer, "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
