"""Locks: held once, alive while they beat, taken over when their owner died, clear about who has them."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rer_numba import locks
from rer_numba.locks import LockedError, LockWatch, Writer, claim_lock, writer_lock
from tests.process import PATIENCE, ROOT, run_python

POSIX = pytest.mark.skipif(os.name != "posix", reason="only POSIX tells whether a process lives")
NOBODY = 999_999_999  # above every limit of process numbers


class Clock:
    """Stands in for the module `time`: it goes on when a test says so, and by as much as somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that locks go by: no machine is so slow that it matters."""
    clock = Clock()
    monkeypatch.setattr(locks, "time", clock)
    return clock


def dead_owner() -> str:
    return f"{locks.host_name()}.{NOBODY}.abc"


# ---------------------------------------------------------------------------------------------------------- lock files
def test_a_lock_is_held_once(tmp_path: Path) -> None:
    """Until it is released."""
    path = str(tmp_path / "x.lock")
    lock = claim_lock(path)
    assert lock is not None and claim_lock(path) is None
    assert LockWatch(path, 10).state() == "alive"
    lock.release()
    assert LockWatch(path, 10).state() == "gone"
    assert claim_lock(path) is not None


def test_a_lock_never_lacks_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed while he takes it: a lock without an owner would block for a while."""
    path = str(tmp_path / "x.lock")
    seen: list[str | None] = []

    def noted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if os.path.exists(path):
                seen.append(Path(path).read_text())
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "write", "close", "link", "unlink"):
            patch.setattr(os, name, noted(getattr(os, name)))
        claim_lock(path)
    assert seen == [Path(path).read_text()] and os.listdir(tmp_path) == ["x.lock"]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """As on FAT. A lock without an owner, from a process killed just then, counts as dead after some seconds."""

    def refuse(old: str, new: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = str(tmp_path / "x.lock")
    lock = claim_lock(path)
    assert lock is not None and lock.is_held() and claim_lock(path) is None
    assert os.listdir(tmp_path) == ["x.lock"]
    Path(path).write_bytes(b"")
    watch = LockWatch(path, 60)
    assert watch.state() == "alive"
    clock.sleep(4.9)
    assert watch.state() == "alive"
    clock.sleep(0.2)
    assert watch.state() == "stale" and watch.break_lock() and claim_lock(path) is not None


def test_a_lost_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS asks again when an answer is lost, and hears that the link exists: our own."""
    real = os.link

    def link(old: str, new: str) -> None:
        real(old, new)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link)
    lock = claim_lock(str(tmp_path / "x.lock"))
    assert lock is not None and lock.is_held()
    assert claim_lock(str(tmp_path / "x.lock")) is None


def test_a_beating_lock_is_alive(tmp_path: Path, clock: Clock) -> None:
    """However long it takes; without beats it is stale, and can be broken and taken over."""
    path = str(tmp_path / "x.lock")
    lock = claim_lock(path)
    assert lock is not None
    watch = LockWatch(path, 10)
    for n in range(4):
        date = time.time() - 100 - n  # so that a beat changes it, however coarse the dates of the file system are
        os.utime(path, (date, date))
        assert watch.state() == "alive"
        clock.sleep(9)
        lock.beat()
        clock.sleep(9)
        assert watch.state() == "alive"
    clock.sleep(11)
    assert watch.state() == "stale"
    assert watch.break_lock()
    other = claim_lock(path)
    assert other is not None and other.is_held() and not lock.is_held()
    os.utime(path, (1e9, 1e9))
    clock.sleep(9)
    lock.beat()  # the old owner wakes up: neither beats nor releases what is not its own
    assert os.stat(path).st_mtime == 1e9
    lock.release()
    assert other.is_held() and os.listdir(tmp_path) == ["x.lock"]


def test_beats_are_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """So that a loop may beat for each of its 18,000 files."""
    lock = claim_lock(str(tmp_path / "x.lock"))
    assert lock is not None
    renewed: list[str] = []
    monkeypatch.setattr(locks, "renew_date", renewed.append)
    for _ in range(1000):
        clock.sleep(0.01)
        lock.beat()
    assert len(renewed) in (9, 10)  # of ten seconds


def test_a_folder_in_place_of_a_lock(tmp_path: Path) -> None:
    """Nobody beats it, so it goes."""
    path = tmp_path / "x.lock"
    path.mkdir()
    os.utime(path, (1e9, 1e9))
    watch = LockWatch(str(path), 10)
    assert claim_lock(str(path)) is None and watch.state() == "stale"
    assert watch.break_lock()
    assert claim_lock(str(path)) is not None
    assert os.listdir(tmp_path) == ["x.lock"]


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    """It is no lock of ours."""
    path = tmp_path / "x.lock"
    (path / "inside").mkdir(parents=True)
    os.utime(path, (1e9, 1e9))
    watch = LockWatch(str(path), 10)
    assert watch.state() == "stale"
    assert not watch.break_lock()
    assert (path / "inside").is_dir() and os.listdir(tmp_path) == ["x.lock"]


def test_the_slower_of_two_breakers_leaves_the_new_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both found the old one stale; the faster one broke it and took the lock just before the slower one moves it."""
    path = str(tmp_path / "x.lock")
    Path(path).write_text(dead_owner())
    os.utime(path, (1e9, 1e9))
    watch = LockWatch(path, 10)
    assert watch.state() == "stale"
    real = os.rename
    taken: list[locks.Lock | None] = []

    def rename(old: str, new: str) -> None:
        if not taken:
            os.unlink(path)
            taken.append(claim_lock(path))
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    assert not watch.break_lock()
    assert taken[0] is not None and taken[0].is_held()
    assert os.listdir(tmp_path) == ["x.lock"]


# ------------------------------------------------------------------------------------------------------------- writers
def test_names_of_writers() -> None:
    """What is written can be read; anything else is nobody."""
    assert locks.parse_writer(locks.writer_name()) == Writer(locks.host_name(), os.getpid())
    for text in ("", "a", "a.b.c", "a.1", "a.1.b.c", "a.12345678901.b", "a.\u0663.b", "a.-1.b"):
        assert locks.parse_writer(text) is None


def test_names_of_temporary_files() -> None:
    """They tell for what they were made, and are never equal."""
    name = locks.temporary_name("site.rer")
    assert name != locks.temporary_name("site.rer")
    assert locks.target_of_temporary(name) == "site.rer"
    for other in ("site.rer", "site.rer.tmp", name[:-1], ".rer-numba-writes-a.1.b.tmp"):
        assert locks.target_of_temporary(other) is None


@POSIX
def test_who_is_dead() -> None:
    """Only a process of this very host and namespace that is not there."""
    here = locks.host_name()
    assert Writer(here, NOBODY).is_dead()
    assert not Writer(here, os.getpid()).is_dead()
    assert not Writer("elsewhere", NOBODY).is_dead()
    assert not Writer(here, 0).is_dead()
    assert not Writer(here, 1).is_dead()  # perhaps another user's
    assert not Writer(here, 1 << 40).is_dead()


def test_containers_are_hosts_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process 7 of a container is not process 7 of its host, which may have the same name."""
    names = set()
    for namespace in ("pid:[4026531836]", "pid:[4026532001]", "pid:[4026532002]"):
        monkeypatch.setattr(os, "readlink", lambda path, namespace=namespace: namespace)
        names.add(locks.host_name())
        assert locks.parse_writer(locks.writer_name()) is not None
    assert len(names) == 3


# ------------------------------------------------------------------------------------------------------- writers' locks
def test_a_writer_holds_a_file_beside_the_target(tmp_path: Path) -> None:
    """And removes it, also when its work fails."""
    with writer_lock(tmp_path / "site.rer") as lock:
        assert lock.is_held() and os.listdir(tmp_path) == ["site.rer.lock"]
    assert os.listdir(tmp_path) == []
    with pytest.raises(KeyboardInterrupt), writer_lock(tmp_path / "site.rer"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_a_second_writer_is_told_who_has_it(tmp_path: Path) -> None:
    """The error names the file, the owner and a remedy."""
    target = tmp_path / "site.rer"
    with writer_lock(target):
        for wait in (0, 0.1):
            with pytest.raises(LockedError) as caught:
                writer_lock(target, wait_seconds=wait)
        error = caught.value
        assert str(error) == (
            f"{os.path.realpath(target)}.lock: process {os.getpid()} on {locks.host_name()} is writing; "
            "wait for it, or remove this file if that process is gone"
        )
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
        assert Path(error.path).exists()
    (tmp_path / "site.rer.lock").write_text("?")
    with pytest.raises(LockedError, match="another process is writing"):
        writer_lock(target, wait_seconds=0)


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_link_and_its_file_have_one_lock(tmp_path: Path) -> None:
    """Whatever name a writer uses."""
    (tmp_path / "link.rer").symlink_to(tmp_path / "site.rer")
    with writer_lock(tmp_path / "link.rer"), pytest.raises(LockedError):
        writer_lock(tmp_path / "site.rer", wait_seconds=0)


def test_a_second_writer_waits(tmp_path: Path) -> None:
    """Until the first is done; it says for whom it waits, once."""
    target = tmp_path / "site.rer"
    first = writer_lock(target)
    told: list[str] = []

    def on_wait(owner: str) -> None:
        told.append(owner)
        assert first.is_held()
        first.release()

    with writer_lock(target, wait_seconds=30, on_wait=on_wait) as second:
        assert second.is_held() and not first.is_held()
    assert told == [f"process {os.getpid()} on {locks.host_name()}"]


@POSIX
def test_a_killed_writer_is_replaced_at_once(tmp_path: Path) -> None:
    """SIGKILL leaves the lock behind; its owner is known to be dead, so that trying once is enough."""
    target = tmp_path / "site.rer"
    code = """
import sys, time
from rer_numba.locks import writer_lock
with writer_lock(sys.argv[1]):
    print(1, flush=True)
    time.sleep(3600)
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(target)], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"1\n"
    with pytest.raises(LockedError, match=f"process {child.pid} on"):
        writer_lock(target, wait_seconds=0)
    child.kill()
    child.communicate()
    assert os.listdir(tmp_path) == ["site.rer.lock"]
    with writer_lock(target, wait_seconds=0):
        pass
    assert os.listdir(tmp_path) == []


