"""What the commands say of packages that only the process that solves can evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rer_numba.tables_text import Column, Table

if TYPE_CHECKING:
    from rer_numba.broken import Broken
    from rer_numba.repository import Repository
    from rer_numba.tables_text import Output

_ALL_BUT_THE_REASON = ", so it has to be evaluated"


def process_parts(repository: Repository) -> list[Broken]:
    """The packages of a repository, and families in one file, that are evaluated in each process that touches them."""
    return [part for part in repository.broken() if part.is_of_process]


def process_json(parts: list[Broken]) -> list[dict[str, str | None]]:
    """The same for a machine: name, definition file, and what it asks the process."""
    return [{"name": part.name, "uri": part.uri, "reason": _reason(part)} for part in parts]


def print_process_parts(output: Output, parts: list[Broken], most: int | None = None) -> None:
    """List them, and why; after so many only how many more there are."""
    if not parts:
        return
    shown = parts if most is None or len(parts) <= most else parts[: most - 1]
    rows = [(part.name, _reason(part)) for part in shown]
    if len(shown) < len(parts):
        rows.append((f"{len(parts) - len(shown):,} more", "see `rer-numba verify`"))
    output.table(Table((Column("asks its process"), Column("why", wraps=True)), rows))


def _reason(part: Broken) -> str:
    """What a part asks the process, without its name and what follows from it."""
    return part.text.removeprefix(f"{part.name} ").partition(_ALL_BUT_THE_REASON)[0]
