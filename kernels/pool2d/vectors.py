"""The inner loops of max pooling as vector code, for both orders in memory.

Outputs that lie side by side meet their windows at the same distances: with channels innermost the
channels of one output, otherwise the outputs of one row. So a table says how far each position of
the window is from the first, and vectors of outputs go through it together:

    y[j] = max over i of x[place[i] + j step],    offset[j] = code[i] of the winner

What is the largest so far, and its code, stay in the CPU's registers; Numba would write them to
memory for each position. Backward is the other way round: a pixel collects from the windows that
it has won,

    dx[j] = sum over i of dy[place[i] + j] where offset[place[i] + j] = code[i]
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..microkernel import INT, Loop, Vectors, address, constant

BYTE = ir.IntType(8)
INDEX = ir.IntType(32)


class _Lanes(Vectors):
    """Vectors of numbers and the vectors of codes beside them; of one number for what is left."""

    def __init__(self, module: ir.Module, number: types.Float, whole: bool) -> None:
        super().__init__(module, number)
        self.lanes = self.lanes if whole else 1
        self.type = ir.VectorType(self.number, self.lanes)
        # As wide as the numbers, so that one comparison selects both; bytes only in memory.
        self.codes = ir.VectorType(ir.IntType(number.bitwidth), self.lanes)
        self.bytes = ir.VectorType(BYTE, self.lanes)

    def spread(self, b: ir.IRBuilder, number: ir.Value, kind: ir.Type) -> ir.Value:
        """The number in every lane."""
        nothing = ir.Constant(kind, ir.Undefined)
        one = b.insert_element(nothing, number, ir.Constant(INDEX, 0))
        everywhere = ir.Constant(ir.VectorType(INDEX, self.lanes), [0] * self.lanes)
        return b.shuffle_vector(one, nothing, everywhere)

    def code(self, b: ir.IRBuilder, codes: ir.Value, i: ir.Value) -> ir.Value:
        return self.spread(b, b.zext(b.load(b.gep(codes, [i])), self.codes.element), self.codes)

    def load_codes(self, b: ir.IRBuilder, base: ir.Value, position: ir.Value) -> ir.Value:
        value = b.load(self.at(b, base, position, self.bytes))
        value.align = 1
        return b.zext(value, self.codes)

    def store_codes(self, b: ir.IRBuilder, value: ir.Value, base: Any, position: Any) -> None:
        b.store(b.trunc(value, self.bytes), self.at(b, base, position, self.bytes)).align = 1

    def load_apart(self, b: ir.IRBuilder, base: ir.Value, step: int | ir.Value) -> ir.Value:
        """Numbers that lie `step` apart; nothing beyond the last is touched."""
        if step == 1 or self.lanes == 1:
            return self.load(b, base, constant(0))
        if step == 2:
            n = self.lanes  # the even ones of 2 n - 1 numbers, the middle one of which comes twice
            low, high = self.load(b, base, constant(0)), self.load(b, base, constant(n - 1))
            even = [*range(0, n, 2), *range(n + 1, 2 * n, 2)]
            return b.shuffle_vector(low, high, ir.Constant(ir.VectorType(INDEX, n), even))
        value = ir.Constant(self.type, ir.Undefined)
        for i in range(self.lanes):
            number = b.load(b.gep(base, [b.mul(step, constant(i))]))
            value = b.insert_element(value, number, ir.Constant(INDEX, i))
        return value


def _over_outputs(
    builder: ir.IRBuilder, whole: ir.Function, single: ir.Function, lanes: int, count: ir.Value
) -> None:
    """Call `whole` on vectors of outputs, the last of which may overlap, `single` on fewer."""
    function = builder.function
    fits = builder.icmp_signed(">=", count, constant(lanes))
    with builder.if_else(fits) as (many, few):
        with many:
            vectors = builder.sdiv(builder.add(count, constant(lanes - 1)), constant(lanes))
            loop = Loop(function, builder, vectors, [])
            last = builder.sub(count, constant(lanes))
            at = builder.mul(loop.index, constant(lanes))
            at = builder.select(builder.icmp_signed("<", at, last), at, last)
            builder.call(whole, [*function.args[:-1], at])
            loop.close(function, builder, [])
        with few, cgutils.for_range(builder, count) as one:
            builder.call(single, [*function.args[:-1], one.index])
    builder.ret_void()


def _function(
    module: ir.Module, name: str, kinds: list, emit: Callable[[ir.IRBuilder, list], None]
) -> ir.Function:
    """The module's function of this name."""
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit(builder, list(function.args))
    return function


