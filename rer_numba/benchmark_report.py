"""The command benchmark: prepares, measures, and tells."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from rer_numba.benchmark import (
    REZ_SAMPLE,
    Engine,
    Measurement,
    PyrerEngine,
    RerEngine,
    RezEngine,
    differences,
    every,
    is_installed,
    measure,
    one_core,
    spread,
)
from rer_numba.benchmark_data import DataPackage, benchmark_requests, input_digests, iter_benchmark_packages
from rer_numba.cli import OK, UNSOLVED
from rer_numba.commands import count_tables, print_facts, print_json
from rer_numba.errors import RerError
from rer_numba.packages import PackageData
from rer_numba.progress import Progress
from rer_numba.repository import Repository
from rer_numba.tables_text import Column, Output, Table, make_output

if TYPE_CHECKING:
    from types import ModuleType

ENGINES = ("rer-numba", "pyrer", "rez")
NOT_INSTALLED = "not installed: pip install 'rer-numba[bench]'"
_SHOWN_DIFFERENCES = 5


class Prepared(NamedTuple):
    """The encoded benchmark and what it took; `compiled` says that loading the kernel meant compiling it."""

    repository: Repository
    encode_seconds: float
    save_seconds: float
    open_ms: float
    file_bytes: int
    load_ms: float
    compiled: bool


class Report(NamedTuple):
    """Everything that was measured."""

    prepared: Prepared
    ours: Measurement
    first_ms: list[float]
    rivals: list[Measurement]
    missing: list[str]
    golden: list[str] | None
    core: int | None
    repeat: int

    def agrees(self) -> bool:
        """True if nobody answered differently."""
        return not self.golden and not any(rival.differences for rival in self.rivals)


def benchmark(arguments: argparse.Namespace) -> int:
    """`rer-numba benchmark`."""
    unknown = [name for name in arguments.engines if name not in ENGINES]
    if unknown:
        raise RerError(f"there is no engine {unknown[0]!r}; --engines takes {', '.join(ENGINES)}")
    figure = getattr(arguments, "figure", None)
    if figure:
        from rer_numba.benchmark_figures import require_drawable

        others = (getattr(arguments, name, False) for name in ("paths", "env", "start"))
        if any(others) or getattr(arguments, "layouts", None) is not None:
            raise RerError("--figure draws solves, and with --growth studios of several sizes; nothing else")
        require_drawable(figure)
    if getattr(arguments, "growth", False):
        from rer_numba.benchmark_growth import benchmark_growth

        return benchmark_growth(arguments)
    if getattr(arguments, "paths", False):
        from rer_numba.benchmark_paths import benchmark_paths

        return benchmark_paths(arguments)
    if getattr(arguments, "env", False):
        from rer_numba.benchmark_env import benchmark_env

        return benchmark_env(arguments)
    if getattr(arguments, "layouts", None) is not None:
        from rer_numba.benchmark_layouts import benchmark_layouts

        return benchmark_layouts(arguments)
    if getattr(arguments, "start", False):
        from rer_numba.benchmark_start import benchmark_start

        return benchmark_start(arguments)
    with Progress() as progress:
        requests = benchmark_requests()
        packages = list(progress.track(iter_benchmark_packages(), None, "reading rez's benchmark"))
        prepared = _prepare(packages, arguments.save_repository, progress)
        report = _measure(requests, packages, prepared, arguments, progress)
    if figure:
        from rer_numba.benchmark_figures import draw_requests

        draw_requests([report.ours, *report.rivals], figure)
    if arguments.json:
        print_json(as_json(report))
    else:
        print_report(make_output(), report, len(requests))
    return OK if report.agrees() else UNSOLVED


# ------------------------------------------------------------------------------------------------------------ preparing
def _prepare(packages: list[DataPackage], save_to: str | None, progress: Progress) -> Prepared:
    data = [
        PackageData(p.name, p.version, p.requires, p.variants, build_requires=p.build_requires, timestamp=p.timestamp)
        for p in packages
    ]
    start = time.perf_counter()
    built = Repository.from_packages(progress.track(data, len(data), "encoding"))
    seconds = time.perf_counter() - start
    if save_to:
        return _save_and_open(built, save_to, seconds)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows removes no mapped file
        return _save_and_open(built, os.path.join(folder, "benchmark.rer"), seconds)


def _save_and_open(built: Repository, path: str, encode_seconds: float) -> Prepared:
    start = time.perf_counter()
    built.save(path)
    saved = time.perf_counter()
    opening = []
    for _ in range(5):
        before = time.perf_counter()
        repository = Repository.open(path)
        opening.append((time.perf_counter() - before) * 1000)
    load_ms, compiled = _load_kernel()
    size = os.path.getsize(path)
    return Prepared(repository, encode_seconds, saved - start, median(opening), size, load_ms, compiled)


def _load_kernel() -> tuple[float, bool]:
    """Milliseconds, and whether it had to be compiled."""
    from rer_numba.native import load_native

    start = time.perf_counter()
    before = "rer_numba.native.build" in sys.modules
    load_native()
    return (time.perf_counter() - start) * 1000, not before and "rer_numba.native.build" in sys.modules


# ------------------------------------------------------------------------------------------------------------ measuring
def _measure(
    requests: list[list[str]],
    packages: list[DataPackage],
    prepared: Prepared,
    arguments: argparse.Namespace,
    progress: Progress,
) -> Report:
    numbers = spread(len(requests), arguments.requests or len(requests))
    missing = [name for name in arguments.engines if name != "rer-numba" and not is_installed(name)]
    ours = RerEngine(prepared.repository, arguments.repeat)
    rivals: list[tuple[Engine, Sequence[int]]] = []
    if "pyrer" in arguments.engines and "pyrer" not in missing:
        rivals += [(PyrerEngine(packages, lazy=False), numbers), (PyrerEngine(packages, lazy=True), numbers)]
    rez = RezEngine(packages) if "rez" in arguments.engines and "rez" not in missing else None
    if rez is not None:
        rivals.append((rez, numbers if arguments.rez_all else every(numbers, REZ_SAMPLE)))
    with one_core() as core:
        own, theirs = measure(requests, ours, rivals, numbers, progress)
    if rez is not None:
        rez.close()
    golden = check_golden(prepared.repository, requests, numbers)
    return Report(prepared, own, ours.first_ms, theirs, missing, golden, core, arguments.repeat)


def check_golden(repository: Repository, requests: list[list[str]], numbers: Sequence[int]) -> list[str] | None:
    """Compare with the recorded answers of rez; None where there is no checkout that holds them for this data."""
    module = _golden_module()
    if module is None:
        return None
    recorded = module.read_golden()
    if recorded.header["inputs_sha256"] != input_digests():
        return None
    found = []
    for number in numbers:
        expected = recorded.answers[number]
        result = repository.solve(requests[number])
        answer = expected._replace(
            status=result.status,
            resolved=tuple(result.resolved),
            resolved_ephemerals=tuple(result.resolved_ephemerals),
            failure_description=result.failure_description,
            error_type=result.error_type,
            num_solves=result.num_solves,
            num_fails=result.num_fails,
        )
        found += differences(number, answer, expected)
    return found


def _golden_module() -> ModuleType | None:
    """The checkout's reader of recorded answers; an installed package has none."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data_set", "golden.py")
    if not os.path.isfile(path):
        return None
    spec = spec_from_file_location("rer_numba_golden", path)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -------------------------------------------------------------------------------------------------------------- numbers
