"""What tells that a file is still the same, and the settings that decide what is looked at."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from rer_numba.errors import ConfigurationError
from rer_numba.paths.discover import (
    list_family,
    list_location,
)
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.states import (
    ABSENT,
    UNKNOWN,
    UNSURE,
    FileState,
    as_state,
    settled,
    state_of,
    state_to_watch,
    unchanged,
)

SECOND = 1_000_000_000


# ------------------------------------------------------------------------------------------------------------- settings
def test_settings_as_json() -> None:
    settings = PathSettings(False, ("rezpkg", "package"), True, ".lock")
    assert PathSettings.from_json(settings.to_json()) == settings.checked() == settings
    assert PathSettings.from_json("{}") == PathSettings()
    for text in ("[", "[]", '{"file_locks": 1}', '{"package_filenames": "package"}', '{"file_lock_dir": 1}'):
        with pytest.raises(ConfigurationError, match="path settings"):
            PathSettings.from_json(text)


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("allow_unversioned_packages", 1, TypeError),
        ("check_package_definition_files", None, TypeError),
        ("file_lock_dir", 3, TypeError),
        ("package_filenames", "package", TypeError),
        ("package_filenames", ["package"], TypeError),
        ("package_filenames", ("package", 3), TypeError),
        ("package_filenames", ("sub/package",), ValueError),
        ("package_filenames", ("a\0b",), ValueError),
    ],
)
def test_settings_that_cannot_be_used(field: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=field):
        PathSettings(**{field: value}).checked()


# --------------------------------------------------------------------------------------------------------------- states
def test_states(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"four")
    status = os.stat(file)
    ctime_ns = status.st_ctime_ns if os.name == "posix" else UNKNOWN
    assert state_of(str(file)) == as_state(status) == FileState(status.st_ino, status.st_mtime_ns, 4, ctime_ns)
    assert state_of(str(tmp_path)).size == 0
    for nothing in (tmp_path / "no", file / "below"):
        assert state_of(str(nothing)) == ABSENT == state_to_watch(str(nothing))
    assert unchanged(str(file), state_of(str(file))) and not unchanged(str(file), ABSENT)
    assert unchanged(str(tmp_path / "no"), ABSENT)


def test_large_inodes() -> None:
    status = os.stat_result((0o100644, (1 << 64) - 1, 0, 1, 0, 0, 5, 0, 0, 0))
    assert as_state(status).inode == (1 << 63) - 1


def test_what_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path)

    def fails(path: str) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    state = state_of(path)
    monkeypatch.setattr(os, "stat", fails)
    with pytest.raises(OSError, match=r"\[Errno"):
        state_of(path)
    assert not unchanged(path, state) and not unchanged(path, state_to_watch(path))


@pytest.mark.parametrize(
    ("mtime", "age", "sure"),
    [
        (10 * SECOND + 1, 0, False),
        (10 * SECOND + 1, 49_000_000, False),
        (10 * SECOND + 1, 50_000_000, True),
        (10 * SECOND, 1_999_000_000, False),
        (10 * SECOND, 2 * SECOND, True),
        (10 * SECOND + 1, -1, False),
        (10 * SECOND, -100 * SECOND, False),
    ],
)
def test_settled(mtime: int, age: int, sure: bool) -> None:
    state = FileState(5, mtime, 7)
    assert settled(state, mtime + age) == (state if sure else FileState(5, UNSURE, 7))
    assert settled(ABSENT, 0) == ABSENT


def test_two_changes_within_a_tick(tmp_path: Path) -> None:
    """A file that is read right after it was written is read again, even if its time and its length stay the same."""
    path = tmp_path / "foo" / "1" / "package.py"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    family = list_location(str(tmp_path), PathSettings()).families["foo"]
    for age, sure in ((0, False), (60 * SECOND + 1, True)):
        os.utime(path, ns=(0, time.time_ns() - age))
        time.sleep(0.06 if sure else 0.0)  # until the change of the time itself is long ago
        (entry,) = list_family(family, PathSettings()).entries
        assert entry.file is not None
        assert unchanged(entry.file, entry.state) is sure
