"""Programs written for PyTorch with their import lines changed to tinynet's."""

from __future__ import annotations

import ast


def rewritten(source: str) -> str:
    """The program with `torch` and `torchvision` replaced by `tinynet` in its import statements.

    Nothing else is touched: the names that the program uses stay the same, as
    `import tinynet as torch` gives tinynet the name that was PyTorch's.
    """
    lines = source.splitlines(keepends=True)
    for node in reversed([n for n in ast.walk(ast.parse(source)) if _is_torchs(n)]):
        first, last = node.lineno - 1, node.end_lineno
        # what stands on the same lines before and behind the statement stays
        before = lines[first].encode()[: node.col_offset].decode()
        behind = lines[last - 1].encode()[node.end_col_offset :].decode()
        lines[first:last] = [before + _changed(node) + behind]
    return "".join(lines)


def _is_torchs(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(_ours(alias.name) != alias.name for alias in node.names)
    return isinstance(node, ast.ImportFrom) and not node.level and _ours(node.module) != node.module


def _ours(module: str) -> str:
    package, dot, rest = module.partition(".")
    return f"tinynet{dot}{rest}" if package in ("torch", "torchvision") else module


def _changed(node: ast.Import | ast.ImportFrom) -> str:
    if isinstance(node, ast.ImportFrom):
        return ast.unparse(ast.ImportFrom(_ours(node.module), node.names, 0))
    parts = []
    for alias in node.names:
        mine, package = _ours(alias.name), alias.name.partition(".")[0]
        if mine == alias.name or alias.asname:
            parts.append(ast.unparse(ast.Import([ast.alias(mine, alias.asname)])))
        else:
            # `import torch.nn` makes the name torch, with nn in it
            if mine != "tinynet":
                parts.append(f"import {mine}")
            parts.append(f"import tinynet as {package}")
    return "; ".join(parts)
