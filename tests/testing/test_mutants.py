"""Derivatives broken on purpose: every one that is a mistake is caught."""

from pathlib import Path

import pytest

from tinynet.testing import mutants
from tinynet.testing.operations import OPERATIONS

DOCS = Path(__file__).parents[2] / "docs" / "gradcheck.md"
FAST = ("pullbacks", "formulas", "kernels")


@pytest.fixture(scope="module")
def tallies():
    return {suite: mutants.tally(mutants.SUITES[suite]()) for suite in FAST}


@pytest.mark.slow
@pytest.mark.parametrize("suite", FAST)
def test_all_are_caught(suite, tallies):
    tally = tallies[suite]
    print(tally.text())
    assert tally.survived == []
    assert tally.total > 100


@pytest.mark.slow
def test_all_edited_kernel_sources_are_caught():
    tally = mutants.tally(mutants.source_mutants())
    print(tally.text())
    assert tally.survived == []
    assert tally.total > 150


def documented():
    """suite -> (mutants, caught, equivalent) in the table of docs/gradcheck.md."""
    block = DOCS.read_text().split(mutants.BLOCK[0])[1].split(mutants.BLOCK[1])[0]
    rows = [line.strip("|").split("|") for line in block.strip().splitlines()[2:]]
    return {row[0].strip(): tuple(int(cell) for cell in row[1:]) for row in rows}


@pytest.mark.slow
def test_the_documented_count_is_current(tallies):
    table = documented()
    for suite, tally in tallies.items():
        counted = (tally.total, tally.total, len(tally.equivalent))
        assert table[suite] == counted, "run: python -m tinynet.testing.mutants docs/gradcheck.md"
    suites = [table[suite] for suite in mutants.SUITES]
    assert table["all"] == tuple(sum(column) for column in zip(*suites, strict=True))


def test_what_is_called_equivalent_exists_and_has_a_proof():
    names = {m.name for suite in mutants.SUITES.values() for m in suite()}
    assert set(mutants.EQUIVALENT) <= names
    assert all(len(proof) > 20 for proof in mutants.EQUIVALENT.values())


def test_every_pullback_is_broken_in_every_way_that_applies():
    names = {m.name for m in mutants.pullback_mutants()}
    for k in (0, 1, 2):
        for kind in mutants.KINDS:
            assert f"ops.conv.conv2d, input {k}: {kind}" in names


def test_breaking_is_undone():
    row = next(row for row in OPERATIONS if row.name == "tanh")
    mutant = next(m for m in mutants.pullback_mutants() if "tanh, input 0: sign" in m.name)
    assert mutant.run() == "caught"
    assert row.check()
    edited = next(m for m in mutants.formula_mutants() if "pointwise.tanh" in m.name)
    assert edited.run() == "caught"
    assert row.check()


def test_a_survivor_is_reported():
    row = next(row for row in OPERATIONS if row.name == "exp")
    harmless = mutants.Mutant("pullbacks", "nothing broken", _nothing, ((row, 1, "numpy"),))
    assert mutants.tally([harmless]).survived == ["nothing broken"]


def _nothing(watch):
    from contextlib import nullcontext

    watch.changed = True
    return nullcontext()
