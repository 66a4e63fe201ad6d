"""Repositories made from folders that change: opened, checked, refreshed, saved, by one process and by several."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rer_numba import Repository, SolveOptions
from rer_numba.errors import RerError, StaleRepositoryError
from rer_numba.locks import writer_lock
from rer_numba.paths.settings import PathSettings
from rer_numba.reader import Reader
from rer_numba.repository import StaleRepositoryWarning
from tests.process import PATIENCE, ROOT
from tests.random_tree import let_settle


class Studio:
    """A package path with a few packages, and the repository file made of it."""

    def __init__(self, root: Path) -> None:
        self.path = root / "packages"
        self.file = root / "site.rer"
        self.add("app", "1", "requires = ['lib']")
        self.add("lib", "1")
        self.add("lib", "2")
        self.add("other", "1")
        self.settle()
        Repository.from_paths([self.path]).save(self.file)

    def add(self, name: str, version: str, text: str = "") -> Path:
        """Write a package definition, as an editor does: in place."""
        file = self.path / name / version / "package.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def settle(self) -> None:
        """Let everything be as old as what a studio has."""
        let_settle(self.path)

    def open(self, **options: object) -> Repository:
        return Repository.open(self.file, **options)  # type: ignore[arg-type]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def versions(repository: Repository, *requests: str) -> list[str]:
    result = repository.solve(requests or ["app"])
    assert result.status == "solved", result.failure_description
    return [f"{name}-{version}" for name, version, _ in result.resolved]


NEW, OLD = ["lib-3", "app-1"], ["lib-2", "app-1"]


def release(studio: Studio) -> None:
    studio.add("lib", "3")


def edit(studio: Studio) -> None:
    studio.add("app", "1", "requires = ['lib<2']")


def remove(studio: Studio) -> None:
    (studio.path / "lib" / "2" / "package.py").unlink()
    (studio.path / "lib" / "2").rmdir()


def hide(studio: Studio) -> None:
    (studio.path / "lib" / ".ignore2").touch()


# ---- what is noticed


@pytest.mark.parametrize(
    ("change", "strict", "by_release"),
    [
        (release, NEW, NEW),
        (edit, ["lib-1", "app-1"], OLD),  # an edit in place does not change the folder
        (remove, ["lib-1", "app-1"], ["lib-1", "app-1"]),
        (hide, ["lib-1", "app-1"], ["lib-1", "app-1"]),
    ],
)
def test_levels(change: Callable[[Studio], None], strict: list[str], by_release: list[str], studio: Studio) -> None:
    change(studio)
    assert versions(studio.open(check="frozen")) == OLD
    saved = studio.file.read_bytes()
    assert versions(studio.open(check="release")) == by_release
    studio.file.write_bytes(saved)
    assert versions(studio.open(check="strict")) == strict
    assert versions(studio.open(check="frozen")) == strict  # it was saved


def test_a_family_that_did_not_exist(studio: Studio) -> None:
    repository = studio.open()
    assert repository.solve(["late"]).error_type == "PackageFamilyNotFoundError"
    studio.add("late", "1")
    assert versions(studio.open(), "late") == ["late-1"]
    # as in rez, a process goes by what it has seen, until it is told to look again
    assert repository.solve(["late"]).error_type == "PackageFamilyNotFoundError"
    repository.refresh()
    assert versions(repository, "late") == ["late-1"]


def test_a_family_that_is_gone(studio: Studio) -> None:
    for version in ("1", "2"):
        (studio.path / "lib" / version / "package.py").unlink()
        (studio.path / "lib" / version).rmdir()
    (studio.path / "lib").rmdir()
    result = studio.open().solve(["app"])
    assert result.error_type == "PackageFamilyNotFoundError"
    assert f"(searched: {studio.path})" in str(result.failure_description)


def test_a_broken_package_that_was_mended(studio: Studio) -> None:
    studio.add("app", "1", "requires = ['lib-1+2+3']")
    assert studio.open().solve(["app"]).error_type == "PackageMetadataError"
    studio.add("app", "1", "requires = ['lib-1']")
    assert versions(studio.open()) == ["lib-1", "app-1"]


def test_a_release_time_that_was_mended(studio: Studio) -> None:
    pytest.importorskip("rez")
    studio.add("app", "1", "timestamp = 'soon'")
    assert versions(studio.open()) == ["app-1"]
    refused = studio.open().solve(["app"], timestamp=1000)
    assert (refused.status, refused.error_type) == ("error", "PackageMetadataError")
    studio.add("app", "1", "timestamp = 900")
    assert studio.open().solve(["app"], timestamp=1000).status == "solved"


def test_times_that_only_an_orderer_reads(studio: Studio) -> None:
    orderers = [{"type": "soft_timestamp", "timestamp": 100, "rank": 0}]
    for version, released in (("1", 50), ("2", 60)):
        studio.add("lib", version, f"timestamp = {released}")
    studio.settle()
    repository = studio.open(check="strict")
    assert repository.solve(["lib-1"], package_orderers=orderers).status == "solved"
    assert repository.solve(["lib"], package_orderers=orderers).resolved == [("lib", "2", None)]
    studio.add("lib", "2", "timestamp = 600")
    assert studio.open().solve(["lib"], package_orderers=orderers).resolved == [("lib", "1", None)]


def test_what_a_solve_does_not_touch_is_not_looked_at(studio: Studio) -> None:
    studio.add("other", "1", "requires = ['nowhere']")
    saved = studio.file.read_bytes()
    assert versions(studio.open()) == OLD
    assert studio.file.read_bytes() == saved
    assert studio.open(on_stale="error").solve(["other"]).error_type == "StaleRepositoryError"


def test_looked_at_once(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = studio.open()
    assert versions(repository) == OLD
    looks: list[str] = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: looks.append(str(path)) or stat(path, **more))
    assert versions(repository) == OLD
    assert not any(path.startswith(str(studio.path)) for path in looks)


def test_a_path_that_leads_elsewhere(studio: Studio, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(studio.path, target_is_directory=True)
    file = tmp_path / "linked.rer"
    Repository.from_paths([link]).save(file)
    assert versions(Repository.open(file)) == OLD
    other = Studio(tmp_path / "elsewhere")
    other.add("lib", "9")
    link.unlink()
    link.symlink_to(other.path, target_is_directory=True)
    assert versions(Repository.open(file)) == ["lib-9", "app-1"]


# ---- what is done about it


def test_warning(studio: Studio) -> None:
    release(studio)
    repository = studio.open(on_stale="warn")
    with pytest.warns(StaleRepositoryWarning, match="lib.* has changed since"):
        assert versions(repository) == OLD


def test_error(studio: Studio) -> None:
    release(studio)
    result = studio.open(on_stale="error").solve(["app"])
    assert (result.status, result.error_type) == ("error", StaleRepositoryError.__name__)
    assert str(result.failure_description).startswith(f"{studio.path / 'lib'} has changed since")
    with pytest.raises(RerError, match="has changed since"):
        result.raise_for_status()


def test_refreshed_where_nothing_may_be_written(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from rer_numba import generations

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(studio.file))

    release(studio)
    saved = studio.file.read_bytes()
    repository = studio.open()
    monkeypatch.setattr(generations, "lock_target", refuse)
    assert versions(repository) == NEW
    assert studio.file.read_bytes() == saved
    with pytest.raises(PermissionError):
        repository.refresh(save=True)


@pytest.mark.parametrize("name", ["check", "on_stale"])
def test_unknown_levels(name: str, studio: Studio) -> None:
    with pytest.raises(ValueError, match=f"{name} must be one of .*, not 'often'"):
        studio.open(**{name: "often"})


def test_a_path_that_cannot_be_listed_any_more(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from rer_numba.paths import renewal

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", str(studio.path))

    release(studio)
    repository = studio.open()
    monkeypatch.setattr(renewal, "require_reachable", fail)
    result = repository.solve(["app"])
    assert (result.status, result.error_type) == ("error", "OSError")
    assert str(studio.path) in str(result.failure_description)


# ---- refresh


def test_refresh_says_what_it_did(studio: Studio) -> None:
    repository = studio.open(check="frozen")
    assert repository.refresh() == ([], False, False)
    release(studio)
    edit(studio)
    studio.add("new", "1")
    assert repository.refresh(check="frozen") == ([], False, False)
    assert repository.refresh(check="release") == (["lib", "new"], False, True)
    assert "app" in repository.refresh().families
    assert versions(repository) == ["lib-1", "app-1"]
    assert versions(studio.open(check="frozen")) == ["lib-1", "app-1"]


def test_refresh_in_memory(studio: Studio) -> None:
    repository = Repository.from_paths([studio.path])
    release(studio)
    assert versions(repository) == OLD
    assert repository.refresh() == (["lib"], False, False)
    assert versions(repository) == NEW
    with pytest.raises(RerError, match="call save"):
        repository.refresh(save=True)


def test_nothing_to_compare_with() -> None:
    with pytest.raises(RerError, match="was not made from package paths"):
        Repository.from_packages([]).refresh()


def test_refresh_takes_what_another_one_wrote(studio: Studio) -> None:
    first, second = studio.open(check="frozen"), studio.open(check="frozen")
    release(studio)
    studio.settle()
    assert "lib" in first.refresh().families
    assert second.refresh() == ([], True, False)
    assert versions(second) == NEW
    assert second.fingerprint == first.fingerprint


def test_a_file_that_is_about_other_paths_now_is_left_alone(studio: Studio, tmp_path: Path) -> None:
    repository = studio.open()
    Repository.from_paths([tmp_path / "elsewhere"]).save(studio.file)
    saved = studio.file.read_bytes()
    release(studio)
    assert versions(repository) == NEW
    assert studio.file.read_bytes() == saved


def test_refresh_without_saving(studio: Studio) -> None:
    saved = studio.file.read_bytes()
    release(studio)
    repository = studio.open(check="frozen")
    assert repository.refresh(save=False) == (["lib"], False, False)
    assert studio.file.read_bytes() == saved


def test_results_of_before_a_refresh_stay(studio: Studio) -> None:
    repository = studio.open(check="frozen")
    result = repository.solve(["app"])
    release(studio)
    repository.refresh()
    assert [package.version for package in result.resolved_packages] == ["2", "1"]


def test_options_and_settings_are_kept(studio: Studio) -> None:
    settings = PathSettings(check_package_definition_files=True)
    options = SolveOptions(variant_select_mode="intersection_priority")
    Repository.from_paths([studio.path], path_settings=settings, options=options).save(studio.file)
    (studio.path / "lib" / "5").mkdir()
    repository = studio.open()
    assert versions(repository) == OLD
    repository.refresh()
    again = studio.open()
    assert (again.path_settings, again.options) == (settings, options)


def test_removed_file(studio: Studio) -> None:
    repository = studio.open(check="frozen")
    studio.file.unlink()
    release(studio)
    assert repository.refresh() == (["lib"], False, True)
    assert versions(studio.open(check="frozen")) == NEW


# ---- folders of generations


@pytest.fixture
def folder(studio: Studio, tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    Repository.from_paths([studio.path]).save(f"{folder}{os.sep}")
    return folder


def test_generations(studio: Studio, folder: Path) -> None:
    first = Repository.open(folder, check="frozen")
    assert Path(str(first.file)).parent == folder
    assert str(first.fingerprint) in Path(str(first.file)).name
    release(studio)
    second = Repository.open(folder)
    assert versions(second) == NEW
    assert second.file != first.file
    assert versions(first) == OLD
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["current", Path(str(first.file)).name, Path(str(second.file)).name]
    )
    assert Repository.open(folder, check="frozen").file == second.file


def test_a_touched_file_is_a_generation_of_its_own(studio: Studio, folder: Path) -> None:
    first = Repository.open(folder, check="frozen")
    os.utime(studio.path / "lib" / "2" / "package.py")
    second = Repository.open(folder, check="frozen")
    assert second.refresh() == (["lib"], False, True)
    assert second.fingerprint == first.fingerprint
    assert second.file != first.file


def test_pickles_name_their_generation(studio: Studio, folder: Path) -> None:
    repository = Repository.open(folder, check="frozen")
    data = pickle.dumps(repository)
    release(studio)
    Repository.open(folder).refresh()
    assert versions(pickle.loads(data)) == OLD
    os.unlink(str(repository.file))
    with pytest.raises(RerError, match="was written again since"):
        pickle.loads(data)


# ---- at the same time


def test_solves_go_on_while_it_is_refreshed(studio: Studio) -> None:
    repository = studio.open()
    assert versions(repository) == OLD
    stop = threading.Event()
    seen: set[str] = set()
    failures: list[str | None] = []

    def solve() -> None:
        while not stop.is_set():
            result = repository.solve(["lib"])
            if result.status != "solved":
                failures.append(result.failure_description)
            seen.update(version for _, version, _ in result.resolved)

    threads = [threading.Thread(target=solve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(3, 12):
        studio.add("lib", str(version))
        repository.refresh()
        assert versions(repository, "lib") == [f"lib-{version}"]
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert versions(repository, "lib") == ["lib-11"]
    assert seen <= {str(version) for version in range(2, 12)}


def test_one_of_two_writers_waits(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    release(studio)
    repository = studio.open(check="frozen")
    done: list[object] = []
    waits = threading.Event()
    monkeypatch.setattr("rer_numba.storage.tell_once", lambda text: waits.set())
    with writer_lock(studio.file):
        thread = threading.Thread(target=lambda: done.append(repository.refresh()))
        thread.start()
        assert waits.wait(PATIENCE)
        assert not done
    thread.join()
    assert done == [(["lib"], False, True)]


# ---- late requires


@pytest.fixture
def late(studio: Studio) -> Iterator[Studio]:
    pytest.importorskip("rez")
    from rez.package_repository import package_repository_manager

    studio.add("app", "2", "@late()\ndef requires():\n    return ['lib-1']\n")
    package_repository_manager.clear_caches()
    yield studio
    package_repository_manager.clear_caches()


def test_rez_solves_what_is_late(late: Studio) -> None:
    repository = Repository.from_paths([late.path])
    assert repository.solve(["lib"]).fallback_reason is None
    result = repository.solve(["app"])
    assert result.fallback_reason == "requires is a late function, which only rez can run, within a solve"
    assert (result.status, result.resolved) == ("solved", [("lib", "1", None), ("app", "2", None)])
    assert [package.uri for package in result.resolved_packages] == [
        f"{late.path}/lib/1/package.py[]",
        f"{late.path}/app/2/package.py[]",
    ]
    assert repr(result).startswith("<SolveResult solved: 2 packages")
    assert repository.solve(["app-1"]).fallback_reason is None
    assert [broken.name for broken in repository.broken() if broken.is_late] == ["app-2"]


def test_rez_fails_what_is_late(late: Studio) -> None:
    failed = Repository.from_paths([late.path]).solve(["app", "lib-2"], variant_select_mode="intersection_priority")
    assert failed.resolved == [("lib", "2", None), ("app", "1", None)]
    failed = Repository.from_paths([late.path]).solve(["app-2", "lib-2"])
    assert (failed.status, bool(failed.fallback_reason)) == ("failed", True)
    assert str(failed.failure_description).startswith("The following package conflicts occurred: ")


def test_late_options_reach_rez(late: Studio) -> None:
    rez_version = pytest.importorskip("rez").__version__
    repository = Repository.from_paths([late.path])
    options = {
        "package_filter": [{"excludes": ["lib-1"]}],
        "package_orderers": [{"type": "sorted", "descending": False, "packages": ["lib"]}],
        "timestamp": 2_000_000_000,
        "building": True,
        "implicit_packages": ["~other-2"],
        "rez_version": rez_version,
    }
    result = repository.solve(["app-2"], **options)
    assert (result.status, result.error_type, bool(result.fallback_reason)) == ("error", "PackageNotFoundError", True)
    result = repository.solve(["app-2", "other"], error_on_missing_variant_requires=False)
    assert result.status == "solved"


def test_late_without_rez(late: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from rer_numba.rez_bridge import presence

    repository = Repository.from_paths([late.path])
    monkeypatch.setattr(presence, "find_spec", lambda _: None)
    result = repository.solve(["app"])
    assert (result.status, result.error_type) == ("error", "NeedsRezError")
    assert "pip install rez" in str(result.failure_description)
    with pytest.raises(RerError, match="late function"):
        result.raise_for_status()


def test_what_is_computed_needs_rez(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from rer_numba.paths import loaders

    file = studio.add("app", "3", "def requires():\n    pass\n")
    monkeypatch.setattr(loaders, "find_spec", lambda _: None)
    repository = Repository.from_paths([studio.path])
    assert versions(repository, "app-1") == OLD
    result = repository.solve(["app"])
    assert (result.status, result.error_type) == ("error", "NeedsRezError")
    assert str(result.failure_description).startswith(f"{file}: requires must be a list of texts")
    monkeypatch.undo()
    if loaders.find_spec("rez"):
        assert versions(Repository.from_paths([studio.path])) == ["app-3"]


# ---- how it is called


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="paths must be a list of paths, not"):
        Repository.from_paths(str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="allow_unversioned_packages"):
        Repository.from_paths([tmp_path], path_settings=PathSettings(allow_unversioned_packages="no"))  # type: ignore[arg-type]


def test_progress_is_reported(studio: Studio) -> None:
    reported: list[tuple[str, int, int]] = []
    Repository.from_paths([studio.path], progress=lambda *what: reported.append(what))
    assert {what for what, _, _ in reported} >= {"reading families", "linking"}
    assert all(0 <= done <= total for _, done, total in reported)


def test_a_path_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    repository = Repository.from_paths([tmp_path / "nowhere"])
    result = repository.solve(["app"])
    assert result.failure_description == f"package family not found: app (searched: {tmp_path / 'nowhere'})"
    (tmp_path / "nowhere" / "app" / "1").mkdir(parents=True)
    (tmp_path / "nowhere" / "app" / "1" / "package.py").touch()
    assert repository.refresh().families == ["app"]
    assert versions(repository) == ["app-1"]


# ---- killed


def whole_version(target: Path) -> int:
    """The newest version of both packages of `tests.refresh_child` in the current generation."""
    repository = Repository.open(target, check="frozen", verify="always")
    found = {repository.solve([name], package_filter=[{"excludes": ["only"]}]).status for name in ("one", "two")}
    assert found == {"error"}  # nothing provides `only`; but each can be looked at
    reader = Reader(repository.tables)
    newest = {}
    for row in range(len(repository.tables.package_version_rank)):
        newest.setdefault(reader.package_family_name(row), int(reader.package_version(row)))
    assert newest["one"] == newest["two"]
    return newest["one"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal here")
@pytest.mark.parametrize("is_folder", [False, True])
def test_killed_while_it_refreshes(is_folder: bool, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    for name in ("one", "two"):
        (packages / name / "1").mkdir(parents=True)
        (packages / name / "1" / "package.py").write_text("requires = ['only==1']\ntimestamp = 1\n")
    target = tmp_path / ("site" if is_folder else "site.rer")
    Repository.from_paths([packages]).save(f"{target}{os.sep}" if is_folder else target)
    rng = random.Random(1)
    versions_seen = [whole_version(target)]
    seconds = 0.0
    while len(versions_seen) <= 20 or versions_seen[-1] <= 5:
        command = [sys.executable, "-m", "tests.refresh_child", str(packages), str(target)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            if not seconds:  # as long as a refresh takes here and now
                started = time.monotonic()
                assert child.stdout.readline()
                seconds = time.monotonic() - started
            time.sleep(rng.random() * 2 * seconds)
            child.kill()
        versions_seen.append(whole_version(target))
        assert versions_seen == sorted(versions_seen)
        assert len(versions_seen) < 500, "it is killed again and again before it has done anything"
    (packages / "three" / "1").mkdir(parents=True)
    (packages / "three" / "1" / "package.py").write_text("timestamp = 1")
    repository = Repository.open(target, check="frozen")
    assert "three" in repository.refresh(save=True).families
    folder = target if is_folder else tmp_path
    assert [path.name for path in folder.iterdir() if path.suffix in (".tmp", ".lock")] == []
