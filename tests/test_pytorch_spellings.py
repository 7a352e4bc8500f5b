"""Names that programs for PyTorch use around the network: old spellings, other modules, DLPack."""

import hashlib
import importlib.util

import numpy as np
import pytest

import tinynet
from tinynet.autograd import Variable
from tinynet.utils.data import DistributedSampler, StackDataset, TensorDataset


def test_variables_are_tensors():
    x = tinynet.ones(2)
    v = Variable(x, requires_grad=True)
    assert isinstance(v, Variable)
    assert isinstance(x, Variable)
    assert not isinstance(np.ones(2), Variable)
    v.data += 1
    assert x.tolist() == [2, 2]
    (v * 3).sum().backward()
    assert v.grad.data.tolist() == [3, 3]
    assert not x.requires_grad
    assert not Variable(v).requires_grad
    with pytest.warns(UserWarning, match="volatile was removed"):
        Variable(x, volatile=True)
    with pytest.raises(TypeError, match="has to be a tensor, but got ndarray"):
        Variable(np.ones(2))


TYPES = {
    "HalfTensor": tinynet.float16,
    "FloatTensor": tinynet.float32,
    "DoubleTensor": tinynet.float64,
    "ByteTensor": tinynet.uint8,
    "CharTensor": tinynet.int8,
    "ShortTensor": tinynet.int16,
    "IntTensor": tinynet.int32,
    "LongTensor": tinynet.int64,
    "BoolTensor": tinynet.bool,
}


@pytest.mark.parametrize("name", TYPES)
def test_tensor_types(name):
    kind, dtype = getattr(tinynet, name), TYPES[name]
    assert kind(2, 3).shape == (2, 3)
    assert kind().shape == (0,)
    made = kind([[1, 0]])
    assert made.dtype is dtype
    assert made.tolist() == [[1, 0]]
    assert kind(np.array([1])).dtype is dtype
    assert isinstance(made, kind)
    other = tinynet.LongTensor if name == "FloatTensor" else tinynet.FloatTensor
    assert not isinstance(made, other)
    assert made.type() == f"tinynet.{name}"
    for target in (kind, f"torch.{name}", f"tinynet.{name}", dtype):
        assert tinynet.tensor([1.0, 2.0]).type(target).dtype is dtype
    with pytest.raises(TypeError, match="expected sizes"):
        kind([1], [2])
    with pytest.raises(TypeError, match=r"use \.type"):
        kind(other(1))


def test_default_tensor_type():
    try:
        tinynet.set_default_tensor_type("torch.DoubleTensor")
        assert tinynet.ones(1).dtype is tinynet.float64
        tinynet.set_default_tensor_type(tinynet.FloatTensor)
        assert tinynet.ones(1).dtype is tinynet.float32
    finally:
        tinynet.set_default_dtype(tinynet.float32)
    with pytest.raises(TypeError, match="not a floating-point"):
        tinynet.set_default_tensor_type("torch.LongTensor")


def test_integers_have_no_history():
    x = tinynet.ones(2, requires_grad=True)
    assert x.long().grad_fn is None
    assert x.double().requires_grad


def test_format():
    assert f"{tinynet.tensor(3)} {tinynet.tensor(2.5):.3f}" == "3 2.500"
    assert f"{tinynet.ones(1)}" == "tensor([1.])"


@pytest.mark.parametrize(
    "module",
    [
        "accelerator",
        "amp",
        "autograd.functional",
        "autograd.graph",
        "autograd.variable",
        "backends.cuda",
        "backends.cudnn",
        "backends.mkl",
        "backends.mkldnn",
        "backends.mps",
        "backends.openmp",
        "func",
        "hub",
        "multiprocessing",
        "nn.functional",
        "nn.init",
        "nn.parameter",
        "optim.lr_scheduler",
        "transforms.functional",
        "utils.checkpoint",
        "utils.data.sampler",
        "utils.model_zoo",
        "version",
    ],
)
def test_modules_can_be_imported(module):
    imported = importlib.import_module(f"tinynet.{module}")
    owner = tinynet
    for name in module.split("."):
        owner = getattr(owner, name)
    assert owner is imported


