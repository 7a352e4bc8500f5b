"""The README's commands are the ones that CI runs; `tests/test_docs.py` runs its Python."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_commands_that_ci_runs_are_there():
    for name in ("train command", "test command"):
        command = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.DOTALL)
        assert command
        assert "pip install" in command[1]
