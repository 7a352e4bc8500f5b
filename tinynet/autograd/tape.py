"""The tape: what an operation leaves behind so that its derivative can be taken.

An operation is a function of tensors that returns its value (an array) and one *pullback* per
input: the function that turns dL/d(output) into dL/d(that input).

    @differentiable
    def mul(x, y):
        return x.array * y.array, (lambda dz: dz * y, lambda dz: dz * x)

`differentiable` calls it and, where an input requires a gradient, ties the output to a new `Node`.
A node holds, per input, the node that made that input (its edges) and, where that input requires a
gradient, the pullback. Pullbacks are written in operations, so a derivative can be differentiated
again. What backward must remember is what the pullbacks' closures capture, and nothing else.

`engine.py` walks the nodes backwards.
"""

from __future__ import annotations

import functools
import itertools
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from inspect import CO_VARARGS
from types import FunctionType
from typing import Any

import numpy as np
from numpy import ndarray

from .. import dtypes
from ..device import is_writable, mixed_devices, xp_of
from . import layout
from .layout import seen
from .mode import enable_grad, mode

# One clock for nodes and in-place changes: a node's number says when it was made (newest first is
# a valid order for backward), and a value changed after that moment is no longer what the node
# remembers.
clock = itertools.count(1)
tick = clock.__next__

new = object.__new__  # tensors and nodes are made without __init__, which would cost a third more


class Storage:
    """What tensors on the same memory share: how often, when and where it was changed in place."""

    # The values of memory that was never changed; most storages stay so.
    modified_at = 0  # on the clock; 0 is never
    modified_by = ""  # "mul_ at train.py:12"
    rebased_at = 0  # when an in-place change last altered where the base's value comes from
    version = 0


class TensorBase:
    """What the tape knows of a tensor; `tinynet.Tensor` adds the methods."""

    array: Any  # the NumPy or CuPy array
    grad: Any = None
    _node: Node | None = None  # what made this value; for a leaf, where its gradient ends
    _storage: Storage | None = None  # made when memory is first shared or changed
    _base: Any = None  # for a view: the tensor whose memory it shows
    _replay: Any = None  # for a view: (operation, parameters, the replay it started from)
    _rebased_at = 0  # for a view: the storage's `rebased_at` when `_node` was last right
    _mine = False  # the engine made this gradient and nobody else holds its array
    _pinned = False  # its order in memory is everyone's to see (layout.py)


Tensor: type[TensorBase] = TensorBase  # tinynet.tensor puts the full class here


def set_tensor_class(cls: type[TensorBase]) -> None:
    """Tell the tape which class its results have (tensor.py imports ops, which import the tape)."""
    global Tensor
    Tensor = cls


def wrap(array: Any) -> Any:
    """A tensor on `array` that requires no gradient."""
    tensor = new(Tensor)
    tensor.array = array if array.__class__ is ndarray else as_array(array)
    tensor._node = tensor._base = tensor._storage = None  # read sooner here than in the class
    return tensor


SCALAR = (np.generic, int, float)


def wrap_as(array: Any, *operands: Any) -> Any:
    """`wrap` for what an elementwise function has made of the operands: see `layout.follow`."""
    tensor = wrap(array)
    if seen[0]:
        layout.follow(tensor, operands, elementwise=True)
    return tensor


def laid(result: Any, *operands: Any) -> Any:
    """The result of an elementwise function, in the order in memory that the operands give it."""
    if seen[0]:
        tensors = [x for x in operands if isinstance(x, TensorBase)]
        layout.follow(result, tensors, elementwise=True)
    return result


def as_array(value: Any) -> Any:
    """NumPy's reductions return scalars; tensors hold arrays (CuPy's are left as they are)."""
    return np.asarray(value) if isinstance(value, SCALAR) else value


