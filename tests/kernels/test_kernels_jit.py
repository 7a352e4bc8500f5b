"""The gate: cache, forks, threads, announcements."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels import jit
from tinynet.kernels.conv2d.cases import Conv2dCase
from tinynet.kernels.conv2d.dims import Conv2dDims

PROGRAM = """
import sys, numpy as np
import tinynet.kernels as kernels
from tinynet.kernels import jit
compiled = []
jit.on_compile(lambda name, why: compiled.append(name))
a = np.arange(10_000, dtype=np.float32).reshape(100, 100) % 7
assert (kernels.of(a).matmul.matmul(a, a.T) == a @ a.T).all()
print(*compiled)
"""


def run(cache: Path, program: str = PROGRAM, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "TINYNET_CACHE_DIR": str(cache), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    return out.strip()


def test_two_processes_compile_at_once_and_a_third_finds_the_result(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert {output(first), output(second)} <= {"matmul.cpu._multiply_rows_task", ""}
    assert output(run(tmp_path)) == ""


def test_a_cache_that_is_damaged_or_forbidden_stops_nobody(tmp_path):
    assert output(run(tmp_path)) == "matmul.cpu._multiply_rows_task"
    for path in tmp_path.rglob("*.nb[ic]"):
        path.write_bytes(path.read_bytes()[:20])
    assert output(run(tmp_path)) == "matmul.cpu._multiply_rows_task"
    file = tmp_path / "file"
    file.write_text("where a directory should be")
    assert output(run(file)) == "matmul.cpu._multiply_rows_task"


def test_any_change_in_the_folder_changes_the_key(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    shutil.copytree(Path(jit.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(jit, "__file__", str(folder / "jit.py"))
    before = jit.source_key()
    assert jit.source_key() == before
    path = folder / "tiling.py"  # not a file that any kernel's own source stands in
    path.write_text(path.read_text() + "\n# changed\n")
    changed = jit.source_key()
    assert changed != before
    (folder / "new.py").write_text("")
    assert jit.source_key() not in (before, changed)


def test_kernels_of_old_sources_are_removed_after_a_month(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_CACHE_DIR", str(tmp_path))
    old, recent = tmp_path / "kernels" / "old", tmp_path / "kernels" / "recent"
    for directory in (old, recent):
        (directory / "inside").mkdir(parents=True)
    os.utime(old, (0, 0))
    jit.cache_directory.cache_clear()
    try:
        assert jit.cache_directory().parent == tmp_path / "kernels"
        assert not old.exists()
        assert recent.exists()
    finally:
        jit.cache_directory.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_runs_kernels():
    """After the parent has used the pool of threads, GNU OpenMP would kill the child."""
    x, w, _, _ = Conv2dCase("", (16, 8, 32, 32), (8, 8, 3, 3)).arrays("float32")
    dims = Conv2dDims.of(x.shape, w.shape, padding=1)
    conv2d = kernels.of(x).conv2d
    assert dims.flops > 100 * jit.WORTH_THREADS  # enough for the pool
    y = conv2d.forward(x, w, None, dims=dims)
    child = os.fork()
    if child == 0:  # leave by _exit: this is still pytest's process, copied
        status = 1
        try:
            status = 0 if (conv2d.forward(x, w, None, dims=dims) == y).all() else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(conv2d.forward(x, w, None, dims=dims), y)


def test_results_do_not_depend_on_the_number_of_threads():
    threads = numba.get_num_threads()
    if threads == 1:
        pytest.skip("there is one thread only")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((18, 14, 13, 11)).astype(np.float32)
    w = rng.standard_normal((20, 14, 3, 3)).astype(np.float32)
    weight = rng.standard_normal(14).astype(np.float32)
    dims = Conv2dDims.of(x.shape, w.shape, padding=1)
    cpu = kernels.of(x)

    def everything():
        y = cpu.conv2d.forward(x, w, None, dims=dims)
        normalized, mean, var = cpu.batch_norm.forward(x, weight, weight, eps=1e-5)
        return (
            y,
            cpu.conv2d.grad_input(y, w, dims=dims),
            cpu.conv2d.grad_weight(y, x, dims=dims),
            cpu.matmul.matmul(y.reshape(360, -1), y.reshape(360, -1).T),
            *cpu.batch_norm.backward(x, normalized, weight, mean, var, eps=1e-5),
            cpu.dropout.apply(y, p=0.5, key=3),
        )

    try:
        numba.set_num_threads(1)
        one = everything()
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(everything(), one, strict=True):
        np.testing.assert_array_equal(a, b)


def test_several_python_threads_at_once():
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((70, 70)) for _ in range(8)]
    matmul = kernels.of(matrices[0]).matmul.matmul
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda a: matmul(a, a), matrices * 20))
    for square, matrix in zip(squares, matrices * 20, strict=True):
        np.testing.assert_allclose(square, matrix @ matrix, atol=1e-12)


def test_compiling_is_announced_before_it_happens():
    told = []

    @jit.kernel(lambda T: (T[::1],))
    def add_one(task, x):
        x[task] += 1

    undo = jit.on_compile(lambda name, why: told.append((name, why)))
    try:
        x = np.zeros(3, np.float32)
        add_one(3, x)
        add_one(3, x)
        assert [name.rpartition(".")[2] for name, _ in told] == ["add_one"]
        assert told[0][1] == "once for this machine"
        undo()
        add_one(3, np.zeros(3))  # float64: compiled, and nobody is told
        assert len(told) == 1
        np.testing.assert_array_equal(x, [2, 2, 2])
    finally:
        jit._listeners.clear()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_told_once_and_a_file_nothing(terminal, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(jit, "_announced", False)

    @jit.kernel(lambda T: (T[::1],))
    def double(task, x):
        x[task] *= 2

    double(1, np.ones(1, np.float32))
    double(1, np.ones(1, np.float64))
    line = "tinynet: compiling CPU kernels, once for this machine (seconds) ...\n"
    assert capsys.readouterr().err == (line if terminal else "")


def test_a_kernel_takes_no_other_types():
    @jit.kernel(lambda T: (T[:, ::1],))
    def nothing(task, x):
        pass

    with pytest.raises(
        TypeError, match=r"not C-contiguous, but the kernel takes array\(float32, 2d, C"
    ):
        nothing(1, np.zeros((3, 4), np.float32).T)


def test_arguments_of_every_type_reach_a_kernel():
    class Sizes(NamedTuple):
        rows: int
        columns: int

    class Derived(np.ndarray):
        pass

    kinds = numba.types

    @jit.kernel(
        lambda T: (
            T[:, :, :], jit.read_only(T[::1]), numba.uint8[::1], kinds.UniTuple(T[:, ::1], 2), T,
            numba.float64, numba.int64, kinds.NamedUniTuple(numba.int64, 2, Sizes), T[::1],
        )
    )  # fmt: skip
    def collect(task, a, b, codes, pair, scale, shift, flag, sizes, out):
        out[0], out[1] = a[1, 2, 3], a.shape[0] * 100 + a.shape[1] * 10 + a.shape[2]
        out[2], out[3] = b[1], codes[2]
        out[4], out[5] = pair[0][1, 0], pair[1][0, 1]
        out[6], out[7], out[8] = scale, shift, flag
        out[9], out[10] = sizes.rows, sizes.columns

    for dtype in (np.float32, np.float64):
        a = np.arange(120, dtype=dtype).reshape(4, 5, 6).transpose(2, 0, 1)  # any strides
        b = np.broadcast_to(dtype(7), 1).repeat(2)
        b.flags.writeable = False
        codes = np.array([1, 2, 250], np.uint8)
        pair = np.array([[1, 2], [3, 4]], dtype), np.array([[5, 6]], dtype)
        out = np.zeros(11, dtype)
        collect(1, a, b, codes, pair, 0.5, np.float32(1.5), True, Sizes(-3, 2**40), out)
        np.testing.assert_array_equal(
            out, np.array([a[1, 2, 3], 645, 7, 250, 3, 6, 0.5, 1.5, 1, -3, 2**40], dtype)
        )
        # Classes derived from NumPy's, and dtypes that are equal but not the same object.
        derived = tuple(part.view(Derived) for part in pair)
        again = a.view(np.dtype(dtype, copy=True))
        out[:] = 0
        collect(1, again, b, codes, derived, 0.5, 1.5, 1, Sizes(-3, 5), out)
        assert out[0] == a[1, 2, 3]
        assert out[5] == 6


def test_a_kernel_says_which_argument_it_does_not_take():
    @jit.kernel(lambda T: (T[::1], numba.types.UniTuple(T[::1], 2), numba.int64, numba.float64))
    def nothing(task, x, pair, count, scale):
        pass

    x = np.zeros(3, np.float32)
    nothing(1, x, (x, x), 1, 1.0)
    frozen = x.copy()
    frozen.flags.writeable = False
    for number, values in (
        (1, (frozen, (x, x), 1, 1.0)),
        (1, (x[::2], (x, x), 1, 1.0)),
        (1, (x[None], (x, x), 1, 1.0)),
        (2, (x, (x, x.astype(np.float64)), 1, 1.0)),
        (2, (x, (x, x, x), 1, 1.0)),
        (2, (x, x, 1, 1.0)),
        (3, (x, (x, x), 1.5, 1.0)),
        (3, (x, (x, x), 2**70, 1.0)),
        (4, (x, (x, x), 1, None)),
    ):
        with pytest.raises(TypeError, match=rf"nothing: argument {number} is .*, but the kernel"):
            nothing(1, *values)
    for values in ((x, (x, x), 1), (x, (x, x), 1, 1.0, 1)):
        with pytest.raises(TypeError, match=rf"takes 4 arguments, but got {len(values)}"):
            nothing(1, *values)


def test_a_task_without_memory_is_an_error():
    @jit.kernel(lambda T: (T[::1],))
    def greedy(task, x):
        x[task] = np.empty(2**60, np.float64)[0]

    for cost in (0.0, 1e9):  # one by one, and in the pool
        with pytest.raises(MemoryError, match="greedy"):
            greedy(2, np.zeros(2, np.float32), nanoseconds=cost)


HELPED = """
import sys, time, numpy as np
from pathlib import Path
from tinynet.kernels import ahead, jit
from tinynet.kernels.activation import cpu
cpu.relu(np.ones(9, np.float32))
expected = "activation.cpu._relu_backward_task-float32"
for _ in range(1000):
    if list((jit.cache_directory() / expected).rglob("*.nbc")):
        break
    time.sleep(0.1)
else:
    sys.exit("nobody has compiled it")
compiled = []
jit.on_compile(lambda name, why: compiled.append(name))
cpu.relu_backward(np.ones(9, np.float32), np.ones(9, np.float32))
print(*compiled)
"""


@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: "ab")(0)) < 2, reason="one core")
def test_another_process_compiles_what_will_be_needed(tmp_path):
    assert output(run(tmp_path, HELPED)) == ""


def test_dense_copies_only_what_it_must():
    x = np.zeros((3, 4), np.float32)
    frozen = x.copy()
    frozen.flags.writeable = False
    same, turned, thawed, nothing = jit.dense(x, x.T, frozen, None)
    assert same is x
    assert turned.flags.carray
    assert turned.shape == (4, 3)
    assert thawed.flags.writeable
    assert nothing is None
    with pytest.raises(TypeError, match="one dtype, float32 or float64, but got float16"):
        jit.dense(x.astype(np.float16))
