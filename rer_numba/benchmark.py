"""rer-numba beside its rivals: the same requests, in turn, in one process.

The rivals are pyrer (given all packages with each call, and given a function that hands out families) and rez itself
(on a memory repository, with every package that it needs loaded before). They are imported when they are asked for.

Two times are taken of each request: what the solver says it needed, and the whole call as from Python, from the list of
texts to the list of (name, version, variant index).
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any, NamedTuple, Protocol

from rer_numba._version import __version__
from rer_numba.benchmark_data import DataPackage
from rer_numba.progress import Progress
from rer_numba.repository import Repository

REZ_SAMPLE = 10
"""About so many requests rez is asked, unless all: it takes a second for each."""

Resolved = tuple[tuple[str, str, int | None], ...]


class Answer(NamedTuple):
    """What engines can be compared by: packages in order, and the number of solve steps."""

    status: str
    resolved: Resolved
    num_solves: int


class Run(NamedTuple):
    """One request, solved."""

    answer: Answer
    solver_ms: float
    whole_ms: float


class Engine(Protocol):
    """Something that solves requests over a fixed list of packages."""

    label: str

    def warm_up(self, requests: Sequence[list[str]]) -> None:
        """Load whatever these requests make it load."""

    def run(self, request: list[str]) -> Run:
        """Solve, and take the times."""


class Measurement:
    """The times of one engine, request by request.

    Attributes
    ----------
    label : str
    numbers : list of int
        The requests that it was asked.
    solver_ms, whole_ms : list of float
        Of each of them.
    differences : list of str
        Where its answer is not ours.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.numbers: list[int] = []
        self.solver_ms: list[float] = []
        self.whole_ms: list[float] = []
        self.differences: list[str] = []

    def add(self, number: int, run: Run) -> None:
        """Note a run."""
        self.numbers.append(number)
        self.solver_ms.append(run.solver_ms)
        self.whole_ms.append(run.whole_ms)


# -------------------------------------------------------------------------------------------------------------- engines
class RerEngine:
    """rer-numba, asked several times for each request.

    Attributes
    ----------
    first_ms : list of float
        The whole call of each request when it was asked for the first time.
    """

    def __init__(self, repository: Repository, repeat: int) -> None:
        self.label = f"rer-numba {__version__}"
        self.first_ms: list[float] = []
        self._repository = repository
        self._repeat = repeat

    def warm_up(self, requests: Sequence[list[str]]) -> None:
        """Load the kernel and make the work arrays, by the first request."""
        self._repository.solve(requests[0])

    def run(self, request: list[str]) -> Run:
        """Solve; the times are medians."""
        runs = [self._run_once(request) for _ in range(self._repeat)]
        self.first_ms.append(runs[0].whole_ms)
        return Run(runs[0].answer, median(run.solver_ms for run in runs), median(run.whole_ms for run in runs))

    def _run_once(self, request: list[str]) -> Run:
        start = time.perf_counter()
        result = self._repository.solve(request)
        resolved = result.resolved
        whole_ms = (time.perf_counter() - start) * 1000
        return Run(Answer(result.status, tuple(resolved), result.num_solves), result.solve_time_ms, whole_ms)


class PyrerEngine:
    """pyrer, which gets the packages with every call: as a list, or by a function when it comes to a family."""

    def __init__(self, packages: Iterable[DataPackage], lazy: bool) -> None:
        import pyrer

        self.label = f"pyrer {_version('pyrer')}, {'load_family' if lazy else 'list'}"
        self._solve = pyrer.solve
        made = [
            pyrer.PackageData(package.name, package.version, package.requires, package.variants or None)
            for package in packages
        ]
        self._arguments: dict[str, Any] = {"load_family": _by_family(made)} if lazy else {}
        self._packages = None if lazy else made

    def warm_up(self, requests: Sequence[list[str]]) -> None:
        """Solve something small; pyrer keeps nothing between calls."""
        self.run(min(requests, key=len))

    def run(self, request: list[str]) -> Run:
        """Solve."""
        start = time.perf_counter()
        result = self._solve(request, self._packages, **self._arguments)
        resolved = result.resolved
        whole_ms = (time.perf_counter() - start) * 1000
        return Run(Answer(result.status, tuple(resolved), result.num_iterations), result.solve_time_ms, whole_ms)