class Node:
    """One recorded operation with one differentiable output: its edges and its pullbacks."""

    number: int
    operation: Callable[..., Any]
    edges: Sequence[Node | None]  # the nodes that made the inputs; None where no gradient is wanted
    pullbacks: Any  # one per input (None where no gradient is wanted), or one for all of them
    shape: tuple[int, ...]  # of the output, and so of its gradient
    dtype: Any
    output: tuple[Any, Storage, int] | None  # (array, storage, version), if a pullback asks for it
    hooks: dict[int, Any] | None  # called with the output's gradient
    retained: Any  # the tensor that asked for its `.grad`, weakly

    # There is a node for each operation: with slots it is made sooner, and read sooner.
    __slots__ = (*__annotations__, "__weakref__")

    joint = False  # see JointNode
    outputs: Sequence[tuple[tuple[int, ...], Any]] = ()
    post_hooks: dict[int, Any] | None = None

    def begin(self, operation: Any, edges: Any, pullbacks: Any) -> None:
        self.number = tick()
        self.operation = operation
        self.edges = edges
        self.pullbacks = pullbacks
        self.output = self.hooks = self.retained = None

    def name(self) -> str:
        """The name as PyTorch writes it: `mul` gives `MulBackward0`."""
        words = self.operation.__name__.strip("_").split("_")
        return "".join(w[:1].upper() + w[1:] for w in words) + "Backward0"

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Where the gradients go: (node, which of its outputs), (None, 0) where none is wanted."""
        return tuple(
            (edge.source, edge.index) if isinstance(edge, Output) else (edge, 0)
            for edge in self.edges
        )

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    def release(self) -> None:
        """Forget what backward remembered; a node that remembered nothing can be walked again."""
        if self.output is None:
            for pullback in (self.pullbacks,) if self.joint else self.pullbacks:
                if pullback is not None and pullback.__closure__ and holds(pullback):
                    break
            else:
                return
        self.pullbacks = self.output = None

    def remembers(self) -> Iterator[tuple[str, Any]]:
        """(name, tensor or array) of each value that the pullbacks hold, read from their cells."""
        if self.pullbacks is None:
            return
        for pullback in (self.pullbacks,) if self.joint else self.pullbacks:
            if pullback is not None:
                yield from captured(pullback)

    def output_tensor(self) -> Any:
        """The output as a tensor that is tied to this node (the node never holds the tensor)."""
        tensor: Any = new(Tensor)
        tensor.array = self.output[0]  # type: ignore[index]
        tensor._node = self
        return tensor

    def check_unchanged(self) -> None:
        """Raise RuntimeError if a remembered value was changed in place since it was remembered."""
        for name, value in self.remembers():
            storage = value._storage if isinstance(value, TensorBase) else None
            if storage is not None and storage.modified_at > self.number:
                raise changed_error(self, f"its input {name!r}", value.array.shape, storage)
        if self.output is not None:
            array, storage, version = self.output
            if storage.version != version:
                raise changed_error(self, "its output", array.shape, storage)


class JointNode(Node):
    """An operation with one pullback for all its inputs, and one output or several."""

    joint = True
    outputs = ()  # (shape, dtype) of each, if there are several


class Output(Node):
    """One of several outputs of an operation: hands its gradient on to the operation's node."""

    def __init__(self, source: Node, index: int, array: Any) -> None:
        self.begin(source.operation, (source,), ())
        self.source, self.index = source, index
        self.shape, self.dtype = array.shape, array.dtype

    def name(self) -> str:
        return self.source.name()

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        return self.source.next_functions


class AccumulateGrad(Node):
    """The end of the line: adds what arrives to the `.grad` of a leaf tensor."""

    def __init__(self, leaf: TensorBase) -> None:
        self.begin(None, (), ())
        self.shape, self.dtype = leaf.array.shape, leaf.array.dtype
        self._leaf = weakref.ref(leaf)  # the tensor holds this node: no cycle

    @property
    def variable(self) -> Any:
        """The leaf tensor, or None if it is gone."""
        return self._leaf()

    def name(self) -> str:
        return "AccumulateGrad"


def changed_error(node: Node, what: str, shape: tuple[int, ...], storage: Storage) -> RuntimeError:
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: {node.name()} remembers {what} of shape {list(shape)} for its derivative, "
        f"and {storage.modified_by} changed it since. Use the out-of-place operation there, or "
        "clone() the tensor first."
    )


PLAIN = frozenset((int, float, bool, str, type(None)))  # what closures hold beside data


def holds(function: Any) -> bool:
    """True if a function's closure holds any tensor or array: what `captured` would give."""
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # a name bound later, or never
            continue
        kind = value.__class__
        if kind is Tensor:  # the usual case
            return True
        if kind in PLAIN:
            continue
        if kind is tuple:
            for item in value:
                if item.__class__ not in PLAIN and holds_data(item):
                    return True
        elif holds(value) if kind is FunctionType else holds_data(value):
            return True
    return False


