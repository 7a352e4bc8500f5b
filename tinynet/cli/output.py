"""What all commands have in common: sentences for mistakes, plain lines, threads."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import click

from . import Sentence


def on_terminal() -> bool:
    """True if a person is looking: bars and colours. Otherwise plain lines."""
    return sys.stdout.isatty()


def plain(**values: Any) -> None:
    """Print `name value` pairs on one line; `shlex.split` takes it apart again."""
    click.echo(" ".join(f"{name} {shlex.quote(_text(value))}" for name, value in values.items()))


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn the errors that are the user's to mend into one sentence and exit code 2."""
    from ..datasets import DatasetError
    from ..io import FileFormatError
    from ..train import UserError

    try:
        yield
    except (UserError, DatasetError, FileFormatError) as error:
        raise Sentence(str(error)) from None
    except BrokenPipeError:
        # whoever read the output has left: click ends quietly
        raise
    except OSError as error:
        reason = str(error) if error.errno is None else f"{error.filename}: {error.strerror}."
        raise Sentence(reason) from None


def set_threads(threads: int | None) -> int:
    """Let the CPU kernels use so many threads (None: as many as there are cores); returns it."""
    from .. import kernels

    if threads is not None and "numba" not in sys.modules:
        # read when Numba is imported, and the only way to ask for more threads than cores
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
    if kernels.unavailable("cpu"):
        # NumPy's kernels run instead, and say so
        return 1
    from ..kernels import jit

    jit.start_pool()
    import numba

    if threads is not None:
        try:
            numba.set_num_threads(threads)
        except ValueError as error:
            raise Sentence(f"{threads} threads cannot be used: {error}.") from None
    return numba.get_num_threads()
