"""Tensors from data, from a size, from a range and from random numbers, with PyTorch's dtypes.

Python floats give the default dtype (float32), ints int64, bools bool; NumPy arrays and numbers
keep their own. Random numbers come from `generator`, by default the one that `manual_seed` seeds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import layout
from ..autograd.tape import TensorBase, laid, wrap
from ..device import check_device, default_device, device_of, move, xp_of
from ..random import Generator, default_generator
from .dims import as_int

# ------------------------------------------------------------------------------ from data


def _made(array: Any, device: Any, requires_grad: bool = False) -> Any:
    """A new leaf tensor on the array, moved to a device."""
    place = default_device() if device is None else check_device(device)
    result: Any = wrap(array if place is None else move(array, place))
    return result.requires_grad_() if requires_grad else result


def _kind(dtype: Any) -> np.dtype[Any]:
    """NumPy's dtype for a `dtype` argument, the default one for None."""
    return (dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)).numpy


def _array_of(data: Any, dtype: Any) -> Any:
    """A new array of nested data, in the dtype that PyTorch would infer (or the given one)."""
    if isinstance(data, TensorBase):
        return data.array.astype(data.array.dtype if dtype is None else _kind(dtype))
    leaf = data
    while isinstance(leaf, list | tuple) and leaf:
        leaf = leaf[0]
    if isinstance(leaf, TensorBase):
        data = _arrays(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(
            f"tensor: expected nested sequences of equal length at each level ({error})"
        ) from None
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"tensor: invalid data type {type(leaf).__name__!r}; a tensor holds numbers or "
            "booleans."
        )
    if dtype is not None:
        return array.astype(_kind(dtype), copy=False)
    python = isinstance(leaf, bool | int | float | list | tuple)
    if array.dtype.kind == "f" and python and not isinstance(leaf, np.generic):
        # (np.float64 is a Python float too, and keeps its dtype.)
        return array.astype(_kind(None), copy=False)
    return array.astype(dtypes.as_dtype(array.dtype).numpy, copy=False)


def _arrays(data: Any) -> Any:
    """Nested data with arrays in place of tensors."""
    if isinstance(data, TensorBase):
        return data.array
    return [_arrays(d) for d in data] if isinstance(data, list | tuple) else data


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A new tensor with a copy of the data: a number, nested lists, an array or a tensor.

    Raises ValueError for lists of unequal length, TypeError for what is not numbers.
    """
    return _made(_array_of(data, dtype), device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """The data as a tensor, without a copy where its memory can be used as it is."""
    if isinstance(data, TensorBase):
        x: Any = data
        x = x if dtype is None else x.to(dtypes.as_dtype(dtype))
        return x if device is None else x.to(check_device(device))
    if isinstance(data, np.ndarray):
        kind = dtypes.as_dtype(data.dtype if dtype is None else dtype).numpy
        return layout.pin(_made(np.asarray(data).astype(kind, copy=False), device))
    return tensor(data, dtype=dtype, device=device)


asarray = as_tensor


def from_numpy(ndarray: Any) -> Any:
    """A tensor on the memory of a NumPy array: a change of one shows in the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(
            f"from_numpy: expected np.ndarray (got {type(ndarray).__name__}); use tensor()"
        )
    dtypes.as_dtype(ndarray.dtype)
    return layout.pin(wrap(np.asarray(ndarray)))  # the caller holds the memory, in this order


# ----------------------------------------------------------------------------------- of a size


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor on the memory of another library's: PyTorch's, NumPy's, CuPy's, JAX's, ...

    ext_tensor: anything with `__dlpack__`; it stays in memory as long as the tensor does.
    copy: True for memory of its own. What is read-only there is copied.
    """
    cpu, _ = ext_tensor.__dlpack_device__()
    if int(cpu) == 1:
        array = np.from_dlpack(ext_tensor)
        if copy or not array.flags.writeable:
            if copy is False:
                raise BufferError("from_dlpack: the memory is read-only, and copy=False")
            array = array.copy()
    else:
        import cupy

        array = cupy.from_dlpack(ext_tensor)
        array = array.copy() if copy else array
    made = wrap(array)
    return made if device is None else made.to(device)


def _memory_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with PyTorch's words on memory, which say nothing new here."""

    @functools.wraps(function)
    def made(
        *args: Any, layout: Any = dtypes.strided, pin_memory: bool = False, **keywords: Any
    ) -> Any:
        if layout is not dtypes.strided:
            raise RuntimeError(f"{function.__name__}: layout {layout} is not there; use strided")
        return function(*args, **keywords)

    return made