def _by_family(packages: Iterable[Any]) -> Any:
    families: dict[str, list[Any]] = {}
    for package in packages:
        families.setdefault(package.name, []).append(package)
    return lambda name: families.get(name, [])


class RezEngine:
    """rez's own solver on a memory repository, under a locked configuration."""

    _location = itertools.count()

    def __init__(self, packages: Iterable[DataPackage]) -> None:
        import rez
        from rez import config
        from rez.package_repository import package_repository_manager
        from rez.plugin_managers import plugin_manager
        from rez.utils.resources import ResourcePool

        self.label = f"rez {rez.__version__}"
        self._module: Any = config
        self._config = self._module._create_locked_config(
            overrides={"packages_path": [], "package_filter": None, "package_orderers": None, "implicit_packages": []}
        )
        location = f"rer-numba-benchmark-{next(self._location)}"
        with self._settings():
            make: Any = plugin_manager.get_plugin_class("package_repository", "memory")
            # a pool of its own: the shared one would keep the packages for the life of the process
            repository = make(location, ResourcePool(cache_size=None))
        repository.data = _memory_data(packages)
        self._families = list(repository.data)
        self._path = f"memory@{location}"
        package_repository_manager.repositories[self._path] = repository

    def _settings(self) -> contextlib.AbstractContextManager[None]:
        context: contextlib.AbstractContextManager[None] = self._module._replace_config(self._config)
        return context

    def close(self) -> None:
        """Let go of the packages."""
        from rez.package_repository import package_repository_manager

        package_repository_manager.repositories.pop(self._path, None)

    def warm_up(self, requests: Sequence[list[str]]) -> None:
        """Load the packages: those of a few requests by solving them, or else all of them, which takes 10 s."""
        if len(requests) <= 2 * REZ_SAMPLE:
            for request in requests:
                self.run(request)
            return
        from rez.packages import iter_packages

        with self._settings():
            for name in self._families:
                for package in iter_packages(name, paths=[self._path]):
                    for variant in package.iter_variants():
                        variant.get_requires(build_requires=False)

    def run(self, request: list[str]) -> Run:
        """Solve. rez's time is that of its solve method, without making the solver."""
        from rez.package_order import PackageOrderList
        from rez.solver import Solver
        from rez.version import Requirement

        gc.collect()  # off while measuring, and rez leaves much
        with self._settings():
            start = time.perf_counter()
            solver = Solver([Requirement(text) for text in request], [self._path], package_orderers=PackageOrderList())
            solver.solve()
            resolved = [(v.name, str(v.version), v.index) for v in solver.resolved_packages or ()]
            whole_ms = (time.perf_counter() - start) * 1000
            answer = Answer(solver.status.name, tuple(resolved), solver.num_solves)
        return Run(answer, solver.solve_time * 1000, whole_ms)


def _memory_data(packages: Iterable[DataPackage]) -> dict[str, dict[str, dict[str, Any]]]:
    data: dict[str, dict[str, dict[str, Any]]] = {}
    for package in packages:
        attributes = {key: value for key, value in package._asdict().items() if value}
        data.setdefault(package.name, {})[package.version or "_NO_VERSION"] = attributes
    return data


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def is_installed(engine: str) -> bool:
    """Tell whether an engine can be imported."""
    return find_spec(engine) is not None


