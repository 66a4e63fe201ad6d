"""The repositories that are measured, encoded once for all benchmarks.

`setup_cache` is shared: asv runs it once for each commit, in a folder in which the benchmarks run too.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from rer_numba import PackageData, Repository

ROOT = Path(__file__).resolve().parents[2]

STUDIO = "studio"
REZ = "rez_188"
"""rez's own benchmark: 18,226 packages, 188 requests. Not there without rez."""
SETS = (STUDIO, REZ)


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
    """Encode and save each data set, and have the kernels compiled. Returns the requests of each."""
    requests = {}
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