def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie; between two of them in proportion."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class Ratio(NamedTuple):
    """How many times longer than we: by the totals, and the 10th and 90th percentile over the requests."""

    total: float
    low: float
    high: float


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Compare times of the same requests."""
    each = [their / max(our, 1e-6) for their, our in zip(theirs, ours, strict=True)]
    return Ratio(sum(theirs) / max(sum(ours), 1e-6), percentile(each, 10), percentile(each, 90))


def summary(measured: Measurement, ours: Measurement, which: str) -> dict[str, Any]:
    """Total, median, 95th percentile, worst, and the ratio to ours; of ``solver_ms`` or ``whole_ms``."""
    times: list[float] = getattr(measured, which)
    own = dict(zip(ours.numbers, getattr(ours, which), strict=True))
    return {
        "requests": len(times),
        "total": sum(times),
        "median": median(times),
        "p95": percentile(times, 95),
        "worst": max(times),
        "ratio": ratio(times, [own[number] for number in measured.numbers]),
    }


# -------------------------------------------------------------------------------------------------------------- telling
def print_report(output: Output, report: Report, of: int) -> None:
    """Write the tables, what agreed, and the circumstances."""
    counts = count_tables(report.prepared.repository.views)
    output.heading(f"rez's benchmark: {len(report.ours.numbers)} of its {of} requests")
    output.text(", ".join(f"{counts[name]:,} {name}" for name in ("families", "packages", "variants")))
    output.heading("Time in the solver (ms)")
    output.table(_times(report, "solver_ms"))
    output.heading("Time of the whole call from Python (ms)")
    output.table(_times(report, "whole_ms"))
    output.text(
        f"Times rer-numba: by the totals, in brackets the 10th to 90th percentile over the requests. rer-numba: median "
        f"of {report.repeat}, {sum(report.first_ms):,.1f} ms in all when each request came for the first time."
    )
    for rival in report.rivals:
        if len(rival.numbers) < len(report.ours.numbers):
            output.text(
                f"{rival.label} was asked {len(rival.numbers)} of the {len(report.ours.numbers)} requests, evenly "
                "spread, and is compared on those; --rez-all asks all."
            )
    output.heading("Answers")
    _print_agreement(output, report)
    output.heading("Circumstances")
    print_facts(output, _circumstances(report))


def _times(report: Report, which: str) -> Table:
    columns = (
        Column("engine", wraps=True),
        Column("requests", right=True),
        Column("total", right=True),
        Column("median", right=True),
        Column("p95", right=True),
        Column("worst", right=True),
        Column("times rer-numba", wraps=True),
    )
    rows = [_time_row(measured, report.ours, which) for measured in (report.ours, *report.rivals)]
    rows += [(name, "", "", "", "", "", NOT_INSTALLED) for name in report.missing]
    return Table(columns, rows)


def _time_row(measured: Measurement, ours: Measurement, which: str) -> tuple[str, ...]:
    numbers = summary(measured, ours, which)
    against = numbers["ratio"]
    factor = "1" if measured is ours else f"{_factor(against.total)} ({_factor(against.low)}-{_factor(against.high)})"
    times = (_digits(numbers[name]) for name in ("total", "median", "p95", "worst"))
    return (measured.label, str(numbers["requests"]), *times, factor)


def _digits(value: float) -> str:
    """Three digits or so."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _factor(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _print_agreement(output: Output, report: Report) -> None:
    compared = [(rival.label, len(rival.numbers), rival.differences) for rival in report.rivals]
    if report.golden is not None:
        compared.append(("recorded answers of rez", len(report.ours.numbers), report.golden))
    if not compared:
        output.text("There was nobody to compare with.")
        return
    texts = "" if report.golden is None else "; with the recorded answers also fails, ephemerals and texts"
    output.text(f"Compared are status, packages in order, variant index and number of steps{texts}.")
    rows = [(label, str(asked), "NO" if found else "yes") for label, asked, found in compared]
    output.table(Table((Column("compared with"), Column("requests", right=True), Column("all equal")), rows))
    for label, _, found in compared:
        print_differences(output, label, found)


