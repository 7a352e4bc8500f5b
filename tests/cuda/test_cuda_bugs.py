"""Every planted bug is found, and its line named: in small kernels, and in our convolutions."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels import cuda_host, launch
from tinynet.kernels.conv2d import cuda_naive, cuda_tiles
from tinynet.kernels.conv2d.cases import Conv2dCase
from tinynet.kernels.cuda_source import ROOT

FILE = Path(__file__).with_name("bugs.cu")
NAMES = tuple(re.findall(r"^__global__ void (\w+)", FILE.read_text(), re.MULTILINE))
KERNELS = launch.load(FILE, NAMES, where="cuda-host")


@dataclass
class Bug:
    """What the check says of a kernel in bugs.cu; HERE stands for one of the lines given."""

    says: str
    lines: tuple[str, ...]  # as written there
    arguments: tuple = ()
    blocks: int = 1


S, X = "s[threadIdx.x] = x[threadIdx.x];", "x[threadIdx.x] = s["
BUGS = {
    "missing_barrier": Bug(
        r"race on s\[32\]: thread \(32, 0, 0\) .* writes it at HERE, thread \(31, 0, 0\) .* read "
        r"it at HERE, with no barrier between",
        (S, "x[threadIdx.x] = s[63 - threadIdx.x];"),
    ),
    "missing_second_barrier": Bug(
        r"race on s\[0\]: thread \(1, 0, 0\) .* reads it at HERE, thread \(0, 0, 0\) .* wrote it "
        r"at HERE",
        ("x[threadIdx.x] = s[threadIdx.x ^ 1];", "s[threadIdx.x] = x[threadIdx.x] + i;"),
    ),
    "lost_update": Bug(r"race on x\[0\]: .* at HERE, .* at HERE", ("x[0] += 1;",) * 2),
    "blocks_collide": Bug(
        r"race on x\[0\]: thread \(0, 0, 0\) of block \(1, 0, 0\) writes it at HERE, .* of block "
        r"\(0, 0, 0\) wrote it at HERE, blocks have no order",
        ("x[threadIdx.x] = blockIdx.x;",) * 2,
        blocks=2,
    ),
    "shuffle_is_no_barrier": Bug(
        r"race on s\[\d+\]: .* reads it at HERE, .* wrote it at HERE",
        ("x[threadIdx.x] = sum + s[threadIdx.x ^ 1];", S),
    ),
    "warp_barrier_across_warps": Bug(
        r"race on s\[\d+\]: .* writes it at HERE, .* read it at HERE",
        (S, "x[threadIdx.x] = s[threadIdx.x ^ 32];"),
    ),
    "past_the_end": Bug(
        r"out of bounds: writes element 64 of x, which has 64 \(shape \(64,\)\), at HERE, thread "
        r"\(0, 0, 0\) of block \(1, 0, 0\)",
        ("if (i <= n) x[i] = 1;",),
        (np.int32(64),),
        blocks=2,
    ),
    "before_the_beginning": Bug(
        r"out of bounds: reads element -1 of x, .* at HERE", ("x[threadIdx.x] = x[i];",)
    ),
    "past_static_shared": Bug(
        r"out of bounds: index 64 of an array of type 'float ?\[64\]', at HERE, thread "
        r"\(63, 0, 0\)",
        ("s[threadIdx.x + 1] = x[threadIdx.x];",),
    ),
    "past_dynamic_shared": Bug(
        r"out of bounds: writes smem \+ 256 bytes, but there are 256 bytes of dynamic shared "
        r"memory, at HERE",
        ("s[threadIdx.x + 1] = x[threadIdx.x];",),
    ),
    "past_registers": Bug(
        r"out of bounds: index 4 of an array of type 'float ?\[4\]', at HERE",
        ("for (int i = 0; i <= 4; ++i) x[threadIdx.x] += row[i];",),
    ),
    "null_pointer": Bug(
        r"out of bounds: reads a null pointer, at HERE",
        ("x[threadIdx.x] += bias[threadIdx.x];",),
        (None,),
    ),
    "misaligned_global": Bug(
        r"misaligned: 16 bytes at x\[1\], whose address leaves 4 when divided by 16, at HERE",
        ("float4 v = *reinterpret_cast<float4*>(x + 1);",),
    ),
    "misaligned_shared": Bug(
        r"misaligned: 8 bytes at smem \+ 4 bytes, whose .* at HERE",
        ("float2 v = *reinterpret_cast<float2*>(s + threadIdx.x % 63);",),
    ),
    "uninitialised_static": Bug(
        r"uninitialised: reads s\[63\], which no thread of the block has written, at HERE",
        ("x[threadIdx.x] = s[threadIdx.x];",),
    ),
    "uninitialised_dynamic": Bug(
        r"uninitialised: changes atomically smem \+ 0 bytes, .* at HERE",
        ("atomicAdd(&s[0], x[threadIdx.x]);",),
    ),
    "divergent_barrier": Bug(
        r"divergent barrier: thread \(1, 0, 0\) waits in __syncthreads at HERE, but thread "
        r"\(0, 0, 0\) in __syncthreads at HERE",
        ("__syncthreads();  // odd", "__syncthreads();  // even"),
    ),
    "barrier_in_a_branch": Bug(
        r"__syncwarp at HERE waits for ever: lane 0 .* thread \(32, 0, 0\) waits in __syncthreads "
        r"at HERE",
        ("__syncwarp();", "if (threadIdx.x < 40) __syncthreads();"),
    ),
    "lanes_missing": Bug(
        r"__shfl_sync at HERE waits for ever: lane 0 of its mask 0xffffffff does not come, thread "
        r"\(0, 0, 0\) has left the kernel",
        ("if (threadIdx.x % 2) x[threadIdx.x] = __shfl_sync(0xffffffffu, x[threadIdx.x], 0);",),
    ),
    "lane_not_in_mask": Bug(
        r"__shfl_sync at HERE: thread \(16, 0, 0\) is lane 16, which its own mask 0xffff leaves",
        ("x[threadIdx.x] = __shfl_sync(0x0000ffffu, x[threadIdx.x], 0);",),
    ),
    "warp_operations_differ": Bug(
        r"warp operations do not match: lane 1 calls __shfl_sync .* at HERE, lane 0 "
        r"calls __syncwarp .* at HERE",
        ("x[threadIdx.x] = __shfl_sync(0xffffffffu, x[threadIdx.x], 0);", "__syncwarp();"),
    ),
    "copy_not_waited": Bug(
        r"missing wait: reads s\[0\] at HERE, .* but the cp.async to it by thread \(0, 0, 0\) at "
        r"HERE has not been waited for",
        (
            "x[threadIdx.x] = s[63 - threadIdx.x];",
            "if (threadIdx.x < 16) cp_async16(s + 4 * threadIdx.x, x + 4 * threadIdx.x);",
        ),
    ),
    "copy_without_barrier": Bug(
        r"race on s\[\d+\]: thread .* at HERE, .* at HERE",
        (
            "if (threadIdx.x < 16) cp_async16(s + 4 * threadIdx.x, x + 4 * threadIdx.x);",
            "y[threadIdx.x] = s[63 - threadIdx.x];",
        ),
        (np.zeros(64, np.float32),),
    ),
    "copy_misaligned": Bug(
        r"misaligned: 16 bytes at x\[1\], .* at HERE",
        ("if (threadIdx.x < 8) cp_async16(s + 4 * threadIdx.x, x + 4 * threadIdx.x + 1);",),
    ),
    "order_shows": Bug(r"race on x\[0\]: .* at HERE, .* at HERE", ("x[0] = threadIdx.x;",) * 2),
}
RIGHT = {name for name in NAMES if name not in BUGS}


def run(name, mode="check", order=0, blocks=1, arguments=()):
    x = np.arange(64, dtype=np.float32)
    shared = 256 if "dynamic" in name or name == "misaligned_shared" else 0
    with cuda_host.settings(mode=mode, order=order):
        KERNELS[name]((blocks,), (64,), (x, *arguments), shared_mem=shared)
    return x


def lines_of(kernel):
    """Line -> number, of the lines of one kernel in bugs.cu."""
    numbered = list(enumerate(FILE.read_text().splitlines(), 1))
    begin = next(n for n, line in numbered if line.startswith(f"__global__ void {kernel}("))
    lines = {}
    for number, line in numbered[begin:]:
        if line == "}":
            return lines
        lines[line.strip()] = number


@pytest.mark.parametrize("name", BUGS)
def test_each_bug_is_reported_with_its_line(name):
    bug = BUGS[name]
    with pytest.raises(cuda_host.CudaHostError) as error:
        run(name, blocks=bug.blocks, arguments=bug.arguments)
    numbers = iter([lines_of(name)[line] for line in bug.lines])
    says = re.sub("HERE", lambda _: rf"\S*bugs\.cu:{next(numbers)}\b", bug.says)
    assert re.search(f"^{name}: {says}", str(error.value)), f"{error.value}\nagainst {says}"


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_kernels_without_a_bug_pass(name):
    results = [run(name, mode, order) for mode in ("check", "fast") for order in (0, 1, 7)]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_a_bug_is_found_in_every_order():
    for order in (1, 2, 3):
        with pytest.raises(cuda_host.CudaHostError, match=r"race on s\[\d+\]"):
            run("missing_barrier", order=order)


@pytest.mark.parametrize("name", ["divergent_barrier", "lanes_missing", "lane_not_in_mask"])
@pytest.mark.parametrize("mode", ["fast", "debug"])
def test_barriers_and_warps_are_watched_in_every_mode(name, mode):
    with pytest.raises(cuda_host.CudaHostError, match=re.escape("bugs.cu:")):
        run(name, mode)


@pytest.mark.parametrize("name", ["uninitialised_static", "copy_not_waited", "missing_barrier"])
def test_in_every_mode_what_is_not_there_yet_is_nan(name):
    assert np.isnan(run(name, "fast")).any()


def test_after_an_error_kernels_run_again():
    for _ in range(3):
        with pytest.raises(cuda_host.CudaHostError):
            run("missing_barrier")
        np.testing.assert_array_equal(run("reverse"), np.arange(64)[::-1])


def test_what_was_written_before_an_error_is_there():
    x = np.arange(64, dtype=np.float32)
    with cuda_host.settings(mode="check"), pytest.raises(cuda_host.CudaHostError):
        KERNELS["past_the_end"]((2,), (64,), (x, np.int32(64)))
    np.testing.assert_array_equal(x, 1)


# ---- our own convolutions ----------------------------------------------------------------------

CASE = Conv2dCase("", (2, 5, 7, 6), (18, 5, 3, 3), padding=1, bias=True)


@dataclass
class Plant:
    """One change in the real sources, what runs, and the report, LINE being that of `where`."""

    kernels: list[launch.Kernels]
    algorithm: str
    function: str
    file: str
    was: str
    planted: str
    says: str
    where: str  # a piece of the line in the planted file
    nth: int = 0  # which, if `was` is there several times


TILED = [cuda_tiles.PLAIN_TILES.kernels]
REGISTER = [p.kernels for p in cuda_tiles.REGISTER_TILES.values()]
TENSOR = [p.kernels for p in cuda_tiles.TENSOR_CORE_TILES.values()]
BARRIER = "    __syncthreads();\n"

PLANTS = {
    "wrong index, global": Plant(
        [cuda_naive.KERNELS], "naive", "forward", "conv2d/naive.cu",
        "h >= d.H || v < 0", "h > d.H || v < 0",
        r"naive_forward<float>: out of bounds: reads element 4\d\d of x, which has 420 .* at LINE",
        "sum += x[",
    ),
    "wrong index, shared": Plant(
        TILED, "tiled", "forward", "conv2d/tiled.cu",
        "a[y][i] * b[i][x]", "a[y][i] * b[i + 1][x]",
        r"tiled_forward<float>: out of bounds: index 16 of an array of type .* at LINE",
        "sum += a[y][i]",
    ),
    "wrong index, result": Plant(
        [cuda_naive.KERNELS], "naive", "grad_input", "conv2d/naive.cu",
        "dx[i] = sum;", "dx[i / 2] = sum;",
        r"naive_grad_input<float>: race on dx\[0, 0, 0, 0\]: thread \(1, 0, 0\) .* writes it at "
        r"LINE, thread \(0, 0, 0\) .* wrote it at LINE",
        "dx[i / 2] = sum;",
    ),
    "missing barrier before the tile is read": Plant(
        TILED, "tiled", "grad_weight", "conv2d/tiled.cu", BARRIER, "",
        r"tiled_grad_weight<float>: race on [ab]\[\d+, \d+\]: .* LINE",
        "sum += a[y][i]",
    ),
    "missing barrier before the tile is refilled": Plant(
        TILED, "tiled", "forward", "conv2d/tiled.cu", BARRIER, "",
        r"tiled_forward<float>: race on [ab]\[\d+, \d+\]: .* LINE",
        "sum += a[y][i]", nth=1,
    ),
    "missing barrier, register tiles": Plant(
        REGISTER, "implicit_gemm", "forward", "register_tile.cuh",
        "        __syncthreads();\n      }\n", "      }\n",
        r"implicit_gemm_forward<.*>: race on [ab]_tile\[\d+\]: .* LINE",
        "a[i] = *reinterpret_cast<const Vector<T>*>(",
    ),
    "missing wait": Plant(
        TENSOR, "implicit_gemm_tf32", "forward", "tensor_core_tile.cuh",
        "cp_async_wait<STAGES - 2>();", "cp_async_wait<STAGES - 1>();",
        r"implicit_gemm_tf32_forward<.*>: missing wait: reads .* at LINE, .* cp.async",
        "a[i][e] = to_tf32(",
    ),
    "missing barrier, tensor cores": Plant(
        TENSOR, "implicit_gemm_tf32", "grad_input", "tensor_core_tile.cuh",
        "      __syncthreads();\n", "",
        r"implicit_gemm_tf32_grad_input<.*>: race on smem \+ \d+ bytes: .* LINE",
        "b[j][e] = to_tf32(",
    ),
    "pieces of a sum collide": Plant(
        TILED, "tiled", "grad_weight", "conv2d/tiled.cu",
        "T* dw = parts + (long long)split * groups * pass.rows * pass.taps;", "T* dw = parts;",
        r"tiled_grad_weight<float>: race on parts\[0, .*\]: thread .* of block \(0, 0, 1\) writes "
        r"it at LINE, .* of block \(0, 0, 0\) wrote it at LINE, blocks have no order",
        "product.column(n)[product.row_offset(m)]",
    ),
}  # fmt: skip


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """The kernels' sources with one change, in a folder of their own; returns the changed file."""

    def change(planted):
        for source in [*ROOT.rglob("*.cu"), *ROOT.rglob("*.cuh")]:
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.read_text())
        file = tmp_path / planted.file
        pieces = file.read_text().split(planted.was)
        assert len(pieces) > planted.nth + 1, f"{planted.file} has changed: plant the bug anew"
        changed = planted.was.join(pieces[: planted.nth + 1])
        file.write_text(changed + planted.planted + planted.was.join(pieces[planted.nth + 1 :]))
        for owner in planted.kernels:
            monkeypatch.setattr(owner, "file", tmp_path / owner.file.relative_to(ROOT))
        return file

    return change


