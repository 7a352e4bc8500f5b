"""Every layer against PyTorch's, on the sample inputs that PyTorch tests its own layers with.

The layers are made with the same arguments and given the same parameters. Printed form, names,
outputs, gradients and what a training step leaves in the buffers must be the same; where they are
not, `DIFFERENT` says why, and the test fails if the difference is gone.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict

import numpy as np
import pytest

import tinynet
import tinynet.nn as nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import module_db

# name of the layer -> what differs, in which of its samples, and why.
DIFFERENT: dict[str, str] = {}
# layers whose samples are many and slow: in training mode only, which takes the same way here
SLOW = [
    "nn.Transformer",
    "nn.TransformerEncoder",
    "nn.TransformerDecoderLayer",
    "nn.CTCLoss",
    "nn.CrossEntropyLoss",
]
# every how many-th sample: PyTorch's have twelve wide layers each, whose kinds are sampled in full
SOME = {"nn.Transformer": 4}
# layers that tinynet does not have
MISSING = {"LinearCrossEntropyLoss": "saves memory where there are very many classes"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread_of_pytorch():
    """Its threads and ours would wait for each other at every small sample."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


INFOS = {
    f"{info.name}{i}": info
    for i, info in enumerate(module_db)
    if hasattr(nn, info.module_cls.__name__)
}


def ours(value):
    """A torch value as tinynet's: tensors, dtypes, modules inside tuples, lists and dicts."""
    if isinstance(value, torch.nn.Parameter):
        return nn.Parameter(tinynet.tensor(value.detach().numpy()), value.requires_grad)
    if isinstance(value, torch.Tensor):
        return tinynet.tensor(value.detach().numpy(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(tinynet, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return tinynet.device(str(value))
    if isinstance(value, torch.nn.Module):
        return translated(value)
    if isinstance(value, OrderedDict | dict):
        return type(value)((k, ours(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return type(value)(ours(v) for v in value)
    if callable(value) and hasattr(torch.nn.functional, getattr(value, "__name__", " ")):
        return getattr(nn.functional, value.__name__)
    return value


def translated(layer):
    """A torch encoder layer, which an encoder takes as an argument, as tinynet's."""
    return nn.TransformerEncoderLayer(
        layer.linear1.in_features,
        layer.self_attn.num_heads,
        layer.linear1.out_features,
        layer.dropout.p,
        ours(layer.activation),
        layer.norm1.eps,
        layer.self_attn.batch_first,
        layer.norm_first,
        layer.linear1.bias is not None,
    )


def fresh(value):
    """A copy whose tensors are leaves: PyTorch's samples share theirs, with their gradients."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {k: fresh(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fresh(v) for v in value)
    return value


def tensors(value):
    """All tensors in a value, in order."""
    if hasattr(value, "requires_grad"):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from tensors(v)
    elif isinstance(value, list | tuple):
        for v in value:
            yield from tensors(v)


def array(t):
    return t.detach().numpy() if hasattr(t, "detach") else np.asarray(t)


def compare(what, mine, theirs, rtol=1e-9, atol=1e-10):
    mine, theirs = list(tensors(mine)), list(tensors(theirs))
    assert len(mine) == len(theirs), f"{what}: {len(mine)} tensors instead of {len(theirs)}"
    for a, b in zip(mine, theirs, strict=True):
        assert tuple(a.shape) == tuple(b.shape), f"{what}: shape {a.shape}, not {b.shape}"
        assert str(a.dtype).split(".")[-1] == str(b.dtype).split(".")[-1], f"{what}: {a.dtype}"
        np.testing.assert_allclose(array(a), array(b), rtol, atol, err_msg=what)


def grads(values):
    return [t.grad for t in tensors(values)]


def check(info, sample, training):
    cls = getattr(nn, info.module_cls.__name__)
    args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
    theirs = info.module_cls(*args, **kwargs).to(torch.float64).train(training)
    args, kwargs = ours(args), ours(kwargs)
    mine = cls(*args, **kwargs).double().train(training)
    assert repr(mine) == repr(theirs).replace("torch.", "tinynet."), "printed form"

    inputs = sample.forward_input
    their_args, their_kwargs = fresh(inputs.args), fresh(inputs.kwargs)
    my_args, my_kwargs = ours(inputs.args), ours(inputs.kwargs)
    if hasattr(theirs, "cls_to_become") and theirs.cls_to_become is not None:
        with torch.no_grad():
            theirs(*their_args, **their_kwargs)
        with tinynet.no_grad():
            mine(*my_args, **my_kwargs)
        assert repr(mine) == repr(theirs), "printed form after the first call"

    state = theirs.state_dict()
    assert list(mine.state_dict()) == list(state), "names in the state dict"
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    mine.load_state_dict({n: tinynet.tensor(v.detach().numpy()) for n, v in state.items()})

    torch.manual_seed(0)
    y = theirs(*their_args, **their_kwargs)
    z = mine(*my_args, **my_kwargs)
    compare("output", z, y)
    differentiable = [t for t in tensors(y) if t.requires_grad]
    mine_differentiable = [t for t in tensors(z) if t.requires_grad]
    assert len(differentiable) == len(mine_differentiable), "which outputs have a gradient"
    if differentiable:
        weights = [torch.randn_like(t) for t in differentiable]
        torch.autograd.backward(differentiable, weights)
        tinynet.autograd.backward(mine_differentiable, [ours(w) for w in weights])
        leaves = [t for t in tensors((their_args, their_kwargs)) if t.requires_grad]
        mine_leaves = [t for t in tensors((my_args, my_kwargs)) if t.requires_grad]
        compare("gradient of the input", grads(mine_leaves), grads(leaves), 1e-7, 1e-9)
        compare(
            "gradient of the parameters",
            grads(list(mine.parameters())),
            grads(list(theirs.parameters())),
            1e-7,
            1e-9,
        )
    compare("state afterwards", dict(mine.state_dict()), dict(theirs.state_dict()))


def differences(info):
    found = []
    for training in (True,) if info.name in SLOW else (True, False):
        torch.manual_seed(1)
        samples = info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        )
        for i, sample in list(enumerate(samples))[:: SOME.get(info.name, 1)]:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    check(info, sample, training)
            except Exception as error:
                text = " ".join(str(error).split())[:300]
                found.append(f"{type(error).__name__}: {text} [{i}, {training=}, {sample.desc}]")
    return found


@pytest.mark.parametrize("name", INFOS)
def test_layer(name):
    found = differences(INFOS[name])
    explained = DIFFERENT.get(INFOS[name].name)
    if explained is None:
        assert found == []
    else:
        assert found, f"{name} no longer differs ({explained}): take it out of the table"


def test_layers_that_are_missing():
    theirs = {info.module_cls.__name__ for info in module_db}
    assert {name for name in theirs if not hasattr(nn, name)} == set(MISSING)
