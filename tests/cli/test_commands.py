"""The commands, run in this process with what they print caught (so: not on a terminal)."""

import json
import shlex
from importlib.metadata import version

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tinynet.cli import main
from tinynet.datasets import Digits

QUICK = ["train", "--data", "digits", "--epochs", "1", "--batch-size", "250"]


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def pairs(line):
    """The `name value` pairs of a plain line."""
    words = shlex.split(line)
    return dict(zip(words[::2], words[1::2], strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "a run"
    result = call(*QUICK, "--epochs", 3, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two test digits as files: as they are, and dark on light, larger, in colour."""
    folder = tmp_path_factory.mktemp("pictures")
    image, label = Digits(train=False)[0]
    image.save(folder / "plain.png")
    inverted = Image.fromarray(255 - np.asarray(image)).convert("RGB").resize((80, 80), 0)
    inverted.save(folder / "in verted.jpg", quality=95)
    return folder, label


def test_version_and_help():
    assert call("--version").output == f"tinynet {version('tinynet')}\n"
    listed = call("--help").output
    assert all(command in listed for command in ("train", "evaluate", "predict"))
    options = call("train", "-h").output
    for option in ("model", "data", "epochs", "batch-size", "lr", "optimizer", "seed", "device"):
        assert f"--{option}" in options
    assert "--out" in options


def test_train_prints_what_it_does_in_lines_that_can_be_parsed(run):
    folder, result = run
    lines = [pairs(line) for line in result.stdout.splitlines()]
    assert lines[0]["model"] == "convnet"
    assert int(lines[0]["parameters"]) > 10_000
    assert lines[1] == {
        "data": "digits",
        "train": "1500",
        "test": "297",
        "classes": "10",
        "image": "1x8x8",
    }
    assert lines[2] == {"optimizer": "adamw", "lr": "0.002", "batch_size": "250", "epochs": "3"}
    assert lines[3]["device"] == "cpu"
    assert lines[3]["seed"] == "0"
    assert int(lines[3]["threads"]) >= 1
    epochs = [line for line in lines if "epoch" in line]
    assert [line["epoch"] for line in epochs] == ["1", "2", "3"]
    assert list(epochs[0]) == [
        "epoch",
        "loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
        "seconds",
    ]
    assert int(lines[-3]["peak_memory_mib"]) > 20
    assert lines[-2] == {"test_accuracy": epochs[-1]["test_accuracy"]}
    assert lines[-1] == {"saved": str(folder)}
    recorded = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert f"{recorded['test_accuracy']:.4f}" == epochs[-1]["test_accuracy"]
    assert "\x1b" not in result.stdout


def test_train_without_out_makes_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda format: "20250131-235959")
    for expected in ("convnet-digits-20250131-235959", "convnet-digits-20250131-235959-2"):
        result = call(*QUICK, "--seed", 3)
        assert pairs(result.stdout.splitlines()[-1])["saved"] == f"runs/{expected}"
        assert json.loads((tmp_path / "runs" / expected / "config.json").read_text())["seed"] == 3


def test_evaluate_repeats_the_accuracy_and_says_it_class_by_class(run):
    folder, trained = run
    result = call("evaluate", folder)
    assert result.exit_code == 0, result.output
    lines = [pairs(line) for line in result.stdout.splitlines()]
    assert lines[0]["test_accuracy"] == pairs(trained.stdout.splitlines()[-2])["test_accuracy"]
    assert lines[0]["images"] == "297"
    assert [line["name"] for line in lines[1:]] == list("0123456789")
    right = sum(float(line["class_accuracy"]) * int(line["images"]) for line in lines[1:])
    assert right / 297 == pytest.approx(float(lines[0]["test_accuracy"]), abs=1e-3)


def test_predict_knows_the_digit_however_it_is_drawn(run, pictures):
    folder, label = pictures
    paths = [folder / "plain.png", folder / "in verted.jpg"]
    result = call("predict", run[0], *paths, "--top", 2)
    assert result.exit_code == 0, result.output
    lines = [pairs(line) for line in result.stdout.splitlines()]
    assert [line["image"] for line in lines] == [str(paths[i]) for i in (0, 0, 1, 1)]
    assert [line["rank"] for line in lines] == ["1", "2", "1", "2"]
    assert [line["inverted"] for line in lines] == ["no", "no", "yes", "yes"]
    assert lines[0]["name"] == lines[2]["name"] == str(label)
    assert float(lines[0]["probability"]) > float(lines[1]["probability"])


def test_predict_can_be_told_not_to_invert(run, pictures):
    path = pictures[0] / "in verted.jpg"
    auto, kept, forced = (
        call("predict", run[0], path, "--invert", how).stdout for how in ("auto", "no", "yes")
    )
    assert auto == forced != kept


def test_all_classes_have_probability_one(run, pictures):
    result = call("predict", run[0], pictures[0] / "plain.png", "--top", 99)
    shares = [float(pairs(line)["probability"]) for line in result.stdout.splitlines()]
    assert len(shares) == 10
    assert sum(shares) == pytest.approx(1, abs=1e-3)


def sentence(result):
    """The one line on stderr of a command that could not be done."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tinynet: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "alexnet"], "AlexNet takes images of at least 63x63, not 8x8"),
        (["--model", "lexnet"], "lexnet; there are: alexnet"),
        (["--data", "folder:nowhere"], "There is no folder nowhere"),
        (["--freeze", "head"], "The network has no part 'head'"),
        (["--from", "nowhere"], "There is no run nowhere"),
        (["--model", "lenet5"], "LeNet5 takes images of 28x28 or 32x32, not 8x8"),
        (["--data", "cats"], "There is no data called 'cats'; there are clothes, digits"),
        (["--data", "mnist:nowhere"], "train-images-idx3-ubyte.gz is neither in nowhere"),
        (["--optimizer", "magic"], "no optimizer called 'magic'; there are adamw, adam, sgd"),
        (["--device", "cuda"], "CUDA"),
        (["--device", "abacus"], "expected cpu or cuda"),
        (["--epochs", "0"], "'--epochs'"),
        (["--epochs", "many"], "'many' is not a valid integer"),
        (["--lr", "-1"], "learning rate must be positive and finite, not -1.0"),
        (["--seed", "-1"], "'--seed'"),
        (["--threads", "100000"], "100000 threads cannot be used"),
        (["--cheese"], "No such option"),
        (["surplus"], "unexpected extra argument"),
    ],
)
def test_train_refuses_in_one_sentence(tmp_path, arguments, expected):
    result = call(*QUICK, "--out", tmp_path / "run", *arguments)
    assert expected in sentence(result)
    assert not (tmp_path / "run").exists()


def test_train_refuses_a_folder_in_use(run):
    assert "is not empty" in sentence(call(*QUICK, "--out", run[0]))


def test_evaluate_refuses_in_one_sentence(run, tmp_path):
    folder, _ = run
    assert "There is no run nowhere" in sentence(call("evaluate", "nowhere"))
    assert "is not a run" in sentence(call("evaluate", tmp_path))
    assert "(1, 8, 8), but those of clothes are (1, 28, 28)" in sentence(
        call("evaluate", folder, "--data", "clothes")
    )
    assert "CUDA" in sentence(call("evaluate", folder, "--device", "cuda"))
    assert "Missing argument 'RUN'" in sentence(call("evaluate"))


def test_predict_refuses_in_one_sentence_and_prints_nothing_else(run, pictures, tmp_path):
    folder, _ = run
    good = pictures[0] / "plain.png"
    text = tmp_path / "letter.txt"
    text.write_text("Dear Madam")
    for bad, expected in (
        (text, "letter.txt is not an image"),
        (tmp_path / "gone.png", "no image file"),
        (tmp_path, "is a folder, not an image"),
    ):
        result = call("predict", folder, good, bad)
        assert expected in sentence(result)
        assert result.stdout == ""
    assert "There is no run" in sentence(call("predict", tmp_path / "no", good))
    assert "Missing argument" in sentence(call("predict", folder))
    assert "'--invert'" in sentence(call("predict", folder, good, "--invert", "maybe"))


def test_an_unknown_command():
    assert "No such command 'fly'" in sentence(call("fly"))


def test_damaged_weights_are_said(run, tmp_path):
    for path in run[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    assert "weights.safetensors is not a safetensors file, or damaged" in sentence(
        call("evaluate", tmp_path)
    )
