"""`Tensor`: an array that remembers where it came from, with PyTorch's methods and operators.

The methods are the operations of `tinynet.ops`, assigned below by name; only what needs the tensor
itself (gradients, in-place changes, conversion, printing) is written here.
"""

from __future__ import annotations

import functools
import mmap
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes, methods, parity
from .autograd import engine, layout, tape
from .autograd.mode import mode
from .autograd.tape import AccumulateGrad, Node, Output, TensorBase, node_of, wrap
from .device import check_device, device, device_of, is_on, move, to_numpy, xp_of
from .dtypes import dtype, strided
from .formatting import format_tensor
from .ops import (
    activation,
    arithmetic,
    creation,
    elementwise,
    indexing,
    linalg,
    pointwise,
    reduction,
    special,
)
from .ops import (
    shape as shapes,
)
from .ops import (
    softmax as softmaxes,
)
from .random import Generator, default_generator


class Size(tuple[int, ...]):
    """A shape: a tuple with `numel()`, printed as PyTorch prints it."""

    def numel(self) -> int:
        """The number of elements: the product of the sizes."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"tinynet.Size({list(self)})"


class RemovableHandle:
    """Given by a `register_hook`; `remove()` takes the hook away."""

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.hooks = hooks
        self.key = tape.tick()  # not id(self): a handle that is dropped leaves its id to others
        hooks[self.key] = hook

    def remove(self) -> None:
        """Take the hook away."""
        self.hooks.pop(self.key, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def in_place(operation: Any, name: str, over: Any = None) -> Any:
    """The method that writes an operation's result into its first operand's memory.

    over: the same operation, whose value is its operand's own array, overwritten.
    """

    @functools.wraps(operation)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        tape.check_writable(self, name)
        if over is not None:
            tape.rebase(self, over(self, *args, **kwargs), name)
            return self
        result = operation(self, *args, **kwargs)
        if result._node is not None and any(v is self for _, v in result._node.remembers()):
            # The derivative needs the value that is about to be overwritten: keep a copy of it.
            before = wrap(self.array.copy())
            before._node = node_of(self)
            result = operation(before, *args, **kwargs)
        target = self.array
        if result.array.shape != target.shape:
            raise RuntimeError(
                f"{name}: output with shape {list(target.shape)} doesn't match the broadcast shape "
                f"{list(result.array.shape)}; use the out-of-place operation."
            )
        if not dtypes.can_cast(result.array.dtype, target.dtype):
            raise RuntimeError(
                f"{name}: result type {dtypes.of(result.array)} can't be cast to the desired "
                f"output type {dtypes.of(target)}"
            )
        if result.array.dtype != target.dtype:
            result = arithmetic.cast(result, dtype=target.dtype)
        target[...] = result.array
        tape.rebase(self, result, name)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{operation.__name__.strip('_')}`, written into this tensor's memory."
    return method


def view_in_place(operation: Any, name: str) -> Any:
    """The method that turns a tensor into a view of what it was: other sizes, the same memory."""

    @functools.wraps(operation)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if mode.enabled and node_of(self).__class__ is AccumulateGrad:
            raise RuntimeError(
                f"{name}: a leaf Variable that requires grad is being used in an in-place "
                "operation; use the out-of-place operation."
            )
        before = object.__new__(Tensor)
        before.__dict__.update(self.__dict__)
        view = operation(before, *args, **kwargs)
        if view is before:
            return self
        for state in ("array", "_node", "_storage", "_base", "_replay", "_rebased_at", "_pinned"):
            setattr(self, state, getattr(view, state))
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{operation.__name__.strip('_')}`, of this tensor itself."
    return method


class Missing:
    """In place of a method of PyTorch's that is not here: asking for it says why."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, tensor: Any, cls: Any = None) -> Any:
        raise parity.missing("tinynet.Tensor", self.name)


