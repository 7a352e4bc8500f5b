"""What all tests share."""

from pathlib import Path

import pytest

# PyTorch's own samples: their import takes seconds and freezes PyTorch's global switches.
SAMPLES = ("test_op_db.py", "test_nn_pytorch_samples.py", "test_optim_pytorch_samples.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what only slow tests need where slow tests are not run; None: as usual."""
    if collection_path.name in SAMPLES and "not slow" in config.option.markexpr:
        return True
    return None
