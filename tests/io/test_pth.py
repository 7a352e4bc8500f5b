import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

import tinynet
from tinynet import nn, optim
from tinynet.io import FileFormatError


def nested():
    tinynet.manual_seed(0)
    return {
        "epoch": 3,
        "numbers": [1, -5, 2**40, -(2**70), 2.5, float("inf"), True, False, None],
        "text": ("a", "ä€", "", b"\x00\xff"),
        "empty": [[], (), {}, OrderedDict()],
        7: OrderedDict([("w", tinynet.randn(2, 3)), ("scalar", tinynet.tensor(4))]),
        "strided": tinynet.arange(12).reshape(3, 4).t()[::2],
        "none": tinynet.zeros(0, 3),
        **{
            str(d): tinynet.tensor([0, 1, 2]).to(d)
            for d in (tinynet.float64, tinynet.int8, tinynet.uint8, tinynet.bool, tinynet.float16)
        },
    }


def same(a, b):
    """True if two nested containers are equal, tensors' dtypes included; b may be PyTorch's."""
    if isinstance(a, tinynet.Tensor):
        left, right = a.detach().numpy(), b.detach().numpy()
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "state.pth"
    tinynet.save(nested(), path)
    loaded = tinynet.load(path)
    assert same(nested(), loaded)
    assert isinstance(loaded[7], OrderedDict)
    assert os.listdir(tmp_path) == ["state.pth"]
    loaded[7]["w"][0, 0] = 9.0
    assert loaded[7]["w"][0, 0].item() == 9


def test_files_and_streams_and_safetensors(tmp_path):
    stream = io.BytesIO()
    tinynet.save([1, tinynet.ones(2)], stream)
    stream.seek(0)
    assert same(tinynet.load(stream), [1, tinynet.ones(2)])
    tinynet.save({"w": tinynet.ones(2)}, tmp_path / "w.safetensors")
    assert same(tinynet.load(tmp_path / "w.safetensors"), {"w": tinynet.ones(2)})
    tinynet.save({"w": (tinynet.ones(2),)}, str(tmp_path / "w.pt"))
    assert tinynet.load(str(tmp_path / "w.pt"), "cpu")["w"][0].device.type == "cpu"


def test_a_network_and_its_optimizer_go_on_as_if_nothing_had_happened(tmp_path):
    def made():
        tinynet.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        return model, optim.AdamW(model.parameters(), lr=0.1)

    def step(model, optimizer):
        optimizer.zero_grad()
        model(tinynet.arange(12).float().reshape(4, 3)).square().sum().backward()
        optimizer.step()

    model, optimizer = made()
    step(model, optimizer)
    tinynet.save({"model": model.state_dict(), "opt": optimizer.state_dict()}, tmp_path / "c.pth")
    step(model, optimizer)
    other, other_optimizer = made()
    state = tinynet.load(tmp_path / "c.pth")
    other.load_state_dict(state["model"])
    other_optimizer.load_state_dict(state["opt"])
    step(other, other_optimizer)
    assert same(model.state_dict(), other.state_dict())


def test_parameters_stay_parameters(tmp_path):
    tinynet.save(
        [nn.Parameter(tinynet.ones(2)), tinynet.ones(1, requires_grad=True)], tmp_path / "p"
    )
    parameter, tensor = tinynet.load(tmp_path / "p")
    assert isinstance(parameter, nn.Parameter)
    assert parameter.requires_grad
    assert tensor.requires_grad
    assert tensor.is_leaf


def test_pytorch_reads_what_is_saved(tmp_path):
    torch = pytest.importorskip("torch")
    tinynet.save(nested(), tmp_path / "state.pth")
    assert same(nested(), torch.load(tmp_path / "state.pth", weights_only=True))
    parameter = nn.Parameter(tinynet.ones(2))
    tinynet.save(parameter, tmp_path / "p.pth")
    assert isinstance(torch.load(tmp_path / "p.pth"), torch.nn.Parameter)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_pytorch_saves_is_read(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    base = torch.arange(12.0).reshape(3, 4)
    value = {
        "model": model.state_dict(),
        "views": [base, base.t(), base[1:, ::2], base[0].expand(5, 4)],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "size": torch.Size([1, 2]),
        "half": torch.ones(2, dtype=torch.float16),
        "bfloat": torch.tensor([1.0, -2.5, 3e38], dtype=torch.bfloat16),
        "more": (1, 2.5, "x", None, {3}, b"bytes"),
    }
    path = tmp_path / "file.pth"
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    loaded = tinynet.load(path)
    assert same(loaded["model"], value["model"])
    assert same(loaded["views"], value["views"])
    assert isinstance(loaded["parameter"], nn.Parameter)
    assert loaded["size"] == (1, 2)
    assert loaded["half"].dtype == tinynet.float16
    np.testing.assert_array_equal(loaded["bfloat"].numpy(), value["bfloat"].float().numpy())
    assert loaded["more"] == value["more"]
    mine = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    mine.load_state_dict(loaded["model"])
    x = np.random.default_rng(0).standard_normal((2, 1, 5, 5)).astype(np.float32)
    with torch.no_grad():
        theirs = model.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(
        mine.eval()(tinynet.from_numpy(x)).detach().numpy(), theirs, atol=1e-6
    )


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
@pytest.mark.parametrize("from_pytorch", [True, False])
def test_a_training_goes_on_in_the_other_library(tmp_path, name, from_pytorch):
    """A checkpoint of network, optimiser and schedule, in the middle of a training."""
    torch = pytest.importorskip("torch")
    options = {
        "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        "Adam": {"lr": 0.01, "amsgrad": True},
        "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    }
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)

    def parts(library):
        layers = library.nn
        net = layers.Sequential(layers.Linear(4, 3), layers.BatchNorm1d(3), layers.Linear(3, 1))
        optimizer = getattr(library.optim, name)(net.parameters(), **options[name])
        schedule = library.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        return {"net": net, "optimizer": optimizer, "schedule": schedule}

    def train(library, parts, steps):
        for _ in range(steps):
            parts["optimizer"].zero_grad()
            loss = (parts["net"](library.from_numpy(x.copy())) ** 2).mean()
            loss.backward()
            parts["optimizer"].step()
            parts["schedule"].step()
        return loss.item()

    first, second = (torch, tinynet) if from_pytorch else (tinynet, torch)
    before, after = parts(first), parts(second)
    train(first, before, 3)
    state = {key: part.state_dict() for key, part in before.items()}
    first.save(state, tmp_path / "checkpoint.pth")
    for key, part in second.load(tmp_path / "checkpoint.pth").items():
        after[key].load_state_dict(part)
    assert train(second, after, 4) == pytest.approx(train(first, before, 4), rel=1e-5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nn.Linear(1, 1), r"obj is a Linear; only tensors.* save its state_dict\(\)"),
        ({"a": [1, print]}, r"obj\['a'\]\[1\] is a builtin_function_or_method"),
        ({(1, print): 2}, r"a key of obj"),
        ({"a": np.ones(2)}, r"obj\['a'\] is a ndarray"),
    ],
)
def test_what_cannot_be_saved_is_named(tmp_path, value, message):
    with pytest.raises(TypeError, match=message):
        tinynet.save(value, tmp_path / "file")
    assert not os.listdir(tmp_path)


