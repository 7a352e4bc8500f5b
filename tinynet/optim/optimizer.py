"""Optimizer: parameters in groups with their settings, a state for each, and the step."""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

from ..autograd.mode import enable_grad, no_grad
from ..autograd.observe import observers, stand_in
from ..kernels import capture
from ..ops import creation
from ..tensor import RemovableHandle, Tensor

_global_pre_hooks: OrderedDict[int, Any] = OrderedDict()
_global_post_hooks: OrderedDict[int, Any] = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call hook(optimizer, args, kwargs) before each step of every optimiser."""
    return RemovableHandle(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call hook(optimizer, args, kwargs) after each step of every optimiser."""
    return RemovableHandle(_global_post_hooks, hook)


def registered(
    hooks: OrderedDict[int, Any], hook: Callable[..., Any], prepend: bool
) -> RemovableHandle:
    """The hook, last or first of all."""
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.key, last=False)
    return handle


class Optimizer:
    """Base class: an optimiser is the formula in `update`, everything else is here.

    One that has a kernel for several parameters at once replaces `update_all` instead.

    params: tensors, or dicts with "params" and settings of their own; `defaults` are the
    settings of a group that does not say otherwise.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                f"dicts, but got {params.type()}"
            )
        for hint in ("differentiable", "capturable"):
            if defaults.get(hint):
                raise NotImplementedError(f"{type(self).__name__}: {hint}=True is not supported")
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._steps = 0
        self._step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._state_dict_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._state_dict_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._load_state_dict_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._load_state_dict_post_hooks: OrderedDict[int, Any] = OrderedDict()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Change `param` in place, given its gradient; `state` is this parameter's own."""
        raise NotImplementedError

    def update_all(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """Change parameters of one group, all different and with a gradient, in place."""
        for param in params:
            state = self.state.get(param, {})
            self.update(param, param.grad, state, group)
            if state:  # plain gradient descent, for one, has none
                self.state[param] = state

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what `closure` (if given) returns."""
        self._steps += 1
        for pre_hook in [*_global_pre_hooks.values(), *self._step_pre_hooks.values()]:
            changed = pre_hook(self, (closure,), {})
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"{self.step} must return None or a tuple of (new_args, new_kwargs), but "
                        f"got {changed}."
                    )
                closure = changed[1].get("closure", changed[0][0] if changed[0] else None)
        loss = self.descend(closure)
        for post_hook in [*self._step_post_hooks.values(), *_global_post_hooks.values()]:
            post_hook(self, (closure,), {})
        return loss

    def descend(self, closure: Callable[[], Any] | None) -> Any:
        """What `step` does between its hooks."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                params = [param for param in group["params"] if param.grad is not None]
                if len(set(map(id, params))) == len(params):
                    self.update_all(params, group)
                else:  # as often as it appears, one after the other
                    for param in params:
                        self.update_all([param], group)
        return loss

    def never_stepped(self) -> bool:
        """True if `step` was not called yet; a subclass with a `step` of its own does not count."""
        return type(self).step is Optimizer.step and self._steps == 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or set them to zero."""
        for param in self._params():
            if param.grad is not None:
                if set_to_none:
                    param.grad = None
                else:
                    param.grad.detach_().zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise further parameters, with settings of their own where given."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names:
            if len(names) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            params = [param for _, param in params]
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    + type(param).__name__
                )
            if not param.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is updated "
                "as often as it appears",
                stacklevel=3,
            )
        if {id(p) for p in params} & {id(p) for p in self._params()}:
            raise ValueError("some parameters appear in more than one parameter group")
        group = {**param_group, "params": params}
        if names:
            group["param_names"] = names
        if self.param_groups and bool(names) != ("param_names" in self.param_groups[0]):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if names else 'without'} names to the optimizer"
            )
        self.param_groups.append({**self.defaults, **group})

    def _params(self) -> Iterable[Any]:
        return chain.from_iterable(group["params"] for group in self.param_groups)

    def state_dict(self) -> dict[str, Any]:
        """The state by the parameters' positions, and the groups' settings."""
        for pre_hook in list(self._state_dict_pre_hooks.values()):
            pre_hook(self)
        position = {id(param): i for i, param in enumerate(self._params())}
        state_dict = {
            "state": {position.get(id(p), p): state for p, state in self.state.items()},
            "param_groups": [
                {
                    **{k: v for k, v in group.items() if k != "params"},
                    "params": [position[id(p)] for p in group["params"]],
                }
                for group in self.param_groups
            ],
        }
        for post_hook in list(self._state_dict_post_hooks.values()):
            changed = post_hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        return state_dict

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave; tensors are converted to their parameter's dtype."""
        for pre_hook in list(self._load_state_dict_pre_hooks.values()):
            changed = pre_hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups = deepcopy(state_dict["param_groups"])
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for ours, saved in zip(self.param_groups, groups, strict=True):
            if len(ours["params"]) != len(saved["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    "optimizer's group"
                )
        numbers = chain.from_iterable(group["params"] for group in groups)
        param_of = dict(zip(numbers, self._params(), strict=True))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, values in state_dict["state"].items():
            if key in param_of:
                param = param_of[key]
                state[param] = {k: _fitted(k, v, param) for k, v in values.items()}
            else:
                state[key] = values
        self.state = state
        self.param_groups = [
            # a setting that the file does not know yet keeps its default
            {**self.defaults, **saved, "params": ours["params"]}
            | ({"param_names": ours["param_names"]} if "param_names" in ours else {})
            for ours, saved in zip(self.param_groups, groups, strict=True)
        ]
        for post_hook in list(self._load_state_dict_post_hooks.values()):
            post_hook(self)

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call hook(optimizer, args, kwargs) before each step; it may return others."""
        return RemovableHandle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call hook(optimizer, args, kwargs) after each step."""
        return RemovableHandle(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer) before `state_dict`."""
        return registered(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer, state_dict) after `state_dict`; it may return another."""
        return registered(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer, state_dict) before loading; it may return another."""
        return registered(self._load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer) after loading."""
        return registered(self._load_state_dict_post_hooks, hook, prepend)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
            lines.append("")
        return "\n".join(lines[:-1]) + "\n)"


def _fitted(name: str, value: Any, param: Tensor) -> Any:
    """A copy of a loaded value, in the parameter's dtype and on its device (not the step count)."""
    if not isinstance(value, Tensor):
        return deepcopy(value)
    if name == "step":
        return value.clone()
    kind = param.dtype if param.is_floating_point() else value.dtype
    return value.to(device=param.device, dtype=kind).clone()


def count_step(state: dict[str, Any]) -> int:
    """The number of this step, from 1; kept as PyTorch keeps it, a float32 tensor."""
    capture.refuse(
        "this optimizer counts its steps on the CPU, and every replay would be the same step",
        "Use SGD, or call step() outside of the graph.",
    )
    if "step" not in state:
        state["step"] = creation.tensor(0.0, dtype="float32")
    count = state["step"].array
    count += 1
    return int(count)


def uphill(grad: Tensor, param: Tensor, group: dict[str, Any]) -> Tensor:
    """The gradient with the group's weight decay, of -f if f is to be maximised."""
    if group["maximize"]:
        grad = -grad
    decay = group["weight_decay"]
    return grad + decay * param if decay else grad


def checked_betas(betas: Sequence[float]) -> tuple[float, ...]:
    """`betas` as a tuple of numbers; ValueError if one is not in [0, 1)."""
    betas = tuple(beta.item() if isinstance(beta, Tensor) else beta for beta in betas)
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    return betas


def at_least_zero(what: str, value: float) -> float:
    """`value` (or a one-element tensor's); ValueError if it is negative or NaN."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(
                f"Tensor {'lr' if what == 'learning rate' else what} must be 1-element"
            )
        value = value.item()
    if not value >= 0.0:
        raise ValueError(f"Invalid {what}: {value}")
    return value


@stand_in(Optimizer, "step")
def _observed_step(plain: Callable[..., Any]) -> Callable[..., Any]:
    """What runs in place of `step` while somebody watches (autograd/observe.py)."""

    def step(self: Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        watching = tuple(observers)
        for observer in watching:
            observer.step_begins(self)
        try:
            return plain(self, closure)
        finally:
            for observer in reversed(watching):
                observer.step_ends(self)

    return step
