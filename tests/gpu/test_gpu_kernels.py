"""Every CUDA kernel on the GPU against the reference: the tests of the emulator, with CuPy."""

import numpy as np
import pytest
import test_cuda_kernels as emulated
import tinynet.kernels as kernels
from test_cuda_kernels import *  # noqa: F403

from tinynet.device import to_numpy

del test_the_order_of_the_threads_does_not_matter  # noqa: F821 - the GPU chooses its own

pytestmark = pytest.mark.gpu


class OnGpu:
    """A family's kernels on the GPU, called with NumPy arrays."""

    def __init__(self, family):
        self._family = family

    def __getattr__(self, name):
        function = getattr(self._family, name)

        def call(*args, **keywords):
            moved = [to_gpu(a) for a in args]
            result = function(*moved, **keywords)
            for given, used in zip(args, moved, strict=True):
                if isinstance(given, list):  # an optimiser writes into its arrays
                    for a, b in zip(given, used, strict=True):
                        a[...] = to_numpy(b)
            return to_cpu(result)

        return call


def to_gpu(value):
    import cupy

    if isinstance(value, list):
        return [to_gpu(v) for v in value]
    if not isinstance(value, np.ndarray):
        return value
    turned = value.ndim > 1 and not value.flags.c_contiguous and value.flags.f_contiguous
    return cupy.asarray(value.T).T if turned else cupy.asarray(value)


def to_cpu(value):
    if isinstance(value, tuple):
        return tuple(to_cpu(v) for v in value)
    return to_numpy(value) if hasattr(value, "dtype") else value


@pytest.fixture(autouse=True)
def on_gpu(monkeypatch):
    def family(name, algorithm="auto"):
        with kernels.use("cuda", **{name: algorithm}) as backend:
            return OnGpu(getattr(backend, name))

    monkeypatch.setattr(emulated, "cuda", family)


LARGE = [case for case in emulated.CONV2D if case.size == "large"]


@pytest.mark.parametrize("algorithm", [*emulated.EXACT, "implicit_gemm_tf32"])
@pytest.mark.parametrize("case", LARGE, ids=emulated.by_name)
def test_large_convolutions(case, algorithm):
    rounded = emulated.to_tf32 if algorithm.endswith("tf32") else lambda a: a
    emulated.check_conv2d(case, algorithm, "float32", rounded)


@pytest.mark.parametrize("algorithm", list(emulated.GROWTH))
@pytest.mark.parametrize("case", LARGE, ids=emulated.by_name)
def test_large_winograd(case, algorithm):
    def growth(sizes):
        return emulated.GROWTH[algorithm] * sizes.max(initial=0)

    emulated.check_conv2d(case, algorithm, "float32", growth=growth)


def test_two_runs_agree_to_the_bit():
    assert emulated.everything() == emulated.everything()
