"""Runs one program in a process of its own, on PyTorch or on tinynet: `child.py JOB.json`.

Both sides draw the same random numbers: PyTorch's functions that draw are replaced by ones that
ask tinynet's generator, so weights start the same, data comes in the same order, and dropout drops
the same. What is compared is what the program prints and the number behind each `backward()`.
"""

from __future__ import annotations

import json
import random
import runpy
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

import tinynet


class Enough(BaseException):
    """The program has made as many steps as were asked for."""


def main(job: dict) -> dict:
    warnings.simplefilter("ignore")
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    library = on_torch(job["nudge"]) if job["side"] == "torch" else on_tinynet(job["facts"])
    library.manual_seed(0)
    losses: list[float] = []
    watch_losses(library, losses, job.get("steps"))
    result: dict = {"error": None}
    sys.argv = [job["file"], *job.get("argv", [])]
    sys.path.insert(0, ".")
    start = time.perf_counter()
    try:
        if job["kind"] == "model":
            result["measured"] = measure_model(library, job)
        else:
            runpy.run_path(job["file"], run_name="__main__")
    except Enough:
        pass
    except SystemExit as end:
        if end.code not in (None, 0):
            result["error"] = f"SystemExit: {end.code}"
    except BaseException as error:
        result["error"] = f"{type(error).__name__}: {error}"
        result["trace"] = traceback.format_exc()
    result["seconds"] = time.perf_counter() - start
    result["losses"] = losses
    return result


def watch_losses(library, losses: list[float], steps: int | None) -> None:
    """Note the value of every tensor that `backward` starts from; stop after so many."""
    plain = library.Tensor.backward

    def backward(self, *args, **kwargs):
        losses.append(float(self.detach().sum()))
        answer = plain(self, *args, **kwargs)
        if steps is not None and len(losses) >= steps:
            raise Enough
        return answer

    library.Tensor.backward = backward


def measure_model(library, job: dict) -> dict:
    """A network's printed form, its parameters' names, its value and its gradients."""
    names = runpy.run_path(job["file"], run_name="program")
    model = eval(job["make"], names)
    text = repr(model)
    keys = list(model.state_dict())
    shape = job["input"]
    x = library.from_numpy(np.random.default_rng(1).standard_normal(shape).astype(np.float32))
    measured = {"text": text, "keys": keys}
    for mode in ("eval", "train"):
        getattr(model, mode)()
        library.manual_seed(1)
        model.zero_grad()
        y = model(x)
        y = y[0] if isinstance(y, tuple) else y
        y.pow(2).mean().backward()
        measured[mode] = y.detach().numpy().ravel()[:1000].tolist()
        measured[f"{mode} gradients"] = [
            float(p.grad.norm()) for p in model.parameters() if p.grad is not None
        ]
    return measured


def on_tinynet(facts: dict):
    """tinynet, whose readers of original files expect the small files instead."""
    for name, expected in facts.items():
        cls = getattr(tinynet.datasets, name)
        for attribute, value in expected.items():
            # JSON knows no tuples
            setattr(cls, attribute, _tuples(value))
    return tinynet


def _tuples(value):
    if isinstance(value, dict):
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    return tuple(value)


