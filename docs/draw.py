"""Draw the pictures of docs/viz.md anew: `python docs/draw.py` runs its code in docs/pictures."""

from __future__ import annotations

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    text = (FOLDER / "viz.md").read_text()
    os.chdir(FOLDER / "pictures")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, "viz.md", "exec"), names)