def _largest(module: ir.Module, number: types.Float, step: int) -> ir.Function:
    """void largest(x, step, place, code, count, y, offset, outputs); step 0 stands for any."""
    whole = _Lanes(module, number, True)
    name = f"tinynet_largest_{whole.name}_{step}"
    pointer = whole.number.as_pointer()
    kinds = [pointer, INT, INT.as_pointer(), BYTE.as_pointer(), INT, pointer, BYTE.as_pointer()]

    def part(v: _Lanes) -> Callable[[ir.IRBuilder, list], None]:
        def emit(b: ir.IRBuilder, arguments: list) -> None:
            x, apart, place, code, count, y, offset, at = arguments
            x = b.gep(x, [b.mul(at, apart)])

            def pixel(i: ir.Value) -> ir.Value:
                return v.load_apart(b, b.gep(x, [b.load(b.gep(place, [i]))]), step or apart)

            first = [pixel(constant(0)), v.code(b, code, constant(0)), constant(1)]
            entry, body, after = (
                b.block,
                b.function.append_basic_block("body"),
                b.function.append_basic_block("after"),
            )
            more = b.icmp_signed(">", count, constant(1))
            b.cbranch(more, body, after)
            b.position_at_end(body)
            best, won, i = (b.phi(value.type) for value in first)
            value = pixel(i)
            # Larger, or the first NaN, which then stays.
            better = b.and_(b.fcmp_unordered(">", value, best), b.fcmp_ordered("==", best, best))
            new = [b.select(better, value, best), b.select(better, v.code(b, code, i), won)]
            new.append(b.add(i, constant(1)))
            for phi, start, following in zip((best, won, i), first, new, strict=True):
                phi.add_incoming(start, entry)
                phi.add_incoming(following, body)
            b.cbranch(b.icmp_signed("<", new[2], count), body, after)
            b.position_at_end(after)
            results = [b.phi(v.type), b.phi(v.codes)]
            for phi, start, last in zip(results, first[:2], new[:2], strict=True):
                phi.add_incoming(start, entry)
                phi.add_incoming(last, body)
            v.store(b, results[0], y, at)
            v.store_codes(b, results[1], offset, at)
            b.ret_void()

        return emit

    def emit(b: ir.IRBuilder, arguments: list) -> None:
        several, single = (
            _function(module, f"{name}_{v.lanes}", [*kinds, INT], part(v))
            for v in (whole, _Lanes(module, number, False))
        )
        _over_outputs(b, several, single, whole.lanes, arguments[-1])

    return _function(module, name, [*kinds, INT], emit)


def _collected(module: ir.Module, number: types.Float) -> ir.Function:
    """void collected(dy, offset, place, code, count, dx, outputs)."""
    whole = _Lanes(module, number, True)
    name = f"tinynet_collected_{whole.name}"
    pointer = whole.number.as_pointer()
    kinds = [pointer, BYTE.as_pointer(), INT.as_pointer(), BYTE.as_pointer(), INT, pointer]

    def part(v: _Lanes) -> Callable[[ir.IRBuilder, list], None]:
        def emit(b: ir.IRBuilder, arguments: list) -> None:
            dy, offset, place, code, count, dx, at = arguments
            nothing = v.constant(0.0)

            def share(i: ir.Value) -> ir.Value:
                here = b.add(b.load(b.gep(place, [i])), at)
                won = b.icmp_unsigned("==", v.load_codes(b, offset, here), v.code(b, code, i))
                return b.select(won, v.load(b, dy, here), nothing)

            loop = Loop(b.function, b, count, [nothing])
            total = b.fadd(loop.carried[0], share(loop.index))
            loop.close(b.function, b, [total])
            v.store(b, total, dx, at)
            b.ret_void()

        return emit

    def emit(b: ir.IRBuilder, arguments: list) -> None:
        several, single = (
            _function(module, f"{name}_{v.lanes}", [*kinds, INT], part(v))
            for v in (whole, _Lanes(module, number, False))
        )
        _over_outputs(b, several, single, whole.lanes, arguments[-1])

    return _function(module, name, [*kinds, INT], emit)


@intrinsic
def largest(
    typing, x, x_start, step, place, code, count, y, y_start, offset, offset_start, outputs
):  # fmt: skip
    """The first formula at the top, for `outputs` outputs and `count` positions, both at least 1.

    The first of equal values wins, and the first NaN. y and offset are written side by side.
    """
    n = types.int64
    signature = types.void(x, n, n, place, code, n, y, n, offset, n, n)

    def codegen(context, builder, signature, values):
        kinds = signature.args
        x, x_start, step, place, code, count, y, y_start, offset, offset_start, outputs = values
        arguments = [
            address(context, builder, kinds[0], x, x_start),
            step,
            address(context, builder, kinds[3], place, constant(0)),
            address(context, builder, kinds[4], code, constant(0)),
            count,
            address(context, builder, kinds[6], y, y_start),
            address(context, builder, kinds[8], offset, offset_start),
            outputs,
        ]
        functions = {n: _largest(builder.module, kinds[6].dtype, n) for n in (1, 2, 0)}
        done = builder.append_basic_block("done")
        other = builder.append_basic_block("other")
        switch = builder.switch(step, other)
        for known, function in functions.items():
            block = builder.append_basic_block("step") if known else other
            if known:
                switch.add_case(constant(known), block)
            builder.position_at_end(block)
            builder.call(function, arguments)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def collected(typing, dy, offset, start, place, code, count, dx, dx_start, outputs):
    """The second formula, for `outputs` pixels of dx and `count` windows, both at least 1."""
    n = types.int64
    signature = types.void(dy, offset, n, place, code, n, dx, n, n)

    def codegen(context, builder, signature, values):
        kinds = signature.args
        dy, offset, start, place, code, count, dx, dx_start, outputs = values
        arguments = [
            address(context, builder, kinds[0], dy, start),
            address(context, builder, kinds[1], offset, start),
            address(context, builder, kinds[3], place, constant(0)),
            address(context, builder, kinds[4], code, constant(0)),
            count,
            address(context, builder, kinds[6], dx, dx_start),
            outputs,
        ]
        builder.call(_collected(builder.module, kinds[6].dtype), arguments)
        return context.get_dummy_value()

    return signature, codegen
