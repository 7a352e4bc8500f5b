"""The emulator: what a kernel may use of CUDA, and how launches run on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tinynet.kernels import cuda_host, launch

FILE = Path(__file__).with_name("emulator.cu")
NAMES = (
    "positions", "reverse<float>", "reverse<double>", "warp_operations", "some_leave", "atomics",
    "vectors", "arithmetic", "tensor_cores", "prints", "structure", "in_order_of_arrival", "deep",
)  # fmt: skip
KERNELS = launch.load(FILE, NAMES, where="cuda-host")
ORDERS = (0, 1, 7)
SHAPE = np.dtype([("count", np.int64), ("H", np.int32), ("W", np.int32), ("flag", np.uint8)], True)


@pytest.fixture(params=[*ORDERS, "check"])
def how(request):
    """Each order of threads, and checked."""
    checked = request.param == "check"
    with cuda_host.settings(**({"mode": "check"} if checked else {"order": request.param})):
        yield


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("workers", [1, 3])
def test_positions_of_threads_and_blocks(workers):
    grid, block = (4, 3, 2), (5, 3, 2)
    out = np.zeros((2, 3, 4, 2, 3, 5), np.int64)
    with cuda_host.settings(workers=workers):
        KERNELS["positions"](grid, block, (out,))
    bz, by, bx, tz, ty, tx = np.indices(out.shape)
    wanted = bx + 10 * by + 100 * bz + 1000 * tx + 10000 * ty + 100000 * tz
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dynamic_shared_memory(dtype):
    x = np.arange(3 * 64).astype(dtype)
    y = np.empty_like(x)
    name = {"float32": "reverse<float>", "float64": "reverse<double>"}[dtype]
    KERNELS[name]((3,), (64,), (x, y), shared_mem=64 * x.itemsize)
    np.testing.assert_array_equal(y.reshape(3, 64), x.reshape(3, 64)[:, ::-1])


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("threads", [32, 96])
def test_warp_operations(threads, width):
    x = np.random.default_rng(0).integers(1, 50, threads).astype(np.int32)
    out = np.zeros((12, threads), np.int32)
    KERNELS["warp_operations"]((1,), (threads,), (x, out, np.int32(width)))
    lane = np.arange(threads) % 32
    first, group = np.arange(threads) - lane, lane // width * width
    inside = lane % width

    def take(source, valid):
        return x[first + np.where(valid, group + source, lane)]

    wanted = np.zeros_like(out)
    wanted[0] = take(3, True)
    wanted[1] = take(inside - 2, inside >= 2)
    wanted[2] = take(inside + 2, inside + 2 < width)
    wanted[3] = take(inside ^ 5, True)
    warps = x.reshape(-1, 32)
    bits = ((warps % 3 == 0) << np.arange(32, dtype=np.int64)).sum(1)
    wanted[4] = np.repeat(bits, 32).astype(np.uint32).view(np.int32)
    wanted[5], wanted[6] = np.repeat((warps == 7).any(1), 32), np.repeat((warps >= 0).all(1), 32)
    wanted[7:10] = [[(x % 2).sum()], [(x == 7).any()], [(x >= 1).all()]]
    low = lane < 16
    last = lane == 31
    wanted[10] = x[first + np.where(low, lane ^ 1, np.where(last, lane, np.minimum(lane + 1, 31)))]
    wanted[11] = x[first]
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.usefixtures("how")
def test_a_last_warp_may_be_short():
    x = np.arange(1, 41, dtype=np.int32)
    out = np.zeros((12, 40), np.int32)
    KERNELS["warp_operations"]((1,), (40,), (x, out, np.int32(8)))
    np.testing.assert_array_equal(out[3][32:], x[32 + (np.arange(8) ^ 5)])
    assert (out[4][32:] == sum(1 << i for i in range(8) if x[32 + i] % 3 == 0)).all()


@pytest.mark.usefixtures("how")
def test_threads_that_have_left():
    x = np.full(64, 2, np.float32)
    KERNELS["some_leave"]((1,), (64,), (x,))
    np.testing.assert_array_equal(x, np.where(np.arange(64) < 40, 4, 2))


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("workers", [1, 4])
def test_atomics(workers):
    i = np.zeros(9, np.int32)
    i[4] = 255
    f, d, u = np.zeros(1, np.float32), np.zeros(1), np.array([100], np.uint64)
    old = np.empty(128, np.int32)
    with cuda_host.settings(workers=workers):
        KERNELS["atomics"]((4,), (32,), (i, f, d, u, old))
    np.testing.assert_array_equal(i[:8], [128, -256, 127, -127, 0, 255, 0, 5])
    assert 1 <= i[8] <= 128  # whoever came first
    assert (f[0], d[0], u[0]) == (64, 32, 3)
    np.testing.assert_array_equal(np.sort(old), np.arange(128))


@pytest.mark.usefixtures("how")
def test_vectors():
    x, u = np.arange(32 * 4, dtype=np.float32), np.arange(64.0)
    y, v = np.empty(32, np.float32), np.empty(32)
    KERNELS["vectors"]((1,), (32,), (x, y, u, v))
    np.testing.assert_array_equal(y, x.reshape(32, 4) @ [1, 10, 100, 1000] - 1)
    np.testing.assert_array_equal(v, -1)


@pytest.mark.usefixtures("how")
def test_arithmetic():
    y, z = np.empty(8, np.float32), np.empty(8, np.int32)
    KERNELS["arithmetic"]((1,), (1,), (np.array([np.nan, 1], np.float32), y, z))
    np.testing.assert_allclose(y, [1, 1, 3.5, 0.5, np.e, np.e, np.inf, 10], rtol=1e-6)
    np.testing.assert_array_equal(z, [-2, 8, 31, 3, 0x3F800000, 4, 7, 9])


def to_tf32(a):
    """Rounded to 10 bits of mantissa, ties away from zero."""
    bits = a.view(np.uint32).astype(np.uint64) + 0x1000
    return (bits & 0xFFFFE000).astype(np.uint32).view(np.float32).astype(np.float64)


@pytest.mark.usefixtures("how")
def test_tensor_cores_and_asynchronous_copies():
    M, N, K = 27, 24, 40  # the last rows are zeros that no copy reads
    rng = np.random.default_rng(0)
    A, B = (rng.standard_normal(shape).astype(np.float32) for shape in ((M, K), (K, N)))
    C = np.full((M, N), np.nan, np.float32)
    KERNELS["tensor_cores"]((N // 8, 2), (32,), (A, B, C, *map(np.int32, (M, N, K))))
    wanted = to_tf32(A) @ to_tf32(B)
    bound = K * 2.0**-24 * (abs(to_tf32(A)) @ abs(to_tf32(B)))
    assert (abs(C - wanted) <= bound).all()
    assert abs(A.astype(np.float64) @ B - wanted).max() > 10 * bound.max()  # TF32 indeed


def test_a_structure_by_value():
    shape = np.array((1 << 40, 3, 5, 2), SHAPE)
    out = np.empty(6)
    KERNELS["structure"]((1,), (1,), (shape, out, np.float32(0.5)))
    np.testing.assert_array_equal(out, [1 << 40, 3, 5, 2, 0.5, 3.5])
    KERNELS["structure"]((1,), (1,), (shape[()], out, np.float32(2)))
    assert out[4] == 2


def test_printf(capfd):
    KERNELS["prints"]((2,), (2,), (np.int32(42),))
    printed = capfd.readouterr().out.splitlines()
    assert printed == ["thread 1 of block 0: 42", "thread 1 of block 1: 42"]


def test_the_order_of_threads():
    """Three orders show what depends on the order; one order is the same every time."""
    x = np.array([1e8, 1, -1e8, 1, 3, 1e-3, 7, 1e4], np.float32)

    def total(order):
        out = np.zeros(1, np.float32)
        with cuda_host.settings(order=order):
            KERNELS["in_order_of_arrival"]((1,), (8,), (out, x))
        return out[0]

    def summed(values):
        value = np.float32(0)
        for v in values:
            value = np.float32(value + v)
        return value

    assert total(0) == summed(x)
    assert total(1) == summed(x[::-1])
    assert len({total(k) for k in range(12)}) > 2
    assert all(total(k) == total(k) for k in range(12))


def test_settings_are_for_their_block():
    before = cuda_host.library.current()
    with cuda_host.settings(order=3) as chosen:
        assert chosen.order == 3
        with cuda_host.settings(mode="debug") as inner:
            assert (inner.mode, inner.order) == ("debug", 3)
    assert cuda_host.library.current() == before


def test_deep_recursion_has_room():
    out = np.zeros(4, np.int32)
    KERNELS["deep"]((1,), (4,), (out, np.int32(50)))
    np.testing.assert_array_equal(out, 50)


PROGRAM = """
import sys, pathlib, numpy as np
from tinynet.kernels import launch
file = pathlib.Path(sys.argv[1])
kernel = launch.load(file, ("reverse<float>",), where="cuda-host")["reverse<float>"]
x = np.arange(64, dtype=np.float32); y = x.copy()
kernel((1,), (64,), (x, y), shared_mem=256)
assert (y == x[::-1]).all()
print("right")
"""


def test_processes_that_build_at_once(tmp_path):
    """Nobody loads what another has half written, and nobody builds what is there."""
    environment = {**os.environ, "TINYNET_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, str(FILE)]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [p.communicate()[0] for p in running] == ["right\n"] * 3
    built = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.so")}
    assert len(built) == 1
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.so")} == built
    assert not list(tmp_path.rglob("tmp*"))


def test_a_changed_header_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_CACHE_DIR", str(tmp_path / "cache"))
    kernel = tmp_path / "kernel.cu"
    kernel.write_text('#include "value.cuh"\n__global__ void value(int* x) { *x = VALUE; }\n')
    for value in (3, 4):
        (tmp_path / "value.cuh").write_text(f"#pragma once\n#define VALUE {value}\n")
        launch.load.cache_clear()
        x = np.zeros(1, np.int32)
        launch.load(kernel, ("value",), where="cuda-host")["value"]((1,), (1,), (x,))
        assert x[0] == value


def test_without_a_compiler(monkeypatch, tmp_path):
    import tinynet.kernels as kernels

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    for cached in (cuda_host.compiler, kernels.unavailable):
        cached.cache_clear()
    try:
        with pytest.raises(cuda_host.CompilerMissing, match=r"finds none .* apt install g\+\+"):
            cuda_host.compiler()
        assert "C++ compiler" in kernels.unavailable("cuda-host")
    finally:
        for cached in (cuda_host.compiler, kernels.unavailable):
            cached.cache_clear()


def test_a_source_that_does_not_compile(tmp_path):
    file = tmp_path / "wrong.cu"
    file.write_text("__global__ void wrong(int* x) { *x = undeclared; }\n")
    kernel = launch.load(file, ("wrong",), where="cuda-host")["wrong"]
    with pytest.raises(RuntimeError, match=r"does not compile as C\+\+:(.|\n)*undeclared"):
        kernel((1,), (1,), (np.zeros(1, np.int32),))
