"""Expressions of a package file, evaluated as Python does."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rer_numba.paths.evaluator.methods import BUILTINS, call_builtin, call_method, items_of
from rer_numba.paths.evaluator.operations import binary, checked, compare, formatted, run, unary
from rer_numba.paths.evaluator.values import (
    Budget,
    Builtin,
    FileRaisesError,
    Function,
    Imported,
    Lent,
    Module,
    NotEvaluatedError,
    Special,
    This,
)
from rer_numba.paths.static_literals import GIVEN

_BUILD_TIME = frozenset({"building", "testing", "build_variant_index", "build_variant_requires"})
"""What an early function finds in addition: it says whether a build is going on."""
_OF_SITES = frozenset({"_", "copyright", "credits", "exit", "license", "quit"})
"""Builtins that some processes have, and others do not."""
_CLASSES: dict[str, type] = {
    "bool": bool, "dict": dict, "float": float, "int": int, "list": list, "set": set, "str": str, "tuple": tuple,
}  # fmt: skip


class Frame:
    """Variables of a function, or of a comprehension within it.

    Parameters
    ----------
    names : set of str
        All that it will ever assign.
    outer : Frame, optional
        Of a comprehension: where it stands.
    """

    def __init__(self, names: frozenset[str], outer: Frame | None = None) -> None:
        self.variables: dict[str, Any] = {}
        self.names = names
        self.outer = outer


class Expressions:
    """Evaluates expressions.

    Attributes
    ----------
    globals : dict
        The variables of the file, in the order in which they were first assigned.
    early : dict or None
        What else an early function sees, while one runs.
    """

    def __init__(self) -> None:
        self.globals: dict[str, Any] = {name: Lent(name) for name in GIVEN}
        self.early: dict[str, Any] | None = None
        self.budget = Budget()
        self._frame: Frame | None = None
        self._kinds: dict[type[ast.expr], Callable[[Any], Any]] = {
            ast.Constant: lambda node: node.value,
            ast.List: self._list,
            ast.Tuple: lambda node: tuple(self._list(node)),
            ast.Dict: self._dict,
            ast.Set: lambda node: run(set, self._list(node)),
            ast.Name: self._name,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._bool,
            ast.Compare: self._compare,
            ast.IfExp: self._conditional,
            ast.JoinedStr: self._joined,
            ast.FormattedValue: self._formatted,
            ast.Subscript: self._subscript,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.ListComp: self._list_comprehension,
            ast.SetComp: self._set_comprehension,
            ast.DictComp: self._dict_comprehension,
            ast.GeneratorExp: self._generator,
        }

    def value(self, node: ast.expr) -> Any:
        """The value of an expression.

        Raises
        ------
        NotEvaluatedError
            It has to be run.
        FileRaisesError
            Python raises an error there.
        """
        self.budget.spend(1)
        evaluate = self._kinds.get(type(node))
        if evaluate is None:
            raise NotEvaluatedError(f"has an expression that is not evaluated ({type(node).__name__})")
        return evaluate(node)

    def truth(self, node: ast.expr) -> bool:
        """Whether an expression is true."""
        return bool(checked(self.value(node)))

    # --- variables

    def _name(self, node: ast.Name) -> Any:
        name = node.id
        frame = self._frame
        while frame is not None:
            if name in frame.variables:
                return frame.variables[name]
            if name in frame.names:
                raise FileRaisesError(f"{name} is not set yet")
            frame = frame.outer
        if self.early is not None and name in self.early:
            return self.early[name]
        if self.early is not None and name in _BUILD_TIME:
            raise NotEvaluatedError(f"reads {name}")
        if name in self.globals:
            return self.globals[name]
        if name == "__name__":
            return "builtins"  # rez gives a file no name of its own
        if name in BUILTINS or name == "isinstance":
            return Builtin(name)
        if name in vars(builtins) or name in _OF_SITES:
            raise NotEvaluatedError(f"uses {name}")
        raise FileRaisesError(f"name {name!r} is not defined")

    def set_name(self, name: str, value: Any) -> None:
        """Assign a variable."""
        if name.startswith("__") and name.endswith("__"):
            raise NotEvaluatedError(f"sets {name}, which has a meaning of its own")
        if self._frame is not None:
            self._frame.variables[name] = value
            return
        if name in GIVEN:
            raise NotEvaluatedError(f"sets {name}, which has a meaning of its own")
        self.globals[name] = value

    def assign(self, target: ast.expr, value: Any) -> None:
        """Assign to a name, to several, or to a place in a list or dict."""
        match target:
            case ast.Name(id=name):
                self.set_name(name, value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                if any(isinstance(one, ast.Starred) for one in targets):
                    raise NotEvaluatedError("assigns to what is left over")
                items = [item for item, _ in zip(items_of(value, self.budget), range(len(targets) + 1), strict=False)]
                if len(items) != len(targets):
                    raise FileRaisesError("there are more or fewer values than variables")
                for one, item in zip(targets, items, strict=True):
                    self.assign(one, item)
            case ast.Subscript():
                owner, place = checked(self.value(target.value)), self._place(target.slice)
                run(set_item, owner, place, value)
            case _:
                raise NotEvaluatedError("sets an attribute")

    # --- literals and operators

    def _list(self, node: ast.List | ast.Tuple | ast.Set) -> list[Any]:
        found: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                found.extend(items_of(self.value(item.value), self.budget))
            else:
                found.append(self.value(item))
        return found

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                more = self.value(value)
                if type(more) is not dict:
                    raise NotEvaluatedError("unpacks what is no dict")
                self.budget.spend(len(more))
                found.update(more)
            else:
                place = self.value(key)
                run(found.__setitem__, place, self.value(value))
        return found

    def _binary(self, node: ast.BinOp) -> Any:
        left = self.value(node.left)
        return binary(type(node.op), left, self.value(node.right), self.budget)

    def _unary(self, node: ast.UnaryOp) -> Any:
        return unary(type(node.op), self.value(node.operand))

    def _bool(self, node: ast.BoolOp) -> Any:
        is_and = isinstance(node.op, ast.And)
        for operand in node.values:
            value = checked(self.value(operand))
            if bool(value) != is_and:
                break
        return value

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for kind, operand in zip(node.ops, node.comparators, strict=True):
            right = self.value(operand)
            if not compare(type(kind), left, right, self.budget):
                return False
            left = right
        return True

    def _conditional(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.truth(node.test) else node.orelse)

    def _joined(self, node: ast.JoinedStr) -> str:
        return "".join([str(self.value(part)) for part in node.values])

    def _formatted(self, node: ast.FormattedValue) -> str:
        value = self.value(node.value)
        spec = "" if node.format_spec is None else self.value(node.format_spec)
        return formatted(value, node.conversion, spec, self.budget)

    # --- parts and calls

    def _place(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Slice):
            parts = [None if one is None else checked(self.value(one)) for one in (node.lower, node.upper, node.step)]
            return slice(*parts)
        return checked(self.value(node))

    def _subscript(self, node: ast.Subscript) -> Any:
        owner = self.value(node.value)
        if isinstance(owner, (Module, Imported)):
            raise NotEvaluatedError(f"reads {owner.what}")
        checked(owner)
        place = self._place(node.slice)
        if isinstance(place, slice):
            self.budget.spend(len(owner) if type(owner) in (str, list, tuple) else 1)
        return run(lambda: owner[place])

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if isinstance(owner, This):
            return self._of_this(node.attr)
        if isinstance(owner, Special):
            raise NotEvaluatedError(f"reads {owner.what}.{node.attr}")
        raise NotEvaluatedError(f"reads the attribute {node.attr}")

    def _of_this(self, name: str) -> Any:
        """An attribute of the package, for an early function."""
        raise NotEvaluatedError(f"reads this.{name}")

    def _call(self, node: ast.Call) -> Any:
        call = node.func
        if isinstance(call, ast.Attribute):
            owner = self.value(call.value)
            if isinstance(owner, Special):
                raise NotEvaluatedError(f"calls {owner.what}.{call.attr}")
            return call_method(owner, call.attr, *self._arguments(node), self.budget)
        function = self.value(call)
        arguments, keywords = self._arguments(node)
        if isinstance(function, Function):
            return self.call_function(function, arguments, keywords)
        if isinstance(function, Builtin):
            if function.what == "isinstance":
                return _is_instance(arguments, keywords)
            return call_builtin(function.what, arguments, keywords, self.budget)
        if isinstance(function, Special):
            raise NotEvaluatedError(f"calls {function.what}")
        raise FileRaisesError("what is called is no function")

    def _arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        if any(isinstance(one, ast.Starred) for one in node.args) or any(one.arg is None for one in node.keywords):
            raise NotEvaluatedError("calls a function with a list of arguments")
        return [self.value(one) for one in node.args], {str(one.arg): self.value(one.value) for one in node.keywords}

    def call_function(
        self,
        function: Function,
        arguments: list[Any],  # noqa: ARG002 - `Evaluation` runs functions
        keywords: dict[str, Any],  # noqa: ARG002
    ) -> Any:
        """Call a function of the file."""
        raise NotEvaluatedError(f"calls {function.node.name}")

    # --- comprehensions

    def _list_comprehension(self, node: ast.ListComp) -> list[Any]:
        return list(self._items(node.generators, lambda: self.value(node.elt)))

    def _set_comprehension(self, node: ast.SetComp) -> Any:
        return run(set, self._items(node.generators, lambda: self.value(node.elt)))

    def _dict_comprehension(self, node: ast.DictComp) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for place, value in self._items(node.generators, lambda: (self.value(node.key), self.value(node.value))):
            run(found.__setitem__, place, value)
        return found

    def _generator(self, node: ast.GeneratorExp) -> Iterator[Any]:
        return self._items(node.generators, lambda: self.value(node.elt))

    def _items(self, loops: list[ast.comprehension], element: Callable[[], Any]) -> Iterator[Any]:
        """What the loops of a comprehension make, as it is asked for; only the first iterable is evaluated now."""
        first = items_of(self.value(loops[0].iter), self.budget)
        frame = Frame(frozenset(name for loop in loops for name in names_set_by(loop.target)), self._frame)
        return self._rounds(loops, first, frame, element)

    def _rounds(
        self, loops: list[ast.comprehension], items: Iterator[Any], frame: Frame, element: Callable[[], Any]
    ) -> Iterator[Any]:
        loop, *inner = loops
        if loop.is_async:
            raise NotEvaluatedError("waits for something")
        for item in items:
            if not self._within(frame, partial(self._passes, loop, item)):
                continue
            if inner:
                more = self._within(frame, lambda: items_of(self.value(inner[0].iter), self.budget))
                yield from self._rounds(inner, more, frame, element)
            else:
                yield self._within(frame, element)

    def _passes(self, loop: ast.comprehension, item: Any) -> bool:
        self.assign(loop.target, item)
        return all(self.truth(condition) for condition in loop.ifs)

    def _within(self, frame: Frame | None, call: Callable[[], Any]) -> Any:
        """Do something with the variables of a frame."""
        outer, self._frame = self._frame, frame
        try:
            return call()
        finally:
            self._frame = outer


def names_set_by(target: ast.AST) -> Iterator[str]:
    """The variables that assigning to a target sets."""
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def set_item(owner: Any, place: Any, value: Any) -> None:
    """Set an item of a list or a dict."""
    if isinstance(place, slice):
        raise NotEvaluatedError("replaces a part of a list")
    owner[place] = value


def _is_instance(arguments: list[Any], keywords: dict[str, Any]) -> bool:
    if len(arguments) != 2 or keywords:
        raise NotEvaluatedError("calls isinstance in an unusual way")
    value, kinds = arguments
    kinds = kinds if type(kinds) is tuple else (kinds,)
    names = [kind.what if isinstance(kind, Builtin) else "" for kind in kinds]
    if isinstance(value, Special) or not all(name in _CLASSES for name in names):
        raise NotEvaluatedError("asks what kind of value something is")
    return isinstance(value, tuple(_CLASSES[name] for name in names))