class Tensor(TensorBase):
    """An n-dimensional array whose history is recorded, so that gradients can be taken.

    Make one with `tinynet.tensor`, `zeros`, `randn`, `from_numpy`, ...; `Tensor(...)` itself takes
    sizes, or data, and gives the default dtype, as PyTorch's does.
    """

    __array_priority__ = 1000  # so that ndarray + Tensor asks the Tensor

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Many methods are assigned by name, at the end of this file.

            There is no such function when the program runs: with one Python would take twice as
            long to read any attribute of a tensor, also one that is there.
            """

    def __new__(cls, *data: Any, requires_grad: bool = False) -> Any:
        kind = dtypes.get_default_dtype().numpy
        if not data:
            array = np.empty(0, kind)
        elif all(isinstance(d, int) and not isinstance(d, bool) for d in data):
            array = np.zeros(data, kind)
        elif len(data) == 1:
            value = data[0]
            if isinstance(value, TensorBase):
                return tape.alias(value, object.__new__(cls))
            array = np.array(value, kind)
        else:
            raise TypeError("Tensor: expected sizes (Tensor(2, 3)) or one sequence of data")
        tensor = object.__new__(cls)
        tensor.array = array
        if requires_grad:
            tensor.requires_grad_()
        return tensor

    # ------------------------------------------------------------------------------- what it is

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return Size(self.array.shape)

    @property
    def dtype(self) -> dtype:
        """The type of the elements."""
        return dtypes.of(self.array)

    @property
    def device(self) -> device:
        """Where the elements are: cpu or cuda."""
        return device_of(self.array)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.array.nbytes

    @property
    def is_cuda(self) -> bool:
        """True if the elements are on a GPU."""
        return self.device.type == "cuda"

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.array.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    nelement = numel
    ndimension = dim

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """How many elements to step in memory for one step in each dimension."""
        strides = layout.strides(self)
        return strides if dim is None else strides[dim]

    def data_ptr(self) -> int:
        """The address of the first element."""
        array = layout.settle(self)
        return array.ctypes.data if xp_of(array) is np else array.data.ptr

    def is_contiguous(self, memory_format: layout.memory_format = layout.contiguous_format) -> bool:
        """True if the elements lie in memory in index order (or channels-last) without gaps."""
        return layout.is_contiguous(self, memory_format)

    def is_floating_point(self) -> bool:
        """True for float16, float32 and float64."""
        return self.array.dtype.kind == "f"

    layout = strided
    names = property(lambda self: (None,) * self.array.ndim)
    name = None
    is_cpu = property(lambda self: self.device.type == "cpu")
    is_sparse = is_sparse_csr = is_quantized = is_mkldnn = is_nested = is_meta = False
    is_mps = is_xpu = is_xla = is_ipu = is_maia = is_mtia = is_vulkan = False

    def is_complex(self) -> bool:
        """False: tinynet has no complex dtype."""
        return False

    is_conj = is_neg = is_distributed = is_coalesced = is_complex

    def is_inference(self) -> bool:
        """False: `inference_mode` marks no tensors."""
        return False

    def is_signed(self) -> bool:
        """True if the dtype has negative numbers."""
        return self.dtype.is_signed

    def is_same_size(self, other: Tensor) -> bool:
        """True if both have the same shape."""
        return self.array.shape == other.array.shape

    def is_set_to(self, tensor: Tensor) -> bool:
        """True if both show the same memory in the same way."""
        return (
            self.shape == tensor.shape
            and self.stride() == tensor.stride()
            and self.data_ptr() == tensor.data_ptr()
        )

    def is_shared(self) -> bool:
        """True if processes made by fork write to the same memory, see `share_memory_`."""
        owner: Any = self.array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        return isinstance(owner, mmap.mmap)

    def share_memory_(self) -> Tensor:
        """Move to memory that this process and its children, made by fork, have in common.

        What one of them writes all of them read. A process made by spawn gets a copy.
        """
        if not self.is_shared() and xp_of(self.array) is np:
            memory = mmap.mmap(-1, max(1, self.nbytes))
            shared: Any = np.ndarray(self.shape, self.array.dtype, buffer=memory)
            shared[...] = self.array
            self.array = shared
        return self

    def is_pinned(self, device: Any = None) -> bool:
        """False: no memory is pinned."""
        return False

    def pin_memory(self, device: Any = None) -> Tensor:
        """This tensor: copies to the GPU need no pinned memory here."""
        return self

    def record_stream(self, stream: Any) -> None:
        """Nothing: CuPy's memory pool knows its streams."""

    def dim_order(self) -> tuple[int, ...]:
        """The dimensions from the farthest apart in memory to the nearest."""
        strides = layout.strides(self)
        return tuple(sorted(range(self.array.ndim), key=lambda i: -strides[i]))

    def get_device(self) -> int:
        """The GPU's index, or -1 on the CPU."""
        return -1 if self.device.type == "cpu" else int(self.device.index or 0)

    # ------------------------------------------------------------------------------- gradients

    @property
    def requires_grad(self) -> bool:
        """True if operations on this tensor are recorded."""
        return node_of(self) is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Start (or stop) recording what is computed from this leaf tensor."""
        node = node_of(self)
        if node is not None and node.__class__ is not AccumulateGrad:
            if not requires_grad:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables; use detach() to "
                    "get a tensor without history"
                )
            return self
        if not requires_grad:
            self._node = None
        elif node is None:
            if self.array.dtype.kind != "f":
                raise RuntimeError(
                    "only Tensors of floating point dtype can require gradients, and this one has "
                    f"{self.dtype}; call .float() first"
                )
            self._node = AccumulateGrad(self)
        return self

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation made this tensor."""
        node = node_of(self)
        return node is None or node.__class__ is AccumulateGrad

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made this tensor, None for a leaf."""
        node = node_of(self)
        if node.__class__ is AccumulateGrad:
            return None
        return node.source if isinstance(node, Output) else node

    @property
    def output_nr(self) -> int:
        """Which output of its operation this tensor is."""
        node = node_of(self)
        return node.index if isinstance(node, Output) else 0

    @property
    def _version(self) -> int:
        """How often this tensor's memory was changed in place."""
        return 0 if self._storage is None else self._storage.version

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
        *,
        trace: bool = False,
    ) -> Any:
        """Add d(self)/d(leaf) to the `.grad` of every leaf that this tensor was computed from.

        gradient: dL/d(self), needed unless self is a single number (then it is 1).
        retain_graph: keep what the tape remembers, to walk it again (default: create_graph).
        create_graph: record the backward pass itself, for higher derivatives.
        trace: return the ledger of what the tape alone knows (see `autograd.trace`).
        """
        if trace:
            from .autograd.trace import trace as record_ledger

            with record_ledger() as ledger:
                engine.backward(self, gradient, retain_graph, create_graph, inputs=inputs)
            return ledger
        engine.backward(self, gradient, retain_graph, create_graph, inputs=inputs)
        return None

    def retain_grad(self) -> None:
        """Keep this tensor's gradient in `.grad` although it is not a leaf."""
        node = node_of(self)
        if node is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if node.__class__ is not AccumulateGrad:
            node.retained = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """True if `retain_grad()` was called on this (non-leaf) tensor."""
        node = node_of(self)
        return node is not None and node.retained is not None and node.retained() is self

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is known; it may return another."""
        node = node_of(self)
        if node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if node.hooks is None:
            node.hooks = {}
        return RemovableHandle(node.hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> RemovableHandle:
        """Call `hook(tensor)` after this leaf's `.grad` was added to."""
        node = node_of(self)
        if node.__class__ is not AccumulateGrad:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        if node.post_hooks is None:
            node.post_hooks = {}
        return RemovableHandle(node.post_hooks, hook)

    def detach(self) -> Tensor:
        """A tensor on the same memory, without history."""
        return tape.alias(self)

    def detach_(self) -> Tensor:
        """Forget this tensor's history."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead")
        self._node = None
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without history; unlike PyTorch's, in-place changes are noticed."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        self._base, self._pinned = None, False
        tape.alias(value, self)
        if self._node.__class__ is AccumulateGrad:
            self._node.shape, self._node.dtype = self.array.shape, self.array.dtype
        tape.mark_modified(self, "assignment to .data")

    # ------------------------------------------------------------------------------- conversion

    def numpy(self, *, force: bool = False) -> Any:
        """The elements as a NumPy array on the same memory."""
        if node_of(self) is not None and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if xp_of(self.array) is not np:
            if force:
                return to_numpy(self.array)
            raise TypeError(
                "can't convert cuda device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        return layout.settle(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        # NumPy's functions of one tensor give a tensor: np.exp(x), say, as in PyTorch.
        return wrap(np.asarray(array)) if np.asarray(array).dtype.kind in "fiub" else array

    def __dlpack__(self, **options: Any) -> Any:
        if node_of(self) is not None:
            raise BufferError(
                "Can't export tensors that require gradient, use tensor.detach() instead."
            )
        return layout.settle(self).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self.array.__dlpack_device__()

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar: item() "
                f"needs exactly one element, and the shape is {list(self.array.shape)}"
            )
        return to_numpy(self.array).item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return to_numpy(self.array).tolist()

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """This tensor in another dtype and/or on another device: `to(dtype)`, `to(device)`, ..."""
        kind, place, copy, memory_format = _to_arguments(*args, **kwargs)
        result = self
        if place is not None and not is_on(self.array, place):
            result = arithmetic.to_device(result, device=place)
        if kind is not None and result.array.dtype != kind.numpy:
            # integers have no gradients, and no history
            source = result if kind.is_floating_point else result.detach()
            result = arithmetic.cast(source, dtype=kind.numpy)
        keep = memory_format is layout.preserve_format
        if not keep and not result.is_contiguous(memory_format):
            return result.clone(memory_format=memory_format)
        return result.clone() if copy and result is self else result

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The type's old name ("tinynet.FloatTensor"), or this tensor in another dtype."""
        if dtype is None:
            return f"tinynet.{_OLD_NAMES[self.dtype]}"
        if isinstance(dtype, str):
            names = {name: d for d, name in _OLD_NAMES.items()}
            dtype = names.get(dtype.rpartition(".")[2], dtype)
        dtype = getattr(dtype, "dtype", dtype)  # of a tensor type: FloatTensor, LongTensor, ...
        return self.to(dtypes.as_dtype(dtype))

    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in other's dtype and on its device."""
        return self.to(other)

    def cpu(self) -> Tensor:
        """This tensor in the computer's main memory."""
        return self.to("cpu")

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Tensor:
        """This tensor on a GPU."""
        return self.to("cuda" if device is None else device)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (
            self.__class__,
            move(self.array, "cpu"),
            self.requires_grad,
            self._extra(),
            layout.shown(self),
        )

    def _extra(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "array" and not k.startswith("_")}

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment; detach() this one first"
            )
        if id(self) in memo:
            return memo[id(self)]
        copy = object.__new__(self.__class__)
        copy.array = self.array.copy(order="K")
        if layout.shown(self):
            layout.pin(copy)
        memo[id(self)] = copy
        if self.requires_grad:
            copy.requires_grad_()
        for name, value in self._extra().items():
            setattr(copy, name, value.clone() if name == "grad" and value is not None else value)
        return copy

    def __repr__(self) -> str:
        return format_tensor(self)

    def __format__(self, spec: str) -> str:
        if self.array.ndim == 0 and type(self) is Tensor:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {self.array.size} values is ambiguous; use .any(), "
                ".all() or compare numbers"
            )
        return bool(to_numpy(self.array).item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "iub" or self.array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(to_numpy(self.array).item())

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> bool:
        return bool(
            (self.array == (element.array if isinstance(element, Tensor) else element)).any()
        )

    __hash__ = object.__hash__  # by identity, although == compares elements

    def __dir__(self) -> list[str]:
        return [n for n in super().__dir__() if n != "array" and n not in methods.MISSING.split()]

    # ------------------------------------------------------------------------------- new tensors

    def new_zeros(self, *size: Any, **kwargs: Any) -> Tensor:
        """Zeros of the given size, in this tensor's dtype and on its device."""
        return creation.zeros(*size, **self._like(kwargs))

    def new_ones(self, *size: Any, **kwargs: Any) -> Tensor:
        """Ones of the given size, in this tensor's dtype and on its device."""
        return creation.ones(*size, **self._like(kwargs))

    def new_empty(self, *size: Any, **kwargs: Any) -> Tensor:
        """Unset elements of the given size, in this tensor's dtype and on its device."""
        return creation.empty(*size, **self._like(kwargs))

    def new_full(self, size: Any, fill_value: Any, **kwargs: Any) -> Tensor:
        """`fill_value` everywhere, in this tensor's dtype and on its device."""
        return creation.full(size, fill_value, **self._like(kwargs))

    def new(self, *data: Any) -> Tensor:
        """A tensor of the given sizes or data, in this tensor's dtype; an old form of `new_*`."""
        if len(data) == 1 and not isinstance(data[0], int):
            return creation.tensor(data[0], **self._like({}))
        return creation.empty(*(data or (0,)), **self._like({}))

    def new_empty_strided(self, size: Any, stride: Any, **kwargs: Any) -> Tensor:
        """Unset elements `stride` apart in memory, in this tensor's dtype and on its device."""
        return creation.empty_strided(size, stride, **self._like(kwargs))

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:
        """A copy of data, in this tensor's dtype and on its device."""
        return creation.tensor(data, **self._like(kwargs))

    def _like(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {"dtype": self.dtype, "device": self.device, **kwargs}

    # ------------------------------------------------------------------------------- in place

    def copy_(self, src: Any, non_blocking: bool = False) -> Tensor:
        """Overwrite the elements with src's, broadcast and converted to this dtype and device."""
        tape.check_writable(self, "copy_")
        src = src if isinstance(src, TensorBase) else creation.tensor(src, dtype=self.dtype)
        src = src.to(device=self.device, dtype=self.dtype).expand(self.shape)
        self.array[...] = src.array
        tape.rebase(self, src, "copy_")
        return self

    def zero_(self) -> Tensor:
        """Set every element to 0."""
        return self.fill_(0)

    def fill_(self, value: Any) -> Tensor:
        """Set every element to value."""
        if isinstance(value, TensorBase):
            return self.copy_(value)
        return self._write("fill_", lambda a: a.fill(value))

    def fill_diagonal_(self, fill_value: float, wrap: bool = False) -> Tensor:
        """Set the elements of the main diagonal to a number (wrap: again after each N rows)."""
        if self.array.ndim < 2:
            raise RuntimeError("dimensions must larger than 1")
        return self._write("fill_diagonal_", lambda a: np.fill_diagonal(a, fill_value, wrap=wrap))

    def apply_(self, callable: Callable[[Any], Any]) -> Tensor:
        """Replace every element by callable(element); slow, on the CPU alone."""
        return self._each("apply_", callable)

    def map_(self, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
        """Replace every element by callable(element, element of tensor)."""
        return self._each("map_", callable, tensor)

    def map2_(self, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
        """Replace every element by callable(element, element of x, element of y)."""
        return self._each("map2_", callable, x, y)

    def _each(self, name: str, function: Callable[..., Any], *others: Tensor) -> Tensor:
        if node_of(self) is not None:
            raise RuntimeError(f"Can't call {name} on Variable that requires grad. Use .detach()")
        if self.is_cuda:
            raise TypeError(f"{name} is only implemented on CPU tensors")
        given = [np.broadcast_to(t.array, self.shape).ravel().tolist() for t in (self, *others)]
        values = np.array([function(*v) for v in zip(*given)], self.array.dtype)
        return self._write(name, lambda a: np.copyto(a, values.reshape(a.shape)))

    def resize_(self, *size: Any, memory_format: Any = None) -> Tensor:
        """Take another size: the first elements stay, additional ones are unset."""
        if node_of(self) is not None:
            raise RuntimeError("cannot resize variables that require grad")
        shape = creation._size(size)
        before = layout.settle(self)
        flat = before.ravel()
        count = Size(shape).numel()
        if count > flat.size:
            flat = np.concatenate([flat, np.zeros(count - flat.size, flat.dtype)])
        self.array, self._base = flat[:count].reshape(shape), None
        return self

    def resize_as_(self, other: Tensor, memory_format: Any = None) -> Tensor:
        """Take the size of other; see `resize_`."""
        return self.resize_(other.shape)

    def set_(self, source: Any = None) -> Tensor:
        """Show the memory of source (of nothing without it) from now on, in its size."""
        if source is not None and source.array.dtype != self.array.dtype:
            raise RuntimeError(
                f"set_: the tensor has dtype {self.dtype}, but the source has {source.dtype}"
            )
        with_nothing = creation.empty(0, dtype=self.dtype)
        self._base, self._node = None, None
        tape.alias(with_nothing if source is None else source, self)
        return self

    def _write(self, name: str, write: Callable[[Any], None]) -> Tensor:
        """Overwrite the elements with something that no gradient flows into."""
        tape.check_writable(self, name)
        write(self.array)
        tape.rebase(self, wrap(self.array), name)
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        tape.check_writable(self, "__setitem__")
        if not isinstance(value, TensorBase):
            value = creation.tensor(value, dtype=self.dtype, device=self.device)
        elif value.array.dtype != self.array.dtype:
            value = arithmetic.cast(value, dtype=self.array.dtype)
        key = indexing.array_key(key, self.array)
        if mode.enabled and (node_of(self) is not None or node_of(value) is not None):
            result = indexing.index_put(self, value, key=key)
            self.array[...] = result.array
            tape.rebase(self, result, "__setitem__")
        else:
            indexing.assign(self.array, key, value.array)
            tape.mark_modified(self, "__setitem__")

    def uniform_(self, a: float = 0, b: float = 1, generator: Generator | None = None) -> Tensor:
        """Fill with numbers drawn uniformly from [a, b)."""
        return self._draw("uniform_", generator, lambda g: g.random(self.shape) * (b - a) + a)

    def normal_(
        self, mean: float = 0, std: float = 1, generator: Generator | None = None
    ) -> Tensor:
        """Fill with numbers drawn from the normal distribution."""
        if std < 0:
            raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
        return self._draw(
            "normal_", generator, lambda g: g.standard_normal(self.shape) * std + mean
        )

    def bernoulli_(self, p: float = 0.5, generator: Generator | None = None) -> Tensor:
        """Fill with 1 with probability p, else 0."""
        return self._draw("bernoulli_", generator, lambda g: g.random(self.shape) < p)

    def random_(self, low: int = 0, high: int | None = None, generator: Any = None) -> Tensor:
        """Fill with integers drawn uniformly from [low, high), or [0, low) if high is not given."""
        if high is None:
            low, high = 0, low or 2**24
        return self._draw("random_", generator, lambda g: g.integers(low, high, self.shape))

    def exponential_(self, lambd: float = 1, generator: Generator | None = None) -> Tensor:
        """Fill with numbers drawn from the exponential distribution of rate lambd."""
        return self._draw("exponential_", generator, lambda g: g.exponential(1 / lambd, self.shape))

    def geometric_(self, p: float, generator: Generator | None = None) -> Tensor:
        """Fill with how many trials of chance p it takes to succeed: 1, 2, ..."""
        if not 0 < p < 1:
            raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
        return self._draw("geometric_", generator, lambda g: g.geometric(p, self.shape))

    def cauchy_(
        self, median: float = 0, sigma: float = 1, generator: Generator | None = None
    ) -> Tensor:
        """Fill with numbers drawn from the Cauchy distribution."""
        if sigma <= 0:
            raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
        return self._draw(
            "cauchy_", generator, lambda g: g.standard_cauchy(self.shape) * sigma + median
        )

    def log_normal_(
        self, mean: float = 1, std: float = 2, generator: Generator | None = None
    ) -> Tensor:
        """Fill with numbers whose logarithm is drawn from the normal distribution."""
        if std <= 0:
            raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
        return self._draw(
            "log_normal_",
            generator,
            lambda g: np.exp(g.standard_normal(self.shape) * std + mean),
        )

    def _draw(self, name: str, generator: Any, draw: Callable[[Any], Any]) -> Tensor:
        values = draw((generator or default_generator).numpy)
        xp = xp_of(self.array)

        def write(array: Any) -> None:
            array[...] = xp.asarray(values).astype(array.dtype)

        return self._write(name, write)

    # ------------------------------------------------------------- operations that are methods
    # A function of `tinynet.ops` whose first argument is the tensor is a method of the same name.

    add = arithmetic.add
    sub = arithmetic.sub
    mul = arithmetic.mul
    div = arithmetic.div
    pow = arithmetic.pow
    neg = arithmetic.neg
    remainder = arithmetic.remainder
    fmod = arithmetic.fmod
    maximum = arithmetic.maximum
    minimum = arithmetic.minimum
    clamp = arithmetic.clamp
    eq = arithmetic.eq
    ne = arithmetic.ne
    lt = arithmetic.lt
    le = arithmetic.le
    gt = arithmetic.gt
    ge = arithmetic.ge
    floor_divide = arithmetic.floor_divide
    logical_and = arithmetic.logical_and
    logical_or = arithmetic.logical_or
    logical_xor = arithmetic.logical_xor
    logical_not = arithmetic.logical_not
    bitwise_and = arithmetic.bitwise_and
    bitwise_or = arithmetic.bitwise_or
    bitwise_xor = arithmetic.bitwise_xor
    bitwise_not = arithmetic.bitwise_not
    isnan = arithmetic.isnan
    isinf = arithmetic.isinf
    isfinite = arithmetic.isfinite
    isclose = arithmetic.isclose
    allclose = arithmetic.allclose
    equal = arithmetic.equal
    sign = arithmetic.sign
    floor = arithmetic.floor
    ceil = arithmetic.ceil
    trunc = arithmetic.trunc
    round = arithmetic.round
    atan2 = arithmetic.atan2

    exp = pointwise.exp
    exp2 = pointwise.exp2
    expm1 = pointwise.expm1
    log = pointwise.log
    log2 = pointwise.log2
    log10 = pointwise.log10
    log1p = pointwise.log1p
    sqrt = pointwise.sqrt
    rsqrt = pointwise.rsqrt
    reciprocal = pointwise.reciprocal
    square = pointwise.square
    tanh = pointwise.tanh
    sigmoid = pointwise.sigmoid
    sin = pointwise.sin
    cos = pointwise.cos
    tan = pointwise.tan
    asin = pointwise.asin
    acos = pointwise.acos
    atan = pointwise.atan
    sinh = pointwise.sinh
    cosh = pointwise.cosh
    asinh = pointwise.asinh
    atanh = pointwise.atanh
    erf = pointwise.erf

    relu = activation.relu

    softmax = softmaxes.softmax
    log_softmax = softmaxes.log_softmax

    sum = reduction.sum
    nansum = reduction.nansum
    mean = reduction.mean
    var = reduction.var
    std = reduction.std
    prod = reduction.prod
    amax = reduction.amax
    amin = reduction.amin
    aminmax = reduction.aminmax
    max = reduction.max
    min = reduction.min
    argmax = reduction.argmax
    argmin = reduction.argmin
    all = reduction.all
    any = reduction.any
    logsumexp = reduction.logsumexp
    norm = reduction.norm
    cumsum = reduction.cumsum
    cumprod = reduction.cumprod
    median = reduction.median
    sort = reduction.sort
    argsort = reduction.argsort
    topk = reduction.topk
    count_nonzero = reduction.count_nonzero
    unique = reduction.unique
    diff = reduction.diff
    bincount = reduction.bincount

    reshape = shapes.reshape
    view = shapes.view
    view_as = shapes.view_as
    reshape_as = shapes.reshape_as
    flatten = shapes.flatten
    unflatten = shapes.unflatten
    ravel = shapes.ravel
    transpose = shapes.transpose
    permute = shapes.permute
    t = shapes.t
    swapaxes = shapes.swapaxes
    swapdims = shapes.swapdims
    adjoint = shapes.adjoint
    movedim = shapes.movedim
    moveaxis = shapes.moveaxis
    expand = shapes.expand
    expand_as = shapes.expand_as
    broadcast_to = shapes.broadcast_to
    squeeze = shapes.squeeze
    unsqueeze = shapes.unsqueeze
    split = shapes.split
    split_with_sizes = shapes.split_with_sizes
    chunk = shapes.chunk
    tensor_split = shapes.tensor_split
    unbind = shapes.unbind
    narrow = shapes.narrow
    select = shapes.select
    flip = shapes.flip
    fliplr = shapes.fliplr
    flipud = shapes.flipud
    rot90 = shapes.rot90
    roll = shapes.roll
    repeat = shapes.repeat
    tile = shapes.tile
    repeat_interleave = shapes.repeat_interleave
    contiguous = shapes.contiguous
    clone = shapes.clone
    tril = shapes.tril
    triu = shapes.triu
    diagonal = shapes.diagonal
    diag = shapes.diag
    diag_embed = shapes.diag_embed
    trace = shapes.trace
    unfold = shapes.unfold

    gather = indexing.gather
    scatter = indexing.scatter
    scatter_add = indexing.scatter_add
    index_select = indexing.index_select
    index_add = indexing.index_add
    index_copy = indexing.index_copy
    index_fill = indexing.index_fill
    masked_fill = indexing.masked_fill
    masked_select = indexing.masked_select
    take = indexing.take
    take_along_dim = indexing.take_along_dim
    nonzero = indexing.nonzero
    argwhere = indexing.argwhere

    matmul = linalg.matmul
    mm = linalg.mm
    bmm = linalg.bmm
    mv = linalg.mv
    dot = linalg.dot
    outer = linalg.outer
    addmm = linalg.addmm
    addmv = linalg.addmv
    baddbmm = linalg.baddbmm
    inner = linalg.inner
    vdot = linalg.dot
    ger = linalg.outer

    abs = absolute = arithmetic.abs_
    negative = arithmetic.neg
    divide = true_divide = arithmetic.div
    multiply = arithmetic.mul
    subtract = arithmetic.sub
    clip = arithmetic.clamp
    greater, greater_equal = arithmetic.gt, arithmetic.ge
    less, less_equal = arithmetic.lt, arithmetic.le
    not_equal = arithmetic.ne
    arcsin, arccos, arctan = pointwise.asin, pointwise.acos, pointwise.atan
    T = property(shapes.reversed_dims)
    mT = property(shapes.matrix_transpose)
    mH = property(shapes.matrix_transpose)
    H = property(shapes.t)
    real = property(elementwise.real)

    # ---------------------------------------------------------------- the same, written in place
    # (and many more at the end of this file, from the tables in methods.py)

    relu_ = in_place(activation.relu, "relu_", over=activation.relu_over)

    # ------------------------------------------------------------------------------- operators

    __add__ = __radd__ = arithmetic.add_
    __mul__ = __rmul__ = arithmetic.mul
    __sub__ = arithmetic.sub
    __truediv__ = arithmetic.div
    __pow__ = arithmetic.pow
    __neg__ = arithmetic.neg
    __abs__ = arithmetic.abs_
    __mod__ = arithmetic.remainder
    __floordiv__ = arithmetic.floor_divide
    __matmul__ = linalg.matmul
    __eq__ = arithmetic.eq
    __ne__ = arithmetic.ne
    __lt__ = arithmetic.lt
    __le__ = arithmetic.le
    __gt__ = arithmetic.gt
    __ge__ = arithmetic.ge
    __invert__ = arithmetic.bitwise_not
    __and__ = __rand__ = arithmetic.bitwise_and
    __or__ = __ror__ = arithmetic.bitwise_or
    __xor__ = __rxor__ = arithmetic.bitwise_xor
    __getitem__ = indexing.getitem
    __iadd__ = add_ = in_place(arithmetic.add, "add_")
    __isub__ = sub_ = in_place(arithmetic.sub, "sub_")
    __imul__ = mul_ = in_place(arithmetic.mul, "mul_")
    __itruediv__ = div_ = in_place(arithmetic.div, "div_")
    __ipow__ = pow_ = in_place(arithmetic.pow, "pow_")

    def __pos__(self) -> Tensor:
        return self

    def __rsub__(self, other: Any) -> Tensor:
        return arithmetic.sub(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return arithmetic.div(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return arithmetic.pow(arithmetic.operand(other, self), self)

    def __rmod__(self, other: Any) -> Tensor:
        return arithmetic.remainder(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return arithmetic.floor_divide(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return linalg.matmul(creation.as_tensor(other), self)

    def polygamma(self, n: int) -> Tensor:
        """The n-th derivative of digamma."""
        return special.polygamma(n, self)

    def as_subclass(self, cls: Any) -> Any:
        """This tensor's memory and history in an object of a class made from Tensor."""
        result = object.__new__(cls)
        for state in ("array", "_node", "_storage", "_base", "_replay", "_rebased_at", "_pinned"):
            setattr(result, state, getattr(self, state))
        return result

    def to_dense(self, dtype: Any = None) -> Tensor:
        """This tensor: there are no sparse ones."""
        return self if dtype is None else self.to(dtype)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """This tensor where condition is true, else other."""
        return arithmetic.where(condition, self, other)


for _module, _names in methods.METHODS.items():
    for _name in _names.split():
        _method, _, _function = _name.partition("=")
        setattr(Tensor, _method, getattr(_module, _function or _method))
for _name in methods.IN_PLACE.split():
    setattr(Tensor, f"{_name}_", in_place(getattr(Tensor, _name), f"{_name}_"))
for _name in methods.VIEWS_IN_PLACE.split():
    setattr(Tensor, f"{_name}_", view_in_place(getattr(Tensor, _name), f"{_name}_"))
for _name in methods.MISSING.split():
    setattr(Tensor, _name, Missing(_name))


_OLD_NAMES = {
    dtypes.float16: "HalfTensor",
    dtypes.float32: "FloatTensor",
    dtypes.float64: "DoubleTensor",
    dtypes.uint8: "ByteTensor",
    dtypes.int8: "CharTensor",
    dtypes.int16: "ShortTensor",
    dtypes.int32: "IntTensor",
    dtypes.int64: "LongTensor",
    dtypes.bool_: "BoolTensor",
}


def _to_arguments(
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = layout.preserve_format,
) -> tuple[dtypes.dtype | None, Any, bool, Any]:
    """(dtype, device, copy, memory_format) from the many ways of calling `to`."""
    for argument in args:
        if isinstance(argument, TensorBase):
            dtype, device = dtypes.of(argument.array), device_of(argument.array)
        elif isinstance(argument, dtypes.dtype) or argument in (float, int, bool):
            dtype = argument
        elif argument is not None and not isinstance(argument, bool):
            device = argument
    return (
        None if dtype is None else dtypes.as_dtype(dtype),
        None if device is None else check_device(device),
        copy,
        memory_format,
    )


def _rebuild(
    cls: Any, array: Any, requires_grad: bool, extra: dict[str, Any], channels_last: bool = False
) -> Any:
    tensor = object.__new__(cls)
    tensor.array = layout.as_channels_last(array) if channels_last else array
    layout.pin(tensor)
    if requires_grad:
        tensor.requires_grad_()
    tensor.__dict__.update(extra)
    return tensor


def _converter(kind: dtypes.dtype) -> Any:
    def method(self: Tensor, memory_format: Any = layout.preserve_format) -> Tensor:
        if self.array.dtype == kind.numpy and memory_format is layout.preserve_format:
            return self
        return self.to(kind, memory_format=memory_format)

    method.__doc__ = f"This tensor in dtype {kind}."
    return method


for _name, _kind in {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "half": dtypes.float16,
    "long": dtypes.int64,
    "int": dtypes.int32,
    "short": dtypes.int16,
    "char": dtypes.int8,
    "byte": dtypes.uint8,
    "bool": dtypes.bool_,
}.items():
    setattr(Tensor, _name, _converter(_kind))

tape.set_tensor_class(Tensor)