def test_backends_answer():
    backends = tinynet.backends
    for module in (backends.cudnn, backends.mps, backends.mkl, backends.mkldnn, backends.openmp):
        assert module.is_available() is False
    assert backends.cudnn.version() is None
    assert not backends.mps.is_built()
    assert backends.cuda.is_built()
    before = backends.cudnn.benchmark
    backends.cudnn.benchmark = True
    backends.cudnn.benchmark = before
    backends.cudnn.allow_tf32 = True
    assert tinynet.kernels.precision.tf32["conv2d"]
    backends.cudnn.allow_tf32 = False
    assert not tinynet.kernels.precision.tf32["conv2d"]


def test_no_accelerator_on_the_cpu(monkeypatch):
    monkeypatch.setattr(tinynet.cuda, "is_available", lambda: False)
    accelerator = tinynet.accelerator
    assert not accelerator.is_available()
    assert accelerator.current_accelerator() is None
    monkeypatch.setattr(tinynet.cuda, "is_available", lambda: True)
    assert accelerator.current_accelerator().type == "cuda"


def test_mixed_precision_stays_in_float32():
    net = tinynet.nn.Linear(2, 1)
    optimizer = tinynet.optim.SGD(net.parameters(), lr=0.1)
    scaler = tinynet.amp.GradScaler(enabled=True)
    with pytest.warns(UserWarning, match="changes nothing here"), tinynet.autocast("cpu"):
        loss = net(tinynet.ones(1, 2)).sum()
    assert loss.dtype is tinynet.float32
    before = net.weight.clone()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose(net.weight.detach().numpy(), before.detach().numpy() - 0.1)
    scaler.load_state_dict(scaler.state_dict())
    assert (scaler.get_scale(), scaler.is_enabled()) == (1.0, True)


def test_weights_from_an_address(tmp_path):
    source = tmp_path / "there"
    source.mkdir()
    tinynet.save({"w": tinynet.ones(2)}, source / "net.pth")
    digest = hashlib.sha256((source / "net.pth").read_bytes()).hexdigest()[:8]
    (source / "net.pth").rename(source / f"net-{digest}.pth")
    url = (source / f"net-{digest}.pth").as_uri()
    for load in (tinynet.hub.load_state_dict_from_url, tinynet.utils.model_zoo.load_url):
        state = load(url, model_dir=tmp_path / "kept", check_hash=True)
        assert state["w"].tolist() == [1, 1]
    (source / f"net-{digest}.pth").unlink()  # it is kept
    assert load(url, model_dir=tmp_path / "kept")["w"].tolist() == [1, 1]
    (source / "net-00000000.pth").write_bytes(b"something else")
    with pytest.raises(RuntimeError, match='invalid hash value \\(expected "00000000"'):
        load((source / "net-00000000.pth").as_uri(), tmp_path / "new", check_hash=True)
    assert not list((tmp_path / "new").glob("*"))


def test_dlpack(monkeypatch):
    x = tinynet.arange(6.0).reshape(2, 3)
    seen = np.from_dlpack(x)
    seen[0, 0] = 7
    assert x[0, 0].item() == 7
    array = np.ones(3)
    shared = tinynet.from_dlpack(array)
    array[1] = 5
    assert shared.tolist() == [1, 5, 1]
    copied = tinynet.from_dlpack(array, copy=True)
    array[1] = 6
    assert copied.tolist() == [1, 5, 1]
    with pytest.raises(BufferError, match="require gradient"):
        x.requires_grad_().__dlpack__()


def test_dlpack_with_pytorch():
    torch = pytest.importorskip("torch")
    x = tinynet.zeros(3)
    theirs = torch.from_dlpack(x)
    theirs += 2
    assert x.tolist() == [2, 2, 2]
    ours = tinynet.from_dlpack(theirs)
    ours.mul_(2)
    assert theirs.tolist() == [4, 4, 4]
    assert (x.data_ptr(), ours.data_ptr()) == (theirs.data_ptr(), theirs.data_ptr())


