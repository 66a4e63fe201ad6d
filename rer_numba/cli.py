"""The command line: `rer-numba`, or `python -m rer_numba`.

Only the standard library's argument parser is imported here, so that ``--help`` costs 30 ms. Each command lives in the
module that its parser names, and is imported when it is run.

Exit codes: 0, it worked and what was asked for is solved; 1, there is no solution, the solve ended in an error, or a
benchmark found a difference; 2, bad input or usage, or something that stopped the command.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from rer_numba._version import __version__
from rer_numba.errors import RerError, RezError, VersionError

OK, UNSOLVED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_OS_REMEDIES = {
    "FileNotFoundError": "check the path",
    "IsADirectoryError": "give the name of a file",
    "NotADirectoryError": "check the path",
    "PermissionError": "check who may read and write there",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Default: the arguments of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = _run(argv)
            sys.stdout.flush()
        except BrokenPipeError:  # `rer-numba ... | head` is no error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = UNSOLVED
        except KeyboardInterrupt:
            _complain("interrupted")
            code = INTERRUPTED
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parse(argv)
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
        if os.environ.get("RER_NUMBA_DEBUG"):
            raise  # with its traceback
        _complain(_describe(error))
        return BAD_INPUT


def _command(place: str) -> Any:
    from importlib import import_module

    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


# --------------------------------------------------------------------------------------------------------------- errors
def _complain(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"rer-numba: {text}\n")


def _describe(error: Exception) -> str:
    """What went wrong and what to do, in one line (or one line for each file)."""
    if isinstance(error, (RerError, RezError, VersionError)):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        remedy = _OS_REMEDIES.get(type(error).__name__)
        return f"{where}{error.strerror or error}" + (f"; {remedy}" if remedy else "")
    if isinstance(error, ImportError):
        return f"{error}; the installation is not complete: install the package that is named here again"
    native = sys.modules.get("rer_numba.native.machine")
    if native is not None and isinstance(error, native.NativeError):
        return str(error)
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"internal error: {text}; please report it, with the traceback that RER_NUMBA_DEBUG=1 shows"


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"rer-numba: warning: {message}\n")


# -------------------------------------------------------------------------------------------------------------- parsing
class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage of everything."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def _wide(prog: str) -> argparse.HelpFormatter:
    """Keep every option and its text on one line."""
    return argparse.HelpFormatter(prog, max_help_position=32)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser()
    arguments, more = parser.parse_known_args(_join_times(sys.argv[1:] if argv is None else list(argv)))
    if more:
        # argparse takes requests up to the next option only: `solve maya -r site.rer nuke` leaves nuke over
        end = more.index("--") if "--" in more else len(more)
        if not hasattr(arguments, "requests") or any(text.startswith("-") for text in more[:end]):
            parser.error(f"unrecognized arguments: {' '.join(more)}")
        arguments.requests += more[:end] + more[end + 1 :]
    return arguments


def _join_times(argv: list[str]) -> list[str]:
    """Write ``--time -5m`` as ``--time=-5m``, since argparse would take -5m for an option."""
    joined: list[str] = []
    for n, text in enumerate(argv):
        if text == "--":
            return joined + argv[n:]
        if joined and joined[-1] in ("-t", "--time") and text[:1] == "-" and text[1:2] in "0123456789.":
            joined[-1] = f"--time={text}"
        else:
            joined.append(text)
    return joined


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="rer-numba",
        formatter_class=_wide,
        description="rez's solver on integer arrays: the same answers, from a repository that was encoded once.",
        epilog="Start with `rer-numba demo`.",
    )
    parser.add_argument("--version", action="version", version=f"rer-numba {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_add_demo, _add_encode, _add_solve, _add_config, _add_info, _add_warmup, _add_benchmark):
        add(commands)
    return parser


def _add(commands: Any, name: str, run: str, text: str, more: str = "") -> argparse.ArgumentParser:
    description = f"{text[0].upper()}{text[1:]}. {more}".strip()
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description, formatter_class=_wide
    )
    command.set_defaults(run=run)
    return command


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON instead of text")


def _add_demo(commands: Any) -> None:
    _add(commands, "demo", "rer_numba.demo:demo", "solve some requests of an imaginary studio that comes along")


def _add_encode(commands: Any) -> None:
    command = _add(
        commands,
        "encode",
        "rer_numba.commands:encode",
        "read packages and write them as one file to solve from",
        "Package files are read, never run: what they require must stand there as literals.",
    )
    command.add_argument(
        "source",
        metavar="SOURCE",
        help='a folder with NAME/VERSION/package.py, or JSON: {"packages": [{"name", "version", "requires", ...}]}, '
        "also as .json.gz",
    )
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write, for example site.rer")
    stored = command.add_mutually_exclusive_group()
    stored.add_argument("--from-rez", action="store_true", help="store what rez is configured to do; solves then do it")
    stored.add_argument(
        "--options", metavar="JSON", help="store the options of this file, as `config --json` names them"
    )
    _add_json(command)


def _add_solve(commands: Any) -> None:
    command = _add(
        commands,
        "solve",
        "rer_numba.commands:solve",
        "solve a request and print the packages, or why there are none",
        "Exit code 0: solved, 1: not.",
    )
    command.add_argument(
        "requests",
        nargs="+",
        metavar="REQUEST",
        help="what is wanted, as for `rez env`: maya-2024 '!python-2' '~nuke-14' (a shell wants the quotes)",
    )
    command.add_argument(
        "-r", "--repository", metavar="FILE", help="made by `rer-numba encode`; default: the studio of `rer-numba demo`"
    )
    add_settings(command)
    _add_json(command)


def _add_config(commands: Any) -> None:
    command = _add(
        commands,
        "config",
        "rer_numba.commands:config",
        "tell which settings act on a solve, and where each came from",
        "With the options of `solve`, it tells what that solve would use.",
    )
    command.add_argument("-r", "--repository", metavar="FILE", help="with the options stored in it")
    add_settings(command)
    _add_json(command)


def add_settings(command: argparse.ArgumentParser) -> None:
    """Add the options that say how to solve. None is the default of each: then the stored one counts, or rez's."""
    add = command.add_argument_group("settings, before those stored in the repository").add_argument
    add("--from-rez", action="store_true", help="what rez is configured to do, instead of what is stored")
    add(
        "--variant-select-mode",
        choices=("version_priority", "intersection_priority"),
        help="rez's setting of this name; default version_priority",
    )
    add("--orderers", metavar="FILE", help="package_orderers: JSON, or a .py or .yaml configuration of rez")
    add("--filter", metavar="FILE", help="package_filter: JSON, or a .py or .yaml configuration of rez")
    add("--exclude", action="append", metavar="RULE", help="hide packages too, e.g. '*.beta'; may be repeated")
    add("--include", action="append", metavar="RULE", help="but not these, e.g. 'boost-*'; may be repeated")
    add(
        "-t",
        "--time",
        type=_time,
        metavar="T",
        help="ignore later packages: seconds since 1970, or -10s, -5m, -0.5h, -7d",
    )
    add("-b", "--building", action="store_true", help="solve for a build: build_requires count too")
    add(
        "--ni", "--no-implicit", dest="no_implicit", action="store_true", help="add no implicit packages to the request"
    )
    add(
        "--no-error-on-missing",
        action="store_true",
        help="a package that requires a family that does not exist is passed over, not an error",
    )


