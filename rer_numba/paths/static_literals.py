"""Literals in a package file, and the names in it that mean something to rez."""

from __future__ import annotations

import ast
from typing import Any

SOLVER_KEYS = frozenset({"name", "version", "requires", "variants", "build_requires", "timestamp"})
"""What a solve knows of a package."""
GIVEN = frozenset({"scope", "early", "late", "include", "ModifyList", "InvalidPackageError"})
"""What rez lends to a package file: names that mean something else once they are assigned."""
REX_FUNCTIONS = frozenset({"pre_commands", "commands", "post_commands", "pre_build_commands", "pre_test_commands"})
"""Functions that rez refuses to bind late."""


def is_reserved(name: str) -> bool:
    """Whether assigning to a name may change how rez reads the rest of the file."""
    return name in GIVEN or name.startswith("__")


class NotLiteralError(Exception):
    """An expression may compute something."""


def literal(node: ast.expr) -> Any:
    """The value of a literal; raises NotLiteralError.

    Notes
    -----
    Stricter than `ast.literal_eval`, and faster. The keys of a dict must be texts, since rez's loader dies of others;
    the members of a set must be constants, since others may have no hash.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List):
        return [literal(item) for item in node.elts]
    match node:
        case ast.Tuple(elts=items):
            return tuple([literal(item) for item in items])
        case ast.Dict(keys=keys, values=values):
            return {_text(key): literal(value) for key, value in zip(keys, values, strict=True)}
        case ast.Set(elts=items) if all(isinstance(item, ast.Constant) for item in items):
            return {literal(item) for item in items}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if number is not True:
            return -number
    raise NotLiteralError


def _text(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise NotLiteralError


def is_text(node: ast.expr) -> bool:
    """Whether an expression is a text as it stands."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_literal(value: ast.expr) -> bool:
    """Whether an expression is a literal."""
    try:
        literal(value)
    except NotLiteralError:
        return False
    return True