def captured(function: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of the tensors and arrays in a function's closure, local functions included."""
    cells = function.__closure__
    if cells:
        for name, cell in zip(function.__code__.co_freevars, cells):
            try:
                value = cell.cell_contents
            except ValueError:  # a name bound later, or never
                continue
            if isinstance(value, FunctionType):
                yield from captured(value)
            elif isinstance(value, tuple):
                yield from ((name, v) for v in value if holds_data(v))
            elif holds_data(value):
                yield name, value


def holds_data(value: Any) -> bool:
    """True for a tensor or an array."""
    return isinstance(value, TensorBase) or (hasattr(value, "dtype") and hasattr(value, "ndim"))


_CAST: Any = None  # the operation that converts dtypes; tinynet.tensor puts it here


def set_cast(cast: Any) -> None:
    """Tell the tape how to convert an input's dtype (an operation like any other)."""
    global _CAST
    _CAST = cast


def promoted(x: Any, y: Any) -> tuple[Any, Any]:
    """x and y in the dtype that PyTorch's rules give for them together."""
    result = dtypes.result_type(x.array, y.array)
    return (
        x if x.array.dtype == result else _CAST(x, dtype=result),
        y if y.array.dtype == result else _CAST(y, dtype=result),
    )


def differentiable(
    function: Any = None,
    *,
    promote: bool = False,
    elementwise: bool = False,
    contiguous: bool = False,
    view: bool = False,
    outputs: int = 1,
) -> Any:
    """Make an operation of a function that returns `(value, pullbacks)`.

    The function takes tensors (or None) as positional arguments and parameters as keyword-only
    ones. Its value is an array, or a tuple of arrays of which the first `outputs` are
    differentiable. `pullbacks` is a tuple with one function per input, called with dL/d(output)
    (and, if it has a second parameter, with the output itself), or one function for all inputs,
    called with one gradient per differentiable output and returning one gradient per input.

    promote: two inputs are brought to a common dtype first, by PyTorch's rules; elementwise.
    elementwise: the inputs' elements in memory tell how the result's are to lie (layout.py).
    contiguous: the result is so for everyone to see, however the inputs lie.
    view: the value shares the first input's memory; in-place changes show in both.
    """
    if function is None:
        return functools.partial(
            differentiable,
            promote=promote,
            elementwise=elementwise,
            contiguous=contiguous,
            view=view,
            outputs=outputs,
        )

    elementwise = elementwise or promote
    code = function.__code__
    plain = not (code.co_kwonlyargcount or code.co_flags & CO_VARARGS or function.__defaults__)

    def finished(inputs: Any, value: Any, pullbacks: Any) -> Any:
        """The value as a tensor (or several), tied to what it was computed from."""
        if value.__class__ is tuple:
            results = tuple([wrap(v) for v in value])
            if seen[0]:
                for result in results:
                    layout.follow(result, () if contiguous else inputs, elementwise=elementwise)
            if mode.enabled:
                record(
                    operation, inputs, pullbacks, results[0] if outputs == 1 else results[:outputs]
                )
            return results
        result = new(Tensor)  # as `wrap` does it
        result.array = value if value.__class__ is ndarray else as_array(value)
        result._node = result._base = result._storage = None
        if seen[0]:
            layout.follow(result, () if contiguous else inputs, elementwise=elementwise)
        if mode.enabled:
            record(operation, inputs, pullbacks, result)
        return result

    # The same four times: a call with named arguments is begun sooner than one with any number.
    if view:

        @functools.wraps(function)
        def operation(x: Any, **parameters: Any) -> Any:
            if x.array.ndim == 4:
                layout.settle(x)
            value, pullbacks = function(x, **parameters)
            result = wrap(value)
            if mode.enabled:
                record(operation, (x,), pullbacks, result)
            share(x, result, operation, parameters)
            return result

    elif plain and code.co_argcount == 1:

        @functools.wraps(function)
        def operation(x: Any) -> Any:
            value, pullbacks = function(x)
            return finished((x,), value, pullbacks)

    elif plain and code.co_argcount == 2:

        @functools.wraps(function)
        def operation(x: Any, y: Any) -> Any:
            if promote and x.array.dtype is not y.array.dtype:
                x, y = promoted(x, y)
            try:
                value, pullbacks = function(x, y)
            except TypeError:
                check_one_device(function, (x, y))
                raise
            return finished((x, y), value, pullbacks)

    else:

        @functools.wraps(function)
        def operation(*inputs: Any, **parameters: Any) -> Any:
            try:
                value, pullbacks = function(*inputs, **parameters)
            except TypeError:
                check_one_device(function, inputs)
                raise
            return finished(inputs, value, pullbacks)

    def exchange(other: Any) -> Any:
        """Run `other` instead of the function from now on; returns what ran until now."""
        nonlocal function
        before, function = function, other
        return before

    operation.is_operation = True  # type: ignore[attr-defined]
    operation.exchange = exchange  # type: ignore[attr-defined]
    operations.add(operation)
    return operation


elementwise: Any = functools.partial(differentiable, elementwise=True)


def check_one_device(function: Any, inputs: Any) -> None:
    """Raise a sentence if that is what went wrong: arrays on several devices in one operation."""
    arrays = [x.array for x in inputs if isinstance(x, TensorBase)]
    error = mixed_devices(function.__name__.strip("_"), arrays)
    if error is not None:
        raise error from None


operations: weakref.WeakSet[Any] = weakref.WeakSet()  # all there are; see observe.py


def record(operation: Any, inputs: Any, pullbacks: Any, result: Any) -> None:
    """Tie the result (a tensor, or several) to a new node, if an input requires a gradient."""
    if len(inputs) == 1:
        x = inputs[0]
        edges: Any = (x._node if x._base is None else node_of(x),)
        if edges[0] is None:
            return
        unwanted = False
    else:
        edges = []
        wanted = unwanted = False
        for x in inputs:
            edge = None if x is None else x._node if x._base is None else node_of(x)
            edges.append(edge)
            if edge is None:
                unwanted = True
            else:
                wanted = True
        if not wanted:
            return
    separate = pullbacks.__class__ is tuple
    node = Node() if separate else JointNode()
    node.number = tick()
    node.operation = operation
    node.edges = edges
    node.output = node.hooks = node.retained = None
    if separate:
        if unwanted:
            # A pullback whose gradient nobody wants goes, with all that it would have remembered.
            pullbacks = [
                None if edge is None else pullback for edge, pullback in zip(edges, pullbacks)
            ]
        for pullback in pullbacks:
            if pullback is not None and pullback.__code__.co_argcount == 2:
                # It is the array that is kept: the tensor holds the node.
                storage = result._storage = Storage()
                node.output = (result.array, storage, 0)
                break
    node.pullbacks = pullbacks
    tie(node, result)


def tie(node: Node, result: Any) -> None:
    """Make `node` the origin of a tensor, or of a tuple of several."""
    if result.__class__ is tuple:
        node.outputs = [(r.array.shape, r.array.dtype) for r in result]
        for i, one in enumerate(result):
            one._node = Output(node, i, one.array)
    else:
        array = result.array
        node.shape = array.shape
        node.dtype = array.dtype
        result._node = node


# --------------------------------------------------------------------- views and in-place changes


def storage_of(tensor: TensorBase) -> Storage:
    """The tensor's storage record, made on first use."""
    storage = tensor._storage
    if storage is None:
        storage = tensor._storage = Storage()
    return storage


def share(source: TensorBase, view: Any, operation: Any, parameters: dict[str, Any]) -> None:
    """Make `view` a view of `source`, if their memory is in fact the same."""
    x, y = source.array, view.array
    # As NumPy has it for views and for views of views; else, the roots tell.
    apart = y.base is not x and (y.base is None or y.base is not x.base)
    if apart and layout.root(x) is not layout.root(y):
        if seen[0]:
            layout.follow(view, (source,))
        return
    storage = source._storage
    if storage is None:
        storage = source._storage = Storage()
    base = source._base
    view._storage = storage
    view._base = source if base is None else base
    view._rebased_at = storage.rebased_at
    view._replay = (operation, parameters, source._replay, mode.enabled)
    if not seen[0] and y.ndim > 1 and not layout.is_ordered(y):
        seen[0] = True


def alias(source: TensorBase, tensor: Any = None) -> Any:
    """A tensor (a new one if none is given) on source's memory, without its history."""
    if tensor is None:
        tensor = new(Tensor)
    tensor.array = layout.settle(source)
    tensor._storage = storage_of(source)
    if layout.shown(source):
        layout.pin(tensor)
    return tensor


def replay(chain: Any, base: Any) -> Any:
    """Apply a view's chain of operations to (another value of) its base."""
    links = []
    while chain is not None:
        links.append(chain)
        chain = chain[2]
    for operation, parameters, _, _ in reversed(links):
        base = operation(base, **parameters)
    return base


def node_of(tensor: TensorBase) -> Node | None:
    """The tensor's node; a view's is renewed if its base got a new history since."""
    storage = tensor._storage
    if tensor._base is not None and tensor._rebased_at != storage.rebased_at:  # type: ignore
        tensor._rebased_at = storage.rebased_at  # type: ignore[union-attr]
        with enable_grad():
            again = replay(tensor._replay, tensor._base)
        if again.array.shape != tensor.array.shape or again.array.strides != tensor.array.strides:
            raise RuntimeError(
                "this view's base was turned into another view of itself (t_, squeeze_, ...) and "
                "changed in place since the view was taken; take the view again."
            )
        tensor._node = again._node
    return tensor._node


def caller() -> Any:
    """The first frame outside tinynet: the line of the user's program that runs now."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None:
        if not (frame.f_globals.get("__name__", "") + ".").startswith("tinynet."):
            break
        frame = frame.f_back
    return frame


def call_site() -> str:
    """`file:line` of `caller`."""
    frame = caller()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def mark_modified(tensor: TensorBase, by: str = "an in-place operation") -> None:
    """Note that the tensor's memory was just written, so that stale derivatives are refused."""
    mark_all_modified((tensor,), by)


def mark_all_modified(tensors: Sequence[TensorBase], by: str) -> None:
    """`mark_modified` for tensors that one line of the program has written."""
    where = f"{by} at {call_site()}"
    modified_latest[0] = now = tick()
    for tensor in tensors:
        storage = storage_of(tensor)
        storage.modified_at = now
        storage.version += 1
        storage.modified_by = where


modified_latest = [0]  # the clock at the latest in-place change of anything


def check_writable(tensor: TensorBase, name: str) -> None:
    """Raise RuntimeError where PyTorch's rules (and ours) forbid an in-place change."""
    if mode.enabled:
        if node_of(tensor).__class__ is AccumulateGrad:
            raise RuntimeError(
                f"{name}: a leaf Variable that requires grad is being used in an in-place "
                "operation; its gradient would be lost. Do it under no_grad(), or make a new "
                "tensor with the out-of-place operation."
            )
        base = tensor._base
        if base is not None and base._node is not None:
            if base._node.__class__ is AccumulateGrad:
                raise RuntimeError(
                    f"{name}: a view of a leaf Variable that requires grad is being used in an "
                    "in-place operation; the leaf's gradient would be lost. Do it under no_grad()."
                )
            if not tensor._replay[3]:
                raise RuntimeError(
                    f"{name}: this view was made under no_grad() and is changed in place with "
                    "gradients enabled; make the view and change it in the same mode."
                )
    if not is_writable(tensor.array):
        raise RuntimeError(
            f"{name}: unsupported operation: the tensor's memory cannot be written, because more "
            "than one element of it refers to a single memory location (an expanded tensor) or "
            "the array it came from is read-only; clone() it first."
        )


def rebase(target: Any, result: Any, name: str) -> None:
    """`target`'s memory now holds `result`'s value: give target (and its base) result's history."""
    mark_modified(target, name)
    if not mode.enabled or (result._node is None and node_of(target) is None):
        return
    storage: Storage = target._storage
    node = result._node
    if node is not None and node.output is not None and node.output[0] is result.array:
        # The node may keep the memory that now holds its output instead of a copy of it.
        node.output = (target.array, storage, storage.version)
    storage.rebased_at = tick()
    if target._base is None:
        target._node = node
    else:
        target._base._node = overwrite(target._base, result, chain=target._replay)._node
        node_of(target)


@differentiable
def overwrite(base: Any, value: Any, *, chain: Any) -> Any:
    """`base` after `value` was written into the view of it that `chain` describes.

    d(base) is dz outside the view and 0 inside; d(value) is the view of dz.
    """
    shape = base.array.shape

    def outside(dz: Any) -> Any:
        keep = xp_of(dz.array).ones(shape, bool)
        replay(chain, wrap(keep)).array[...] = False
        return dz.where(wrap(keep), 0)

    return base.array, (outside, lambda dz: replay(chain, dz))
