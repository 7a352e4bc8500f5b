"""Indexing: `x[key]` with any key, its adjoint, and the operations that are indexing in disguise.

Two operations are each other's derivatives: `index` reads x at a key, `index_add_into` adds to
zeros at that key, so that an element that was read twice gets the sum of both gradients. gather,
scatter, index_select, take and masked_select only build keys.

A key is first split in two, as PyTorch reads it: the *basic* part (integers, slices, None), which
makes a view, and the *advanced* part (integer arrays and masks), which copies from that view.
NumPy differs in one case: it counts an integer beside an array as an array, and so moves the
indexed dimensions of `x[0, :, [1, 2]]` to the front.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import layout
from ..autograd.tape import TensorBase, differentiable, wrap
from ..device import move, xp_of
from ..kernels.errors import ShapeError
from . import arithmetic
from .dims import as_int, one_dim

Basic = tuple[int | slice | None, ...]
Advanced = tuple[Any, ...]  # full slices and arrays: integers, or a single mask

ALL = slice(None)

# ------------------------------------------------------------------------------------ keys


def array_key(key: Any, array: Any) -> tuple[Basic, Advanced]:
    """Split a key for `array` into its basic part and its advanced part (empty without arrays).

    array[key] is array[basic][advanced]. The arrays in the advanced part are fresh copies: they are
    what the derivative remembers, and nobody can change them later.
    """
    shape = array.shape
    parts = _expand_ellipsis(_as_parts(key), shape)
    basic: list[Any] = []
    advanced: list[Any] = []  # beside the dimensions of the view that `basic` makes
    dim = 0  # of x
    for part in parts:
        if part is None:
            basic.append(None)
            advanced.append(ALL)
        elif part.__class__ is slice:
            basic.append(_checked_slice(part))
            advanced.append(ALL)
            dim += 1
        elif part.__class__ is int:
            n = shape[dim]
            if not -n <= part < n:
                raise IndexError(
                    f"index {part} is out of bounds for dimension {dim} with size {n}; the tensor "
                    f"has shape {list(shape)}."
                )
            basic.append(part)
            dim += 1
        elif part.dtype.kind == "b" and part.ndim == 0:  # x[True] is x[None], x[False] is empty
            basic.append(None)
            advanced.append(np.zeros(int(part), np.int64))
        elif part.dtype.kind == "b":
            _check_mask(part, shape, dim)
            basic.extend([ALL] * part.ndim)
            advanced.append(part)
            dim += part.ndim
        else:
            basic.append(ALL)
            advanced.append(_from_the_front(part, shape[dim], dim))
            dim += 1
    arrays = [a for a in advanced if a.__class__ is not slice]
    if not arrays:
        return tuple(basic), ()
    if len(arrays) > 1:
        # A mask among arrays stands for the positions where it is true, one array per dimension.
        advanced = [a for part in advanced for a in (part.nonzero() if _is_mask(part) else (part,))]
        _check_together([a for a in advanced if a.__class__ is not slice])
    return _without_tail(basic), _without_tail(advanced)


def _as_parts(key: Any) -> list[Any]:
    """The key's parts: int, slice, None, Ellipsis, integer array or boolean array."""
    return [_as_part(part) for part in (key if isinstance(key, tuple) else (key,))]


def _as_part(part: Any) -> Any:
    if part is None or part is Ellipsis or part.__class__ is slice or part.__class__ is int:
        return part
    if isinstance(part, TensorBase):
        array = part.array
    elif isinstance(part, bool | np.bool_):
        return np.asarray(part)
    elif isinstance(part, list | tuple | range):
        array = np.asarray(_without_tensors(part))
        if array.size == 0:
            array = array.astype(np.int64)
    elif hasattr(part, "dtype") and hasattr(part, "ndim"):
        array = part
    else:
        try:
            return as_int(part, "index")
        except TypeError:
            array = np.empty(0, object)
    kind = array.dtype.kind
    if kind not in "iub":
        kind_of = getattr(array.dtype, "name", array.dtype) if array.size else type(part).__name__
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long, byte or bool Variables "
            f"are valid indices (got {kind_of}); convert a float index with .long()."
        )
    if array.ndim == 0 and kind != "b":
        return int(array)
    return array.astype(bool if array.dtype in (np.bool_, np.uint8) else np.int64)


