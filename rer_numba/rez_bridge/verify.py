"""``RER_NUMBA=verify``: rez's solver, which lets ours solve the same and compares. rez's answer is what counts.

Invariants
----------
- Nobody's function is called twice: ours is told what a callback answered rez, and loads no package for a caller.
- What rez itself says otherwise in another process is no difference. It takes the versions of a family in the order of
  a set, so: in which order the packages of one look-up are loaded, which of several broken versions is complained of,
  the order of reductions within a text, and where the text of a cycle begins.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from itertools import groupby
from random import Random
from typing import Any

from rer_numba.hearing import raised_by_handler
from rer_numba.rez_bridge import hook
from rer_numba.rez_bridge.stats import record_difference
from rer_numba.tell import warn_once

logger = logging.getLogger("rer_numba")

FOLDER_VARIABLE = "RER_NUMBA_VERIFY_DIR"

Answer = dict[str, Any]
"""What a solve says, by name, in a form that JSON can hold."""

_random = Random()  # one of its own, so that the caller's random numbers stay as they are
_Theirs: Any = hook.rez_solver()


def is_in_sample(share: float) -> bool:
    """Tell whether the next solve is one of those to verify."""
    return _random.random() < share


class VerifyingSolver(_Theirs):  # type: ignore[misc]
    """rez's solver. Takes the same arguments; when it has solved, or has raised, ours is asked too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = signature(_Theirs.__init__).bind(self, *args, **kwargs).arguments
        del given["self"]
        self._question = _Question(given)
        error = _error_of(lambda: super(VerifyingSolver, self).__init__(**{**given, **self._question.recorded()}))
        if error is not None:
            _compare(self._question, self, error)
            raise error

    def solve(self) -> None:
        """Solve with both, and report differences. See `rez.solver.Solver.solve`."""
        if self.solve_begun:
            super().solve()  # raises
            return
        error = _error_of(super().solve)
        _compare(self._question, self, error)
        if error is not None:
            raise error


def _error_of(call: Callable[[], Any]) -> Exception | None:
    """What rez raises. Ours is asked after it has been handled, or would be told of it in all that it raises itself."""
    try:
        call()
    except Exception as error:
        if raised_by_handler(error):
            raise
        return error
    return None


class _Question:
    """The arguments of a solver, and what rez called of them."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.loaded: list[str] = []
        self.calls: list[tuple[list[Any], Any]] = []

    def recorded(self) -> dict[str, Any]:
        """Arguments for rez, which note what they are called with."""
        changed: dict[str, Any] = {"package_load_callback": self._load}
        if _says_something(self.given.get("callback")):
            changed["callback"] = self._call
        return changed

    def replayed(self, loaded: list[str]) -> dict[str, Any]:
        """Arguments for ours: the same answers, and nothing printed."""
        changed = {**self.given, "package_load_callback": lambda package: loaded.append(package.qualified_name)}
        if _says_something(self.given.get("callback")):
            answers = iter(self.calls)
            changed["callback"] = lambda state: _replay(answers, state)
        return {**changed, "verbosity": 0, "buf": io.StringIO(), "print_stats": False}

    def _load(self, package: Any) -> None:
        self.loaded.append(package.qualified_name)
        tell = self.given.get("package_load_callback")
        if tell is not None:
            tell(package)

    def _call(self, state: Any) -> Any:
        answer = self.given["callback"](state)
        self.calls.append((_state(state), answer))
        return answer

    def described(self) -> Answer:
        """What was asked, for whoever looks into a difference."""
        given = self.given
        return {
            "request": [str(request) for request in given["package_requests"]],
            "package_paths": list(given["package_paths"]),
            "building": bool(given.get("building")),
            "package_filter": _pod(given.get("package_filter")),
            "package_orderers": _pod(given.get("package_orderers")),
        }


class _OtherStateError(Exception):
    """Ours calls a callback with something else than rez did, or once more."""


def _replay(answers: Any, state: Any) -> Any:
    told, answer = next(answers, (None, None))
    if told != _state(state):
        raise _OtherStateError(f"callback: {told} with rez, {_state(state)} with ours")
    return answer


def _state(state: Any) -> list[Any]:
    return [state.num_solves, state.num_fails, str(state.phase)]


def _says_something(callback: Any) -> bool:
    """Whether a callback may do anything: rez's contexts always pass one, mostly with nothing set."""
    if callback is None:
        return False
    limits = (getattr(callback, "max_fails", None), getattr(callback, "time_limit", None))
    return not (type(callback).__name__ == "Callback" and limits == (-1, -1) and callback.callback is None)


