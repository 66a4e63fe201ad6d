"""The command ``benchmark --layouts``: cold `rez-env` commands on package folders as studios have them.

A layout is measured beside the best one, which is clean: one published file that is as its folders are. Whoever comes
first in a layout may have to join and to read what is new; who comes second finds that done.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rer_numba.benchmark_commands import ENTRY, Ran, RezCommands, difference, last_line
from rer_numba.benchmark_data import benchmark_requests, data_folder
from rer_numba.benchmark_departments import departments_tree
from rer_numba.benchmark_layouts_build import NAMES, Layout, Layouts, forget, hand_on_kernels
from rer_numba.benchmark_layouts_report import print_layouts_report, row_of
from rer_numba.benchmark_processes import Steps
from rer_numba.benchmark_report import processor
from rer_numba.cli import OK, UNSOLVED
from rer_numba.commands import print_json
from rer_numba.errors import RerError
from rer_numba.progress import Progress
from rer_numba.repository import Repository
from rer_numba.results import SolveResult
from rer_numba.tables_text import make_output
from rer_numba.user_cache import cache_folder

SMALL: Final = range(4, 9)
"""How many packages the small request resolves to."""
LARGE: Final = 150
"""The large one resolves to about as many."""

Found = dict[str, Any]


class Asked(NamedTuple):
    """What is asked of each layout.

    Attributes
    ----------
    requests : mapping
        Name of each request, and its texts.
    sizes : mapping
        How many packages each resolves to.
    family, version : str
        A package that all of them resolve to.
    """

    requests: Mapping[str, list[str]]
    sizes: Mapping[str, int]
    family: str
    version: str


def benchmark_layouts(arguments: argparse.Namespace) -> int:
    """`rer-numba benchmark --layouts`."""
    names = _checked(arguments.layouts)
    with Progress() as progress, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        progress.show("writing packages")
        tree = departments_tree(data_folder(folder), arguments.times)
        file = os.path.join(folder, "chosen.rer")
        # reads every package file as well, so that the system has them at hand for rez
        found = Steps(folder, progress).run("encoding", "encode", tree=tree, processes=None, file=file)
        asked = choose(Repository.open(file, check="frozen"), benchmark_requests())
        os.remove(file)
        report = measure_layouts(RezCommands(folder), tree, asked, names, arguments.repeat, progress)
    report["packages"] = found["packages"]
    if arguments.json:
        print_json(report)
    else:
        print_layouts_report(make_output(), report)
    return OK if report["agrees"] else UNSOLVED


def _checked(names: str) -> list[str]:
    """The layouts that a text names, in the order of the table."""
    wanted = names.split(",") if names else NAMES
    for name in wanted:
        if name not in NAMES:
            raise RerError(f"there is no layout {name!r}; --layouts takes {', '.join(NAMES)}")
    return [name for name in NAMES if name in wanted]


def choose(repository: Repository, requests: Sequence[Sequence[str]]) -> Asked:
    """Choose a large request, and as a small one a family that it resolves to as well.

    Raises
    ------
    RerError
        There is no such family.
    """
    results = [repository.solve(request) for request in requests]
    solved = [result for result in results if result.status == "solved"]
    large = min(solved, key=lambda result: abs(_size(result) - LARGE))
    reached = [package.name for package in large.resolved_packages or ()]
    alone = [(name, repository.solve([name])) for name in sorted(reached)]
    small = [(name, result) for name, result in alone if result.status == "solved" and _size(result) in SMALL]
    if not small:
        raise RerError(f"none of {len(reached)} families resolves to {SMALL[0]} to {SMALL[-1]} packages")
    family, result = small[len(small) // 2]
    version = next(package.version for package in result.resolved_packages or () if package.name == family)
    sizes = {"small": _size(result), "large": _size(large)}
    return Asked({"small": [family], "large": list(requests[results.index(large)])}, sizes, family, str(version))


def _size(result: SolveResult) -> int:
    return len(result.resolved_packages or ())


# ---------------------------------------------------------------------------------------------------------- measuring
def measure_layouts(
    commands: RezCommands, tree: str, asked: Asked, names: Sequence[str], repeat: int, progress: Progress
) -> Found:
    """Measure and compare everything.

    Parameters
    ----------
    commands : RezCommands
        Their folder takes the layouts: 80 MB for each 18,000 packages of each.
    tree : str
        Folder of packages.
    asked : Asked
    names : sequence of str
        Of layouts, in the order of `NAMES`.
    repeat : int
        How many rounds.
    progress : Progress

    Returns
    -------
    dict
        Texts and numbers only, each single time among them.
    """
    progress.show("publishing packages")
    layouts = Layouts(commands, tree, asked.family, asked.version)
    bench = _Bench(commands, layouts)
    rows: list[Found] = []
    for place, name in enumerate(names):
        progress.show("making layouts", place, len(names))
        layout = layouts.make(name)
        for kind, request in asked.requests.items():
            progress.show(f"{name}, {kind}", place, len(names))
            measured = bench.measure(name, layout, request, repeat)
            rows.append(row_of(name, layout, kind, measured))
    differing = [f"{row['layout']}, {row['request']}: {text}" for row in rows for text in row.pop("differences")]
    return {
        "agrees": not differing,
        "differences": differing,
        "rows": rows,
        "requests": dict(asked.requests),
        "sizes": dict(asked.sizes),
        "repeat": repeat,
        "processor": processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


class _Timed(NamedTuple):
    seconds: float
    runs: list[Ran]


class _Bench:
    """Runs rez, a clean site and a layout in turn, those with the bridge each with a cache folder of its own."""

    def __init__(self, commands: RezCommands, layouts: Layouts) -> None:
        self._commands = commands
        self._cache = os.path.join(commands.folder, "cache")
        clean_cache = os.path.join(commands.folder, "cache-clean")
        hand_on_kernels(cache_folder(), clean_cache)
        config = commands.configure("clean-bridge", [layouts.clean], bridge=True)
        self._clean = {
            **commands.environment(config),
            "RER_NUMBA_REPOSITORIES": layouts.published,
            "RER_NUMBA_CACHE_DIR": clean_cache,
        }
        for _ in range(2):  # compiles, verifies
            ran = commands.run(self._clean, ["~none"])
            if ran.code:
                raise RerError(f"rez-env ended with code {ran.code}: {last_line(ran.complaint)}")
        hand_on_kernels(clean_cache, self._cache)

    def measure(self, name: str, layout: Layout, request: Sequence[str], repeat: int) -> list[Found]:
        """Give the times of each round, and the differences that showed."""
        commands = self._commands
        plain = commands.environment(commands.configure(f"{name}-plain", layout.paths, layout.settings, bridge=False))
        bridge = commands.environment(commands.configure(f"{name}-bridge", layout.paths, layout.settings, bridge=True))
        bridge |= {"RER_NUMBA_CACHE_DIR": self._cache, "RER_NUMBA": "on" if layout.is_left_to_rez else "strict"}
        texts = [*request, *layout.also]
        for environment in (plain, bridge):
            environment.update(layout.environment)
            commands.run(environment, texts, ENTRY, layout.arguments)  # verifies, and has the system read
        steps: list[Callable[[], dict[str, _Timed]]] = [
            lambda: {"rez": self._timed(layout, plain, texts, layout.arguments)},
            lambda: {"clean": self._timed(layout, self._clean, request, ())},
            lambda: self._first_and_second(layout, bridge, texts),
        ]
        rounds = []
        for number in range(repeat):
            if layout.before is not None:
                layout.before()
            done: dict[str, _Timed] = {}
            for step in reversed(steps) if number % 2 else steps:
                done |= step()
            rounds.append(_round(done))
        return rounds

    def _first_and_second(self, layout: Layout, bridge: Mapping[str, str], texts: Sequence[str]) -> dict[str, _Timed]:
        forget(self._cache, everything=layout.is_cache_empty)
        return {kind: self._timed(layout, bridge, texts, layout.arguments) for kind in ("first", "second")}

    def _timed(
        self, layout: Layout, environment: Mapping[str, str], texts: Sequence[str], arguments: Sequence[str]
    ) -> _Timed:
        """Processor time of one command, or how long so many at once take."""
        if layout.at_once == 1:
            ran = self._commands.run(environment, texts, ENTRY, arguments)
            return _Timed(ran.seconds if ran.cpu_seconds is None else ran.cpu_seconds, [ran])
        start = time.perf_counter()
        runs = self._commands.run_at_once(layout.at_once, environment, texts, arguments)
        return _Timed(time.perf_counter() - start, runs)


def _round(done: Mapping[str, _Timed]) -> Found:
    """Seconds of each kind, exit code of rez, and how the others' answers differ from rez's."""
    rez = done["rez"].runs[0]
    compared = ((kind, ran) for kind in ("rez", "first", "second") for ran in done[kind].runs)
    differences = [f"{kind}: {text}" for kind, ran in compared for text in difference(ran, rez)]
    failed = (ran for ran in done["clean"].runs if ran.code)
    differences += [f"clean: exit code {ran.code}: {last_line(ran.complaint)}" for ran in failed]
    return {**{kind: timed.seconds for kind, timed in done.items()}, "code": rez.code, "differences": differences}
