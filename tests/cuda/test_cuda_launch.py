"""The launch layer: what fits a kernel, and the sentences for what does not."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels import cuda_source, launch
from tinynet.kernels.cuda_source import ROOT

SOURCE = """
#include "shape.cuh"
#define SIZES typename T, int N
enum { THREADS = 64 };
// __global__ void commented(int x) {}
template <SIZES>
__global__ void __launch_bounds__(THREADS * N, 2)
scale(const T* __restrict__ x, T* __restrict__ y, const Shape shape, T factor, int count,
      unsigned long long offset) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) y[i] = x[i] * factor + T(shape.shift + N + (int)offset);
}
extern "C" __global__ void plain(const unsigned char* mask, float4* out, bool yes) {}
"""
HEADER = "#pragma once\nstruct Shape { int shift; double pad; };\n"
SHAPE = np.dtype([("shift", np.int32), ("pad", np.float64)], align=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    (folder / "shape.cuh").write_text(HEADER)
    (folder / "scale.cu").write_text(SOURCE)
    return folder / "scale.cu"


@pytest.fixture
def scale(file):
    return launch.load(file, ("scale<float, 2>",), where="cuda-host")["scale<float, 2>"]


def arguments(**changes):
    given = {
        "x": np.arange(6, dtype=np.float32),
        "y": np.zeros(6, np.float32),
        "shape": np.array((10, 0), SHAPE),
        "factor": np.float32(3),
        "count": np.int32(6),
        "offset": np.uint64(100),
    }
    return tuple((given | changes).values())


def test_signatures_come_from_the_source(file):
    found = cuda_source.signature(file, "scale<float, 2>")
    parameters = [(p.name, p.type, p.pointer, p.read_only) for p in found.parameters]
    assert parameters == [
        ("x", "float", True, True), ("y", "float", True, False), ("shape", "Shape", False, False),
        ("factor", "float", False, False), ("count", "int", False, False),
        ("offset", "unsigned long long", False, False),
    ]  # fmt: skip
    assert found.bounds == "THREADS * N"
    assert found.template == (("typename T", "float"), ("int N", "2"))
    plain = cuda_source.signature(file, "plain")
    assert [p.dtype for p in plain.parameters] == [np.uint8, None, np.bool_]
    with pytest.raises(ValueError, match=r"scale\.cu has no kernel commented"):
        cuda_source.signature(file, "commented")
    with pytest.raises(ValueError, match="scale has 2 template parameters"):
        cuda_source.signature(file, "scale<float>")


def test_a_launch(scale):
    given = arguments()
    scale((1,), (8,), given)
    np.testing.assert_array_equal(given[1], np.arange(6) * 3 + 112)


X, TURNED = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32).T
READ_ONLY = np.zeros(6, np.float32)
READ_ONLY.flags.writeable = False
WRONG = {
    "number is a Python float": ({"factor": 3.0}, "argument 3, factor, is float; .* np.float32"),
    "number of another type": ({"count": np.int64(6)}, "4, count, is int64; .* np.int32"),
    "array as a number": ({"count": np.zeros(1, np.int32)}, "4, count, is int32; the kernel wants"),
    "dtype": ({"x": np.zeros(6)}, "argument 0, x, has dtype float64, .* wants float32"),
    "not contiguous": ({"x": TURNED}, r"x, has shape \(2, 3\) and strides \(4, 8\): not C-contig"),
    "no array": ({"x": 5}, "argument 0, x, is a int, but the kernel wants an array or None"),
    "list": ({"x": [1.0]}, "argument 0, x, is a list"),
    "read-only": ({"y": READ_ONLY}, "argument 1, y, is read-only, but the kernel writes to it"),
    "structure": ({"shape": 3}, "shape, must be the structure Shape: one element of a structured"),
    "several structures": ({"shape": np.zeros(2, SHAPE)}, "shape, must be the structure Shape"),
    "packed": (
        {"shape": np.zeros((), np.dtype([*SHAPE.descr[:1], ("pad", np.float64)]))},
        "shape has 12 bytes, but Shape has 16. .* align=True",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_that_do_not_fit(scale, name):
    changes, sentence = WRONG[name]
    with pytest.raises(TypeError, match=rf"^scale<float, 2>: .*{sentence}"):
        scale((1,), (8,), arguments(**changes))


def test_sizes_that_do_not_fit(scale):
    with pytest.raises(TypeError, match=r"takes 6 arguments \(x, y, shape, .*\), but got 5"):
        scale((1,), (8,), arguments()[:5])
    for grid in ((0,), (1, 65536), (1, 1, 70000), (2**31,)):
        with pytest.raises(ValueError, match=r"the grid is .* With nothing to do, launch nothing"):
            scale(grid, (8,), arguments())
    for block in ((0,), (1025,), (32, 33), (1, 1, 65)):
        with pytest.raises(ValueError, match=r"it may have 1 to 1024 in all, and 64 along z"):
            scale((1,), block, arguments())
    with pytest.raises(ValueError, match=r"compiled for 128 threads a block .__launch_bounds__"):
        scale((1,), (129,), arguments())
    with pytest.raises(ValueError, match=r"232449 bytes of dynamic shared memory; .* 232448 at"):
        scale((1,), (8,), arguments(), shared_mem=227 * 1024 + 1)


def test_a_read_only_input_and_a_null_pointer(scale):
    given = arguments(x=READ_ONLY)
    scale((1,), (8,), given)
    np.testing.assert_array_equal(given[1], 112)
    scale((1,), (8,), arguments(x=None, count=np.int32(0)))


def test_the_table_of_kernels(file, monkeypatch):
    monkeypatch.setattr(launch, "_registry", [])
    table = launch.Kernels(
        file, {"scale<T, 2>": {"float": 20, "double": 30}, "plain": 10}, architecture=80
    )
    assert table.types == ("float", "double", "")
    assert table.expressions("double") == ("scale<double, 2>",)
    assert table.expressions("") == ("plain",)
    assert (table.limit("scale<double, 2>"), table.limit("plain")) == (30, 10)
    assert table.kernel("scale<T, 2>", np.zeros(1)).name == "scale<double, 2>"
    with pytest.raises(KeyError, match=r"'scale<T, 3>' is not in the table of kernels; it has"):
        table.kernel("scale<T, 3>", np.zeros(1))
    with pytest.raises(TypeError, match="is for float and double, but the array is int64"):
        table.kernel("scale<T, 2>", np.zeros(1, np.int64))


def test_every_cuda_file_is_in_the_registry():
    registered = {k.file for k in launch.registry()}
    assert registered == set(ROOT.rglob("*.cu"))
    for k in launch.registry():
        named = {name.partition("<")[0] for name in k.registers}
        text = cuda_source.with_headers(k.file)
        for name in named:
            assert f"{name}(" in text


def test_every_kernel_is_in_the_registry():
    listed = {}
    for k in launch.registry():
        listed.setdefault(k.file, set()).update(n.partition("<")[0] for n in k.registers)
    for file, names in listed.items():
        found = cuda_source._kernels(cuda_source._plain(cuda_source.with_headers(file)))
        assert {name for _, _, name, _ in found} == names, file


def test_headers_are_put_in_place(file):
    text = cuda_source.with_headers(file)
    assert "#include" not in text
    assert "#pragma once" not in text
    lines = text.splitlines()
    position = lines.index("struct Shape { int shift; double pad; };")
    assert lines[position - 2] == f'#line 1 "{file.parent / "shape.cuh"}"'
    assert lines[position + 1] == f'#line 3 "{file}"'
    assert cuda_source.shown(ROOT / "conv2d" / ".." / "numbers.cuh") == "kernels/numbers.cuh"
    assert cuda_source.shown("/elsewhere/a.cu") == str(Path("/elsewhere/a.cu"))


class FakeCupy:
    """What the launch layer uses of CuPy, noting what it is given."""

    def __init__(self):
        self.compiled, self.launched = [], []
        self.cuda = self
        self.attributes = {"MaxSharedMemoryPerBlockOptin": 100 * 1024}

    def Device(self):
        return self

    def RawModule(self, **options):
        self.compiled.append(options)
        return self

    def get_function(self, name):
        def function(*given, **options):
            self.launched.append((name, given, options, function.max_dynamic_shared_size_bytes))

        function.max_dynamic_shared_size_bytes = 48 * 1024
        return function


class OnDevice:
    """An array that is not NumPy's."""

    def __init__(self, dtype, contiguous=True):
        self.dtype, self.shape, self.strides = np.dtype(dtype), (6,), (4,)
        self.flags = type("Flags", (), {"c_contiguous": contiguous})()


