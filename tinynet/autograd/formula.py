"""The formula of a derivative, read from the source of the pullback that computes it.

`lambda dz: _mul(dz, y)`, the pullback of the input x, reads "dx = dz * y". There is no table of
formulas: what is shown is what runs.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Number
from types import CodeType
from typing import Any

from .function import FunctionCtx
from .tape import Node, TensorBase, holds_data, wrap

# How a call of an operation is written: the operator, and which operands are transposed.
NOTATION: dict[str, tuple[type[ast.operator], tuple[int, ...]]] = {
    "add": (ast.Add, ()),
    "mul": (ast.Mult, ()),
    "matmul": (ast.MatMult, ()),
    "linear": (ast.MatMult, (1,)),
    "summed_rows": (ast.MatMult, (0,)),
}


@dataclass
class Formula:
    """How the gradients of some inputs are computed from what arrives at the output."""

    arrives: str  # the name of the output's gradient, such as "dz"
    lines: list[str]  # such as "dx = dz * y", with what is computed on the way before it
    where: dict[str, str] = field(default_factory=dict)  # what the names in it are
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return "; ".join(self.lines)


def input_names(operation: Any) -> list[str]:
    """The names of an operation's inputs in its own code; a Function's without its `ctx`."""
    function = getattr(operation, "forward", operation)
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if function is not operation and not hasattr(operation, "setup_context"):
        names = names[1:]
    return names


def name_of(names: Sequence[str], i: int) -> str:
    """The name of input `i`; operations such as `cat` take any number."""
    return names[i] if i < len(names) else f"input {i}"


def description(operation: Any) -> str:
    """The first sentence of an operation's docstring."""
    doc = inspect.getdoc(operation) or ""
    return " ".join(doc.split("\n\n")[0].split())


def formulas(node: Node) -> list[Formula | None]:
    """A formula per input of a node, None where no gradient is wanted; one for all if joint."""
    names = input_names(node.operation)
    if node.pullbacks is None:
        return []
    if node.joint:
        function = getattr(node.pullbacks, "cls", None)
        pullback = node.pullbacks if function is None else function.backward
        wanted = [
            f"d{name_of(names, i)}" if edge is not None else "_"
            for i, edge in enumerate(node.edges)
        ]
        return [formula(pullback, wanted)]
    return [
        None if pullback is None else formula(pullback, [f"d{name_of(names, i)}"])
        for i, pullback in enumerate(node.pullbacks)
    ]


def formula(pullback: Callable[..., Any], results: Sequence[str]) -> Formula | None:
    """The formula of one pullback that computes these results; None if its source is not there."""
    pullback = inspect.unwrap(pullback)
    code = getattr(pullback, "__code__", None)
    found = None if code is None else _definition(code)
    if code is None or found is None:
        return None
    parameters = list(inspect.signature(pullback).parameters)
    if parameters[:1] == ["ctx"]:
        parameters = parameters[1:]
    notation = _Notation(pullback)
    lines = []
    if isinstance(found, ast.Lambda):
        value: ast.AST | None = found.body
    else:
        *before, last = [s for s in found.body if not _is_docstring(s)]
        value = last.value if isinstance(last, ast.Return) else None
        for statement in before if value is not None else (*before, last):
            lines += ast.unparse(notation.visit(_copy(statement))).splitlines()
    if value is not None:
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        if len(parts) == len(results):
            lines += [
                f"{name} = {ast.unparse(notation.visit(_copy(part)))}"
                for name, part in zip(results, parts)
                if name != "_"
            ]
        else:
            lines.append(f"{', '.join(results)} = {ast.unparse(notation.visit(_copy(value)))}")
    where = {name: text for name, text in notation.where.items() if name not in parameters}
    return Formula(", ".join(parameters[:1]), lines, where, code.co_filename, code.co_firstlineno)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _copy(tree: ast.AST) -> ast.AST:
    """The parsed files are kept, and a transformer changes what it visits."""
    return ast.parse(ast.unparse(tree)).body[0] if isinstance(tree, ast.stmt) else _expression(tree)


