import io
import shlex

import pytest

from tinynet.cli import Sentence
from tinynet.cli.output import plain, sentences
from tinynet.cli.using import bars
from tinynet.train import UserError


def test_plain_lines_can_be_taken_apart_again(capsys):
    values = {"name": "Ankle boot", "quoted": "it's", "empty": "", "share": 1 / 3, "count": 7}
    plain(**values)
    words = shlex.split(capsys.readouterr().out)
    assert dict(zip(words[::2], words[1::2], strict=True)) == {
        "name": "Ankle boot",
        "quoted": "it's",
        "empty": "",
        "share": "0.3333",
        "count": "7",
    }


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("That is not there."), "That is not there."),
        (FileNotFoundError("There is no such image."), "There is no such image."),
        (PermissionError(13, "Permission denied", "runs/a"), "runs/a: Permission denied."),
    ],
)
def test_errors_of_the_user_become_sentences(error, sentence):
    with pytest.raises(Sentence) as raised, sentences():
        raise error
    assert raised.value.message == sentence


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("a bug"), RuntimeError("a bug")])
def test_errors_of_ours_stay_what_they_are(error):
    with pytest.raises(type(error)), sentences():
        raise error


def test_bars(monkeypatch):
    assert list(bars(["a", "long"], [1.0, 0.05])) == [
        "  a     " + "█" * 30 + "  100.0%",
        "  long  █▌" + " " * 28 + "    5.0%",
    ]
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert list(bars(["a"], [0.5])) == ["  a  " + "#" * 15 + " " * 15 + "   50.0%"]