def _size(sizes: Any, size: Any = None) -> tuple[int, ...]:
    """A size given as ints, as one sequence, or by name."""
    if size is not None:
        sizes = size if isinstance(size, tuple | list) else (size,)
    elif len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        sizes = sizes[0]
    found = tuple([as_int(n, "size") for n in sizes])
    if any(n < 0 for n in found):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(found)}")
    return found


@_memory_options
def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of zeros."""
    return _made(np.zeros(_size(sizes, size), _kind(dtype)), device, requires_grad)


@_memory_options
def ones(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of ones."""
    return _made(np.ones(_size(sizes, size), _kind(dtype)), device, requires_grad)


@_memory_options
def empty(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor with whatever its memory holds."""
    return _made(np.empty(_size(sizes, size), _kind(dtype)), device, requires_grad)


@_memory_options
def full(
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of one value; without a dtype, in the value's own (an int gives int64)."""
    value = fill_value.array if isinstance(fill_value, TensorBase) else fill_value
    kind = _array_of(value, None).dtype if dtype is None else _kind(dtype)
    return _made(np.full(_size((size,)), value, kind), device, requires_grad)


def _like(input: Any, dtype: Any, device: Any) -> dict[str, Any]:
    """The dtype and device of a new tensor that follows another, unless given."""
    return {
        "dtype": dtypes.of(input.array) if dtype is None else dtype,
        "device": device_of(input.array) if device is None else device,
    }


def _laid(made: Any, input: Any, memory_format: Any) -> Any:
    """A new tensor brought to an order in memory; preserve_format means that of `input`."""
    if memory_format is layout.channels_last:
        return layout.pin_channels_last(made)
    return laid(made, input) if memory_format is layout.preserve_format else made


@_memory_options
def zeros_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = layout.preserve_format,
) -> Any:
    """Zeros of input's size and dtype."""
    like = _like(input, dtype, device)
    made = zeros(input.array.shape, requires_grad=requires_grad, **like)
    return _laid(made, input, memory_format)


@_memory_options
def ones_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = layout.preserve_format,
) -> Any:
    """Ones of input's size and dtype."""
    like = _like(input, dtype, device)
    made = ones(input.array.shape, requires_grad=requires_grad, **like)
    return _laid(made, input, memory_format)


@_memory_options
def empty_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = layout.preserve_format,
) -> Any:
    """A tensor of input's size and dtype with whatever its memory holds."""
    like = _like(input, dtype, device)
    made = empty(input.array.shape, requires_grad=requires_grad, **like)
    return _laid(made, input, memory_format)


@_memory_options
def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = layout.preserve_format,
) -> Any:
    """A tensor of one value, of input's size and dtype."""
    like = _like(input, dtype, device)
    made = full(input.array.shape, fill_value, requires_grad=requires_grad, **like)
    return _laid(made, input, memory_format)


