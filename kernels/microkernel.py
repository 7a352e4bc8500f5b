"""The inner product that every matrix product and convolution spends its time in, as vector code.

    c[i, j] (+)= sum over o < outer and k < inner of
        a[row[i] + o a_outer + k a_step] b[o inner + k, j]

for ROWS rows i and up to PANEL = 2 LANES columns j. A CPU multiplies and adds two vectors in a
cycle, but can load only about two: so the tile of c stays in registers for the whole sum (6 x 2
vectors of the 16 an AVX2 CPU has), and each step loads two vectors of b, broadcasts six numbers of
a, and does twelve multiply-adds with them (Goto and van de Geijn 2008, "Anatomy of
high-performance matrix multiplication"). Two vectors, because channels come in multiples of 16.

Numba does not keep a two-dimensional tile in registers, whatever the loop looks like. So this file
writes LLVM's intermediate code itself: Numba's @intrinsic lets a function emit it, and LLVM turns
vectors of any length into the instructions of the CPU it finds.

b is a panel `vectors` LANES numbers wide, its rows b_step apart: packed without gaps where it is
used often, since consecutive loads are fastest, or a piece of a matrix where it lies.
a needs no packing: a row may start anywhere (`row` holds ROWS positions), which makes the shifted
rows of an image a matrix without copying them. Two loops, `outer` and `inner`, walk an image
whose lines are longer than what is to be summed. Positions count elements, not bytes.

Nothing here knows where c ends. Callers round up: panels are padded, c is a scratch tile, and rows
beyond the last repeat it.

Where the numbers to be multiplied lie in a row in both operands, as in x @ w.T, there is a second
micro-kernel, `multiply_rows`: its vectors run along the sum, so that neither operand is packed,
and what the lanes hold is added up at the end.
"""

from collections.abc import Callable, Iterable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

VECTORS = 2  # vectors in a full panel
WIDTHS = range(1, VECTORS + 1)


