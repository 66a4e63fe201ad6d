"""The arguments of the command line, and nothing else: see `rer_numba.cli`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rer_numba._version import __version__
from rer_numba.cli_words import LEVELS, as_argparse_takes_it
from rer_numba.cli_words import count as _count
from rer_numba.cli_words import length as _seconds
from rer_numba.cli_words import names as _names
from rer_numba.cli_words import place as _place
from rer_numba.cli_words import seconds as _time

BAD_USAGE = 2
"""The exit code that argparse has for it too."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage of everything."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _wide(prog: str) -> argparse.HelpFormatter:
    """Keep every option and its text on one line."""
    return argparse.HelpFormatter(prog, max_help_position=32)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments, by default those of the process. Raises SystemExit for --help, and for what is wrong."""
    parser = make_parser()
    given = as_argparse_takes_it(sys.argv[1:] if argv is None else list(argv))
    arguments, more = parser.parse_known_args(given)
    if more:
        # argparse takes them up to the next option only: `solve maya -r site.rer nuke` leaves nuke over
        end = more.index("--") if "--" in more else len(more)
        if arguments.many is None or any(text.startswith("-") for text in more[:end]):
            parser.error(f"unrecognized arguments: {' '.join(more)}")
        getattr(arguments, arguments.many).extend(more[:end] + more[end + 1 :])
    if arguments.file_of is not None:
        _take_file(arguments)
    if sum(vars(arguments).get(name) == "-" for name in ("file", "options", "filter", "orderers")) > 1:
        parser.error("standard input can be read for one thing only: - was given more than once")
    return arguments


def _take_file(arguments: argparse.Namespace) -> None:
    """Take the repository from ``-r FILE`` or from ``FILE``, of which there must be one."""
    given = [path for path in (arguments.named, arguments.repository) if path is not None]
    if not given:
        arguments.file_of.error("the following arguments are required: -r/--repository FILE")
    if len(given) > 1:
        arguments.file_of.error(f"one repository at a time: -r {given[0]}, or {given[1]}")
    arguments.repository = given[0]


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="rer-numba",
        formatter_class=_wide,
        description="rez's solver on integer arrays: the same answers, from a repository that was encoded once.",
        epilog="Start with `rer-numba demo`. Every command takes its encoded repository as -r FILE.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"rer-numba {__version__}")
    parser.set_defaults(run=None, many=None, file_of=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (
        _add_demo,
        _add_encode,
        _add_refresh,
        _add_info,
        _add_verify,
        _add_solve,
        _add_solve_many,
        _add_config,
        _add_rez,
        _add_warmup,
        _add_benchmark,
        _add_help,
    ):
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


def _add_help(commands: Any) -> None:
    commands.add_parser("help", help="show what a command does: help COMMAND")  # see `_asked_for_help`


def _add_demo(commands: Any) -> None:
    _add(commands, "demo", "rer_numba.demo:demo", "solve some requests of an imaginary studio that comes along")


def _add_encode(commands: Any) -> None:
    command = _add(
        commands,
        "encode",
        "rer_numba.commands_encode:encode",
        "read packages and write them as one file to solve from",
        "Package files of literals are read without running them, all others by rez. A package that is broken stops "
        "only the solves that touch it.",
    )
    command.set_defaults(many="paths")
    command.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="package paths in rez's order; or one JSON file, which may end in .json.gz: "
        '{"packages": [{"name", "version", "requires", ...}]}',
    )
    command.add_argument(
        "-o",
        "--output",
        type=_place,
        metavar="FILE",
        help="where to write, for example site.rer; into a folder (site/), each content gets a file of its own",
    )
    command.add_argument(
        "--packages-path",
        action="store_true",
        help="all of rez's packages_path but the local packages, together, as --from-rez does; without -o into the "
        "folder .rer of the first path",
    )
    _add_processes(command)
    command.add_argument(
        "--strict", action="store_true", help="exit code 1 if something is broken; the file is written"
    )
    _add_json(command)
    group = command.add_argument_group("settings")
    stored = group.add_mutually_exclusive_group()
    stored.add_argument(
        "--from-rez", action="store_true", help="read and solve as rez is configured; no PATH: rez's own"
    )
    stored.add_argument(
        "--options", type=_place, metavar="JSON", help=f"store these options for solves: {_OPTIONS_HELP}"
    )
    add = group.add_argument
    add("--package-filenames", type=_names, metavar="NAMES", help="rez's setting: names without .py, comma between")
    add(
        "--check-package-definition-files",
        action="store_true",
        help="rez's setting: a folder without one is no version",
    )
    add("--no-unversioned-packages", action="store_true", help="rez's allow_unversioned_packages = False")


def _add_processes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--processes", type=_count, metavar="N", help="so many read packages; default as many as there are processors"
    )


def _add_refresh(commands: Any) -> None:
    command = _add(
        commands,
        "refresh",
        "rer_numba.commands_repository:refresh",
        "read the families again that have changed since",
        "The file is written if there are any.",
    )
    _add_file(command)
    command.add_argument("--check", choices=LEVELS, default="strict", help=_CHECK_HELP)
    command.add_argument("--force", action="store_true", help="read all families again, whatever their files look like")
    _add_processes(command)
    _add_json(command)


_FILE_HELP = "file or folder made by `rer-numba encode`"
_STUDIO_HELP = "the studio of `rer-numba demo`, on this platform"
_OPTIONS_HELP = "inline, a file, or - for standard input; as `config --json` writes them, or {name: value}"
_CHECK_HELP = "what to look at: strict, all folders and files, the default; release, folders only"


def _add_file(command: argparse.ArgumentParser) -> None:
    """Add the repository of a command that needs one. `parse` puts either way of naming it into `repository`."""
    command.add_argument("-r", "--repository", dest="named", type=_place, metavar="FILE", help=_FILE_HELP)
    command.add_argument("repository", nargs="?", type=_place, metavar="FILE", help="the same without -r")
    command.set_defaults(file_of=command)


def _add_repository(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument("-r", "--repository", type=_place, metavar="FILE", help=f"{_FILE_HELP}; default: {default}")


def _add_info(commands: Any) -> None:
    command = _add(
        commands,
        "info",
        "rer_numba.commands_repository:info",
        "tell what an encoded repository holds",
        "Exit code 1: --check was given, and something has changed.",
    )
    _add_file(command)
    command.add_argument(
        "--check",
        nargs="?",
        const="strict",
        choices=LEVELS,
        help="tell which families have changed since, by all folders and files (strict, the default), or by folders "
        "only (release)",
    )
    _add_json(command)


def _add_verify(commands: Any) -> None:
    command = _add(
        commands,
        "verify",
        "rer_numba.commands_repository:verify",
        "look at every checksum, and list the packages that are broken",
        "Exit code 1: something is broken; 2: the file is damaged.",
    )
    _add_file(command)
    _add_json(command)


def _add_solve(commands: Any) -> None:
    command = _add(
        commands,
        "solve",
        "rer_numba.commands:solve",
        "solve a request and print the packages, or why there are none",
        "Exit code 0: solved, 1: not.",
    )
    command.set_defaults(many="requests")
    command.add_argument(
        "requests",
        nargs="+",
        metavar="REQUEST",
        help="what is wanted, as for `rez env`: maya-2024 '!python-2' '~nuke-14' (a shell wants the quotes)",
    )
    _add_repository(command, _STUDIO_HELP)
    _add_limits(command)
    _add_freshness(command)
    add_settings(command)
    _add_json(command)


def _add_limits(command: argparse.ArgumentParser) -> None:
    command.add_argument("--max-fails", type=int, default=-1, metavar="N", help="give up a solve after N failed steps")
    command.add_argument("--time-limit", type=_seconds, default=-1, metavar="S", help="give up a solve after S seconds")


def _add_freshness(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("packages that have changed since they were encoded").add_argument
    add(
        "--check",
        choices=("strict", "release", "frozen"),
        default="strict",
        help="look at the folders and files that the solve touches (default), at folders only, or at nothing",
    )
    add(
        "--on-stale",
        choices=("refresh", "warn", "error"),
        default="refresh",
        help="read changed families again and save them (default), warn, or end in an error",
    )


def _add_solve_many(commands: Any) -> None:
    command = _add(
        commands,
        "solve-many",
        "rer_numba.commands_batch:solve_many",
        "solve the requests in a file, in several threads",
        "A request on each line, as words in a shell or as JSON. Exit code 0: all are solved, 1: not.",
    )
    command.add_argument(
        "file",
        type=_place,
        metavar="REQUESTS",
        help="a file, or - for standard input; a line is: maya-2024 '!python-2', or "
        '["maya-2024"], or {"requests": ["maya-2024"], "options": {"building": true}}',
    )
    _add_repository(command, _STUDIO_HELP)
    command.add_argument(
        "-o",
        "--output",
        type=_place,
        metavar="FILE",
        help="write the results, as the name says: .arrow, .parquet, .csv or .jsonl; without such an end, Arrow",
    )
    command.add_argument("--threads", type=_count, metavar="N", help="default: as many as there are processors")
    _add_limits(command)
    _add_freshness(command)
    add_settings(command)
    command.add_argument("--json", action="store_true", help="print a line of JSON for each request")


def _add_config(commands: Any) -> None:
    command = _add(
        commands,
        "config",
        "rer_numba.commands:config",
        "tell which settings act on a solve, and where each came from",
        "With the options of `solve`, it tells what that solve would use.",
    )
    _add_repository(command, "none, so no options are stored")
    add_settings(command)
    _add_json(command)


def add_settings(command: argparse.ArgumentParser) -> None:
    """Add the options that say how to solve. None is the default of each: then the stored one counts, or rez's."""
    add = command.add_argument_group("settings, before those stored in the repository").add_argument
    add("--from-rez", action="store_true", help="what rez is configured to do, instead of what is stored")
    add("--options", type=_place, metavar="JSON", help=f"these instead of the stored ones: {_OPTIONS_HELP}")
    add(
        "--variant-select-mode",
        choices=("version_priority", "intersection_priority"),
        help="rez's setting of this name; default version_priority",
    )
    add(
        "--orderers",
        type=_place,
        metavar="FILE",
        help="package_orderers: JSON, also inline, or a .py or .yaml configuration of rez",
    )
    add(
        "--filter",
        type=_place,
        metavar="FILE",
        help="package_filter: JSON, also inline, or a .py or .yaml configuration of rez",
    )
    add("--exclude", action="append", metavar="RULE", help="hide packages too, e.g. '*.beta'; may be repeated")
    add("--include", action="append", metavar="RULE", help="but not these, e.g. 'boost-*'; may be repeated")
    add(
        "-t",
        "--time",
        type=_time,
        metavar="T",
        help="ignore later packages: 2026-10-01, 2026-10-01T18:30, seconds since 1970, or -10s, -5m, -0.5h, -7d",
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


def _add_rez(commands: Any) -> None:
    command = commands.add_parser(
        "rez", help="tell how rez is connected", description="How rez is connected.", formatter_class=_wide
    )
    command.set_defaults(run="rer_numba.commands_rez:usage")
    status = _add(
        command.add_subparsers(title="commands", metavar="COMMAND"),
        "status",
        "rer_numba.commands_rez:status",
        "tell whether rez's commands are hooked, and which encoded repositories answer for its paths",
        "With a request, resolve that, and tell who has solved it. Exit code 1: not hooked, or not solved.",
    )
    status.set_defaults(many="requests")
    status.add_argument(
        "requests", nargs="*", metavar="REQUEST", help="resolve this in rez, hooked: maya-2024 '!python-2'"
    )
    _add_json(status)


def _add_warmup(commands: Any) -> None:
    command = _add(
        commands,
        "warmup",
        "rer_numba.commands:warmup",
        "compile the kernels now, so that nobody waits for them later",
        "Once per version and kind of machine; takes a minute.",
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
        "--requests",
        type=_count,
        metavar="N",
        help="so many of the 188, evenly spread; default all, --env 40, --start 24",
    )
    command.add_argument(
        "--engines",
        type=lambda text: [name for name in text.split(",") if name],
        default=["rer-numba", "pyrer", "rez"],
        metavar="NAMES",
        help="of rer-numba (always measured), pyrer and rez; default rer-numba,pyrer,rez",
    )
    command.add_argument("--repeat", type=_count, default=5, metavar="K", help="our time is the median of K; default 5")
    instead = command.add_mutually_exclusive_group()
    instead.add_argument(
        "--paths", action="store_true", help="measure package folders instead: read, encode, open, refresh"
    )
    instead.add_argument(
        "--env", action="store_true", help="measure whole rez-env commands instead, with and without the bridge"
    )
    instead.add_argument(
        "--start", action="store_true", help="measure fresh processes instead: import, first answer, whole commands"
    )
    instead.add_argument(
        "--growth", action="store_true", help="measure studios of several sizes instead: encode, open, solve; minutes"
    )
    instead.add_argument(
        "--layouts",
        nargs="?",
        const="",
        metavar="NAME,...",
        help="measure rez-env on package folders as studios have them instead, or on some of those layouts; 20 minutes",
    )
    command.add_argument(
        "--times",
        type=_count,
        default=1,
        metavar="N",
        help="with --layouts: how many times as many packages as rez's benchmark; default 1",
    )
    command.add_argument(
        "--scales",
        type=lambda text: list(map(_count, text.split(","))),
        default=[1, 10, 100],
        metavar="N,...",
        help="with --growth: how many times as large as rez's benchmark; default 1,10,100",
    )
    command.add_argument(
        "--figure",
        metavar="FILE",
        help="draw the times, as .svg or .png; also with --growth. Needs pip install 'rer-numba[figures]'",
    )
    command.add_argument(
        "--rez-all", action="store_true", help="ask rez every request, not only some ten: two to five minutes"
    )
    command.add_argument("--save-repository", metavar="FILE", help="keep the encoded benchmark repository")
    _add_json(command)
