"""What is measured in a fresh process: memory, import time, compilation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from .timing import pool_sizes


def fresh(program: str, threads: int = 2, environment: Mapping[str, str] | None = None) -> Any:
    """What a Python program, given as text, prints last, read as JSON.

    Raises ProcessError with the last line that it wrote if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **pool_sizes(threads), **(environment or {})},
    )
    if done.returncode != 0:
        raise ProcessError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


class ProcessError(RuntimeError):
    """A measured process failed."""
