"""Annotations of a package file: rez evaluates them up to 3.3, and not since 3.4. Plain ones say nothing in either."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from rer_numba.paths.evaluator.values import NotEvaluatedError

_GENERIC = frozenset({"dict", "frozenset", "list", "set", "tuple"})
_CLASSES = _GENERIC | {"bool", "bytes", "complex", "float", "int", "object", "str"}


def require_plain_notes(notes: Iterable[ast.expr | None], taken: Collection[str]) -> None:
    """Raise NotEvaluatedError if one of some annotations may fail, or do something, where it is evaluated.

    Parameters
    ----------
    notes : iterable of ast.expr or None
    taken : collection of str
        The variables of the file, which may hide a class.
    """
    for note in notes:
        if note is not None and not _is_plain(note, taken):
            raise NotEvaluatedError("has an annotation that some versions of rez evaluate")


def notes_of(node: ast.FunctionDef) -> Iterator[ast.expr | None]:
    """All that are evaluated when a function is defined."""
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    yield from (argument.annotation for argument in every if argument)
    yield node.returns


def are_lazy(statement: ast.Import | ast.ImportFrom) -> bool:
    """Tell whether a file asks that its annotations are never evaluated."""
    is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    return is_future and any(alias.name == "annotations" for alias in statement.names)


def _is_plain(note: ast.expr, taken: Collection[str]) -> bool:
    return isinstance(note, ast.Constant) or _is_class(note, taken)


def _is_class(note: ast.expr, taken: Collection[str]) -> bool:
    """Tell whether an expression is a class of Python's, one with parameters, or several with ``|``."""
    match note:
        case ast.Name(id=name):
            return name in _CLASSES and name not in taken
        case ast.Subscript(value=ast.Name(id=name), slice=inner):
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return name in _GENERIC and name not in taken and all(_is_plain(item, taken) for item in items)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_class(left, taken) and (_is_class(right, taken) or _is_none(right))
    return False


def _is_none(note: ast.expr) -> bool:
    return isinstance(note, ast.Constant) and note.value is None
