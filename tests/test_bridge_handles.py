"""rez's handles, and texts that print them: the same letters, whatever a package was found through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from rez.package_repository import create_memory_package_repository, package_repository_manager
from rez.packages import get_package_from_handle, get_variant
from rez.resolved_context import ResolvedContext
from rez.solver import Solver as RezSolver
from rez.version import Requirement

from rer_numba import rez_bridge
from rer_numba.rez_bridge.sites import forget_sites
from rer_numba.rez_bridge.solver import Solver
from tests.random_tree import let_settle
from tests.rez_folders import rez_as
from tests.test_bridge_sites import DEFAULTS, beside, publish, write

REQUESTS = ("plain", "variants", "combined", "unversioned", "missing", "bad", "memory", "mixed")


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[list[str]]:
    """Two package paths with packages of each kind, and a memory repository."""
    forget_sites()
    with rez_as(DEFAULTS):
        first, second = tmp_path / "p", tmp_path / "q"
        write(first, "plain", "1")
        write(second, "variants", "1", "variants = [['plain-2'], ['plain']]\n")
        write(second, "bad", "1", "requires = ['a==1..2']\n")
        write(first, "mixed", "1", "requires = ['variants', 'combined-1', 'unversioned']\n")
        (first / "missing" / "1").mkdir(parents=True)
        (first / "combined.py").write_text(
            "name = 'combined'\nversions = ['1', '2']\nversion_overrides = {'1': {'variants': [['plain']]}}\n"
        )
        (second / "unversioned").mkdir()
        (second / "unversioned" / "package.py").write_text("name = 'unversioned'\n")
        let_settle(tmp_path)
        memory: Any = create_memory_package_repository(
            {"memory": {"1": {"name": "memory", "version": "1", "variants": [["plain"]]}}}
        )
        yield [str(first), str(second), f"memory@{memory.location}"]
    forget_sites()


def use_other_orders(paths: list[str]) -> None:
    """Look at some packages by handles whose keys stand in another order, as those of a file may: rez keeps them so."""
    rest = {"repository_type": "filesystem", "location": paths[0]}
    get_variant({"key": "filesystem.variant", "variables": {"index": None, "version": "1", "name": "plain", **rest}})
    get_package_from_handle({"key": "filesystem.package", "variables": {"version": "1", "name": "missing", **rest}})


def texts(paths: list[str], request: str, file: Path, solver: Any) -> list[str]:
    """Everything that prints a handle, or what stands for one."""
    told: list[str] = []
    try:
        context = ResolvedContext(
            [request],
            package_paths=paths,
            caching=False,
            package_load_callback=lambda package: told.append(f"{package} {package!r}"),
        )
    except Exception as error:  # noqa: BLE001 - whatever it is has to be the same
        return [type(error).__name__, str(error), repr(error), *told]
    context.save(str(file))
    told.append(json.dumps(json.loads(file.read_text())["resolved_packages"]))
    for one in context.resolved_packages or ():
        told += [f"{one} {one!r}", f"{one.handle} {one.handle!r}", f"{one.parent} {one.parent.handle!r}", one.uri]
    alone = solver([Requirement(request)], paths)
    alone.solve()
    return told + [f"{one!r} {one.handle}" for one in alone.resolved_packages or ()]


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("published", ["", "each", "as one"])
def test_handles_are_printed_as_by_rez(paths: list[str], published: str, others: bool, tmp_path: Path) -> None:
    for run in {"each": [paths[:1], paths[1:2]], "as one": [paths[:2]]}.get(published, []):
        publish(run, beside(run[0]))
    found = []
    for solver in (RezSolver, Solver):
        package_repository_manager.clear_caches()
        if others:
            use_other_orders(paths)
        with rez_bridge.installed() if solver is Solver else nullcontext():
            found.append([texts(paths, request, tmp_path / "x.rxt", solver) for request in REQUESTS])
    assert found[0] == found[1]
    names = [name for name, *_ in map(str.split, found[0][4])]
    assert names[0] == "PackageDefinitionFileMissing"
