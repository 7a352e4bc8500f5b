"""The Python in docs/data.md and docs/train.md runs, and prints what it says."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["data.md", "train.md"])
def test_python_blocks_run(name, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)
    said = [line for block in blocks for line in re.findall(r"print\(.*\)\s+# (.*)", block)]
    assert capsys.readouterr().out.splitlines() == said
    if name == "train.md":
        assert 0 < names["train_loss"] < 10
        assert names["test_loss"] > 0


def test_the_options_of_the_documented_commands_exist():
    from tinynet.cli import train

    known = {option for parameter in train.params for option in parameter.opts}
    text = (DOCS / "train.md").read_text()
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known