def _pod(policy: Any) -> Any:
    """A filter or orderers as in a configuration, or their text if they have no such form."""
    if policy is None:
        return None
    try:
        return json.loads(json.dumps(policy.to_pod()))
    except Exception:  # noqa: BLE001 - somebody's own class
        return repr(policy)


# ------------------------------------------------------------------------------------------------------------ comparing
def _compare(question: _Question, theirs: Any, error: Exception | None) -> None:
    """Ask ours, and report what differs."""
    expected = _answer(theirs, error, question.loaded)
    found = _ask(question)
    paths = question.given["package_paths"]
    differing = [name for name in expected if _normal(expected[name], paths) != _normal(found.get(name), paths)]
    if differing:
        record_difference()
        _report({"differing": differing, **question.described(), "rez": expected, "rer_numba": found})


def _ask(question: _Question) -> Answer:
    """Let ours solve. Whatever it raises is its answer."""
    loaded: list[str] = []
    ours = None
    try:
        ours = hook.native_solver()(**question.replayed(loaded))
        ours.solve()
    except Exception as error:
        if raised_by_handler(error):
            raise
        return _answer(ours, error, loaded)
    return _answer(ours, None, loaded)


def _answer(solver: Any, error: Exception | None, loaded: list[str]) -> Answer:
    """What a solver says; the counters of one that raised are left out."""
    if error is not None:
        return {"exception": [type(error).__name__, str(error)]}
    status = solver.status.name
    packages, ephemerals = solver.resolved_packages, solver.resolved_ephemerals
    return {
        "exception": None,
        "status": status,
        "packages": None if packages is None else [[str(one), one.handle] for one in packages],
        "ephemerals": None if ephemerals is None else [str(one) for one in ephemerals],
        "failure": solver.failure_description() if status == "failed" else None,
        "abort_reason": solver.abort_reason,
        "num_solves": solver.num_solves,
        "num_fails": solver.num_fails,
        "loaded": list(loaded),
    }


_REDUCED = "A package was completely reduced: "
_CYCLE = "A cyclic dependency was detected: "
_BROKEN = ("PackageDefinitionFileMissing", "PackageMetadataError", "ResourceError")
"""What rez raises of a package that it cannot load."""


def _normal(value: Any, paths: Iterable[str] = ()) -> Any:
    """The same for what rez says otherwise in other processes."""
    if isinstance(value, str):
        return _normal_text(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return _normal_error(value, paths) if value[:1] and value[0] in _BROKEN else _normal_loads(value)
    return value


def _normal_text(text: str) -> Any:
    head, found, tail = text.partition(_REDUCED)
    if found:
        return head, sorted(re.split(r"(?<=\)\)) ", tail))
    head, found, tail = text.partition(_CYCLE)
    if found:
        return head, sorted(tail.split(" --> ")[1:])
    return text


def _normal_loads(packages: list[str]) -> list[str]:
    """Packages in the order in which their families were looked up: versions within a look-up are those of a set."""
    groups = groupby(packages, lambda package: package.partition("-")[0])
    return [package for _, group in groups for package in sorted(group)]


def _normal_error(error: list[str], paths: Iterable[str]) -> Any:
    """The family that cannot be loaded, if a text names it by its folder or its handle."""
    for path in paths:
        folder = re.search(re.escape(os.path.join(path, "")) + r"(\w[\w.]*)", error[1])
        if folder:
            return path, folder[1]
    name = re.search(r"'name': '([^']*)'", error[1])
    return name[1] if name else error


# ------------------------------------------------------------------------------------------------------------ reporting
def _report(difference: Answer) -> None:
    """Log a difference, and keep it in a file if there is a folder for them."""
    place = _save(difference)
    logger.error(
        "RER_NUMBA=verify: rez and rer-numba differ in %s for the request %s%s",
        ", ".join(difference["differing"]),
        " ".join(difference["request"]),
        f"; see {place}" if place else "",
    )


def _save(difference: Answer) -> str | None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    try:
        os.makedirs(folder, exist_ok=True)
        file, path = tempfile.mkstemp(".json", f"verify-{os.getpid()}-", folder)
        with open(file, "w", encoding="utf-8") as stream:
            json.dump(difference, stream, indent=1, default=str)
    except OSError as error:
        warn_once(f"{FOLDER_VARIABLE}: {error}", about=FOLDER_VARIABLE)
        return None
    return path
