"""A repository file is verified once, and again as soon as anything about it is not as it was."""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rer_numba import checks, store, verified
from rer_numba.errors import RepositoryCorruptError
from rer_numba.schema import COLUMNS, Tables
from tests.process import run_python, wait_until
from tests.tables_factory import same, small_tables

SMALL = small_tables()
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs owners and permissions")


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's records are kept."""
    monkeypatch.setenv("RER_NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "verified"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A repository file that nobody has changed for a second."""
    path = tmp_path / "site.rer"
    store.write(SMALL, path, {"rez.version": "3.4.0"})
    settle(path)
    return path


def settle(path: Path) -> None:
    """Wait until a further change of a file would show, as it does a moment after each change."""

    def settled() -> bool:
        with path.open("rb") as opened:
            return verified.identity(opened.fileno()).is_settled()

    wait_until(settled, "a tick of the clock")


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[Tables]:
    """The tables that were verified, as often as they were."""
    seen: list[Tables] = []
    really_check = checks.check

    def check(tables: Tables) -> str | None:
        seen.append(tables)
        return really_check(tables)

    monkeypatch.setattr(checks, "check", check)
    return seen


# -------------------------------------------------------------------------------------------------------------- once
def test_a_file_is_verified_once(file: Path, records: Path, verifications: list[Tables]) -> None:
    """Whatever name it is opened by; "always" means always, "never" never."""
    for _ in range(3):
        assert same(store.read(file).tables, SMALL)
    assert len(verifications) == 1 and len(os.listdir(records)) == 1
    store.read(os.path.relpath(file))
    assert len(verifications) == 1
    store.read(file, verify="always")
    assert len(verifications) == 2
    store.read(file, verify="never")
    assert len(verifications) == 2


def test_always_is_remembered_and_never_is_not(file: Path, records: Path, verifications: list[Tables]) -> None:
    """What has been verified is known, however it came about."""
    store.read(file, verify="never")
    assert not records.exists()
    store.read(file, verify="always")
    store.read(file)
    assert len(verifications) == 1


def test_another_process_need_not_verify(file: Path, tmp_path: Path) -> None:
    """The second process looks at no column."""
    code = """
import sys
from rer_numba import checks, store
called = []
checks.check = called.append
store.read(sys.argv[1])
print(len(called))
"""
    assert [run_python("-c", code, file).stdout for _ in range(2)] == ["1\n", "0\n"]


def big_tables(times: int) -> Tables:
    """`SMALL` with one text that is so long that all is `times` as large."""
    size = times * sum(getattr(SMALL, column.name).nbytes for column in COLUMNS)
    more = np.resize(np.frombuffer(b"long ", np.uint8), size)
    offsets = SMALL.text_offsets.copy()
    offsets[-1] += size
    return SMALL._replace(text_bytes=np.concatenate((SMALL.text_bytes, more)), text_offsets=offsets)


def bytes_summed(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many bytes go through a checksum when a file is opened."""
    total, real = 0, zlib.crc32

    def crc32(data: Any, *more: int) -> int:
        nonlocal total
        total += memoryview(data).nbytes
        return real(data, *more)

    with monkeypatch.context() as patch:
        patch.setattr(zlib, "crc32", crc32)
        store.read(path)
    return total


def test_opening_does_not_depend_on_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verifications: list[Tables]
) -> None:
    """A file a hundred times as large, once it is known: nothing is verified, only the metadata is summed."""
    sums = []
    for times in (100, 10_000):
        path = tmp_path / f"{times}.rer"
        store.write(big_tables(times), path, {})
        settle(path)
        first = bytes_summed(path, monkeypatch)
        assert first > path.stat().st_size // 2
        verifications.clear()
        sums.append(bytes_summed(path, monkeypatch))
        assert verifications == []
    assert path.stat().st_size > 80 * (tmp_path / "100.rer").stat().st_size
    assert abs(sums[1] - sums[0]) < 10 and sums[0] < 5000


# ------------------------------------------------------------------------------------------------------------ changes
def _flip(path: Path) -> None:
    """Change a byte of a column in place."""
    at = path.read_bytes().index(bytes(SMALL.text_bytes[:40]))
    with path.open("r+b") as opened:
        opened.seek(at)
        old = opened.read(1)
        opened.seek(at)
        opened.write(bytes([old[0] ^ 1]))


def _flip_and_set_back(path: Path) -> None:
    """As `_flip`, with the old date of the content."""
    before = path.stat()
    _flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace_by_damaged(path: Path) -> None:
    other = path.with_name("other.rer")
    shutil.copy2(path, other)
    _flip(other)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(other, path)


CHANGES = [_flip, _flip_and_set_back, _replace_by_damaged]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_file_is_verified_again(change: Callable[[Path], None], file: Path) -> None:
    """Whether in place or by another file, with a new date or the old one."""
    if os.name == "nt" and change is _flip_and_set_back:
        pytest.skip("Windows keeps no date of the inode")
    store.read(file)
    change(file)
    for _ in range(2):
        with pytest.raises(RepositoryCorruptError, match="the checksum of column text_bytes is wrong"):
            store.read(file)
        settle(file)


def test_a_file_that_was_just_written_is_not_remembered(
    file: Path, records: Path, verifications: list[Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could change once more without a new date. So it is with a date in the future, and in whole seconds."""
    changed = max(file.stat().st_mtime_ns, file.stat().st_ctime_ns)
    for age, settled in ((-1.0, False), (0.0, False), (0.049, False), (0.051, True)):
        monkeypatch.setattr(time, "time_ns", lambda age=age: changed + round(age * 1e9))
        for _ in range(2):
            store.read(file)
        assert len(verifications) == (1 if settled else 2)
        assert records.exists() == settled
        verifications.clear()


def test_dates_in_whole_seconds_are_coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT counts in twos."""
    whole = verified.Identity(1, 2, 3, 5_000_000_000, 5_000_000_000)
    for age, settled in ((1.9, False), (2.1, True)):
        monkeypatch.setattr(time, "time_ns", lambda age=age: 5_000_000_000 + round(age * 1e9))
        assert whole.is_settled() is settled
    assert not whole._replace(changed_ns=10_000_000_000).is_settled()


@pytest.mark.parametrize("field", verified.Identity._fields)
def test_each_part_of_the_identity_counts(field: str, records: Path) -> None:
    """And the checksum of the metadata, and the checks."""
    one = verified.Identity(1, 2, 3, 4, 5)
    verified.remember(one, "abcd")
    assert verified.is_known(one, "abcd")
    assert not verified.is_known(one._replace(**{field: 9}), "abcd")
    assert not verified.is_known(one, "abce")


def test_other_checks_are_other_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older version accepted, a newer one verifies."""
    one = verified.Identity(1, 2, 3, 4, 5)
    verified.remember(one, "abcd")
    assert verified.is_known(one, "abcd")
    monkeypatch.setattr(verified, "CHECKS", "rer-numba 99 format 99.0")
    assert not verified.is_known(one, "abcd")


# ------------------------------------------------------------------------------------------------------------ records
def _no_folder(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RER_NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "")


def _file_in_its_place(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.parent.mkdir()
    records.write_bytes(b"")


def _unwritable(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *more, **options)

    real = os.open
    monkeypatch.setattr(os, "open", refuse)


def _others_could_write(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.mkdir(parents=True)
    records.chmod(0o777)


@pytest.mark.parametrize("trouble", [_no_folder, _file_in_its_place, _unwritable, _others_could_write])
def test_without_a_folder_every_opening_verifies(
    trouble: Callable[..., None],
    file: Path,
    records: Path,
    verifications: list[Tables],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a word: it costs some milliseconds."""
    if os.name != "posix" and trouble is _others_could_write:
        pytest.skip("Windows has no such bits")
    trouble(records, monkeypatch)
    for _ in range(2):
        assert same(store.read(file).tables, SMALL)
    assert len(verifications) == 2


@POSIX
def test_records_that_others_could_write_are_not_believed(
    file: Path, records: Path, verifications: list[Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a record nor the folder; both are private when we make them."""
    store.read(file)
    [record] = records.iterdir()
    assert record.stat().st_mode & 0o777 == 0o600 and records.stat().st_mode & 0o777 == 0o700
    store.read(file)
    assert len(verifications) == 1
    for path in (record, records):
        mode = path.stat().st_mode & 0o777
        path.chmod(0o666 if path == record else 0o777)
        assert not verified.is_known(identity_of(file), checksum_of(file))
        path.chmod(mode)
        assert verified.is_known(identity_of(file), checksum_of(file))
    monkeypatch.setattr(os, "geteuid", lambda: record.stat().st_uid + 1)
    assert verified.is_known(identity_of(file), checksum_of(file)) == (record.stat().st_uid == 0)


def identity_of(path: Path) -> verified.Identity:
    with path.open("rb") as opened:
        return verified.identity(opened.fileno())


def checksum_of(path: Path) -> str:
    return store.read(path, verify="never").metadata[store.METADATA_CHECKSUM]


@pytest.mark.parametrize("content", [b"", b"rer-numba", b"\xff" * 2000])
def test_a_damaged_record_fits_nothing(content: bytes, file: Path, records: Path, verifications: list[Tables]) -> None:
    """It is written anew."""
    store.read(file)
    [record] = records.iterdir()
    good = record.read_bytes()
    record.write_bytes(content)
    store.read(file)
    assert len(verifications) == 2 and record.read_bytes() == good


@POSIX
def test_a_pipe_in_a_records_place_is_not_waited_for(file: Path, records: Path, verifications: list[Tables]) -> None:
    """Nor is a link followed."""
    store.read(file)
    [record] = records.iterdir()
    record.rename(records / "elsewhere")
    record.symlink_to(records / "elsewhere")
    store.read(file)
    assert len(verifications) == 2
    record.unlink()
    os.mkfifo(record, 0o600)
    store.read(file)
    assert len(verifications) == 3


def test_only_so_many_are_remembered(records: Path) -> None:
    """Those that were used last; what dead writers left goes with the others."""
    first = verified.Identity(0, 0, 3, 4, 5)
    verified.remember(first, "a")
    for number in range(1, verified.KEEP):
        path = records / f"1-{number:x}"
        path.write_bytes(b"")
        os.utime(path, (1e9 + number, 1e9 + number))
    litter = records / "1-1.rer-numba-writes-elsewhere.1.a.tmp"
    litter.write_bytes(b"")
    os.utime(litter, (1e9 + 1000, 1e9 + 1000))  # newer than any but the last ones
    os.utime(records / verified._name(first), (1e9, 1e9))
    assert verified.is_known(first, "a")  # and its date is renewed
    last = verified.Identity(7, 7, 3, 4, 5)
    verified.remember(last, "a")
    assert len(os.listdir(records)) <= verified.KEEP and not litter.exists()
    assert verified.is_known(first, "a") and verified.is_known(last, "a")
    assert not (records / "1-1").exists() and (records / "1-9").exists()


def test_opening_loads_neither_compiler_nor_openssl(file: Path) -> None:
    """Only what a solve needs, which is not numpy either."""
    code = """
import sys
from rer_numba import store
before = set(sys.modules)
store.read(sys.argv[1])
print(*sorted(name for name in set(sys.modules) - before))
print(*sorted({'llvmlite', 'pyarrow', 'numba', 'numpy', 'rer_numba.native'} & set(sys.modules)))
"""
    assert run_python("-c", code, file).returncode == 0
    assert run_python("-c", code, file).stdout == "\n\n"
