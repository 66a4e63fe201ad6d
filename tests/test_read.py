"""Reading families: what changes meanwhile, several processes, and processes that die."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rer_numba import Repository
from rer_numba.paths import read, workers
from rer_numba.paths.build import places_of
from rer_numba.paths.discover import list_location
from rer_numba.paths.read import read_families
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.states import UNSURE
from rer_numba.reader import Reader
from rer_numba.schema import Tables
from tests.random_tree import let_settle

DEFAULTS = PathSettings()


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for name in ("ape", "bee"):
        for version in ("1", "2"):
            file = tmp_path / "packages" / name / version / "package.py"
            file.parent.mkdir(parents=True)
            file.write_text("requires = ['old']\ntimestamp = 1\n")
    let_settle(tmp_path / "packages")
    return tmp_path / "packages"


def tables_of(packages: Path) -> Tables:
    return Repository.from_paths([packages], processes=1).tables


def requires(tables: Tables) -> dict[str, tuple[str, ...]]:
    reader = Reader(tables)
    names = [reader.variant_name(row) for row in range(len(tables.variant_package))]
    return {f"{name}-{version}": reader.variant_details(row)[0] for row, (name, version, _) in enumerate(names)}


def once(do: Callable[[], Any], times: int = 1) -> Callable[[], None]:
    """A function that does something only the first times it is called."""
    left = [times]

    def call() -> None:
        if left[0]:
            left[0] -= 1
            do()

    return call


# ---- what needs nobody


def test_a_folder_without_a_definition_file(tmp_path: Path) -> None:
    """Nobody needs to be asked: it says what rez says."""
    location = tmp_path / 'it\'s "here"'
    folder = location / "ape" / "1"
    folder.mkdir(parents=True)
    reading = read_families(places_of([list_location(str(location), DEFAULTS)]), DEFAULTS)
    assert reading.unread == []
    (error,) = set(reading.facts.errors)
    assert error[0] == "PackageDefinitionFileMissing"
    load = pytest.importorskip("rer_numba.rez_bridge.load")
    found = load.load_package(str(location), "ape", "1", str(folder), None, "").found
    assert set(found) == {error}


# ---- what changes while it is read


@pytest.mark.parametrize("text", ["requires = ['new']\ntimestamp = 1\n", "requires = ['newer']\ntimestamp = 1\n"])
def test_a_file_that_changes_while_it_is_read_is_read_again(
    text: str, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = packages / "bee" / "2" / "package.py"
    wanted = os.stat(file).st_ino
    read_all = read._read_all
    change = once(lambda: file.write_text(text))

    def slowly(handle: int, size: int) -> bytes:
        found = read_all(handle, size)
        if os.fstat(handle).st_ino == wanted:
            change()
        return found

    monkeypatch.setattr(read, "_read_all", slowly)
    assert requires(tables_of(packages))["bee-2"] == (text.split("'")[1],)


def test_a_file_that_never_rests_is_not_trusted(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = packages / "bee" / "2" / "package.py"
    wanted = os.stat(file).st_ino
    read_all = read._read_all

    def slowly(handle: int, size: int) -> bytes:
        found = read_all(handle, size)
        if os.fstat(handle).st_ino == wanted:
            with file.open("a") as more:
                more.write("# and on\n")
        return found

    monkeypatch.setattr(read, "_read_all", slowly)
    tables = tables_of(packages)
    reader = Reader(tables)
    row = next(
        row for row in range(4) if reader.package_family_name(row) == "bee" and reader.package_version(row) == "2"
    )
    assert tables.package_mtime[row] == UNSURE
    assert requires(tables)["bee-2"] == ("old",)


def test_a_folder_that_changes_while_it_is_read_is_listed_again(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_family = read.list_family

    def release() -> None:
        (packages / "ape" / "3").mkdir()
        (packages / "ape" / "3" / "package.py").write_text("timestamp = 1")

    release_once = once(release)

    def slowly(*arguments: Any) -> Any:
        listing = list_family(*arguments)
        release_once()
        return listing

    monkeypatch.setattr(read, "list_family", slowly)
    assert requires(tables_of(packages)).keys() == {"ape-1", "ape-2", "ape-3", "bee-1", "bee-2"}


def test_a_file_that_goes_while_it_is_read(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rez")
    file = packages / "bee" / "2" / "package.py"
    list_family = read.list_family
    remove = once(file.unlink)

    def slowly(family: Any, settings: PathSettings) -> Any:
        listing = list_family(family, settings)
        if family.name == "bee":
            remove()
        return listing

    monkeypatch.setattr(read, "list_family", slowly)
    repository = Repository.from_paths([packages], processes=1)
    assert [(one.name, one.error_type) for one in repository.broken()] == [("bee-2", "PackageDefinitionFileMissing")]
    monkeypatch.undo()
    file.write_text("timestamp = 1")
    assert repository.refresh().families == ["bee"]
    assert repository.broken() == []


def test_a_change_within_the_tick_of_the_clock_is_not_trusted(packages: Path) -> None:
    file = packages / "bee" / "2" / "package.py"
    file.write_text("timestamp = 1")
    repository = Repository.from_paths([packages])
    state = os.stat(file)
    file.write_text("timestamp = 2")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))  # as if it came in the same tick
    assert repository.refresh().families == ["bee"]
    assert 2 in repository.tables.package_timestamp.tolist()


# ---- processes


def test_what_needs_a_loader_is_left_to_it(packages: Path) -> None:
    (packages / "bee" / "3").mkdir()
    (packages / "bee" / "3" / "package.py").write_text("requires = 'lib'\n")
    families = places_of([list_location(str(packages), DEFAULTS)])
    reading = read_families(families, DEFAULTS)
    assert [one.name for one in reading.unread] == ["bee"]
    assert reading.facts.names[:1] == ["ape"]
    assert [folder.name for folder in reading.folders] == ["ape"]


def many(tmp_path: Path, families: int = 70) -> Path:
    for n in range(families):
        file = tmp_path / "many" / f"family_{n:03}" / "1" / "package.py"
        file.parent.mkdir(parents=True)
        file.write_text(f"timestamp = {n + 1}")
    let_settle(tmp_path / "many")
    return tmp_path / "many"


@pytest.mark.parametrize(
    "work", ["", "import sys; sys.exit(3)", "import os, signal; os.abort()", "print('noise', flush=True)"]
)
def test_workers_that_die_lose_nothing(work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if work:
        monkeypatch.setattr(workers, "_WORK", work)
    path = many(tmp_path)
    reported: list[tuple[str, int, int]] = []
    tables = Repository.from_paths([path], processes=3, progress=lambda *what: reported.append(what)).tables
    assert sorted(tables.package_timestamp.tolist()) == list(range(1, 71))
    assert ("reading families", 70, 70) in reported or work


def test_a_worker_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    tables = Repository.from_paths([many(tmp_path)], processes=2).tables
    assert len(tables.package_timestamp) == 70


def test_an_interrupt_ends_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    started: list[Any] = []
    popen = workers.subprocess.Popen

    def start(*arguments: Any, **options: Any) -> Any:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        Repository.from_paths([many(tmp_path)], processes=3, progress=interrupt)
    assert all(process.poll() is not None for process in started)


def test_how_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_cpus", lambda: 64)
    assert [workers.process_count(None, families) for families in (0, 100, 150, 1000, 100_000)] == [1, 1, 2, 7, 8]
    assert workers.process_count(3, 10) == 3
    monkeypatch.setattr(sys, "executable", "/opt/maya/bin/maya.bin")  # which would open a second Maya
    assert workers.process_count(None, 100_000) == 1
