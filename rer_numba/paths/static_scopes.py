"""The ``with scope("config") as c:`` of a package file: plain if they only set literals that no solve knows."""

from __future__ import annotations

import ast

from rer_numba.paths.static_literals import SOLVER_KEYS, is_literal, is_reserved

_OF_SCOPES = frozenset(
    {"clear", "context", "copy", "data", "format", "format_expand", "format_pretty", "fromkeys", "get", "items", "keys"}
    | {"locals", "name", "pending", "pop", "popitem", "read_only", "setdefault", "to_dict", "update", "values"}
)
"""Attributes that the objects made by `scope` have from the start: nothing can be set below them."""
_DEEPEST = 16
"""How many names `c.a.b.x = 1` may chain, and how many scopes may nest: Python and rez have limits of their own."""


def scopes_problem(statements: list[ast.With]) -> str | None:
    """Say why the scopes of a file are not plain."""
    scopes = _Scopes()
    for statement in statements:
        problem = scopes.problem(statement, ())
        if problem:
            return f"line {statement.lineno}: {problem}"
    return None


class _Scopes:
    """All `with scope("config") as c:` of a file: plain if they only set literals beside what a solve knows.

    A scope turns what is assigned in it into a dict, and then puts the variables of the file back as they were.
    `c.a.b = 1` makes the dict `a` on the way; after `c.a = 1`, or where `a` is an attribute of the scope object itself,
    it is an error. Here `a` must not have been set before in any scope of the file, at any depth.
    """

    def __init__(self) -> None:
        self.set: set[str] = set()

    def problem(self, statement: ast.With, variables: tuple[str | None, ...]) -> str | None:
        """Say why a scope is not plain; `variables` are those of the scopes around it, None for one without."""
        match statement.items:
            case [ast.withitem(ast.Call(ast.Name("scope"), [ast.Constant(str(name))], []), None as variable)]:
                pass
            case [ast.withitem(ast.Call(ast.Name("scope"), [ast.Constant(str(name))], []), ast.Name(variable))]:
                pass
            case _:
                return "has a statement that computes something"
        if len(variables) == _DEEPEST:
            return "has a scope too deep"
        if name in SOLVER_KEYS or variable in SOLVER_KEYS:
            return f"{name} is computed by a scope"
        if is_reserved(name) or (variable and is_reserved(variable)):
            return f"{name} has a meaning of its own"
        for inner in statement.body:
            problem = self._statement_problem(inner, (*variables, variable))
            if problem:
                return problem
        return None

    def _statement_problem(self, statement: ast.stmt, variables: tuple[str | None, ...]) -> str | None:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return None
            case ast.With():
                return self.problem(statement, variables)
            case ast.Assign(targets=[target], value=value) if is_literal(value) and self._may_set(target, variables):
                return None
        return "has a scope that computes something"

    def _may_set(self, target: ast.expr, variables: tuple[str | None, ...]) -> bool:
        """Note what is set; False if it may be an error."""
        names: list[str] = []
        while isinstance(target, ast.Attribute):
            names.append(target.attr)
            target = target.value
        if not isinstance(target, ast.Name) or len(names) > _DEEPEST:
            return False
        if not names:
            self.set.add(target.id)
            return target.id not in variables and not is_reserved(target.id)
        last, *passed = names
        if target.id not in variables or last.startswith("__"):
            return False
        if any(name.startswith("_") or name in _OF_SCOPES or name in self.set for name in passed):
            return False
        self.set.add(last)
        return True
