"""Runs public programs written for PyTorch on PyTorch and on tinynet, and compares.

    python tests/programs/run.py FOLDER                     all that lie in FOLDER
    python tests/programs/run.py FOLDER mnist_main          one
    python tests/programs/run.py FOLDER --page docs/programs.md

`manifest.toml` says which programs, of which repository and commit, and what is run. Their code is
their authors' and not in here: put each into FOLDER under its `path` there. Needs PyTorch, and
torchvision for programs that import it.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from rewriting import rewritten
from small_data import MAKERS

HERE = Path(__file__).parent
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|inf|nan)(?![\w])")
CLOSE = 1e-3  # the largest relative difference of numbers that are called the same
NUDGE = 1e-7  # about the rounding of float32
SECONDS = 300


@dataclass
class Program:
    """One program of the manifest."""

    name: str
    source: str  # repository or package
    commit: str
    path: str
    hash: str = ""
    kind: str = "program"  # or model: a definition, compared on a random batch
    make: str = ""  # of a model: the expression that makes it
    input: list[int] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)  # root as the program says it: data set
    edits: dict[str, str] = field(default_factory=dict)  # constants made smaller
    argv: list[str] = field(default_factory=list)
    steps: int | None = None  # stop after so many calls of backward
    ignore: str = ""  # lines of output that differ from run to run
    needs: list[str] = field(default_factory=list)  # files beside it
    note: str = ""

    @property
    def author(self) -> str:
        """Whose it is."""
        return self.source.partition("/")[0]


@dataclass
class Result:
    """What came of a program."""

    program: Program
    status: str
    compared: int = 0
    difference: float = 0.0
    own: float | None = None  # PyTorch from itself, its weights rounded otherwise
    detail: str = ""


def text_hash(source: str) -> str:
    """SHA-256 of a program's statements, whatever its comments, blank lines and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [n for n in body if not _is_text(n)] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def manifest() -> list[Program]:
    """The programs of manifest.toml."""
    read = tomllib.loads((HERE / "manifest.toml").read_text())
    return [Program(name=name, **entry) for name, entry in read.items()]


def run(program: Program, folder: Path) -> Result:
    """Run a program on both sides and compare."""
    path = folder / program.source / program.path
    if not path.is_file():
        return Result(program, "not there", detail=f"{program.path} is not in {folder}")
    source = path.read_text()
    if program.hash and text_hash(source) != program.hash:
        return Result(program, "another text", detail="its statements are not the pinned ones")
    theirs = run_side(program, folder, "torch")
    mine = run_side(program, folder, "tinynet")
    result = compared(program, theirs, mine)
    if result.status == "differs" and not result.detail:
        # Is it more than rounding? PyTorch from weights that are rounded otherwise says.
        nudged = compared(program, theirs, run_side(program, folder, "torch", NUDGE))
        result.own = nudged.difference
        if result.difference <= 3 * result.own:
            result.status = "same"
    return result