def run_conv2d(planted, case):
    x, w, bias, dy = case.arrays("float32")
    arguments = {
        "forward": (x, w, bias),
        "grad_input": (dy, w),
        "grad_weight": (dy, x),
    }[planted.function]
    with kernels.use("cuda-host", conv2d=planted.algorithm) as backend:
        return getattr(backend.conv2d, planted.function)(*arguments, dims=case.dims)


# Two pieces of the sum in grad_weight, several tiles in the others.
LARGER = Conv2dCase("", (5, 5, 15, 16), (18, 5, 3, 3), padding=1)


@pytest.mark.parametrize("name", PLANTS)
def test_bugs_planted_in_our_convolutions(name, plant):
    planted = PLANTS[name]
    case = LARGER if name == "pieces of a sum collide" else CASE
    file = plant(planted)
    with cuda_host.settings(mode="check"), pytest.raises(cuda_host.CudaHostError) as error:
        run_conv2d(planted, case)
    first = next(
        n for n, line in enumerate(file.read_text().splitlines(), 1) if planted.where in line
    )
    line = rf"{re.escape(str(file))}:({first}|{first + 1})\b"  # a statement may go on
    assert re.search(planted.says.replace("LINE", line), str(error.value)), error.value


def test_a_missing_barrier_shows_as_a_result_that_depends_on_the_order(plant):
    planted = PLANTS["missing barrier before the tile is refilled"]
    wanted = run_conv2d(planted, CASE)
    results = []
    for sources in ("right", "planted"):
        if sources == "planted":
            plant(planted)
        for order in (0, 1, 7):
            with cuda_host.settings(order=order):
                results.append(run_conv2d(planted, CASE).tobytes())
    assert results[:3] == [wanted.tobytes()] * 3
    assert len(set(results[3:])) > 1