# ------------------------------------------------------------------------------------------------------------- reading
def loading_with_rez(tree: str) -> tuple[str, Callable[[], dict[str, int]]]:
    """Make a function that has rez read all packages of a folder, as far as its solver would.

    Returns
    -------
    label : str
    load : callable
        Gives the number of packages. What rez has read it keeps, so only the first call measures anything.
    """
    import rez
    from rez import config
    from rez.packages import iter_packages

    # overrides only: neither the user's files nor the environment decide what is measured
    settings: Any = config
    locked = settings._create_locked_config(overrides={"packages_path": [tree]})

    def load() -> dict[str, int]:
        count = 0
        with settings._replace_config(locked):
            for name in os.listdir(tree):
                for package in iter_packages(name, paths=[tree]):
                    count += 1
                    for variant in package.iter_variants():
                        variant.get_requires(build_requires=False)
        return {"packages": count}

    return f"rez {rez.__version__}", load


def parsing_with_pyrer(tree: str) -> tuple[str, Callable[[], dict[str, int]]]:
    """Make a function that has pyrer's parser read all package files of a folder: it makes no more of them.

    Returns
    -------
    label : str
    parse : callable
        Gives the number of packages, and of those that pyrer leaves to rez.
    """
    import pyrer

    def parse() -> dict[str, int]:
        folders = (version.path for family in os.scandir(tree) for version in os.scandir(family.path))
        parsed = pyrer.parse_static_packages_py([os.path.join(folder, "package.py") for folder in folders])
        return {"packages": len(parsed), "left_to_rez": parsed.count(None)}

    return f"pyrer {_version('pyrer')}", parse


# ------------------------------------------------------------------------------------------------------------ measuring
def spread(count: int, wanted: int) -> list[int]:
    """Return `wanted` of the numbers below `count`, evenly spread and ascending; all of them if it asks for more."""
    wanted = min(wanted, count)
    return [n * count // wanted for n in range(wanted)]


def every(numbers: Sequence[int], wanted: int) -> list[int]:
    """Return about `wanted` of some numbers: every second, every third, ... of them."""
    return list(numbers[:: max(1, len(numbers) // wanted)])


@contextlib.contextmanager
def one_core() -> Iterator[int | None]:
    """Keep this process on one core, where the system can; gives its number."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Switch the collector off, as timeit does."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def measure(
    requests: Sequence[list[str]],
    ours: Engine,
    rivals: Sequence[tuple[Engine, Sequence[int]]],
    numbers: Sequence[int],
    progress: Progress,
) -> tuple[Measurement, list[Measurement]]:
    """Ask every engine, in turn, one request after the other.

    Parameters
    ----------
    requests : sequence of list of str
        All of them.
    ours : Engine
    rivals : sequence of (Engine, sequence of int)
        With the numbers of the requests that each is asked.
    numbers : sequence of int
        The requests that we are asked.
    progress : Progress

    Returns
    -------
    ours : Measurement
    theirs : list of Measurement
        With the differences between their answers and ours.
    """
    for engine, asked in ((ours, numbers), *rivals):
        progress.show(f"{engine.label}: loading")
        engine.warm_up([requests[number] for number in asked])
    own, theirs = Measurement(ours.label), [Measurement(engine.label) for engine, _ in rivals]
    with no_garbage_collection():
        for number in progress.track(numbers, len(numbers), "solving"):
            run = ours.run(requests[number])
            own.add(number, run)
            for (engine, asked), found in zip(rivals, theirs, strict=True):
                if number in asked:
                    other = engine.run(requests[number])
                    found.add(number, other)
                    found.differences += differences(number, run.answer, other.answer)
    return own, theirs


def differences(number: int, ours: Any, other: Any) -> list[str]:
    """Say where two answers to a request differ: named tuples, or anything with the attributes of the second."""
    return [
        f"request {number}: {field} is {_short(getattr(ours, field))}, not {_short(getattr(other, field))}"
        for field in type(other)._fields
        if getattr(ours, field) != getattr(other, field)
    ]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
