"""What stands where a file is expected: pipes, devices, endless and huge files. Nothing waits, nothing is replaced."""

from __future__ import annotations

import errno
import gzip
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from rer_numba import PackageData, Repository, locks, plain_files
from rer_numba.batch.files import write_results
from rer_numba.cli import main
from rer_numba.errors import RepositoryCorruptError, RepositoryFileError
from rer_numba.generations import POINTER
from rer_numba.json_packages import read_json
from rer_numba.paths.build import places_of
from rer_numba.paths.discover import list_location
from rer_numba.paths.loaders import NoLoader
from rer_numba.paths.read import read_families
from rer_numba.paths.settings import PathSettings
from rer_numba.plain_files import NotPlainFileError, open_plain, read_bounded, read_plain
from tests.process import run_python

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes with names of files")
HUGE = 8 << 30
TABLE = pa.table({"number": [1, 2, 3]})


def write_table(table: pa.Table, path: str) -> None:
    write_results(SimpleNamespace(to_arrow=lambda: table), path)  # type: ignore[arg-type]


@pytest.fixture
def repository() -> Repository:
    return Repository.from_packages([PackageData("app", "1")])


@pytest.fixture(autouse=True)
def nobody_waits() -> Iterator[None]:
    """A test that hangs ends in an alarm, not in a suite that stands still."""
    if not hasattr(os, "fork"):
        yield
        return
    import signal

    def stop(*_: Any) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def unix_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path.name)
    os.chdir(here)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE)


ODD = [pipe, device, unix_socket, sparse]
NO_FILES = [pipe, device, unix_socket]


# -------------------------------------------------------------------------------------------------------------- reading
@posix
@pytest.mark.parametrize("make", ODD)
def test_odd_files_are_refused_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "odd")
    with pytest.raises(OSError, match=r"is a pipe|is a device|is a socket|larger than") as caught:
        read_plain(tmp_path / "odd", 1000)
    assert caught.value.filename == str(tmp_path / "odd")


def test_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_plain(file, 5) == b"12345" == read_bounded(file, 5)
    for read in (read_plain, read_bounded):
        with pytest.raises(OSError, match="larger") as caught:
            read(file, 4)
        assert caught.value.errno == errno.EFBIG
    with pytest.raises(NotPlainFileError, match="is a folder"):
        open_plain(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")


@posix
def test_a_pipe_that_a_user_names_is_read(tmp_path: Path) -> None:
    """As in ``--options <(...)``; an endless one is not read to its end."""
    pipe(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"{}" * 1000,))
    writer.start()
    assert read_bounded(tmp_path / "pipe", 10_000) == b"{}" * 1000
    writer.join()
    with pytest.raises(OSError, match="larger than"):
        read_bounded("/dev/zero", 10_000)


def test_a_lease_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samba holds leases on files that its clients write: without waiting they cannot be opened."""
    (tmp_path / "file").write_bytes(b"1")
    opened: list[int] = []

    def leased(path: Any, flags: int) -> int:
        opened.append(flags)
        if len(opened) == 1:
            raise BlockingIOError(errno.EWOULDBLOCK, "leased")
        return real(path, flags)

    real = os.open
    monkeypatch.setattr(os, "open", leased)
    assert read_plain(tmp_path / "file", 10) == b"1"
    assert not opened[1] & getattr(os, "O_NONBLOCK", 0)


@posix
@pytest.mark.parametrize("make", ODD)
def test_an_odd_pointer(make: Callable[[Path], None], repository: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    make(folder / POINTER)
    before = os.lstat(folder / POINTER)
    with pytest.raises(RepositoryCorruptError, match=POINTER):
        Repository.open(folder)
    if make is sparse:
        repository.save(folder)  # a file that is damaged is written anew
        assert Repository.open(folder).solve(["app"]).status == "solved"
        return
    with pytest.raises(RepositoryFileError, match="which is not replaced"):
        repository.save(folder)
    assert os.lstat(folder / POINTER).st_ino == before.st_ino


@posix
@pytest.mark.parametrize("make", NO_FILES)
def test_an_odd_lock(
    make: Callable[[Path], None], repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that says nothing has no owner: after some seconds it is removed. What a link points to stays."""
    monkeypatch.setattr(locks, "_EMPTY_PATIENCE", 0.2)
    folder = tmp_path / "site"
    folder.mkdir()
    make(folder / f"{POINTER}.lock")
    repository.save(folder)
    assert not os.path.lexists(folder / f"{POINTER}.lock")


