"""The command solve-many: requests from a file, solved together."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TextIO, cast

from rer_numba.cli import INTERRUPTED, OK, UNSOLVED, complain, warn
from rer_numba.commands import counted, facts_only, notes_on_filter, open_repository, result_as_json
from rer_numba.errors import ConfigurationError, RerError
from rer_numba.tables_text import Column, Table, make_output

if TYPE_CHECKING:
    from rer_numba.batch import SolveBatch
    from rer_numba.options import Overrides

_SHOWN = 10
"""Unsolved requests that are named."""
_MAX_LINE = 16 << 20
"""Characters."""
_UTF_8 = "\ufeff"
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")
"""Marks of encodings, as they are read."""


def solve_many(arguments: argparse.Namespace) -> int:
    """`rer-numba solve-many [-r FILE] REQUESTS`."""
    from rer_numba.batch import BatchInterrupted
    from rer_numba.batch.files import require_writable
    from rer_numba.settings import effective

    if arguments.output:
        require_writable(arguments.output)
    repository = open_repository(arguments.repository, arguments.check, arguments.on_stale)
    settings = effective(arguments, repository.options, arguments.repository)
    start = time.perf_counter()
    is_interrupted = False
    is_table_printed = bool(arguments.output) and _is_standard_output(arguments.output)
    if is_table_printed and arguments.json:
        raise RerError("--json and the table would both be written to standard output; leave one of them out")
    with _opened(arguments.file) as file, facts_only():
        try:
            batch = repository.solve_many(
                read_requests(_lines(file, arguments.file)),
                settings.options,
                threads=arguments.threads,
                max_fails=arguments.max_fails,
                time_limit=arguments.time_limit,
                progress=True,
            )
        except BatchInterrupted as interrupt:
            batch, is_interrupted = interrupt.batch, True
    seconds = time.perf_counter() - start
    problem = _write(batch, arguments.output) if arguments.output else None
    notes = notes_on_filter(repository, settings, [], None)
    with facts_only() if is_table_printed else nullcontext():
        if arguments.json:
            _print_lines(batch, notes)
        else:
            _print_summary(batch, seconds, notes)
    if problem is not None:
        raise problem
    if is_interrupted:
        complain(f"interrupted: {batch.n_done:,} requests are done")
        return INTERRUPTED
    return OK if set(batch.counts) <= {"solved"} else UNSOLVED


def _is_standard_output(path: str) -> bool:
    """Tell whether a path leads to where this process prints."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


def _write(batch: SolveBatch, path: str) -> Exception | None:
    """Write the results; why that failed is said after they are printed."""
    from rer_numba.batch.files import write_results

    try:
        write_results(batch, path)
    except (OSError, RerError) as error:
        return error
    return None


# ------------------------------------------------------------------------------------------------------------- requests
class BadLine:
    """Stands for a line that is no request: whoever reads the request gets the error."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def __iter__(self) -> Iterator[str]:
        raise ConfigurationError(self._problem)


def read_requests(lines: Iterable[str]) -> Iterator[Any]:
    """Read a request from each line.

    Parameters
    ----------
    lines : iterable of str
        Each with words as in a shell; or with JSON: a list of texts, or an object with "requests" and perhaps
        "options", which are those of `SolveOptions`. Empty lines are passed over, and so is what follows a ``#`` at
        the beginning of a word.

    Yields
    ------
    list of str, Request or BadLine
    """
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield _from_json(text) if text[0] in "[{" else _words(text)
        except RecursionError:
            yield BadLine(f"line {number}: its JSON is nested too deeply")
        except (ValueError, ConfigurationError) as error:
            yield BadLine(f"line {number}: {error}")


def _words(text: str) -> list[str]:
    """Words as in a shell, up to a comment."""
    return list(takewhile(lambda word: not word.startswith("#"), shlex.split(text)))


def _from_json(text: str) -> Any:
    from rer_numba.batch import Request

    found = json.loads(text)
    if isinstance(found, list):
        return found
    unknown = set(found) - {"requests", "options"}
    if unknown or "requests" not in found:
        raise ConfigurationError('a request is a list of texts or {"requests": [...], "options": {...}}')
    options = found.get("options", {})
    if not isinstance(options, dict):
        raise ConfigurationError(f"options must be an object of settings, not {options!r}")
    request = Request(found["requests"])
    request.overrides = cast("Overrides", options)  # whose names may be any: they are checked with the row
    return request


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    if path == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")
        yield sys.stdin
        return
    with open(path, encoding="utf-8", errors="surrogateescape") as file:  # a line that is no UTF-8 is one bad line
        yield file


def _lines(file: TextIO, path: str) -> Iterator[str]:
    """The lines of a file, less the mark of UTF-8 that editors on Windows put first.

    Raises
    ------
    OSError
        A line has no end, such as that of a device.
    ConfigurationError
        It is UTF-16, as PowerShell writes it.
    """
    is_first = True
    while line := file.readline(_MAX_LINE + 1):
        if is_first and line.startswith(_UTF_16):
            raise ConfigurationError(f"{'standard input' if path == '-' else path}: is UTF-16; save it as UTF-8")
        if is_first:
            line, is_first = line.removeprefix(_UTF_8), False
        if len(line) > _MAX_LINE:
            raise OSError(errno.EFBIG, f"has a line of more than {_MAX_LINE >> 20} MiB", path)
        yield line


# -------------------------------------------------------------------------------------------------------------- answers
def _print_lines(batch: SolveBatch, notes: list[str]) -> None:
    """A line of JSON for each request."""
    for index, result in enumerate(batch):
        json.dump(result_as_json(batch.request(index), result), sys.stdout)
        sys.stdout.write("\n")
    for note in notes:
        warn(note)


def _print_summary(batch: SolveBatch, seconds: float, notes: list[str]) -> None:
    output = make_output()
    rate = f"{len(batch) / seconds:,.0f} a second" if seconds else ""
    output.line(f"{counted(len(batch), 'request')} in {seconds:.2f} s, {rate}")
    columns = (Column("status"), Column("requests", right=True))
    output.table(Table(columns, [(name, f"{count:,}") for name, count in batch.counts.items()]))
    for note in notes:
        output.line(f"note: {note}")
    unsolved = batch.indexes_of("failed", "error", "aborted")
    if unsolved:
        output.line("")
    for index in unsolved[:_SHOWN]:
        result = batch[index]
        kind = f"{result.error_type}: " if result.error_type else ""
        output.line(f"{shlex.join(batch.request(index)) or f'request {index + 1}'}: {result.status}")
        output.line(f"  {kind}{result.failure_description}")
    if len(unsolved) > _SHOWN:
        output.line(f"and {len(unsolved) - _SHOWN:,} more; -o FILE or --json has them all")
