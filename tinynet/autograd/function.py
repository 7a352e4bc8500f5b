"""Operations written by users: `autograd.Function` with PyTorch's `ctx`."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from . import tape
from .mode import mode, no_grad
from .tape import JointNode, Node, Output, TensorBase, alias, node_of, storage_of, tick, wrap


class FunctionCtx:
    """What a Function's forward leaves for its backward."""

    needs_input_grad: tuple[bool, ...] = ()
    _saved: tuple[Any, ...] = ()
    _dirty: tuple[Any, ...] = ()
    _non_differentiable: tuple[Any, ...] = ()
    _materialize = True
    _edges: Sequence[Node | None] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Remember inputs, outputs or other tensors (or None) for `ctx.saved_tensors`."""
        for t in tensors:
            if t is not None and not isinstance(t, TensorBase):
                raise TypeError(
                    f"save_for_backward can only save variables, but got {type(t).__name__}; keep "
                    "anything else as an attribute: ctx.name = value"
                )
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to `save_for_backward`, unless they were changed or freed since."""
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time: this Function has freed what "
                "it saved. Call backward(retain_graph=True) the first time."
            )
        return tuple(item() if callable(item) else item for item in self._saved)

    def mark_dirty(self, *tensors: Any) -> None:
        """Say which inputs forward changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say which outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for outputs without a gradient."""
        self._materialize = value


class Function:
    """A differentiable operation of your own.

        class Square(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, dy):
                (x,) = ctx.saved_tensors
                return 2 * x * dy

        y = Square.apply(x)

    forward runs without recording; backward gets one gradient per output and returns one per
    argument of forward (None for what is not a tensor or needs none). Written in tensor operations,
    backward can itself be differentiated. `setup_context(ctx, inputs, output)` may be separate.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the backward function for custom autograd.Function."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and record it."""
        ctx = FunctionCtx()
        edges = [node_of(a) if isinstance(a, TensorBase) else None for a in args]
        recording = mode.enabled and any(e is not None for e in edges)
        ctx.needs_input_grad = tuple(e is not None for e in edges)
        result = run_forward(cls, ctx, args, kwargs)
        outputs = list(result) if isinstance(result, tuple) else [result]
        for i, output in enumerate(outputs):
            if any(output is d for d in ctx._dirty):
                tape.mark_modified(output, cls.__name__)
            elif any(output is a for a in args):
                outputs[i] = alias(output)  # an input handed through gets a history of its own
        if recording:
            _record(cls, ctx, edges, outputs)
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]


def run_forward(cls: type[Function], ctx: FunctionCtx, args: Any, kwargs: dict[str, Any]) -> Any:
    """A Function's own forward, unrecorded."""
    with no_grad():
        setup = getattr(cls, "setup_context", None)
        if setup is None:
            return cls.forward(ctx, *args, **kwargs)
        result = cls.forward(*args, **kwargs)
        setup(ctx, args, result)
        return result


class _Backward:
    """The joint pullback of a Function's node: calls its backward and checks what it returns."""

    def __init__(self, cls: type[Function], ctx: FunctionCtx) -> None:
        self.cls, self.ctx = cls, ctx
        self.wants_zeros = ctx._materialize
        self.__closure__ = None
        self.slots: list[int | None] = []  # for each output of forward, which gradient it gets

    def __call__(self, *gradients: Any) -> Any:
        arguments = [None if i is None else gradients[i] for i in self.slots]
        given = self.cls.backward(self.ctx, *arguments)
        given = given if isinstance(given, tuple) else (given,)
        needs = self.ctx.needs_input_grad
        if len(given) > len(needs) and all(g is None for g in given[len(needs) :]):
            given = given[: len(needs)]
        if len(given) != len(needs):
            raise RuntimeError(
                f"function {self.cls.__name__}Backward returned an incorrect number of gradients "
                f"(expected {len(needs)}, got {len(given)}): one for each argument of forward, "
                "None for those that need none."
            )
        for i, gradient in enumerate(given):
            if gradient is not None and not isinstance(gradient, TensorBase):
                raise TypeError(
                    f"function {self.cls.__name__}Backward returned a {type(gradient).__name__} "
                    f"as gradient {i}; expected a Tensor or None."
                )
        return given


def _record(cls: type[Function], ctx: FunctionCtx, edges: list[Any], outputs: list[Any]) -> None:
    pullback = _Backward(cls, ctx)
    differentiable = [
        o
        for o in outputs
        if isinstance(o, TensorBase)
        and o.array.dtype.kind == "f"
        and not any(o is n for n in ctx._non_differentiable)
    ]
    pullback.slots = [
        next((i for i, d in enumerate(differentiable) if d is o), None) for o in outputs
    ]
    node = FunctionNode(cls, ctx, edges, pullback)
    tape.tie(node, differentiable[0] if len(differentiable) == 1 else tuple(differentiable))
    for output in differentiable:
        if any(output is d for d in ctx._dirty):
            storage_of(output).rebased_at = tick()
    # What is saved must not hold the node's own outputs (a cycle), and is checked for changes.
    ctx._saved = tuple(_keep(t, weakref.ref(node), differentiable) for t in ctx._saved)
    ctx._edges = edges


def _keep(tensor: Any, node: Any, outputs: list[Any]) -> Any:
    """A function that gives the saved tensor back, or raises if it was changed in place since."""
    if tensor is None:
        return None
    index = next((i for i, o in enumerate(outputs) if o is tensor), None)
    storage = storage_of(tensor)
    version = storage.version
    array = tensor.array
    keep = tensor if index is None else None
    alone = len(outputs) == 1

    def give() -> Any:
        if storage.version != version:
            raise tape.changed_error(node(), "a saved tensor", array.shape, storage)
        if keep is not None:
            return keep
        output = wrap(array)
        output._node = node() if alone else Output(node(), index, array)  # type: ignore[arg-type]
        return output

    return give


class FunctionNode(JointNode):
    """The node of a user's Function; its context is reached through the pullback."""

    def __init__(
        self, cls: type[Function], ctx: FunctionCtx, edges: list[Any], pullback: Any
    ) -> None:
        self.begin(cls, edges, pullback)
        self.ctx = ctx

    def name(self) -> str:
        return f"{self.operation.__name__}Backward"

    def remembers(self) -> Any:
        for item in self.ctx._saved or ():
            if item is not None:
                yield "saved tensor", item()

    def check_unchanged(self) -> None:
        """Each saved tensor is checked when backward asks for it."""

    def release(self) -> None:
        if self.ctx._saved:
            self.ctx._saved = None  # type: ignore[assignment]


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For a Function's backward that is not written in tensor operations.

    Its results cannot be differentiated again; asking for that is an error, not a wrong number.
    """

    @functools.wraps(backward)
    def run(ctx: Any, *gradients: Any) -> Any:
        with no_grad():
            given = backward(ctx, *gradients)
        if not mode.enabled:
            return given
        # The results depend on the inputs and the gradients in a way that nothing recorded.
        sources = [g for g in gradients if g is not None]
        for edge in ctx._edges:
            source = wrap(0.0)
            source._node = edge
            sources.append(source)
        results = given if isinstance(given, tuple) else (given,)
        return tuple(None if r is None else _Refuse.apply(r, *sources) for r in results)

    return run


class _Refuse(Function):
    """Passes a value on and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, value: Any, *sources: Any) -> Any:
        return value

    @staticmethod
    def backward(ctx: Any, *dy: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )
