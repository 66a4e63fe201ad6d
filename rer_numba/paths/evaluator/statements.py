"""A package file from its first statement to its last, and then what rez's loader makes of its variables.

Ports: rez.serialise._load_py and process_python_objects (rez 3.4.0), as far as no solve runs more of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from rer_numba.paths.evaluator.expressions import Expressions, Frame, names_set_by, set_item
from rer_numba.paths.evaluator.methods import items_of
from rer_numba.paths.evaluator.modules import module, taken_from
from rer_numba.paths.evaluator.notes import are_lazy, notes_of, require_plain_notes
from rer_numba.paths.evaluator.operations import binary, checked, run
from rer_numba.paths.evaluator.values import (
    FileRaisesError,
    Function,
    Imported,
    Lent,
    Module,
    NotEvaluatedError,
    Special,
    This,
    size_of,
)
from rer_numba.paths.static_literals import GIVEN, REX_FUNCTIONS

_CALLABLE = (
    ast.Module, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If, ast.Import,
    ast.ImportFrom, ast.alias, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.BinOp, ast.UnaryOp,
    ast.IfExp, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension,
    ast.Compare, ast.Call, ast.keyword, ast.FormattedValue, ast.JoinedStr, ast.Constant, ast.Attribute, ast.Subscript,
    ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice, ast.expr_context, ast.boolop, ast.operator, ast.unaryop,
    ast.cmpop,
)  # fmt: skip
"""What a function that is called may consist of: nothing that changes what its variables are."""
_MOST_CALLS = 12
"""How deeply functions may call each other."""
_DEEPEST_DICT = 50


class _BreakError(Exception):
    """A loop ends."""


class _ContinueError(Exception):
    """A round of a loop ends."""


class _ReturnError(Exception):
    """A function ends."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Evaluation(Expressions):
    """Runs through one file.

    Parameters
    ----------
    body : list of ast.stmt
        Of a file that compiles.

    Attributes
    ----------
    functions : list of ast.FunctionDef
        All that rez may look up in the file.
    scopes : list of ast.With
        All ``with scope(...)``, which whoever evaluates has to check.
    line : int
        Where it is.
    """

    def __init__(self, body: list[ast.stmt]) -> None:
        super().__init__()
        self.functions: list[ast.FunctionDef] = []
        self.scopes: list[ast.With] = []
        self.line = 0
        self._body = body
        self._calls = 0
        self._lazy = False
        self._data: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """The values of the file's variables as rez's loader has them; raises NotEvaluatedError or FileRaisesError."""
        try:
            self._run(self._body)
            return self._processed()
        except (_BreakError, _ContinueError, _ReturnError) as error:  # the compiler has refused them
            raise AssertionError("a file that compiles") from error
        except (RecursionError, MemoryError):
            raise NotEvaluatedError("nests deeply") from None

    def kept(self, name: str) -> Any:
        """What a solve finds under a name; raises NotEvaluatedError if it, or what rez says of it, may be another one.

        What is no value (a late function, say) stays a `Special`, of which rez says the same in every process.
        """
        value = self._data[name]
        if not isinstance(value, (Function, Module)):
            size_of(value)
        return value

    # --- statements

    def _run(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.line = statement.lineno
            self.budget.spend(1)
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=targets, value=value):
                found = self.value(value)
                for target in targets:
                    self.assign(target, found)
            case ast.AugAssign():
                self._assign_in_place(statement)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=note, value=value, simple=1):
                if self._frame is None and not self._lazy:
                    require_plain_notes([note], self.globals)
                if value is not None:
                    self.set_name(name, self.value(value))
            case ast.Expr(value=value):
                self.value(value)
            case ast.If(test=test, body=body, orelse=orelse):
                self._run(body if self.truth(test) else orelse)
            case ast.For() | ast.While():
                self._loop(statement)
            case ast.Import() | ast.ImportFrom():
                self._import(statement)
            case ast.FunctionDef():
                self._define(statement)
            case ast.With(items=[ast.withitem(context_expr=ast.Call(func=ast.Name(id="scope")))]):
                self._scope(statement)
            case _:
                self._end_of_something(statement)

    def _end_of_something(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Pass():
                pass
            case ast.Break():
                raise _BreakError
            case ast.Continue():
                raise _ContinueError
            case ast.Return(value=value):
                raise _ReturnError(None if value is None else self.value(value))
            case _:
                kind = type(statement).__name__.lower()
                raise NotEvaluatedError(f"has a statement that is not evaluated ({kind})")

    def _assign_in_place(self, statement: ast.AugAssign) -> None:
        target = statement.target
        if isinstance(target, ast.Name):
            if self._frame is not None and target.id not in self._frame.variables:
                raise FileRaisesError(f"{target.id} is not set yet")
            before = self.value(ast.Name(target.id, ast.Load()))
            found = binary(type(statement.op), before, self.value(statement.value), self.budget, in_place=True)
            self.set_name(target.id, found)
        elif isinstance(target, ast.Subscript):
            owner, place = checked(self.value(target.value)), self._place(target.slice)
            before = run(lambda: owner[place])
            found = binary(type(statement.op), before, self.value(statement.value), self.budget, in_place=True)
            run(set_item, owner, place, found)
        else:
            raise NotEvaluatedError("sets an attribute")

    def _loop(self, loop: ast.For | ast.While) -> None:
        try:
            for _ in self._rounds_of(loop):
                try:
                    self._run(loop.body)
                except _ContinueError:
                    continue
        except _BreakError:
            return
        self._run(loop.orelse)

    def _rounds_of(self, loop: ast.For | ast.While) -> Iterator[None]:
        if isinstance(loop, ast.While):
            while self.truth(loop.test):
                yield
            return
        for item in items_of(self.value(loop.iter), self.budget):
            self.assign(loop.target, item)
            yield

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        self._lazy = self._lazy or are_lazy(statement)
        for alias in statement.names:
            if isinstance(statement, ast.ImportFrom):
                self._bind(alias.asname or alias.name, taken_from(statement.module, statement.level, alias.name))
            elif alias.asname:
                self._bind(alias.asname, module(alias.name))
            else:
                self._bind(alias.name.partition(".")[0], Module(module(alias.name).what.partition(".")[0]))

    def _bind(self, name: str, value: object) -> None:
        """Bind what was imported, which may be one of the names that rez lends: then it is gone."""
        if name in GIVEN and self._frame is None:
            self.globals[name] = value
        else:
            self.set_name(name, value)

    # --- functions

    def _define(self, node: ast.FunctionDef) -> None:
        """Define a function; what is in it does not matter unless it is called."""
        if self._frame is not None or getattr(node, "type_params", None):
            raise NotEvaluatedError(f"has a function that is not evaluated ({node.name})")
        if not self._lazy:
            require_plain_notes(notes_of(node), self.globals)
        kind = self._decorators(node)
        arguments = node.args
        defaults = [self.value(one) for one in arguments.defaults]
        names = [one.arg for one in arguments.kwonlyargs]
        keywords = {
            name: self.value(one) for name, one in zip(names, arguments.kw_defaults, strict=True) if one is not None
        }
        self.functions.append(node)
        if node.name in GIVEN:
            raise NotEvaluatedError(f"sets {node.name}, which has a meaning of its own")
        if kind == "late" and node.name in REX_FUNCTIONS:
            raise FileRaisesError(f"{node.name} cannot be a late function")
        self.set_name(node.name, Function(node, defaults, keywords, kind))

    def _decorators(self, node: ast.FunctionDef) -> str | None:
        """What the decorators of a function make of it."""
        kinds = [self._decorator(one) for one in node.decorator_list]
        if kinds == ["early"]:
            return "early"
        if "early" in kinds:
            raise NotEvaluatedError(f"has a decorator that is not evaluated (of {node.name})")
        return "late" if "late" in kinds else None

    def _decorator(self, node: ast.expr) -> str:
        match node:
            case ast.Call(func=ast.Name(id="early" | "late" as kind), args=[], keywords=[]):
                pass
            case ast.Call(func=ast.Name(id="include" as kind), args=[_, *_] as names, keywords=[]) if all(
                isinstance(name, ast.Constant) and isinstance(name.value, str) for name in names
            ):
                pass
            case _:
                raise NotEvaluatedError("has a decorator that is not evaluated")
        if not isinstance(self.globals[kind], Lent):
            raise FileRaisesError(f"{kind} is no function any more")
        return kind

    def call_function(self, function: Function, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """Call a function of the file."""
        if function.kind is not None:
            raise NotEvaluatedError(f"calls {function.node.name}")
        early, self.early = self.early, None
        try:
            return self._called(function, arguments, keywords)
        finally:
            self.early = early

    def _called(self, function: Function, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        node = function.node
        for part in ast.walk(ast.Module(node.body, [])):
            if not isinstance(part, _CALLABLE):
                raise NotEvaluatedError(f"calls {node.name}, which is not evaluated ({type(part).__name__.lower()})")
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise NotEvaluatedError(f"calls {node.name} again and again")
        given = _given(function, arguments, keywords)
        frame = Frame(frozenset({*given, *_names_set_in(node.body)}))
        frame.variables.update(given)
        line = self.line
        try:
            self._within(frame, lambda: self._run(node.body))
        except _ReturnError as end:
            return end.value
        finally:
            self._calls -= 1
            self.line = line
        return None

    # --- scopes

    def _scope(self, statement: ast.With) -> None:
        if self._frame is not None:
            raise NotEvaluatedError("has a scope in a function")
        if not isinstance(self.globals["scope"], Lent):
            raise FileRaisesError("scope is no function any more")
        self.scopes.append(statement)

    # --- what rez's loader does

    def _processed(self) -> dict[str, Any]:
        """Evaluate early functions, in the order of the variables."""
        self._data = {name: value for name, value in self.globals.items() if name not in GIVEN}
        for scope in self.scopes:
            call = scope.items[0].context_expr
            if any(isinstance(part, ast.Constant) and part.value in self._data for part in ast.walk(call)):
                raise NotEvaluatedError("has a scope and a variable of one name")
        for name, value in list(self._data.items()):
            if isinstance(value, Function) and value.kind == "early":
                self.line = value.node.lineno
                self._data[name] = self._early(value)
            _check_value(self._data[name])
        return self._data

    def _early(self, function: Function) -> Any:
        arguments = function.node.args
        if arguments.posonlyargs or arguments.args or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
            raise NotEvaluatedError(f"has an early function with arguments ({function.node.name})")
        if self.scopes:
            raise NotEvaluatedError("has early functions and scopes")
        self.early = {"this": This("this")}
        try:
            found = self._called(function, [], {})
        finally:
            self.early = None
        if isinstance(found, Special):
            raise NotEvaluatedError(f"has an early function that gives {found.what}")
        return found

    def _of_this(self, name: str) -> Any:
        if name.startswith("_"):
            raise NotEvaluatedError(f"reads this.{name}")
        if name not in self._data:
            raise FileRaisesError(f"no such package attribute {name!r}")
        value = self._data[name]
        if isinstance(value, Special):
            raise NotEvaluatedError(f"reads this.{name}, which is {value.what}")
        return value


def _given(function: Function, arguments: list[Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a call."""
    parameters = function.node.args
    if parameters.vararg or parameters.kwarg or parameters.posonlyargs:
        raise NotEvaluatedError(f"calls {function.node.name} with any number of arguments")
    names = [one.arg for one in parameters.args]
    only = [one.arg for one in parameters.kwonlyargs]
    given = dict(zip(names, arguments, strict=False))
    if len(arguments) > len(names) or given.keys() & keywords.keys() or keywords.keys() - {*names, *only}:
        raise FileRaisesError(f"{function.node.name} is called with other arguments than it has")
    given.update(keywords)
    last = names[len(names) - len(function.defaults) :]
    found = {**dict(zip(last, function.defaults, strict=True)), **function.keyword_defaults, **given}
    if found.keys() != {*names, *only}:
        raise FileRaisesError(f"{function.node.name} is called with fewer arguments than it has")
    return found


def _names_set_in(body: list[ast.stmt]) -> Iterator[str]:
    """The variables of a function: whatever it assigns, outside of comprehensions, whose variables are their own."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        elif isinstance(node, ast.Name):
            yield from names_set_by(node)
        waiting += ast.iter_child_nodes(node)


def _check_value(value: Any, depth: int = 0) -> None:
    """Raise for a dict that rez's loader dies of: it goes through dicts within dicts, whose keys must be texts."""
    if type(value) is not dict:
        return
    if depth == _DEEPEST_DICT:
        raise NotEvaluatedError("nests deeply")
    for key, inner in value.items():
        if type(key) is not str:
            raise FileRaisesError("a key of a dict is no text")
        if isinstance(inner, (Function, Module, Imported)):
            raise NotEvaluatedError(f"keeps {inner.what}")
        _check_value(inner, depth + 1)
