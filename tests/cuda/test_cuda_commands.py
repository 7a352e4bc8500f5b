"""`tinynet cuda check` and `compile`, the document, and a session in a debugger."""

import re
import shutil
import subprocess
import sys
from importlib import import_module

import fake_cupy
import numpy as np
import pytest
import tinynet.kernels as kernels
from click.testing import CliRunner
from tinynet.kernels import compile_check, launch, passes, reports
from tinynet.kernels.conv2d import cuda_naive
from tinynet.kernels.cuda_source import ROOT

from tinynet.cli import main

command = import_module("tinynet.cli.cuda")  # `tinynet.cli.cuda` itself is the command
DOCUMENT = ROOT.parent / "docs" / "cuda.md"


def invoke(*arguments):
    done = CliRunner().invoke(main, ["cuda", *arguments])
    return done.exit_code, done.output


def test_check_of_a_family():
    code, output = invoke("check", "conv2d", "--algorithm", "naive", "--case", "3x3")
    assert (code, output.split(" s\n")[0][:33]) == (0, "2 of 2 cases checked, 0 findings,")


def test_check_reports_findings(tmp_path, monkeypatch):
    for source in [*ROOT.rglob("*.cu"), *ROOT.rglob("*.cuh")]:
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(source.read_text().replace("h >= d.H || v < 0", "v < 0"))
    monkeypatch.setattr(cuda_naive.KERNELS, "file", tmp_path / "conv2d/naive.cu")
    case = next(c.name for c in passes.cases("conv2d") if c.name == "3x3")
    found = command._run(command.Job("conv2d", "naive", case, "float32"))
    assert re.match(
        r"naive_forward<float>: out of bounds: reads element \d+ of x.*naive\.cu", found
    )
    # Not a wrong access, but a result that depends on the order of the threads.
    monkeypatch.setattr(cuda_naive.KERNELS, "file", ROOT / "conv2d/naive.cu")
    results = iter([{}, {"y": case_array(0)}, {"y": case_array(0)}, {"y": case_array(1)}])
    monkeypatch.setattr(passes, "passes", lambda *args: next(results))
    found = command._run(command.Job("conv2d", "naive", case, "float32"))
    assert found == "y depends on the order in which threads run."


def case_array(value):
    return np.full(3, value)


def test_check_survives_a_kernel_that_ends_the_process(capsys):
    jobs = [command.Job("dropout", "auto", "there is no such case", "float32")]
    assert command._supervise(jobs) == 1
    out = capsys.readouterr().out
    assert "dropout auto, 'there is no such case', float32: the process ended with code 1." in out
    assert "0 of 1 cases checked, 1 findings" in out


def test_check_of_what_is_not_there(monkeypatch):
    code, output = invoke("check", "conv3d")
    assert code == 2
    assert "no family 'conv3d'; there are activation, batch_norm" in output
    assert invoke("check", "conv2d", "--algorithm", "magic")[0] == 2
    monkeypatch.setattr(kernels, "unavailable", lambda backend: "there is no compiler.")
    assert "cuda check: there is no compiler." in invoke("check")[1]


# The dtype decides only how wide vectors are; convolutions take longest.
DTYPES = {"conv2d": ("float32",)}


@pytest.mark.slow
def test_every_kernel_checked_on_every_case(monkeypatch):
    launched = set()
    call = launch.Kernel.__call__

    def noting(kernel, *args, **options):
        launched.add(kernel.name.partition("<")[0])
        call(kernel, *args, **options)

    monkeypatch.setattr(launch.Kernel, "__call__", noting)
    jobs = [
        job
        for family in kernels.FAMILIES
        for job in command._jobs([family], None, "", DTYPES.get(family, command.DTYPES))
    ]
    assert [(job, found) for job in jobs if (found := command._run(job))] == []
    registered = {name.partition("<")[0] for k in launch.registry() for name in k.registers}
    assert launched == registered


CUDA_COMPILER = pytest.mark.skipif(
    compile_check.why_no_compiler() is not None, reason=str(compile_check.why_no_compiler())
)


