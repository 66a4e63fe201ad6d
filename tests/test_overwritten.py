"""A file that is written over while it is mapped, by ``cp`` or ``rsync --inplace``: the mapping changes with it."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rer_numba import PackageData, Repository, verified
from rer_numba.errors import RepositoryCorruptError
from rer_numba.verified import Origin
from tests.process import run_python
from tests.random_tree import let_settle, wait_a_tick

posix = pytest.mark.skipif(os.name != "posix", reason="Windows writes over no file that is mapped")
pytestmark = posix


def repository(*versions: str) -> Repository:
    return Repository.from_packages([PackageData("app", version) for version in versions])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.rer"
    repository("1").save(path)
    wait_a_tick()
    return path


def newest(opened: Repository) -> str:
    result = opened.solve(["app"])
    assert result.status == "solved", result.failure_description
    return result.resolved[0][1]


def write_over(site: Path, other: Repository, tmp_path: Path) -> None:
    """As ``cp`` does: the file is emptied first, and stays the same file."""
    other.save(tmp_path / "other.rer")
    inode = site.stat().st_ino
    shutil.copyfile(tmp_path / "other.rer", site)
    assert site.stat().st_ino == inode
    wait_a_tick()


def test_what_was_written_over_is_read_again(site: Path, tmp_path: Path) -> None:
    opened = Repository.open(site)
    assert newest(opened) == "1"
    write_over(site, repository("1", "2", "3"), tmp_path)
    assert newest(opened) == "3"
    write_over(site, repository("4"), tmp_path)
    assert newest(opened) == "4"
    assert opened.fingerprint == Repository.open(site).fingerprint


def test_half_a_file_is_an_error_that_names_it(site: Path) -> None:
    """Until the rest is there."""
    opened = Repository.open(site)
    data = site.read_bytes()
    os.truncate(site, 0)
    for content in (b"", data[: len(data) // 2], bytes(len(data))):
        site.write_bytes(content)
        wait_a_tick()
        result = opened.solve(["app"])
        assert result.error_type == "RepositoryCorruptError" and str(site) in str(result.failure_description)
        with pytest.raises(RepositoryCorruptError, match=r"site\.rer"):
            opened.solve_many([["app"]])
        with pytest.raises(RepositoryCorruptError, match=r"site\.rer"):
            opened.solve_iter([["app"]])
    site.write_bytes(data)
    wait_a_tick()
    assert newest(opened) == "1"
    assert [one.status for one in opened.solve_many([["app"]] * 3)] == ["solved"] * 3


def test_another_repository_is_an_error(site: Path, tmp_path: Path) -> None:
    """Its answers would be about other packages."""
    packages = tmp_path / "packages"
    (packages / "app" / "9").mkdir(parents=True)
    (packages / "app" / "9" / "package.py").write_text("timestamp = 1\n")
    let_settle(packages)
    opened = Repository.open(site)
    write_over(site, Repository.from_paths([packages]), tmp_path)
    result = opened.solve(["app"])
    assert result.error_type == "RepositoryCorruptError"
    assert "repository of other paths" in str(result.failure_description)


def test_written_over_while_it_is_solved(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of a mixture is not given."""
    opened = Repository.open(site)
    real = type(opened._snapshot).solve
    done: list[int] = []

    def solve(*arguments: object) -> object:
        result = real(*arguments)  # type: ignore[arg-type]
        if not done:
            done.append(1)
            write_over(site, repository("1", "2"), tmp_path)
        return result

    monkeypatch.setattr(type(opened._snapshot), "solve", solve)
    assert newest(opened) == "2"


