"""Operations that move elements about: each one's derivative moves them back.

They remember nothing but shapes. Those marked `view` return a view of their input's memory.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import layout
from ..autograd.tape import TensorBase, differentiable, elementwise
from ..device import xp_of
from ..kernels.errors import ShapeError
from . import arithmetic
from .dims import as_int, complete, distinct_dims, one_dim, takes_sizes
from .indexing import _index, _slice, index_add_into

# ------------------------------------------------------------------------------------------ reshape


@differentiable(view=True)
def _view(x, *, shape):
    """The elements of x, in the same order, in another shape (a copy if x lies otherwise)."""
    old = x.array.shape
    return x.array.reshape(shape), (lambda dy: _view(dy, shape=old),)


@takes_sizes
def reshape(input: Any, shape: Sequence[int]) -> Any:
    """The same elements in row-major order in a new shape; one size may be -1.

    A view of the input where that is possible, else a copy. Raises RuntimeError if the number of
    elements differs.
    """
    return _view(input, shape=complete(shape, input.array.shape, "reshape"))


@takes_sizes
def view(input: Any, size: Sequence[int]) -> Any:
    """As `reshape`, but always a view: RuntimeError where the memory would have to be copied."""
    result = _view(input, shape=complete(size, input.array.shape, "view"))
    if input.array.size and not np.may_share_memory(result.array, input.array):
        raise ShapeError(
            f"view: view size {list(size)} is not compatible with input tensor's size "
            f"{list(input.array.shape)} and stride {_strides(input.array)} (at least one dimension "
            "spans across two contiguous subspaces). Use .reshape(...) instead, which copies."
        )
    return result


def _strides(array: Any) -> list[int]:
    return [s // array.itemsize for s in array.strides]


def view_as(input: Any, other: Any) -> Any:
    """input viewed in the shape of other."""
    return view(input, other.array.shape)


def reshape_as(input: Any, other: Any) -> Any:
    """input in the shape of other."""
    return reshape(input, other.array.shape)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions start_dim to end_dim (inclusive) made one: (N, C, H, W) to (N, C H W) from 1."""
    shape = input.array.shape
    start = one_dim(start_dim, len(shape), "flatten")
    end = one_dim(end_dim, len(shape), "flatten")
    if start > end:
        raise RuntimeError(
            f"flatten() has invalid args: start_dim {start_dim} cannot come after end_dim {end_dim}"
        )
    if start == end and shape:
        return input
    merged = math.prod(shape[start : end + 1])
    return _view(input, shape=(*shape[:start], merged, *shape[end + 1 :]))


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Dimension `dim` split into several of the given sizes, one of which may be -1."""
    shape = input.array.shape
    dim = one_dim(dim, len(shape), "unflatten")
    parts = complete(tuple(sizes), shape[dim : dim + 1], "unflatten")
    return _view(input, shape=(*shape[:dim], *parts, *shape[dim + 1 :]))


def ravel(input: Any) -> Any:
    """All elements in one dimension."""
    return reshape(input, (-1,))


def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Without the dimensions of size 1: all of them, or those in `dim` that are of size 1."""
    shape = input.array.shape
    dims = range(len(shape)) if dim is None else _several(dim, len(shape), "squeeze")
    kept = tuple([n for i, n in enumerate(shape) if n != 1 or i not in dims])
    return _view(input, shape=kept)


def _several(dim: int | Sequence[int], ndim: int, name: str) -> tuple[int, ...]:
    """Dimensions given as one or as a sequence (of which () means none)."""
    return distinct_dims(dim if isinstance(dim, tuple | list) else (dim,), ndim, name)


def unsqueeze(input: Any, dim: int) -> Any:
    """With a new dimension of size 1 at `dim`."""
    shape = input.array.shape
    dim = one_dim(dim, len(shape) + 1, "unsqueeze")
    return _view(input, shape=(*shape[:dim], 1, *shape[dim:]))


@differentiable(view=True)
def _expand(x, *, shape):
    """x repeated along dimensions of size 1 and new leading ones, without copying.

    The engine sums the gradient back over them.
    """
    array = x.array
    if array.size == math.prod(shape):
        return array.reshape(shape), (lambda dy: dy,)
    return broadcast_array(array, shape), (lambda dy: dy,)


def broadcast_array(array: Any, shape: tuple[int, ...]) -> Any:
    """A read-only view of an array, repeated to a shape it broadcasts to.

    np.broadcast_to alone takes longer than most small operations, and gives dimensions that stay
    of size 1 the stride 0, as if they were repeated.
    """
    if array.__class__ is not np.ndarray:
        return xp_of(array).broadcast_to(array, shape)
    new = len(shape) - array.ndim
    strides = [0] * new
    for n, wide, step in zip(array.shape, shape[new:], array.strides, strict=True):
        strides.append(0 if n != wide else step)
    if not array.flags.c_contiguous:
        return np.lib.stride_tricks.as_strided(array, shape, strides, writeable=False)
    view = np.ndarray(shape, array.dtype, array, 0, strides)
    view.flags.writeable = False
    return view


