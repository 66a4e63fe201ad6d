"""What is different in the commands of rez, whose process solves once and ends when the user's shell does."""

from __future__ import annotations

import gc
import sys

_COMMAND = "rez.cli._main"
_is_spared = False


def is_command() -> bool:
    """Return whether this process is a command of rez, and no application with rez inside."""
    return _COMMAND in sys.modules


def spare_what_is_there() -> None:
    """Let Python's collector of garbage leave alone what a command has imported and made until now, once.

    After the solve rez makes the context and the shell, and Python then looked once at everything there is: 14 ms of
    the 300 that a median `rez-env` takes (2026-11-21). A process that is no command, such as an application with rez
    inside, goes on to collect all it has.
    """
    global _is_spared
    if not _is_spared and is_command():
        _is_spared = True
        gc.freeze()
