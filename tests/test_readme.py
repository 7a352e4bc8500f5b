"""What the README says is so: its Python runs, its commands are the ones that are tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(block, capsys):
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out.splitlines()
    for said, line in zip(re.findall(r"print\(.*?\)\s+# (.*)", block), printed, strict=True):
        expected = re.escape(said).replace(r"0x\.\.\.", "0x[0-9a-f]+")
        assert re.fullmatch(expected, line)


def test_there_are_blocks():
    assert BLOCKS


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_commands_that_ci_runs_are_there():
    for name in ("train command", "test command"):
        command = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.DOTALL)
        assert command
        assert "pip install" in command[1]
