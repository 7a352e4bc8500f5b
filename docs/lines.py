"""Renew the line numbers of links to code: `python docs/lines.py` after functions have moved.

A link such as [relu](../tinynet/ops/activation.py#L23) names a function; its number is the line of
that function's `def` or `class`. `tests/test_code_links.py` holds the links current.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
LINK = re.compile(r"\[(\w+)\]\(((?:\.\./)+[\w/]+\.py)#L(\d+)\)")


def renewed(page: Path) -> str:
    """The page's text with right line numbers. Raises ValueError for a function that is gone."""

    def number(link: re.Match[str]) -> str:
        name, path = link[1], link[2]
        lines = (page.parent / path).read_text().splitlines()
        for i, line in enumerate(lines, start=1):
            if re.match(rf"(def|class) {name}\b", line):
                return f"[{name}]({path}#L{i})"
        raise ValueError(f"{page.name}: there is no {name} in {path}")

    return LINK.sub(number, page.read_text())


if __name__ == "__main__":
    for page in sorted(FOLDER.rglob("*.md")):
        text = renewed(page)
        if text != page.read_text():
            page.write_text(text)
            print("renewed", page.relative_to(FOLDER))