@takes_sizes
def expand(input: Any, size: Sequence[int]) -> Any:
    """A view in which dimensions of size 1 are repeated; -1 keeps a size; new ones come first."""
    old = input.array.shape
    extra = len(size) - len(old)
    new = tuple([old[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(size)])
    if extra < 0 or any(m not in (1, n) for m, n in zip(old, new[extra:], strict=True)):
        raise ShapeError(
            f"expand: The expanded size {list(size)} does not fit the tensor's size {list(old)}: "
            "counted from the right, each existing size must match the new one at non-singleton "
            "dimensions (where it is not 1)."
        )
    if any(n < 0 for n in new):
        raise ShapeError(
            f"expand: The expanded size of the tensor ({list(size)}) isn't allowed in a leading, "
            "non-existing dimension: -1 keeps an existing size, and there is none."
        )
    return _expand(input, shape=new)


def expand_as(input: Any, other: Any) -> Any:
    """input expanded to the shape of other."""
    return expand(input, other.array.shape)


def broadcast_to(input: Any, size: Sequence[int]) -> Any:
    """input expanded to a size, as `expand`."""
    return expand(input, tuple(size))


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """The tensors expanded to the shape they have together."""
    tensors = _listed(tensors)
    shape: tuple[int, ...] = ()
    for t in tensors:
        arithmetic.check_broadcast(shape, t.array.shape, "broadcast_tensors")
        shape = np.broadcast_shapes(shape, t.array.shape)
    return tuple(expand(t, shape) for t in tensors)


def _listed(tensors: Any) -> tuple[Any, ...]:
    """Tensors given one by one, or as one list."""
    return (
        tuple(tensors[0])
        if len(tensors) == 1 and not isinstance(tensors[0], TensorBase)
        else tuple(tensors)
    )


# ---------------------------------------------------------------------------------- permute


@differentiable(view=True)
def _permute(x, *, dims):
    """Dimension i of the result is dimension dims[i] of x."""
    inverse = tuple([dims.index(i) for i in range(len(dims))])
    return x.array.transpose(dims), (lambda dy: _permute(dy, dims=inverse),)


@takes_sizes
def permute(input: Any, dims: Sequence[int]) -> Any:
    """The dimensions in another order: a view whose dimension i is dimension dims[i] of input."""
    ndim = input.array.ndim
    if len(dims) != ndim:
        raise ShapeError(
            f"permute: number of dimensions in the tensor input ({ndim}) does not match the length "
            f"of the desired ordering of dimensions {list(dims)}; name every dimension once."
        )
    return _permute(input, dims=distinct_dims(dims, ndim, "permute"))


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """A view with dimensions dim0 and dim1 exchanged."""
    ndim = input.array.ndim
    a, b = one_dim(dim0, ndim, "transpose"), one_dim(dim1, ndim, "transpose")
    dims = list(range(ndim))
    if ndim:
        dims[a], dims[b] = b, a
    return _permute(input, dims=tuple(dims))


swapaxes = swapdims = transpose


def t(input: Any) -> Any:
    """The transpose of a matrix (M, N): (N, M); vectors and 0-dimensional tensors stay."""
    ndim = input.array.ndim
    if ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D; use .mT to exchange "
            "the last two dimensions."
        )
    return _permute(input, dims=tuple(range(ndim))[::-1])


def reversed_dims(input: Any) -> Any:
    """All dimensions in reverse order: `x.T`."""
    return _permute(input, dims=tuple(range(input.array.ndim))[::-1])


def matrix_transpose(input: Any) -> Any:
    """The last two dimensions exchanged: `x.mT`, and `x.mH` for real numbers."""
    ndim = input.array.ndim
    if ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {ndim}-D tensor."
        )
    return _permute(input, dims=(*range(ndim - 2), ndim - 1, ndim - 2))


adjoint = matrix_transpose


def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """The dimensions `source` moved to the positions `destination`, the others in their order."""
    ndim = input.array.ndim
    a, b = _several(source, ndim, "movedim"), _several(destination, ndim, "movedim")
    if len(a) != len(b):
        raise RuntimeError(
            f"movedim: source {source} and destination {destination} must have as many elements"
        )
    rest = iter([i for i in range(ndim) if i not in a])
    dims = tuple([a[b.index(i)] if i in b else next(rest) for i in range(ndim)])
    return _permute(input, dims=dims)


