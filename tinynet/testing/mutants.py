"""Derivatives broken on purpose, to prove that the checks would notice.

    pullbacks   each pullback of each operation, wrapped as it is recorded: sign, factor, deleted,
                one element off by 1 %, ... (`KINDS`)
    formulas    each pullback's source, edited: a term or factor dropped, a sign or constant changed
    kernels     each backend's gradient kernels, wrapped as above
    sources     the reference gradient kernels' source, edited: = for +=, an index off by one, ...

A mutant is caught if a row of `operations` that runs the broken code does not pass, or raises. One
that computes the same as before is no mistake and no check can see it: `EQUIVALENT` lists those,
each with its proof. Every other mutant must be caught, and a test says so.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tinynet.kernels as kernels

from ..autograd import engine
from ..autograd.gradcheck import GradcheckError
from ..autograd.gradcheck.problem import as_tuple, is_differentiable
from ..autograd.mode import no_grad
from ..autograd.tape import wrap
from .operations import NUMPY, OPERATIONS, Operation, covered_by, discover, observed

ROWS = 12  # the most rows that are tried on a mutant, cheapest first


class Watch:
    """Whether a mutant has changed anything."""

    changed = False


@dataclass(frozen=True)
class Mutant:
    """One broken derivative: where it is broken, how, and the checks that ought to notice."""

    suite: str
    name: str
    broken: Callable[[Watch], AbstractContextManager[None]]
    checks: tuple[tuple[Operation, int, str], ...]  # (row, order, backend)
    always: bool = (
        True  # it acts wherever the derivative is not 0, or is an edit that is taken to act
    )

    def run(self) -> str:
        """ "caught", "survived", or "idle" if it changed nothing in any of its checks."""
        watch = Watch()
        for row, order, backend in self.checks:
            with self.broken(watch):
                if not self.always and not watch.changed:
                    _probe(row, order, backend)
                    if not watch.changed:  # the damage does not apply to this row
                        continue
                try:
                    passed = bool(row.check(order, backend))
                except (GradcheckError, ArithmeticError, LookupError, NameError):
                    passed = False
                except (
                    RuntimeError,
                    TypeError,
                    ValueError,
                    AttributeError,
                    np.exceptions.AxisError,
                ):
                    passed = False
            if not passed:
                return "caught"
        return "survived" if watch.changed or self.suite in ("formulas", "sources") else "idle"


def _probe(row: Operation, order: int, backend: str) -> None:
    """Differentiate the row once, unchecked: cheap, and enough to see whether a mutant acts."""
    random = np.random.default_rng(0)
    with kernels.use(None if backend == NUMPY else backend):
        given = row.inputs()
        inputs = [x for x in given if x.requires_grad]
        outputs: Any = as_tuple(row.call(*given))
        for step in range(order):
            outputs = [y for y in outputs if is_differentiable(y)]
            if not outputs:
                return
            vs = [wrap(random.standard_normal(y.array.shape)) for y in outputs]
            if step + 1 < order:
                inputs += [v.requires_grad_() for v in vs]
            outputs = engine.grad(
                outputs,
                [x for x in inputs if not any(x is v for v in vs)],
                vs,
                create_graph=step + 1 < order,
                materialize_grads=True,
            )


@dataclass
class Tally:
    """How the mutants of the suites fared."""

    caught: dict[str, int] = field(default_factory=dict)  # suite -> how many
    survived: list[str] = field(default_factory=list)
    equivalent: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All mutants that are mistakes."""
        return sum(self.caught.values()) + len(self.survived)

    def text(self) -> str:
        """A sentence with the figures."""
        parts = ", ".join(f"{n} {suite}" for suite, n in self.caught.items())
        return (
            f"{sum(self.caught.values())} of {self.total} mutants caught ({parts}); "
            f"{len(self.equivalent)} equivalent ones set aside"
        )


def tally(mutants: Iterable[Mutant]) -> Tally:
    """Run the mutants and count."""
    result = Tally()
    for mutant in mutants:
        if mutant.name in EQUIVALENT:
            result.equivalent.append(mutant.name)
            continue
        verdict = mutant.run()
        if verdict == "caught":
            result.caught[mutant.suite] = result.caught.get(mutant.suite, 0) + 1
        elif verdict == "survived" or mutant.always:
            result.survived.append(mutant.name)
    return result


