"""The command line: `rer-numba`, or `python -m rer_numba`.

Only the standard library's argument parser is imported here, so that ``--help`` costs 30 ms. Each command lives in the
module that its parser names (`rer_numba.cli_parser`), and is imported when it is run.

Exit codes: 0, it worked and what was asked for is solved; 1, there is no solution, the solve ended in an error,
`verify` or `encode --strict` found something broken, `info --check` something that has changed, or a benchmark a
difference; 2, bad input or usage, a
damaged file, or something else that stopped the command.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

from rer_numba.cli_parser import make_parser, parse
from rer_numba.environment import flag
from rer_numba.errors import RerError, RezError, VersionError
from rer_numba.tell import UNKNOWN_REZ, leave_out, say

OK, UNSOLVED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_OS_REMEDIES = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give the name of a file",
    errno.EEXIST: "give another name",
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
    errno.EROFS: "write to another place",
    errno.ENOSPC: "make room there, or write to another place",
    getattr(errno, "EDQUOT", errno.ENOSPC): "make room there, or write to another place",
    errno.EFBIG: "raise the limit on the size of files, or write to another place",
}
"""What to do about an error of the system; nothing was changed, since files are replaced whole or not at all."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Default: the arguments of the process.
    """
    _replace_closed_streams()
    leave_out(UNKNOWN_REZ)  # rez may be hooked here as everywhere; commands themselves say where it matters
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = _run(argv)
            sys.stdout.flush()
        except BrokenPipeError:  # `rer-numba ... | head` is no error
            _give_up(sys.stdout)
            code = UNSOLVED
        except OSError as error:  # what was left in the buffer finds no room
            if flag("RER_NUMBA_DEBUG"):
                raise
            complain(_describe(error))
            code = BAD_INPUT
        except KeyboardInterrupt:
            complain("interrupted")
            code = INTERRUPTED
    _flush(sys.stderr)
    return code


def _flush(stream: TextIO) -> None:
    """Write what is left in a buffer, wherever that goes."""
    try:
        stream.flush()
    except OSError:
        _give_up(stream)


def _give_up(stream: TextIO) -> None:
    """Let what is still to be written lead nowhere; else Python tries once more at its end, with exit code 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _replace_closed_streams() -> None:
    """Let standard streams that the caller has closed lead nowhere, as those of /dev/null do.

    Else the next file that is opened gets the number of one, and what a process of ours prints goes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "w" if number else "r", encoding="utf-8")  # noqa: SIM115 - until the end
            if stream.fileno() == number:
                os.set_inheritable(number, True)
            setattr(sys, name, stream)


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = parse(argv)
        if arguments.run is None:
            make_parser().print_help()
            return OK
        code: int = _command(arguments.run)(arguments)
        return code
    except SystemExit as stop:  # of argparse: --help, or usage
        return int(stop.code or OK)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        if flag("RER_NUMBA_DEBUG"):
            raise  # with its traceback
        complain(_describe(error))
        return BAD_INPUT


def _command(place: str) -> Any:
    from importlib import import_module

    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


# --------------------------------------------------------------------------------------------------------------- errors
def complain(text: str) -> None:
    """Tell why the command failed."""
    _flush(sys.stdout)
    say(f"rer-numba: {text}\n")


def _describe(error: Exception) -> str:
    """What went wrong and what to do, in one line (or one line for each file)."""
    if isinstance(error, (RerError, RezError, VersionError)):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        is_read = error.errno == errno.EFBIG and error.strerror != os.strerror(errno.EFBIG)  # no more of it than this
        remedy = None if is_read else _OS_REMEDIES.get(error.errno or 0)
        return f"{where}{error.strerror or error}" + (f"; {remedy}" if remedy else "")
    if isinstance(error, ImportError):
        return f"{error}; the installation is not complete: install the package that is named here again"
    native = sys.modules.get("rer_numba.native.code")
    if native is not None and isinstance(error, native.NativeError):
        return str(error)
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"internal error: {text}; please report it, with the traceback that RER_NUMBA_DEBUG=1 shows"


def warn(text: str) -> None:
    """Tell about something that does not stop the command."""
    say(f"rer-numba: warning: {text}\n")


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    where = f"{filename}:{lineno}: " if issubclass(category, SyntaxWarning) else ""  # of a package file that rez runs
    warn(f"{where}{message}")
