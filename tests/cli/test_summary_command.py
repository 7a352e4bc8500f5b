"""`tinynet summary`: lines that can be parsed, a table on a terminal, sentences for mistakes."""

from __future__ import annotations

import importlib
import shlex
from typing import Any

import pytest
from click.testing import CliRunner

from tinynet.cli import main


def call(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["summary", *arguments])


def pairs(line: str) -> dict[str, str]:
    words = shlex.split(line)
    return dict(zip(words[::2], words[1::2], strict=True))


def test_lines_that_can_be_parsed() -> None:
    result = call("lenet5", "--batch", "3")
    assert result.exit_code == 0, result.output
    *layers, total = [pairs(line) for line in result.stdout.splitlines()]
    assert layers[0] == {
        "layer": "features.0",
        "type": "Conv2d",
        "output": "3x6x28x28",
        "parameters": "156",
        "multiply_adds": str(3 * 6 * 28 * 28 * 25),
        "forward_bytes": str(3 * 6 * 28 * 28 * 4),
        "backward_bytes": str(3 * 28 * 28 * 4),
    }
    assert total["parameters"] == total["trainable"] == "61706"
    assert int(total["layers"]) == len(layers)
    for name in ("parameters", "multiply_adds", "forward_bytes", "backward_bytes"):
        assert int(total[name]) == sum(int(layer[name]) for layer in layers)


def test_the_image_can_be_chosen() -> None:
    result = call("ConvNet", "--input", "1x20x12")
    assert "output 1x32x20x12" in result.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vgg99"], "Unknown model vgg99; there are: alexnet, "),
        (["vgg11", "--input", "224"], "--input is CxHxW, such as 3x224x224, not '224'."),
        (["vgg11", "--input", "3x0x5"], "--input is CxHxW"),
        (["vgg11", "--input", "3x20x20"], "at least 32x32, not 20x20."),
        (["resnet18", "--input", "3x32x32"], "Expected more than 1 value per channel"),
    ],
)
def test_mistakes_end_with_a_sentence(arguments: list[str], sentence: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("tinynet: ")
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("tinynet.cli.summary")  # the name in cli is the command's
    monkeypatch.setattr(module, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    text = call("lenet5").stdout
    assert "lenet5, images 1x28x28, batch 1" in text
    for part in ("multiply-adds", "for backward", "features.0", "1x6x28x28", "48,120", "61,706"):
        assert part in text
    assert "61,706 parameters (241.0 KiB). A forward pass takes 417 K multiply-adds" in text


@pytest.mark.parametrize(
    ("width", "missing"),
    [
        (90, ["forward "]),
        (80, ["forward ", "for backward "]),
        (60, ["forward ", "for backward ", "multiply-adds "]),
        (44, ["forward ", "for backward ", "multiply-adds ", "type "]),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns(
    monkeypatch: pytest.MonkeyPatch, width: int, missing: list[str]
) -> None:
    module = importlib.import_module("tinynet.cli.summary")
    monkeypatch.setattr(module, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    lines = call("lenet5").stdout.splitlines()
    assert max(map(len, lines)) <= width
    heading = next(line for line in lines if "parameters" in line) + " "
    for name in ("forward ", "for backward ", "multiply-adds ", "type "):
        assert (name in heading) == (name not in missing)
    rows = [line for line in lines if "features.3" in line]
    assert len(rows) == 1  # nothing is folded
    assert "1x16x10x10" in rows[0]
    assert "2,416" in rows[0]
