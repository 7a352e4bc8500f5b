import os

import numpy as np
import pytest

import tinynet
from tinynet.io import FileFormatError, load_safetensors, save_safetensors

ARRAYS = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "layer.double": np.array([1e-300, np.inf, np.nan]),
    "count": np.array(5, np.int64),
    "mask": np.array([True, False]),
    "bytes": np.arange(4, dtype=np.uint8),
    "empty": np.zeros((0, 3), np.float32),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "strided": np.arange(10, dtype=np.float32)[::2],
}


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_safetensors({name: tinynet.as_tensor(a) for name, a in ARRAYS.items()}, path)
    loaded = load_safetensors(path)
    assert set(loaded) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert isinstance(loaded[name], tinynet.Tensor)
        assert loaded[name].numpy().dtype == array.dtype
        np.testing.assert_array_equal(loaded[name].numpy(), array)
    loaded["bytes"].numpy()[0] = 9
    assert os.listdir(tmp_path) == [path.name]


def test_safetensors_own_reader_agrees(tmp_path):
    library = pytest.importorskip("safetensors")
    path = tmp_path / "w.safetensors"
    save_safetensors(ARRAYS, path, {"made by": "a test"})
    with library.safe_open(path, "numpy") as file:
        assert file.metadata() == {"made by": "a test"}
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(file.get_tensor(name), array)


def test_a_network_round_trip(tmp_path):
    tinynet.manual_seed(0)
    first, second = (
        tinynet.nn.Sequential(tinynet.nn.Linear(3, 4), tinynet.nn.BatchNorm1d(4)) for _ in range(2)
    )
    first(tinynet.randn(8, 3))
    save_safetensors(first.state_dict(), tmp_path / "w")
    second.load_state_dict(load_safetensors(tmp_path / "w"))
    x = tinynet.randn(5, 3)
    np.testing.assert_array_equal(
        first.eval()(x).detach().numpy(), second.eval()(x).detach().numpy()
    )


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"weights.safetensors is not a safetensors file"):
        load_safetensors(path)


def test_truncated_files_are_refused(tmp_path):
    path = tmp_path / "w"
    save_safetensors(ARRAYS, path)
    whole = path.read_bytes()
    for keep in (4, 40, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(FileFormatError):
            load_safetensors(path)
