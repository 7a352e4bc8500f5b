"""What is checked, as arrays: y = f(x) at the inputs' present values, and its pullback.

The checker moves `arrays` in place (they are the inputs' own memory, so a module's parameters need
no special path), asks for outputs, and puts them back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...device import is_writable, move, xp_of
from ...random import default_generator
from .. import engine
from ..mode import enable_grad, no_grad
from ..tape import AccumulateGrad, Node, TensorBase, node_of, wrap
from .report import GradcheckError

Cotangents = Sequence[Any]  # one array per output, None for an output that sends nothing back


class Problem:
    """y = f(x) and dx = pull(dy), on lists of arrays."""

    names: list[str]  # of the checked inputs: "input 0", "parameter 'fc.weight'"
    arrays: list[Any]  # their memory
    shapes: list[tuple[int, ...]]  # of the outputs
    evaluations = 0  # of f
    backwards = 0  # of its pullback

    def restart(self) -> list[Any]:
        """Run f for its pullback; returns copies of the outputs."""
        raise NotImplementedError

    def evaluate(self) -> list[Any]:
        """Copies of the outputs, nothing recorded."""
        raise NotImplementedError

    def pull(self, dy: Cotangents) -> list[Any]:
        """One gradient per checked input (None where none arrived), of the last `restart`."""
        raise NotImplementedError

    def aliases(self, dy: Cotangents, gradients: Sequence[Any]) -> str | None:
        """In words, what a gradient shares its memory with although it must not."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """N, how many input elements are checked."""
        return sum(a.size for a in self.arrays)

    @property
    def out_size(self) -> int:
        """M, how many output elements there are."""
        return sum(int(np.prod(s, dtype=np.int64)) for s in self.shapes)

    def value(self) -> Any:
        """The outputs as one vector (M,)."""
        return flat(self.evaluate())

    def split(self, v: Any) -> list[Any]:
        """A vector (M,) as one fresh array per output."""
        ends = np.cumsum([int(np.prod(s, dtype=np.int64)) for s in self.shapes])
        parts = np.split(v, ends[:-1])
        return [part.reshape(s).copy() for part, s in zip(parts, self.shapes, strict=True)]

    def where(self, m: int) -> tuple[int, tuple[int, ...]]:
        """Which output the m-th of the M elements lies in, and at which index."""
        for i, s in enumerate(self.shapes):
            n = int(np.prod(s, dtype=np.int64))
            if m < n:
                return i, tuple(int(k) for k in np.unravel_index(m, s))
            m -= n
        raise IndexError(m)

    def close(self) -> None:
        """Undo what running f has changed besides its outputs."""


class TensorProblem(Problem):
    """A function of tensors, or a module; differentiated by the engine."""

    def __init__(
        self, func: Callable[..., Any], inputs: tuple[Any, ...], parameters: dict[str, Any]
    ) -> None:
        self.func, self.inputs = func, inputs
        self.tensors: list[Any] = []
        self.names = []
        for name, tensor in self._candidates(parameters):
            if not any(tensor is t for t in self.tensors):
                self.tensors.append(tensor)
                self.names.append(name)
        if not self.tensors:
            raise GradcheckError(
                "gradcheck: nothing to check: no input is a tensor with requires_grad=True"
            )
        for name, tensor in zip(self.names, self.tensors, strict=True):
            if tensor.array.dtype != np.float64:
                raise GradcheckError(
                    f"gradcheck: {name} has dtype {tensor.array.dtype}; finite differences need "
                    "float64, because rounding in float32 hides errors of a percent and more (call "
                    ".double() before requires_grad_(), or module.double())"
                )
            if not is_writable(tensor.array):
                raise GradcheckError(
                    f"gradcheck: {name} cannot be moved: several of its elements lie in one place "
                    "in memory (an expanded tensor), or it is read-only; clone() it first"
                )
        self.arrays = [t.array for t in self.tensors]
        buffers = getattr(func, "named_buffers", tuple)
        self._buffers = [(b, b.array.copy()) for _, b in buffers()]
        self._random = default_generator.get_state()
        self._draws = True  # until the first run has shown that nothing is drawn
        self._positions: list[int] | None = None

    def _candidates(self, parameters: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for i, x in enumerate(self.inputs):
            if isinstance(x, TensorBase) and node_of(x) is not None:
                yield f"input {i}", x
        for name, p in parameters.items():
            if node_of(p) is not None:
                yield f"parameter {name!r}", p

    def _run(self) -> list[Any]:
        if self._draws:  # the same random numbers (dropout) at every evaluation
            default_generator.set_state(self._random)
        self.evaluations += 1
        outputs = as_tuple(self.func(*self.inputs))
        if self.evaluations == 1:
            self._draws = repr(default_generator.get_state()) != repr(self._random)
        return list(outputs)

    def restart(self) -> list[Any]:
        with enable_grad():
            outputs = self._run()
        found = [i for i, y in enumerate(outputs) if is_differentiable(y)]
        if not found:
            raise GradcheckError(
                "gradcheck: nothing to check: no output depends on a checked input, as far as the "
                "tape knows; was it computed under no_grad(), from detach() or .data, or in NumPy?"
            )
        if self._positions is None:
            self._positions = found
        self.outputs = [outputs[i] for i in self._positions]
        self.shapes = [y.array.shape for y in self.outputs]
        for i, y in zip(self._positions, self.outputs, strict=True):
            if y.array.dtype != np.float64:
                raise GradcheckError(
                    f"gradcheck: output {i} has dtype {y.array.dtype} although the inputs are "
                    "float64; rounded so far, it cannot be compared with finite differences"
                )
        return [copied(y.array) for y in self.outputs]

    def evaluate(self) -> list[Any]:
        with no_grad():
            outputs = self._run()
        assert self._positions is not None
        return [copied(outputs[i].array) for i in self._positions]

    def pull(self, dy: Cotangents) -> list[Any]:
        self.backwards += 1
        sent = [(y, v) for y, v in zip(self.outputs, dy, strict=True) if v is not None]
        found = engine.grad(
            [y for y, _ in sent],
            self.tensors,
            [wrap(xp_of(y.array).asarray(v)) for y, v in sent],
            retain_graph=True,
            allow_unused=True,
        )
        return [None if g is None else move(g.array, "cpu") for g in found]

    def aliases(self, dy: Cotangents, gradients: Sequence[Any]) -> str | None:
        # What grad() returns may be the cotangent itself, as in PyTorch; .grad may not.
        held = [*self._held(), *((f"output {i}", y.array) for i, y in enumerate(self.outputs))]
        for name, gradient in zip(self.names, gradients, strict=True):
            for what, array in held:
                if gradient is not None and overlap(gradient, array):
                    return f"the gradient of {name} shares its memory with {what}"
        return self._aliased_grad(dy, held)

    def _held(self) -> list[tuple[str, Any]]:
        others = [
            (f"input {i}", x.array)
            for i, x in enumerate(self.inputs)
            if isinstance(x, TensorBase) and not any(x is t for t in self.tensors)
        ]
        return [*zip(self.names, self.arrays, strict=True), *others]

    def _aliased_grad(self, dy: Cotangents, held: list[tuple[str, Any]]) -> str | None:
        """The same of `.grad`, after backward(); every leaf's own `.grad` is put back."""
        leaves = _leaves(self.outputs)
        if any(leaf._node.post_hooks for leaf in leaves):
            return None  # they would act on a backward pass that nobody asked for
        before = [(leaf, leaf.grad) for leaf in leaves]
        sent = [wrap(xp_of(y.array).asarray(v)) for y, v in zip(self.outputs, dy, strict=True)]
        try:
            for leaf in leaves:
                leaf.grad = None
            self.backwards += 1
            engine.backward(self.outputs, sent, retain_graph=True)
            seen = [*held, *(("the cotangent", v.array) for v in sent)]
            for leaf in leaves:
                if leaf.grad is None:
                    continue
                for what, array in seen:
                    if overlap(leaf.grad.array, array):
                        return f"the .grad that backward() leaves shares its memory with {what}"
                seen.append(("the .grad of another tensor", leaf.grad.array))
        finally:
            for leaf, grad in before:
                leaf.grad = grad
        return None

    def close(self) -> None:
        for buffer, value in self._buffers:
            buffer.array[...] = value