def test_a_silent_writer_elsewhere_is_replaced_after_a_while(tmp_path: Path, clock: Clock) -> None:
    """Whose process cannot be asked for; the clock of its host need not be right."""
    lock = tmp_path / "site.rer.lock"
    lock.write_text("elsewhere.1.abc")
    tomorrow = time.time() + 86_400
    os.utime(lock, (tomorrow, tomorrow))
    with pytest.raises(LockedError, match="process 1 on elsewhere"):
        writer_lock(tmp_path / "site.rer", wait_seconds=40, patience=50)
    assert 40 <= clock.now < 41
    with writer_lock(tmp_path / "site.rer", wait_seconds=90, patience=50):
        assert 90 < clock.now < 92


def test_no_folder(tmp_path: Path) -> None:
    """The error names what the user named."""
    with pytest.raises(FileNotFoundError) as caught:
        writer_lock(tmp_path / "nowhere" / "site.rer")
    assert caught.value.filename == str(tmp_path / "nowhere" / "site.rer")


def test_a_lock_that_cannot_be_broken_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder where others' files cannot be removed: no endless loop, the deadline holds."""
    lock = tmp_path / "site.rer.lock"
    lock.write_text(dead_owner())
    os.utime(lock, (1e9, 1e9))

    def rename(old: str, new: str) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(LockedError):
        writer_lock(tmp_path / "site.rer", wait_seconds=0.1)


WORK = """
import os, sys
from rer_numba.locks import writer_lock
for _ in range(int(sys.argv[2])):
    with writer_lock(sys.argv[1] + ".target", wait_seconds=3600):
        os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL))
        os.unlink(sys.argv[1])
"""


def test_never_two_at_once(tmp_path: Path) -> None:
    """Four processes that take the lock again and again; a file made with O_EXCL would meet another one's."""
    mark = str(tmp_path / "mark")
    children = [subprocess.Popen([sys.executable, "-c", WORK, mark, "400"], cwd=ROOT) for _ in range(4)]
    assert [child.wait(PATIENCE) for child in children] == [0] * 4
    assert os.listdir(tmp_path) == []


def test_locks_cost_no_large_import() -> None:
    """A writer of files does not load the compiled kernels' machinery."""
    code = "import sys; from rer_numba.locks import writer_lock; print('llvmlite' in sys.modules)"
    assert run_python("-c", code).stdout == "False\n"
