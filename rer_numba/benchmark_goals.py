"""Goals of benchmarks: what something may cost at most, and what it costs. To miss one is told, and is no failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rer_numba.tables_text import Column, Table


class Goal(NamedTuple):
    """What something may cost at most, and what it costs."""

    what: str
    most: float
    found: float

    @property
    def met(self) -> bool:
        """It costs no more than it may."""
        return self.found <= self.most


def goals_as_json(goals: Iterable[Goal]) -> list[dict[str, Any]]:
    """Goals, and whether they are met."""
    return [{**goal._asdict(), "met": goal.met} for goal in goals]


def goals_table(goals: Iterable[Goal]) -> Table:
    """A row for each goal."""
    columns = (Column("what", wraps=True), Column("at most", right=True), Column("found", right=True), Column("met"))
    rows = [(goal.what, f"{goal.most:,.1f}", f"{goal.found:,.2f}", "yes" if goal.met else "NO") for goal in goals]
    return Table(columns, rows)