class PairProblem(Problem):
    """Plain NumPy: y = f(*inputs) and its pullback vjp(dy, *inputs)."""

    def __init__(self, f: Callable[..., Any], vjp: Callable[..., Any], inputs: tuple[Any, ...]):
        self.f, self.vjp = f, vjp
        self.inputs = [x.copy() if isinstance(x, np.ndarray) else x for x in inputs]
        self.checked = [
            i
            for i, x in enumerate(self.inputs)
            if isinstance(x, np.ndarray) and x.dtype.kind == "f"
        ]
        if not self.checked:
            raise GradcheckError(
                "gradcheck: nothing to check: no input is a NumPy array of floating-point numbers"
            )
        for i in self.checked:
            if self.inputs[i].dtype != np.float64:
                raise GradcheckError(
                    f"gradcheck: input {i} has dtype {self.inputs[i].dtype}; finite differences "
                    "need float64 (x.astype(np.float64))"
                )
        self.names = [f"input {i}" for i in self.checked]
        self.arrays = [self.inputs[i] for i in self.checked]

    def restart(self) -> list[Any]:
        outputs = self.evaluate()
        self.shapes = [y.shape for y in outputs]
        return outputs

    def evaluate(self) -> list[Any]:
        self.evaluations += 1
        outputs = [np.array(y) for y in as_tuple(self.f(*self.inputs))]
        for i, y in enumerate(outputs):
            if y.dtype != np.float64:
                raise GradcheckError(
                    f"gradcheck: output {i} of f has dtype {y.dtype} although the inputs are "
                    "float64; it cannot be compared with finite differences"
                )
        return outputs

    def pull(self, dy: Cotangents) -> list[Any]:
        self.backwards += 1
        sent = [np.zeros(s) if v is None else v for v, s in zip(dy, self.shapes, strict=True)]
        found = as_tuple(self.vjp(*sent, *self.inputs))
        if len(found) == len(self.inputs):
            found = tuple(found[i] for i in self.checked)
        if len(found) != len(self.checked):
            raise GradcheckError(
                f"gradcheck: vjp returned {len(found)} gradients for {len(self.checked)} inputs of "
                "floating-point numbers; return one for each input, None for the others"
            )
        return [None if g is None else np.asarray(g) for g in found]

    def aliases(self, dy: Cotangents, gradients: Sequence[Any]) -> str | None:
        seen = [(f"input {i}", x) for i, x in enumerate(self.inputs) if isinstance(x, np.ndarray)]
        seen += [("the cotangent", v) for v in dy]
        for name, gradient in zip(self.names, gradients, strict=True):
            if gradient is not None:
                for what, array in seen:
                    if overlap(gradient, array):
                        return f"the gradient of {name} shares its memory with {what}"
                seen.append((f"the gradient of {name}", gradient))
        return None

    def complex_column(self, k: int, index: tuple[int, ...]) -> Any:
        """df/dx by a complex step, Im f(x + ih) / h with h = 1e-30, or None if f refuses it.

        Nothing is subtracted, so nothing cancels: exact to machine precision wherever f is
        analytic (no abs, max or comparison) and takes complex numbers (Squire and Trapp 1998).
        """
        h = 1e-30
        inputs = list(self.inputs)
        inputs[self.checked[k]] = moved = self.arrays[k].astype(complex)
        moved[index] += 1j * h
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"):
                outputs = [np.asarray(y) for y in as_tuple(self.f(*inputs))]
        except Exception:  # whatever f raises for complex numbers, it has declined
            return None
        if any(y.dtype.kind != "c" for y in outputs):
            return None
        return np.concatenate([y.imag.ravel() / h for y in outputs])