def _time(text: str) -> int:
    from rer_numba.filters.time import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_info(commands: Any) -> None:
    command = _add(commands, "info", "rer_numba.commands:info", "tell what an encoded repository holds")
    command.add_argument("repository", metavar="FILE", help="made by `rer-numba encode`")
    _add_json(command)


def _add_warmup(commands: Any) -> None:
    command = _add(
        commands,
        "warmup",
        "rer_numba.commands:warmup",
        "compile the solver now, so that nobody waits for it later",
        "Once per version and kind of machine; takes half a minute.",
    )
    command.add_argument(
        "--cpu",
        action="append",
        metavar="NAME",
        help="for this CPU (generic, x86-64-v3, ...) instead of this machine's own; may be given more than once",
    )
    _add_json(command)


def _add_benchmark(commands: Any) -> None:
    command = _add(
        commands,
        "benchmark",
        "rer_numba.benchmark_report:benchmark",
        "measure rer-numba beside pyrer and rez, and compare their answers",
        "Solves the requests of rez's own benchmark with each of them in turn. Needs pip install 'rer-numba[bench]'. "
        "Exit code 1: an answer differs.",
    )
    command.add_argument(
        "--requests", type=_count, default=188, metavar="N", help="so many of the 188, evenly spread; default all"
    )
    command.add_argument(
        "--engines",
        type=lambda text: [name for name in text.split(",") if name],
        default=["rer-numba", "pyrer", "rez"],
        metavar="NAMES",
        help="of rer-numba (always measured), pyrer and rez; default rer-numba,pyrer,rez",
    )
    command.add_argument("--repeat", type=_count, default=5, metavar="K", help="our time is the median of K; default 5")
    command.add_argument(
        "--rez-all", action="store_true", help="ask rez every request, not only some ten: two to five minutes"
    )
    command.add_argument("--save-repository", metavar="FILE", help="keep the encoded benchmark repository")
    _add_json(command)


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return value
