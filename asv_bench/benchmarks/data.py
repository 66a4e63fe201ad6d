"""The repositories that are measured, encoded once for all benchmarks.

`setup_cache` is shared: asv runs it once for each commit, in a folder in which the benchmarks run too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from rer_numba import PackageData, Repository

ROOT = Path(__file__).resolve().parents[2]

STUDIO = "studio"
REZ = "rez_188"
"""rez's own benchmark: 18,226 packages, 188 requests. Not there without rez."""
SETS = (STUDIO, REZ)
TREES = SETS if os.environ.get("RER_NUMBA_ASV_ALL") else (STUDIO,)
"""What is measured as package folders too. Those of rez's benchmark are many, and so on request only."""
SETTLED_AFTER = 0.1
"""Seconds after which another change of a file must show in its date."""


def packages_of(name: str) -> list[PackageData]:
    """The packages of a data set; [] when it is not there."""
    if name == STUDIO:
        rows = json.loads((ROOT / "data_set" / "studio" / "packages.json").read_text(encoding="utf-8"))["packages"]
        return [PackageData(**row) for row in rows]
    rez = _rez_benchmark()
    if rez is None:
        return []
    return [
        PackageData(p.name, p.version, p.requires, p.variants, build_requires=p.build_requires, timestamp=p.timestamp)
        for p in rez.benchmark_packages()
    ]


def requests_of(name: str) -> list[list[str]]:
    """The requests of a data set; [] when it is not there."""
    if name == STUDIO:
        rows = json.loads((ROOT / "data_set" / "studio" / "requests.json").read_text(encoding="utf-8"))["requests"]
        return [row["requests"] for row in rows if not row["options"]]
    rez = _rez_benchmark()
    return rez.benchmark_requests() if rez else []


def _rez_benchmark() -> Any:
    if importlib.util.find_spec("rez") is None:
        return None
    try:
        from rer_numba import benchmark_data

        return benchmark_data
    except ImportError:  # a commit from before that module
        sys.path.append(str(ROOT))
        from data_set import prepare

        return prepare


def golden() -> list[dict[str, Any]]:
    """What rez answered to the 188 requests."""
    answers: list[dict[str, Any]] = json.loads((ROOT / "data_set" / "golden_188.json").read_text(encoding="utf-8"))[
        "answers"
    ]
    return answers


def file_of(name: str) -> str:
    """Where `setup_cache` saves a data set."""
    return f"{name}.rer"


def setup_cache() -> dict[str, list[list[str]]]:
    """Encode and save each data set, also from folders, and have the kernels compiled. Returns the requests of each."""
    requests = {}
    write_trees()
    for name in SETS:
        requests[name] = requests_of(name)
        if requests[name]:
            repository = Repository.from_packages(packages_of(name))
            repository.save(file_of(name))
            repository.solve(requests[name][0])
    return requests


setup_cache.timeout = 600  # type: ignore[attr-defined]


def need(requests: dict[str, list[list[str]]], name: str) -> list[list[str]]:
    """The requests of a data set; without it the benchmark is skipped, which asv shows as n/a."""
    if not requests[name]:
        raise NotImplementedError(f"{name}: rez is not installed")
    return requests[name]


# ------------------------------------------------------------------------------------------------------------ folders
def tree_of(name: str) -> str:
    """Where `setup_cache` writes a data set as package folders."""
    return os.path.abspath(f"{name}_tree")


def file_of_tree(name: str) -> str:
    """What `setup_cache` encodes from these folders."""
    return os.path.abspath(f"{name}_tree.rer")


def write_trees() -> None:
    """Write the data sets of `TREES` as folders, and encode these; nothing for a commit that reads no folders."""
    if not hasattr(Repository, "from_paths"):
        return
    for name in TREES:
        for package in packages_of(name):
            write_package(Path(tree_of(name), package.name, package.version), package)
        if os.path.isdir(tree_of(name)):
            wait_until_settled()
            Repository.from_paths([tree_of(name)]).save(file_of_tree(name))
            wait_until_settled()


def write_package(folder: Path, package: PackageData) -> None:
    """Write a package.py of literals."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = ("name", "version", "requires", "variants", "build_requires", "timestamp")
    given = {key: getattr(package, key) for key in keys}
    lines = [f"{key} = {value!r}\n" for key, value in given.items() if value]
    (folder / "package.py").write_text("\n".join(lines), encoding="utf-8")


def need_tree(name: str) -> None:
    """Skip a benchmark without its folders, which asv shows as n/a."""
    if not os.path.isfile(file_of_tree(name)):
        raise NotImplementedError(f"{name}: not there as folders")


def copied(file: str) -> str:
    """Copy a file beside itself, and give the name of the copy."""
    copy = f"{file}.copy"
    shutil.copyfile(file, copy)
    wait_until_settled()
    return copy


def wait_until_settled() -> None:
    """Sleep until another change of a file must show in its date."""
    time.sleep(SETTLED_AFTER)
