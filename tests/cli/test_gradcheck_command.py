"""`tinynet gradcheck`: the table, models, a user's own file, exit codes."""

import pytest
import tinynet.kernels as kernels
from click.testing import CliRunner

from tinynet.cli import main
from tinynet.testing.operations import OPERATIONS

MINE = """
import numpy as np
import tinynet as tn
from tinynet import nn
from tinynet.autograd import Function

class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return FACTOR * x * dy

def inputs():
    return tn.randn(3, 2)

def cube(x):
    return x * x * x

def plain(x):
    return x**2

def plain_vjp(dy, x):
    return 2 * dy * x

plain_inputs = np.arange(3.0)
layer = nn.Linear(2, 3)

def broken(x):
    raise KeyError("nothing here")
"""


def call(*arguments):
    return CliRunner().invoke(main, ["gradcheck", *map(str, arguments)])


@pytest.fixture
def mine(tmp_path):
    def write(factor):
        path = tmp_path / "mine.py"
        path.write_text(MINE.replace("FACTOR", str(factor)))
        return path

    return write


def test_operations_by_name():
    result = call("--match", "softmax", "--order", 1, "--order", 2)
    assert result.exit_code == 0, result.output
    rows = [row for row in OPERATIONS if "softmax" in row.name]
    assert all(f"  {row.name} " in result.output for row in rows)
    assert result.output.count("passed") == 2 * len(rows) + 1
    assert f"{2 * len(rows)} of {2 * len(rows)} checks passed" in result.output
    assert "\x1b" not in result.output


def test_each_backend_is_a_line():
    result = call("--match", "avg_pool2d divisor")
    assert [line.split()[2] for line in result.output.splitlines() if "divisor" in line] == [
        place for place in ("reference", "cpu", "cuda-host") if not kernels.unavailable(place)
    ]
    only = call("--match", "avg_pool2d divisor", "--backend", "reference", "--order", 1)
    assert only.exit_code == 0
    assert "1 of 1 checks passed" in only.output


@pytest.mark.slow
def test_the_whole_table():
    result = call()
    assert result.exit_code == 0, result.output
    assert "passed" in result.output


def test_a_model():
    result = call("convnet")
    assert result.exit_code == 0, result.output
    assert "parameter 'features.0.weight'" in result.output


@pytest.mark.parametrize("name", ["Square", "cube", "plain", "layer"])
def test_a_file_of_your_own(mine, name):
    result = call(f"{mine(2)}:{name}")
    assert result.exit_code == 0, result.output
    assert "1 of 1 checks passed" in result.output


def test_a_wrong_function_exits_with_1_and_its_lesson(mine, tmp_path):
    result = call(f"{mine(3)}:Square", "--figure", tmp_path / "error.png")
    assert result.exit_code == 1
    assert "Likely cause: a factor: backward gives 1.5 times" in result.output
    assert (tmp_path / "error.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vgg12"], "'vgg12' is neither path/to/file.py:function nor a model"),
        (["{mine}:nothing"], "defines no 'nothing'"),
        (["{mine}:broken"], "broken raised KeyError"),
        (["nowhere.py:f"], "there is no file nowhere.py"),
        (["--match", "no such"], "no operation has 'no such' in its name"),
        (["--backend", "tpu"], "backend 'tpu' cannot be checked: no such backend"),
    ],
)
def test_bad_input_exits_with_2_and_one_sentence(mine, arguments, sentence):
    result = call(*[a.replace("{mine}", str(mine(2))) for a in arguments])
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
