"""Results in files, compared, drawn, and in the document."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tinynet.bench import bars, pictures
from tinynet.bench.compare import compare, interval, warnings
from tinynet.bench.report import markdown, renew, results_in
from tinynet.bench.result import Result, ResultError
from tinynet.bench.timing import summary
from tinynet.cli import main

ROOT = Path(__file__).parents[2]


def entry(samples, library="tinynet", **more):
    return {"library": library, **summary([float(s) for s in samples]), "discarded": 1, **more}


def model_row(ours, default, best, model="mlp"):
    return {
        "key": f"models/{model}/training/64/2",
        "unit": "s",
        "model": model,
        "mode": "training",
        "batch": 64,
        "threads": 2,
        "unverified": {},
        "entries": {
            "tinynet": entry(ours),
            "pytorch": entry(default, "pytorch"),
            "pytorch best": entry(best, "pytorch", setting="fused"),
        },
    }


def kernel_row(function="forward", seconds=0.01):
    return {
        "key": f"kernels/conv2d/3x3/{function}/float32/2",
        "unit": "s",
        "family": "conv2d",
        "case": "3x3",
        "function": function,
        "dtype": "float32",
        "threads": 2,
        "flops": 10**9,
        "bytes": 10**7,
        "ceilings": {"gemm": 2e11, "copy": 1e10},
        "entries": {"auto": entry([seconds] * 3, workspace=2**20)},
    }


def result(*rows):
    one = Result("tinynet bench models")
    one.versions = {"tinynet": "1", "torch": "2"}
    for row in rows:
        one.add(row)
    return one


def noisy(median, spread=0.03, n=15, seed=0):
    return median * np.random.default_rng(seed).normal(1, spread, n)


def call(*arguments):
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def lines(output):
    words = [shlex.split(line) for line in output.splitlines()]
    return [dict(zip(w[::2], w[1::2], strict=True)) for w in words]


# --------------------------------------------------------------------------------- files


def test_a_result_is_what_was_written(tmp_path):
    one = result(model_row([1, 2, 3], [2, 3, 4], [2, 2, 3]))
    one.path = tmp_path / "deep" / "r.json"
    one.absent["jax"] = "ModuleNotFoundError"
    one.add(kernel_row())
    read = Result.read(one.path)
    assert read.rows == one.rows
    assert read.selections() == ["models", "kernels"]
    assert (read.command, read.machine, read.absent) == (one.command, one.machine, one.absent)
    assert {"cpu", "isa", "cores", "float32 lanes"} <= read.machine.keys()
    assert one.path.read_text().count("\n") < 40  # a row is a line


def test_files_that_are_no_results(tmp_path):
    with pytest.raises(ResultError, match="No such file"):
        Result.read(tmp_path / "nothing.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ResultError, match="is not JSON"):
        Result.read(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"format": 0}')
    with pytest.raises(ResultError, match="is no result of tinynet bench"):
        Result.read(tmp_path / "a.json")


# ---------------------------------------------------------------------------- comparison


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (noisy(1), noisy(1.2, seed=1), "regression"),
        (noisy(1), noisy(0.8, seed=1), "improvement"),
        (noisy(1), noisy(1, seed=1), "noise"),
        (noisy(1), noisy(1.03, 0.001, seed=1), "noise"),  # below the threshold
        (noisy(1, 0.5, 7), noisy(1.2, 0.5, 7, seed=4), "noise"),  # too wide to tell
    ],
)
def test_a_regression_is_told_from_noise(before, after, verdict):
    others = noisy(2), noisy(2)
    old, new = (result(model_row(samples, *others)) for samples in (before, after))
    (change,) = compare(old, new)  # PyTorch's own changes are not ours
    assert change.verdict == verdict


def test_false_alarms_are_rare():
    alarms = 0
    for seed in range(100):
        old, new = (result(model_row(noisy(1, 0.1, 11, s), [1], [1])) for s in (seed, seed + 500))
        alarms += compare(old, new)[0].verdict == "regression"
    assert alarms <= 8


def test_the_interval_holds_the_truth():
    hits = 0
    for seed in range(100):
        low, high = interval(list(noisy(1, 0.1, 15, seed)), list(noisy(1.3, 0.1, 15, seed + 500)))
        hits += low <= 1.3 <= high
    assert hits >= 88


def test_compare_command(tmp_path):
    for name, median in (("a", 1.0), ("b", 1.5), ("c", 0.5)):
        one = result(model_row(noisy(median), [1], [1]), kernel_row())
        one.write(tmp_path / f"{name}.json")
    a, b, c = (tmp_path / f"{name}.json" for name in "abc")
    worse = call("--compare", a, b)
    assert worse.exit_code == 1
    found = lines(worse.stdout)
    assert [line["verdict"] for line in found] == ["regression", "noise"]
    assert found[0]["row"] == "models/mlp/training/64/2"
    assert float(found[0]["ratio"]) == pytest.approx(1.5)
    assert call("--compare", a, c).exit_code == 0
    assert call("--compare", a, b, "--threshold", 0.6).exit_code == 0
    result().write(tmp_path / "empty.json")
    nothing = call("--compare", a, tmp_path / "empty.json")
    assert nothing.exit_code == 2
    assert "no row in common" in nothing.stderr


def test_other_machines_and_versions_are_named():
    one, other = result(), result()
    other.machine = {**other.machine, "cpu": "another"}
    other.versions["torch"] = "3"
    said = warnings(one, other)
    assert said == [f"cpu: {one.machine['cpu']} and another", "torch: 2 and 3"]


# ---------------------------------------------------------------------- bars and tables


@pytest.mark.parametrize(
    ("ours", "default", "best", "verdict"),
    [
        ([0.6], [1], [0.8], "reached"),
        ([0.8], [1], [0.8], "first bar reached"),
        ([1.2], [1], [0.8], "missed"),
        ([0.6, 0.6, 1.0], [1, 1, 1], [1, 1, 1], "reached"),
        ([0.6, 1.2, 1.2], [1, 1, 1], [1, 1, 1], "missed"),  # the best alone does not do
        ([0.95, 0.6, 0.6], [1, 1, 0.62], [1, 1, 1], "first bar reached"),  # nor the median
    ],
)
def test_bars(ours, default, best, verdict):
    row = model_row(ours, default, best)
    assert bars.judge(row) == verdict
    assert f"0.7 / 0.9 / 1.1 | {verdict} |" in markdown(result(row))
    assert bars.judge(row | {"threads": 1}) == bars.judge(row | {"mode": "inference"}) == ""
    row["entries"].pop("pytorch best")
    assert bars.judge(row) == "not measured"


def test_every_bar_is_of_a_network():
    from tinynet.bench.networks import NETWORKS

    assert bars.BARS.keys() == NETWORKS.keys()


def test_markdown_says_how_it_was_made():
    one = result(model_row([1e-3, 2e-3, 3e-3], [2e-3] * 3, [2e-3] * 3), kernel_row())
    one.absent["jax"] = "ModuleNotFoundError: no jax"
    text = markdown(one)
    assert "Made by `tinynet bench models`" in text
    assert "12 samples, 4 more discarded" in text
    assert "| MLP 784-100-10 | training, batch 64 | 2 | 2 (1) | 2 (2) | 2 (2) | fused |" in text
    assert "| conv2d forward | 3x3 | 2 | auto | 10 (10) | 100.0 | 50% | 1.0 | 10% | 1.0 |" in text
    assert "Not there: jax (ModuleNotFoundError: no jax)." in text
    for line in text.splitlines():
        if line.startswith("| "):
            assert line.count("|") in (7, 11, 12)


def test_the_roofline(tmp_path):
    one = result(kernel_row(), kernel_row("grad_input", 0.02))
    figure = pictures.roofline(list(one.rows.values()))
    (axes,) = figure.axes
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [(100, 100), (100, 50)])
    roof = axes.lines[0].get_ydata()
    assert roof.max() == 200  # the GEMM ceiling
    pictures.draw(one, tmp_path / "roof.svg")
    assert (tmp_path / "roof.svg").read_text().lstrip().startswith("<?xml")


def test_bars_are_drawn(tmp_path):
    one = result(model_row([1, 2, 3], [2, 2, 2], [1, 2, 2]))
    (axes,) = pictures.bars(one).axes
    assert [patch.get_width() for patch in axes.patches] == [1.0, 1.0, 1.0]
    one.write(tmp_path / "r.json")
    command = ["--from", tmp_path / "r.json", "--svg", tmp_path / "b.svg"]
    assert call(*command, "--markdown", tmp_path / "t.md").exit_code == 0
    assert (tmp_path / "b.svg").stat().st_size > 1000
    assert (tmp_path / "t.md").read_text() == markdown(one)


# --------------------------------------------------------------------------- the command


def test_the_command_measures(inside, tmp_path):
    output = tmp_path / "r.json"
    options = ["--model", "tiny_mlp", "--threads", 1, "--rounds", 2, "--retries", 0]
    done = call("models", *options, "--peer", "tinynet", "--output", output)
    assert done.exit_code == 0, done.output
    said = lines(done.stdout)
    assert [line["row"] for line in said] == list(Result.read(output).rows)
    assert float(said[0]["median_ms"]) > 0
    assert said[0]["samples"] == "2"


def test_mistakes_are_sentences(tmp_path):
    assert "what shall be measured?" in call().stderr
    assert call("speed").exit_code == 2
    missing = call("--from", tmp_path / "x.json", "--markdown", tmp_path / "y.md")
    assert (missing.exit_code, missing.stderr.count("\n")) == (2, 1)
    unknown = call("models", "--model", "vgg")
    assert "there is no model 'vgg'" in unknown.stderr
    assert unknown.exit_code == 2


# -------------------------------------------------------------------------- the document


def test_the_document_shows_the_committed_results():
    text = (ROOT / "docs/benchmarks.md").read_text()
    names = results_in(text)
    assert set(names) >= {path.name for path in (ROOT / "benchmarks/results").glob("*.json")}
    renewed = renew(text, ROOT / "benchmarks/results").replace(f"{ROOT}/", "")
    assert renewed == text, "run `tinynet bench report`"


def test_report_renews_the_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    result(model_row([1], [1], [1])).write(tmp_path / "benchmarks/results/a.json")
    document = tmp_path / "docs/benchmarks.md"
    document.write_text("Before.\n\n<!-- a.json -->\nold\n<!-- end -->\nAfter.\n")
    assert call("report").exit_code == 0
    text = document.read_text()
    assert text.startswith("Before.\n\n<!-- a.json -->\n\nMade by")
    assert text.endswith("\n<!-- end -->\nAfter.\n")
    assert "old" not in text
    assert call("report").exit_code == 0
    assert document.read_text() == text


def test_documented_commands_exist():
    known = {option for parameter in main.commands["bench"].params for option in parameter.opts}
    text = (ROOT / "docs/benchmarks.md").read_text().partition("## Networks")[0]
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known