@posix
@pytest.mark.parametrize("make", ODD)
def test_an_odd_repository(make: Callable[[Path], None], tmp_path: Path) -> None:
    """A huge one is mapped, not read, and is no Arrow file."""
    make(tmp_path / "site.rer")
    with pytest.raises(RepositoryFileError, match=r"is a pipe|is a device|is a socket|is not an Arrow file"):
        Repository.open(tmp_path / "site.rer")


@posix
@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", ["current", ""])
def test_rez_env_beside_odd_files(make: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    """An odd `.rer`, or an odd pointer in it: rez-env reads the packages."""
    pytest.importorskip("rez")
    packages = tmp_path / "packages"
    (packages / "app" / "1").mkdir(parents=True)
    (packages / "app" / "1" / "package.py").write_text("name = 'app'\nversion = '1'\n")
    odd = packages / ".rer" / name if name else packages / ".rer"
    odd.parent.mkdir(exist_ok=True)
    make(odd)
    code = (
        "import os, sys\nos.environ['RER_NUMBA_REPOSITORIES'] = sys.argv[2]\n"
        "from rez.resolved_context import ResolvedContext\nfrom rer_numba import rez_bridge\n"
        "rez_bridge.install()\nprint(ResolvedContext(['app'], package_paths=[sys.argv[1]]).success, "
        "rez_bridge.stats()['native'])"
    )
    done = run_python("-c", code, packages, odd)
    assert done.stdout.split() == ["True", "1"], done.stderr


# ---------------------------------------------------------------------------------------------------------- definitions
@pytest.mark.parametrize("name", ["package.py", "package.yaml"])
def test_a_huge_definition_stays_local(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 GB with no content: only a solve that touches it ends in an error, and nothing reads it."""
    read: list[int] = []
    real = os.read
    monkeypatch.setattr(os, "read", lambda handle, size: read.append(size) or real(handle, size))
    for version in ("1", "2"):
        (tmp_path / "app" / version).mkdir(parents=True)
    (tmp_path / "app" / "1" / "package.py").write_text("requires = ['lib']\n")
    sparse(tmp_path / "app" / "2" / name)
    (tmp_path / "lib" / "1").mkdir(parents=True)
    (tmp_path / "lib" / "1" / "package.py").write_text("timestamp = 1\n")
    repository = Repository.from_paths([tmp_path], processes=1)
    assert sum(read) < 100 << 20
    assert repository.solve(["app-1"]).status == "solved"
    result = repository.solve(["app"])
    assert (result.status, result.error_type) == ("error", "PackageMetadataError")
    assert str(tmp_path / "app" / "2" / name) in str(result.failure_description)
    assert "8 MiB" in str(result.failure_description)


def test_a_huge_combined_definition_stays_local(tmp_path: Path) -> None:
    sparse(tmp_path / "app.py")
    (tmp_path / "lib" / "1").mkdir(parents=True)
    (tmp_path / "lib" / "1" / "package.py").write_text("timestamp = 1\n")
    repository = Repository.from_paths([tmp_path], processes=1)
    assert repository.solve(["lib"]).status == "solved"
    assert "8 MiB" in str(repository.solve(["app"]).failure_description)


def test_a_huge_release_file_stays_local(tmp_path: Path) -> None:
    """Older versions of rez kept release times beside the definition."""
    (tmp_path / "app" / "1").mkdir(parents=True)
    (tmp_path / "app" / "1" / "package.py").write_text("")
    sparse(tmp_path / "app" / "1" / "release.yaml")
    repository = Repository.from_paths([tmp_path], processes=1)
    assert "release.yaml" in str(repository.solve(["app"]).failure_description)


@pytest.mark.parametrize("grows", [True, False])
def test_a_definition_that_grows_while_it_is_read(grows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was small when the folder was listed is not read without end either."""
    monkeypatch.setattr(plain_files, "MAX_DEFINITION", 100)
    monkeypatch.setattr("rer_numba.paths.read.MAX_DEFINITION", 100)
    file = tmp_path / "app" / "1" / "package.py"
    file.parent.mkdir(parents=True)
    file.write_text("timestamp = 1\n")
    locations = [list_location(str(tmp_path), PathSettings())]
    places = places_of(locations)
    from rer_numba.paths import read

    list_family = read.list_family

    def slowly(*arguments: Any) -> Any:
        listing = list_family(*arguments)
        if grows:
            file.write_text("#" * 200)
        return listing

    monkeypatch.setattr(read, "list_family", slowly)
    reading = read_families(places, PathSettings(), NoLoader())
    assert [kind for kind, _ in reading.facts.errors] == ["PackageMetadataError"] * grows


# -------------------------------------------------------------------------------------------------------------- writing
@posix
@pytest.mark.parametrize("make", NO_FILES)
def test_no_file_is_replaced_by_a_repository(
    make: Callable[[Path], None], repository: Repository, tmp_path: Path
) -> None:
    make(tmp_path / "odd")
    before = os.lstat(tmp_path / "odd")
    with pytest.raises(RepositoryFileError, match="is not replaced"):
        repository.save(tmp_path / "odd")
    assert os.lstat(tmp_path / "odd")[:2] == before[:2]
    assert os.listdir(tmp_path) == ["odd"]


@posix
def test_a_table_is_written_into_a_device(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    before = os.stat("/dev/null")
    write_table(TABLE, str(link))
    write_table(TABLE, "/dev/null")
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode) and (after.st_ino, after.st_rdev) == (before.st_ino, before.st_rdev)
    assert os.readlink(link) == "/dev/null"
    with pytest.raises(OSError, match="No space left") as caught:
        write_table(TABLE, "/dev/full")
    assert caught.value.filename == "/dev/full"


@posix
def test_a_table_is_written_into_a_pipe(tmp_path: Path) -> None:
    pipe(tmp_path / "pipe")
    writer = threading.Thread(target=write_table, args=(TABLE, str(tmp_path / "pipe")))
    writer.start()
    data = (tmp_path / "pipe").read_bytes()
    writer.join()
    assert pa.ipc.open_file(data).read_all().equals(TABLE)
    assert stat.S_ISFIFO(os.lstat(tmp_path / "pipe").st_mode)


@posix
def test_a_table_is_written_into_an_open_file(tmp_path: Path) -> None:
    """``-o /dev/stdout > file``: what the shell has open is written, not replaced by another file."""
    with (tmp_path / "file").open("wb") as file:
        write_table(TABLE, f"/dev/fd/{file.fileno()}")
        assert os.path.samestat(os.stat(tmp_path / "file"), os.fstat(file.fileno()))
    assert pa.ipc.open_file((tmp_path / "file").read_bytes()).read_all().equals(TABLE)


def test_a_table_does_not_replace_a_folder(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_table(TABLE, str(tmp_path))


@posix
def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packages = tmp_path / "packages"
    (packages / "app" / "1").mkdir(parents=True)
    (packages / "app" / "1" / "package.py").write_text("timestamp = 1\n")
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    assert main(["encode", str(packages), "-o", str(null)]) == 2
    assert "is a device, which is not replaced" in capsys.readouterr().err
    (tmp_path / "requests").write_text("app\n")
    site = str(tmp_path / "site.rer")
    assert main(["encode", str(packages), "-o", site]) == 0
    assert main(["solve-many", "-r", site, str(tmp_path / "requests"), "-o", str(null)]) == 0
    assert null.is_symlink() and stat.S_ISCHR(os.stat("/dev/null").st_mode)


@posix
@pytest.mark.parametrize("option", ["--filter", "--orderers", "--options"])
def test_endless_settings(option: str, repository: Repository, tmp_path: Path, capsys: Any) -> None:
    site = str(tmp_path / "site.rer")
    repository.save(site)
    assert main(["config", "-r", site, option, "/dev/zero"]) == 2
    assert "/dev/zero: is larger than the 8 MiB" in capsys.readouterr().err


@posix
def test_endless_requests(repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = str(tmp_path / "site.rer")
    repository.save(site)
    assert main(["solve-many", "-r", site, "/dev/zero"]) == 2
    assert "/dev/zero: has a line of more than 16 MiB" in capsys.readouterr().err


def test_packed_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes of gzip may stand for all the memory there is."""
    monkeypatch.setattr("rer_numba.json_packages._MAX_BYTES", 10_000)
    for name, data in (("a.json.gz", gzip.compress(bytes(20_000))), ("a.json", bytes(20_000))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(OSError, match="larger than"):
            read_json(str(tmp_path / name))