def _without_tensors(part: Any) -> Any:
    if isinstance(part, TensorBase):
        return part.array.tolist()
    return [_without_tensors(p) for p in part] if isinstance(part, list | tuple) else part


def _expand_ellipsis(parts: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Parts that name every dimension: an Ellipsis and what is missing at the end become slices."""
    named = 0
    at = None
    for i, part in enumerate(parts):
        if part is Ellipsis:
            at = i if at is None else at
        elif part is not None:
            named += part.ndim if _is_mask(part) else 1
    missing = len(shape) - named
    if missing < 0:
        raise IndexError(
            f"too many indices for tensor of dimension {len(shape)}: the key names {named} "
            f"dimensions, but the shape is {list(shape)}."
        )
    if at is None:
        return parts + [ALL] * missing
    rest = [p for p in parts[at + 1 :] if p is not Ellipsis]
    return parts[:at] + [ALL] * missing + rest


def _checked_slice(part: slice) -> slice:
    start, stop, step = (
        None if v is None else as_int(v, "slice") for v in (part.start, part.stop, part.step)
    )
    if step is not None and step <= 0:
        raise ValueError(
            f"step must be greater than zero, but is {step}: as in PyTorch, a tensor cannot run "
            "backwards; use flip()."
        )
    return ALL if start is None and stop is None and step in (None, 1) else slice(start, stop, step)


def _is_mask(part: Any) -> bool:
    return hasattr(part, "dtype") and part.dtype.kind == "b"


def _check_mask(mask: Any, shape: tuple[int, ...], dim: int) -> None:
    for i, n in enumerate(mask.shape):
        if n != shape[dim + i]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape "
                f"of the indexed tensor {list(shape)} at index {dim + i}."
            )


def _from_the_front(index: Any, n: int, dim: int) -> Any:
    """The indices with negative ones counted from the end made positive, checked."""
    if index.size == 0:
        return index
    low, high = int(index.min()), int(index.max())
    if high >= n or low < -n:
        raise IndexError(
            f"index {high if high >= n else low} is out of bounds for dimension {dim} with size {n}"
        )
    return index if low >= 0 else index + n * (index < 0)


def _check_together(arrays: list[Any]) -> None:
    try:
        np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError:
        shapes = ", ".join(str(list(a.shape)) for a in arrays)
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            f"{shapes}; sizes must be equal or 1, counted from the right (use key[:, None] to "
            "index by row and column)."
        ) from None


def _without_tail(parts: list[Any]) -> tuple[Any, ...]:
    """The parts up to the last that is not a full slice (the rest is implied)."""
    end = len(parts)
    while end and parts[end - 1].__class__ is slice and parts[end - 1] == ALL:
        end -= 1
    return tuple(parts[:end])


# ------------------------------------------------------------------------------ the operations


@differentiable(view=True)
def _slice(x, *, key):
    """x at a basic key (integers, slices, None): a view."""
    shape = x.array.shape
    return x.array[(*key, Ellipsis)], (lambda dz: index_add_into(dz, key=key, shape=shape),)


@differentiable
def _index(x, *, key):
    """x at an advanced key (arrays among full slices): a copy."""
    shape = x.array.shape
    return _read(x.array, key), (lambda dz: index_add_into(dz, key=key, shape=shape),)


@differentiable
def index_add_into(dz, *, key, shape):
    """Zeros of `shape` with dz added at the key: what is named twice receives both."""
    basic = not any(hasattr(part, "dtype") for part in key)
    out = xp_of(dz.array).zeros(shape, dz.array.dtype)
    _add_at(out, key, dz.array)
    return out, (lambda d: _slice(d, key=key) if basic else _index(d, key=key),)


@differentiable
def index_put(x, value, *, key):
    """A copy of x in which x[key] is value (broadcast); key as `array_key` gives it.

    dx is dz with zeros at the key, dvalue is dz at the key (where a position is named twice, only
    for the value that stayed).
    """
    basic, advanced = key
    shape = x.array.shape
    ndim = value.array.ndim
    z = x.array.copy()
    assign(z, key, value.array)

    def dx(dz: Any) -> Any:
        return index_put(dz, arithmetic.zero_like(dz), key=(basic, advanced))

    def dvalue(dz: Any) -> Any:
        part = _at(dz, basic, advanced)
        if _may_repeat(advanced):
            last, number = _last(shape, basic, advanced)
            part = part.where(wrap(xp_of(part.array).asarray(last == number)), 0)
        size = part.array.shape
        return part.reshape((1,) * (ndim - len(size)) + size)

    return z, (dx, dvalue)


def _may_repeat(advanced: Advanced) -> bool:
    """True if the key could name a position twice: integer arrays can, masks and slices cannot."""
    return any(part.__class__ is not slice and part.dtype.kind == "i" for part in advanced)


def _last(shape: tuple[int, ...], basic: Basic, advanced: Advanced) -> tuple[Any, Any]:
    """For the values assigned at a key, numbered: which one stayed in its place, and its number."""
    advanced = tuple([part if part.__class__ is slice else move(part, "cpu") for part in advanced])
    marks = np.empty(shape, np.int64)
    view = marks[(*basic, Ellipsis)]
    number = np.arange(view[(*advanced, Ellipsis)].size).reshape(view[(*advanced, Ellipsis)].shape)
    view[(*advanced, Ellipsis)] = number
    return view[(*advanced, Ellipsis)], number


def assign(array: Any, key: tuple[Basic, Advanced], value: Any) -> None:
    """array[key] = value, in place; value is broadcast, leading sizes of 1 may be too many."""
    basic, advanced = key
    advanced = _beside(array, advanced)
    view = array[(*basic, Ellipsis)]
    try:
        if _may_repeat(advanced):
            # Which of several values stays depends on how they lie in memory: as in `_last`.
            target = view[(*advanced, Ellipsis)].shape
            extra = max(value.ndim - len(target), 0)
            value = np.broadcast_to(value.reshape(value.shape[extra:]), target).copy()
            if xp_of(array) is not np:  # threads write in any order: let all write what is to stay
                last, _ = _last(array.shape, basic, advanced)
                value = value.reshape(-1)[xp_of(array).asarray(last)]
        view[(*advanced, Ellipsis)] = value
    except ValueError:
        target = view[(*advanced, Ellipsis)].shape
        raise ShapeError(
            f"index_put: shape mismatch: value tensor of shape {list(value.shape)} cannot be "
            f"broadcast to indexing result of shape {list(target)}; sizes must be equal or 1, "
            "counted from the right."
        ) from None


def _beside(array: Any, key: Any) -> Any:
    """The key with its index arrays where the array lives."""
    xp = xp_of(array)
    if xp is np:
        return key
    return tuple([xp.asarray(part) if isinstance(part, np.ndarray) else part for part in key])


def _read(array: Any, key: Advanced) -> Any:
    """array[key]; a single integer array goes through `take`, which is faster."""
    key = _beside(array, key)
    arrays = [i for i, part in enumerate(key) if part.__class__ is not slice]
    if len(arrays) == 1 and key[arrays[0]].dtype.kind == "i":
        return array.take(key[arrays[0]], axis=arrays[0])
    values = array[key]
    return values if values.flags.c_contiguous else values.copy()


def _add_at(out: Any, key: Any, values: Any) -> None:
    """out[key] += values, where a position named several times receives every value.

    Basic keys and masks name each position once, and plain assignment does. For integer arrays the
    positions are sorted and each run of equal ones is summed at once: a fixed order, so the same
    bits from run to run, and faster than `np.add.at`, unless there is little to add.
    """
    key = _beside(out, key)
    arrays = [i for i, part in enumerate(key) if hasattr(part, "dtype")]
    if not arrays or key[arrays[0]].dtype.kind == "b":
        out[(*key, Ellipsis)] = values
        return
    xp = xp_of(out)
    if xp is not np or out.dtype.kind != "f" or values.size < 1024:
        xp.add.at(out, key, values)
        return
    indexed = [out.shape[i] for i in arrays]
    positions = np.broadcast_arrays(*[key[i] for i in arrays])
    flat = np.ravel_multi_index(tuple(positions), tuple(indexed)).ravel()  # (M,) into A rows
    rest = [i for i in range(out.ndim) if i not in arrays]
    # NumPy puts the indexed dimensions where the first array stands, or in front if a slice
    # parts the arrays.
    together = arrays[-1] - arrays[0] == len(arrays) - 1
    front = arrays[0] if together else 0
    ndim = positions[0].ndim
    rows = np.moveaxis(values, range(front, front + ndim), range(ndim))
    rows = rows.reshape(flat.size, -1)  # (M, R)
    into = out.transpose(arrays + rest)  # (A..., R...): a view, written below
    if rows.shape[1] == 1:
        sums = np.bincount(flat, weights=rows[:, 0], minlength=math.prod(indexed))
        into[...] = sums.reshape(into.shape)
        return
    order = np.argsort(flat, kind="stable")
    flat = flat[order]
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    sums = rows[order] if starts.size == flat.size else np.add.reduceat(rows[order], starts, axis=0)
    at = np.unravel_index(flat[starts], tuple(indexed))
    into[at] = sums.reshape(starts.size, *into.shape[len(indexed) :])


def _at(x: Any, basic: Basic, advanced: Advanced) -> Any:
    """x[basic][advanced], each step only if it does anything."""
    if not advanced:
        return _slice(x, key=basic)
    if any(part.__class__ is not slice or part != ALL for part in basic):
        x = _slice(x, key=basic)
    return _index(x, key=advanced)


def getitem(input: Any, key: Any) -> Any:
    """input[key]: a view for integers, slices, None and `...`; a copy for arrays and masks.

    Raises IndexError for what is out of range or of the wrong type.
    """
    return _at(input, *array_key(key, input.array))


# ------------------------------------------------------------------- reading and writing by index


def _positions(index: Any, name: str) -> Any:
    """The array of an index argument, as a fresh copy."""
    array = index.array if isinstance(index, TensorBase) else np.asarray(index)
    if array.dtype.kind not in "iu":
        raise RuntimeError(
            f"{name}: expected the index to be a tensor of integers, but got {array.dtype}; "
            "convert it with .long()."
        )
    return array.astype(np.int64)


def _check_positions(array: Any, n: int, dim: int, name: str) -> None:
    if array.size and not (array.min() >= 0 and array.max() < n):
        bad = array.max() if array.max() >= n else array.min()
        raise RuntimeError(
            f"{name}: index {bad} is out of bounds for dimension {dim} with size {n}; indices run "
            f"from 0 to {n - 1}."
        )


def _along(x: Any, dim: int, index: Any, name: str) -> Advanced:
    """The key of x[i, ..., index[i, ..., k], ..., k], index standing at `dim`.

    Every other dimension of the index may be shorter than x's, and counts from 0.
    """
    shape = x.array.shape
    dim = one_dim(dim, len(shape), name)
    array = _positions(index, name)
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim != len(shape):
        raise ShapeError(
            f"{name}: Index tensor must have the same number of dimensions as input tensor, but "
            f"index has shape {list(array.shape)} and input has shape {list(shape)}."
        )
    if any(m > n for i, (m, n) in enumerate(zip(array.shape, shape, strict=True)) if i != dim):
        raise ShapeError(
            f"{name}: Size does not match: index {list(array.shape)} must be no larger than input "
            f"{list(shape)} apart from dimension {dim}."
        )
    _check_positions(array, shape[dim], dim, name)
    grid = np.ogrid[tuple([slice(n) for n in array.shape])]
    return tuple([array if i == dim else g for i, g in enumerate(grid)])


def _one_dimensional(x: Any) -> Any:
    """A 0-dimensional tensor as one of a single element, others as they are."""
    return x if x.array.ndim else x.reshape(1)


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    """out[i][j][k] = input[i][index[i][j][k]][k] (for dim = 1): one element per index.

    index has as many dimensions as input and is no larger, apart from `dim`; the output has its
    shape. `sparse_grad` is accepted and changes nothing. Raises RuntimeError for an index that is
    out of range.
    """
    x = _one_dimensional(input)
    if not index.array.size:  # of any number of dimensions
        one_dim(dim, x.array.ndim, "gather")
        return _index(x.reshape(-1), key=(_positions(index, "gather"),))
    out = _index(x, key=_along(x, dim, index, "gather"))
    return out.reshape(()) if index.array.ndim == 0 else out


def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None
) -> Any:
    """A copy of input with out[i][index[i][j][k]][k] = src[i][j][k] (for dim = 1).

    src (or value) may be a number. Where an index comes twice, one of its values stays.
    reduce: "add" or "multiply" combines with input in place of overwriting it.
    """
    if reduce is not None:
        return _scatter_combined(input, dim, index, value if src is None else src, reduce)
    x = _one_dimensional(input)
    key = _along(x, dim, index, "scatter")
    source = _source(input, index, value if src is None else src, "scatter")
    return index_put(x, source, key=((), key)).reshape(input.array.shape)


def _scatter_combined(input: Any, dim: int, index: Any, src: Any, reduce: str) -> Any:
    from .scattering import scatter_reduce

    if reduce not in ("add", "multiply"):
        raise RuntimeError(f"scatter: reduce argument must be either add or multiply, not {reduce}")
    if not isinstance(src, TensorBase):
        src = _source(input, index, src, "scatter").expand(index.array.shape)
    return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """input with src[i][j][k] added at [i][index[i][j][k]][k] (for dim = 1)."""
    x = _one_dimensional(input)
    key = _along(x, dim, index, "scatter_add")
    source = _source(input, index, src, "scatter_add")
    return (x + index_add_into(source, key=key, shape=x.array.shape)).reshape(input.array.shape)


def _source(input: Any, index: Any, src: Any, name: str) -> Any:
    """The part of src that index uses, of index's shape and input's dtype."""
    if not isinstance(src, TensorBase):
        return arithmetic.cast(arithmetic.operand(src, input), dtype=input.array.dtype)
    shape, needed = src.array.shape, index.array.shape
    if src.array.dtype != input.array.dtype:
        raise RuntimeError(
            f"{name}: Expected self.dtype to be equal to src.dtype, but they are "
            f"{input.array.dtype} and {src.array.dtype}."
        )
    if len(shape) != len(needed) or any(n < m for n, m in zip(shape, needed, strict=True)):
        raise ShapeError(
            f"{name}: Expected index {list(needed)} to be no larger than src {list(shape)} in any "
            "dimension."
        )
    src = _one_dimensional(src)
    return src if shape == needed else _slice(src, key=tuple([slice(n) for n in needed]))


def _row_key(x: Any, dim: int, index: Any, name: str) -> tuple[int, Advanced]:
    """(dim, key) of the slices of x that a 1-dimensional index names along `dim`."""
    dim = one_dim(dim, x.array.ndim, name)
    array = _positions(index, name)
    if array.ndim > 1:
        raise IndexError(
            f"{name}: Index is supposed to be a vector, but it has shape {list(array.shape)}; use "
            "gather, or x[:, index], for an index of more dimensions."
        )
    _check_positions(array, x.array.shape[dim], dim, name)
    return dim, (*[ALL] * dim, array.reshape(-1))


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of input along `dim` that a 1-dimensional index names, in its order."""
    x = _one_dimensional(input)
    out = _index(x, key=_row_key(x, dim, index, "index_select")[1])
    return out if input.array.ndim else out.reshape(())


def _check_source(x: Any, dim: int, key: Advanced, source: Any, name: str) -> None:
    shape = x.array.shape
    needed = (*shape[:dim], key[-1].size, *shape[dim + 1 :])
    if source.array.shape != needed:
        raise ShapeError(
            f"{name}: source has shape {list(source.array.shape)}, but with input of shape "
            f"{list(shape)} and {key[-1].size} indices along dim {dim} it must be {list(needed)}."
        )
    if source.array.dtype != x.array.dtype:
        raise RuntimeError(
            f"{name}: self and source expected to have the same dtype, but got (self) "
            f"{x.array.dtype} and (source) {source.array.dtype}."
        )


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    """input with alpha times the slices of source added at the indices along `dim`."""
    x, source = _one_dimensional(input), _one_dimensional(source)
    dim, key = _row_key(x, dim, index, "index_add")
    _check_source(x, dim, key, source, "index_add")
    scaled = source if alpha == 1 else source * alpha
    total = x + index_add_into(scaled, key=key, shape=x.array.shape)
    return total if input.array.ndim else total.reshape(())


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """input with the slices of source in place of those at the indices along `dim`."""
    x, source = _one_dimensional(input), _one_dimensional(source)
    dim, key = _row_key(x, dim, index, "index_copy")
    _check_source(x, dim, key, source, "index_copy")
    result = index_put(x, source, key=((), key))
    return result if input.array.ndim else result.reshape(())


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """input with `value` in the slices at the indices along `dim`."""
    x = _one_dimensional(input)
    _, key = _row_key(x, dim, index, "index_fill")
    result = index_put(x, _filling(x, value, "index_fill"), key=((), key))
    return result if input.array.ndim else result.reshape(())


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """value (a number or a 0-dimensional tensor) where mask is true, elsewhere input."""
    filled = arithmetic.where(mask, _filling(input, value, "masked_fill"), input)
    layout.follow(filled, ())
    return filled


def _filling(input: Any, value: Any, name: str) -> Any:
    """A value to fill with, in input's dtype."""
    dtype = input.array.dtype
    if isinstance(value, TensorBase):
        if value.array.ndim:
            raise RuntimeError(
                f"{name}: only supports a 0-dimensional value tensor, but got one with shape "
                f"{list(value.array.shape)}; use where() for a value per element."
            )
    else:
        if dtype.kind in "iu" and value != int(value):
            raise RuntimeError(f"{name}: value {value} cannot be converted to {dtype} without loss")
        value = arithmetic.operand(value, input)
    return value if value.array.dtype == dtype else arithmetic.cast(value, dtype=dtype)


def masked_select(input: Any, mask: Any) -> Any:
    """The elements of input where mask is true, in one dimension (both are broadcast)."""
    if mask.array.dtype != np.bool_:
        raise RuntimeError(
            f"masked_select: expected BoolTensor for mask, but got {mask.array.dtype}"
        )
    arithmetic.check_broadcast(input.array.shape, mask.array.shape, "masked_select")
    shape = np.broadcast_shapes(input.array.shape, mask.array.shape)
    flags = np.broadcast_to(mask.array, shape)
    return getitem(input.expand(shape), wrap(flags)).reshape(-1)


def take(input: Any, index: Any) -> Any:
    """The elements at positions of the flattened input, in index's shape."""
    array = _positions(index, "take")
    flat = input.reshape(-1)
    return _index(flat, key=(_from_the_front(array, flat.array.size, 0),))


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """As `gather`, with input and indices broadcast against each other apart from `dim`.

    Without `dim`, of the flattened input.
    """
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    shape, other = input.array.shape, indices.array.shape
    if len(shape) != len(other):
        raise ShapeError(
            "take_along_dim: input and indices should have the same number of dimensions, but "
            f"they have shapes {list(shape)} and {list(other)}."
        )
    dim = one_dim(dim, len(shape), "take_along_dim")
    a, b = ((*s[:dim], 1, *s[dim + 1 :]) for s in (shape, other))
    arithmetic.check_broadcast(a, b, "take_along_dim")
    both = np.broadcast_shapes(a, b)
    x = input.expand((*both[:dim], shape[dim], *both[dim + 1 :]))
    indices = wrap(_from_the_front(_positions(indices, "take_along_dim"), shape[dim], dim))
    return gather(x, dim, indices.expand((*both[:dim], other[dim], *both[dim + 1 :])))


# --------------------------------------------------------------------------- positions: no gradient


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The positions of the elements that are not zero: (count, ndim), int64.

    as_tuple: a tuple of one index tensor per dimension, which can be used as a key.
    """
    x = input.array
    if as_tuple:
        return tuple(wrap(i) for i in (x if x.ndim else x.reshape(1)).nonzero())
    return wrap(np.stack(x.nonzero(), axis=1) if x.ndim else np.zeros((int(x != 0), 0), np.int64))


def argwhere(input: Any) -> Any:
    """The positions of the elements that are not zero: (count, ndim), int64."""
    return nonzero(input)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """1 at each label and 0 elsewhere, in a new last dimension; int64.

    num_classes: how long that dimension is; by default the largest label + 1.
    """
    labels = tensor.array
    if labels.dtype != np.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensors of type LongTensor, not {labels.dtype}; "
            "call .long()."
        )
    if num_classes == -1:
        if labels.size == 0:
            raise RuntimeError("one_hot: give num_classes; no labels, so there is no largest one")
        num_classes = int(labels.max()) + 1
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise RuntimeError(
            f"one_hot: Class values must be non-negative and smaller than num_classes = "
            f"{num_classes}, but they run from {labels.min()} to {labels.max()}."
        )
    return wrap((labels[..., None] == np.arange(num_classes)).astype(np.int64))
