"""How many of rez's solves were ours in this process, how many rez did itself, and why."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TypedDict

from rer_numba.forking import Lock
from rer_numba.rez_bridge import modes

logger = logging.getLogger("rer_numba")


class Stats(TypedDict):
    """Counts since the process began, or since `reset`.

    Attributes
    ----------
    native, fallback : int
        Solves by us, and by rez because we could not.
    reasons : dict
        Why rez had to, and how often.
    differences : int
        Solves of which ``RER_NUMBA=verify`` found that the two answers differ.
    evaluated : int
        Packages, and families in one file, that say something else in each process and were evaluated in this one.
    """

    native: int
    fallback: int
    reasons: dict[str, int]
    differences: int
    evaluated: int


_lock = Lock()
_MOST_REASONS = 1000
_OTHER_REASONS = "other reasons"
"""Texts may hold names of packages: a server that never ends must not keep them all."""


def _none() -> Stats:
    return Stats(native=0, fallback=0, reasons={}, differences=0, evaluated=0)


_counts = _none()


def stats() -> Stats:
    """Return the counts of this moment."""
    with _lock:
        copied = _counts.copy()
        copied["reasons"] = dict(_counts["reasons"])
        return copied


def reset() -> None:
    """Count from zero again."""
    with _lock:
        _counts.update(_none())


def record(native: bool, reason: str | None = None, cause: Exception | None = None) -> None:
    """Count a solve.

    Parameters
    ----------
    native : bool
        Whether it is ours.
    reason : str, optional
        Of a fallback: why rez has to do it.
    cause : Exception, optional
        What said so.

    Raises
    ------
    FallbackError
        It is a fallback, and ``RER_NUMBA=strict`` forbids them. It is counted all the same.
    """
    if native:
        with _lock:
            _counts["native"] += 1
        return
    text = reason or "no reason was given"
    with _lock:
        _counts["fallback"] += 1
        reasons = _counts["reasons"]
        if text not in reasons and len(reasons) >= _MOST_REASONS:
            reasons[_OTHER_REASONS] = reasons.get(_OTHER_REASONS, 0) + 1
        else:
            reasons[text] = reasons.get(text, 0) + 1
    logger.info("solved by rez: %s", text)
    if modes.current().kind == "strict":
        raise modes.FallbackError(text) from cause


def record_difference() -> None:
    """Count a solve whose two answers differ."""
    with _lock:
        _counts["differences"] += 1


def record_evaluated() -> None:
    """Count a package that was evaluated in this process."""
    with _lock:
        _counts["evaluated"] += 1


class _Module(ModuleType):
    """A module that can be called: importing it takes the name `rer_numba.rez_bridge.stats` from the function."""

    def __call__(self) -> Stats:
        return stats()


sys.modules[__name__].__class__ = _Module