def run_side(program: Program, folder: Path, side: str, nudge: float = 0.0) -> dict:
    """What a program prints and computes on one side, in a new folder with small data."""
    with tempfile.TemporaryDirectory() as temporary:
        # deep enough for roots such as ../../data
        place = Path(temporary) / "a" / "b" / "c"
        place.mkdir(parents=True)
        facts: dict = {}
        for root, name in program.data.items():
            facts |= MAKERS[name]((place / root).resolve(), name)
        for name in (program.path, *program.needs):
            source = (folder / program.source / name).read_text()
            for old, new in program.edits.items():
                source = source.replace(old, new)
            target = place / Path(name).relative_to(Path(program.path).parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(rewritten(source) if side == "tinynet" else source)
        job = {
            "side": side,
            "nudge": nudge,
            "file": Path(program.path).name,
            "kind": program.kind,
            "make": program.make,
            "input": program.input,
            "argv": program.argv,
            "steps": program.steps,
            "facts": facts,
            "answer": str(Path(temporary) / "answer.json"),
        }
        (Path(temporary) / "job.json").write_text(json.dumps(job))
        threads = {f"{n}_NUM_THREADS": "1" for n in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
        done = subprocess.run(
            [sys.executable, str(HERE / "child.py"), str(Path(temporary) / "job.json")],
            cwd=place,
            env={**os.environ, "MPLBACKEND": "Agg", **threads},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        answer = Path(job["answer"])
        if not answer.is_file():
            return {
                "error": done.stderr.strip().splitlines()[-1],
                "printed": done.stdout,
                "losses": [],
            }
        return {**json.loads(answer.read_text()), "printed": done.stdout}


def compared(program: Program, theirs: dict, mine: dict) -> Result:
    """Which numbers there are on both sides, and how far they are from one another."""
    if theirs["error"]:
        return Result(program, "fails on PyTorch", detail=theirs["error"])
    if mine["error"]:
        return Result(program, "fails", detail=mine["error"] + "\n" + mine.get("trace", ""))
    pairs: list[tuple[float, float]] = []
    different: list[str] = []
    if len(theirs["losses"]) != len(mine["losses"]):
        different.append(f"{len(theirs['losses'])} steps and {len(mine['losses'])}")
    pairs += zip(theirs["losses"], mine["losses"])
    for a, b in _lines(program, theirs["printed"], mine["printed"], different):
        numbers_a, numbers_b = NUMBER.findall(a), NUMBER.findall(b)
        if NUMBER.sub("#", a).split() != NUMBER.sub("#", b).split():
            different.append(f"{a!r} and {b!r}")
        elif len(numbers_a) == len(numbers_b):
            pairs += [(float(x), float(y)) for x, y in zip(numbers_a, numbers_b)]
    for key, value in theirs.get("measured", {}).items():
        other = mine["measured"][key]
        if key in ("text", "keys"):
            if value != other:
                different.append(f"{key}: {value!r} and {other!r}"[:600])
        elif len(value) != len(other):
            different.append(f"{key}: {len(value)} numbers and {len(other)}")
        else:
            scale = max(map(abs, value), default=1)
            pairs += [(x / scale, y / scale) for x, y in zip(value, other)]
    difference = max((_relative(a, b) for a, b in pairs), default=0.0)
    status = "same" if difference <= CLOSE and not different else "differs"
    return Result(program, status, len(pairs), difference, detail="\n".join(different[:5]))


def _lines(program: Program, theirs: str, mine: str, different: list[str]):
    mine = mine.replace("tinynet", "torch")
    ignored = re.compile(program.ignore) if program.ignore else None
    both = [
        [t for t in re.split(r"[\r\n]+", text) if t.strip() and not (ignored and ignored.search(t))]
        for text in (theirs, mine)
    ]
    if len(both[0]) != len(both[1]):
        different.append(f"{len(both[0])} lines and {len(both[1])}")
    return zip(*both)


def _relative(a: float, b: float) -> float:
    if a == b or (a != a and b != b):
        return 0.0
    size = max(abs(a), abs(b))
    return abs(a - b) / max(size, 1e-2) if size < float("inf") else float("inf")


def page(results: list[Result]) -> str:
    """docs/programs.md."""
    authors = {r.program.author for r in results}
    same = sum(r.status == "same" for r in results)
    text = [
        "# Public programs that were tried",
        "",
        f"{len(results)} programs of {len(authors)} authors, written for PyTorch, were run on "
        f"PyTorch and on tinynet with only their import lines changed; {same} computed the same "
        "numbers. Both sides start from the same weights, see the data in the same order and drop "
        "the same units, because PyTorch is made to draw tinynet's random numbers. Data sets are "
        "small ones in the original file formats. On both sides constants such as the number of "
        "epochs are made smaller, and what PyTorch itself no longer takes is replaced "
        "([which](../tests/programs/manifest.toml)). Compared are the numbers "
        "behind each `backward()` and all that a program prints; of a model definition its printed "
        "form, its parameters' names, its values and its gradients on a random batch.",
        "",
        "The programs are their authors' and not part of tinynet. With them in a folder, "
        "`python tests/programs/run.py FOLDER --page docs/programs.md` makes this page again.",
        "",
        "Numbers count as the same if they differ by at most a thousandth. Where a training "
        "amplifies rounding beyond that, PyTorch is run once more from weights that differ in the "
        "last bit, and the last column says how far that takes it from itself: to be counted as "
        "the same, tinynet may differ by three times as much.",
        "",
        "| program | from | what | result | numbers | largest relative difference | "
        "of PyTorch from itself |",
        "| --- | --- | --- | --- | ---: | ---: | ---: |",
    ]
    for r in sorted(results, key=lambda r: (r.program.kind, r.program.source, r.program.path)):
        p = r.program
        what = f"`{p.make}`" if p.kind == "model" else p.note or "the program"
        state = {"same": "same numbers"}.get(
            r.status, f"{r.status}: {r.detail.splitlines()[0]}" if r.detail else r.status
        )
        at = f"{p.source} {p.commit[:10]}"
        own = "" if r.own is None else f"{r.own:.1e}"
        cells = [p.path, at, what, state, r.compared, f"{r.difference:.1e}", own]
        text.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    results = []
    for program in manifest():
        if not arguments.names or program.name in arguments.names:
            result = run(program, arguments.folder)
            results.append(result)
            print(
                f"{program.name:40} {result.status:12} {result.compared:6} numbers, "
                f"{result.difference:.1e}"
                + ("" if result.own is None else f" (PyTorch from itself: {result.own:.1e})"),
                flush=True,
            )
            if result.detail:
                print("    " + result.detail.replace("\n", "\n    "), flush=True)
    if arguments.page:
        arguments.page.write_text(page(results))
