"""What ``benchmark --layouts`` has measured, as numbers and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from rer_numba.benchmark_goals import Goal, goals_table
from rer_numba.benchmark_layouts_build import Layout
from rer_numba.benchmark_report import print_differences
from rer_numba.commands import print_facts
from rer_numba.tables_text import Column, Output, Table

MOST_SECOND: Final = 1.1
"""How many times as long as on a clean site the second process may take."""
MOST_FIRST: Final = 1.0
"""How many times as long as rez the first process may take."""
KINDS: Final = ("rez", "clean", "first", "second")

Found = dict[str, Any]


def row_of(name: str, layout: Layout, request: str, rounds: Sequence[Found]) -> Found:
    """A row of the table.

    Parameters
    ----------
    rounds : sequence of dict
        ``rez``, ``clean``, ``first``, ``second``: seconds; ``code``, the exit code of rez; ``differences``.

    Returns
    -------
    dict
        Medians over the rounds, of times and of ratios within a round: a machine that slows down slows a whole round.
    """
    return {
        "layout": name,
        "label": layout.label,
        "request": request,
        "at_once": layout.at_once,
        "code": rounds[0]["code"],
        "rounds": [{kind: one[kind] for kind in KINDS} for one in rounds],
        **{kind: median(one[kind] for one in rounds) for kind in KINDS},
        "second_by_clean": median(one["second"] / one["clean"] for one in rounds),
        "first_by_rez": median(one["first"] / one["rez"] for one in rounds),
        "differences": [text for one in rounds for text in one["differences"]],
    }


def goals(report: Found) -> list[Goal]:
    """What each row may cost."""
    rows = report["rows"]
    second = [Goal(f"{_what(row)}: second by clean", MOST_SECOND, row["second_by_clean"]) for row in rows]
    return second + [Goal(f"{_what(row)}: first by rez", MOST_FIRST, row["first_by_rez"]) for row in rows]


def _what(row: Found) -> str:
    return f"{row['label']}, {row['request']}"


def print_layouts_report(output: Output, report: Found) -> None:
    """Write the tables, what agreed, and the circumstances."""
    output.heading(f"Cold rez-env in layouts of {report['packages']:,} packages (s)")
    output.table(_times_table(report))
    output.text(
        "Medians of seconds of processors, and of time where processes run at once. First: no process of this user has "
        "been there since something changed; second: the next one. The ratios are medians of those within a round."
    )
    output.heading("Goals that are missed")
    missed = [goal for goal in goals(report) if not goal.met]
    if missed:
        output.table(goals_table(missed))
    else:
        output.line("none")
    output.heading("Answers")
    output.text("Compared are exit codes, packages in order, their versions and their variants' folders.")
    output.line("all equal: " + ("yes" if report["agrees"] else "NO"))
    print_differences(output, "differs", report["differences"])
    output.heading("Circumstances")
    sizes = (f"{name} {' '.join(texts)}: {report['sizes'][name]}" for name, texts in report["requests"].items())
    output.text("Packages that the requests resolve to: " + "; ".join(sizes))
    print_facts(
        output,
        [
            ("rounds", str(report["repeat"])),
            ("processor", f"{report['processor']}, {report['cpus']} of them"),
            ("Python", f"{report['python']} on {report['system']}"),
        ],
    )


def _times_table(report: Found) -> Table:
    columns = (
        Column("layout", wraps=True),
        Column("request"),
        *(Column(name, right=True) for name in KINDS),
        Column("second by clean", right=True, wraps=True),
        Column("first by rez", right=True, wraps=True),
    )
    return Table(columns, list(map(_times_row, report["rows"])))


def _times_row(row: Found) -> tuple[str, ...]:
    label = row["label"] + ("" if row["code"] == 0 else f" (exit code {row['code']})")
    times = (f"{row[kind]:.2f}" for kind in KINDS)
    return (label, row["request"], *times, f"{row['second_by_clean']:.2f}", f"{row['first_by_rez']:.2f}")
