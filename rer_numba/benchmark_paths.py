"""The command ``benchmark --paths``: package folders read, encoded, opened, refreshed; beside rez and pyrer.

Everything that is measured happens in processes of its own (`rer_numba.benchmark_steps`), one after the other; where
rivals take part they take turns. This process only starts them, and stays small.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from rer_numba._version import __version__
from rer_numba.benchmark import is_installed
from rer_numba.benchmark_data import benchmark_requests, benchmark_tree, data_folder
from rer_numba.benchmark_processes import Steps
from rer_numba.benchmark_report import NOT_INSTALLED, print_differences, processor
from rer_numba.cli import OK, UNSOLVED
from rer_numba.commands import print_facts, print_json
from rer_numba.paths.workers import process_count
from rer_numba.progress import Progress
from rer_numba.tables_text import Column, Output, Table, make_output

TIMES_LARGER = 10
_MEDIAN_REQUEST = 71
"""Of the 188: 134 solve steps."""

Found = dict[str, Any]


class Reader(NamedTuple):
    """Something that reads all packages of a folder.

    Attributes
    ----------
    label : str
        Without a version, when only the step knows that.
    step : str
        Its name in `rer_numba.benchmark_steps`.
    arguments : dict
        Of the step.
    environment : dict
        More variables.
    """

    label: str
    step: str
    arguments: Mapping[str, Any]
    environment: Mapping[str, str] = {}


def benchmark_paths(arguments: argparse.Namespace) -> int:
    """`rer-numba benchmark --paths`."""
    with Progress() as progress, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        progress.show("unpacking rez's benchmark")
        tree = benchmark_tree(data_folder(folder))
        saved = os.path.abspath(arguments.save_repository or os.path.join(folder, "benchmark.rer"))
        report = measure_paths(tree, saved, arguments, Steps(folder, progress))
    if arguments.json:
        print_json(report)
    else:
        print_paths_report(make_output(), report)
    return OK if report["agrees"] else UNSOLVED


# ---------------------------------------------------------------------------------------------------------- measuring
def measure_paths(tree: str, saved: str, arguments: argparse.Namespace, steps: Steps) -> Found:
    """Measure everything.

    Parameters
    ----------
    tree : str
        Folder with the packages.
    saved : str
        File to write the encoded repository to.
    arguments : argparse.Namespace
        ``engines``, ``repeat``, ``rez_all``.
    steps : Steps

    Returns
    -------
    dict
        Texts and numbers only, each single time among them.
    """
    families = len(os.listdir(tree))
    readers = _readers(tree, saved, families, arguments.engines)
    readings = _read_in_turn(readers, arguments, steps)
    checked = steps.run("comparing with packages from memory", "check", tree=tree, file=saved)
    report: Found = {
        "tree": tree,
        "families": families,
        "packages": readings[0]["runs"][0]["packages"],
        "repeat": arguments.repeat,
        "readers": readings,
        "missing": [name for name in ("pyrer", "rez") if name in arguments.engines and not is_installed(name)],
        "file_bytes": os.path.getsize(saved),
        **_open(saved, arguments.repeat, steps),
        "refresh": steps.run("refreshing", "refresh", tree=tree, file=saved, repeat=arguments.repeat),
        "commands": _commands(saved, arguments.repeat, steps),
        **checked,
        "processor": processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }
    counts = {run["packages"] for reading in readings for run in reading["runs"]}
    report["count_differences"] = [f"numbers of packages: {sorted(counts)}"] if len(counts) > 1 else []
    report["agrees"] = not any(report[f"{kind}_differences"] for kind in ("count", "column", "answer", "golden"))
    return report


def _readers(tree: str, saved: str, families: int, engines: Sequence[str]) -> list[Reader]:
    """Ours first, with one process and with all."""
    ours = f"rer-numba {__version__}"
    found = [Reader(f"{ours}, 1 process", "encode", {"tree": tree, "processes": 1, "file": saved})]
    processes = process_count(None, families)
    if processes > 1:
        found.append(
            Reader(f"{ours}, {processes} processes", "encode", {"tree": tree, "processes": processes, "file": saved})
        )
    if "pyrer" in engines and is_installed("pyrer"):
        found.append(Reader("1 thread", "pyrer", {"tree": tree}, {"RAYON_NUM_THREADS": "1"}))
        found.append(Reader("all threads", "pyrer", {"tree": tree}))
    if "rez" in engines and is_installed("rez"):
        found.append(Reader("", "rez", {"tree": tree}))
    return found


def _read_in_turn(readers: Sequence[Reader], arguments: argparse.Namespace, steps: Steps) -> list[Found]:
    """Let each read once in a round; rez, which takes twenty seconds, only in the round in the middle.

    Once before that, so that all find the files in the system's cache.
    """
    steps.run("reading packages for the first time", readers[0].step, **readers[0].arguments)
    readings: list[Found] = [{"label": reader.label, "step": reader.step, "runs": []} for reader in readers]
    for number in range(arguments.repeat):
        for reader, reading in zip(readers, readings, strict=True):
            if reader.step == "rez" and number != arguments.repeat // 2 and not arguments.rez_all:
                continue
            what = f"reading packages, round {number + 1} of {arguments.repeat}: {reader.step}"
            run = steps.run(what, reader.step, reader.environment, **reader.arguments)
            version = run.pop("label", None)
            if version and not reading["runs"]:
                reading["label"] = ", ".join(part for part in (version, reader.label) if part)
            reading["runs"].append(run)
    return readings


def _open(saved: str, repeat: int, steps: Steps) -> Found:
    """Open the file, and one that is much larger."""
    large = os.path.join(steps.folder, "large.rer")
    facts = steps.run(f"making a repository {TIMES_LARGER} times as large", "enlarge", file=large, times=TIMES_LARGER)
    cache = {"RER_NUMBA_CACHE_DIR": os.path.join(steps.folder, "cache")}
    found = steps.run("opening", "opening", cache, files=[saved, large], folder=steps.folder, repeat=repeat)
    names = ("open", "open_large")
    return {
        "large": facts,
        **{
            name: {"first_ms": first, "again_ms": again}
            for name, first, again in zip(names, found["first_ms"], found["again_ms"], strict=True)
        },
    }


def _commands(saved: str, repeat: int, steps: Steps) -> dict[str, list[float]]:
    """Whole commands in turn, each in a fresh process: Python alone, a refresh without changes, a solve."""
    request = benchmark_requests()[_MEDIAN_REQUEST]
    commands = {
        "python -c pass": ["-c", "pass"],
        "rer-numba refresh": ["-m", "rer_numba", "refresh", saved],
        "rer-numba solve": ["-m", "rer_numba", "solve", "-r", saved, *request],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, arguments in commands.items():
            found[name].append(steps.command_ms(name, *arguments))
    return found


# ------------------------------------------------------------------------------------------------------------ telling
def print_paths_report(output: Output, report: Found) -> None:
    """Write the tables, what agreed, and the circumstances."""
    output.heading("rez's benchmark in folders")
    output.text(f"{report['packages']:,} packages of {report['families']:,} families in {report['tree']}")
    output.heading("Reading all packages, each time in a fresh process")
    output.table(_reading_table(report))
    output.text(
        "Medians. rer-numba reads and encodes; pyrer only parses; rez reads what its solver asks for. Imports do not "
        "count." + _left_to_rez(report)
    )
    output.heading("From then on (ms)")
    output.table(_steps_table(report))
    output.text(
        "The first time a file is opened all its checksums are looked at. A changed family is found by looking at all "
        "folders and files; with `release` only at folders."
    )
    output.heading("Answers")
    _print_checked(output, report)
    output.heading("Circumstances")
    print_facts(
        output,
        [
            ("file", f"{report['file_bytes']:,} bytes; the larger one {report['large']['file_bytes']:,}"),
            ("processor", f"{report['processor']}, {report['cpus']} of them"),
            ("Python", f"{report['python']} on {report['system']}"),
        ],
    )


def _reading_table(report: Found) -> Table:
    columns = (
        Column("reader", wraps=True),
        Column("runs", right=True),
        Column("time (s)", right=True),
        Column("fastest-slowest", right=True),
        Column("CPU (s)", right=True),
        Column("peak (MiB)", right=True),
        Column("rez takes", right=True, wraps=True),
    )
    rez = next((_medians(one["runs"])["seconds"] for one in report["readers"] if one["step"] == "rez"), None)
    rows = [_reading_row(one, rez) for one in report["readers"]]
    return Table(columns, rows + [(name, "", "", "", "", "", NOT_INSTALLED) for name in report["missing"]])


def _reading_row(reading: Found, rez: float | None) -> tuple[str, ...]:
    runs = reading["runs"]
    found = _medians(runs)
    peak = _mebibytes(found["peak_bytes"])
    if reading["step"] == "encode" and found["largest_child_bytes"]:
        peak += f" + {_mebibytes(found['largest_child_bytes'])}"
    wall = [run["seconds"] for run in runs]
    return (
        reading["label"],
        str(len(runs)),
        f"{found['seconds']:.2f}",
        f"{min(wall):.2f}-{max(wall):.2f}",
        "not measured" if found["cpu_seconds"] is None else f"{found['cpu_seconds']:.2f}",
        peak,
        "" if rez is None or reading["step"] == "rez" else f"{rez / found['seconds']:,.1f} times",
    )


def _medians(runs: Sequence[Found]) -> Found:
    """The median of each number; None where it was not measured."""
    names = ("seconds", "cpu_seconds", "peak_bytes", "largest_child_bytes")
    return {name: None if runs[0][name] is None else median(run[name] for run in runs) for name in names}


def _mebibytes(count: float | None) -> str:
    return "not measured" if count is None else f"{count / 2**20:,.0f}"


def _left_to_rez(report: Found) -> str:
    left = next((run["left_to_rez"] for one in report["readers"] for run in one["runs"] if "left_to_rez" in run), None)
    children = any(run["largest_child_bytes"] for one in report["readers"] for run in one["runs"])
    return (f" pyrer leaves {left} files to rez." if left else "") + (
        " Peak memory: of the process, and of the largest that it started." if children else ""
    )


def steps_measured(report: Found) -> list[tuple[str, list[float]]]:
    """What is done once packages are encoded, and the milliseconds of each run."""
    saving = [1000 * run["save_seconds"] for one in report["readers"] for run in one["runs"] if one["step"] == "encode"]
    refresh = report["refresh"]
    median_family, largest_family = refresh["median_family"], refresh["largest_family"]
    larger = f"{TIMES_LARGER} times as large"
    return [
        ("save", saving),
        ("open, the first time", report["open"]["first_ms"]),
        ("open, again", report["open"]["again_ms"]),
        (f"open a file {larger}, the first time", report["open_large"]["first_ms"]),
        (f"open a file {larger}, again", report["open_large"]["again_ms"]),
        ("refresh, nothing changed", refresh["strict_ms"]),
        ("refresh, nothing changed, release", refresh["release_ms"]),
        (f"refresh, a family of {median_family['packages']} packages changed", median_family["ms"]),
        (f"refresh, the largest changed, {largest_family['packages']} packages", largest_family["ms"]),
        *((f"command: {name}", times) for name, times in report["commands"].items()),
    ]


def _steps_table(report: Found) -> Table:
    columns = (
        Column("step", wraps=True),
        Column("runs", right=True),
        Column("median", right=True),
        Column("fastest", right=True),
        Column("slowest", right=True),
    )
    rows = [
        (what, str(len(times)), *(f"{pick(times):,.1f}" for pick in (median, min, max)))
        for what, times in steps_measured(report)
    ]
    return Table(columns, rows)


def _print_checked(output: Output, report: Found) -> None:
    compared = [
        ("number of packages, of all readers", report["count_differences"]),
        ("tables, with those of packages from memory", report["column_differences"]),
        (f"answers to {report['requests']} requests, with the same", report["answer_differences"]),
    ]
    if report["golden_differences"] is not None:
        compared.append(("answers, with those that rez gave", report["golden_differences"]))
    rows = [(what, "NO" if found else "yes") for what, found in compared]
    output.table(Table((Column("compared"), Column("all equal")), rows))
    for what, found in compared:
        print_differences(output, what, found)
