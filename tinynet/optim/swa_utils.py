"""Means of a model's parameters over training, and the schedule that goes with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from ..autograd.mode import no_grad
from ..nn.module import Module
from ..nn.normalization import _BatchNorm
from ..ops import creation
from ..tensor import Tensor
from .lr_scheduler import LRScheduler, _per_group
from .optimizer import Optimizer

Average = Callable[[Tensor, Tensor, Any], Tensor]
AverageAll = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_swa_avg_fn() -> Average:
    """mean + (new - mean) / (n + 1): the plain mean of all models so far."""

    def average(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return averaged + (current - averaged) / (num_averaged + 1)

    return average


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """decay * mean + (1 - decay) * new: a mean that forgets."""
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )

    def average(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return average


def _of_all(average: Average) -> AverageAll:
    def average_all(averaged: Sequence[Tensor], current: Sequence[Tensor], n: Any) -> None:
        with no_grad():
            for mine, theirs in zip(averaged, current, strict=True):
                mine.copy_(average(mine, theirs, n))

    return average_all


def get_swa_multi_avg_fn() -> AverageAll:
    """`get_swa_avg_fn` for lists, in place."""
    return _of_all(get_swa_avg_fn())


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageAll:
    """`get_ema_avg_fn` for lists, in place."""
    return _of_all(get_ema_avg_fn(decay))


class AveragedModel(Module):
    """A copy of a model whose parameters are the mean of those given to `update_parameters`.

    use_buffers averages the buffers too; otherwise they are copied.  Izmailov et al. 2018.
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: AverageAll | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", creation.tensor(0, dtype="int64", device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _members(self, model: Module) -> list[Tensor]:
        buffers = model.buffers() if self.use_buffers else ()
        return [member.detach() for member in itertools.chain(model.parameters(), buffers)]

    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of `model` into the mean."""
        mine = self._members(self.module)
        theirs = [t.to(m.device) for m, t in zip(mine, self._members(model), strict=True)]
        with no_grad():
            if not self.n_averaged:
                for m, t in zip(mine, theirs, strict=True):
                    m.copy_(t)
            else:
                average = self.multi_avg_fn or _of_all(self.avg_fn or get_swa_avg_fn())
                average(mine, theirs, self.n_averaged)
            if not self.use_buffers:
                for b, new in zip(self.module.buffers(), model.buffers(), strict=True):
                    b.copy_(new)
            self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Set the running statistics of the model's batch norms to the mean over a pass of the data."""
    norms = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not norms:
        return
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with no_grad():
        for batch in loader:
            x = batch[0] if isinstance(batch, list | tuple) else batch
            model(x if device is None else x.to(device))
    for norm, momentum in norms.items():
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rate to swa_lr in anneal_epochs steps, then constant."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for group, lr in zip(
            optimizer.param_groups,
            _per_group("swa_lr", swa_lr, optimizer.param_groups),
            strict=True,
        ):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: int) -> float:
        """How much of the way is gone after so many epochs."""
        part = 1.0 if not self.anneal_epochs else max(0.0, min(1.0, epoch / self.anneal_epochs))
        return part if self._strategy == "linear" else (1 - math.cos(math.pi * part)) / 2

    def get_lr(self) -> list[float]:
        # `_step_count` is ahead of the epoch by one
        step = self._step_count - 1
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal = group["swa_lr"]
            start = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates
