"""One package.py, read without running it.

What rez installs is a list of literals, with functions and configuration beside them that no solve looks at. Such a
file is read here, and then what comes out is what rez's loader finds in it. A file that computes its values is
evaluated (`rer_numba.paths.evaluator`), if what it computes cannot differ between processes. As soon as it could, or
could make rez refuse the file, it is refused: a guess could differ from what rez finds when it runs the file.

Invariants
----------
- Whatever is accepted here, rez loads without an error, with equal values of equal types. (The texts of requirements
  are not parsed, neither here nor when rez loads a file.)
- rez compiles a file, runs it, and then walks over every value, so a value that no solve looks at may still break the
  file: a key of a dict that is no text, for example. Hence all values are checked, not only those that are kept.

Ports: rez.serialise.load_py and rez.utils.scope, as far as literals go (rez 3.4.0).
"""

from __future__ import annotations

import ast
import os
import re
import warnings
from typing import Any, NamedTuple

from rer_numba.packages import PackageData
from rer_numba.paths.static_literals import (
    REX_FUNCTIONS,
    SOLVER_KEYS,
    NotLiteralError,
    is_literal,
    is_reserved,
    is_text,
    literal,
)
from rer_numba.paths.static_scopes import scopes_problem
from rer_numba.plain_files import MAX_DEFINITION, read_plain

CONSTANT = "constant"
"""The `NotPlainError.kind` of a file of which rez says the same in every process."""
RAISES = "raises"
"""The kind of one that rez cannot load, in any process."""
PROCESS = "process"
"""The kind of one that has to be run in the very process that asks, since it may say something else in each."""
_CODING = re.compile(rb"coding[:=][ \t]*([-\w.]+)")
_PROBLEMS_OF_PYTHON = (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError)


class NotPlainError(Exception):
    """Why a package cannot be read, in words that follow the name of its file.

    Attributes
    ----------
    kind : {CONSTANT, RAISES, PROCESS}
        Whether rez finds the same in every process.
    """

    def __init__(self, reason: str, kind: str = CONSTANT) -> None:
        super().__init__(reason)
        self.kind = kind


class StaticPackage(NamedTuple):
    """What a package file says; name and version are left to whoever knows where it lies."""

    requires: list[str]
    variants: list[list[str]]
    build_requires: list[str]
    timestamp: int | None

    @property
    def has_timestamp(self) -> bool:
        """Whether the file sets a timestamp; rez looks for older release files beside it only when it does not."""
        return self.timestamp is not None

    def package(self, name: str, version: str, uri: str | None) -> PackageData:
        """The package, with what others know of it."""
        return PackageData(
            name,
            version,
            self.requires,
            self.variants,
            build_requires=self.build_requires,
            timestamp=self.timestamp,
            uri=uri,
        )

    @classmethod
    def of(cls, values: dict[str, Any]) -> StaticPackage:
        """Take values, which may be wrong; raises NotPlainError if one has a wrong type."""
        variants = values.get("variants", [])
        if type(variants) is not list:
            raise _wrong("variants must be a list of lists of texts", variants)
        timestamp = values.get("timestamp", 0)
        if not _is_number(timestamp):
            raise _wrong("timestamp must be a whole number of seconds", timestamp)
        return cls(
            _texts(values.get("requires", []), "requires"),
            [_texts(variant, "each of the variants") for variant in variants],
            _texts(values.get("build_requires", []), "build_requires"),
            timestamp if "timestamp" in values else None,
        )


def _wrong(what: str, value: object) -> NotPlainError:
    """The error of a value of a wrong type. What rez says of it holds its text, in which the order of sets varies."""
    if _has_set(value):
        return NotPlainError(f"{what}, and holds a set, whose order is another one in each process", PROCESS)
    return NotPlainError(f"{what}, not {_shown(value)}")


def _has_set(value: Any) -> bool:
    if type(value) in (list, tuple):
        return any(map(_has_set, value))
    if type(value) is dict:
        return any(map(_has_set, value.values()))
    return isinstance(value, (set, frozenset))


def _shown(value: object) -> str:
    try:
        return f"{value!r:.40}"
    except ValueError:  # an integer that Python does not like to write in digits
        return "a huge number"


def _texts(value: Any, what: str) -> list[str]:
    if type(value) is not list:
        raise _wrong(f"{what} must be a list of texts", value)
    for text in value:
        if type(text) is not str:
            raise _wrong(f"{what} must be a list of texts", value)
        if not text.isascii():
            check_text(text, what)
    return value


def check_text(text: str, what: str) -> None:
    """Raise NotPlainError for half a character (a lone surrogate), which no file of ours could hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotPlainError(f"{what} holds {text!r:.40}, which is not valid Unicode") from None


# ---------------------------------------------------------------------------------------------------------------- file
def read_static_package(path: str | os.PathLike[str]) -> StaticPackage:
    """Read a package.py.

    Raises
    ------
    NotPlainError
        It is not plain, or not Python.
    OSError
        It cannot be read, or is too large.
    """
    return parse_static_package(read_plain(path, MAX_DEFINITION))


def parse_static_package(source: bytes) -> StaticPackage:
    """Read the text of a package.py; raises NotPlainError.

    Notes
    -----
    34 us for a file of rez's benchmark (320 bytes), 28 of them in `ast.parse`, and 7 more to read it; 105 us for one of
    700 bytes with functions and a scope (2026-11, one core).
    """
    body = _parse(source)
    found = _read_plain(source, body)
    return _evaluated(source, body) if found is None else StaticPackage.of(found)


def _parse(source: bytes) -> list[ast.stmt]:
    try:
        if b"\\" not in source:
            return ast.parse(source).body
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is a matter for the author of the package
            return ast.parse(source).body
    except _PROBLEMS_OF_PYTHON as error:
        raise _not_python(error) from None


def _not_python(error: Exception) -> NotPlainError:
    line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
    text = f"{line}is not valid Python ({error.msg if isinstance(error, SyntaxError) else error})"
    return NotPlainError(text, RAISES)


def _compile(code: bytes | ast.Module) -> None:
    """Find what only the compiler refuses: `break` outside of a loop, two parameters of one name and the like."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # with the `annotations` of this module in force, as rez compiles with those of its own
            compile(code, "package.py", "exec")
    except _PROBLEMS_OF_PYTHON as error:
        raise _not_python(error) from None