moveaxis = movedim


# ------------------------------------------------------------------------------ join and take apart


def _common_dtype(tensors: Sequence[Any]) -> list[Any]:
    """The tensors in the dtype that PyTorch's rules give for them together."""
    first = tensors[0].array.dtype
    if all(t.array.dtype == first for t in tensors):
        return list(tensors)
    common = dtypes.result_type(*[t.array for t in tensors])
    return [t if t.array.dtype == common else arithmetic.cast(t, dtype=common) for t in tensors]


def _tensors(tensors: Any, name: str) -> list[Any]:
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError(f"{name}: expected a non-empty list of Tensors")
    for i, x in enumerate(tensors):
        if not isinstance(x, TensorBase):
            raise TypeError(
                f"{name}: expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
    return _common_dtype(tensors)


@differentiable
def _cat(*xs, dim):
    """xs one after the other along `dim`; each gets its part of the gradient."""
    value = xp_of(xs[0].array).concatenate([x.array for x in xs], axis=dim)
    pullbacks = []
    start = 0
    for x in xs:
        pullbacks.append(_part(dim, start, start + x.array.shape[dim]))
        start += x.array.shape[dim]
    return value, tuple(pullbacks)


def _part(dim: int, start: int, end: int) -> Any:
    key = (*[slice(None)] * dim, slice(start, end))
    return lambda dy: _piece(dy, key=key)


@differentiable
def _piece(x, *, key):
    """x at a basic key, copied as it lies: before a view, all of x would have to be settled."""
    shape = x.array.shape
    return x.array[key].copy(order="K"), (lambda dz: index_add_into(dz, key=key, shape=shape),)


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """The tensors one after the other along an existing dimension; the other sizes must agree."""
    xs = _tensors(tensors, "cat")
    if any(x.array.ndim == 0 for x in xs):
        raise RuntimeError("cat: zero-dimensional tensor cannot be concatenated; use stack()")
    # A tensor of shape (0,) fits anything: PyTorch's old rule, on which programs rely.
    full = [x for x in xs if x.array.shape != (0,)] or xs[:1]
    shape = full[0].array.shape
    dim = one_dim(dim, len(shape), "cat")
    for i, x in enumerate(full):
        other = x.array.shape
        if len(other) != len(shape):
            raise ShapeError(
                "cat: Tensors must have same number of dimensions: got "
                f"{list(shape)} and {list(other)}."
            )
        for d, (m, n) in enumerate(zip(shape, other, strict=True)):
            if m != n and d != dim:
                raise ShapeError(
                    f"cat: Sizes of tensors must match except in dimension {dim}. Expected size "
                    f"{m} but got size {n} for tensor number {i} in the list, in dimension {d}: "
                    f"the shapes are {list(shape)} and {list(other)}."
                )
    return _cat(*full, dim=dim)


concat = concatenate = cat


@differentiable
def _stack(*xs, dim):
    """xs side by side along a new dimension; each gets its slice of the gradient."""
    value = xp_of(xs[0].array).stack([x.array for x in xs], axis=dim)
    return value, tuple([_member(dim, i) for i in range(len(xs))])


def _member(dim: int, i: int) -> Any:
    key = (*[slice(None)] * dim, i)
    return lambda dy: _slice(dy, key=key)


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of one shape side by side along a new dimension."""
    xs = _tensors(tensors, "stack")
    shape = xs[0].array.shape
    for i, x in enumerate(xs):
        if x.array.shape != shape:
            raise ShapeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(x.array.shape)} at entry {i}."
            )
    return _stack(*xs, dim=one_dim(dim, len(shape) + 1, "stack"))


def atleast_1d(*tensors: Any) -> Any:
    """0-dimensional tensors as tensors of one element, others as they are."""
    found = tuple(t if t.array.ndim else reshape(t, (1,)) for t in _listed(tensors))
    return found[0] if len(tensors) == 1 and isinstance(tensors[0], TensorBase) else found


def atleast_2d(*tensors: Any) -> Any:
    """Vectors as matrices of one row, others as they are."""
    found = tuple(
        t if t.array.ndim >= 2 else reshape(t, (1, t.array.size)) for t in _listed(tensors)
    )
    return found[0] if len(tensors) == 1 and isinstance(tensors[0], TensorBase) else found


def hstack(tensors: Sequence[Any]) -> Any:
    """Tensors side by side: along dimension 1, vectors along their only one."""
    xs = [atleast_1d(x) for x in tensors]
    return cat(xs, 0 if xs and xs[0].array.ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Any:
    """Tensors on top of each other: along dimension 0, vectors as rows."""
    return cat([atleast_2d(x) for x in tensors], 0)


row_stack = vstack


def column_stack(tensors: Sequence[Any]) -> Any:
    """Vectors as the columns of a matrix."""
    return hstack([x if x.array.ndim > 1 else reshape(x, (x.array.size, 1)) for x in tensors])


def narrow(input: Any, dim: int, start: int, length: int) -> Any:
    """A view of `length` slices of input along `dim`, from `start` on."""
    shape = input.array.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = one_dim(dim, len(shape), "narrow")
    n = shape[dim]
    if isinstance(start, TensorBase) and (start.array.ndim or start.array.dtype.kind == "b"):
        raise RuntimeError("narrow: start must be an 0-dim integral Tensor.")
    start, length = as_int(start, "narrow"), as_int(length, "narrow")
    if not -n <= start <= n:
        raise IndexError(
            f"narrow: start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    start += n if start < 0 else 0
    if length < 0 or start + length > n:
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n}); the tensor "
            f"has shape {list(shape)}."
        )
    return _slice(input, key=(*[slice(None)] * dim, slice(start, start + length)))


def select(input: Any, dim: int, index: int) -> Any:
    """The slice of input at `index` along `dim`: a view with one dimension fewer."""
    shape = input.array.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = one_dim(dim, len(shape), "select")
    index = as_int(index, "select")
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} at dimension "
            f"{dim}"
        )
    return _slice(input, key=(*[slice(None)] * dim, index))


def split(
    tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Any, ...]:
    """Views of the tensor in pieces along `dim`: of one size (the last may be less), or of many."""
    shape = tensor.array.shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = one_dim(dim, len(shape), "split")
    n = shape[dim]
    sizes: list[int]
    if isinstance(split_size_or_sections, tuple | list):
        sizes = [as_int(s, "split") for s in split_size_or_sections]
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size "
                f"at dimension {dim}), but got split_sizes={sizes}"
            )
    else:
        size = as_int(split_size_or_sections, "split")
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be positive, but got split_size={size}")
        sizes = [min(size, n - start) for start in range(0, n, size)] if n else [0]
    parts = []
    start = 0
    for size in sizes:
        parts.append(narrow(tensor, dim, start, size))
        start += size
    return tuple(parts)


def split_with_sizes(tensor: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Views of the tensor in pieces of the given sizes along `dim`."""
    return split(tensor, list(split_sizes), dim)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most `chunks` views of input of equal size along `dim` (the last may be smaller)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    if not input.array.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    n = input.array.shape[one_dim(dim, input.array.ndim, "chunk")]
    return split(input, -(-n // chunks), dim) if n else split(input, [0] * chunks, dim)


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Views of input cut at the given indices along `dim`, or into nearly equal sections."""
    if not input.array.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got 0")
    n = input.array.shape[one_dim(dim, input.array.ndim, "tensor_split")]
    if isinstance(indices_or_sections, TensorBase):
        if indices_or_sections.array.dtype != np.int64 or indices_or_sections.array.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long and be "
                "zero-dimensional or one-dimensional"
            )
        indices_or_sections = indices_or_sections.array.tolist()
    if isinstance(indices_or_sections, tuple | list):
        cuts = [slice(i).indices(n)[1] for i in indices_or_sections]
    else:
        sections = as_int(indices_or_sections, "tensor_split")
        if sections <= 0:
            raise RuntimeError(
                f"tensor_split: number of sections must be larger than 0, got {sections}"
            )
        small, larger = divmod(n, sections)
        cuts = [i * small + min(i, larger) for i in range(1, sections)]
    edges = zip([0, *cuts], [*cuts, n], strict=True)
    return tuple(narrow(input, dim, a, max(b - a, 0)) for a, b in edges)


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """Every slice of input along `dim`, as views with one dimension fewer."""
    if not input.array.ndim:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    dim = one_dim(dim, input.array.ndim, "unbind")
    return tuple(select(input, dim, i) for i in range(input.array.shape[dim]))


# ---------------------------------------------------------------------------------------- copies


@elementwise
def _clone(x):
    return x.array.copy(order="K"), (lambda dy: dy,)


@differentiable
def _clone_contiguous(x):
    return x.array.copy(order="C"), (lambda dy: dy,)


_clone_contiguous.__name__ = "clone"


@differentiable
def _clone_channels_last(x):
    return x.array.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2), (lambda dy: dy,)


def clone(input: Any, *, memory_format: Any = layout.preserve_format) -> Any:
    """A copy that the gradient passes through, in the given order in memory.

    preserve_format keeps the order of the dimensions. Raises RuntimeError for
    channels_last unless input is (N, C, H, W).
    """
    if memory_format is layout.channels_last:
        if input.array.ndim != 4:
            raise RuntimeError(
                "required rank 4 tensor to use channels_last format, (N, C, H, W), but the "
                f"tensor's shape is {list(input.array.shape)}"
            )
        return layout.pin(_clone_channels_last(input))
    return (_clone_contiguous if memory_format is layout.contiguous_format else _clone)(input)


def contiguous(input: Any, memory_format: Any = layout.contiguous_format) -> Any:
    """input itself if its elements lie in the given order without gaps, else such a copy."""
    if memory_format is layout.preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if layout.is_contiguous(input, memory_format):
        return input
    return clone(input, memory_format=memory_format)


@elementwise
def _flip(x, *, dims):
    return xp_of(x.array).flip(x.array, dims).copy(), (lambda dy: _flip(dy, dims=dims),)


@takes_sizes
def flip(input: Any, dims: Sequence[int]) -> Any:
    """A copy in which the order along `dims` is reversed."""
    return _flip(input, dims=_several(dims, input.array.ndim, "flip") if input.array.ndim else ())


def fliplr(input: Any) -> Any:
    """A copy with the columns (dimension 1) in reverse order."""
    if input.array.ndim < 2:
        raise RuntimeError(f"fliplr: Input must be >= 2-d, but has {input.array.ndim} dimensions")
    return flip(input, (1,))


def flipud(input: Any) -> Any:
    """A copy with the rows (dimension 0) in reverse order."""
    if not input.array.ndim:
        raise RuntimeError("flipud: Input must be >= 1-d, but has 0 dimensions")
    return flip(input, (0,))


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """input turned by k times 90 degrees, from the first of `dims` towards the second."""
    if len(dims) != 2 or input.array.ndim < 2:
        raise RuntimeError(
            f"rot90: expected total rotation dims == 2, but got dims = {list(dims)}, of a tensor "
            f"with {input.array.ndim} dimensions"
        )
    a, b = distinct_dims(dims, input.array.ndim, "rot90")
    if k % 4 == 0:
        return clone(input)
    if k % 4 == 2:
        return flip(input, (a, b))
    return flip(transpose(input, a, b), (a,) if k % 4 == 1 else (b,))


@differentiable
def _roll(x, *, shifts, dims):
    back = tuple([-s for s in shifts])
    value = xp_of(x.array).roll(x.array, shifts, dims)
    return value, (lambda dy: _roll(dy, shifts=back, dims=dims),)


def roll(input: Any, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Any:
    """Elements shifted along `dims`; what leaves at one end comes back at the other.

    Without `dims`, the flattened tensor is shifted.
    """
    counts = tuple(shifts) if isinstance(shifts, tuple | list) else (as_int(shifts, "roll"),)
    if dims is None or (isinstance(dims, tuple | list) and not dims):
        if len(counts) != 1:
            raise RuntimeError(
                f"roll: shifts and dimensions must align. shifts: {len(counts)}, dims: 0"
            )
        flat = _roll(reshape(input, (-1,)), shifts=counts, dims=(0,))
        return reshape(flat, input.array.shape)
    along = tuple(dims) if isinstance(dims, tuple | list) else (dims,)
    if len(counts) != len(along):
        raise RuntimeError(
            f"roll: shifts and dimensions must align. shifts: {len(counts)}, dims: {len(along)}"
        )
    ndim = input.array.ndim
    if not ndim:
        raise IndexError("roll: Dimension specified as 0 but tensor has no dimensions")
    return _roll(input, shifts=counts, dims=tuple([one_dim(d, ndim, "roll") for d in along]))


@differentiable
def _repeat(x, *, repeats):
    """x (n0, n1, ...) tiled to (r0 n0, r1 n1, ...): the gradient is summed over the tiles."""
    shape = x.array.shape
    tiles = tuple([size for pair in zip(repeats, shape, strict=True) for size in pair])
    value = xp_of(x.array).tile(x.array, repeats)
    return value, (lambda dy: dy.reshape(tiles).sum(tuple(range(0, len(tiles), 2))),)


@takes_sizes
def repeat(input: Any, repeats: Sequence[int]) -> Any:
    """input laid side by side repeats[i] times along each dimension; new dimensions come first."""
    ndim = input.array.ndim
    if len(repeats) < ndim:
        raise ShapeError(
            "repeat: Number of dimensions of repeat dims can not be smaller than number of "
            f"dimensions of tensor: repeats {list(repeats)}, tensor {list(input.array.shape)}."
        )
    if any(r < 0 for r in repeats):
        raise RuntimeError(f"repeat: Trying to create tensor with negative dimension: {repeats}")
    if not repeats:
        return clone(input)
    x = _view(input, shape=(1,) * (len(repeats) - ndim) + input.array.shape)
    return _repeat(x, repeats=tuple(repeats))


@takes_sizes
def tile(input: Any, dims: Sequence[int]) -> Any:
    """As `repeat`, with 1 for the leading dimensions that `dims` leaves out."""
    return repeat(input, (1,) * (input.array.ndim - len(dims)) + tuple(dims))


def repeat_interleave(
    input: Any, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each slice along `dim` repeated on the spot, all `repeats` times or each its own number.

    Without `dim`, each element of the flattened input. `output_size` is accepted and not needed.
    """
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    dim = one_dim(dim, input.array.ndim, "repeat_interleave")
    counts = repeats.array if isinstance(repeats, TensorBase) else np.asarray(repeats)
    n = input.array.shape[dim]
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or counts.size not in (1, n):
        raise RuntimeError(
            "repeat_interleave: repeats must be an int or a vector of as many ints as input has "
            f"along dim {dim}, {n}; got shape {list(counts.shape)}, dtype {counts.dtype}."
        )
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeat_interleave: repeats can not be negative")
    positions = np.arange(n).repeat(counts)
    return _index(input, key=(*[slice(None)] * dim, positions))


# ------------------------------------------------------------------------------------------- pad


@differentiable
def _pad(x, *, widths, value):
    """x with widths[i] = (before, after) elements of `value` added along each dimension."""
    shape = x.array.shape
    inner = tuple([slice(a, a + n) for (a, _), n in zip(widths, shape, strict=True)])
    size = tuple([a + n + b for (a, b), n in zip(widths, shape, strict=True)])
    y = xp_of(x.array).full(size, value, x.array.dtype)
    if layout.lies_channels_last(x.array):
        y = layout.as_channels_last(y)
    y[inner] = x.array
    return y, (lambda dy: _slice(dy, key=inner),)


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """input with `pad` elements added at the borders (or taken away, if negative).

    pad: (left, right) of the last dimension, then of the one before it, and so on.
    mode: "constant" fills with `value` (0); "reflect" mirrors without repeating the edge;
    "replicate" repeats the edge; "circular" goes on at the other end.
    """
    shape = input.array.shape
    pad = [as_int(p, "pad") for p in pad]
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise RuntimeError(
            f"pad: Padding length must be divisible by 2, and less than or equal to two times the "
            f"input dimension {len(shape)}, but pad is {pad}; it names (left, right) of the last "
            "dimension first."
        )
    named = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    widths = [(0, 0)] * (len(shape) - len(named)) + named
    if any(a + n + b < 0 for (a, b), n in zip(widths, shape, strict=True)):
        raise RuntimeError(
            f"pad: the input size {list(shape)}, plus negative padding {pad}, resulted in a "
            "negative output size"
        )
    if mode == "constant":
        x, grown = _cropped(input, widths) if min(pad, default=0) < 0 else (input, widths)
        return _pad(x, widths=tuple(grown), value=0 if value is None else value)
    if mode not in _SOURCES:
        raise NotImplementedError(
            f"pad: Unrecognised padding mode {mode!r}; there are constant, reflect, replicate and "
            "circular."
        )
    if value not in (None, 0):
        raise ValueError(f'pad: Padding mode "{mode}" doesn\'t take in value argument')
    if mode == "circular" and min(pad, default=0) < 0:  # what is cut away does not come back
        input, widths = _cropped(input, widths)
        shape = input.array.shape
    for dim, ((a, b), n) in enumerate(zip(widths, shape, strict=True)):
        if a or b:
            most = {"reflect": n - 1, "circular": n, "replicate": max(a, b) if n else 0}[mode]
            if max(a, b) > most:
                raise RuntimeError(
                    f"pad: Padding size should be less than the corresponding input dimension for "
                    f"{mode} padding (at most {most} here), but got: padding ({a}, {b}) at "
                    f"dimension {dim} of input {list(shape)}"
                )
            positions = _SOURCES[mode](np.arange(-a, n + b), n)
            input = _index(input, key=(*[slice(None)] * dim, positions))
    return input


def _cropped(input: Any, widths: list[tuple[int, int]]) -> tuple[Any, list[tuple[int, int]]]:
    """input without what negative widths take away, and the widths that are left to add."""
    shape = input.array.shape
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, shape, strict=True))
    return _slice(input, key=cut), [(max(a, 0), max(b, 0)) for a, b in widths]


# Where each padded position takes its value from, among n.
_SOURCES: dict[str, Any] = {
    "reflect": lambda i, n: (n - 1) - abs((n - 1) - abs(i)),
    "replicate": lambda i, n: i.clip(0, n - 1),
    "circular": lambda i, n: i % n,
}


# ------------------------------------------------------------------------- diagonals and triangles


@differentiable(contiguous=True)
def _triangle(x, *, upper, diagonal):
    xp = xp_of(x.array)
    value = (xp.triu if upper else xp.tril)(x.array, diagonal)
    return value, (lambda dy: _triangle(dy, upper=upper, diagonal=diagonal),)


def _check_matrix(input: Any, name: str) -> None:
    if input.array.ndim < 2:
        raise RuntimeError(
            f"{name}: input tensor must have at least 2 dimensions, but has shape "
            f"{list(input.array.shape)}"
        )


def tril(input: Any, diagonal: int = 0) -> Any:
    """The matrices of input with zeros above the given diagonal."""
    _check_matrix(input, "tril")
    return _triangle(input, upper=False, diagonal=diagonal)


def triu(input: Any, diagonal: int = 0) -> Any:
    """The matrices of input with zeros below the given diagonal."""
    _check_matrix(input, "triu")
    return _triangle(input, upper=True, diagonal=diagonal)


@differentiable(view=True)
def _diagonal(x, *, offset, dim1, dim2):
    shape = x.array.shape
    return _diagonal_of(x.array, offset, dim1, dim2), (
        lambda dy: _diagonal_into(dy, shape=shape, offset=offset, dim1=dim1, dim2=dim2),
    )


@differentiable
def _diagonal_into(dy, *, shape, offset, dim1, dim2):
    """Zeros of `shape` with dy on the diagonal: the adjoint of `_diagonal`."""
    out = xp_of(dy.array).zeros(shape, dy.array.dtype)
    _diagonal_of(out, offset, dim1, dim2)[...] = dy.array
    return out, (lambda dx: _diagonal(dx, offset=offset, dim1=dim1, dim2=dim2),)


def _diagonal_of(array: Any, offset: int, dim1: int, dim2: int) -> Any:
    """A view of the diagonal, writable if the array is (NumPy's own is not)."""
    found = xp_of(array).diagonal(array, offset, dim1, dim2)
    if xp_of(array) is np and array.flags.writeable:
        found.flags.writeable = True
    return found


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A view of the diagonal of dimensions dim1 and dim2, as the last dimension."""
    a, b = distinct_dims((dim1, dim2), input.array.ndim, "diagonal")
    return _diagonal(input, offset=offset, dim1=a, dim2=b)


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices of zeros with the last dimension of input on their diagonal."""
    shape = input.array.shape
    a, b = distinct_dims((dim1, dim2), len(shape) + 1, "diag_embed")
    n = shape[-1] + abs(offset)
    rest = iter(shape[:-1])
    full = tuple([n if i in (a, b) else next(rest) for i in range(len(shape) + 1)])
    return _diagonal_into(input, shape=full, offset=offset, dim1=a, dim2=b)


def diag(input: Any, diagonal: int = 0) -> Any:
    """A vector's diagonal matrix, or a copy of a matrix's diagonal."""
    if input.array.ndim == 1:
        return diag_embed(input, diagonal)
    if input.array.ndim != 2:
        raise RuntimeError(
            f"diag(): Supports 1D or 2D tensors. Got {input.array.ndim}D; use diagonal() or "
            "diag_embed()."
        )
    return clone(_diagonal(input, offset=diagonal, dim1=0, dim2=1))


def trace(input: Any) -> Any:
    """The sum of a matrix's diagonal."""
    if input.array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.array.ndim}")
    return _diagonal(input, offset=0, dim1=0, dim2=1).sum()


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """Coordinate grids of vectors: grid i varies along dimension i ("xy" swaps the first two)."""
    xs = [reshape(x, (-1,)) for x in _listed(tensors)]
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = [1, 0]
    size = tuple([xs[i].array.size for i in order])
    grids = []
    for i, x in enumerate(xs):
        shape = [1] * len(xs)
        shape[order.index(i)] = x.array.size
        grids.append(expand(reshape(x, shape), size))
    return tuple(grids)


