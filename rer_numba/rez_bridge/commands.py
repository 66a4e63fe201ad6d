"""What is different in the commands of rez, whose process solves once and ends when the user's shell does."""

from __future__ import annotations

import gc
import sys

_COMMAND = "rez.cli._main"
_SELDOM = 50_000
_is_spared = False


def is_command() -> bool:
    """Return whether this process is a command of rez, and no application with rez inside."""
    return _COMMAND in sys.modules


def collect_seldom() -> None:
    """Let Python look for circles of dead objects once in 50,000 new objects instead of 700, in a command.

    What a command imports and makes stays until it ends, and Python looked at it 40 times in the 150 ms between rez's
    configuration and the shell: 10 ms (2026-11-28).
    """
    if is_command():
        gc.set_threshold(_SELDOM, *gc.get_threshold()[1:])


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
