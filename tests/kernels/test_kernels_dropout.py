import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.dropout import reference
from tinynet.kernels.dropout.cases import CASES

SMALLER = [case for case in CASES if case.size != "large"]
cpu = kernels.of(np.zeros(1)).dropout


def test_philox_known_answer():
    """Random123's kat_vectors: counter 0 under key 0, ten rounds."""
    words = [int(word) for word in reference.philox(4, 0)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_philox_agrees_with_numpy_on_blocks_and_keys():
    """A later block and a key of 64 bits, worked again with Python's integers."""
    key, block = 0x0123456789ABCDEF, 3
    c, k = [block, 0, 0, 0], [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    assert [int(word) for word in reference.philox(16, key)[12:]] == c


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALLER, ids=lambda case: case.name)
def test_same_bits_on_cpu_and_reference(case, dtype):
    (x,) = case.arrays(dtype)
    wanted = reference.apply(x, p=case.p, key=case.key)
    got = cpu.apply(x, p=case.p, key=case.key)
    assert got.dtype == wanted.dtype == dtype
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dropout", [reference, cpu], ids=["reference", "cpu"])
def test_share_scale_and_independence(dropout):
    x = np.ones(100_000, np.float32)
    for p in (0.1, 0.5, 0.9):
        y = dropout.apply(x, p=p, key=7)
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / (1 - p))}
        assert abs((y == 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / x.size)
    a, b = (dropout.apply(x, p=0.5, key=key) == 0 for key in (7, 8))
    assert abs((a == b).mean() - 0.5) < 0.01  # neighbouring keys have nothing in common
    assert abs((a[1:] == a[:-1]).mean() - 0.5) < 0.01


@pytest.mark.parametrize("dropout", [reference, cpu], ids=["reference", "cpu"])
def test_mask_depends_on_position_only(dropout):
    """A prefix has the prefix's mask, and a shape does not matter: so it is its own adjoint."""
    x = np.random.default_rng(0).standard_normal((6, 10))
    y = dropout.apply(x, p=0.4, key=5)
    np.testing.assert_array_equal(dropout.apply(x.reshape(-1)[:17], p=0.4, key=5), y.flat[:17])
    dy = np.random.default_rng(1).standard_normal(x.shape)
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(x, dropout.apply(dy, p=0.4, key=5)))
