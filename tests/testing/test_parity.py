"""The table of PyTorch's names: current, sound, and what a missing name says."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import tinynet
from tinynet import methods, parity
from tinynet.testing import parity as table
from tinynet.testing import pytorch_names

ROOT = Path(__file__).parent.parent.parent
FULL = [f"{place}.{name}" for place, names in parity.names().items() for name in names]


def test_the_page_is_current():
    assert (ROOT / "docs/pytorch.md").read_text() == table.page(), (
        "run python -m tinynet.testing.parity docs/pytorch.md"
    )


def test_decisions_are_about_names_that_pytorch_has():
    decided = parity.decisions()
    for group in decided.outside:
        for pattern in group.patterns:
            assert any(parity.fits(name, pattern) for name in FULL), f"{pattern} fits no name"
    assert set(decided.different) | set(decided.nearest) <= set(FULL)


def test_what_differs_on_purpose_is_there():
    entries = {e.name: e for found in table.table().values() for e in found}
    for name in parity.decisions().different:
        assert entries[name].status == "different", f"{name} is {entries[name].status}"


def test_every_entry_has_one_status():
    for place, found in table.table().items():
        assert [e.short for e in found] == list(parity.names()[place])
        assert all((e.group is not None) == (e.status == "outside") for e in found)
        assert {e.status for e in found} <= set(table.PARTS)


def test_arguments_are_compared():
    def compare(theirs, function):
        return table._compared(function, theirs, False)

    assert compare("(a, b=1, *, c=None)", lambda a, b=1, *, c=None: 0) == ([], [])
    assert compare("(a, b=1, *, c=None)", lambda a, c=None: 0) == (["b"], [])
    assert compare("(a, b=1)", lambda a, b=2: 0) == ([], ["`b=2`, not `1`"])
    assert compare("(a, b=1)", lambda b=1, a=None: 0)[1] == [
        "`a` is argument 2, not 1",
        "`b` is argument 1, not 2",
    ]
    assert compare("(size, *, out=None)", lambda *size: 0) == (["out"], [])
    assert compare("(eps=1e-05)", lambda eps=0.00001: 0) == ([], [])


def test_names_without_signature_are_not_compared():
    assert table._compared(3, "(a, b)", False) == ([], [])
    assert table._compared(lambda a: 0, "", False) == ([], [])


@pytest.mark.slow
def test_committed_names_are_those_of_the_installed_pytorch():
    torch = pytest.importorskip("torch")
    if parity.versions().split()[1].rstrip(",") != torch.__version__.partition("+")[0]:
        pytest.skip("another version of PyTorch is installed")
    for place in pytorch_names.PLACES:
        if place.startswith("torch."):
            assert list(parity.names()[place]) == pytorch_names.public_names(place), place


def names(module):
    """(tinynet's module, a name) of everything that PyTorch has there and tinynet lacks."""
    place = parity.places_of(module)[-1]
    found = table.table()[place]
    return [(module, e.short) for e in found if e.status in ("missing", "outside")]


MODULES = [
    "tinynet",
    "tinynet.nn",
    "tinynet.nn.functional",
    "tinynet.nn.utils",
    "tinynet.optim",
    "tinynet.autograd",
    "tinynet.transforms",
    "tinynet.datasets",
    "tinynet.models",
]


@pytest.mark.parametrize("module", MODULES)
def test_missing_names_say_so(module):
    owner = importlib.import_module(module)
    before = dir(owner)
    for _, name in names(module):
        with pytest.raises(AttributeError, match=r"(tinynet does not have it yet|is outside what)"):
            getattr(owner, name)
        assert not hasattr(owner, name)
    assert dir(owner) == before


def test_missing_methods_say_so():
    x = tinynet.zeros(2)
    with pytest.raises(AttributeError, match=r"torch.Tensor.to_sparse is outside .* every array"):
        x.to_sparse()
    assert not hasattr(x, "to_sparse")
    with pytest.raises(AttributeError, match=r"no attribute 'reshap'$") as slip:
        x.reshap(2)
    # What Python adds "Did you mean: 'reshape'?" by, where it prints the error.
    assert (slip.value.name, slip.value.obj) == ("reshap", x)
    assert "reshape" in dir(x)
    with pytest.raises(AttributeError, match=r"no attribute '_private'$"):
        _ = x._private


def test_every_missing_method_is_listed():
    theirs = parity.names()["torch.Tensor"]
    missing = {name for name in theirs if not hasattr(tinynet.Tensor, name)}
    assert missing == set(methods.MISSING.split())
    assert missing.isdisjoint(dir(tinynet.zeros(2)))


def test_an_import_says_why():
    with pytest.raises(ImportError, match=r"torch.jit is outside .* Run the model as it is\."):
        exec("from tinynet import jit")


def test_slips_of_the_pen():
    with pytest.raises(AttributeError, match=r"no attribute 'Conv2D'; did you mean 'Conv2d'"):
        _ = tinynet.nn.Conv2D
    with pytest.raises(AttributeError, match=r"no attribute 'nothing_like_it'$"):
        _ = tinynet.nn.nothing_like_it
