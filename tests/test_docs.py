"""The pages of the documentation and the README do what they say.

Python blocks of a page run in order, in one namespace and an empty folder; lines of sh blocks that
begin with `tinynet` run as commands there. A comment behind a `print` that looks like a value is
what it must print (`...` stands for anything). A comment in front of a block says otherwise:

    <!-- slow -->            it runs with the slow tests
    <!-- gpu -->             it runs where there is a GPU
    <!-- not run: WHY -->    it does not run

Commands that do not run, or that have a NAME in capitals for something of the reader's, are read:
the command and its options must exist.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import tinynet
from tinynet.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?:^<!-- ?(.*?) ?-->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VALUE = re.compile(r"""tensor\(|[(\[<'"]|-?\d|True\b|False\b|None\b""")


@dataclass
class Block:
    """A fenced block: its language, its text, the line where that begins, and what marks it."""

    language: str
    text: str
    line: int
    mark: str


def known_mark(mark: str) -> str:
    """The mark, or nothing for a comment that is for others."""
    return mark if mark in ("slow", "gpu") or mark.startswith("not run:") else ""


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(match[2], match[3], text.count("\n", 0, match.start(3)), known_mark(match[1] or ""))
        for match in FENCE.finditer(text)
    ]


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """(the line, its words without the first) of the lines that call tinynet."""
    if block.language not in ("sh", "bash", "console"):
        return
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"\w+=\S*", words[0]):
            words.pop(0)  # variables of the environment
        if words and words[0] in ("tinynet", ".venv/bin/tinynet"):
            yield line, [word for word in words[1:] if word != "&"]


def is_complete(arguments: list[str]) -> bool:
    """False if something in capitals, or `path/to`, stands for what only the reader has."""
    return not any(re.search(r"\b[A-Z]{3,}\b|path/to/", word) for word in arguments)


def check_options(arguments: list[str]) -> None:
    """The command exists, and so do its options."""
    command: click.Command = main
    words = iter(arguments)
    while isinstance(command, click.Group):
        command = command.commands[next(words)]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    assert used <= known | {"--help"}, used - known


def expected(line: str) -> str | None:
    """What a line with a print says that it prints; None if it does not say."""
    match = re.search(r"print\(.*\)\s+# (.*)$", line)
    return match[1] if match and VALUE.match(match[1]) else None


class Printed:
    """A `print` that compares what it prints with the comment behind it."""

    def __init__(self, page: Path) -> None:
        self.lines = page.read_text().splitlines()

    def __call__(self, *values: Any, **options: Any) -> None:
        frame = sys._getframe(1)
        said = expected(self.lines[frame.f_lineno - 1])
        text = options.get("sep", " ").join(map(str, values))
        if said is not None:
            pattern = re.escape(said).replace(r"\.\.\.", ".*")
            assert re.fullmatch(pattern, text), f"line {frame.f_lineno} prints {text}, not {said}"
        print(*values, **options)


def run(page: Path, marks: set[str]) -> None:
    """Run the blocks whose mark is among these, in order."""
    names: dict[str, Any] = {"__name__": "page", "print": Printed(page)}
    tinynet.manual_seed(0)
    for block in blocks(page):
        if block.mark not in marks:
            continue
        if block.language == "python":
            # lines in front, so that a traceback names the page's
            code = "\n" * block.line + block.text
            exec(compile(code, str(page), "exec"), names)
        for line, arguments in commands(block):
            if is_complete(arguments):
                result = CliRunner().invoke(main, arguments)
                assert result.exit_code == 0, f"{line}\n{result.output}"


def runs(page: Path, mark: str) -> bool:
    """Whether the page has something of this mark to run."""
    return any(
        block.mark == mark
        and (block.language == "python" or any(is_complete(a) for _, a in commands(block)))
        for block in blocks(page)
    )


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", [p for p in PAGES if runs(p, "")], ids=name)
def test_the_page_runs(page: Path) -> None:
    run(page, {""})


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if runs(p, "slow")], ids=name)
def test_the_slow_page_runs(page: Path) -> None:
    run(page, {"", "slow"})


@pytest.mark.gpu
@pytest.mark.parametrize("page", [p for p in PAGES if runs(p, "gpu")], ids=name)
def test_the_page_runs_on_a_gpu(page: Path) -> None:
    run(page, {"", "gpu"})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_exist(page: Path) -> None:
    for block in blocks(page):
        for _, arguments in commands(block):
            check_options(arguments)


def test_the_options_that_the_training_page_names_exist() -> None:
    known = {o for command in main.commands.values() for p in command.params for o in p.opts}
    text = (ROOT / "docs" / "train.md").read_text()
    assert set(re.findall(r"`(--[a-z][a-z-]+)", text)) <= known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", prose):
        assert (page.parent / target).exists(), target


# ---------------------------------------------------------------------------- of this file itself


def write(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text.replace("~~~", "```"))
    return page


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("~~~python\nprint(1 + 1)  # 3\n~~~\n", "line 2 prints 2, not 3"),
        ("~~~python\nprint([1, 2])  # [1, 3]\n~~~\n", "not \\[1, 3"),
        ("# x\n\n~~~python\nx = 1\n~~~\n\n~~~python\nassert x == 2, 'x is 1'\n~~~\n", "x is 1"),
        ("~~~sh\ntinynet summary vgg99\n~~~\n", "Unknown model vgg99"),
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(AssertionError, match=error):
        run(write(tmp_path, text), {""})


def test_a_page_that_is_right_passes(tmp_path: Path) -> None:
    page = write(
        tmp_path,
        "~~~python\nx = 5\nprint(x)  # 5\nprint(x)  # the number\nprint(0.123)  # 0.1...\n~~~\n"
        "<!-- slow -->\n~~~python\nraise SystemError\n~~~\n"
        "<!-- not run: because -->\n~~~sh\ntinynet train --lr NUMBER\n~~~\n",
    )
    run(page, {""})
    with pytest.raises(SystemError):
        run(page, {"", "slow"})


def test_options_that_there_are_not_are_found(tmp_path: Path) -> None:
    for line in ("tinynet train --speed 3", "tinynet fly"):
        (block,) = blocks(write(tmp_path, f"~~~sh\n{line} NAME\n~~~\n"))
        ((_, arguments),) = commands(block)
        assert not is_complete(arguments)
        with pytest.raises((AssertionError, KeyError)):
            check_options(arguments)
