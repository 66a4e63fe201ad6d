"""Writers that were suspended for so long that another process took their lock."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rer_numba import PackageData, Repository, generations, storage
from rer_numba.locks import Lock, LockLostError, writer_lock
from rer_numba.publish import replace_file
from tests.random_tree import let_settle


def repository(version: str) -> Repository:
    return Repository.from_packages([PackageData("app", version)])


def newest(site: str) -> str:
    return Repository.open(site).solve(["app"]).resolved[0][1]


@pytest.fixture(params=["site.rer", f"site{os.sep}"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return os.path.join(tmp_path, request.param)


def suspend_in_writing(monkeypatch: pytest.MonkeyPatch, site: str, meanwhile: Any) -> None:
    """What a writer does next happens long after the file is filled: its lock was broken, another one has published."""
    held = Lock.require_held
    done: list[Lock] = []

    def asked_late(lock: Lock) -> None:
        if not done:
            done.append(lock)
            os.unlink(lock.path)
            meanwhile()
        held(lock)

    monkeypatch.setattr(Lock, "require_held", asked_late)


def test_old_content_does_not_replace_new(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repository("1").save(site)
    suspend_in_writing(monkeypatch, site, lambda: repository("3").save(site))
    with pytest.raises(LockLostError, match=r"took the lock; nothing was written"):
        repository("2").save(site)
    assert newest(site) == "3"
    repository("4").save(site)
    assert newest(site) == "4"


def test_a_lock_that_another_one_holds_now(tmp_path: Path) -> None:
    """Not only gone: held by somebody else."""
    path = tmp_path / "file"
    path.write_bytes(b"new")
    lock = writer_lock(path)
    os.unlink(lock.path)
    with writer_lock(path) as other:
        with pytest.raises(LockLostError):
            replace_file(path, lambda file: file.write(b"old") and None, lock=lock)
        assert other.is_held()
        replace_file(path, lambda file: file.write(b"newer") and None, lock=other)
    assert path.read_bytes() == b"newer" and os.listdir(tmp_path) == ["file"]


def test_a_refresh_begins_again(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the other one has written, which it takes instead of reading it itself."""
    packages = tmp_path / "packages"
    for version in ("1", "2"):
        (packages / "app" / version).mkdir(parents=True)
        (packages / "app" / version / "package.py").write_text("timestamp = 1\n")
    let_settle(packages)
    Repository.from_paths([packages]).save(site)
    ours, other = Repository.open(site), Repository.open(site)
    (packages / "app" / "3").mkdir()
    (packages / "app" / "3" / "package.py").write_text("timestamp = 1\n")
    let_settle(packages)
    suspend_in_writing(monkeypatch, site, other.refresh)
    done = ours.refresh()
    assert (done.families, done.adopted, done.saved) == ([], True, False)
    assert ours.fingerprint == other.fingerprint == Repository.open(site).fingerprint
    assert newest(site) == "3"


def test_a_refresh_that_loses_each_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    (packages / "app" / "1").mkdir(parents=True)
    (packages / "app" / "1" / "package.py").write_text("timestamp = 1\n")
    site = str(tmp_path / "site.rer")
    ours = Repository.from_paths([packages])
    ours.save(site)
    before = Path(site).read_bytes()
    held = Lock.require_held
    monkeypatch.setattr(Lock, "require_held", lambda lock: (os.unlink(lock.path), held(lock)))
    with pytest.raises(LockLostError):
        ours.refresh(force=True)
    assert Path(site).read_bytes() == before
    assert storage._TRIES == 3


def test_generations_without_a_lock_are_as_before(tmp_path: Path) -> None:
    name = "0123456789abcdef"
    path = generations.publish(tmp_path, name, lambda file: None)
    assert generations.current_file(tmp_path) == path
