"""Captured graphs on the GPU: the tests of the stand-in, with CuPy; and the benchmark."""

import json
import subprocess
import sys

import numpy as np
import pytest
import test_cuda_graphs as emulated

import tinynet

pytestmark = pytest.mark.gpu

TESTS = {
    name: test
    for name, test in vars(emulated).items()
    if name.startswith("test_")
    and name != "test_what_cannot_be_captured_is_refused_with_a_sentence"
}


@pytest.mark.parametrize("name", TESTS)
def test_graphs(name):
    TESTS[name]()


REFUSED = emulated.test_what_cannot_be_captured_is_refused_with_a_sentence.pytestmark[0].args[1]


@pytest.mark.parametrize(("forbidden", "words"), REFUSED)
def test_what_cannot_be_captured_is_refused(cupy, forbidden, words, monkeypatch):
    monkeypatch.setattr(emulated.fake_cupy, "array", cupy.array)
    emulated.test_what_cannot_be_captured_is_refused_with_a_sentence(forbidden, words)


def test_a_graphs_memory_is_its_own():
    """Nobody else gets it while the graph lives, and replays take no more."""
    x = tinynet.ones(1024, 1024, device="cuda")
    g = tinynet.cuda.CUDAGraph()
    with tinynet.cuda.graph(g):
        y = (x + 1) * 2
    held, reserved = g.pool().used_bytes(), g.pool().total_bytes()
    assert held >= y.nbytes
    others = [tinynet.zeros(1024, 1024, device="cuda") for _ in range(8)]
    before = tinynet.cuda.memory_allocated()
    for _ in range(3):
        g.replay()
    tinynet.cuda.synchronize()
    assert (g.pool().used_bytes(), g.pool().total_bytes()) == (held, reserved)
    assert tinynet.cuda.memory_allocated() == before
    np.testing.assert_array_equal(y.cpu().numpy(), np.full((1024, 1024), 4, np.float32))
    assert all(float(other.sum()) == 0 for other in others)


def test_the_benchmark_runs(tmp_path):
    """Every network's and kernel's path, on the smallest ones; answers are verified."""
    command = [sys.executable, "-c", "from tinynet.cli import main; main()", "bench"]
    command += ["models", "kernels", "--device", "cuda", "--model", "tiny", "--size", "small"]
    command += ["--rounds", "1"]
    subprocess.run([*command, "--output", str(tmp_path / "result.json")], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["machine"]["gpu"]
    assert all(row["unverified"] == {} for row in result["rows"])
    assert all(
        any(entry["library"] == "tinynet" for entry in row["entries"].values())
        for row in result["rows"]
    )
