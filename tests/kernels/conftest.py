"""Kernel tests compile into a directory of their own, shared by the tests of one session."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    """An empty cache: what is tested is what compiling gives, not what an older run has left."""
    from tinynet.kernels import jit

    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("cache")
        patch.setenv("TINYNET_CACHE_DIR", str(directory))
        jit.cache_directory.cache_clear()
        yield directory
    jit.cache_directory.cache_clear()
