"""The command ``benchmark --start``: what a person waits for who types one command; beside pyrer.

Every run is a fresh process, from its start to its end. The kinds of processes take turns. All caches are warm: files
have been read, modules and kernels compiled, the repository's checksums looked at.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any, Final, NamedTuple

from rer_numba.benchmark import Answer, differences, is_installed, spread
from rer_numba.benchmark_data import benchmark_requests, benchmark_tree, data_folder
from rer_numba.benchmark_goals import Goal, goals_as_json, goals_table
from rer_numba.benchmark_processes import Finished, Steps
from rer_numba.benchmark_report import NOT_INSTALLED, percentile, print_differences, processor
from rer_numba.benchmark_steps import SETTLED_AFTER
from rer_numba.cli import OK, UNSOLVED
from rer_numba.commands import counted, print_facts, print_json
from rer_numba.progress import Progress
from rer_numba.tables_text import Column, Output, Table, make_output

REQUESTS = 24
"""How many are asked unless the user says how many."""
MOST_FIRST_ANSWER: Final = 100
"""Milliseconds until a process has its first answer and has ended, on any request."""
MOST_AFTER_INTERPRETER: Final = 70
"""The same without what `python -c pass` takes."""
MOST_IMPORT: Final = 25
MOST_HELP: Final = 60
MOST_COMPILING: Final = 25
"""Seconds."""

INTERPRETER, IMPORT, HELP, COMMAND, ANSWER, FROZEN = "interpreter", "import", "help", "command", "answer", "frozen"
PYRER: Final = ("pyrer", "pyrer_1")
"""pyrer's parser uses all threads, or one. The faster way counts, request by request."""
LABELS: Final = {
    INTERPRETER: "python -c pass",
    IMPORT: "import rer_numba",
    HELP: "rer-numba --help",
    COMMAND: "rer-numba solve -r FILE REQUEST",
    ANSWER: "first answer, from Python",
    FROZEN: "the same, looking at no folders",
    PYRER[0]: "pyrer",
    PYRER[1]: "pyrer, 1 thread",
}
_MAIN = "import sys; from rer_numba.cli import main; sys.exit(main())"
"""What the installed script `rer-numba` does, wherever that is."""
_FIRST_ANSWER = """\
import sys
from rer_numba import Repository
result = Repository.open(sys.argv[1], check=sys.argv[2]).solve(sys.argv[3:])
print((result.status, result.resolved, result.num_solves))
"""

Found = dict[str, Any]


def benchmark_start(arguments: argparse.Namespace) -> int:
    """`rer-numba benchmark --start`."""
    with Progress() as progress, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        progress.show("unpacking rez's benchmark")
        tree = benchmark_tree(data_folder(folder))
        report = measure_start(tree, benchmark_requests(), arguments, Steps(folder, progress), progress)
    if arguments.json:
        print_json({**report, "summary": summaries(report), "goals": goals_as_json(goals(report))})
    else:
        print_start_report(make_output(), report)
    return OK if report["agrees"] else UNSOLVED


# ---------------------------------------------------------------------------------------------------------- processes
class Starts:
    """Starts processes of each kind.

    Parameters
    ----------
    tree : str
        Folder of packages.
    file : str
        The same, encoded.
    environment : dict
        More variables for all processes.
    steps : Steps
    """

    def __init__(self, tree: str, file: str, environment: Mapping[str, str], steps: Steps) -> None:
        self._tree = tree
        self._file = file
        self._environment = environment
        self._steps = steps
        self._rival = os.path.join(os.path.dirname(os.path.abspath(__file__)), "benchmark_pyrer_start.py")

    def run(self, kind: str, request: Sequence[str]) -> Finished:
        """Run one process of a kind; those that solve nothing do not look at the request."""
        environment = {**self._environment, "RAYON_NUM_THREADS": "1"} if kind == PYRER[1] else self._environment
        codes = (OK, UNSOLVED) if kind == COMMAND else (OK,)
        return self._steps.command(LABELS[kind], self._arguments(kind, request), environment, codes)

    def _arguments(self, kind: str, request: Sequence[str]) -> list[str]:
        if kind == INTERPRETER:
            return ["-c", "pass"]
        if kind == IMPORT:
            return ["-c", "import rer_numba"]
        if kind == HELP:
            return ["-c", _MAIN, "--help"]
        if kind == COMMAND:
            return ["-c", _MAIN, "solve", "-r", self._file, "--", *request]
        if kind in PYRER:
            return [self._rival, self._tree, *request]
        return ["-c", _FIRST_ANSWER, self._file, "frozen" if kind == FROZEN else "strict", *request]


