"""A folder of generations: one is current, those before it stay for a while, nothing else in the folder is touched."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from rer_numba import generations, locks, store
from rer_numba.errors import RepositoryCorruptError, RepositoryFileError
from rer_numba.generations import current_file, is_folder, lock_target, open_current, sweep
from rer_numba.locks import Lock, LockedError
from rer_numba.plain_files import open_plain
from tests.process import PATIENCE, ROOT, run_python
from tests.publish_child import ENOUGH, number_of, numbered, open_target, publish
from tests.tables_factory import same

DAY = 86_400.0
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Where generations go; there is no such folder yet."""
    return str(tmp_path / "site") + os.sep


def names(folder: str) -> list[str]:
    return sorted(os.listdir(folder))


def file_name(number: int) -> str:
    return store.fingerprint(numbered(number)) + ".rer"


def pointer_lines(folder: str) -> list[str]:
    return Path(folder, "current").read_text().splitlines()


def publish_all(folder: str, count: int) -> list[str]:
    """Publish generations that all stay."""
    for number in range(count):
        publish(folder, number, keep_seconds=DAY)
    return [file_name(number) for number in range(count)]


def set_superseded(folder: str, seconds_ago: dict[str, float]) -> None:
    """Let it look as if generations had been superseded at other times."""
    current, *lines = pointer_lines(folder)
    since = {name: time.time() - ago for name, ago in seconds_ago.items()}
    changed = [
        line if line.split()[0] not in since else f"{line.split()[0]} {int(since[line.split()[0]])}" for line in lines
    ]
    Path(folder, "current").write_text("\n".join([current, *changed]) + "\n")
    for name, date in since.items():
        os.utime(Path(folder, name), (date, date))


# ------------------------------------------------------------------------------------------------------- publishing
def test_what_is_a_folder(tmp_path: Path) -> None:
    """An existing one, or what is spelled like one."""
    assert is_folder(tmp_path) and is_folder(str(tmp_path))
    assert is_folder(str(tmp_path / "new") + os.sep)
    assert not is_folder(tmp_path / "new") and not is_folder(str(tmp_path / "site.rer"))


def test_generations_come_one_after_the_other(folder: str) -> None:
    """The newest is current; the pointer says since when the others are not."""
    started = int(time.time())
    first, second, third = publish_all(folder, 3)
    assert names(folder) == sorted([first, second, third, "current"])
    assert current_file(folder) == os.path.join(folder, third)
    assert number_of(open_target(folder)) == 2
    lines = pointer_lines(folder)
    assert lines[0] == third
    since = {name: int(date) for name, date in (line.split() for line in lines[1:])}
    assert set(since) == {first, second}
    assert all(started <= date <= time.time() for date in since.values())


def test_what_publishing_returns(folder: str) -> None:
    prepared = store.prepare(numbered(1), {})
    path = generations.publish(folder, "0123456789abcdef-07_9.e", prepared.fill)
    assert path == os.path.join(folder, "0123456789abcdef-07_9.e.rer") == current_file(folder)
    assert same(store.read(path).tables, numbered(1))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "site",
        "0123456789abcde",
        "0123456789ABCDEF",
        "../0123456789abcdef",
        "0123456789abcdef/",
        "0" * 400,
        "0123456789abcdef-",
    ],
)
def test_names_that_are_refused(name: str, folder: str) -> None:
    """A sweep must know our files from others by their names."""
    with pytest.raises(ValueError, match="cannot be the name of a generation"):
        generations.publish(folder, name, lambda file: None)
    assert not os.path.exists(folder)


def must_not_be_called(file: BinaryIO) -> None:
    raise AssertionError("a whole generation is written again")


def test_a_generation_that_is_there_is_not_written_again(folder: str) -> None:
    """Only the pointer moves, back and forth; the current one is never a superseded one."""
    first, second = publish_all(folder, 2)
    generations.publish(folder, first.removesuffix(".rer"), must_not_be_called)
    assert number_of(open_target(folder)) == 0
    assert [line.split()[0] for line in pointer_lines(folder)] == [first, second]