def test_what_cupy_gets(file, monkeypatch):
    cupy = FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    launch.load.cache_clear()
    try:
        scale = launch.load(file, ("scale<float, 2>",), where="cuda")["scale<float, 2>"]
        x, y = OnDevice(np.float32), OnDevice(np.float32)
        shape = np.array((1, 0), SHAPE)
        scale((3,), (8,), arguments(x=x, y=y, shape=shape[()]), shared_mem=1000)
        scale((3, 2), (8,), arguments(x=None, y=y), shared_mem=64 * 1024)
        with pytest.raises(ValueError, match=r"204800 bytes of .* 102400 on this GPU"):
            scale((3,), (8,), arguments(x=x, y=y), shared_mem=200 * 1024)
        with pytest.raises(TypeError, match=r"0, x, is a NumPy array, the others are not"):
            scale((3,), (8,), arguments(y=y))
        with pytest.raises(TypeError, match=r"1, y, has shape .* not C-contiguous"):
            scale((3,), (8,), arguments(x=x, y=OnDevice(np.float32, contiguous=False)))
    finally:
        launch.load.cache_clear()
    (compiled,) = cupy.compiled
    assert compiled["options"] == ("--std=c++17",)
    assert compiled["name_expressions"] == ("scale<float, 2>",)
    assert "struct Shape" in compiled["code"]
    (_, first, options, _), (_, second, _, allowed) = cupy.launched
    grid, block, given = first
    assert (grid, block, options) == ((3,), (8,), {"shared_mem": 1000})
    assert given[:2] == (x, y)
    # A structure as an array of one element, a null pointer as a number as wide as a pointer.
    assert isinstance(given[2], np.ndarray)
    assert given[2].dtype == SHAPE
    assert (second[2][0], second[2][0].dtype) == (0, np.uintp)
    assert allowed == 64 * 1024