@differentiable(view=True)
def _windows(x, *, dim, size, step):
    """Windows of `size` along `dim`, `step` apart, in a new last dimension.

    Windows may overlap, so the gradient is added position by position.
    """
    shape = x.array.shape
    count = (shape[dim] - size) // step + 1
    windows = np.lib.stride_tricks.sliding_window_view(x.array, size, dim)
    value = windows[(*[slice(None)] * dim, slice(None, None, step))]
    positions = np.arange(count)[:, None] * step + np.arange(size)  # (count, size)
    key = (*[slice(None)] * dim, positions)

    def dx(dy: Any) -> Any:
        return index_add_into(movedim(dy, -1, dim + 1), key=key, shape=shape)

    return value, (dx,)


def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """A view of all windows of `size` along a dimension, `step` apart, in a new last dimension."""
    shape = input.array.shape
    dim = one_dim(dimension, len(shape), "unfold")
    if not shape and size == 1 and step > 0:
        return reshape(input, (1,))
    if not shape or not 0 <= size <= shape[dim] or step <= 0:
        raise RuntimeError(
            f"unfold: maximum size for tensor at dimension {dim} is {shape[dim] if shape else 1} "
            f"and step must be above 0, but size is {size} and step is {step}"
        )
    return _windows(input, dim=dim, size=size, step=step)


