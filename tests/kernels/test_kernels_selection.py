"""kernels.of and kernels.use: which kernels run."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.conv2d.dims import Conv2dDims

x = np.zeros((1, 1, 3, 3))


def module_of(backend):
    return backend.conv2d.forward.__module__.removeprefix("tinynet.kernels.")


def test_numpy_arrays_run_on_the_cpu():
    assert kernels.of(x, None, x).name == "cpu"
    assert module_of(kernels.of(x)) == "conv2d.cpu"


def test_use_forces_backends_and_algorithms():
    with kernels.use("reference"):
        assert kernels.of(x).name == "reference"
        assert module_of(kernels.of(x)) == "conv2d.reference"
        with kernels.use(conv2d="naive"):
            assert kernels.of(x).name == "reference"
            assert module_of(kernels.of(x)) == "conv2d.naive"
            with kernels.use(conv2d="auto"):
                assert module_of(kernels.of(x)) == "conv2d.reference"
    with kernels.use(conv2d="im2col"):
        assert kernels.of(x).name == "cpu"
        assert module_of(kernels.of(x)) == "conv2d.reference"
    assert module_of(kernels.of(x)) == "conv2d.cpu"


def test_a_backend_remembers_its_algorithms():
    with kernels.use(conv2d="naive"):
        backend = kernels.of(x)
    assert module_of(backend) == "conv2d.naive"


def test_use_ends_when_its_block_fails():
    with pytest.raises(KeyError), kernels.use("reference"):
        raise KeyError
    assert kernels.of(x).name == "cpu"


def test_every_family_has_the_same_functions_on_every_backend():
    with kernels.use("reference") as reference, kernels.use("cpu") as cpu:
        for family in kernels.FAMILIES:
            functions = {name for name in vars(getattr(cpu, family)) if not name.startswith("_")}
            assert functions, family
            for name in functions:
                assert callable(getattr(getattr(reference, family), name)), (family, name)


def test_errors_are_sentences():
    with pytest.raises(ValueError, match="no backend 'gpu'; there are reference, cpu"):
        kernels.use("gpu").__enter__()
    with pytest.raises(ValueError, match="conv2d has no algorithm 'fast'; it has auto, naive, im2"):
        kernels.use(conv2d="fast").__enter__()
    with pytest.raises(ValueError, match="no family 'conv3d'; there are activation, batch_norm"):
        kernels.use(conv3d="naive").__enter__()
    with pytest.raises(TypeError, match=r"expected NumPy or CuPy arrays, got builtins\.list"):
        kernels.of([1, 2])
    with pytest.raises(AttributeError, match="there is no kernel family 'conv3d'"):
        _ = kernels.of(x).conv3d
    with pytest.raises(AttributeError, match=r"conv2d\.fly has no cpu version\. Run it under"):
        _ = kernels.of(x).conv2d.fly


def test_importing_kernels_does_not_import_numba():
    code = (
        "import sys, numpy, tinynet.kernels as k; k.of(numpy.zeros(1)); "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_numba_the_reference_runs_after_one_warning(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # import numba now fails
    caches = kernels.unavailable, kernels._without_numba
    for cached in caches:
        cached.cache_clear()
    try:
        backend = kernels.Backend("cpu")
        with pytest.warns(RuntimeWarning, match="Numba cannot be imported .*slow NumPy kernels"):
            assert module_of(backend) == "conv2d.reference"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert backend.matmul.matmul.__module__.endswith("matmul.reference")
        w = np.ones((1, 1, 3, 3))
        dims = Conv2dDims.of(x.shape, w.shape)
        assert backend.conv2d.forward(x + 1, w, None, dims=dims).item() == 9
    finally:
        for cached in caches:
            cached.cache_clear()