def test_cuda_backends_choose_the_steps_of_the_staircase():
    x = np.zeros((1, 1, 3, 3), np.float32)
    with kernels.use("cuda-host"):
        assert kernels.of(x).conv2d.forward.__module__.endswith("conv2d.cuda")
        with kernels.use(conv2d="naive"):
            assert kernels.of(x).conv2d.forward.__module__.endswith("conv2d.cuda_naive")
        with pytest.raises(ValueError, match="no algorithm 'im2col_tiled' on cuda-host; it has au"):
            kernels.use(conv2d="im2col_tiled").__enter__()
    with pytest.raises(ValueError, match="no algorithm 'tiled' on cpu; it has auto, naive"):
        kernels.use("cpu", conv2d="tiled").__enter__()
    with (
        kernels.use(conv2d="implicit_gemm"),
        pytest.raises(NotImplementedError, match="no algorithm 'implicit_gemm' on cpu; it has"),
    ):
        _ = kernels.of(x).conv2d
    for family in kernels.FAMILIES:
        with kernels.use("cuda-host") as backend:
            assert callable(getattr(backend, family).__dict__.get("forward", print))
    names = kernels.algorithms("conv2d", "cuda")
    assert names == kernels.algorithms("conv2d", "cuda-host")
    table = kernels.import_module("tinynet.kernels.conv2d.cuda").ALGORITHMS
    assert names == ("auto", *table)


def test_where_arrays_live_decides(monkeypatch):
    class Cupy:
        class ndarray:
            pass

    monkeypatch.setitem(sys.modules, "cupy", Cupy)
    there, here = Cupy.ndarray(), np.zeros(1)
    assert kernels.of(there).name == "cuda"
    assert kernels.of(None, there, None).name == "cuda"
    with kernels.use(conv2d="winograd"):
        assert repr(kernels.of(there)) == "<kernels cuda, conv2d='winograd'>"
        assert repr(kernels.of(here)) == "<kernels cpu, conv2d='winograd'>"
    with pytest.raises(RuntimeError, match="to be on the same device, but found cpu and cuda"):
        kernels.of(there, here)
    for backend, array in (("cpu", there), ("cuda-host", there), ("cuda", here)):
        with kernels.use(backend), pytest.raises(TypeError, match=f"backend {backend} is in force"):
            kernels.of(array)
    assert launch.place_of(here) == "cuda-host"
    assert launch.place_of(there) == "cuda"
