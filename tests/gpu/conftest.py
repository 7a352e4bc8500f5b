"""What needs a GPU: `pytest -m gpu`. It is the tests of tests/cuda again, with CuPy, and more."""

import sys
from pathlib import Path

import pytest

# The cases and checks are those of the emulator's tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "cuda"))


@pytest.fixture(scope="session", autouse=True)
def cupy():
    """CuPy, on a machine where it can be used; elsewhere the tests are skipped with the reason."""
    from tinynet.device import why_no_cuda

    reason = why_no_cuda()
    if reason is not None:
        pytest.skip(reason)
    import cupy

    return cupy
