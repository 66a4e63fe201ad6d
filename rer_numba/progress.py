"""What is shown through rich, and so only on a terminal: progress bars and tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from rer_numba.tell import is_quiet, say

if TYPE_CHECKING:
    from rer_numba.tables_text import Table

T = TypeVar("T")

OnProgress = Callable[[str, int, int], None]
"""Takes what is going on, how much is done, and how much there is."""

SHOWN_AFTER = 2.0
"""Seconds that work may take before anybody wants to know how it goes on."""
_REFRESH = 0.1
_STYLES = {"solved": "green", "failed": "red", "error": "red", "yes": "green", "NO": "bold red"}


class Progress:
    """Progress on stderr, if that is a terminal and the work takes longer than `SHOWN_AFTER`. A context manager.

    Without rich it is one line that is written over again and again.

    Parameters
    ----------
    enabled : bool, optional
        Show it; default: if stderr is a terminal and ``RER_NUMBA_QUIET`` does not ask for silence.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self._enabled = not is_quiet() and _is_terminal() if enabled is None else enabled
        self._started = self._last = 0.0
        self._bar: Any = None
        self._task: Any = None
        self._what = ""
        self._wrote = 0

    def __enter__(self) -> Progress:
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def track(self, items: Iterable[T], total: int | None, what: str) -> Iterator[T]:
        """Hand out the items, and show how many of `total` were asked for."""
        for done, item in enumerate(items):
            self.show(what, done, total)
            yield item

    def show(self, what: str, done: int = 0, total: int | None = None) -> None:
        """Say what is going on. Cheap unless it is time to write. An `OnProgress`."""
        if not self._enabled:
            return
        now = time.monotonic()
        is_next = what != self._what  # it may take long, and be told once only
        if now - self._started < SHOWN_AFTER or (now - self._last < _REFRESH and not is_next):
            return
        self._last = now
        if find_spec("rich") is not None:
            self._show_bar(what, done, total)
        else:
            text = f"{what} {_count(done, total)}".rstrip()
            say(f"\r{text:<{self._wrote}}")
            self._wrote = len(text)
        self._what = what

    def _show_bar(self, what: str, done: int, total: int | None) -> None:
        if self._bar is None:
            self._bar = _make_bar()
        if what != self._what:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, total=total, count="")
        self._bar.start()
        self._bar.update(self._task, completed=done, count=_count(done, total), refresh=True)

    def _clear(self) -> None:
        """Take away what was shown."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._wrote:
            say(f"\r{'':{self._wrote}}\r")
            self._wrote = 0


def tell_nobody(what: str, done: int, total: int) -> None:
    """Take no notice of progress."""


@contextmanager
def reported(progress: bool | OnProgress) -> Iterator[OnProgress]:
    """Give a function to report progress to: it shows it, hands it on, or takes no notice.

    Parameters
    ----------
    progress : bool or callable
        True: show it, see `Progress`. A callable is given back.
    """
    if callable(progress):
        yield progress
    elif progress:
        with Progress() as shown:
            yield shown.show
    else:
        yield tell_nobody


def _count(done: int, total: int | None) -> str:
    """How far it is; nothing for what is done in one step."""
    if total == 1:
        return ""
    return f"{done:,}" + (f" of {total:,}" if total else "")


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (OSError, ValueError):
        return False


def _make_bar() -> Any:
    from rich import progress  # noqa: TID251
    from rich.console import Console  # noqa: TID251

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[count]}"),
    )
    # no thread that refreshes: it would disturb what a benchmark measures
    return progress.Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)


class RichOutput:
    """Writes tables and paragraphs through rich; an `Output` of `rer_numba.tables_text`.

    Parameters
    ----------
    stream : text file
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: TID251

        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._is_first = True
        self._is_after_table = False

    def heading(self, text: str) -> None:
        """Begin a section with an empty line and a bold title."""
        if not self._is_first:
            self._console.print()
        self._is_first = self._is_after_table = False
        self._console.print(text, style="bold cyan")

    def text(self, text: str, indent: int = 0) -> None:
        """Write a paragraph; its own line breaks stay."""
        from rich.padding import Padding  # noqa: TID251
        from rich.text import Text  # noqa: TID251

        if self._is_after_table:
            self._console.print()
        self._is_first = self._is_after_table = False
        self._console.print(Padding(Text(text), (0, 0, 0, indent), expand=False))

    def line(self, text: str) -> None:
        """Write a line as it is."""
        self._is_first = False
        self._console.print(text, soft_wrap=True)

    def table(self, table: Table) -> None:
        """Write a table; the words of `_STYLES` are coloured."""
        from rich import box  # noqa: TID251
        from rich.table import Table as RichTable  # noqa: TID251
        from rich.text import Text  # noqa: TID251

        self._is_first = False
        shown = RichTable(
            box=box.SIMPLE_HEAD,
            header_style="bold",
            show_header=any(column.header for column in table.columns),
            show_edge=False,
            pad_edge=False,
        )
        for column in table.columns:
            shown.add_column(
                column.header,
                justify="right" if column.right else "left",
                no_wrap=not column.wraps,
                overflow="fold",
            )
        self._is_after_table = True
        for row in table.rows:
            shown.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        self._console.print(shown)
