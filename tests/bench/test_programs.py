"""The programs are the same ones everywhere, and wrong answers are noticed."""

import copy
import importlib.util
import math

import numpy as np
import pytest
import torch

import tinynet as tn
from tinynet.bench import networks, programs
from tinynet.bench.networks import NETWORKS, TINY, network
from tinynet.bench.peers import PEERS
from tinynet.bench.verify import difference, digest, digests, training_answers


def parameters(net):
    count = 0
    for _, layer, shape in net.shapes():
        match layer:
            case networks.Conv(K, size):
                count += K * shape[0] * size**2 + K
            case networks.Linear(units):
                count += units * (shape[0] + 1)
            case networks.BatchNorm():
                count += 2 * shape[0]
    return count


def test_the_networks_are_those_of_the_papers():
    counts = {name: parameters(net) for name, net in NETWORKS.items()}
    assert counts == {
        "vgg16": 138_357_544,  # as torchvision's
        "alexnet": 61_100_840,  # as torchvision's
        "vgg16_bn": 14_728_266,
        "convnet": 60_362,
        "lenet5": 61_706,
        "mlp": 79_510,
    }
    for net in NETWORKS.values():
        *_, (_, last, _) = net.shapes()
        assert last.units == net.classes
    with pytest.raises(ValueError, match=r"no model 'vgg'; there are vgg16, alexnet"):
        network("vgg")


@pytest.mark.parametrize("name", ["tiny", "tiny_mlp", "lenet5"])
def test_tinynet_and_pytorch_give_the_same_answers(name):
    mine, other = (
        training_answers(*programs.Training(lib, network(name), 4).answers(3))
        for lib in (tn, torch)
    )
    assert difference(mine, other) is None
    assert mine["gradients"].keys() == dict(network(name).start()).keys()
    scores = [programs.inference(lib, network(name), 2)().numpy() for lib in (tn, torch)]
    np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-6)


def test_dropout_is_off_for_the_answers_and_on_for_the_clock():
    one = programs.Training(tn, TINY["tiny"], 4)
    one.answers(1)
    assert [layer.p for layer in one.dropout] == [0.5]


def test_settings_of_pytorch_give_the_same_answers(inside):
    pytorch = inside("pytorch")
    for kind, wanted in (("training", 6), ("inference", 5)):
        table = getattr(pytorch.server.peer, kind.upper())
        settings = [name for name in table if "compiled" not in name]
        assert len(settings) >= wanted - 1
        right, good = None, []
        for setting in settings:
            task = {"kind": kind, "model": "tiny", "batch": 4, "steps": 2, "setting": setting}
            answer = pytorch.request("prepare", name=setting, task=task)
            if "refused" not in answer:
                right = right or answer["answers"]
                assert difference(answer["answers"], right) is None, setting
                good.append(setting)
        assert {"", "channels_last"} <= set(good)


# Whoever is installed; none is skipped, since there is nothing to skip.
PRESENT = [p for p in PEERS if p not in ("tinynet", "pytorch") and importlib.util.find_spec(p)]


@pytest.mark.parametrize("peer", PRESENT)
def test_peers_give_the_same_answers(peer, inside):
    other = inside(peer, 2)
    if other.absent:
        return  # its import fails here; the benchmark lists it with the reason
    for kind in ("training", "inference"):
        task = {"kind": kind, "model": "tiny_mlp", "batch": 4, "steps": 3}
        answers = [
            one.request("prepare", name=kind, task=task)["answers"]
            for one in (other, inside("tinynet", 2))
        ]
        assert difference(*answers) is None


def test_chains_agree():
    for name in programs.OPERATIONS:
        ours, theirs = (programs.chain(lib, name, True, 5)() for lib in (tn, torch))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4)
        assert programs.chain(tn, name, False, 2)()[1] is None


# ------------------------------------------------------------------------------ verification


@pytest.fixture(scope="module")
def right():
    rng = np.random.default_rng(0)
    gradients = {"weight": rng.standard_normal((3, 5000)), "bias": rng.standard_normal(3)}
    return [2.5, 2.0], gradients


def change(array, part):
    array = array.copy()
    array.reshape(-1)[: int(array.size * part)] *= -1
    return array


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda losses, g: ([2.51, 2.0], g), "the loss of step 1 is 2.51, not 2.5"),
        (lambda losses, g: ([2.5, math.nan], g), "the loss of step 2 is nan, not 2"),
        (lambda losses, g: (losses, {"weight": g["weight"]}), r"gradients of \['weight'\], not"),
        (lambda losses, g: (losses, g | {"bias": -g["bias"]}), "bias is off by"),
        (lambda losses, g: (losses, g | {"weight": 1.1 * g["weight"]}), "weight is off by"),
        (lambda losses, g: (losses, g | {"weight": g["weight"].T}), "weight is off by inf"),
        (lambda losses, g: (losses, g | {"weight": change(g["weight"], 0.01)}), "weight is off"),
        (lambda losses, g: (losses, g | {"weight": np.roll(g["weight"], 4096)}), "weight is off"),
        (lambda losses, g: (losses, g | {"bias": g["bias"] * math.nan}), "bias is off by inf"),
    ],
)
def test_wrong_answers_are_noticed(right, wrong, words):
    import re

    good = training_answers(*right)
    assert difference(copy.deepcopy(good), good) is None
    assert re.search(words, difference(training_answers(*wrong(*right)), good))


def test_rounding_is_no_mistake(right):
    losses, gradients = right
    rounded = {name: g.astype(np.float16).astype(np.float32) for name, g in gradients.items()}
    assert difference(training_answers(losses, rounded), training_answers(*right)) is None


def test_a_gradient_that_is_only_rounding_is_compared_with_the_others(right):
    losses, gradients = right
    one, other = (gradients | {"noise": np.full(4, size)} for size in (1e-5, -1e-5))
    assert difference(training_answers(losses, one), training_answers(losses, other)) is None
    alone = [training_answers(losses, {"noise": g["noise"]}) for g in (one, other)]
    assert "noise is off by" in difference(*alone)


def test_missing_and_zero_arrays():
    zero = np.zeros(5)
    assert difference(digests(zero), digests(zero)) is None
    assert difference(digests(zero + 1), digests(zero)) == "result 1 is off by inf of its norm"
    assert difference(digests(), digests(zero)) == "result 1 is missing"
    assert digest(np.zeros((2, 0)))["norm"] == 0
