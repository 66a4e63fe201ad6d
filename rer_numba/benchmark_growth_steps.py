"""What `rer-numba benchmark --growth` has done in fresh processes; see `rer_numba.benchmark_steps`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from rer_numba.benchmark import RerEngine, measure, one_core
from rer_numba.benchmark_data import DataPackage, benchmark_requests, iter_benchmark_packages
from rer_numba.benchmark_departments import Departments
from rer_numba.benchmark_steps import Found, main, measured, opening, peak_bytes
from rer_numba.commands import count_tables
from rer_numba.encode import facts_of
from rer_numba.link import link
from rer_numba.packages import PackageData
from rer_numba.progress import Progress
from rer_numba.repository import Repository
from rer_numba.schema import Tables


def encode(scale: int, file: str) -> Found:
    """Encode a studio of so many departments, and save it.

    A department is made, read and forgotten before the next one, as folders are: so memory holds what has been read and
    not the packages. The clock runs from packages in memory to facts (``read_seconds``), from facts to tables
    (``link_seconds``) and to the file (``save_seconds``); it stands while packages are made up.
    """
    departments = Departments(list(iter_benchmark_packages()))
    parts, reading = [], []
    for number in range(scale):
        packages = [as_package(package) for package in departments.packages(number)]
        facts, found = measured(partial(facts_of, packages))
        parts.append(facts)
        reading.append(found)
    del packages, facts, departments
    tables, linking = measured(partial(link, parts))
    parts.clear()
    repository = Repository(tables, paths=("<studio>",))
    _, saving = measured(partial(repository.save, file))
    return {
        "scale": scale,
        **size_of(tables),
        "read_seconds": sum(found["seconds"] for found in reading),
        "link_seconds": linking["seconds"],
        "save_seconds": saving["seconds"],
        "cpu_seconds": _sum(found["cpu_seconds"] for found in (*reading, linking, saving)),
        "file_bytes": os.path.getsize(file),
        **peak_bytes(),
    }


def _sum(values: Iterable[float | None]) -> float | None:
    """None where the system does not say."""
    known = list(values)
    return None if None in known else float(sum(value or 0 for value in known))


def as_package(package: DataPackage) -> PackageData:
    """A package of the benchmark as our encoder takes it."""
    return PackageData(
        package.name,
        package.version,
        package.requires,
        package.variants,
        build_requires=package.build_requires,
        timestamp=package.timestamp,
    )


def size_of(tables: Tables) -> Found:
    """How large a repository is. ``requirements`` are those of all variants; ``distinct`` counts each text once."""
    counts = count_tables(tables)
    counts["distinct"] = counts.pop("requirements")
    return {**counts, "requirements": len(tables.variant_requirement), "versions": len(tables.version_text)}


def first(file: str, number: int) -> Found:
    """Open a file that this user has opened before, and solve one request, in a process that has seen nothing of it.

    Imports and the compiled kernel are loaded before the clock starts: they do not depend on the file.
    """
    from rer_numba import storage  # noqa: F401

    assert Repository.from_packages([PackageData("app", "1")]).solve(["app"]).resolved
    request = benchmark_requests()[number]
    start = time.perf_counter()
    repository = Repository.open(file, check="frozen")
    opened = time.perf_counter()
    repository.solve(request).resolved  # noqa: B018 - reading it is what takes time
    return {"open_ms": (opened - start) * 1000, "solve_ms": (time.perf_counter() - opened) * 1000, **peak_bytes()}


def known(files: list[str], repeat: int) -> Found:
    """Open files that this user has opened before, in turn. Milliseconds, a list for each file."""
    found: list[list[float]] = [[] for _ in files]
    for number in range(repeat + 1):
        for file, times in zip(files, found, strict=True):
            start = time.perf_counter()
            Repository.open(file, check="frozen")
            if number:  # the first round may have to verify them
                times.append((time.perf_counter() - start) * 1000)
    return {"again_ms": found}


def solve(files: list[str], scales: list[int], repeat: int, numbers: list[int]) -> Found:
    """Ask studios of several sizes the same requests, in turn, and compare their answers.

    Then the largest studio is asked the same by its last department: whether each department can live by itself.
    """
    requests = benchmark_requests()
    repositories = [Repository.open(file, check="frozen") for file in files]
    engines = [RerEngine(repository, repeat) for repository in repositories]
    for engine, scale in zip(engines, scales, strict=True):
        engine.label = f"{scale} times"
    with one_core() as core:
        rest = [(engine, numbers) for engine in engines[1:]]
        own, others = measure(requests, engines[0], rest, numbers, Progress(enabled=False))
    return {
        "core": core,
        "sizes": [
            {**vars(found), "first_ms": engine.first_ms} for found, engine in zip([own, *others], engines, strict=True)
        ],
        "department_differences": department_differences(repositories[-1], requests, numbers, scales[-1] - 1),
    }


def department_differences(
    repository: Repository, requests: list[list[str]], numbers: list[int], department: int
) -> list[str]:
    """Say which requests end otherwise for a department than for the first one.

    Not which packages they resolve to: rez compares ranges of different families when it sorts variants, and a
    department counts versions from another place.
    """
    departments = Departments(list(iter_benchmark_packages()))
    found = []
    for number in numbers:
        expected = repository.solve(requests[number]).status
        status = repository.solve(departments.request(requests[number], department)).status
        if status != expected:
            found.append(f"request {number}: {status} for department {department}, {expected} for the first")
    return found


STEPS: Final[dict[str, Callable[..., Any]]] = {step.__name__: step for step in (encode, opening, known, first, solve)}


if __name__ == "__main__":
    main(STEPS)
