"""Tables and paragraphs for people: plain text, or rich's on a terminal where rich is installed."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple, Protocol, TextIO

PLAIN_WIDTH = 100
"""Columns of a paragraph or table that goes to a file or a pipe, unless ``COLUMNS`` says otherwise."""
_GAP = "  "
_NARROWEST = 16


class Column(NamedTuple):
    """A column of a `Table`.

    Attributes
    ----------
    header : str
    right : bool
        Its cells end in line, as numbers do.
    wraps : bool
        It gives way when the table is wider than the line: long cells go on in the next lines.
    """

    header: str
    right: bool = False
    wraps: bool = False


class Table(NamedTuple):
    """Rows of texts, each as long as `columns`."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


class Output(Protocol):
    """Where a command writes for people."""

    def heading(self, text: str) -> None:
        """Begin a section."""

    def text(self, text: str, indent: int = 0) -> None:
        """Write a paragraph, wrapped to the line."""

    def line(self, text: str) -> None:
        """Write a line that is never broken, since somebody may copy it."""

    def table(self, table: Table) -> None:
        """Write a table."""


def make_output() -> Output:
    """Return what fits the standard output as it is now."""
    stream = sys.stdout
    if _is_rich_terminal(stream):
        from rer_numba.progress import RichOutput

        return RichOutput(stream)
    return PlainOutput(stream)


def _is_rich_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb" and find_spec("rich") is not None


class PlainOutput:
    """Aligned columns, ASCII only.

    Parameters
    ----------
    stream : text file
    width : int, optional
        Of a line, in characters; default the terminal's.
    """

    def __init__(self, stream: TextIO, width: int | None = None) -> None:
        self._stream = stream
        self._width = width or _terminal_width(stream)
        self._is_first = True
        self._is_after_table = False

    def heading(self, text: str) -> None:
        """Begin a section with an empty line and an underlined title."""
        if not self._is_first:
            self.line("")
        self.line(f"{text}\n{'-' * len(text)}")

    def text(self, text: str, indent: int = 0) -> None:
        """Write a paragraph; its own line breaks stay."""
        if self._is_after_table:
            self.line("")
        margin = " " * indent
        for paragraph in text.split("\n"):
            self.line("\n".join(_wrap(paragraph, self._width - indent, margin)))

    def line(self, text: str) -> None:
        """Write a line as it is."""
        self._is_first = self._is_after_table = False
        self._stream.write(text + "\n")

    def table(self, table: Table) -> None:
        """Write a table."""
        for line in table_lines(table, self._width):
            self.line(line)
        self._is_after_table = True


def _terminal_width(stream: TextIO) -> int:
    """As `shutil.get_terminal_size`, which imports three compressors (3 ms)."""
    try:
        return int(os.environ["COLUMNS"]) or PLAIN_WIDTH
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(stream.fileno()).columns or PLAIN_WIDTH
    except (AttributeError, OSError, ValueError):  # not a terminal, or not even a file
        return PLAIN_WIDTH


def table_lines(table: Table, width: int) -> list[str]:
    """Lay a table out in lines of `width` characters, or more if the columns that do not wrap need them."""
    headers = [column.header for column in table.columns]
    widths = _widths(table, width)
    lines = []
    if any(headers):
        lines = [_row_lines(headers, table.columns, widths), ["-" * (sum(widths) + len(_GAP) * (len(widths) - 1))]]
    lines += [_row_lines(row, table.columns, widths) for row in table.rows]
    return [line for row in lines for line in row]


def _widths(table: Table, limit: int) -> list[int]:
    """Width of each column: as its cells are, but those that wrap give way, the widest first."""
    cells = [[column.header, *(row[i] for row in table.rows)] for i, column in enumerate(table.columns)]
    widths = [max(map(len, column)) for column in cells]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - limit
    yielding = [i for i, column in enumerate(table.columns) if column.wraps]
    while excess > 0 and yielding:
        widest = max(yielding, key=widths.__getitem__)
        if widths[widest] <= max(_NARROWEST, len(table.columns[widest].header)):
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _row_lines(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    wrapped = [
        _wrap(cell, width) if column.wraps else [cell]
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    lines = []
    for n in range(max(map(len, wrapped))):
        parts = [part[n] if n < len(part) else "" for part in wrapped]
        aligned = (
            part.rjust(width) if column.right else part.ljust(width)
            for part, column, width in zip(parts, columns, widths, strict=True)
        )
        lines.append(_GAP.join(aligned).rstrip())
    return lines


def _wrap(text: str, width: int, margin: str = "") -> list[str]:
    """Break at spaces only: a name that is longer than the line stays whole."""
    lines = textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)
    return [margin + line for line in lines] or [""]
