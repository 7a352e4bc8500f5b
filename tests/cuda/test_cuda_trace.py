"""tinynet.cuda.trace: what one thread reads and writes."""

import re

import numpy as np
import pytest
from tinynet.kernels.cuda_source import ROOT

import tinynet
import tinynet.nn.functional as F
from tinynet import cuda

X = np.arange(32.0).reshape(2, 4, 4)


def line(file, text):
    """kernels/FILE:NUMBER of the first line with this text."""
    lines = (ROOT / file).read_text().splitlines()
    return f"kernels/{file}:{next(n for n, l in enumerate(lines, 1) if text in l)}"


def test_a_thread_of_the_naive_convolution():
    """Output y[0, 0, 1, 2]: all pixels of its window, each before its weight, then one write."""
    steps = cuda.trace("naive_forward", thread=6)
    assert steps.kernel == "naive_forward<float>"
    *reads, write = steps
    window = [(c, h, v) for c in range(2) for h in (0, 1, 2) for v in (1, 2, 3)]
    weights = [(c, r, s) for c in range(2) for r in range(3) for s in range(3)]
    wanted = []
    for (c, h, v), (_, r, s) in zip(window, weights):
        wanted += [(f"x[0, {c}, {h}, {v}]", f"{X[c, h, v]:g}"), (f"w[0, {c}, {r}, {s}]", "0.5")]
    assert [(step.what, step.value) for step in reads] == wanted
    assert {step.action for step in reads} == {"reads"}
    total = sum(X[c, h, v] for c, h, v in window) / 2
    assert (write.action, write.what, write.value) == ("writes", "y[0, 0, 1, 2]", f"{total:g}")
    assert reads[0].place == line("conv2d/naive.cu", "sum += x[")
    assert reads[0].source.startswith("sum += x[")
    assert write.place == line("conv2d/naive.cu", "y[i] =")


def test_shared_memory_and_barriers_of_the_tiled_convolution():
    steps = cuda.trace("tiled_forward", block=0, thread=(6, 1))
    actions = [(step.action, step.name) for step in steps]
    first = actions.index(("waits", ""))
    assert ("writes", "a") in actions[:first]
    assert ("writes", "b") in actions[:first]
    after = steps[first + 1 : first + 33]
    wanted = [what for i in range(16) for what in (f"a[1, {i}]", f"b[{i}, 6]")]
    assert [step.what for step in after] == wanted
    assert steps[first].place == line("conv2d/tiled.cu", "__syncthreads();")
    assert (steps[-1].action, steps[-1].what) == ("writes", "y[0, 1, 1, 2]")
    # The sum of the products that it has read is what it writes.
    read = [float(step.value) for step in steps if step.action == "reads" and step.name in "ab"]
    assert float(steps[-1].value) == sum(a * b for a, b in zip(read[::2], read[1::2]))


def test_vectors_and_copies():
    steps = cuda.trace("implicit_gemm_forward")
    assert any(re.fullmatch(r"\((\S+, ){3}\S+\)", step.value) for step in steps)
    steps = cuda.trace("implicit_gemm_tf32_forward", thread=6)
    copied = [step for step in steps if step.action == "writes" and step.name == "smem"]
    assert copied
    assert all("cp_async" in step.source for step in copied)


def test_a_launch_of_ones_own():
    x, w = tinynet.ones(1, 1, 3, 3), tinynet.full((1, 1, 3, 3), 2.0)
    steps = cuda.trace("naive_forward", run=lambda: F.conv2d(x, w))
    assert [step.what for step in steps[-3:]] == ["x[0, 0, 2, 2]", "w[0, 0, 2, 2]", "y[0, 0, 0, 0]"]
    assert steps[-1].value == "18"
    double = tinynet.ones(1, 1, 3, 3, dtype=tinynet.float64)
    steps = cuda.trace("max_forward", run=lambda: F.max_pool2d(double, 3))
    assert {step.name for step in steps} == {"x", "y", "index"}


def test_the_table_as_text_and_html():
    steps = cuda.trace("naive_forward", thread=6)
    text = str(steps).splitlines()
    assert text[0] == "naive_forward<float>, thread (6, 0, 0) of block (0, 0, 0)"
    assert len(text) == 2 + len(steps)
    assert re.match(r"1 +reads +x\[0, 0, 0, 1\] +1 +naive\.cu:\d+ +sum \+= x", text[2])
    html = steps._repr_html_()
    assert html.count("<tr>") == 1 + len(steps)
    assert "naive_forward&lt;float&gt;" in html
    assert "<td>x[0, 0, 0, 1]</td><td>1</td>" in html


def test_what_is_not_there():
    with pytest.raises(ValueError, match=r"tiled_backward was not launched; there were tiled_forw"):
        cuda.trace("tiled_backward")
    with pytest.raises(ValueError, match=r"no thread \(300, 0, 0\); .* of \(256, 1, 1\) threads"):
        cuda.trace("naive_forward", thread=300)
    with pytest.raises(ValueError, match=r"no block \(5, 0, 0\); .* \(1, 1, 1\) blocks"):
        cuda.trace("naive_forward", block=5)