# --------------------------------------------------------------------------- pullbacks, as recorded

Pull = Callable[[Any], Any]


def _element(pull: Pull, dy: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """The largest element of the gradient off by 1 %."""
    with no_grad():
        noise = np.random.default_rng(0).standard_normal(dy.array.shape)
        probe = np.abs(pull(wrap(noise.astype(dy.array.dtype))).array)
    mask = np.ones(probe.shape)
    if probe.size:
        mask[np.unravel_index(np.argmax(probe), probe.shape)] = 1.01
    return g * wrap(mask.astype(g.array.dtype))


def _first_only(pull: Pull, dy: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """Only the first of the batch sends a gradient back."""
    if dy.array.ndim == 0 or len(dy.array) < 2:
        return g
    mask = np.zeros((len(dy.array), *(1,) * (dy.array.ndim - 1)))
    mask[0] = 1
    return pull(dy * wrap(mask.astype(dy.array.dtype)))


def _transposed(pull: Pull, dy: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """The last two axes exchanged, where they have one size."""
    square = g.array.ndim > 1 and g.array.shape[-1] == g.array.shape[-2]
    return g.transpose(-1, -2) if square else g


def _flipped(pull: Pull, dy: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """The last axis reversed."""
    return g.flip(-1) if g.array.ndim else g


def _unsummed(pull: Pull, dy: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """Broadcasting undone with a slice where a sum belongs."""
    extra = g.array.ndim - len(shape)
    if g.array.shape == shape or extra < 0:
        return g
    for _ in range(extra):
        g = g[0]
    for axis, n in enumerate(shape):
        if g.array.shape[axis] != n:
            g = g.narrow(axis, 0, 1)
    return g


KINDS: dict[str, Callable[[Pull, Any, Any, tuple[int, ...]], Any]] = {
    "sign": lambda pull, dy, g, shape: -g,
    "factor": lambda pull, dy, g, shape: g * 2,
    "deleted": lambda pull, dy, g, shape: g * 0,
    "element": _element,
    "offset": lambda pull, dy, g, shape: g + 1e-3,
    "batch": _first_only,
    "transposed": _transposed,
    "flipped": _flipped,
    "unsummed": _unsummed,
}
ALWAYS = ("sign", "factor", "deleted", "element", "offset")


def _damaged(pullback: Any, kind: str, shape: tuple[int, ...], watch: Watch) -> Any:
    """The pullback with its gradient damaged; it takes the output if the original does."""
    damage = KINDS[kind]

    def spoil(pull: Pull, dy: Any) -> Any:
        g = pull(dy)
        bad = damage(pull, dy, g, shape)
        if bad.array.shape != g.array.shape or not np.array_equal(bad.array, g.array):
            watch.changed = True
        return bad

    if pullback.__code__.co_argcount == 2:
        return lambda dy, y: spoil(lambda v: pullback(v, y), dy)
    return lambda dy: spoil(pullback, dy)


def _damaged_joint(pullback: Any, k: int, kind: str, watch: Watch) -> Any:
    """The same for a pullback that yields the gradients of all inputs."""
    damage = KINDS[kind]

    def spoiled(*dys: Any) -> Any:
        given = list(pullback(*dys))
        if given[k] is not None:
            before = given[k]
            given[k] = damage(
                lambda v: pullback(v, *dys[1:])[k], dys[0], before, before.array.shape
            )
            if not np.array_equal(given[k].array, before.array):
                watch.changed = True
        return tuple(given)

    return spoiled


@contextmanager
def broken_pullback(operation: Any, k: int, kind: str, watch: Watch) -> Iterator[None]:
    """Within the block, the operation's k-th gradient is wrong in the way `kind` says."""

    def see(recorded: Any, inputs: Any, pullbacks: Any, result: Any) -> Any:
        if recorded is not operation or k >= len(inputs) or inputs[k] is None:
            return pullbacks
        if not isinstance(pullbacks, tuple | list):
            return _damaged_joint(pullbacks, k, kind, watch)
        if pullbacks[k] is None:
            return pullbacks
        changed = list(pullbacks)
        changed[k] = _damaged(pullbacks[k], kind, inputs[k].array.shape, watch)
        return tuple(changed)

    with observed(see):
        yield


@cache
def _coverage() -> dict[int, tuple[tuple[Operation, int, str], ...]]:
    """id of an operation -> the checks that run it, order 1 before order 2, small before large."""
    found: dict[int, list[tuple[int, int, Operation]]] = {}
    for row in OPERATIONS:
        first: set[int] = set()
        cost = sum(x.numel() for x in row.inputs())
        for order in row.orders:
            for operation in covered_by(row, order):
                if id(operation) not in first:
                    found.setdefault(id(operation), []).append((order, cost, row))
                first.add(id(operation))
    return {
        key: tuple(
            (row, order, row.backends[-1])
            for order, _, row in sorted(rows, key=lambda r: (r[0], r[1]))[:ROWS]
        )
        for key, rows in found.items()
    }


@cache
def _wanted() -> dict[int, set[int]]:
    """id of an operation -> which of its inputs have a pullback in some row."""
    found: dict[int, set[int]] = {}

    def see(operation: Any, inputs: Any, pullbacks: Any, result: Any) -> Any:
        for k, x in enumerate(inputs):
            given = not isinstance(pullbacks, tuple | list) or pullbacks[k] is not None
            if x is not None and x.requires_grad and given:
                found.setdefault(id(operation), set()).add(k)
        return pullbacks

    for row in OPERATIONS:
        with observed(see):
            covered_by(row, max(row.orders))
    return found


def pullback_mutants() -> Iterator[Mutant]:
    """Every kind of damage to every pullback of every operation."""
    for name, operation in discover().items():
        for k in sorted(_wanted().get(id(operation), ())):
            for kind in KINDS:
                yield Mutant(
                    "pullbacks",
                    f"{name}, input {k}: {kind}",
                    lambda watch, o=operation, k=k, kind=kind: broken_pullback(o, k, kind, watch),  # type: ignore[misc]
                    _coverage().get(id(operation), ()),
                    kind in ALWAYS,
                )


# ----------------------------------------------------------------------------------- edited sources


class _Edit(ast.NodeTransformer):
    """Makes the n-th possible edit of the code in its reach; `made` says what it did."""

    def __init__(self, n: int, inside: bool) -> None:
        self.n, self.count, self.made = n, 0, ""
        self.inside = inside  # False: only lambdas and nested functions are in reach
        self.depth = 0
        self.parents: list[ast.AST] = []

    def _edits(self, node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
        """(what it is, the edited node) for each way to break this node."""
        text = ast.unparse(node)
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Add | ast.Sub):
                yield f"{text} -> {ast.unparse(node.left)}", node.left
                if isinstance(node.op, ast.Add):
                    yield f"{text} -> {ast.unparse(node.right)}", node.right
                other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
                edited = ast.BinOp(node.left, other, node.right)
                yield f"{text} -> {ast.unparse(edited)}", edited
            elif isinstance(node.op, ast.Mult | ast.Div):
                yield f"{text} -> {ast.unparse(node.left)}", node.left
                if isinstance(node.op, ast.Mult):
                    yield f"{text} -> {ast.unparse(node.right)}", node.right
                else:
                    edited = ast.BinOp(node.left, ast.Mult(), node.right)
                    yield f"{text} -> {ast.unparse(edited)}", edited
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Invert):
            yield f"{text} -> {ast.unparse(node.operand)}", node.operand
        elif isinstance(node, ast.AugAssign):
            edited_statement = ast.Assign([copy.deepcopy(node.target)], node.value)
            ast.fix_missing_locations(edited_statement)
            yield f"{text} -> =", edited_statement
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            if isinstance(node.value, bool):
                return
            context = ast.unparse(self.parents[-1])
            yield f"{text} -> {node.value + 1} in {context}", ast.Constant(node.value + 1)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("swapaxes", "transpose", "flip", "sum", "mean")
        ):
            yield f"{text} -> {ast.unparse(node.func.value)}", node.func.value

    def visit(self, node: ast.AST) -> Any:
        nested = isinstance(node, ast.Lambda | ast.FunctionDef)
        self.depth += nested
        try:
            if (self.inside or self.depth > 1) and not self.made:
                for what, edited in self._edits(node):
                    if self.count == self.n:
                        self.made = what
                        self.count += 1
                        return ast.copy_location(edited, node)
                    self.count += 1
            if isinstance(node, ast.arguments) or _is_docstring(node):
                return node
            self.parents.append(node)
            result = self.generic_visit(node)
            self.parents.pop()
            return result
        finally:
            self.depth -= nested


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _edited(tree: ast.FunctionDef, inside: bool) -> Iterator[tuple[str, ast.FunctionDef]]:
    """(what was done, the function with it done) for each possible edit."""
    seen: dict[str, int] = {}
    n = 0
    while True:
        edit = _Edit(n, inside)
        changed = edit.visit(copy.deepcopy(tree))
        if not edit.made:
            return
        times = seen[edit.made] = seen.get(edit.made, 0) + 1
        what = edit.made if times == 1 else f"{edit.made} (no. {times})"
        yield what, ast.fix_missing_locations(changed)
        n += 1


def _compiled(tree: ast.FunctionDef, namespace: dict[str, Any]) -> Any:
    tree.decorator_list = []
    future = ast.parse("from __future__ import annotations").body
    made: dict[str, Any] = {}
    exec(compile(ast.Module([*future, tree], []), "<mutant>", "exec"), namespace, made)
    return made[tree.name]


@contextmanager
def replaced_formula(operation: Any, function: Any) -> Iterator[None]:
    """Within the block, the operation runs another function for its value and its pullbacks."""
    place = operation.__code__.co_freevars.index("function")
    cell = operation.__closure__[place]
    original = cell.cell_contents
    cell.cell_contents = function
    try:
        yield
    finally:
        cell.cell_contents = original


def formula_mutants() -> Iterator[Mutant]:
    """Every edit of every pullback's source."""
    for name, operation in discover().items():
        checks = _coverage().get(id(operation), ())
        rows = dict.fromkeys(row for row, _, _ in checks)
        twice = tuple((r, 2, r.backends[-1]) for r in rows if 2 in r.orders)
        function = operation.__wrapped__
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        for what, changed in _edited(tree, inside=False):
            edited = _compiled(changed, function.__globals__)
            yield Mutant(
                "formulas",
                f"{name}: {what}",
                lambda watch, o=operation, f=edited: replaced_formula(o, f),  # type: ignore[misc]
                tuple(dict.fromkeys((*checks, *twice))),
            )


# ------------------------------------------------------------------------------------------ kernels

GRADIENTS = {  # the kernels that compute gradients, and how many each returns
    "conv2d": {"grad_input": 1, "grad_weight": 1},
    "pool2d": {"max_backward": 1, "max_gather": 1, "avg_backward": 1},
    "batch_norm": {"backward": 3},
    "cross_entropy": {"backward": 1},
}
FAMILIES: dict[str, str | tuple[str, ...]] = {  # the rows that run them
    "conv2d": "conv2d",
    "pool2d": ("max_pool2d", "avg_pool2d"),
    "batch_norm": "batch_norm",
    "cross_entropy": "cross_entropy",
}


def _array_damage(kind: str, kernel: Any, arguments: Any, keywords: Any, g: Any) -> Any:
    """The pullbacks' kinds of damage, on arrays; None where they do not apply."""
    if kind == "batch":
        dy = arguments[0].copy()
        if len(dy) < 2:
            return None
        dy[1:] = 0
        return kernel(dy, *arguments[1:], **keywords)
    if kind == "element":
        bad = g.copy()
        bad[np.unravel_index(np.argmax(np.abs(g)), g.shape)] *= 1.01
        return bad
    if kind == "transposed":
        square = g.ndim > 1 and g.shape[-1] == g.shape[-2] > 1
        return g.swapaxes(-1, -2).copy() if square else None
    changed = {"sign": -g, "factor": 2 * g, "deleted": 0 * g, "offset": g + 1e-3}
    return np.flip(g, -1).copy() if kind == "flipped" else changed[kind]


@contextmanager
def broken_kernel(
    backend: str, family: str, name: str, part: int, kind: str, watch: Watch
) -> Iterator[None]:
    """Within the block, a backend's gradient kernel is wrong in the way `kind` says."""
    with kernels.use(backend) as chosen:
        functions = vars(getattr(chosen, family))
    original = functions[name]

    def kernel(*arguments: Any, **keywords: Any) -> Any:
        given = original(*arguments, **keywords)
        several = isinstance(given, tuple)
        parts = list(given) if several else [given]

        def alone(*a: Any, **k: Any) -> Any:
            result = original(*a, **k)
            return result[part] if several else result

        bad = _array_damage(kind, alone, arguments, keywords, parts[part])
        if bad is not None:
            watch.changed |= not np.array_equal(bad, parts[part])
            parts[part] = bad
        return tuple(parts) if several else parts[0]

    functions[name] = kernel
    try:
        yield
    finally:
        functions[name] = original


def _family_checks(family: str, backend: str) -> tuple[tuple[Operation, int, str], ...]:
    rows = [r for r in OPERATIONS if r.name.startswith(FAMILIES[family])]
    rows = [r for r in rows if r.kernels]
    rows.sort(key=lambda r: sum(x.numel() for x in r.inputs()))
    return tuple((r, order, backend) for order in (1, 2) for r in rows)


def kernel_mutants() -> Iterator[Mutant]:
    """Every kind of damage to every backend's gradient kernels."""
    for backend in kernels.BACKENDS:
        if kernels.unavailable(backend):
            continue
        for family, names in GRADIENTS.items():
            for name, parts in names.items():
                for part in range(parts):
                    for kind in KINDS:
                        if kind == "unsummed":  # kernels do not broadcast
                            continue
                        yield Mutant(
                            "kernels",
                            f"{family}.{name} on {backend}, output {part}: {kind}",
                            lambda watch, b=backend, f=family, n=name, p=part, k=kind: (  # type: ignore[misc]
                                broken_kernel(b, f, n, p, k, watch)
                            ),
                            _family_checks(family, backend),
                            kind in ALWAYS,
                        )


SOURCES = {  # module -> the functions whose source is edited: gradients and what only they rest on
    "conv2d.reference": (
        "grad_input", "grad_weight", "im2col", "col2im", "_tap", "_columns_shape", "_filters",
        "_outputs",
    ),
    "conv2d.naive": ("grad_input", "grad_weight", "_pad", "_windows"),
    "pool2d.reference": ("max_backward", "max_gather", "avg_backward", "divisors", "_positions",
                         "_planes"),
    "batch_norm.reference": ("backward", "_count", "_center", "_channel_sum", "_along"),
    "cross_entropy.reference": ("backward",),
}  # fmt: skip


@contextmanager
def replaced_kernels(family: str, module: str, namespace: dict[str, Any]) -> Iterator[None]:
    """Within the block, the reference backend's gradients are those of an edited module.

    The forward pass stays as it was: an edit that bent both alike would be another function with
    its right derivative.
    """
    with kernels.use("reference") as chosen:
        functions = vars(getattr(chosen, family))
    before = dict(functions)
    functions.update({name: namespace[name] for name in GRADIENTS[family] if name in namespace})
    try:
        yield
    finally:
        functions.clear()
        functions.update(before)


def source_mutants() -> Iterator[Mutant]:
    """Every edit of the reference gradient kernels' sources."""
    for module_name, names in SOURCES.items():
        module: ModuleType = importlib.import_module(f"{kernels.__name__}.{module_name}")
        tree = ast.parse(inspect.getsource(module))
        family = module_name.split(".")[0]
        for at, node in enumerate(tree.body):
            if not (isinstance(node, ast.FunctionDef) and node.name in names):
                continue
            for what, changed in _edited(node, inside=True):
                edited = copy.copy(tree)
                edited.body = [*tree.body[:at], changed, *tree.body[at + 1 :]]
                namespace = {"__name__": module.__name__, "__package__": module.__package__}
                exec(compile(edited, "<mutant>", "exec"), namespace)
                yield Mutant(
                    "sources",
                    f"{module_name}.{node.name}: {what}",
                    lambda watch, f=family, m=module_name, n=namespace: replaced_kernels(f, m, n),  # type: ignore[misc]
                    _family_checks(family, "reference"),
                )


_STEP = (
    "a step has derivative 0 on both sides of its jumps and none at them: -0, 2 * 0, 0 * 0 are 0"
)
_MASKED = "an outer where() puts 0 in the places where the inner one puts this"
_NO_DERIVATIVE = "the two differ only at a point where the function has no derivative"
_RECENTRED = (
    "the deviations are centred once more by their own mean, so any constant may be taken from x "
    "first; in exact arithmetic the correction is 0 (what it is for, float32 beside a large mean, "
    "is tested with the kernels)"
)

_SYMMETRIC = "the gradient is symmetric"
_SQUARE = "the matrices are square, so the two sizes are the same"

EQUIVALENT: dict[str, str] = {
    "ops.embedding.embedding: dy * wrap(share[..., None]) -> dy": (
        "share is 1 where the gradient is the derivative; the other shares (none for padding, 1/n "
        "for a row that comes n times) are asked for, and compared with PyTorch's by name"
    ),
    **{
        f"ops.arithmetic._step, input 0: {kind}": _STEP
        for kind in ("sign", "factor", "deleted", "element")
    },
    **{
        f"ops.arithmetic._rounded_quotient, input {k}: {kind}": _STEP
        for k in (0, 1)
        for kind in ("sign", "factor", "deleted", "element")
    },
    **{
        f"ops.elementwise._xlogy: 0 -> 1 in {part}": _NO_DERIVATIVE
        for part in ("x.eq(0)", "y.le(0)", "where(x.eq(0) & y.le(0), 0, y.log())")
    },
    "ops.factorization._cholesky, input 0: transposed": _SYMMETRIC,
    "ops.factorization._eigvalsh, input 0: transposed": _SYMMETRIC,
    "ops.factorization._eigh: -1 -> 1 (no. 2)": _SQUARE,
    "ops.factorization._eigh: 1 -> 2 in -1 (no. 2)": _SQUARE,
    "ops.factorization._eigh: 1 -> 2 in where(same, 1, gap)": _MASKED,
    "ops.factorization._svd: 1 -> 2 in where(same, 1, row * row - column * column)": (
        "it divides the diagonal of a skew matrix, which is 0"
    ),
    "ops.factorization.matrix_exp: -1 -> 1": _SQUARE,
    "ops.factorization.matrix_exp: 1 -> 2 in -1": _SQUARE,
    "ops.statistics._logcumsumexp: 0 -> 1 in narrow(y, dim, 0, 1)": (
        "zeros in the shape of one slice, whichever"
    ),
    "ops.arithmetic._pow: 0 -> 1 in where(x.eq(0) & y.eq(0), 0, y - 1)": (
        "where x and y are 0 the whole is dz * y * x^this: 0 for 0 and for 1"
    ),
    "ops.arithmetic._pow: 1 -> 2 in where(x.eq(0) & y.ge(0), 1, x)": (
        "where x = 0 and y > 0 the logarithm is multiplied by z = 0; at x = y = 0 there is no "
        "derivative"
    ),
    "ops.arithmetic._clamp: keep &= a >= min -> =": "keep is true everywhere before this line",
    "ops.indexing.index_put: ndim - len(size) -> ndim": (
        "more leading sizes of 1 than the value has: the engine sums them away"
    ),
    "ops.indexing.index_put: ndim - len(size) -> ndim + len(size)": (
        "more leading sizes of 1 than the value has: the engine sums them away"
    ),
    "ops.reduction._sqrt_or_flat: 0 -> 1 in arithmetic.where(at_zero, 0, dy / "
    "(arithmetic.where(at_zero, 1, y) * 2))": _NO_DERIVATIVE,
    "ops.reduction._sqrt_or_flat: 1 -> 2 in arithmetic.where(at_zero, 1, y)": _MASKED,
    "ops.reduction._cumprod: 0 -> 1 in _constant(x, row, 0)": (
        "it is the factor of what follows the last element, which is 0"
    ),
    "ops.reduction._logsumexp: -math.inf -> math.inf": (
        "the two differ only where y is infinite, where there is no derivative"
    ),
    "ops.reduction._logsumexp: 0 -> 1 in arithmetic.where(y.eq(-math.inf), 0, y)": (
        "the two differ only where y is -infinity, where there is no derivative"
    ),
    "ops.reduction._power_norm: 0 -> 1 in x.eq(0)": (
        "for p > 1 the formula gives 0 at x = 0 without the mask; for p < 1 there is no derivative"
    ),
    "ops.reduction._power_norm: 1 -> 2 in arithmetic.where(flat, 1, x.abs() / "
    "arithmetic.where(flat, 1, y))": _MASKED,
    "ops.reduction._power_norm: 1 -> 2 in arithmetic.where(flat, 1, y)": _MASKED,
    **{
        f"conv2d.reference.col2im: 2 -> 3 in 2 * {name}": (
            "the padded image gets rows or columns beyond the part that is cut out and returned"
        )
        for name in ("rows", "cols")
    },
    **{
        f"pool2d.reference._positions: {axis} * {name}_dilation -> {axis}": (
            "of the gradients only average pooling's asks for positions, and it has no dilation: 1"
        )
        for axis, name in (("r", "row"), ("s", "column"))
    },
    "pool2d.reference.divisors: 64 -> 65 in maxsize=64": "how many results a cache keeps",
    "batch_norm.reference._count: 1 -> 2 in max(1, x.size // max(1, x.shape[1]))": (
        "in training a channel has at least 2 values: batch_norm refuses one"
    ),
    **{
        f"batch_norm.reference._center: {edit}": _RECENTRED
        for edit in (
            "x - _along(mean, x) -> x",
            "x - _along(mean, x) -> x + _along(mean, x)",
            "_channel_sum(centered) / _count(x) -> _channel_sum(centered)",
            "_channel_sum(centered) / _count(x) -> _channel_sum(centered) * _count(x)",
            "centered - _along(offset, x) -> centered",
            "centered - _along(offset, x) -> centered + _along(offset, x)",
        )
    },
    "batch_norm.reference._along: 1 -> 2 in -1": (
        "NumPy reads any one negative size as what is left over"
    ),
}

SUITES: dict[str, Callable[[], Iterator[Mutant]]] = {
    "pullbacks": pullback_mutants,
    "formulas": formula_mutants,
    "kernels": kernel_mutants,
    "sources": source_mutants,
}

BLOCK = ("<!-- mutants: written by `python -m tinynet.testing.mutants` -->", "<!-- end -->")


def table(suites: Iterable[str] = SUITES) -> str:
    """The figures as a Markdown table, every suite run."""
    lines = ["| suite | mutants | caught | equivalent |", "| --- | ---: | ---: | ---: |"]
    sums = [0, 0, 0]
    for suite in suites:
        result = tally(SUITES[suite]())
        row = [result.total, result.total - len(result.survived), len(result.equivalent)]
        sums = [a + b for a, b in zip(sums, row, strict=True)]
        lines.append(f"| {suite} | {row[0]} | {row[1]} | {row[2]} |")
    lines.append(f"| all | {sums[0]} | {sums[1]} | {sums[2]} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the table, and write it into the files named (docs/gradcheck.md)."""
    figures = table()
    print(figures)
    for name in arguments:
        path = Path(name)
        head, rest = path.read_text().split(BLOCK[0])
        tail = rest.split(BLOCK[1], 1)[1]
        path.write_text(f"{head}{BLOCK[0]}\n\n{figures}\n\n{BLOCK[1]}{tail}")


if __name__ == "__main__":
    main(sys.argv[1:])
