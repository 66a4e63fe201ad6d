"""How an encoded repository takes the place of an older one, and what is left when that fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rer_numba import locks, publish, store
from rer_numba.errors import RepositoryFileError
from tests.process import PATIENCE, ROOT, run_python
from tests.tables_factory import random_tables, same, small_tables

SMALL = small_tables()
OTHER = random_tables(7, families=5)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A repository file."""
    path = tmp_path / "site.rer"
    store.write(SMALL, path, {})
    return path


def broken_call(error: BaseException) -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        raise error

    return call


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("exists", [True, False])
def test_failure_leaves_the_old_file(
    call: str, error: BaseException, exists: bool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exists:
        file.unlink()
    before = os.listdir(file.parent)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, broken_call(error))
        with pytest.raises(type(error)) as caught:
            store.write(OTHER, file, {})
    if isinstance(caught.value, OSError):
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(file)
    assert os.listdir(file.parent) == before
    if exists:
        assert same(store.read(file).tables, SMALL)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the size of files")
@pytest.mark.parametrize("limit", [0, 5000, 40_000])
def test_no_room_while_writing(limit: int, file: Path) -> None:
    """The system itself refuses to take more, in the middle of pyarrow's writing."""
    code = """
import resource, sys
from rer_numba import store
from tests.tables_factory import random_tables
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    store.write(random_tables(7), sys.argv[1], {})
except OSError as error:
    print(error.errno, error.filename)
"""
    assert run_python("-c", code, file, limit).stdout == f"{errno.EFBIG} {file}\n"
    assert os.listdir(file.parent) == [file.name]
    assert same(store.read(file).tables, SMALL)


def test_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "site.rer"
    with pytest.raises(FileNotFoundError) as caught:
        store.write(SMALL, path, {})
    assert caught.value.filename == str(path)


def test_name_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "site.rer").mkdir()
    with pytest.raises(OSError, match=r"site\.rer"):
        store.write(SMALL, tmp_path / "site.rer", {})
    assert os.listdir(tmp_path) == ["site.rer"]


def test_file_that_cannot_be_replaced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows says while a process has the file open."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", broken_call(PermissionError(errno.EACCES, "Access is denied")))
        with pytest.raises(RepositoryFileError, match=r"cannot be replaced \(Access is denied\); on Windows") as caught:
            store.write(OTHER, file, {})
    assert caught.value.path == str(file)
    assert os.listdir(file.parent) == [file.name]


def test_windows_waits_for_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a small file open just now is done in a moment."""
    new = str(tmp_path / "new")
    Path(new).write_bytes(b"")
    real, calls = os.replace, []

    def busy(old: str, new: str) -> None:
        calls.append(new)
        if len(calls) < 3:
            raise PermissionError(errno.EACCES, "Access is denied")
        real(old, new)

    monkeypatch.setattr(os, "replace", busy)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        publish._rename(new, str(tmp_path / "old"))
    assert os.listdir(tmp_path) == ["old"] and len(calls) == 3


def test_folder_that_cannot_be_opened(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: the file is published all the same."""
    real = os.open

    def call(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", call)
    store.write(OTHER, file, {})
    assert same(store.read(file).tables, OTHER)


def test_the_file_reaches_the_disk_before_the_name_and_the_name_after(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(name)
            return real(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    store.write(OTHER, file, {})
    assert calls[:2] == ["fsync", "replace"]
    assert calls[2:] == (["fsync"] if os.name == "posix" else [])


def test_old_temporary_files_are_swept(file: Path) -> None:
    """Those that were made for this file: after an hour, or at once when the writer is known to be dead."""
    here, mark = locks.host_name(), "rer-numba-writes"
    living = locks.temporary_name("site.rer")
    kept = [
        f"site.rer.{mark}-elsewhere.1.b.tmp",
        f"site.rer.{mark}-{here}.{os.getpid()}.b.tmp",
        f"other.rer.{mark}-elsewhere.1.a.tmp",
        "site.rer.tmp",
        f"site.rer.{mark}-elsewhere.1.a",
    ]
    dead = f"site.rer.{mark}-{here}.999999999.c.tmp"
    gone = [f"site.rer.{mark}-elsewhere.1.a.tmp", f"site.rer.{mark}-1-a.tmp", f"site.rer.lock.{mark}-elsewhere.1.a.tmp"]
    for name in [*kept, living, *gone, dead]:
        (file.parent / name).write_bytes(b"")
    for name in [*kept[2:], *gone]:
        make_old(file.parent / name)
    store.write(OTHER, file, {})
    expected = [*kept, living, "site.rer", *([] if os.name == "posix" else [dead])]
    assert sorted(os.listdir(file.parent)) == sorted(expected)


def make_old(path: Path) -> None:
    old = time.time() - locks.LITTER_AFTER - 60
    os.utime(path, (old, old))


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links and permissions")
def test_links_are_followed_and_permissions_kept(file: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "current.rer"
    link.symlink_to(file)
    file.chmod(0o640)
    store.write(OTHER, link, {})
    assert link.is_symlink()
    assert os.listdir(tmp_path / "links") == ["current.rer"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert same(store.read(file).tables, OTHER)


@pytest.mark.skipif(os.name != "posix", reason="a mapped file cannot be replaced on Windows")
def test_who_has_the_old_file_open_keeps_it(file: Path) -> None:
    old = store.read(file)
    store.write(OTHER, file, {})
    assert same(old.tables, SMALL)
    assert same(store.read(file).tables, OTHER)


@pytest.mark.skipif(os.name != "posix", reason="a mapped file cannot be replaced on Windows")
def test_readers_beside_a_writer(file: Path, tmp_path: Path) -> None:
    """Whole files only, while another process replaces the file again and again."""
    code = """
import os, sys
from rer_numba import store
from tests.test_publish import OTHER, SMALL
i = 0
while i < 40 or not os.path.exists(sys.argv[2]):
    store.write((SMALL, OTHER)[i % 2], sys.argv[1], {"number": str(i)})
    i += 1
"""
    enough = tmp_path / "enough"
    writer = subprocess.Popen([sys.executable, "-c", code, str(file), str(enough)], cwd=ROOT)
    fingerprints = {store.fingerprint(SMALL), store.fingerprint(OTHER)}
    numbers = set()
    try:
        while writer.poll() is None:
            opened = store.read(file)
            assert opened.fingerprint in fingerprints
            assert store.fingerprint(opened.tables) == opened.fingerprint
            numbers.add(opened.metadata.get("number"))
            if len(numbers) == 10:
                enough.touch()
    finally:
        enough.touch()
    assert writer.wait(PATIENCE) == 0
    assert len(numbers) >= 10


@pytest.mark.skipif(os.name != "posix", reason="needs a process that dies at once")
@pytest.mark.parametrize(("call", "new"), [("fsync", False), ("replace", False), ("chmod", False), ("open", True)])
def test_killed_while_writing(call: str, new: bool, file: Path) -> None:
    """Dead on the way; `os.open` is for the folder, so the new file has its name by then."""
    code = """
import os, sys
from rer_numba import store
from tests.test_publish import OTHER
store.prepare(OTHER, {})  # what it takes to check the tables is loaded
setattr(os, sys.argv[2], lambda *arguments: os._exit(9))
store.write(OTHER, sys.argv[1], {})
"""
    assert run_python("-c", code, file, call).returncode == 9
    assert same(store.read(file).tables, OTHER if new else SMALL)
    left = [name for name in os.listdir(file.parent) if name != file.name]
    assert len(left) == (0 if new else 1)
    store.write(SMALL, file, {})
    assert os.listdir(file.parent) == [file.name]