def _read_plain(source: bytes, body: list[ast.stmt]) -> dict[str, Any] | None:
    """What a file assigns that only assigns literals, beside functions and scopes; None if it does more.

    Assignments of literals need no second look; functions do, see `_compile`.
    """
    values: dict[str, Any] = {}
    others: list[ast.stmt] = []
    for statement in body:
        if type(statement) is ast.Assign:
            problem = _read_assignment(statement, values)
        else:
            problem = _other_problem(statement, others)
        if problem:
            return None
    functions: list[ast.stmt] = [statement for statement in others if isinstance(statement, ast.FunctionDef)]
    if others:
        _check_text(source)
        _compile(ast.Module(functions, []))
    if scopes_problem([statement for statement in others if isinstance(statement, ast.With)]):
        return None
    return values


def _check_text(source: bytes) -> None:
    """Refuse a file with functions that is not UTF-8.

    rez reads the text of each function from the file, where a comment that is not UTF-8 stops it, although it does not
    stop the compiler.
    """
    if not _is_utf8(source):
        raise NotPlainError("has functions and is not written in UTF-8")


def _evaluated(source: bytes, body: list[ast.stmt]) -> StaticPackage:
    """Read a file that computes something; raises NotPlainError."""
    from rer_numba.paths.evaluator.reads import reads_of
    from rer_numba.paths.evaluator.statements import Evaluation
    from rer_numba.paths.evaluator.values import FileRaisesError, NotEvaluatedError

    _compile(source)
    evaluation = Evaluation(body)
    try:
        values = evaluation.run()
        problem = scopes_problem(evaluation.scopes)
        solver_values = {key: evaluation.kept(key) for key in (*SOLVER_KEYS, "format_version") if key in values}
    except NotEvaluatedError as error:
        problem = f"line {evaluation.line}: {error}"
    except FileRaisesError as error:
        raise NotPlainError(f"line {evaluation.line}: raises an error ({error})", RAISES) from None
    if problem:
        raise NotPlainError(reads_of(body) or problem, PROCESS)
    if evaluation.functions or evaluation.scopes:
        _check_text(source)
    if not _is_number(solver_values.pop("format_version", 0)):
        raise NotPlainError("format_version is no number")
    return StaticPackage.of(solver_values)


def _is_number(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _is_utf8(source: bytes) -> bool:
    """Whether a file is UTF-8, and does not call itself anything else."""
    first_lines = source.replace(b"\r", b"\n").split(b"\n", 4)[:4]  # two, however they end
    names = [name for line in first_lines for name in _CODING.findall(line)]
    if any(name.lower() not in (b"utf-8", b"utf8") for name in names):
        return False
    try:
        source.decode()
    except UnicodeDecodeError:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------- statements
def _read_assignment(statement: ast.Assign, values: dict[str, Any]) -> str | None:
    """Take a value that a file assigns at its top, or say why it is not plain."""
    target = statement.targets[0]
    if type(target) is not ast.Name or len(statement.targets) > 1:
        return "has a statement that computes something"
    key = target.id
    if is_reserved(key):
        return f"{key} has a meaning of its own"
    try:
        values[key] = literal(statement.value)
    except NotLiteralError:
        return f"{key} is computed"
    if key == "format_version" and not _is_number(values[key]):
        return "format_version is no number"
    return None


def _other_problem(statement: ast.stmt, others: list[ast.stmt]) -> str | None:
    """Say why a statement is not plain; functions and scopes are added to `others`, to be looked at in full."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return None
        case ast.FunctionDef():
            others.append(statement)
            return _function_problem(statement)
        case ast.With(items=[ast.withitem(context_expr=ast.Call(func=ast.Name(id="scope")))]):
            others.append(statement)
            return None
        case ast.Import() | ast.ImportFrom():
            return "imports a module"
        case _:
            return "has a statement that computes something"


# ----------------------------------------------------------------------------------------------------------- functions
def _function_problem(function: ast.FunctionDef) -> str | None:
    """Say why a function is not one that rez only keeps the text of."""
    name = function.name
    if name in SOLVER_KEYS or is_reserved(name):
        return f"{name} is computed by a function"
    for decorator in function.decorator_list:
        kind = _decorator_kind(decorator)
        if kind is None or (kind == "late" and name in REX_FUNCTIONS):
            return f"{name} has a decorator that computes something"
    arguments = function.args
    if not all(is_literal(default) for default in (*arguments.defaults, *arguments.kw_defaults) if default):
        return f"{name} has computed defaults"
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    annotations = [function.returns, *(argument.annotation for argument in every if argument)]
    if getattr(function, "type_params", None) or not all(is_literal(note) for note in annotations if note):
        return f"{name} has computed annotations"
    return None


def _decorator_kind(decorator: ast.expr) -> str | None:
    """The name of a decorator that only marks a function (`early` would run it), or None."""
    match decorator:
        case ast.Call(func=ast.Name(id="late"), args=[], keywords=[]):
            return "late"
        case ast.Call(func=ast.Name(id="include"), args=[_, *_] as names, keywords=[]) if all(map(is_text, names)):
            return "include"
    return None