def _expression(tree: ast.AST) -> ast.AST:
    return ast.parse(ast.unparse(tree), mode="eval").body


@lru_cache(maxsize=64)
def _functions(filename: str) -> dict[int, list[Any]]:
    """The functions and lambdas of a file (or a notebook's cell) by their first line."""
    found: dict[int, list[Any]] = {}
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:  # changed since it was loaded
        return found
    for part in ast.walk(tree):
        if isinstance(part, ast.Lambda | ast.FunctionDef):
            decorators = getattr(part, "decorator_list", [])
            found.setdefault(min([part.lineno, *(d.lineno for d in decorators)]), []).append(part)
    return found


def _definition(code: CodeType) -> Any:
    """The lambda or function in the source that was compiled to this code."""
    candidates = [
        c
        for c in _functions(code.co_filename).get(code.co_firstlineno, ())
        if (code.co_name == "<lambda>") == isinstance(c, ast.Lambda)
    ]
    if len(candidates) > 1:  # several lambdas on one line: instructions know their columns
        places = [(line, column) for line, _, column, _ in code.co_positions() if line and column]
        for c in candidates:
            body = c.body
            start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
            if places and all(start <= place < end for place in places):
                return c
    return candidates[0] if candidates else None


def _names(function: Any) -> dict[str, Any]:
    """What the names in a function stand for."""
    names = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # bound later, or never
            continue
    return names


class _Notation(ast.NodeTransformer):
    """Writes code as a formula: operators for calls, no kernels, and notes what names mean."""

    def __init__(self, function: Any) -> None:
        self.names = _names(function)
        self.own = set(function.__code__.co_freevars)  # the others are its module's
        self.where: dict[str, str] = {}

    def visit_Name(self, tree: ast.Name) -> ast.AST:
        value = self.names.get(tree.id)
        if isinstance(value, dict) and tree.id in self.own:
            self.where[tree.id] = ", ".join(f"{k} = {v}" for k, v in value.items())
        elif isinstance(value, Number | str) or (
            isinstance(value, tuple) and all(isinstance(v, Number) for v in value)
        ):
            self.where[tree.id] = f"{value:.6g}" if isinstance(value, float) else repr(value)
        return tree

    def visit_Call(self, tree: ast.Call) -> ast.AST:
        function = self.names.get(tree.func.id) if isinstance(tree.func, ast.Name) else None
        tree.keywords = [k for k in tree.keywords if not self._opaque(k.value)]
        self.generic_visit(tree)
        if function is None:
            return tree
        if function is wrap and len(tree.args) == 1:
            return tree.args[0]  # an array as a tensor: no mathematics
        name = getattr(function, "__name__", "").strip("_")
        while tree.args and isinstance(tree.args[-1], ast.Constant) and tree.args[-1].value is None:
            tree.args.pop()  # an operand that is left out
        if name in NOTATION and len(tree.args) == 2 and not tree.keywords:
            operator, transposed = NOTATION[name]
            left, right = (
                ast.Attribute(x, "T", ast.Load()) if i in transposed else x
                for i, x in enumerate(tree.args)
            )
            return ast.BinOp(left, operator(), right)
        if getattr(function, "is_operation", False):
            tree.func = ast.Name(name, ast.Load())
            if description(function):
                self.where[name] = description(function)
        return tree

    def _opaque(self, value: ast.AST) -> bool:
        """True for what only a kernel understands: the chosen backend, validated sizes."""
        if not isinstance(value, ast.Name) or value.id not in self.names:
            return False
        given = self.names[value.id]
        known = bool | Number | str | tuple | list | slice | dict | None | TensorBase | FunctionCtx
        return not (isinstance(given, known) or holds_data(given) or callable(given))


def source_line(file: str, line: int) -> str:
    """The text of a line of source, without its indentation; empty where it is not there."""
    return linecache.getline(file, line).strip()
