"""Putting a page together: data, styles and scripts in one HTML file."""

from __future__ import annotations

import base64
import html
import json
import math
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ...autograd.ledger import Numbers

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
{styles}
</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
{scripts}
</body>
</html>
"""


def asset(name: str) -> str:
    """The text of a file in `assets/`."""
    text = (files(__package__) / "assets" / name).read_text(encoding="utf-8")
    # a source map is a file of its own, which the page does not have
    text = re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.MULTILINE)
    if name.endswith(".min.js"):  # its licence goes where it goes
        text = f"/*\n{asset(name.replace('.min.js', '.LICENSE'))}*/\n{text}"
    return text


def write_page(
    path: str | os.PathLike[str],
    *,
    title: str,
    body: str,
    data: Any,
    styles: Sequence[str],
    scripts: Sequence[str],
) -> None:
    """Write a page whose scripts find `data` in the element of that id.

    body, styles, scripts: names of files in `assets/`.
    """
    text = PAGE.format(
        title=html.escape(title),
        body=asset(body),
        styles="\n".join(map(asset, styles)),
        scripts="\n".join(f"<script>\n{asset(name)}\n</script>" for name in scripts),
        # "</script>" within a string would end the element
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
    )
    Path(path).write_text(text, encoding="utf-8")


def number(value: Any) -> float | int | str:
    """A number as JSON has it, in the fewest digits that give it back; "nan" and "inf" as words."""
    value = value.item() if value.dtype.kind in "biu" else float(str(value))
    return value if math.isfinite(value) else str(value)


def numbers(array: np.ndarray) -> list[Any]:
    """All numbers of an array, flat."""
    return [number(v) for v in array.ravel()]


def summary(given: Numbers) -> dict[str, Any]:
    """What a ledger keeps of an array."""
    found: dict[str, Any] = {
        "shape": given.shape,
        "dtype": given.dtype,
        "bytes": given.nbytes,
        **{
            name: number(np.float64(getattr(given, name)))
            for name in ("norm", "mean", "minimum", "maximum")
        },
    }
    if given.values is not None:
        found["values"] = numbers(given.values)
    if given.picture is not None:
        found["picture"] = picture(given.picture)
    return found


def picture(plane: np.ndarray) -> dict[str, Any]:
    """A plane in 255 steps around 0, as the colours of a thumbnail need it."""
    finite = np.where(np.isfinite(plane), plane, 0)
    scale = float(np.abs(finite).max(initial=0)) or 1.0
    steps = np.round(finite / scale * 127).astype(np.int16) + 128
    steps[~np.isfinite(plane)] = 0
    return {
        "rows": plane.shape[0],
        "columns": plane.shape[1],
        "scale": scale,
        "steps": base64.b64encode(steps.astype(np.uint8).tobytes()).decode(),
    }
