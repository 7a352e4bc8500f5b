"""What `auto` takes on CUDA, and how it says why."""

import math

import numpy as np
import pytest
import tinynet.kernels as kernels
from tinynet.kernels.conv2d import cuda
from tinynet.kernels.conv2d.cases import Conv2dCase
from tinynet.kernels.conv2d.cuda_plan import choose
from tinynet.kernels.conv2d.dims import Conv2dDims
from tinynet.kernels.conv2d.estimate import DIRECTIONS
from tinynet.kernels.conv2d.plan import conv2d_plan

import tinynet

VGG = (64, 256, 56, 56), (256, 256, 3, 3)


def algorithms(x, w, **options):
    plan = conv2d_plan(x, w, device="cuda", **options)
    return [getattr(plan, direction).algorithm for direction in DIRECTIONS]


def test_the_layers_of_vgg_are_winograds():
    assert algorithms(*VGG, padding=1) == ["winograd_4x4"] * 3
    # few channels: transforms would move more than the products save
    assert algorithms((64, 3, 224, 224), (64, 3, 3, 3), padding=1)[0] == "implicit_gemm"
    # a small one is not worth four launches
    assert algorithms((4, 32, 8, 8), (32, 32, 3, 3), padding=1) == ["implicit_gemm"] * 3


def test_others():
    assert algorithms((64, 96, 27, 27), (256, 96, 5, 5), padding=2) == ["implicit_gemm"] * 3
    assert set(algorithms(*VGG, stride=2)) == {"implicit_gemm"}
    assert algorithms((64, 2, 14, 14), (1, 2, 5, 5))[:2] == ["naive", "naive"]
    huge = algorithms((3, 4, 30000, 30000), (16, 4, 3, 3))
    assert huge == ["naive"] * 3


def test_tf32_is_taken_where_it_is_allowed(monkeypatch):
    monkeypatch.setattr(tinynet.backends.cudnn, "allow_tf32", True)
    assert algorithms(*VGG, padding=1) == ["implicit_gemm_tf32"] * 3
    assert "implicit_gemm_tf32" not in algorithms(*VGG, padding=1, dtype=np.float64)


def test_the_plan_explains():
    plan = conv2d_plan(*VGG, padding=1, device="cuda")
    text = str(plan)
    assert "forward     winograd_4x4 F(4, 3): 237 GFLOP by the definition, 59.2 multiplied" in text
    assert "ms on a large GPU, by its datasheet, implicit_gemm" in text
    assert plan.forward.multiplied < plan.forward.flops / 3.9
    assert plan.forward.bytes == 4 * (2 * math.prod(VGG[0]) + math.prod(VGG[1]))
    assert plan.forward.workspace > plan.forward.bytes / 2
    strided = conv2d_plan(*VGG, stride=2, device="cuda").forward
    assert "winograd needs stride 1, but the stride is (2, 2)" in strided.why
    with pytest.raises(ValueError, match="device is cpu or cuda, not 'tpu'"):
        conv2d_plan(*VGG, device="tpu")


def test_the_plan_is_what_auto_does(monkeypatch):
    """Every step is named as the plan names it, and is the one that runs, in every direction."""
    monkeypatch.setattr("tinynet.kernels.conv2d.cuda_plan.LAUNCH", 0.0)
    choose.cache_clear()
    case = Conv2dCase("", (2, 16, 24, 24), (16, 16, 3, 3), padding=1)
    taken = {d: choose(case.dims, d, np.dtype("f"), tf32=False).algorithm for d in DIRECTIONS}
    assert "winograd_4x4" in taken.values()
    x, w, _, dy = case.arrays("float32")
    arguments = {"forward": (x, w, None), "grad_input": (dy, w), "grad_weight": (dy, x)}
    for direction, algorithm in taken.items():
        with kernels.use("cuda-host") as auto, kernels.use(conv2d=algorithm) as named:
            results = [
                getattr(on.conv2d, direction)(*arguments[direction], dims=case.dims)
                for on in (auto, named)
            ]
        np.testing.assert_array_equal(*results)
    choose.cache_clear()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("algorithm", ["winograd", "winograd_4x4", "implicit_gemm"])
def test_expected_error(algorithm, direction):
    """The plan's `error` bounds what is measured, and is not twenty times too large."""
    case = Conv2dCase("", (2, 48, 20, 20), (40, 48, 3, 3), padding=1)
    x, w, _, dy = case.arrays("float32")
    arguments = {"forward": (x, w, None), "grad_input": (dy, w), "grad_weight": (dy, x)}[direction]
    exact = [None if a is None else a.astype(np.float64) for a in arguments]
    with kernels.use("reference") as reference:
        wanted = getattr(reference.conv2d, direction)(*exact, dims=case.dims)
    got = cuda.ALGORITHMS[algorithm][direction](*arguments, dims=case.dims)
    error = abs(got - wanted).max() / abs(wanted).max()
    expected = estimated(algorithm, case.dims, direction)
    assert expected / 20 < error <= expected


def estimated(algorithm, dims: Conv2dDims, direction):
    from tinynet.kernels.conv2d import cuda_plan

    dtype = np.dtype(np.float32)
    if algorithm == "implicit_gemm":
        return cuda_plan._implicit_gemm(dims, direction, dtype, False).error
    return cuda_plan._winograd(4 if algorithm.endswith("4") else 2, dims, direction, dtype).error
