"""The command ``benchmark --env``: whole `rez-env` commands, with plain rez and with the bridge.

Every command is a fresh process (`rer_numba.benchmark_commands`), on rez's benchmark as package folders. Per request
the two take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from rer_numba.benchmark import spread
from rer_numba.benchmark_commands import ENTRY, ROOT, Ran, RezCommands, difference, last_line
from rer_numba.benchmark_data import benchmark_requests, benchmark_tree, data_folder
from rer_numba.benchmark_processes import Steps
from rer_numba.benchmark_report import percentile, print_differences, processor
from rer_numba.cli import OK, UNSOLVED
from rer_numba.commands import print_facts, print_json
from rer_numba.errors import RerError
from rer_numba.progress import Progress
from rer_numba.tables_text import Column, Output, Table, make_output

REQUESTS = 40
"""How many are asked unless the user says how many."""
KINDS: Final = ("rez", "published", "unpublished")
LABELS: Final = {
    "rez": "rez alone",
    "published": "bridge, packages published",
    "unpublished": "bridge, nothing published",
}
_UNPUBLISHED_EVERY = 3
_SPLIT_RUNS = 5
_SPLIT = "rer_numba.rez_bridge.env_split"

Found = dict[str, Any]


def benchmark_env(arguments: argparse.Namespace) -> int:
    """`rer-numba benchmark --env`."""
    with Progress() as progress, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        progress.show("unpacking rez's benchmark")
        tree = benchmark_tree(data_folder(folder))
        studio = Studio(folder, tree)
        # reads every package file as well, so that the system has them at hand for rez
        Steps(folder, progress).run("encoding", "encode", tree=tree, processes=1, file=studio.published)
        report = measure_env(studio, benchmark_requests(), arguments.requests or REQUESTS, progress)
    if arguments.json:
        print_json(report)
    else:
        print_env_report(make_output(), report)
    return OK if report["agrees"] else UNSOLVED


# ----------------------------------------------------------------------------------------------------------- processes
class Studio:
    """rez with and without the bridge, which differ in nothing else.

    Parameters
    ----------
    folder : str
        Empty, to keep configurations and a home in.
    tree : str
        Folder of packages.

    Attributes
    ----------
    published : str
        File that the bridge is told of. It lies elsewhere than the packages, which other measurements share.
    """

    def __init__(self, folder: str, tree: str) -> None:
        self.folder = folder
        self.published = os.path.join(folder, "published.rer")
        self._commands = RezCommands(folder)
        self._plain = self._commands.configure("plain", [tree], bridge=False)
        self._bridge = self._commands.configure("bridge", [tree], bridge=True)

    def environment(self, kind: str) -> dict[str, str]:
        """The variables for one of `KINDS`. A solve that the bridge leaves to rez is an error."""
        found = self._commands.environment(self._plain if kind == "rez" else self._bridge)
        if kind == "published":
            found["RER_NUMBA_REPOSITORIES"] = self.published
        return found

    def run(self, kind: str, request: Sequence[str], code: str = ENTRY, more: Sequence[str] = ()) -> Ran:
        """Run ``rez-env REQUEST... -- env`` from start to end."""
        return self._commands.run(self.environment(kind), request, code, more)


# ----------------------------------------------------------------------------------------------------------- measuring
def measure_env(studio: Studio, requests: list[list[str]], wanted: int, progress: Progress) -> Found:
    """Measure and compare everything.

    Parameters
    ----------
    studio : Studio
        With its file published.
    requests : list of list of str
    wanted : int
        How many of them.
    progress : Progress

    Returns
    -------
    dict
        Texts and numbers only, each single time among them.

    Raises
    ------
    RerError
        rez solves none of the requests.
    """
    numbers = spread(len(requests), wanted)
    also_unpublished = set(numbers[::_UNPUBLISHED_EVERY])
    progress.show("compiling, if that was not done before")
    for kind in KINDS:  # so that what is compiled and verified once is not measured
        studio.run(kind, requests[numbers[0]])
    runs: list[Found] = []
    unsolved: list[Found] = []
    for place, number in enumerate(numbers):
        progress.show("rez-env", place, len(numbers))
        run = _run_request(studio, requests[number], place, number in also_unpublished)
        run["number"] = number
        (runs if run["rez"]["code"] == 0 else unsolved).append(run)
    if not runs:
        raise RerError(f"rez solves none of the requests: {last_line(unsolved[0]['rez']['complaint'])}")
    differing = [text for run in (*runs, *unsolved) for text in run.pop("differences")]
    middle = sorted(runs, key=lambda run: run["rez"]["seconds"])[len(runs) // 2]["number"]
    progress.show("looking where the time goes")
    return {
        "agrees": not differing,
        "differences": differing,
        "runs": runs,
        "unsolved": [run["number"] for run in unsolved],
        "kinds": {kind: summary(runs, kind) for kind in KINDS},
        "median_request": middle,
        "split": {kind: _split(studio, kind, requests[middle]) for kind in KINDS},
        "processor": processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _run_request(studio: Studio, request: Sequence[str], place: int, also_unpublished: bool) -> Found:
    """Run each once; who begins changes from request to request."""
    kinds = list(KINDS if also_unpublished else KINDS[:2])
    if place % 2:
        kinds.reverse()
    ran = {kind: studio.run(kind, request) for kind in kinds}
    differing = [
        f"{LABELS[kind]}: {' '.join(request)}: {text}"
        for kind in kinds
        if kind != "rez"
        for text in difference(ran[kind], ran["rez"])
    ]
    found: Found = {
        kind: {"seconds": one.seconds, "code": one.code, "complaint": one.complaint if one.code else ""}
        for kind, one in ran.items()
    }
    return {**found, "differences": differing}


def summary(runs: Sequence[Found], kind: str) -> Found:
    """Seconds of one of `KINDS`, and of rez for the same requests.

    Returns
    -------
    dict
        ``requests``; ``median``, ``p90``, ``worst``, ``total``; ``rez_median`` and ``rez_total``; ``ratio``, the median
        over the requests of how many times longer rez takes; ``ratio_of_totals``; ``worst_slowdown``, the largest
        difference to rez, negative if none was slower.
    """
    own = [run[kind]["seconds"] for run in runs if kind in run]
    rez = [run["rez"]["seconds"] for run in runs if kind in run]
    if not own:
        return {"requests": 0}
    return {
        "requests": len(own),
        "median": median(own),
        "p90": percentile(own, 90),
        "worst": max(own),
        "total": sum(own),
        "rez_median": median(rez),
        "rez_total": sum(rez),
        "ratio": median(their / our for their, our in zip(rez, own, strict=True)),
        "ratio_of_medians": median(rez) / median(own),
        "ratio_of_totals": sum(rez) / sum(own),
        "worst_slowdown": max(our - their for their, our in zip(rez, own, strict=True)),
    }


def _split(studio: Studio, kind: str, request: Sequence[str]) -> dict[str, float]:
    """Medians of the milliseconds that the parts of one command take."""
    file = os.path.join(studio.folder, "split.json")
    code = f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {_SPLIT} import main; main()"
    found: list[dict[str, float]] = []
    for _ in range(_SPLIT_RUNS):
        ran = studio.run(kind, request, code, (ROOT, file, repr(time.time())))
        if ran.code:
            raise RerError(f"{LABELS[kind]}: ended with code {ran.code}: {last_line(ran.complaint)}")
        with open(file, encoding="utf-8") as stream:
            found.append(json.load(stream))
    return {part: median(one.get(part, 0.0) for one in found) for part in found[0]}


# ------------------------------------------------------------------------------------------------------------- telling
def print_env_report(output: Output, report: Found) -> None:
    """Write the tables, what agreed, and the circumstances."""
    output.heading("rez-env REQUEST... -- env, on rez's benchmark in folders")
    output.table(_times_table(report))
    output.text(
        "Seconds of whole commands, each a fresh process. Times faster: the median over the requests, and by the "
        "totals. At worst: how much longer than rez a command took; negative if none took longer."
    )
    if report["unsolved"]:
        output.text(f"{len(report['unsolved'])} requests that rez does not solve are compared, but not in the times.")
    output.heading(f"Where the time goes: request {report['median_request']} (ms)")
    output.table(_split_table(report["split"]))
    output.heading("Answers")
    output.text("Compared are exit codes, packages in order, their versions and their variants' folders.")
    output.line("all equal: " + ("yes" if report["agrees"] else "NO"))
    print_differences(output, "differs", report["differences"])
    output.heading("Circumstances")
    print_facts(
        output,
        [
            ("processor", f"{report['processor']}, {report['cpus']} of them"),
            ("Python", f"{report['python']} on {report['system']}"),
        ],
    )


def _times_table(report: Found) -> Table:
    columns = (
        Column("rez-env", wraps=True),
        *(Column(name, right=True) for name in ("requests", "median", "p90", "worst", "total")),
        Column("rez on these", right=True, wraps=True),
        Column("times faster", right=True, wraps=True),
        Column("at worst", right=True),
    )
    rows = [_times_row(kind, numbers) for kind, numbers in report["kinds"].items() if numbers["requests"]]
    return Table(columns, rows)


def _times_row(kind: str, numbers: Found) -> tuple[str, ...]:
    own = [f"{numbers[name]:.2f}" for name in ("median", "p90", "worst", "total")]
    if kind == "rez":
        return (LABELS[kind], str(numbers["requests"]), *own, "", "1", "")
    against = (
        f"{numbers['rez_total']:.2f}",
        f"{numbers['ratio']:.1f}, {numbers['ratio_of_totals']:.1f}",
        f"{numbers['worst_slowdown']:+.2f}",
    )
    return (LABELS[kind], str(numbers["requests"]), *own, *against)


def _split_table(split: dict[str, dict[str, float]]) -> Table:
    parts = list(dict.fromkeys(part for kind in ("published", "unpublished", "rez") for part in split[kind]))
    columns = (Column("part", wraps=True), *(Column(LABELS[kind], right=True, wraps=True) for kind in KINDS))
    rows = [(part, *(f"{split[kind][part]:,.1f}" if part in split[kind] else "" for kind in KINDS)) for part in parts]
    sums = (f"{sum(split[kind].values()):,.1f}" for kind in KINDS)
    return Table(columns, [*rows, ("together", *sums)])
