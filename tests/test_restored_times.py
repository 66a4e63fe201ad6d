"""Changes whose times of modification were set back, and trees in which all times are the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rer_numba import Repository
from rer_numba.cli import main
from rer_numba.paths import states
from rer_numba.paths.freshness import Freshness
from rer_numba.paths.states import UNKNOWN, FileState, settled, state_of
from rer_numba.progress import tell_nobody
from tests.random_tree import wait_a_tick

has_ctime = pytest.mark.skipif(os.name != "posix", reason="Windows has no time of change of the inode")
SECOND = 1_000_000_000


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Packages as Nix, Bazel and archives leave them: one time for all files and folders."""
    root = tmp_path / "packages"
    for name, version, text in (("app", "1", "requires = ['lib']"), ("lib", "1", ""), ("lib", "2", "")):
        write(root, name, version, text)
    one_time(root)
    wait_a_tick()
    return root


def write(root: Path, name: str, version: str, text: str) -> Path:
    file = root / name / version / "package.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def one_time(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            if os.stat(path).st_mtime != 1:
                os.utime(path, (1, 1))


def same_length(root: Path) -> None:
    write(root, "app", "1", "requires = ['nix']")


def other_inode(root: Path) -> None:
    """As rsync writes; the old file lives on, so that its inode is not used again."""
    file = root / "app" / "1" / "package.py"
    os.rename(file, root.parent / "kept")
    write(root, "app", "1", "requires = ['nix']")


def release(root: Path) -> None:
    write(root, "lib", "3", "")


@has_ctime
@pytest.mark.parametrize("change", [same_length, other_inode, release])
def test_times_that_were_restored(change: Callable[[Path], None], packages: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.rer"
    Repository.from_paths([packages]).save(site)
    before = Repository.open(site, on_stale="error").solve(["app"])
    assert [version for _, version, _ in before.resolved] == ["2", "1"]
    change(packages)
    one_time(packages)
    assert Repository.open(site, on_stale="error").solve(["app"]).error_type == "StaleRepositoryError"
    repository = Repository.open(site)
    expected = Repository.from_paths([packages]).solve(["app"])
    found = repository.solve(["app"])
    assert (found.status, found.resolved) == (expected.status, expected.resolved)
    wait_a_tick()
    repository.refresh()  # what was read within a tick is read once more
    assert repository.refresh().families == []


@has_ctime
def test_a_refresh_sees_restored_times(packages: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.rer"
    repository = Repository.from_paths([packages])
    repository.save(site)
    assert repository.refresh().families == []
    same_length(packages)
    one_time(packages)
    assert repository.refresh().families == ["app"]


def test_one_look_at_each_file(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 us a file, half of them for asking the system: no second question, whatever is compared."""
    repository = Repository.from_paths([packages])
    assert repository.path_settings is not None
    freshness = Freshness(repository.tables, repository.path_settings)
    looks: list[str] = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path: looks.append(os.fspath(path)) or stat(path))
    assert freshness.changed_package(range(3)) is None
    assert len(looks) == 3


def test_without_ctime(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows that field is the time of creation, or will be something else: it is not looked at."""
    monkeypatch.setattr(states, "_HAS_CTIME", False)
    file = write(packages, "app", "1", "requires = ['lib']")
    wait_a_tick()
    state = state_of(str(file))
    assert state.ctime_ns == UNKNOWN
    assert state.is_still(FileState(*state[:3], 5)) and not state.is_still(FileState(*state[:2], 5, 5))
    repository = Repository.from_paths([packages])
    assert set(repository.tables.package_ctime.tolist()) == {UNKNOWN}
    file.chmod(0o600)
    wait_a_tick()
    assert repository.path_settings is not None
    assert Freshness(repository.tables, repository.path_settings).changed_package(range(3)) is None


@pytest.mark.parametrize(
    ("mtime", "ctime", "now", "sure"),
    [
        (SECOND, 10 * SECOND + 1, 10 * SECOND + 49_000_000, False),  # unpacked just now, with an old time
        (SECOND, 10 * SECOND + 1, 10 * SECOND + 51_000_000, True),
        (10 * SECOND, 10 * SECOND, 11 * SECOND, False),  # it may keep whole seconds
        (SECOND, 10 * SECOND, 12 * SECOND, True),
        (20 * SECOND, 10 * SECOND, 15 * SECOND, False),  # from the future
    ],
)
def test_both_times_must_be_past(mtime: int, ctime: int, now: int, sure: bool) -> None:
    state = FileState(1, mtime, 1, ctime)
    assert (settled(state, now) == state) is sure


def test_forced(packages: Path, tmp_path: Path) -> None:
    """Reads everything again, for who does not trust times at all."""
    site = tmp_path / "site.rer"
    repository = Repository.from_paths([packages])
    repository.save(site)
    done = repository.refresh(force=True, progress=tell_nobody)
    assert (done.families, done.saved) == (["app", "lib"], True)
    assert repository.refresh().families == []


def test_forced_on_the_command_line(packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.rer"
    Repository.from_paths([packages]).save(site)
    assert main(["refresh", str(site)]) == 0
    assert "nothing" in capsys.readouterr().out
    assert main(["refresh", str(site), "--force"]) == 0
    assert "2 families read again: app lib" in capsys.readouterr().out