# ------------------------------------------------------------------ the same under other conditions


def atleast_3d(*tensors: Any) -> Any:
    """Tensors of 3 dimensions or more: vectors (N) as (1, N, 1), matrices (M, N) as (M, N, 1)."""

    def grown(t: Any) -> Any:
        ndim = t.array.ndim
        if ndim >= 3:
            return t
        return reshape(t, (*t.array.shape, 1) if ndim == 2 else (1, t.array.size, 1))

    found = tuple(grown(t) for t in _listed(tensors))
    return found[0] if len(tensors) == 1 and isinstance(tensors[0], TensorBase) else found


def dstack(tensors: Sequence[Any]) -> Any:
    """Tensors behind each other: along dimension 2."""
    return cat([atleast_3d(x) for x in tensors], 2)


def _split_along(input: Any, indices_or_sections: Any, dim: int, name: str, least: int) -> Any:
    ndim = input.array.ndim
    if ndim < least:
        raise RuntimeError(
            f"{name} requires a tensor with at least {least} dimension, but got a tensor with "
            f"{ndim} dimensions!"
        )
    if isinstance(indices_or_sections, int) and (
        indices_or_sections <= 0 or input.array.shape[dim] % indices_or_sections
    ):
        raise RuntimeError(
            f"{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{input.array.shape[dim]} is not divisible by the split_size {indices_or_sections}!"
        )
    return tensor_split(input, indices_or_sections, dim)