def on_torch(nudge: float):
    """PyTorch, drawing tinynet's random numbers, or such that differ by a little (`nudge`)."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import sampler

    torch.set_num_threads(1)

    def given(tensor, like=None, **options):
        dtype = options.get("dtype") or (like.dtype if like is not None else None)
        made = torch.from_numpy(tensor.numpy().copy())
        made = made if dtype is None else made.to(dtype)
        if made.is_floating_point() and nudge:
            made = made * (1 + nudge)
        return made.requires_grad_() if options.get("requires_grad") else made

    def seeded(seed):
        return tinynet.manual_seed(int(seed)) and torch.default_generator

    torch.manual_seed = seeded
    torch.random.manual_seed = seeded

    def draws(name):
        mine = getattr(tinynet, name)

        def draw(*args, generator=None, dtype=None, device=None, requires_grad=False, **kwargs):
            args = [_mine(a) for a in args]
            default = torch.int64 if name in ("randint", "randperm") else torch.get_default_dtype()
            drawn = mine(*args, **kwargs)
            return given(drawn, dtype=dtype or default, requires_grad=requires_grad)

        return draw

    for name in ("rand", "randn", "randint", "randperm"):
        setattr(torch, name, draws(name))
    torch.normal = lambda mean, std=1.0, *a, **k: given(
        tinynet.normal(_mine(mean), _mine(std), *a), **k
    )
    torch.bernoulli = lambda p, **k: given(tinynet.bernoulli(_mine(p)), like=p)
    torch.multinomial = lambda p, *a, **k: given(tinynet.multinomial(_mine(p), *a, **k))
    for name in ("rand_like", "randn_like"):
        mine = getattr(tinynet, name)
        setattr(torch, name, lambda x, mine=mine, **k: given(mine(_mine(x)), like=x, **k))

    def filling(name):
        def fill(self, *args, generator=None, **kwargs):
            drawn = getattr(tinynet.empty(tuple(self.shape)), name)(*args, **kwargs)
            with torch.no_grad():
                return self.copy_(given(drawn, like=self))

        return fill

    for name in ("uniform_", "normal_", "bernoulli_", "exponential_"):
        setattr(torch.Tensor, name, filling(name))
    plain_random = torch.Tensor.random_

    def random_(self, *args, generator=None, **kwargs):
        if self.dim() == 0 and not args and not kwargs:  # a DataLoader's seed for its workers
            tinynet.default_generator.key()
            return plain_random(self)
        return filling("random_")(self, *args, **kwargs)

    torch.Tensor.random_ = random_

    def dropping(name):
        mine = getattr(tinynet.nn.functional, name)

        def drop(input, p=0.5, training=True, inplace=False):
            if not training or p == 0:
                return input
            return input * given(mine(tinynet.ones(tuple(input.shape)), p, True), like=input)

        return drop

    for name in ("dropout", "dropout1d", "dropout2d"):
        if hasattr(tinynet.nn.functional, name):
            setattr(F, name, dropping(name))
    torch.dropout = lambda x, p, train: F.dropout(x, p, train)

    def order(self):
        mine = tinynet.utils.data.RandomSampler
        yield from mine(self.data_source, self.replacement, self._num_samples)

    sampler.RandomSampler.__iter__ = order
    plain_split = torch.utils.data.random_split

    def random_split(dataset, lengths, generator=None):
        parts = tinynet.utils.data.random_split(range(len(dataset)), lengths)
        split = plain_split(dataset, lengths)
        for part, mine in zip(split, parts):
            part.indices = list(mine.indices)
        return split

    torch.utils.data.random_split = random_split
    with_torchvision()
    return torch


def with_torchvision() -> None:
    """torchvision, if it is there, with small files and tinynet's random changes to images."""
    import torch

    plain = torch.library.register_fake

    def register_fake(name, *args, **kwargs):
        # a wheel made for CUDA lacks its operators (for boxes) beside a PyTorch without
        return (lambda f: f) if name.startswith("torchvision::") else plain(name, *args, **kwargs)

    torch.library.register_fake = register_fake
    try:
        import torchvision
    except ImportError:
        return
    finally:
        torch.library.register_fake = plain
    torchvision.datasets.cifar.check_integrity = lambda *_: True
    for name in tinynet.transforms.__all__:
        if name.startswith("Random") or name == "ColorJitter":
            setattr(torchvision.transforms, name, getattr(tinynet.transforms, name))


def _mine(value):
    """A tensor of PyTorch's as tinynet's."""
    if hasattr(value, "detach"):
        return tinynet.from_numpy(value.detach().numpy().copy())
    return value


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    answer = main(job)
    Path(job["answer"]).write_text(json.dumps(answer))
