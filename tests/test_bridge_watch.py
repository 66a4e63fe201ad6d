"""What of ours lives as long as what rez remembers, and no longer."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rez.package_repository import package_repository_manager
from rez.solver import Solver as RezSolver
from rez.version import Requirement, Version

from rer_numba.rez_bridge import pinned
from rer_numba.rez_bridge.memory import answers_in
from rer_numba.rez_bridge.sites import forget_sites, site_of
from rer_numba.rez_bridge.solver import Solver
from rer_numba.rez_bridge.watch import Watch
from tests.random_tree import let_settle
from tests.rez_folders import rez_as
from tests.test_bridge_sites import DEFAULTS, beside, publish, write


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[list[str]]:
    """Two package paths, one of them with two versions of one family."""
    forget_sites()
    with rez_as(DEFAULTS):
        write(tmp_path / "p", "a", "1")
        write(tmp_path / "p", "a", "2")
        (tmp_path / "q").mkdir()
        let_settle(tmp_path)
        yield [str(tmp_path / "p"), str(tmp_path / "q")]
    forget_sites()


def answer(make: Any, paths: list[str], *request: str) -> list[str]:
    solver = make([Requirement(text) for text in request], paths)
    solver.solve()
    return [str(one) for one in solver.resolved_packages]


@pytest.mark.each_rez
def test_every_watch_hears_of_it(paths: list[str]) -> None:
    """Also one that is asked after another of the same repository."""
    place = package_repository_manager.get_repository(paths[0])
    watches = [Watch(paths[0], place) for _ in range(3)]
    assert all(watch.is_current() for watch in watches)
    place.clear_caches()
    assert [watch.is_current() for watch in watches * 2] == [False] * 6
    again = Watch(paths[0], place)
    assert again.is_current() and not watches[0].is_current()
    package_repository_manager.clear_caches()
    assert not again.is_current()


def test_watching_adds_one_name_to_what_rez_remembers(paths: list[str]) -> None:
    place: Any = package_repository_manager.get_repository(paths[0])
    kept = [Watch(paths[0], place) for _ in range(100)]
    assert len(kept) == 100 and sum(map(len, answers_in(place.get_family))) == 1


@pytest.mark.each_rez
@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("change", ["ignore", "install"])
def test_a_change_by_rez_reaches_every_list_of_paths(paths: list[str], change: str, published: bool) -> None:
    """Issue 11, point 15: the first list of paths to ask used up the notice."""
    if published:
        publish(paths[:1], beside(paths[0]))
    found = [answer(Solver, paths[:1], "a"), answer(Solver, paths, "a")]
    assert found == [["a-2[]"]] * 2
    place = package_repository_manager.get_repository(paths[0])
    if change == "ignore":
        assert place.ignore_package("a", Version("2")) == 1
    else:
        source = Path(paths[1], "a", "3", "package.py")
        write(Path(paths[1]), "a", "3", "name = 'a'\nversion = '3'\n")
        other: Any = package_repository_manager.get_repository(paths[1])
        family = other._copy().get_package_family("a")
        place.install_variant(next(next(family.iter_packages()).iter_variants()))
        source.unlink()
        source.parent.rmdir()
    after = [answer(Solver, paths[:1], "a"), answer(Solver, paths, "a")]
    assert after == [answer(RezSolver, paths[:1], "a"), answer(RezSolver, paths, "a")]
    assert after == [["a-1[]"] if change == "ignore" else ["a-3[]"]] * 2


@pytest.mark.parametrize("published", [False, True])
def test_what_is_forgotten_goes(paths: list[str], published: bool) -> None:
    """A mapping, a file descriptor and 2 MB stayed with each `clear_caches` of a process that goes on."""
    if published:
        publish(paths[:1], beside(paths[0]))
    gone: list[weakref.ref[Any]] = []
    n_open = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(10):
        solver = Solver([Requirement("a")], paths)
        solver.solve()
        assert [one.handle for one in solver.resolved_packages or ()]
        assert solver.get_graph().nodes()
        snapshot = site_of(paths).snapshot
        gone += [weakref.ref(snapshot), weakref.ref(snapshot.reader), weakref.ref(snapshot.view(False).reader)]
        del solver, snapshot
        package_repository_manager.clear_caches()
    site_of(paths)
    gc.collect()
    assert [one for one in gone if one() is not None] == []
    if n_open:
        assert len(os.listdir("/proc/self/fd")) <= n_open + 1


def test_paths_that_are_published_as_one_are_remembered_each_by_itself(paths: list[str]) -> None:
    for make in (RezSolver, Solver):
        write(Path(paths[1]), "b", "1")
        let_settle(Path(paths[0]).parent)
        publish(paths, beside(paths[0]))
        package_repository_manager.clear_caches()
        assert answer(make, paths, "b") == ["b-1[]"]
        write(Path(paths[1]), "b", "2")
        assert answer(make, paths, "b") == answer(make, paths[1:], "b") == ["b-1[]"]
        package_repository_manager.get_repository(paths[0]).clear_caches()
        assert answer(make, paths, "b") == answer(make, paths[1:], "b") == ["b-1[]"]
        package_repository_manager.get_repository(paths[1]).clear_caches()
        assert answer(make, paths, "b") == answer(make, paths[1:], "b") == ["b-2[]"]
        shutil.rmtree(Path(paths[1], "b"))


def test_publishing_again_and_again_keeps_nothing(paths: list[str]) -> None:
    """One path is cleared each time and the other never, as where a process releases to one of several paths."""
    write(Path(paths[1]), "b", "1")
    let_settle(Path(paths[0]).parent)
    gone: list[weakref.ref[Any]] = []
    for turn in range(6):
        write(Path(paths[1]), "b", f"2.{turn}")
        publish(paths, beside(paths[0]))
        package_repository_manager.get_repository(paths[1]).clear_caches()
        assert answer(Solver, paths, "a", "b") == ["a-2[]", f"b-2.{turn}[]"]
        gone.append(weakref.ref(pinned._opened[os.path.join(paths[0], ".rer")]))
    gc.collect()
    assert [one() is not None for one in gone] == [False] * 5 + [True]


# ---- where it is not as in rez: docs/deviations.md


def described(make: Any, paths: list[str]) -> str:
    solver = make([Requirement("a")], paths)
    solver.solve()
    return str(solver.resolved_packages[0].variant.description)


def test_what_else_a_package_says_is_read_late(paths: list[str]) -> None:
    """As it is when somebody first looks; rez has loaded all of it by then."""
    write(Path(paths[0]), "a", "2", "description = 'old'\n")
    let_settle(Path(paths[0]).parent)
    publish(paths[:1], beside(paths[0]))
    assert answer(RezSolver, paths, "a") == ["a-2[]"]
    write(Path(paths[0]), "a", "2", "description = 'new'\n")
    assert described(RezSolver, paths) == "old"
    package_repository_manager.clear_caches()
    write(Path(paths[0]), "a", "2", "description = 'old'\n")
    let_settle(Path(paths[0]).parent)
    assert answer(Solver, paths, "a") == ["a-2[]"]
    write(Path(paths[0]), "a", "2", "description = 'new'\n")
    assert described(Solver, paths) == "new"


def test_what_an_earlier_path_hides_is_remembered_as_it_is_now(paths: list[str]) -> None:
    """Of paths that are published as one: rez has listed it with the others; in the repository it is not."""
    for make, expected in ((RezSolver, ["a-2[]"]), (Solver, ["a-3[]"])):
        write(Path(paths[0]), "a", "3")
        write(Path(paths[1]), "a", "2")
        let_settle(Path(paths[0]).parent)
        publish(paths, beside(paths[0]))
        package_repository_manager.clear_caches()
        assert answer(make, paths, "a") == ["a-3[]"]
        write(Path(paths[1]), "a", "3")
        assert answer(make, paths[1:], "a") == expected
        shutil.rmtree(Path(paths[1], "a"))