class Told(NamedTuple):
    """What a process that solves has printed; of pyrer's also how many files were read, and how many not by it."""

    answer: Answer
    read: int = 0
    left: int = 0


def told_by(out: str) -> Told:
    """Read what `_FIRST_ANSWER` or `rer_numba.benchmark_pyrer_start` wrote."""
    status, resolved, num_solves, *counts = ast.literal_eval(out)
    return Told(Answer(status, tuple(resolved), num_solves), *counts)


# ---------------------------------------------------------------------------------------------------------- measuring
def measure_start(
    tree: str, requests: list[list[str]], arguments: argparse.Namespace, steps: Steps, progress: Progress
) -> Found:
    """Measure and compare everything.

    Parameters
    ----------
    tree : str
        Folder of packages.
    requests : list of list of str
    arguments : argparse.Namespace
        ``requests``, how many of them; ``repeat``, how often each; ``engines``.
    steps : Steps
        Their folder takes the encoded packages, and a cache of its own.
    progress : Progress

    Returns
    -------
    dict
        Texts and numbers only, each single time among them.
    """
    # an empty text counts as no text: modules are compiled once, whatever the user has set
    environment = {"RER_NUMBA_CACHE_DIR": os.path.join(steps.folder, "cache"), "PYTHONDONTWRITEBYTECODE": ""}
    file = os.path.join(steps.folder, "benchmark.rer")
    # reads every package file as well, so that the system has them at hand for pyrer
    steps.run("encoding", "encode", environment, tree=tree, processes=1, file=file)
    progress.show("compiling all kernels")
    compiled = steps.command("rer-numba warmup", ["-c", _MAIN, "warmup", "--json"], environment)
    time.sleep(SETTLED_AFTER)
    with_pyrer = "pyrer" in arguments.engines
    missing = ["pyrer"] if with_pyrer and not is_installed("pyrer") else []
    kinds = [kind for kind in LABELS if kind not in PYRER or (with_pyrer and not missing)]
    starts = Starts(tree, file, environment, steps)
    numbers = spread(len(requests), arguments.requests or REQUESTS)
    for kind in kinds:  # so that what is compiled and verified once is not measured
        starts.run(kind, requests[numbers[0]])
    runs = [
        _run_request(starts, kinds, number, requests[number], arguments.repeat)
        for number in progress.track(numbers, len(numbers), "starting processes")
    ]
    differing = [text for run in runs for text in run.pop("differences")]
    return {
        "agrees": not differing,
        "differences": differing,
        "runs": runs,
        "kinds": kinds,
        "repeat": arguments.repeat,
        "missing": missing,
        "compile_ms": compiled.milliseconds,
        "compile_seconds": sum(made["seconds"] for made in json.loads(compiled.out)),
        "has_bytecode": _has_bytecode(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _has_bytecode() -> bool:
    """Python could keep what it has compiled of our modules."""
    spec = find_spec("rer_numba")
    return spec is not None and spec.cached is not None and os.path.isfile(spec.cached)


def _run_request(starts: Starts, kinds: Sequence[str], number: int, request: Sequence[str], repeat: int) -> Found:
    """Run all kinds in turn, again and again; every second time the other way round."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    last: dict[str, Finished] = {}
    for turn in range(repeat):
        for kind in reversed(kinds) if turn % 2 else kinds:
            last[kind] = starts.run(kind, request)
            times[kind].append(last[kind].milliseconds)
    told = {kind: told_by(last[kind].out) for kind in kinds if kind in (ANSWER, FROZEN, *PYRER)}
    found: Found = {"number": number, "ms": times, "differences": _differences(number, told, last[COMMAND].code)}
    if PYRER[0] in told:
        found.update(pyrer_read=told[PYRER[0]].read, pyrer_left=told[PYRER[0]].left)
    return found


def _differences(number: int, told: Mapping[str, Told], code: int) -> list[str]:
    """Say where answers differ from the first one from Python; of the command only the exit code is known."""
    ours = told[ANSWER].answer
    found = [f"{LABELS[kind]}: {text}" for kind in told for text in differences(number, ours, told[kind].answer)]
    if (code == OK) != (ours.status == "solved"):
        found.append(f"{LABELS[COMMAND]}: request {number}: exit code {code}, though it is {ours.status}")
    return found


# ------------------------------------------------------------------------------------------------------------ numbers
def request_ms(report: Found, kind: str) -> list[float]:
    """How long each request took: the median of its runs. Of `PYRER[0]` that of the faster way."""
    if kind != PYRER[0]:
        return [median(run["ms"][kind]) for run in report["runs"]]
    return [min(median(run["ms"][way]) for way in PYRER) for run in report["runs"]]


def summaries(report: Found) -> dict[str, Found]:
    """For each kind, in milliseconds: median, 90th percentile and worst of the requests; the slowest run."""
    return {kind: _summary(report, kind) for kind in report["kinds"]}


def _summary(report: Found, kind: str) -> Found:
    times = [median(run["ms"][kind]) for run in report["runs"]]
    return {
        "median": median(times),
        "p90": percentile(times, 90),
        "worst": max(times),
        "slowest_run": max(max(run["ms"][kind]) for run in report["runs"]),
    }


def interpreter_ms(report: Found) -> float:
    """The median of all starts of Python alone."""
    times: list[float] = [one for run in report["runs"] for one in run["ms"][INTERPRETER]]
    return median(times)


class Beside(NamedTuple):
    """Ours beside pyrer's faster way, request by request.

    Attributes
    ----------
    ratios : list of float
        How many times as long pyrer takes; sorted by pyrer's time.
    pyrer_ms : list of float
        That time.
    """

    ratios: list[float]
    pyrer_ms: list[float]

    @property
    def middle(self) -> int:
        """The place of the median request."""
        return len(self.ratios) // 2

    @property
    def ahead_from(self) -> int:
        """The place from which on we are never slower; their number if we are slower on the last."""
        return max((place + 1 for place, one in enumerate(self.ratios) if one < 1), default=0)


def beside_pyrer(report: Found) -> Beside | None:
    """Compare the first answer from Python; None if pyrer was not measured."""
    if PYRER[0] not in report["kinds"]:
        return None
    pairs = sorted(zip(request_ms(report, PYRER[0]), request_ms(report, ANSWER), strict=True))
    return Beside([their / our for their, our in pairs], [their for their, _ in pairs])


def goals(report: Found) -> list[Goal]:
    """What starting may cost, and what it costs."""
    found, start = summaries(report), interpreter_ms(report)
    reached = [
        goal
        for what, kind in (("first answer", ANSWER), ("the same, looking at no folders", FROZEN))
        for goal in (
            Goal(f"{what}, worst request (ms)", MOST_FIRST_ANSWER, found[kind]["worst"]),
            Goal("... after the interpreter (ms)", MOST_AFTER_INTERPRETER, found[kind]["worst"] - start),
        )
    ]
    reached += [
        Goal("import rer_numba (ms)", MOST_IMPORT, found[IMPORT]["median"]),
        Goal("rer-numba --help (ms)", MOST_HELP, found[HELP]["median"]),
        Goal("compiling all kernels (s)", MOST_COMPILING, report["compile_ms"] / 1000),
    ]
    beside = beside_pyrer(report)
    if beside is not None:
        what = "number of the request from which on we are ahead of pyrer, by pyrer's time"
        reached.append(Goal(what, beside.middle + 1, beside.ahead_from + 1))
    return reached


# ------------------------------------------------------------------------------------------------------------ telling
def print_start_report(output: Output, report: Found) -> None:
    """Write the tables, what agreed, and the circumstances."""
    output.heading("Fresh processes, from start to end (ms)")
    output.table(_times_table(report))
    output.text(
        f"{counted(len(report['runs']), 'request')} of rez's benchmark, {counted(report['repeat'], 'run')} each, of "
        "which the median counts; but for the slowest run. After the interpreter: without the median of "
        f"`{LABELS[INTERPRETER]}`, at the median and the worst request. `strict` but for the row that says so: each "
        "folder and file that the solve touches is looked at."
    )
    beside = beside_pyrer(report)
    if beside is not None:
        output.heading("pyrer from folders, beside our first answer")
        print_facts(output, _beside_facts(report, beside))
    output.heading("Answers")
    output.line("all equal: " + ("yes" if report["agrees"] else "NO"))
    print_differences(output, "differs", report["differences"])
    output.heading("Goals")
    output.table(goals_table(goals(report)))
    output.heading("Circumstances")
    bytecode = "compiled (.pyc)" if report["has_bytecode"] else "not compiled: Python may not write there"
    print_facts(
        output,
        [
            ("compiling", f"{report['compile_ms'] / 1000:.1f} s, {report['compile_seconds']:.1f} s without Python"),
            ("modules", bytecode),
            ("processor", f"{report['processor']}, {report['cpus']} of them"),
            ("Python", f"{report['python']} on {report['system']}"),
        ],
    )


def _times_table(report: Found) -> Table:
    columns = (
        Column("process", wraps=True),
        *(Column(name, right=True) for name in ("median", "p90", "worst")),
        Column("slowest run", right=True, wraps=True),
        Column("after the interpreter", right=True, wraps=True),
    )
    start = interpreter_ms(report)
    rows = [_times_row(kind, numbers, start) for kind, numbers in summaries(report).items()]
    return Table(columns, rows + [(name, "", "", "", "", NOT_INSTALLED) for name in report["missing"]])


def _times_row(kind: str, numbers: Found, start: float) -> tuple[str, ...]:
    times = [f"{numbers[name]:.1f}" for name in ("median", "p90", "worst", "slowest_run")]
    after = "" if kind == INTERPRETER else f"{numbers['median'] - start:.1f}, {numbers['worst'] - start:.1f}"
    return (LABELS[kind], *times, after)


def _beside_facts(report: Found, beside: Beside) -> list[tuple[str, str]]:
    ratios, middle, count = beside.ratios, beside.middle, len(beside.ratios)
    low, high = percentile(ratios, 10), percentile(ratios, 90)
    ahead = sum(one >= 1 for one in ratios)
    return [
        (
            "times ours, median over the requests",
            f"{median(ratios):.2f} (10th to 90th percentile {low:.2f}-{high:.2f})",
        ),
        ("at the median request", f"{ratios[middle]:.2f}"),
        (
            "from the median request up",
            f"{min(ratios[middle:]):.2f} at least, {median(ratios[middle:]):.2f} in the middle",
        ),
        ("we are ahead", f"on {ahead} of {count}, and {_ahead_from(beside)}"),
        ("files it reads", _range_of([run["pyrer_read"] for run in report["runs"]])),
        ("left by its parser, and run", _range_of([run["pyrer_left"] for run in report["runs"]])),
    ]


def _ahead_from(beside: Beside) -> str:
    if beside.ahead_from == len(beside.ratios):
        return "not on the last by pyrer's time"
    return f"from number {beside.ahead_from + 1} by pyrer's time on ({beside.pyrer_ms[beside.ahead_from]:.0f} ms)"


def _range_of(counts: Sequence[int]) -> str:
    return f"{median(counts):,.0f} ({min(counts):,}-{max(counts):,})"