def _leaves(outputs: Sequence[Any]) -> list[Any]:
    """The leaf tensors that backward() from these outputs would give a gradient."""
    seen: set[Node] = set()
    stack: list[Node | None] = [node_of(y) for y in outputs]
    found = []
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        stack.extend(node.edges)
        if isinstance(node, AccumulateGrad) and node.variable is not None:
            found.append(node.variable)
    return found


def is_differentiable(y: Any) -> bool:
    """True for what backward can start from."""
    return isinstance(y, TensorBase) and y.array.dtype.kind == "f" and node_of(y) is not None


def overlap(a: Any, b: Any) -> bool:
    """True if two arrays have an element of memory in common."""
    if xp_of(a) is not xp_of(b) or not np.may_share_memory(a, b):
        return False
    return xp_of(a) is not np or np.shares_memory(a, b)


def copied(array: Any) -> Any:
    """A copy in the computer's main memory."""
    return np.array(move(array, "cpu"))


def flat(arrays: Sequence[Any]) -> Any:
    """Arrays as one vector."""
    return np.concatenate([a.ravel() for a in arrays]) if arrays else np.empty(0)


def as_tuple(value: Any) -> tuple[Any, ...]:
    """A tuple of what is one thing or several."""
    return tuple(value) if isinstance(value, tuple | list) else (value,)
