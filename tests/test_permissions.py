"""Files and folders of ours get their permissions whatever the umask is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rer_numba import PackageData, Repository, verified
from rer_numba.generations import POINTER
from rer_numba.locks import claim_lock, read_lock
from rer_numba.native.cache import Place
from rer_numba.native.files import keep
from rer_numba.user_cache import folder_problem, make_folder
from tests.process import run_python

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no umask")

UMASKS = [0o000, 0o002, 0o022, 0o077, 0o777]


@pytest.fixture(params=UMASKS, ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_folders_of_the_cache(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    assert make_folder(str(folder)) is None and folder_problem(str(folder)) is None
    assert [mode(one) for one in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    assert make_folder(str(folder)) is None
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be made" in str(make_folder(str(tmp_path / "file" / "below")))
    assert "a file is in its place" in str(make_folder(str(tmp_path / "file")))


def test_files_of_the_cache(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of verified files lies in that of the kernels, so whichever comes first makes it for both."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("RER_NUMBA_CACHE_DIR", str(cache))
    file = verified.Identity(1, 2, 3, 4, 5)
    verified.remember(file, "checksum")
    assert verified.is_known(file, "checksum")
    place = Place(str(cache / "code.kernel"), bytes(32), shipped=False)
    assert keep(place, b"code") and place.read() == b"code"
    assert mode(place.path) == 0o600 and mode(cache) == 0o700


def test_shipped_code_is_read_by_all(umask: int, tmp_path: Path) -> None:
    place = Place(str(tmp_path / "prebuilt" / "code.kernel"), bytes(32), shipped=True)
    assert keep(place, b"code")
    assert (mode(place.path), mode(place.folder)) == (0o644, 0o755)


def test_locks_are_read_by_all(umask: int, tmp_path: Path) -> None:
    """Who cannot read whose lock it is takes it for one without an owner, and breaks it after some seconds."""
    lock = claim_lock(str(tmp_path / "site.rer.lock"))
    assert lock is not None
    assert mode(lock.path) == 0o644 and read_lock(lock.path) and lock.is_held()
    lock.release()


@pytest.mark.parametrize("umask", [0o077], indirect=True)
def test_a_new_generation_is_read_by_those_who_read_the_pointer(umask: int, tmp_path: Path) -> None:
    """One member of a team has another umask: the others can still read what was published for all."""
    os.umask(0o022)
    folder = tmp_path / "site"
    Repository.from_packages([PackageData("app", "1")]).save(f"{folder}{os.sep}")
    os.umask(umask)
    Repository.from_packages([PackageData("app", "2")]).save(folder)
    assert [mode(path) for path in folder.glob("*.rer")] == [0o644] * 2
    assert mode(folder / POINTER) == 0o644


def test_a_process_with_umask_002(tmp_path: Path) -> None:
    """The first one makes the cache, the next ones use it without a word."""
    site = tmp_path / "site.rer"
    code = (
        "import os, sys, time\nos.umask(0o002)\nos.environ['RER_NUMBA_CACHE_DIR'] = sys.argv[1]\n"
        "from rer_numba import PackageData, Repository\n"
        "if not os.path.exists(sys.argv[2]):\n"
        "    Repository.from_packages([PackageData('app', '1')]).save(sys.argv[2])\n    time.sleep(0.1)\n"
        "Repository.open(sys.argv[2])\nprint(sorted(os.listdir(sys.argv[1])))\n"
    )
    for _ in range(3):
        done = run_python("-W", "error", "-c", code, tmp_path / "up" / "cache", site)
        assert (done.stdout.strip(), done.stderr) == ("['verified']", "")
    assert mode(tmp_path / "up") == mode(tmp_path / "up" / "cache") == 0o700
