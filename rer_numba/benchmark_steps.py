"""What `rer-numba benchmark --paths` has done in fresh processes: ``python -m rer_numba.benchmark_steps STEP JSON``.

Each step is a function whose result is written to stdout as JSON. A process of its own has nothing cached, and its peak
memory is its own. (On Linux the peak of a process counts that of its parent when it was started. So whoever starts
steps stays small.)
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from rer_numba.benchmark_data import DataPackage, benchmark_requests, iter_benchmark_packages
from rer_numba.errors import RerError
from rer_numba.packages import PackageData
from rer_numba.repository import Repository

SETTLED_AFTER: Final = 0.1
"""Seconds after which another change of a file must show in its date, see `rer_numba.paths.states`."""
_NAME = re.compile(r"([!~]?)([\w.+]+)")

Found = dict[str, Any]


# ------------------------------------------------------------------------------------------------------------- clocks
def measured(work: Callable[[], Any]) -> tuple[Any, Found]:
    """Run something; give its result, the time it took, and that of the processors, child processes included.

    ``cpu_seconds`` is None where the system does not say what children used.
    """
    cpu, start = _cpu_seconds(), time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    used = _cpu_seconds()
    return result, {"seconds": seconds, "cpu_seconds": None if cpu is None or used is None else used - cpu}


def _cpu_seconds() -> float | None:
    return None if sys.platform == "win32" else sum(os.times()[:4])


def peak_bytes() -> Found:
    """Peak memory of this process, and of the largest of its children that has ended; None where nobody tells."""
    try:
        import resource
    except ImportError:  # Windows
        return {"peak_bytes": None, "largest_child_bytes": None}
    unit = 1 if sys.platform == "darwin" else 1024
    own, children = (
        resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"peak_bytes": own, "largest_child_bytes": children}


# ------------------------------------------------------------------------------------------------------- all packages
def encode(tree: str, processes: int | None, file: str) -> Found:
    """Read a folder of packages, and save."""
    from rer_numba.paths import build  # noqa: F401 - imported before the clock starts, as rez is

    repository, found = measured(lambda: Repository.from_paths([tree], processes=processes))
    _, saving = measured(lambda: repository.save(file))
    return {
        "packages": len(repository.tables.package_version_rank),
        **found,
        "save_seconds": saving["seconds"],
        **peak_bytes(),
    }


def rez(tree: str) -> Found:
    """Have rez read a folder of packages."""
    from rer_numba.benchmark import loading_with_rez

    return _rival(*loading_with_rez(tree))


def pyrer(tree: str) -> Found:
    """Have pyrer's parser read a folder of packages."""
    from rer_numba.benchmark import parsing_with_pyrer

    return _rival(*parsing_with_pyrer(tree))


def _rival(label: str, work: Callable[[], dict[str, int]]) -> Found:
    counts, found = measured(work)
    return {"label": label, **counts, **found, **peak_bytes()}


# ------------------------------------------------------------------------------------------------------------ opening
def enlarge(file: str, times: int) -> Found:
    """Write a repository with so many copies of all packages, each under names of its own."""
    packages = list(iter_benchmark_packages())
    Repository.from_packages(renamed(package, n) for n in range(times) for package in packages).save(file)
    return {"packages": times * len(packages), "file_bytes": os.path.getsize(file)}


def renamed(package: DataPackage, number: int) -> PackageData:
    """Put a number behind the name of a package and all names that it requires."""

    def put(text: str) -> str:
        return _NAME.sub(rf"\g<1>\g<2>_{number}", text, count=1)

    return PackageData(
        put(package.name),
        package.version,
        list(map(put, package.requires)),
        [list(map(put, variant)) for variant in package.variants],
        build_requires=list(map(put, package.build_requires)),
        timestamp=package.timestamp,
    )


def opening(files: list[str], folder: str, repeat: int) -> Found:
    """Open copies of some files in turn, each for the first time, and again. Milliseconds, a list for each file.

    ``RER_NUMBA_CACHE_DIR`` is where it is remembered that they were opened.
    """
    Repository.open(files[0], check="frozen")  # imports what opening needs
    found: Found = {"first_ms": [[] for _ in files], "again_ms": [[] for _ in files]}
    for number in range(repeat):
        for file, first, again in zip(files, found["first_ms"], found["again_ms"], strict=True):
            copy = os.path.join(folder, f"{number}-{os.path.basename(file)}")
            shutil.copyfile(file, copy)
            time.sleep(SETTLED_AFTER)
            first.append(_open_ms(copy))
            again.append(_open_ms(copy))
            with contextlib.suppress(PermissionError):  # Windows removes no mapped file
                os.remove(copy)
    return found


def _open_ms(file: str) -> float:
    start = time.perf_counter()
    Repository.open(file, check="frozen")
    return (time.perf_counter() - start) * 1000


