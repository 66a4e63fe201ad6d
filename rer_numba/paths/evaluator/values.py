"""What expressions of a package file can be worth, and the two ways in which evaluating one ends early.

Values are Python's own objects of Python's own types, so that everything they do is what they do when rez runs the
file: aliases, order, errors. What is no plain value (a module, a function of the file, a builtin) is a `Special`, which
nothing but the evaluator itself can use.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

BASIC = frozenset({type(None), bool, int, float, str, list, tuple, dict})
"""Types whose operators do the same in every process. (The order and the text of a set depend on the hash seed.)"""
MOST_SPENT = 50_000
"""How much work a file may be: steps, and items and letters made."""
_DEEPEST = 20
"""How deeply lists and dicts may nest where they are measured."""


_LARGEST_INTEGER = 1024
"""Bits of the largest whole number that is measured: how many digits Python writes is a setting of the process."""


class NotEvaluatedError(Exception):
    """The file has to be run: what it does here is unknown, depends on the process, or takes too long."""


class FileRaisesError(Exception):
    """Running the file raises an error, in every process."""


class Budget:
    """What evaluating one file may still cost."""

    def __init__(self) -> None:
        self._left = MOST_SPENT

    def spend(self, amount: int) -> None:
        """Use some of it; raises NotEvaluatedError when too little is left."""
        self._left -= amount
        if self._left < 0:
            raise NotEvaluatedError("takes long to evaluate")


class Special:
    """What is no plain value. `what` says it in words that follow "uses"."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return self.what


class Module(Special):
    """A module that has been imported."""


class Imported(Special):
    """Something taken from a module: nothing but its existence is known."""


class Builtin(Special):
    """A builtin function that can be called."""


class Lent(Special):
    """One of the names that rez lends to a file."""


class This(Special):
    """What `this` is in an early function."""


class Function(Special):
    """A function of the file.

    Attributes
    ----------
    node : ast.FunctionDef
    defaults, keyword_defaults
        Their values.
    kind : {"early", "late", None}
    """

    def __init__(
        self, node: ast.FunctionDef, defaults: list[Any], keyword_defaults: dict[str, Any], kind: str | None
    ) -> None:
        super().__init__(f"the function {node.name}")
        self.node = node
        self.defaults = defaults
        self.keyword_defaults = keyword_defaults
        self.kind = kind


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def size_of(value: Any, depth: int = 0) -> int:
    """Count the items and letters of a value; raises NotEvaluatedError if its text may differ between processes."""
    kind = type(value)
    if kind is str:
        return len(value) + 2
    if kind is int:
        if value.bit_length() > _LARGEST_INTEGER:
            raise NotEvaluatedError("uses a huge number")
        return 2 + int(value.bit_length() // 3)
    if kind in (list, tuple, dict):
        if depth == _DEEPEST:
            raise NotEvaluatedError("nests deeply")
        parts: Iterator[Any] = iter(value) if kind is not dict else (x for pair in value.items() for x in pair)
        return 2 + sum(size_of(part, depth + 1) for part in parts)
    if kind not in BASIC:
        raise NotEvaluatedError(f"uses {value.what if isinstance(value, Special) else f'a {kind.__name__}'}")
    return 30