def test_what_contains_itself_cannot_be_saved():
    value = []
    value.append(value)
    with pytest.raises(TypeError, match=r"obj\[0\] contains itself"):
        tinynet.save(value, io.BytesIO())


class Evil:
    """Touches a file when it is unpickled as usual."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def archive(path, pickled, **files):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", pickled)
        for name, content in files.items():
            file.writestr(f"x/data/{name}", content)


def test_a_file_that_would_execute_something_is_refused(tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "evil.pth"
    content = pickle.dumps({"weights": Evil(mark)})
    archive(path, content)
    with pytest.raises(FileFormatError, match=r"evil.pth is refused .*asks for (posix|nt).system"):
        tinynet.load(path)
    legacy = b"".join(pickle.dumps(v) for v in (0x1950A86A20F9469CFC6C, 1001, {}))
    path.write_bytes(legacy + content)
    with pytest.raises(FileFormatError, match=r"system, which is not data; nothing .* executed"):
        tinynet.load(path)
    assert not mark.exists()
    pickle.loads(content)
    assert mark.exists(), "the file does what it was refused for"
    with pytest.raises(ValueError, match="tinynet never does"):
        tinynet.load(path, weights_only=False)


STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
)
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


@pytest.mark.parametrize(
    ("pickled", "reason"),
    [
        (b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.", "builtins.eval"),
        (b"cbuiltins\ngetattr\n.", "builtins.getattr"),
        (b"ctinynet\nload\n.", "tinynet.load"),
        # what a file may name cannot be changed by it
        (REBUILD + b"}X\x04\x00\x00\x00makeK\x01sb.", "sets attributes of a function"),
        (REBUILD + b"N}X\x04\x00\x00\x00makeK\x01s\x86b.", "sets attributes of a function"),
        (b"ctorch\nFloatStorage\n}X\x04\x00\x00\x00nameK\x01sb.", "cannot be changed"),
        (b"ctorch\nFloatStorage\n)\x81.", "type"),
        # tensors beyond their storage
        (REBUILD + b"(" + STORAGE + b"K\x00K\x05\x85K\x01\x85\x89}tR.", "reaches beyond its 4"),
        (REBUILD + b"(" + STORAGE + b"K\x01K\x04\x85K\x01\x85\x89}tR.", "reaches beyond its 4"),
        (REBUILD + b"(" + STORAGE + b"J\xff\xff\xff\xffK\x01\x85K\x01\x85\x89}tR.", "beyond"),
        (REBUILD + b"(" + STORAGE + b"K\x00K\x04\x85J\xff\xff\xff\xff\x85\x89}tR.", "beyond"),
        (REBUILD + b"(X\x01\x00\x00\x00aK\x00K\x04\x85K\x01\x85\x89}tR.", "refused or damaged"),
        (b"(X\x07\x00\x00\x00storageNX\x01\x00\x00\x000NK\x04tQ.", "a storage has no type"),
        (b"", "refused or damaged"),
        (b"\x80\x02}", "refused or damaged"),
    ],
)
def test_crafted_pickles_are_refused(tmp_path, pickled, reason):
    archive(tmp_path / "x.pth", pickled, **{"0": np.ones(4, np.float32).tobytes()})
    with pytest.raises(FileFormatError, match=reason):
        tinynet.load(tmp_path / "x.pth")


def test_damaged_files_are_refused_by_name(tmp_path):
    path = tmp_path / "w.pth"
    tinynet.save({"w": tinynet.arange(1000)}, path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (whole[:-1], whole[:middle], flipped, b"", b"text", whole[:4]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"w.pth is"):
            tinynet.load(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "letter")
    with pytest.raises(FileFormatError, match="a zip archive, but not one of PyTorch's"):
        tinynet.load(path)


def test_damaged_old_files_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    torch.save({"w": torch.arange(100)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for keep in range(0, len(whole), 37):
        path.write_bytes(whole[:keep])
        with pytest.raises(FileFormatError, match=r"w.pth is"):
            tinynet.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    tinynet.save({"w": tinynet.ones(2)}, path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        tinynet.save({"w": tinynet.zeros(2)}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.pth"]
