"""Find where the first NaN or infinity came from, and the usual slips of a first training loop.

    with tinynet.anomaly():
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

It stops at the first operation that makes a NaN or an infinity of finite numbers, forward or
backward, and names the line and the module. It warns where gradients of the last step were not
cleared, where a network in training mode is used without gradients, and where an optimiser has
nothing to go by. Every result is looked at, so it is for finding mistakes, not for long trainings.

`detect_anomaly` and `set_detect_anomaly` are PyTorch's: they look at NaN in backward only.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, ClassVar

from ..device import xp_of
from .mode import mode
from .observe import Observer, unwatch, watch
from .tape import Node, TensorBase, call_site, caller

RANDOM_LAYERS = ("Dropout", "BatchNorm", "AlphaDropout")  # that behave otherwise in training


class AnomalyError(RuntimeError):
    """The first NaN or infinity, with the line and the module it comes from."""


class anomaly(Observer, ContextDecorator):
    """Raise AnomalyError at the first NaN or infinity, and warn of slips in the training loop.

    forward: look at what operations return. infinity: infinities are anomalies too.
    """

    def __init__(self, *, forward: bool = True, infinity: bool = True, slips: bool = True) -> None:
        self.forward, self.infinity, self.slips = forward, infinity, slips
        self._modules: list[tuple[Any, str]] = []
        self._paths: dict[int, str] = {}  # of the modules in the outermost one, by id
        self._walks = 0  # that are under way
        self._stepped: list[tuple[Any, Any, Any]] = []  # parameter, gradient array, its copy
        self._warned: set[str] = set()

    def __enter__(self) -> anomaly:
        watch(self)
        return self

    def __exit__(self, *_: Any) -> None:
        unwatch(self)

    # ------------------------------------------------------------------------------ operations

    def operation_ends(self, operation: Any, inputs: tuple, value: Any) -> None:
        if not self.forward or value is None or self._walks:
            return
        for result in value if isinstance(value, tuple) else (value,):
            found = self._found(result)
            if found is None:
                continue
            name = getattr(operation, "__name__", str(operation)).strip("_")
            arrived = next((i for i, x in enumerate(inputs) if self._found(x) is not None), None)
            raise AnomalyError(
                f"{name} made the first {found}, of finite inputs {_ranges(inputs)}, "
                f"{self._where()}. {_CURES.get(name, _CURE)}"
                if arrived is None
                else f"{name}: input {arrived} holds {found} already, {self._where()}. Was it in "
                "the data? Look at the images and labels, or at the weights before this step."
            )

    def recorded(self, node: Node, result: Any) -> None:
        """Put a look at its gradients behind each pullback of the node."""
        name, where = node.name(), self._where()

        def looked_at(pullback: Callable[..., Any], index: int | None) -> Callable[..., Any]:
            def look(gradients: Any) -> Any:
                for i, dx in [(index, gradients)] if index is not None else enumerate(gradients):
                    self._look(dx, i, name, where)
                return gradients

            if node.joint:
                return functools.wraps(pullback)(lambda *dy: look(pullback(*dy)))
            if pullback.__code__.co_argcount == 2:
                return lambda dy, y: look(pullback(dy, y))
            return lambda dy: look(pullback(dy))

        if node.joint:
            node.pullbacks = looked_at(node.pullbacks, None)
        else:
            node.pullbacks = [
                pullback and looked_at(pullback, i) for i, pullback in enumerate(node.pullbacks)
            ]

    # -------------------------------------------------------------------------------- backward

    def walk_begins(self, roots: list[Any]) -> None:
        if self.slips and not self._walks:
            self._look_for_old_gradients()
        self._walks += 1

    def walk_ends(self) -> None:
        self._walks -= 1

    def _look(self, gradient: Any, index: int, name: str, where: str) -> None:
        found = self._found(gradient)
        if found is not None:
            kind = "nan" if found == "NaN" else found
            raise AnomalyError(
                f"Function '{name}' returned {kind} values in its {index}th output: the "
                f"derivative of the operation {where}. A derivative can be infinite where the "
                "value is not: sqrt and norm at 0, log near 0, a division by something tiny. "
                "Keep the input away from there, for example by adding 1e-8 to it."
            )

    # ------------------------------------------------------------------------- modules and steps

    def module_begins(self, module: Any, args: tuple) -> None:
        if not self._modules:
            self._paths = {id(m): path for path, m in module.named_modules()}
            if self.slips and module.training and not mode.enabled:
                layers = {type(m).__name__ for m in module.modules()}
                random = sorted(n for n in layers if n.startswith(RANDOM_LAYERS))
                if random:
                    self._warn(
                        f"{type(module).__name__} is in training mode, but no gradients are "
                        f"recorded: {', '.join(random)} behave as in training. To test, call "
                        "model.eval() first, and model.train() afterwards."
                    )
        self._modules.append((module, self._paths.get(id(module), "")))

    def module_ends(self, module: Any, result: Any) -> None:
        self._modules.pop()

    def step_ends(self, optimizer: Any) -> None:
        if not self.slips:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        with_gradient = [p for p in parameters if p.grad is not None]
        if parameters and not with_gradient:
            self._warn(
                f"{type(optimizer).__name__}.step(): no parameter has a gradient (.grad is None), "
                "so nothing moved. Call loss.backward() before it; and were these the parameters "
                "of the network that computed the loss?"
            )
        self._stepped = [(p, p.grad.array, p.grad.array.copy()) for p in with_gradient[:1]]

    def _look_for_old_gradients(self) -> None:
        for parameter, array, copy in self._stepped:
            grad = parameter.grad
            if grad is not None and grad.array is array and copy.any() and (array == copy).all():
                self._warn(
                    "backward() is about to add to the gradients that the last step has used "
                    "already. Call optimizer.zero_grad() before backward(), unless you mean to."
                )
        self._stepped = []

    # ---------------------------------------------------------------------------------- wording

    def _found(self, value: Any) -> str | None:
        """ "NaN" or "infinity", if a tensor or array holds one."""
        array = value.array if isinstance(value, TensorBase) else value
        if getattr(getattr(array, "dtype", None), "kind", "") != "f":
            return None
        xp = xp_of(array)
        if self.infinity:
            if bool(xp.isfinite(array).all()):
                return None
            return "NaN" if bool(xp.isnan(array).any()) else "infinity"
        return "NaN" if bool(xp.isnan(array).any()) else None

    def _where(self) -> str:
        path = next((path for _, path in reversed(self._modules) if path), "")
        return f"at {call_site()}" + (f" (in the module {path})" if path else "")

    def _warn(self, text: str) -> None:
        if text not in self._warned:  # once is enough
            self._warned.add(text)
            frame = caller()
            line = frame.f_code.co_filename, frame.f_lineno
            warnings.warn_explicit(text, UserWarning, *line)


def _ranges(inputs: tuple) -> str:
    parts = []
    for x in inputs:
        array = getattr(x, "array", None)
        if array is not None and array.size and array.dtype.kind == "f":
            parts.append(
                f"{list(array.shape)} from {float(array.min()):.4g} to {float(array.max()):.4g}"
            )
    return "and ".join(parts) or "without elements"


_CURE = "Is the learning rate too large, or the input not normalised?"
_CURES = {
    "log": "The logarithm of 0 is minus infinity: use log_softmax, logsigmoid or a loss that takes "
    "logits, or clamp the input.",
    "div": "Something was divided by 0: add a small number to the denominator.",
    "exp": "exp overflows beyond 88 in float32: subtract the largest value first, as softmax does.",
    "sqrt": "The root of a negative number is NaN: was a variance computed as a difference?",
    "pow": "A negative number to a broken power is NaN, and 0 to a negative one is infinite.",
}


class detect_anomaly(anomaly):
    """PyTorch's: raise where backward makes a NaN, naming the line of the forward operation.

    check_nan: False looks at nothing.
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(forward=False, infinity=False, slips=False)
        self.check_nan = check_nan

    def recorded(self, node: Node, result: Any) -> None:
        if self.check_nan:
            super().recorded(node, result)


class set_detect_anomaly(detect_anomaly):
    """`detect_anomaly` as a switch (`set_detect_anomaly(True)`) or as a context."""

    _on: ClassVar[list[set_detect_anomaly]] = []

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__(check_nan)
        self._before = list(self._on)
        self._set([self] if mode else [])

    def _set(self, wanted: list[set_detect_anomaly]) -> None:
        for observer in self._on:
            unwatch(observer)
        type(self)._on[:] = wanted
        for observer in wanted:
            watch(observer)

    def __enter__(self) -> set_detect_anomaly:
        return self

    def __exit__(self, *_: Any) -> None:
        self._set(self._before)
