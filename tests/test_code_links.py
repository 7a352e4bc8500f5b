"""Links from the documentation into the code lead to the functions they name."""

import importlib.util
from pathlib import Path

import pytest

from tinynet import nn

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_line_numbers_are_current(page):
    spec = importlib.util.spec_from_file_location("lines", DOCS / "lines.py")
    lines = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lines)
    assert page.read_text() == lines.renewed(page), "run: python docs/lines.py"


def test_every_layer_has_its_derivative():
    layers = {
        name
        for name, value in vars(nn).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value is not nn.Module
    }
    page = (DOCS / "derivatives.md").read_text()
    assert not {name for name in layers if f"`{name}`" not in page}