@pytest.mark.parametrize("damage", [b"", b"ARROW1", None])
def test_a_damaged_generation_is_written_again(damage: bytes | None, folder: str) -> None:
    """As a full disk or a bad one may leave it."""
    [name] = publish_all(folder, 1)
    path = Path(folder, name)
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    publish(folder, 0)
    assert number_of(open_target(folder)) == 0


def test_publishing_repairs_a_damaged_pointer(folder: str) -> None:
    """The generations that it knew stay for a whole day from now."""
    first, second = publish_all(folder, 2)
    Path(folder, "current").write_bytes(b"\xff\n")
    publish(folder, 2, keep_seconds=DAY)
    assert {line.split()[0] for line in pointer_lines(folder)} == {file_name(2), first, second}


def test_a_failure_leaves_the_current_generation(folder: str) -> None:
    """Whatever `fill` raises."""
    publish_all(folder, 1)
    before = names(folder)

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        generations.publish(folder, "f" * 32, fail)
    assert caught.value.filename == os.path.join(folder, "f" * 32 + ".rer")
    assert names(folder) == before and number_of(open_target(folder)) == 0


FULL_DISK = """
import resource, sys
from rer_numba import store
from tests.publish_child import publish
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    publish(sys.argv[1], int(sys.argv[2]))
except OSError as error:
    print(error.errno, error.filename)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the size of files")
@pytest.mark.parametrize(("limit", "known"), [(0, False), (40, False), (5000, False), (0, True), (40, True)])
def test_no_room(limit: int, known: bool, folder: str) -> None:
    """While a generation is written, or only for the pointer: the one before stays, nothing is left behind."""
    publish_all(folder, 2)
    before, number = names(folder), 0 if known else 7
    said = run_python("-c", FULL_DISK, folder, number, limit)
    # the first small file that has no room is the lock itself
    where = "current" if known or limit == 0 else file_name(7)
    assert said.stdout == f"{errno.EFBIG} {os.path.join(folder, where)}\n", said.stderr
    assert names(folder) == before and number_of(open_target(folder)) == 1


def test_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        publish(str(tmp_path / "file" / "site") + os.sep, 1)


# ----------------------------------------------------------------------------------------------------------- reading
def test_nothing_to_open(tmp_path: Path, folder: str) -> None:
    """No folder, or an empty one: what to do is said."""
    for path, problem in ((folder, "no such folder of generations"), (str(tmp_path), "has no current generation")):
        for call in (current_file, lambda path: open_current(path, store.read)):
            with pytest.raises(FileNotFoundError, match=f"{problem}: make one with `rer-numba encode`") as caught:
                call(path)
            assert caught.value.filename == path
    publish(f"{tmp_path / '.rer'}{os.sep}", 0)
    with pytest.raises(FileNotFoundError, match=rf"did you mean {re.escape(str(tmp_path))}.*\.rer\?"):
        current_file(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "site.rer\n", "../0123456789abcdef.rer\n", "0123456789abcdef\n", "\0" * 50, "0123456789abcdef.rer 5"],
)
def test_a_damaged_pointer(text: str, folder: str) -> None:
    """Which is named, with a remedy."""
    publish_all(folder, 1)
    pointer = Path(folder, "current")
    pointer.write_text(text)
    with pytest.raises(
        RepositoryCorruptError, match="which is no generation; write the name of a generation"
    ) as caught:
        current_file(folder)
    assert caught.value.path == str(pointer)
    assert sweep(folder, keep_seconds=0) == [] and len(names(folder)) == 2


def test_a_pointer_to_nothing(folder: str) -> None:
    """Which does not go away however often it is read."""
    [name] = publish_all(folder, 1)
    os.unlink(os.path.join(folder, name))
    with pytest.raises(RepositoryCorruptError, match=f"names {name}, which is not there"):
        open_current(folder, store.read)


def test_a_pointer_edited_by_hand(folder: str) -> None:
    """Back to an older generation, without a line end, and with a line that says nothing: that one is current."""
    first, second, third = publish_all(folder, 3)
    Path(folder, "current").write_text(f"{first}\r\n{first} 5\r\nnonsense\r\n{second} 5")
    assert number_of(open_target(folder)) == 0
    for name in (first, second, third):
        os.utime(Path(folder, name), (1e9, 1e9))
    assert sweep(folder, keep_seconds=60) == [second]
    assert names(folder) == sorted([first, third, "current"])
    publish(folder, 3, keep_seconds=60)
    assert {line.split()[0] for line in pointer_lines(folder)} == {file_name(3), first, third}


@pytest.mark.parametrize("code", [errno.ENOENT, getattr(errno, "ESTALE", errno.ENOENT)])
def test_a_generation_that_vanishes_is_looked_for_again(code: int, folder: str) -> None:
    """Swept between reading the pointer and opening the file; ESTALE is what NFS says."""
    publish(folder, 0)
    opened: list[str] = []

    def opener(path: str) -> str:
        opened.append(os.path.basename(path))
        if len(opened) < 4:
            publish(folder, len(opened))
            raise OSError(code, os.strerror(code), path)
        return path

    assert open_current(folder, opener) == os.path.join(folder, file_name(3))
    assert opened == [file_name(number) for number in range(4)]


def test_other_errors_are_not_tried_again(folder: str) -> None:
    """A file that is missing elsewhere, or one that cannot be read."""
    publish(folder, 0)
    for error in (FileNotFoundError(errno.ENOENT, "elsewhere"), PermissionError(errno.EACCES, "no"), ValueError("x")):
        calls: list[str] = []

        def opener(path: str, error: Exception = error, calls: list[str] = calls) -> None:
            calls.append(path)
            raise error

        with pytest.raises(type(error)) as caught:
            open_current(folder, opener)
        assert caught.value is error and len(calls) == 1


def test_a_pointer_that_goes_stale_while_it_is_read(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS when another host replaces it: it is read again, a bounded number of times."""
    publish(folder, 0)
    stale = getattr(errno, "ESTALE", errno.EIO)
    left = [3]

    def stale_open(path: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(stale, "Stale file handle")
        return open_plain(path)

    monkeypatch.setattr(generations, "open_plain", stale_open)
    monkeypatch.setattr(generations, "_GONE", {errno.ENOENT, stale})
    assert current_file(folder).endswith(file_name(0))
    left[0] = 10_000
    with pytest.raises(OSError, match="Stale"):
        current_file(folder)


# ---------------------------------------------------------------------------------------------------------- sweeping
def test_generations_stay_for_a_while(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day by default, counted from when they were superseded."""
    monkeypatch.delenv("RER_NUMBA_KEEP_SECONDS", raising=False)
    first, second, third, fourth = publish_all(folder, 4)
    set_superseded(folder, {first: DAY + 60, second: DAY - 60, third: 60})
    assert sweep(folder) == [first]
    monkeypatch.setenv("RER_NUMBA_KEEP_SECONDS", "3600")
    assert sweep(folder) == [second]
    assert sweep(folder, keep_seconds=120) == []
    assert sweep(folder, keep_seconds=0) == [third]
    assert names(folder) == sorted([fourth, "current"])
    publish(folder, 4, keep_seconds=DAY)
    assert [line.split()[0] for line in pointer_lines(folder)] == [file_name(4), fourth]


@pytest.mark.parametrize("text", ["-1", "soon", "nan"])
def test_a_setting_that_is_no_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RER_NUMBA_KEEP_SECONDS", text)
    with pytest.warns(RuntimeWarning, match=f"RER_NUMBA_KEEP_SECONDS='{text}' is no number of seconds; using 86400"):
        assert generations.keep_seconds_setting() == DAY


def test_a_generation_that_was_long_current_is_kept_from_now(folder: str) -> None:
    """Readers have it open, however old the file is."""
    [first] = publish_all(folder, 1)
    os.utime(Path(folder, first), (1e9, 1e9))
    publish(folder, 1, keep_seconds=DAY)
    assert first in names(folder)


def test_what_the_pointer_does_not_know_is_kept_from_now(folder: str) -> None:
    """A generation whose writer was killed before it moved the pointer; it goes a day after somebody found it."""
    publish_all(folder, 1)
    lost = "d" * 32 + ".rer"
    Path(folder, lost).write_bytes(b"")
    os.utime(Path(folder, lost), (1e9, 1e9))
    assert sweep(folder, keep_seconds=0) == []
    publish(folder, 1, keep_seconds=DAY)
    assert lost in names(folder)
    set_superseded(folder, {lost: DAY + 1})
    assert sweep(folder) == [lost]


def test_a_time_in_the_future_becomes_now(folder: str) -> None:
    """A clock was wrong; the generation must not stay for years."""
    first, _ = publish_all(folder, 2)
    set_superseded(folder, {first: -1e8})
    before = int(time.time())
    publish(folder, 2, keep_seconds=DAY)
    since = dict(line.split() for line in pointer_lines(folder)[1:])
    assert before <= int(since[first]) <= time.time()


def test_other_files_are_left_alone(folder: str) -> None:
    """Whatever they look like."""
    publish_all(folder, 1)
    others = ["backup.rer", "notes.txt", "current.old", "0123456789abcdef", "x.rer.rer-numba-writes-elsewhere.1.a.tmp"]
    for name in others:
        Path(folder, name).write_bytes(b"")
        os.utime(Path(folder, name), (1e9, 1e9))
    Path(folder, "e" * 32 + ".rer").mkdir()
    for number in (1, 2):
        publish(folder, number)
        sweep(folder, keep_seconds=0)
    assert names(folder) == sorted([*others, "e" * 32 + ".rer", file_name(2), "current"])


def test_temporary_files_of_dead_writers_go(folder: str) -> None:
    """At once when the writer is known to be dead, else after an hour; of generations and of the pointer."""
    publish_all(folder, 1)
    here = locks.host_name()
    old = [f"{'a' * 32}.rer.rer-numba-writes-elsewhere.1.a.tmp", "current.rer-numba-writes-elsewhere.1.a.tmp"]
    young = [
        f"{'b' * 32}.rer.rer-numba-writes-elsewhere.1.a.tmp",
        f"current.rer-numba-writes-{here}.{os.getpid()}.a.tmp",
    ]
    dead = [
        f"{'c' * 32}.rer.rer-numba-writes-{here}.999999999.a.tmp",
        f"current.lock.rer-numba-writes-{here}.999999999.a.tmp",
    ]
    for name in [*old, *young, *dead]:
        Path(folder, name).write_bytes(b"")
    for name in old:
        os.utime(Path(folder, name), (1e9, 1e9))
    sweep(folder)
    expected = [*young, "current", file_name(0), *([] if os.name == "posix" else dead)]
    assert names(folder) == sorted(expected)


def test_a_file_that_cannot_be_removed_is_left_for_later(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, while a process has it open."""
    first, _ = publish_all(folder, 2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse_to_unlink(first))
        assert sweep(folder, keep_seconds=0) == []
        publish(folder, 2, keep_seconds=0)
        assert first in names(folder)
    assert sweep(folder, keep_seconds=0) == [first]


def refuse_to_unlink(name: str) -> Callable[..., None]:
    real = os.unlink

    def unlink(path: str) -> None:
        if os.path.basename(path) == name:
            raise PermissionError(errno.EACCES, "Access is denied")
        real(path)

    return unlink


def test_a_sweep_without_the_lock(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It removes a generation just when another process makes that the current one: that process writes it again."""
    first, _ = publish_all(folder, 2)
    real = generations._switch
    switched: list[str] = []

    def switch(folder: str, file_name: str, lock: Lock | None) -> None:
        if not switched:
            os.unlink(os.path.join(folder, file_name))
        switched.append(file_name)
        real(folder, file_name, lock)

    monkeypatch.setattr(generations, "_switch", switch)
    publish(folder, 0, keep_seconds=DAY)
    assert switched == [first, first] and number_of(open_target(folder)) == 0


def test_a_generation_that_is_about_to_be_current_is_not_swept(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing renews its date before the pointer moves."""
    first, _ = publish_all(folder, 2)
    set_superseded(folder, {first: 2 * DAY})
    swept: list[str] = []
    real = generations._switch

    def switch(folder: str, file_name: str, lock: Lock | None) -> None:
        swept.extend(sweep(folder))
        real(folder, file_name, lock)

    monkeypatch.setattr(generations, "_switch", switch)
    publish(folder, 0, keep_seconds=DAY)
    assert swept == [] and number_of(open_target(folder)) == 0


# ------------------------------------------------------------------------------------------------------------- locks
def test_the_lock_of_a_folder(folder: str) -> None:
    """Lies in it, and is made with it. A file has it beside itself."""
    with lock_target(folder):
        assert names(folder) == ["current.lock"]
        with pytest.raises(LockedError, match=r"current\.lock"):
            lock_target(folder.rstrip(os.sep), wait_seconds=0)
        with lock_target(os.path.join(folder, "site.rer"), wait_seconds=0):
            assert names(folder) == ["current.lock", "site.rer.lock"]
    assert names(folder) == []


def test_two_writers_at_once(folder: str) -> None:
    """Each publishes a few generations while it has the lock; none is lost, the pointer names one of the last two."""
    code = (
        "import sys; from tests.publish_child import publish\n"
        "for n in range(int(sys.argv[2]), 20, 2): publish(sys.argv[1], n, 3600)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, folder, str(n)], cwd=ROOT) for n in (0, 1)]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0]
    assert names(folder) == sorted([*(file_name(number) for number in range(20)), "current"])
    assert number_of(open_target(folder)) in (18, 19)
    assert len(pointer_lines(folder)) == 20


# ------------------------------------------------------------------------------------------------------------ faults
KILLS = 100


def kill_writers(target: str, count: int, seed: int) -> None:
    done = run_python("-m", "tests.publish_child", "kill", target, count, seed)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["published"] > 0 and said["temporary files"] > count // 20, said


@POSIX
def test_killed_writers_of_a_folder(folder: str) -> None:
    """Always the old or the new generation; then publishing works, and nothing is left of the dead."""
    kill_writers(folder, KILLS, 1)
    assert len(names(folder)) == 2 and "current" in names(folder)


@POSIX
def test_killed_writers_of_a_file(tmp_path: Path) -> None:
    """The same for a single file."""
    kill_writers(str(tmp_path / "site.rer"), KILLS, 2)
    assert os.listdir(tmp_path) == ["site.rer"]


@POSIX
@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(3, 9))
def test_many_killed_writers(seed: int, folder: str, tmp_path: Path) -> None:
    """As above."""
    kill_writers(folder if seed % 2 else str(tmp_path / "site.rer"), 500, seed)


def read_while_writing(target: str, last: int, readers: int, marks: Path) -> list[dict[str, int]]:
    """What readers saw of a target that another process publishes to, from generation 0 on."""
    publish(target, 0)
    marks.mkdir()
    calls = [("write", target, last, marks, readers), *(("read", target, marks) for _ in range(readers))]
    command = [sys.executable, "-m", "tests.publish_child"]
    children = [
        subprocess.Popen(
            [*command, *map(str, call)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for call in calls
    ]
    said = [child.communicate(timeout=PATIENCE) for child in children]
    assert [child.returncode for child in children] == [0] * len(children), said
    return [json.loads(out) for out, _ in said[1:]]


def test_eight_readers_beside_a_thousand_publishes(folder: str, tmp_path: Path) -> None:
    """Each sees whole generations only, in order, although superseded ones are removed at once."""
    seen = read_while_writing(folder, 1000, 8, tmp_path / "marks")
    assert all(reader["generations"] >= ENOUGH for reader in seen), seen


@pytest.mark.skipif(os.name != "posix", reason="a mapped file cannot be replaced on Windows")
def test_readers_beside_a_writer_of_one_file(tmp_path: Path) -> None:
    """The same for a single file."""
    seen = read_while_writing(str(tmp_path / "site.rer"), 200, 2, tmp_path / "marks")
    assert all(reader["generations"] >= ENOUGH for reader in seen), seen


def test_readers_errors_are_ours(folder: str) -> None:
    """A damaged generation is refused by its own name."""
    [name] = publish_all(folder, 1)
    Path(folder, name).write_bytes(b"ARROW1")
    with pytest.raises(RepositoryFileError, match=name):
        open_current(folder, store.read)
