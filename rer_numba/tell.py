"""What rer-numba says to a person on stderr, outside of errors. Nothing here can fail."""

import sys
import warnings
from collections.abc import Callable

from rer_numba.environment import flag

UNKNOWN_REZ = "a rez that is not known"
"""Subject of the warning that rez solves alone."""

_told: set[str] = set()
_MOST_TOLD = 1 << 12
_channel: Callable[[str], None] | None = None


def warn_through(channel: Callable[[str], None] | None) -> None:
    """Let warnings go another way than Python's: behind rez they are lines of rez's log. None: Python's again."""
    global _channel
    _channel = channel


def is_quiet() -> bool:
    """Tell whether ``RER_NUMBA_QUIET`` asks for silence about progress. Warnings are not progress."""
    return flag("RER_NUMBA_QUIET")


def say(text: str) -> None:
    """Write to stderr, if there is one that works."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except (OSError, ValueError):
        pass


def tell_once(text: str) -> None:
    """Say something about progress, once per process, unless silence was asked for."""
    if text not in _told and not is_quiet():
        _told.add(text)
        say(text)


def leave_out(subject: str) -> None:
    """Let this process not warn of a subject, since it says the same in another way."""
    _told.add(subject)


def warn_once(text: str, *, about: str | None = None) -> None:
    """Warn, once per process and subject (default: the text itself).

    Under ``-W error`` the text goes to stderr: no trouble with a cache may stop a solve.
    """
    subject = about or text
    if subject in _told:
        return
    if len(_told) >= _MOST_TOLD:  # texts may hold names of packages, of which a server meets ever more
        _told.clear()
    _told.add(subject)
    if _channel is not None:
        _channel(text if text.startswith("rer-numba") else f"rer-numba: {text}")
        return
    try:
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:
        say(f"rer-numba: {text}\n")