def _host() -> tuple[int, int]:
    """(bytes in a vector, rows in a tile) that fill this CPU's vector registers."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 8  # 32 vector registers, but only 16 for the positions of the rows
    if features.get("avx2") and features.get("fma"):
        return 32, 6  # 16 registers: 6 x 2 sums, 2 of b, 1 of a
    if llvm.get_default_triple().startswith(("aarch64", "arm64")):
        return 16, 8  # NEON has 32 registers of either kind
    return 16, 6  # SSE2 has 16


BYTES, ROWS = _host()


# The tile of `multiply_rows`: a step loads so many vectors of a and of b, each used several times.
DOT_ROWS, DOT_COLUMNS = 3 if ROWS == 6 else 6, 4


def lanes(dtype: np.dtype) -> int:
    """Numbers in one vector: 16 float32 or 8 float64 with AVX-512."""
    return BYTES // dtype.itemsize


INT = ir.IntType(64)


def constant(value: int) -> ir.Constant:
    return ir.Constant(INT, value)


class Vectors:
    """Loads and stores vectors of one number type at positions (in elements) of an array."""

    def __init__(self, module: ir.Module, number: types.Float) -> None:
        self.number = {32: ir.FloatType(), 64: ir.DoubleType()}[number.bitwidth]
        self.name = f"f{number.bitwidth}"
        self.align = number.bitwidth // 8  # only that of a number: tiles start anywhere
        self.lanes = BYTES // self.align
        self.type = ir.VectorType(self.number, self.lanes)
        # llvm.fmuladd is one instruction where the CPU has it, and two where it has not.
        # (llvm.fma would then call a library function for every number.)
        name = f"llvm.fmuladd.v{self.lanes}{self.name}"
        signature = ir.FunctionType(self.type, [self.type] * 3)
        self.multiply_add = module.globals.get(name) or ir.Function(module, signature, name)

    def constant(self, value: float) -> ir.Constant:
        return ir.Constant(self.type, [float(value)] * self.lanes)

    def at(self, b: ir.IRBuilder, base: ir.Value, position: ir.Value, kind: ir.Type) -> ir.Value:
        return b.bitcast(b.gep(base, [position]), kind.as_pointer())

    def load(self, b: ir.IRBuilder, base: ir.Value, position: ir.Value) -> ir.Value:
        value = b.load(self.at(b, base, position, self.type))
        value.align = self.align
        return value

    def store(self, b: ir.IRBuilder, value: ir.Value, base: ir.Value, position: ir.Value) -> None:
        b.store(value, self.at(b, base, position, self.type)).align = self.align

    def broadcast(self, b: ir.IRBuilder, base: ir.Value, position: ir.Value) -> ir.Value:
        number = b.load(b.gep(base, [position]))
        nothing = ir.Constant(self.type, ir.Undefined)
        one = b.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return b.shuffle_vector(one, nothing, everywhere)


class Loop:
    """`while index < count`, with values carried from round to round (phi nodes)."""

    def __init__(self, function: ir.Function, b: ir.IRBuilder, count: ir.Value, carried: list):
        self.body = function.append_basic_block("body")
        self.count = count
        before = b.block
        b.branch(self.body)
        b.position_at_end(self.body)
        self.index = b.phi(INT)
        self.index.add_incoming(constant(0), before)
        self.carried = []
        for value in carried:
            phi = b.phi(value.type)
            phi.add_incoming(value, before)
            self.carried.append(phi)

    def close(self, function: ir.Function, b: ir.IRBuilder, carried: list) -> None:
        following = b.add(self.index, constant(1))
        self.index.add_incoming(following, b.block)
        for phi, value in zip(self.carried, carried, strict=True):
            phi.add_incoming(value, b.block)
        after = function.append_basic_block("after")
        b.cbranch(b.icmp_signed("<", following, self.count), self.body, after)
        b.position_at_end(after)


def _tile_function(module: ir.Module, number: types.Float, vectors: int) -> ir.Function:
    """void tile(a, row, a_outer, a_step, b, b_step, c, c_row, outer, inner, accumulate)."""
    v = Vectors(module, number)
    name = f"tinynet_tile_{v.name}_{ROWS}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer = v.number.as_pointer()
    arguments = [pointer, INT.as_pointer(), INT, INT, pointer, INT, pointer] + [INT] * 4
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")  # inlined, LLVM would mix it with its caller and spill
    a, row, a_outer, a_step, b_panel, b_step, c, c_row, outer, inner, accumulate = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    rows = [builder.load(builder.gep(row, [constant(i)])) for i in range(ROWS)]
    places = [
        builder.add(builder.mul(c_row, constant(i)), constant(j * v.lanes))
        for i in range(ROWS)
        for j in range(vectors)
    ]

    # The sums start at c, or at 0 if c holds nothing yet.
    entry = builder.block
    resume = function.append_basic_block("resume")
    start = function.append_basic_block("start")
    builder.cbranch(builder.icmp_signed("!=", accumulate, constant(0)), resume, start)
    builder.position_at_end(resume)
    before = [v.load(builder, c, place) for place in places]
    builder.branch(start)
    builder.position_at_end(start)
    sums: list[Any] = []
    for value in before:
        phi = builder.phi(v.type)
        phi.add_incoming(ir.Constant(v.type, [0.0] * v.lanes), entry)
        phi.add_incoming(value, resume)
        sums.append(phi)

    over = Loop(function, builder, outer, [*sums, b_panel])
    a_line = builder.gep(a, [builder.mul(over.index, a_outer)])
    # One pointer walks along a, and the rows are offsets from it: that many walking pointers
    # would not fit the CPU's sixteen integer registers.
    along = Loop(function, builder, inner, [*over.carried, a_line])
    *sums, b_here, a_here = along.carried
    b_vectors = [v.load(builder, b_here, constant(j * v.lanes)) for j in range(vectors)]
    for i in range(ROWS):
        number_of_a = v.broadcast(builder, a_here, rows[i])
        for j in range(vectors):
            place = i * vectors + j
            sums[place] = builder.call(v.multiply_add, [number_of_a, b_vectors[j], sums[place]])
    b_next = builder.gep(b_here, [b_step])
    a_next = builder.gep(a_here, [a_step])
    along.close(function, builder, [*sums, b_next, a_next])
    over.close(function, builder, [*sums, b_next])
    for value, place in zip(sums, places, strict=True):
        v.store(builder, value, c, place)
    builder.ret_void()
    return function


def _places_function(module: ir.Module, number: types.Float, vectors: int) -> ir.Function:
    """void places(a, row, a_place, b, b_place, c, c_row, start, start_row, count, tiles)."""
    v = Vectors(module, number)
    name = f"tinynet_places_{v.name}_{ROWS}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer, table = v.number.as_pointer(), INT.as_pointer()
    arguments = [pointer, table, table, pointer, table, pointer, table, pointer, INT, INT, INT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    a, row, a_place, b, b_place, c, c_row, start, start_row, count, tiles = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    over = Loop(function, builder, tiles, [row, c_row, start])
    row, c_row, start = over.carried
    rows = [builder.gep(a, [builder.load(builder.gep(row, [constant(i)]))]) for i in range(ROWS)]
    starts = []
    for i in range(ROWS):
        line = builder.gep(start, [builder.mul(start_row, constant(i))])
        starts += [v.load(builder, line, constant(j * v.lanes)) for j in range(vectors)]
    loop = Loop(function, builder, count, starts)
    sums = list(loop.carried)
    there = builder.load(builder.gep(a_place, [loop.index]))
    line = builder.gep(b, [builder.load(builder.gep(b_place, [loop.index]))])
    b_vectors = [v.load(builder, line, constant(j * v.lanes)) for j in range(vectors)]
    for i in range(ROWS):
        number_of_a = v.broadcast(builder, rows[i], there)
        for j in range(vectors):
            place = i * vectors + j
            sums[place] = builder.call(v.multiply_add, [number_of_a, b_vectors[j], sums[place]])
    loop.close(function, builder, sums)
    for i in range(ROWS):
        to = builder.gep(c, [builder.load(builder.gep(c_row, [constant(i)]))])
        for j in range(vectors):
            v.store(builder, sums[i * vectors + j], to, constant(j * v.lanes))
    following = [builder.gep(table, [constant(ROWS)]) for table in (row, c_row)]
    following.append(builder.gep(start, [builder.mul(start_row, constant(ROWS))]))
    over.close(function, builder, following)
    builder.ret_void()
    return function


def _copy_function(module: ir.Module, number: types.Float, vectors: int) -> ir.Function:
    """void copy(source, start, count, panel): panel[k, :] = source[start[k] :]."""
    v = Vectors(module, number)
    name = f"tinynet_copy_{v.name}_{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer = v.number.as_pointer()
    arguments = [pointer, INT.as_pointer(), INT, pointer]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    source, start, count, panel = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    loop = Loop(function, builder, count, [panel])
    (here,) = loop.carried
    line = builder.gep(source, [builder.load(builder.gep(start, [loop.index]))])
    for j in range(vectors):
        place = constant(j * v.lanes)
        v.store(builder, v.load(builder, line, place), here, place)
    loop.close(function, builder, [builder.gep(here, [constant(vectors * v.lanes)])])
    builder.ret_void()
    return function


def _rows_function(module: ir.Module, number: types.Float, rows: int) -> ir.Function:
    """void rows(a, a_row, b, b_row, c, c_row, steps, accumulate)."""
    v = Vectors(module, number)
    name = f"tinynet_rows_{v.name}_{rows}x{DOT_COLUMNS}"
    if name in module.globals:
        return module.globals[name]
    pointer = v.number.as_pointer()
    arguments = [pointer, INT.as_pointer(), pointer, INT.as_pointer(), pointer, INT, INT, INT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    a, a_row, b, b_row, c, c_row, steps, accumulate = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))

    def starts(base: ir.Value, row: ir.Value, count: int) -> list[ir.Value]:
        places = [builder.load(builder.gep(row, [constant(i)])) for i in range(count)]
        return [builder.gep(base, [place]) for place in places]

    a_rows, b_rows = starts(a, a_row, rows), starts(b, b_row, DOT_COLUMNS)
    zero = ir.Constant(v.type, [0.0] * v.lanes)
    loop = Loop(function, builder, steps, [zero] * (rows * DOT_COLUMNS))
    sums = list(loop.carried)
    k = builder.mul(loop.index, constant(v.lanes))
    a_vectors = [v.load(builder, start, k) for start in a_rows]
    for j, start in enumerate(b_rows):
        b_vector = v.load(builder, start, k)
        for i in range(rows):
            place = i * DOT_COLUMNS + j
            sums[place] = builder.call(v.multiply_add, [a_vectors[i], b_vector, sums[place]])
    loop.close(function, builder, sums)
    totals = [
        _lanes_added(builder, sums[i : i + DOT_COLUMNS]) for i in range(0, len(sums), DOT_COLUMNS)
    ]
    places = [
        builder.bitcast(
            builder.gep(c, [builder.mul(c_row, constant(i))]), totals[i].type.as_pointer()
        )
        for i in range(rows)
    ]
    with builder.if_else(builder.icmp_signed("!=", accumulate, constant(0))) as (more, first):
        with more:
            for total, place in zip(totals, places, strict=True):
                before = builder.load(place)
                before.align = v.align
                builder.store(builder.fadd(before, total), place).align = v.align
        with first:
            for total, place in zip(totals, places, strict=True):
                builder.store(total, place).align = v.align
    builder.ret_void()
    return function


def _lanes_added(b: ir.IRBuilder, vectors: list[ir.Value]) -> ir.Value:
    """One vector of the sums of each vector's lanes; they are a power of two.

    A step makes one vector of two, in which the lanes of both alternate; each lane holds the sum
    of two of theirs.
    """
    lanes, distance = vectors[0].type.count, 1

    def shuffled(x: ir.Value, y: ir.Value, picked: list[int]) -> ir.Value:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(picked)), picked)
        return b.shuffle_vector(x, y, mask)

    while len(vectors) > 1 and distance < lanes:
        first = [(i & ~distance) + (lanes if i & distance else 0) for i in range(lanes)]
        vectors = [
            b.fadd(shuffled(x, y, first), shuffled(x, y, [i + distance for i in first]))
            for x, y in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        distance *= 2
    while len(vectors) > 1:  # more vectors than lanes: they hold sums already
        vectors = [
            shuffled(x, y, list(range(2 * x.type.count)))
            for x, y in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    (total,) = vectors
    while distance < lanes:
        half = total.type.count // 2
        low, high = list(range(half)), list(range(half, 2 * half))
        total = b.fadd(shuffled(total, total, low), shuffled(total, total, high))
        lanes //= 2
    return total


def _call_for_size(
    builder: ir.IRBuilder,
    emit: Callable[[ir.Module, types.Float, int], ir.Function],
    sizes: Iterable[int],
    number: types.Float,
    size: ir.Value,
    arguments: list,
) -> None:
    """Call the version for this size of the tile: it must be known when code is made."""
    for one in sizes:
        with builder.if_then(builder.icmp_signed("==", size, constant(one))):
            builder.call(emit(builder.module, number, one), arguments)


def address(context: Any, builder: ir.IRBuilder, array: Any, value: Any, start: Any) -> Any:
    data = cgutils.create_struct_proxy(array)(context, builder, value).data
    return builder.gep(data, [start])


@intrinsic
def multiply_tile(
    typing, vectors, a, a_start, row, first_row, a_outer, a_step, b, b_start, b_step,
    c, c_start, c_row, outer, inner, accumulate,
):  # fmt: skip
    """The formula at the top, on arrays of any shape: only their data pointers are used.

    The ROWS positions of `row` from first_row on are taken. outer and inner must be at least 1.
    c is written, or added to if accumulate is not 0.
    """
    n = types.int64
    signature = types.void(n, a, n, row, n, n, n, b, n, n, c, n, n, n, n, n)

    def codegen(context, builder, signature, values):
        kinds = signature.args
        vectors, a, a_start, row, first_row, a_outer, a_step, b, b_start, b_step, *rest = values
        c, c_start, c_row, outer, inner, accumulate = rest
        arguments = [
            address(context, builder, kinds[1], a, a_start),
            address(context, builder, kinds[3], row, first_row),
            a_outer,
            a_step,
            address(context, builder, kinds[7], b, b_start),
            b_step,
            address(context, builder, kinds[10], c, c_start),
            c_row,
            outer,
            inner,
            accumulate,
        ]
        _call_for_size(builder, _tile_function, WIDTHS, kinds[10].dtype, vectors, arguments)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def multiply_places(
    typing, vectors, a, a_start, row, a_place, b, b_start, b_place,
    c, c_start, c_row, start, start_start, start_row, first, count, tiles,
):  # fmt: skip
    """Tiles of short sums, each in one loop, and straight to where they belong:

    c[c_row[i] + j] = start[i start_row + j]
                      + sum over k of a[row[i] + a_place[k]] b[b_place[k] + j]

    for the ROWS rows i of each tile and first <= k < first + count; count and tiles are at least 1.
    Rows may repeat one another.
    """
    n = types.int64
    signature = types.void(n, a, n, row, a_place, b, n, b_place, c, n, c_row, start, n, n, n, n, n)

    def codegen(context, builder, signature, values):
        kinds = signature.args
        vectors, a, a_start, row, a_place, b, b_start, b_place, *rest = values
        c, c_start, c_row, start, start_start, start_row, first, count, tiles = rest
        arguments = [
            address(context, builder, kinds[1], a, a_start),
            address(context, builder, kinds[3], row, constant(0)),
            address(context, builder, kinds[4], a_place, first),
            address(context, builder, kinds[5], b, b_start),
            address(context, builder, kinds[7], b_place, first),
            address(context, builder, kinds[8], c, c_start),
            address(context, builder, kinds[10], c_row, constant(0)),
            address(context, builder, kinds[11], start, start_start),
            start_row,
            count,
            tiles,
        ]
        _call_for_size(builder, _places_function, WIDTHS, kinds[8].dtype, vectors, arguments)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_panel(typing, vectors, source, source_start, start, count, panel, panel_start):
    """panel[k, :] = source[source_start + start[k] :][: vectors lanes] for k < count (at least 1).

    Whole vectors are read and written: both arrays need room for them.
    """
    n = types.int64
    signature = types.void(n, source, n, start, n, panel, n)

    def codegen(context, builder, signature, values):
        kinds = signature.args
        vectors, source, source_start, start, count, panel, panel_start = values
        arguments = [
            address(context, builder, kinds[1], source, source_start),
            address(context, builder, kinds[3], start, constant(0)),
            count,
            address(context, builder, kinds[5], panel, panel_start),
        ]
        _call_for_size(builder, _copy_function, WIDTHS, kinds[5].dtype, vectors, arguments)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def multiply_rows(
    typing, rows, a, a_start, a_row, b, b_start, b_row, c, c_start, c_row, steps, accumulate
):
    """c[i, j] (+)= sum over k < steps lanes of a[a_start + a_row[i] + k] b[b_start + b_row[j] + k].

    For `rows` (1 or DOT_ROWS) rows i and DOT_COLUMNS columns j; steps must be at least 1.
    """
    n = types.int64
    signature = types.void(n, a, n, a_row, b, n, b_row, c, n, n, n, n)

    def codegen(context, builder, signature, values):
        kinds = signature.args
        rows, a, a_start, a_row, b, b_start, b_row, c, c_start, *rest = values
        arguments = [
            address(context, builder, kinds[1], a, a_start),
            address(context, builder, kinds[3], a_row, constant(0)),
            address(context, builder, kinds[4], b, b_start),
            address(context, builder, kinds[6], b_row, constant(0)),
            address(context, builder, kinds[7], c, c_start),
            *rest,
        ]
        number = kinds[7].dtype
        _call_for_size(builder, _rows_function, (1, DOT_ROWS), number, rows, arguments)
        return context.get_dummy_value()

    return signature, codegen
