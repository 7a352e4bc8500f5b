"""Every optimiser against PyTorch's, with the settings that PyTorch tests its own with.

Both minimise the same function from the same start. After each step the parameters must be the
same; so must the state, which each can load from the other, and go on from.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinynet
import tinynet.optim as optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_optimizers import optim_db

STEPS = 12
# optimiser -> why tinynet does not have it
MISSING = {
    "Muon": "its iterations run in bfloat16, which NumPy does not have",
    "SparseAdam": "for sparse gradients, and tinynet's are all dense",
}
# (optimiser, with foreach) -> how near the parameters come, and why not nearer
ROUNDED = {
    ("ASGD", True): (1e-5, "PyTorch's loop over all parameters computes its step size in float32"),
    ("LBFGS", False): (1e-6, "it divides by differences of gradients, where rounding grows"),
}
# (optimiser, setting) -> why tinynet refuses it; refused means NotImplementedError
REFUSED: dict[str, str] = {
    "capturable": "a step that a CUDA graph can record",
    "differentiable": "gradients through the step",
}

# what PyTorch refuses because of how its own steps are written, and tinynet does not
ACCEPTED = {
    "lr as Tensor doesn't work with foreach & not capturable",
    "betas must be either both floats or both Tensors",
    r"betas\[0\] as a Tensor is not supported for capturable=False and foreach=True",
}

INFOS = {
    info.optim_cls.__name__: info for info in optim_db if hasattr(optim, info.optim_cls.__name__)
}


def start():
    random = np.random.default_rng(3)
    return [random.standard_normal((3, 4)), random.standard_normal(4), np.array(0.7)]


def problem(lib, params):
    """Curved, and bounded both ways; the same numbers in both libraries."""
    w, b, s = params
    x = lib.tensor(np.linspace(-1, 1, 15).reshape(5, 3))
    y = ((x @ w + b) * s).tanh()
    return ((y - 0.3) ** 2).mean() + 0.1 * w.sin().sum() + 0.2 * (s - 2).cos()


def valley(lib, params):
    """Convex: without a line search LBFGS jumps about elsewhere, and rounding grows with it."""
    w, b, s = params
    x = lib.tensor(np.linspace(-1, 1, 15).reshape(5, 3))
    y = x @ w + b * 2
    return ((y - 0.3) ** 2).mean() + 0.2 * (w**2).sum() + 0.1 * (w**4).sum() + (s - 2) ** 2


class Run:
    """One optimiser at work."""

    def __init__(self, lib, cls, kwargs, dtype):
        self.lib = lib
        self.problem = valley if cls.__name__ == "LBFGS" else problem
        self.params = [lib.tensor(a, dtype=dtype).requires_grad_() for a in start()]
        self.optimizer = cls(self.params, **kwargs)

    def closure(self):
        self.optimizer.zero_grad()
        loss = self.problem(self.lib, self.params)
        loss.backward()
        return loss

    def step(self):
        if type(self.optimizer).__name__ == "LBFGS":
            self.optimizer.step(self.closure)
        else:
            self.closure()
            self.optimizer.step()

    def arrays(self):
        return [p.detach().numpy().copy() for p in self.params]


def plain(value, lib):
    """A state dict with the tensors of another library."""
    if isinstance(value, dict):
        return {k: plain(v, lib) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(v, lib) for v in value)
    return lib.tensor(value.detach().numpy()) if hasattr(value, "detach") else value


def shapes(value):
    if isinstance(value, dict):
        return {k: shapes(v) for k, v in value.items()}
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__


def keyword_arguments(info):
    for sample in info.optim_inputs_func(device="cpu"):
        kwargs = dict(sample.kwargs)
        if isinstance(kwargs.get("lr"), torch.Tensor):
            kwargs["lr"] = kwargs["lr"].item()  # the same in both; tinynet's is a number
        if isinstance(kwargs.get("betas"), tuple):
            kwargs["betas"] = tuple(float(b) for b in kwargs["betas"])
        yield sample.desc, kwargs
        yield f"{sample.desc}, foreach", {**kwargs, "foreach": True}


CASES = [
    pytest.param(name, kwargs, id=f"{name}-{desc}")
    for name, info in INFOS.items()
    for desc, kwargs in keyword_arguments(info)
    if name != "LBFGS" or "foreach" not in kwargs
]


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_trajectory(name, kwargs):
    theirs = Run(torch, getattr(torch.optim, name), kwargs, torch.float64)
    mine = Run(tinynet, getattr(optim, name), kwargs, tinynet.float64)
    assert repr(mine.optimizer) == repr(theirs.optimizer)
    rtol, _ = ROUNDED.get((name, bool(kwargs.get("foreach"))), (1e-9, ""))
    for step in range(STEPS):
        theirs.step()
        mine.step()
        for a, b in zip(mine.arrays(), theirs.arrays(), strict=True):
            np.testing.assert_allclose(a, b, rtol, rtol / 100, err_msg=f"step {step}")
    if name == "LBFGS":
        return  # its state holds what PyTorch keeps as tensors; it is compared below
    ours, state = mine.optimizer.state_dict(), theirs.optimizer.state_dict()
    assert ours["param_groups"] == state["param_groups"]
    assert shapes(ours["state"]) == shapes(state["state"])
    # each goes on from the other's state
    theirs.optimizer.load_state_dict(plain(ours, torch))
    mine.optimizer.load_state_dict(plain(state, tinynet))
    for _ in range(3):
        theirs.step()
        mine.step()
        for a, b in zip(mine.arrays(), theirs.arrays(), strict=True):
            np.testing.assert_allclose(a, b, 10 * rtol, rtol / 10)


def test_lbfgs_goes_on_from_pytorchs_state():
    kwargs = {"line_search_fn": "strong_wolfe", "max_iter": 3}
    theirs = Run(torch, torch.optim.LBFGS, kwargs, torch.float64)
    mine = Run(tinynet, optim.LBFGS, kwargs, tinynet.float64)
    theirs.step()
    mine.optimizer.load_state_dict(plain(theirs.optimizer.state_dict(), tinynet))
    with tinynet.no_grad():
        for p, a in zip(mine.params, theirs.arrays(), strict=True):
            p.copy_(tinynet.tensor(a))
    for _ in range(3):
        theirs.step()
        mine.step()
        for a, b in zip(mine.arrays(), theirs.arrays(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("flag", REFUSED)
@pytest.mark.parametrize("name", INFOS)
def test_flags_that_are_refused(name, flag):
    import inspect

    cls = getattr(optim, name)
    if flag not in inspect.signature(cls).parameters:
        assert flag not in inspect.signature(getattr(torch.optim, name)).parameters
        return
    with pytest.raises(NotImplementedError, match=f"{name}: {flag}=True is not supported"):
        cls([tinynet.zeros(1, requires_grad=True)], **{flag: True})


@pytest.mark.parametrize("name", INFOS)
def test_what_pytorch_refuses(name):
    for error in INFOS[name].optim_error_inputs_func(device="cpu", dtype=torch.float64):
        sample = error.optimizer_error_input
        if any(sample.kwargs.get(flag) for flag in (*REFUSED, "fused")):
            continue  # PyTorch refuses them together with others; see above
        if sample.desc == "does not support complex parameters":
            continue  # there are no complex numbers
        memo = {}
        params = start_params() if sample.params is None else same(sample.params, memo)
        kwargs = {k: same(v, memo) for k, v in sample.kwargs.items()}
        if sample.desc in ACCEPTED:
            getattr(optim, name)(params, **kwargs)
            continue
        expected = pytest.warns if issubclass(error.error_type, Warning) else pytest.raises
        with expected(error.error_type):
            getattr(optim, name)(params, **kwargs)


def start_params():
    return [tinynet.tensor(a, requires_grad=True) for a in start()]


def same(value, memo):
    """A torch value as tinynet's; what is one tensor there is one here."""
    if isinstance(value, torch.Tensor):
        if id(value) not in memo:
            array = value.detach().numpy()
            memo[id(value)] = tinynet.tensor(array, requires_grad=value.requires_grad)
        return memo[id(value)]
    if isinstance(value, dict):
        return {k: same(v, memo) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(same(v, memo) for v in value)
    return value


def test_optimisers_that_are_missing():
    theirs = {info.optim_cls.__name__ for info in optim_db}
    assert {name for name in theirs if not hasattr(optim, name)} == set(MISSING)