def test_written_over_all_the_time(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Repository.open(site)
    monkeypatch.setattr(Origin, "is_overwritten", lambda _: True)
    result = opened.solve(["app"])
    assert "was written over while it was in use" in str(result.failure_description)
    monkeypatch.setattr(Origin, "was_overwritten", lambda _: False)
    with pytest.raises(RepositoryCorruptError, match="was written over"):
        opened.solve_many([["app"]])


def test_a_touched_file_is_the_same(site: Path) -> None:
    """Its times change, not its content: it is verified once more, and that is all."""
    opened = Repository.open(site)
    for change in (os.utime, lambda path: os.chmod(path, 0o600), lambda path: os.link(path, f"{path}.link")):
        wait_a_tick()
        change(site)
        assert newest(opened) == "1"
        assert not opened._snapshot.is_overwritten()


def test_a_replaced_or_removed_file_is_no_harm(site: Path) -> None:
    opened = Repository.open(site)
    views = opened.views
    repository("2").save(site)
    assert newest(opened) == "1"
    site.unlink()
    wait_a_tick()
    assert newest(opened) == "1"
    assert opened.views is views


def test_a_refresh_sees_it(tmp_path: Path) -> None:
    """Also one that finds nothing changed takes the file as it is now."""
    packages, site = tmp_path / "packages", tmp_path / "site.rer"
    for version in ("1", "2"):
        (packages / "app" / version).mkdir(parents=True)
        (packages / "app" / version / "package.py").write_text("timestamp = 1\n")
    let_settle(packages)
    Repository.from_paths([packages]).save(site)
    opened = Repository.open(site)
    wait_a_tick()
    os.utime(site)
    assert opened._snapshot.is_overwritten()
    assert opened.refresh().families == []
    assert opened.views.origin is not None and not opened._snapshot.is_overwritten()
    assert newest(opened) == "2"


def test_every_entry_says_so(site: Path) -> None:
    """Also those that read what an earlier solve has found: before, IndexError, SIGBUS or names of other packages."""
    Repository.from_packages([PackageData("app", "1", ["lib-1"]), PackageData("lib", "1")]).save(site)
    wait_a_tick()
    opened = Repository.open(site, check="frozen")
    solved, failed, batch = opened.solve(["app"]), opened.solve(["app", "!lib-1"]), opened.solve_many([["app"]])
    os.truncate(site, 100)
    wait_a_tick()
    readers: list[Callable[[], object]] = [
        lambda: solved.resolved, lambda: solved.resolved_packages, lambda: failed.failure_description,
        lambda: pickle.dumps(solved), lambda: batch[0].resolved, batch.to_arrow, opened.broken, opened.refresh,
    ]  # fmt: skip
    for number, read in enumerate(readers):
        with pytest.raises(RepositoryCorruptError, match=r"site\.rer"):
            pytest.fail(f"reader {number} gave {read()}")


def test_one_look_for_each_of_many_solves(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    real = Origin.is_overwritten
    monkeypatch.setattr(Origin, "is_overwritten", lambda origin: looks.append(1) or real(origin))
    monkeypatch.setattr(verified, "_MOMENT_NS", 10**12)
    opened = Repository.open(site)
    for _ in range(100):
        opened.solve(["app"])
    assert len(looks) == 100


def test_a_process_survives(tmp_path: Path) -> None:
    """Before, it ended in SIGBUS, or gave answers of another repository."""
    code = (
        "import shutil, sys, time\nfrom rer_numba import PackageData, Repository\n"
        "site, other = sys.argv[1:]\n"
        "def save(count, path):\n"
        "    Repository.from_packages([PackageData(f'p{i}', '1', [f'p{i + 1}'] if i % 99 else [])\n"
        "                              for i in range(count)]).save(path)\n"
        "save(3000, site)\nsave(10, other)\ntime.sleep(0.1)\n"
        "opened = Repository.open(site)\nprint(opened.solve(['p2990']).status)\n"
        "shutil.copyfile(other, site)\ntime.sleep(0.01)\n"
        "print(opened.solve(['p2980']).error_type, opened.solve(['p0']).status)\n"
    )
    done = run_python("-c", code, tmp_path / "site.rer", tmp_path / "other.rer")
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.split() == ["error", "PackageFamilyNotFoundError", "solved"]


def test_behind_rez(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon opens what was written over again, and reads the packages while half of it is there."""
    pytest.importorskip("rez")
    from rer_numba.rez_bridge import sites

    packages, site = tmp_path / "packages", tmp_path / "site.rer"
    (packages / "app" / "1").mkdir(parents=True)
    (packages / "app" / "1" / "package.py").write_text("timestamp = 1\n")
    let_settle(packages)
    Repository.from_paths([packages]).save(site)
    monkeypatch.setenv(sites.VARIABLE, str(site))
    wait_a_tick()
    first = sites.site_of([str(packages)])
    assert sites.site_of([str(packages)]) is first
    data = site.read_bytes()
    site.write_bytes(data[:1000])
    wait_a_tick()
    with pytest.warns(RuntimeWarning, match=r"site\.rer is not used"):
        second = sites.site_of([str(packages)])
    assert second is not first and second._known == []
    site.write_bytes(data)
    sites.forget_sites()
    assert len(sites.site_of([str(packages)])._known) == 1