def test_numpy_functions_of_tensors():
    x = tinynet.tensor([1.0, 4.0])
    assert isinstance(np.sqrt(x), tinynet.Tensor)
    assert np.add(x, 1).tolist() == [2, 5]
    assert np.concatenate([x, x]).tolist() == [1, 4, 1, 4]
    assert np.allclose(x, [1, 4])
    assert np.asarray(x).dtype == np.float32


def test_stacked_datasets():
    a, b = TensorDataset(tinynet.arange(4)), list("abcd")
    assert StackDataset(a, b)[2] == ((tinynet.tensor(2),), "c")
    named = StackDataset(number=b, letter=b)
    assert (len(named), named[1]) == (4, {"number": "b", "letter": "b"})
    with pytest.raises(ValueError, match=r"Size mismatch between datasets: \[3, 4\]"):
        StackDataset(b, "abc")
    with pytest.raises(ValueError, match="not both"):
        StackDataset()


@pytest.mark.parametrize("drop_last", [False, True])
def test_parts_of_a_dataset_for_each_process(drop_last):
    samplers = [DistributedSampler(range(10), 4, rank, drop_last=drop_last) for rank in range(4)]
    orders = []
    for epoch in range(2):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        parts = [list(sampler) for sampler in samplers]
        assert {len(p) for p in parts} == {len(samplers[0])} == {2 if drop_last else 3}
        dealt = [i for row in zip(*parts) for i in row]
        assert set(dealt) <= set(range(10))
        assert len(set(dealt)) == (8 if drop_last else 10)
        orders.append(dealt)
    assert orders[0] != orders[1]
    assert list(DistributedSampler(range(5), 2, 1, shuffle=False)) == [1, 3, 0]
    with pytest.raises(ValueError, match="Invalid rank 2"):
        DistributedSampler(range(5), 2, 2)
    with pytest.raises(RuntimeError, match="say num_replicas"):
        DistributedSampler(range(5))


def test_grids_of_images(tmp_path):
    images = tinynet.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 2, 3)
    grid = tinynet.utils.make_grid(images, nrow=3, padding=1, pad_value=9)
    assert grid.shape == (3, 2 * 3 + 1, 3 * 4 + 1)
    assert grid[0, 1:3, 1:4].tolist() == [[0] * 3] * 2
    assert grid[2, 4:6, 5:8].tolist() == [[4] * 3] * 2
    assert (grid[:, 0] == 9).all()
    assert (grid[:, 4:, 9:] == 9).all()  # no sixth image
    scaled = tinynet.utils.make_grid(images, normalize=True, padding=0, nrow=5)
    assert scaled[0, 0, ::3].tolist() == [0, 0.25, 0.5, 0.75, 1]
    listed = tinynet.utils.make_grid([images[0], images[1]], normalize=True, scale_each=True)
    assert not listed.any()
    assert tinynet.utils.make_grid(images[:1]).shape == (3, 2, 3)
    tinynet.utils.save_image(images / 4, tmp_path / "grid.png", nrow=5, padding=0)
    from PIL import Image

    with Image.open(tmp_path / "grid.png") as file:
        assert [file.getpixel((3 * i, 0))[0] for i in range(5)] == [0, 64, 128, 191, 255]
    with pytest.raises(TypeError, match="tensor or list of tensors expected"):
        tinynet.utils.make_grid(np.ones((2, 1, 3, 3)))
    with pytest.raises(ValueError, match="images are"):
        tinynet.utils.make_grid(tinynet.ones(3))


def test_tensorboard_is_another_package():
    if importlib.util.find_spec("tensorboardX") is None:
        with pytest.raises(ImportError, match="pip install tensorboardX"):
            importlib.import_module("tinynet.utils.tensorboard")
    else:
        assert importlib.import_module("tinynet.utils.tensorboard").SummaryWriter


def _note(rank, folder):
    (folder / str(rank)).write_text("here")


def _fail(rank):
    raise SystemExit(3)


@pytest.mark.slow
def test_processes(tmp_path):
    tinynet.multiprocessing.spawn(_note, (tmp_path,), nprocs=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1"]
    with pytest.raises(RuntimeError, match="process 0 ended with exit code 3"):
        tinynet.multiprocessing.spawn(_fail)
    assert tinynet.multiprocessing.get_all_sharing_strategies() == set()
