"""Operators on plain values: Python's own, with bounds, where the result is the same in every process."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from string import Formatter
from typing import Any

from rer_numba.paths.evaluator.values import BASIC, Budget, FileRaisesError, NotEvaluatedError, size_of

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Mod: operator.mod,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.BitOr: operator.or_, ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}  # fmt: skip
_IN_PLACE: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    **_BINARY, ast.Add: operator.iadd, ast.Mult: operator.imul, ast.BitOr: operator.ior,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_,
}  # fmt: skip
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_WIDE = re.compile(r"\d{3,}|\*")
"""Widths and precisions that make long texts, or that are not written in the template."""
_SPEC = re.compile(r"[<>=^+\- #,._%A-Za-mo-z0-9]*")
"""Format specifications; "n" depends on the locale."""
_WIDEST = 200
"""How long a field of a template may become, beside what is put into it."""


def checked(value: Any, what: str = "") -> Any:
    """The value, if it is of a basic type; raises NotEvaluatedError."""
    if type(value) not in BASIC:
        size_of(value)
        raise NotEvaluatedError(what or f"uses a {type(value).__name__}")
    return value


def run(call: Callable[..., Any], *arguments: Any) -> Any:
    """Do what the file does; an error of Python's is one of the file's."""
    try:
        return call(*arguments)
    except (MemoryError, RecursionError):
        raise NotEvaluatedError("takes more than there is") from None
    except (NotEvaluatedError, FileRaisesError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever Python raises there
        raise FileRaisesError(f"{type(error).__name__}: {error}") from None


def binary(kind: type[ast.operator], left: Any, right: Any, budget: Budget, *, in_place: bool = False) -> Any:
    """The value of ``left kind right``."""
    call = (_IN_PLACE if in_place else _BINARY).get(kind)
    if call is None:
        raise NotEvaluatedError(f"has an operator that is not evaluated ({kind.__name__})")
    checked(left), checked(right)
    if kind is ast.Mod and type(left) is str:
        return percent(left, right, budget)
    budget.spend(_size_after(kind, left, right))
    return run(call, left, right)


def _size_after(kind: type[ast.operator], left: Any, right: Any) -> int:
    """At least how large the result may become."""
    if kind is ast.Mult:
        for sequence, times in ((left, right), (right, left)):
            if type(sequence) in (str, list, tuple) and type(times) in (int, bool):
                return len(sequence) * max(int(times), 0)
    return _length(left) + _length(right)


def _length(value: Any) -> int:
    """Letters, items, or bits."""
    if isinstance(value, int):
        return value.bit_length()
    return len(value) if type(value) in (str, list, tuple, dict) else 1


def unary(kind: type[ast.unaryop], value: Any) -> Any:
    """The value of ``kind value``."""
    if kind is ast.Invert and type(value) is bool:
        raise NotEvaluatedError("inverts the bits of a truth value, of which Python warns")
    return run(_UNARY[kind], checked(value))


def compare(kind: type[ast.cmpop], left: Any, right: Any, budget: Budget) -> bool:
    """The truth of ``left kind right``."""
    if kind in (ast.Is, ast.IsNot):
        if not any(value is None or value is True or value is False for value in (left, right)):
            raise NotEvaluatedError("asks whether two values are the same object")
        return (left is right) == (kind is ast.Is)
    if kind in (ast.In, ast.NotIn):
        if type(right) not in (set, range):
            budget.spend(size_of(right))
        budget.spend(size_of(left))
        return bool(run(operator.contains, right, left)) == (kind is ast.In)
    budget.spend(size_of(left) + size_of(right))
    return bool(run(_ORDER[kind], left, right))


# --------------------------------------------------------------------------------------------------------------- texts
def percent(template: str, values: Any, budget: Budget) -> str:
    """The text of ``template % values``."""
    if _WIDE.search(template):
        raise NotEvaluatedError("formats a text with a wide field")
    size = size_of(values)
    budget.spend(len(template) + template.count("%") * (size + _WIDEST))
    found: str = run(operator.mod, template, values)
    return found


def format_text(template: str, arguments: list[Any], keywords: dict[str, Any], budget: Budget) -> str:
    """The text of ``template.format(...)``."""
    for _, name, spec, _ in run(lambda: list(Formatter().parse(template))):
        if name is not None and re.fullmatch(r"\w*", name, re.ASCII) is None:
            raise NotEvaluatedError("formats a text with parts of a value")
        check_spec(spec or "")
    size = size_of([*arguments, *keywords.values()])
    budget.spend(len(template) + template.count("{") * (size + _WIDEST))
    found: str = run(lambda: template.format(*arguments, **keywords))
    return found


def check_spec(spec: str) -> None:
    """Raise NotEvaluatedError for a format specification whose result is long, or not the same everywhere."""
    if _WIDE.search(spec) or _SPEC.fullmatch(spec) is None:
        raise NotEvaluatedError("formats a text in an unusual way")


def formatted(value: Any, conversion: int, spec: str, budget: Budget) -> str:
    """The text of one field of an f-string."""
    check_spec(spec)
    budget.spend(size_of(value) + _WIDEST)
    converts: dict[int, Callable[[Any], str]] = {ord("r"): repr, ord("s"): str, ord("a"): ascii}
    shown = run(converts[conversion], value) if conversion in converts else value
    found: str = run(format, shown, spec)
    return found