def print_differences(output: Output, label: str, found: Sequence[str]) -> None:
    """Write the first few."""
    for text in found[:_SHOWN_DIFFERENCES]:
        output.text(f"{label}: {text}")
    if len(found) > _SHOWN_DIFFERENCES:
        output.text(f"{label}: and {len(found) - _SHOWN_DIFFERENCES} more; --json shows them")


def _circumstances(report: Report) -> list[tuple[str, str]]:
    made = report.prepared
    kernel = (
        f"compiled in {made.load_ms / 1000:.1f} s" if made.compiled else f"was there, loaded in {made.load_ms:.1f} ms"
    )
    return [
        ("encoding", f"{made.encode_seconds:.2f} s, {made.save_seconds:.2f} s to write"),
        ("file", f"{made.file_bytes:,} bytes, opened in {made.open_ms:.1f} ms"),
        ("compiled solver", kernel),
        ("processor", processor() + ("" if report.core is None else f", held on core {report.core}")),
        ("Python", f"{platform.python_version()} on {platform.system()}, garbage collection off"),
    ]


def processor() -> str:
    """Tell which processor this is, as the compiler calls it."""
    from rer_numba.native.host import HOST
    from rer_numba.native.machine import find_target

    return find_target(HOST).cpu


def as_json(report: Report) -> dict[str, Any]:
    """The report with each single time."""
    prepared = {key: value for key, value in report.prepared._asdict().items() if key != "repository"}
    return {
        "agrees": report.agrees(),
        "engines": [_engine_as_json(measured, report.ours) for measured in (report.ours, *report.rivals)],
        "first_ms": report.first_ms,
        "missing": report.missing,
        "golden_differences": report.golden,
        "repeat": report.repeat,
        "core": report.core,
        "processor": processor(),
        "python": platform.python_version(),
        **prepared,
        **count_tables(report.prepared.repository.views),
    }


def _engine_as_json(measured: Measurement, ours: Measurement) -> dict[str, Any]:
    found = dict(vars(measured))
    for which in ("solver_ms", "whole_ms"):
        numbers = summary(measured, ours, which)
        found[f"{which}_summary"] = {**numbers, "ratio": numbers["ratio"]._asdict()}
    return found