# --------------------------------------------------------------------------------------------------------- refreshing
def refresh(tree: str, file: str, repeat: int) -> Found:
    """Refresh in turn with nothing changed, and with one package file changed of a usual family and of the largest.

    Milliseconds, in lists. A change is given back at once, which is a change too.
    """
    repository = Repository.open(file, check="frozen")
    repository.refresh()  # imports what refreshing needs
    families = dict(zip(("median_family", "largest_family"), _typical_families(tree), strict=True))
    found: Found = {name: {"packages": len(os.listdir(folder)), "ms": []} for name, folder in families.items()}
    found.update(strict_ms=[], release_ms=[])
    for _ in range(repeat):
        found["strict_ms"].append(_refreshed(repository, "strict", []))
        found["release_ms"].append(_refreshed(repository, "release", []))
        for name, folder in families.items():
            with changed_package(folder):
                found[name]["ms"].append(_refreshed(repository, "strict", [os.path.basename(folder)]))
            found[name]["ms"].append(_refreshed(repository, "strict", [os.path.basename(folder)]))
    return found


def _typical_families(tree: str) -> tuple[str, str]:
    """The folders of the families with the median and the largest number of packages."""
    folders = [entry.path for entry in os.scandir(tree) if entry.is_dir()]
    folders.sort(key=lambda folder: (len(os.listdir(folder)), folder))
    return folders[len(folders) // 2], folders[-1]


def _refreshed(repository: Repository, check: Any, wanted: list[str]) -> float:
    start = time.perf_counter()
    families = repository.refresh(check=check).families
    milliseconds = (time.perf_counter() - start) * 1000
    if families != wanted:
        raise RerError(f"a refresh read {families} again, not {wanted}: does another benchmark change these packages?")
    return milliseconds


@contextlib.contextmanager
def changed_package(folder: str) -> Iterator[None]:
    """Add a comment to the first package file of a family; afterwards it says what it said, with the date it had."""
    path = os.path.join(folder, min(os.listdir(folder)), "package.py")
    with open(path, "rb") as file:
        source = file.read()
    status = os.stat(path)
    try:
        _overwrite(path, source + b"\n# changed\n")
        time.sleep(SETTLED_AFTER)
        yield
    finally:
        _overwrite(path, source)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        time.sleep(SETTLED_AFTER)  # its inode has changed just now


def _overwrite(path: str, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.write(content)
        file.truncate()


# ----------------------------------------------------------------------------------------------------------- checking
def check(tree: str, file: str) -> Found:
    """Say where a repository from folders differs from one of the same packages from memory, or solves otherwise."""
    from rer_numba.benchmark_report import check_golden

    ours, memory = Repository.open(file, check="frozen"), Repository.from_packages(packages_in_order_of(tree))
    requests = benchmark_requests()
    answers = [one for number, asked in enumerate(requests) for one in _differences(number, ours, memory, asked)]
    golden = check_golden(ours, requests, range(len(requests)))
    return {
        "requests": len(requests),
        "column_differences": different_columns(ours, memory),
        "answer_differences": answers,
        "golden_differences": golden,
    }


def packages_in_order_of(tree: str) -> list[PackageData]:
    """The packages of rez's benchmark from its archive, in the order of some folders, with the uris they have there."""
    known = {(package.name, package.version): package for package in iter_benchmark_packages()}
    return [
        PackageData(
            family.name,
            version.name,
            known[family.name, version.name].requires,
            known[family.name, version.name].variants,
            build_requires=known[family.name, version.name].build_requires,
            timestamp=known[family.name, version.name].timestamp,
            uri=os.path.join(os.path.realpath(version.path), "package.py"),
        )
        for family in os.scandir(tree)
        for version in os.scandir(family.path)
    ]


def different_columns(one: Repository, other: Repository) -> list[str]:
    """The columns that are not equal, but for those that say what folders were looked at."""
    import numpy as np

    from rer_numba.schema import COLUMNS

    names = [column.name for column in COLUMNS if not column.source]
    return [name for name in names if not np.array_equal(getattr(one.tables, name), getattr(other.tables, name))]


def _differences(number: int, one: Repository, other: Repository, request: list[str]) -> list[str]:
    from rer_numba.benchmark import Answer, differences

    first, second = (
        Answer(found.status, tuple(found.resolved), found.num_solves)
        for found in (one.solve(request), other.solve(request))
    )
    return differences(number, first, second)


STEPS: Final = {step.__name__: step for step in (encode, rez, pyrer, enlarge, opening, refresh, check)}


def main(steps: Mapping[str, Callable[..., Found]] = STEPS) -> None:
    """Do the step that the arguments name, and write what it gives."""
    step = steps[sys.argv[1]]
    try:
        json.dump(step(**json.loads(sys.argv[2])), sys.stdout)
    except (RerError, OSError) as error:
        raise SystemExit(f"{sys.argv[1]}: {error}") from None


if __name__ == "__main__":
    main()