def hsplit(input: Any, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
    """Views of input in pieces side by side: along dimension 1, of a vector along its only one."""
    dim = 0 if input.array.ndim == 1 else 1
    return _split_along(input, indices_or_sections, dim, "hsplit", 1)


def vsplit(input: Any, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
    """Views of input in pieces on top of each other: along dimension 0."""
    return _split_along(input, indices_or_sections, 0, "vsplit", 2)


def dsplit(input: Any, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
    """Views of input in pieces behind each other: along dimension 2."""
    return _split_along(input, indices_or_sections, 2, "dsplit", 3)


def diagflat(input: Any, offset: int = 0) -> Any:
    """The flattened elements on the diagonal of a matrix of zeros."""
    return diag_embed(reshape(input, (-1,)), offset)


@takes_sizes
def sum_to_size(input: Any, size: Sequence[int]) -> Any:
    """input summed over what was broadcast from `size`: the adjoint of `expand`."""
    shape = input.array.shape
    extra = len(shape) - len(size)
    if extra < 0 or any(n not in (1, m) for n, m in zip(size, shape[extra:])):
        raise RuntimeError(
            f"size {list(size)} is not expandable to size {list(shape)}, so it is no sum of it."
        )
    dims = [*range(extra), *[extra + i for i, n in enumerate(size) if n != shape[extra + i]]]
    return reshape(input.sum(tuple(dims)) if dims or not size else input, tuple(size))


def copying(view: Any, name: str) -> Any:
    """The function that copies what `view` shows: its result shares no memory with its input."""

    @functools.wraps(view)
    def function(input: Any, *args: Any, **keywords: Any) -> Any:
        result = view(input, *args, **keywords)
        if isinstance(result, tuple):
            return tuple(clone(x, memory_format=layout.contiguous_format) for x in result)
        return clone(result, memory_format=layout.contiguous_format)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{name.removesuffix('_copy')}`, copied to memory of its own."
    return function


expand_copy = copying(expand, "expand_copy")
diagonal_copy = copying(diagonal, "diagonal_copy")
narrow_copy = copying(narrow, "narrow_copy")
permute_copy = copying(permute, "permute_copy")
select_copy = copying(select, "select_copy")
split_copy = copying(split, "split_copy")
split_with_sizes_copy = copying(split_with_sizes, "split_with_sizes_copy")
squeeze_copy = copying(squeeze, "squeeze_copy")
t_copy = copying(t, "t_copy")
transpose_copy = copying(transpose, "transpose_copy")
unbind_copy = copying(unbind, "unbind_copy")
unfold_copy = copying(unfold, "unfold_copy")
unsqueeze_copy = copying(unsqueeze, "unsqueeze_copy")
view_copy = copying(reshape, "view_copy")
