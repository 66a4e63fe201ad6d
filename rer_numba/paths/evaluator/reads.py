"""What a package file asks the process that runs it, in words."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from rer_numba.paths.evaluator.modules import STANDARD
from rer_numba.paths.static_literals import REX_FUNCTIONS

_BUILTINS = frozenset(
    {"__file__", "__import__", "compile", "eval", "exec", "globals", "input", "open", "print", "vars"}
)
"""Names of builtins that reach outside of the file."""
_NOT_RUN = REX_FUNCTIONS | {"preprocess"}
"""Functions that do not run when a file is loaded."""
_MOST = 4
"""How many things are named."""
_QUIET = frozenset({"__future__", "rez.utils.lint_helper", "typing"})


def reads_of(body: list[ast.stmt]) -> str:
    """Say what a file asks its process: what it imports, and uses of that; '' if nothing of the kind is in it."""
    parts = [node for statement in _run(body) for node in ast.walk(statement)]
    names = dict(pair for node in parts for pair in _imports(node))
    found = list(dict.fromkeys(name for node in parts for name in _uses(node, names)))
    longest = [
        one for one in found if not any(other.startswith(f"{one.removeprefix('the module ')}.") for other in found)
    ]
    if not longest:
        return ""
    more = ", ..." if len(longest) > _MOST else ""
    return f"reads {', '.join(longest[:_MOST])}{more}"


def _run(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that may run when the file is loaded."""
    for statement in body:
        if not isinstance(statement, ast.FunctionDef):
            yield statement
            continue
        is_late = any(
            isinstance(node, ast.Name) and node.id == "late"
            for one in statement.decorator_list
            for node in ast.walk(one)
        )
        if statement.name not in _NOT_RUN and not is_late:
            yield statement


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(variable, dotted name) of what an import binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield alias.asname, alias.name
            else:
                yield alias.name.partition(".")[0], alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom) and node.module not in _QUIET:
        for alias in node.names:
            yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"


def _uses(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """What a node takes from outside of the file."""
    if isinstance(node, ast.Import):
        yield from (f"the module {alias.name}" for alias in node.names if alias.name not in STANDARD)
    elif isinstance(node, ast.ImportFrom) and node.module not in STANDARD and node.module not in _QUIET:
        yield f"the module {'.' * node.level}{node.module or ''}"
    elif isinstance(node, ast.Attribute):
        chain = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in names:
            yield ".".join([names[inner.id], *chain[::-1][:1]])
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id in names:
            yield names[node.id]
        elif node.id in _BUILTINS:
            yield f"{node.id}()" if not node.id.startswith("__f") else node.id