@CUDA_COMPILER
def test_what_the_compile_check_finds(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "_registry", [])
    file = tmp_path / "heavy.cu"
    file.write_text(
        "enum Way { UP, DOWN };\n"
        "template <typename T, Way W>\n"
        "__global__ void __launch_bounds__(1024) heavy(const T* x, T* y) {\n"
        "  T v[80];\n"
        "  for (int i = 0; i < 80; ++i) v[i] = x[i * 1024 + threadIdx.x];\n"
        "  __syncthreads();\n"
        "  for (int i = 0; i < 80; ++i) v[i] = v[i] * v[(7 * i + 3) % 80];\n"
        "  for (int i = 0; i < 80; ++i) y[i * 1024 + threadIdx.x] = v[W == UP ? i : 79 - i];\n"
        "}\n"
        "__global__ void light(float* x) { x[threadIdx.x] += 1; }\n"
    )
    table = launch.Kernels(file, {"heavy<T, DOWN>": {"float": 255}, "light": 2})
    found = compile_check.compile_all([table], (75, 90))
    assert {(c.expression, c.architecture) for c in found} == {
        (name, arch) for name in ("heavy<float, DOWN>", "light") for arch in (75, 90)
    }
    for compiled in found:
        if compiled.expression == "light":
            assert 2 < compiled.registers <= 40
            assert re.search(r"^light \(.*\) for sm_\d+ uses \d+ registers; .* 2", compiled.wrong)
        else:
            assert "spills" in compiled.wrong
    newer = launch.Kernels(file, {"light": 40}, architecture=80)
    (only,) = compile_check.compile_all([newer], (75, 80))
    assert (only.architecture, only.wrong) == (80, None)
    file.write_text("__global__ void light(float* x) { undeclared; }\n")
    with pytest.raises(RuntimeError, match=r"does not compile:(.|\n)*undeclared"):
        compile_check.compile_all([newer], (80,))


@CUDA_COMPILER
@pytest.mark.slow
def test_every_kernel_compiles_for_every_architecture():
    found = compile_check.compile_all()
    assert {c.architecture for c in found} == {75, 80, 86, 89, 90, 100, 120}
    wrong = [c.wrong for c in found if c.wrong]
    assert wrong == []


def test_without_a_cuda_compiler(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    assert "pip install 'cuda-core[cu13]'" in compile_check.why_no_compiler()
    assert compile_check.main() == 2
    assert "there is no CUDA compiler" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="there is no CUDA compiler"):
        compile_check.compile_all()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def test_the_document_runs(monkeypatch):
    """What needs a GPU runs on the stand-in for one."""
    names = {}
    on_gpu = re.findall(r"<!-- gpu -->\n```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(on_gpu) == 1
    for block in blocks("python"):
        if block not in on_gpu:
            exec(compile(block, "cuda.md", "exec"), names)
    monkeypatch.setattr(reports, "_boards", {})
    fake_cupy.install(monkeypatch)
    for block in on_gpu:
        exec(compile(block.replace("(64,", "(4,"), "cuda.md", "exec"), names)
    assert np.isfinite(names["loss"].item())


def test_the_document_names_the_steps():
    table = re.findall(r"^\| `(\w+)` \| `(\w+\.cu)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert {name for name, _ in table} <= set(kernels.algorithms("conv2d", "cuda"))
    for _, file in table:
        assert (ROOT / "conv2d" / file).exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gdb") is None, reason="there is no gdb")
def test_the_session_in_a_debugger(tmp_path):
    """The document's own session, in gdb."""
    (program,) = [block for block in blocks("python") if 'mode="debug"' in block]
    file = tmp_path / "step.py"
    file.write_text(program)
    (session,) = [block for block in blocks("text") if block.startswith("$ gdb")]
    lines = session.splitlines()
    line = int(re.search(r"tiled\.cu:(\d+) if", session)[1])
    source = (ROOT / "conv2d/tiled.cu").read_text().splitlines()[line - 1]
    assert "sum +=" in source, "docs/cuda.md stops at another line now"
    commands = [text.removeprefix("(gdb) ") for text in lines if text.startswith("(gdb) ")]
    given = [part for text in [*commands, "delete", "continue"] for part in ("-ex", text)]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LD_PRELOAD", raising=False)
        done = subprocess.run(
            ["gdb", "-nx", "-q", "--batch", *given, "--args", sys.executable, str(file)],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    wanted = [text for text in lines if text.startswith("$") and not text.startswith("$ ")]
    assert wanted
    for text in wanted:
        assert text in done.stdout
    assert re.search(r"#1 .* tiled_forward<float> \(x=0x.*, with_relu=0\)", done.stdout)
    assert "exited normally" in done.stdout
