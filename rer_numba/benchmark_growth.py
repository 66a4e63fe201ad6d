"""The command ``benchmark --growth``: the same requests, asked of studios of several sizes.

The studios are made of departments that are built like rez's benchmark (`rer_numba.benchmark_departments`). Everything
that is measured happens in processes of its own (`rer_numba.benchmark_growth_steps`), one after the other.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from rer_numba.benchmark import Measurement, spread
from rer_numba.benchmark_data import benchmark_requests
from rer_numba.benchmark_goals import Goal, goals_as_json, goals_table
from rer_numba.benchmark_processes import Steps
from rer_numba.benchmark_report import percentile, print_differences, processor, summary
from rer_numba.cli import OK, UNSOLVED
from rer_numba.commands import print_facts, print_json
from rer_numba.progress import Progress
from rer_numba.tables_text import Column, Output, Table, make_output

MODULE: Final = "rer_numba.benchmark_growth_steps"
MOST_GROWTH: Final = 1.2
"""How many times as long the largest studio may take, to open it and to solve from it."""
MOST_BYTES: Final = 100
"""Of the file, for each requirement of a variant."""
_MEDIAN_REQUEST = 71
"""Of the 188: 134 solve steps."""
_LARGE: Final = 10
"""Departments that take some seconds to encode."""
_KNOWN_FILES: Final = 20
"""How often a known file is opened for each time that a new one is: it takes a thousandth."""

Found = dict[str, Any]


def benchmark_growth(arguments: argparse.Namespace) -> int:
    """`rer-numba benchmark --growth`."""
    scales = sorted(set(arguments.scales))
    with Progress() as progress, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = measure_growth(scales, arguments, Steps(folder, progress, MODULE))
    if arguments.figure:
        from rer_numba.benchmark_figures import draw_growth

        draw_growth(report, arguments.figure)
    if arguments.json:
        print_json({**report, "goals": goals_as_json(goals(report))})
    else:
        print_growth_report(make_output(), report)
    return OK if report["agrees"] else UNSOLVED


# ---------------------------------------------------------------------------------------------------------- measuring
def measure_growth(scales: Sequence[int], arguments: argparse.Namespace, steps: Steps) -> Found:
    """Measure everything.

    Parameters
    ----------
    scales : sequence of int
        How many departments each studio has, ascending.
    arguments : argparse.Namespace
        ``requests``, ``repeat``.
    steps : Steps
        Of `MODULE`; their folder takes the files: 4 MB for each department of each studio, and as much again for a
        copy of the largest.

    Returns
    -------
    dict
        Texts and numbers only, each single time among them.
    """
    count = len(benchmark_requests())
    numbers = spread(count, arguments.requests or count)
    files = [os.path.join(steps.folder, f"{scale}.rer") for scale in scales]
    sizes = [_encode(scale, file, arguments.repeat, steps) for scale, file in zip(scales, files, strict=True)]
    cache = {"RER_NUMBA_CACHE_DIR": os.path.join(steps.folder, "cache")}
    opened = steps.run("opening", "opening", cache, files=files, folder=steps.folder, repeat=arguments.repeat)
    known = steps.run("opening again", "known", files=files, repeat=_KNOWN_FILES * arguments.repeat)
    fresh = _first_in_turn(files, arguments.repeat, steps)
    solved = steps.run("solving", "solve", files=files, scales=list(scales), repeat=arguments.repeat, numbers=numbers)
    for number, size in enumerate(sizes):
        size["open_first_ms"], size["open_again_ms"] = opened["first_ms"][number], known["again_ms"][number]
        size["fresh_solve_ms"] = [run["solve_ms"] for run in fresh[number]]
        size["fresh_peak_bytes"] = [run["peak_bytes"] for run in fresh[number]]
        size["solve"] = solved["sizes"][number]
    differences = [text for size in sizes for text in size["solve"]["differences"]]
    return {
        "sizes": sizes,
        "answer_differences": differences,
        "department_differences": solved["department_differences"],
        "agrees": not differences and not solved["department_differences"],
        "repeat": arguments.repeat,
        "core": solved["core"],
        "processor": processor(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _encode(scale: int, file: str, repeat: int, steps: Steps) -> Found:
    """Encode a studio; a small one several times, of which the median counts."""
    times = repeat if scale < _LARGE else 1
    runs = [steps.run(f"encoding {scale} departments", "encode", scale=scale, file=file) for _ in range(times)]
    return sorted(runs, key=_encode_effort)[len(runs) // 2]


def _first_in_turn(files: Sequence[str], repeat: int, steps: Steps) -> list[list[Found]]:
    """Solve the median request in fresh processes, file by file, again and again; after a round that does not count."""
    found: list[list[Found]] = [[] for _ in files]
    for number in range(repeat + 1):
        for file, runs in zip(files, found, strict=True):
            run = steps.run("solving in fresh processes", "first", file=file, number=_MEDIAN_REQUEST)
            if number:
                runs.append(run)
    return found


def encode_seconds(size: Found) -> float:
    """From packages in memory to a file."""
    return float(size["read_seconds"] + size["link_seconds"] + size["save_seconds"])


def _encode_effort(size: Found) -> float:
    """Seconds of the processor, which other work on the machine does not lengthen; where nobody tells, of the clock."""
    return float(size["cpu_seconds"] or encode_seconds(size))


def bytes_per_requirement(size: Found) -> float:
    """Of the file."""
    return float(size["file_bytes"] / size["requirements"])


def solve_summary(size: Found, smallest: Found, which: str) -> dict[str, Any]:
    """Total, median and so on of ``solver_ms`` or ``whole_ms``, and the ratio to the smallest studio."""
    own, other = Measurement(""), Measurement("")
    vars(own).update(size["solve"])
    vars(other).update(smallest["solve"])
    return summary(own, other, which)


def goals(report: Found) -> list[Goal]:
    """What the largest studio costs beside the smallest."""
    smallest, largest = report["sizes"][0], report["sizes"][-1]
    times = largest["requirements"] / smallest["requirements"]
    solver, whole = (solve_summary(largest, smallest, which)["ratio"].total for which in ("solver_ms", "whole_ms"))
    return [
        Goal("opening a known file, times", MOST_GROWTH, _growth(largest, smallest, "open_again_ms")),
        Goal("solving, in the solver, times", MOST_GROWTH, solver),
        Goal("solving, as called, times", MOST_GROWTH, whole),
        Goal("encoding, times", times, _encode_effort(largest) / _encode_effort(smallest)),
        Goal("bytes of file for a requirement", MOST_BYTES, max(map(bytes_per_requirement, report["sizes"]))),
    ]


def _growth(largest: Found, smallest: Found, name: str) -> float:
    return float(median(largest[name]) / median(smallest[name]))


# ------------------------------------------------------------------------------------------------------------ telling
def print_growth_report(output: Output, report: Found) -> None:
    """Write the tables, what agreed, and the circumstances."""
    sizes = report["sizes"]
    output.heading("Studios built like rez's benchmark, so many times as large")
    output.table(_table(sizes, _SIZES))
    output.heading("Encoding, from packages in memory to a file")
    output.table(_table(sizes, _ENCODING))
    output.text(
        "Department by department: read, then all linked and saved. Without the time in which packages are made up. "
        "Peak memory of the whole process."
    )
    output.heading("Opening and solving (ms)")
    output.table(_table(sizes, _opening_rows(sizes[0])))
    output.text(
        f"The same {len(sizes[0]['solve']['numbers'])} requests, in turn; medians of {report['repeat']}. Times the "
        "smallest: by the totals, in brackets the 10th to 90th percentile over the requests. A file is new to a user "
        "once: then all of it is verified."
    )
    output.heading("Answers")
    compared = [
        ("the same from studios of all sizes", report["answer_differences"]),
        ("the last department's requests end as the first one's", report["department_differences"]),
    ]
    rows = [(what, "NO" if found else "yes") for what, found in compared]
    output.table(Table((Column("compared"), Column("all equal")), rows))
    for what, found in compared:
        print_differences(output, what, found)
    output.heading(f"Goals, {sizes[-1]['scale']} departments beside {sizes[0]['scale']}")
    output.table(goals_table(goals(report)))
    output.heading("Circumstances")
    core = "" if report["core"] is None else f", solving held on core {report['core']}"
    print_facts(
        output,
        [("processor", report["processor"] + core), ("Python", f"{report['python']} on {report['system']}")],
    )


Row = tuple[str, Any]
"""What a row tells, and the function that makes its cell for a size."""

_SIZES: tuple[Row, ...] = (
    *((name, lambda size, name=name: f"{size[name]:,}") for name in ("families", "packages", "variants")),
    ("requirements of all variants", lambda size: f"{size['requirements']:,}"),
    ("distinct requirements", lambda size: f"{size['distinct']:,}"),
    ("distinct versions", lambda size: f"{size['versions']:,}"),
)
_ENCODING: tuple[Row, ...] = (
    ("reading (s)", lambda size: f"{size['read_seconds']:.2f}"),
    ("linking (s)", lambda size: f"{size['link_seconds']:.2f}"),
    ("saving (s)", lambda size: f"{size['save_seconds']:.2f}"),
    ("together (s)", lambda size: f"{encode_seconds(size):.2f}"),
    ("together, of the processor (s)", lambda size: _seconds(size["cpu_seconds"])),
    (
        "the same for a requirement (us)",
        lambda size: f"{1e6 * _encode_effort(size) / size['requirements']:.2f}",
    ),
    ("peak memory (MiB)", lambda size: _mebibytes(size["peak_bytes"])),
    ("file (MB)", lambda size: f"{size['file_bytes'] / 1e6:,.1f}"),
    ("bytes of file for a requirement", lambda size: f"{bytes_per_requirement(size):.1f}"),
)


def _opening_rows(smallest: Found) -> tuple[Row, ...]:
    return (
        ("open, new to the user", lambda size: _middle(size["open_first_ms"])),
        ("open, known", lambda size: _middle(size["open_again_ms"])),
        ("first solve of a fresh process", lambda size: _middle(size["fresh_solve_ms"])),
        ("peak memory of that process (MiB)", lambda size: _mebibytes(_median_or_none(size["fresh_peak_bytes"]))),
        *(
            row
            for which, title in (("solver_ms", "in the solver"), ("whole_ms", "as called"))
            for row in (
                (
                    f"solve, {title}, all requests",
                    lambda size, which=which: f"{solve_summary(size, smallest, which)['total']:.1f}",
                ),
                (
                    f"solve, {title}, times the smallest",
                    lambda size, which=which: _ratio(solve_summary(size, smallest, which)["ratio"]),
                ),
            )
        ),
    )


def _table(sizes: Sequence[Found], rows: Sequence[Row]) -> Table:
    columns = (Column(""), *(Column(f"{size['scale']} times", right=True) for size in sizes))
    return Table(columns, [(what, *(cell(size) for size in sizes)) for what, cell in rows])


def _middle(times: Sequence[float]) -> str:
    """The median, and the middle half."""
    low, high = percentile(times, 25), percentile(times, 75)
    return f"{median(times):,.2f} ({low:,.2f}-{high:,.2f})"


def _ratio(found: Any) -> str:
    return f"{found.total:.2f} ({found.low:.2f}-{found.high:.2f})"


def _median_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _seconds(count: float | None) -> str:
    return "not measured" if count is None else f"{count:.2f}"


def _mebibytes(count: float | None) -> str:
    return "not measured" if count is None else f"{count / 2**20:,.0f}"
