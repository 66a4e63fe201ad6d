"""One package.py, read without running it.

What rez installs is a list of literals, with functions and configuration beside them that no solve looks at. Such a
file is read here. As soon as anything in it could compute a value, the file is refused: a guess could differ from what
rez finds when it runs the file.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any, NamedTuple

SOLVER_KEYS = frozenset({"name", "version", "requires", "variants", "build_requires", "timestamp"})
"""What a solve knows of a package."""
_LATER = frozenset({"late", "include"})
"""Decorators that only mark a function. (`early` would run it.)"""
_NOT_FUNCTIONS = SOLVER_KEYS | _LATER | {"scope"}


class NotPlainError(Exception):
    """Why a package cannot be read, in words that follow the name of its file."""


class StaticPackage(NamedTuple):
    """What a package file says; name and version are left to whoever knows where it lies."""

    requires: list[str]
    variants: list[list[str]]
    build_requires: list[str]
    timestamp: int | None

    @classmethod
    def of(cls, values: dict[str, Any]) -> StaticPackage:
        """Take checked values; raises NotPlainError if one has a wrong type."""
        variants = values.get("variants", [])
        if not isinstance(variants, list):
            raise NotPlainError(f"variants must be a list of lists of texts, not {variants!r:.40}")
        timestamp = values.get("timestamp")
        if timestamp is not None and (not isinstance(timestamp, int) or abs(timestamp) >= 1 << 63):
            raise NotPlainError(f"timestamp must be a whole number of seconds, not {timestamp!r:.40}")
        return cls(
            _texts(values.get("requires", []), "requires"),
            [_texts(variant, "each of the variants") for variant in variants],
            _texts(values.get("build_requires", []), "build_requires"),
            timestamp,
        )


def _texts(value: Any, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise NotPlainError(f"{what} must be a list of texts, not {value!r:.40}")
    for text in value:
        check_text(text, what)
    return value


def check_text(text: str, what: str) -> None:
    """Raise NotPlainError for half a character (a lone surrogate), which no file of ours could hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotPlainError(f"{what} holds {text!r:.40}, which is not valid Unicode") from None


def read_static_package(path: str) -> StaticPackage:
    """Read a package.py.

    Raises
    ------
    NotPlainError
        It is not plain, or not Python.
    OSError
        It cannot be opened.
    """
    with open(path, "rb") as file:
        return parse_static_package(file.read())


def parse_static_package(source: bytes) -> StaticPackage:
    """Read the text of a package.py; raises NotPlainError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is a matter for the author of the package
            body = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise NotPlainError(f"{line}is not valid Python ({text})") from None
    values: dict[str, Any] = {}
    for statement in body:
        reason = _read_statement(statement, values)
        if reason:
            raise NotPlainError(f"line {statement.lineno}: {reason}")
    return StaticPackage.of(values)


def _read_statement(statement: ast.stmt, values: dict[str, Any]) -> str | None:
    """Take what a statement at the top of the file says, or say why it is not plain."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return None
        case ast.Assign(targets=[ast.Name(id=key)], value=value):
            try:
                values[key] = ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                return f"{key} is computed"
            return None
        case ast.FunctionDef():
            return _function_problem(statement)
        case ast.With(items=[ast.withitem(context_expr=scope, optional_vars=variable)], body=body):
            return _scope_problem(scope, variable, body)
        case ast.Import() | ast.ImportFrom():
            return "imports a module"
        case _:
            return "has a statement that computes something"


def _function_problem(function: ast.FunctionDef) -> str | None:
    """Say why a function is not one that a solve never runs."""
    if function.name in _NOT_FUNCTIONS:
        return f"{function.name} is computed by a function"
    if not all(_decorator_name(decorator) in _LATER for decorator in function.decorator_list):
        return f"{function.name} has a decorator that computes something"
    defaults = [*function.args.defaults, *(default for default in function.args.kw_defaults if default)]
    if not all(map(_is_literal, defaults)):
        return f"{function.name} has computed defaults"
    return None


def _decorator_name(decorator: ast.expr) -> str | None:
    match decorator:
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if all(map(_is_literal, arguments)):
            return name
    return None


def _scope_problem(scope: ast.expr, variable: ast.expr | None, body: list[ast.stmt]) -> str | None:
    """Say why a `with scope("config") as c:` is not one that only sets literals beside what a solve knows."""
    match scope, variable:
        case (ast.Call(func=ast.Name(id="scope"), args=[ast.Constant(value=str(name))], keywords=[]), _):
            pass
        case _:
            return "has a statement that computes something"
    if name in SOLVER_KEYS or (isinstance(variable, ast.Name) and variable.id in SOLVER_KEYS):
        return f"{name} is computed by a scope"
    for statement in body:
        problem = _scope_statement_problem(statement)
        if problem:
            return problem
    return None


def _scope_statement_problem(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return None
        case ast.Assign(targets=[ast.Name() | ast.Attribute()], value=value) if _is_literal(value):
            return None
        case ast.With(items=[ast.withitem(context_expr=scope, optional_vars=variable)], body=body):
            return _scope_problem(scope, variable, body)
    return "has a scope that computes something"


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