def scalar_tensor(
    s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """A 0-dimensional tensor of a number, of the default dtype unless another is given."""
    return full((), s, dtype=_kind(dtype), device=device, requires_grad=requires_grad)


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Any:
    """A vector on the memory of an object with the buffer protocol (bytes, bytearray, array)."""
    kind = _kind(dtype)
    size = memoryview(buffer).nbytes
    if size == 0 or count == 0 or not 0 <= offset < size:
        raise ValueError(
            f"frombuffer: both buffer length ({size}) and count ({count}) must not be 0, and "
            f"offset ({offset}) must be less than the length"
        )
    if count < 0 and (size - offset) % kind.itemsize:
        raise ValueError(
            f"frombuffer: buffer length ({size - offset} bytes) after offset must be a multiple of "
            f"element size ({kind.itemsize})"
        )
    if count > 0 and offset + count * kind.itemsize > size:
        raise ValueError(
            f"frombuffer: requested buffer length ({count} * {kind.itemsize} bytes) after offset "
            f"({offset} bytes) must not be greater than actual buffer length ({size} bytes)"
        )
    array = np.frombuffer(buffer, kind, count, offset)
    return layout.pin(_made(array, None, requires_grad))


def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """An unset tensor whose elements lie `stride` apart in each dimension."""
    count = 1 + sum((n - 1) * s for n, s in zip(size, stride)) if math.prod(size) else 0
    memory = np.empty(count, _kind(dtype))
    steps = tuple([s * memory.itemsize for s in stride])
    array = np.lib.stride_tricks.as_strided(memory, tuple(size), steps)
    return layout.pin(_made(array, device, requires_grad))


def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """An unset tensor whose dimensions lie in memory in the given order, the nearest one last."""
    order = list(physical_layout)
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(
            "empty_permuted: Number of dimensions in size does not match the length of the "
            f"physical_layout, or one comes twice: size {list(size)}, physical_layout {order}"
        )
    memory = np.empty([size[i] for i in order], _kind(dtype))
    array = memory.transpose([order.index(i) for i in range(len(order))])
    return layout.pin(_made(array, device, requires_grad))


def new_zeros(
    input: Any,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Zeros of a size, in input's dtype."""
    return zeros(_size(sizes, size), requires_grad=requires_grad, **_like(input, dtype, device))


def new_ones(
    input: Any,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Ones of a size, in input's dtype."""
    return ones(_size(sizes, size), requires_grad=requires_grad, **_like(input, dtype, device))


def new_empty(
    input: Any,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of a size, in input's dtype, with whatever its memory holds."""
    return empty(_size(sizes, size), requires_grad=requires_grad, **_like(input, dtype, device))


def new_full(
    input: Any,
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of one value and a size, in input's dtype."""
    return full(size, fill_value, requires_grad=requires_grad, **_like(input, dtype, device))


def new_tensor(
    input: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """A new tensor with a copy of the data, in input's dtype."""
    return tensor(data, requires_grad=requires_grad, **_like(input, dtype, device))


@_memory_options
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The unit matrix (N, N), or (N, M) with ones on its diagonal."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"eye: n and m must be greater or equal to 0, got {n} and {m}")
    return _made(np.eye(n, m, dtype=_kind(dtype)), device, requires_grad)


# -------------------------------------------------------------------------------------- ranges


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


@_memory_options
def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """start, start + step, ... up to but not including end; int64 if all three are ints."""
    if end is None:
        start, end = 0, start
    start, end, step = _number(start), _number(end), _number(step)
    if not all(math.isfinite(v) for v in (start, end, step)):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if dtype is not None and _kind(dtype).kind in "iu":  # then the numbers are taken as integers
        start, end, step = int(start), int(end), int(step)
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(
            "arange: upper bound and lower bound inconsistent with step sign: from "
            f"{start} to {end} in steps of {step}"
        )
    whole = all(isinstance(v, int) for v in (start, end, step))
    kind = np.dtype(np.int64) if dtype is None and whole else _kind(dtype)
    count = -((start - end) // step) if whole else math.ceil((end - start) / step)
    return _made((np.arange(count) * step + start).astype(kind), device, requires_grad)


@_memory_options
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`steps` numbers at equal distances from start to end, both included."""
    steps = as_int(steps, "linspace")
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative, but is {steps}")
    kind = _kind(dtype)
    start, end = _number(start), _number(end)
    if kind.kind != "f":  # then the ends are taken as integers
        start, end = int(start), int(end)
    step = (end - start) / (steps - 1) if steps > 1 else 0
    number = np.arange(steps)
    # From both ends to the middle, so that both are met exactly.
    values = np.where(number < steps / 2, start + step * number, end - step * (steps - 1 - number))
    return _made(values.astype(kind), device, requires_grad)


@_memory_options
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`base` to the powers of `linspace(start, end, steps)`."""
    steps = as_int(steps, "logspace")
    if steps < 0:
        raise RuntimeError(f"logspace: number of steps must be non-negative, but is {steps}")
    values = np.logspace(_number(start), _number(end), steps, base=_number(base))
    return _made(values.astype(_kind(dtype)), device, requires_grad)


def range_(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """start, start + step, ... up to and including end, floating point; better use `arange`."""
    if end is None:
        start, end = 0, start
    start, end, step = _number(start), _number(end), _number(step)
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(
            f"range: upper bound and lower bound inconsistent with step sign: from {start} to {end}"
        )
    count = math.floor((end - start) / step) + 1
    return _made((np.arange(count) * step + start).astype(_kind(dtype)), device, requires_grad)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None
) -> Any:
    """(2, count): the rows and columns of the lower triangle of a (row, col) matrix."""
    return _made(np.stack(np.tril_indices(row, offset, col)).astype(_kind(dtype)), device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None
) -> Any:
    """(2, count): the rows and columns of the upper triangle of a (row, col) matrix."""
    return _made(np.stack(np.triu_indices(row, offset, col)).astype(_kind(dtype)), device)


# -------------------------------------------------------------------------------- random numbers


def _stream(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).numpy


def _floating_kind(dtype: Any, name: str) -> np.dtype[Any]:
    kind = _kind(dtype)
    if kind.kind != "f":
        raise RuntimeError(f"{name}: not implemented for {kind}; use a floating-point dtype")
    return kind


@_memory_options
def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Random numbers, uniform in [0, 1)."""
    kind = _floating_kind(dtype, "rand")
    # Drawn in its own precision: a float64 just below 1 would be rounded to 1.
    drawn_as = np.float64 if kind == np.float64 else np.float32
    values = _stream(generator).random(_size(sizes, size), dtype=drawn_as)
    return _made(values.astype(kind, copy=False), device, requires_grad)


@_memory_options
def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Random numbers from the normal distribution with mean 0 and variance 1."""
    kind = _floating_kind(dtype, "randn")
    drawn_as = np.float64 if kind == np.float64 else np.float32
    values = _stream(generator).standard_normal(_size(sizes, size), dtype=drawn_as)
    return _made(values.astype(kind, copy=False), device, requires_grad)


@_memory_options
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = dtypes.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Random integers, uniform in [low, high); randint(high, size) starts from 0."""
    if isinstance(high, tuple | list):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint: a size is missing: randint(low, high, size)")
    if low >= high:
        raise RuntimeError(f"randint: expects low < high, but got low={low} >= high={high}")
    values = _stream(generator).integers(low, high, _size((size,)))
    return _made(values.astype(_kind(dtype), copy=False), device, requires_grad)


@_memory_options
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = dtypes.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The integers 0 to n - 1 in random order."""
    values = _stream(generator).permutation(n)
    return _made(values.astype(_kind(dtype), copy=False), device, requires_grad)


@_memory_options
def rand_like(
    input: Any,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = layout.preserve_format,
) -> Any:
    """Random numbers, uniform in [0, 1), of input's size and dtype."""
    like = _like(input, dtype, device)
    made = rand(input.array.shape, generator=generator, requires_grad=requires_grad, **like)
    return _laid(made, input, memory_format)


@_memory_options
def randn_like(
    input: Any,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = layout.preserve_format,
) -> Any:
    """Normally distributed random numbers of input's size and dtype."""
    like = _like(input, dtype, device)
    made = randn(input.array.shape, generator=generator, requires_grad=requires_grad, **like)
    return _laid(made, input, memory_format)


@_memory_options
def randint_like(
    input: Any,
    low: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = layout.preserve_format,
) -> Any:
    """Random integers, uniform in [low, high) (or [0, low)), of input's size and dtype."""
    if high is None:
        low, high = 0, low
    made = randint(
        low,
        high,
        input.array.shape,
        generator=generator,
        requires_grad=requires_grad,
        **_like(input, dtype, device),
    )
    return _laid(made, input, memory_format)


@_memory_options
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Random numbers from the normal distribution; mean and std are numbers or tensors.

    size: needed where neither is a tensor.
    """
    given = [v.array for v in (mean, std) if isinstance(v, TensorBase)]
    if not given and size is None:
        raise TypeError("normal: a size is needed where mean and std are numbers")
    if given and size is not None:
        raise TypeError("normal: size goes with numbers; tensors have a size already")
    least = std.array.min(initial=0) if isinstance(std, TensorBase) else std
    if least < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {least}")
    if given:
        shape = np.broadcast_shapes(*[a.shape for a in given])
        dtype = dtypes.of(given[0]) if dtype is None else dtype
        device = device_of(given[0]) if device is None else device
    else:
        shape = _size((size,))
    draws = randn(shape, generator=generator, dtype=dtype, device=device).array
    center, width = (v.array if isinstance(v, TensorBase) else v for v in (mean, std))
    values = (draws * width + center).astype(draws.dtype, copy=False)
    return _made(values, None, requires_grad)


def bernoulli(input: Any, p: float | None = None, *, generator: Generator | None = None) -> Any:
    """1 with the probability that input (or p) gives for each element, else 0; no gradient."""
    x = input.array
    chance = move(x, "cpu") if p is None else p
    if np.size(chance) and not (np.min(chance) >= 0 and np.max(chance) <= 1):
        raise RuntimeError("bernoulli: Expected p_in >= 0 && p_in <= 1, a probability per element")
    draws = _stream(generator).random(x.shape) < chance
    return wrap(xp_of(x).asarray(draws.astype(x.dtype)))


def poisson(input: Any, generator: Generator | None = None) -> Any:
    """Random counts with the means that input gives; no gradient."""
    x = move(input.array, "cpu")
    if not (x >= 0).all():
        raise RuntimeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    return wrap(xp_of(input.array).asarray(_stream(generator).poisson(x).astype(x.dtype)))


def binomial(count: Any, prob: Any, generator: Generator | None = None) -> Any:
    """Random numbers of successes in `count` trials of chance `prob`; no gradient."""
    n, p = move(count.array, "cpu"), move(prob.array, "cpu")
    draws = _stream(generator).binomial(n.astype(np.int64), p)
    return wrap(xp_of(count.array).asarray(np.asarray(draws).astype(n.dtype)))


def multinomial(
    input: Any,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Any:
    """Positions drawn with probabilities in proportion to input, a vector or rows of weights.

    Without replacement each comes at most once: of exponential waiting times at rates `input`, the
    first to end. Raises RuntimeError for weights that are negative, or too few that are not zero.
    """
    weights = move(input.array, "cpu").astype(np.float64)
    if weights.ndim not in (1, 2) or input.array.dtype.kind != "f":
        raise RuntimeError(
            "multinomial: prob_dist must be 1 or 2 dim and of a floating-point dtype, but has "
            f"shape {list(weights.shape)} and dtype {input.array.dtype}"
        )
    if num_samples <= 0:
        raise RuntimeError("multinomial: cannot sample n_sample <= 0 samples")
    rows = weights.reshape(-1, weights.shape[-1])
    if not (np.isfinite(rows).all() and (rows >= 0).all() and (rows.sum(1) > 0).all()):
        raise RuntimeError(
            "multinomial: probability tensor contains either `inf`, `nan` or element < 0, or a row "
            "whose sum is 0"
        )
    stream = _stream(generator)
    if replacement:
        ends = rows.cumsum(1)
        # Below the last end: a draw never lands on a weight of 0 behind it.
        at = stream.random((len(rows), num_samples)) * ends[:, -1:]
        drawn = [np.searchsorted(e, a, side="right") for e, a in zip(ends, at, strict=True)]
        positions = np.stack(drawn)
    else:
        if num_samples > (rows > 0).sum(1).min():
            raise RuntimeError(
                f"multinomial: cannot sample n_sample={num_samples} > the number of weights that "
                "are not zero without replacement"
            )
        waiting = np.full(rows.shape, np.inf)
        np.divide(stream.standard_exponential(rows.shape), rows, out=waiting, where=rows > 0)
        positions = waiting.argsort(1, kind="stable")[:, :num_samples]
    shape = (*weights.shape[:-1], num_samples)
    return wrap(xp_of(input.array).asarray(positions.reshape(shape).astype(np.int64)))
