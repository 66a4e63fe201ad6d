"""Which repository files have been verified, so that opening one again costs the same whatever its size.

A small file in the user's cache folder says of a repository file: with this identity and this checksum of its metadata
it has passed these checks. The file system gives a changed file another identity, so what is remembered about the old
one does not fit any more. Nothing here raises: without a folder, or with one that others could write, every opening
verifies.

The identity
------------
Device, inode, size, and the dates of the content and of the inode, asked of the *open* file. A program can set back the
date of the content after a change, not that of the inode (Windows has none: it gives the date of creation). Dates come
from a clock that ticks; two changes within a tick look like one. So a file is remembered only when its last change was
long enough ago that another one must show: then whoever changes it later gives it another date.
"""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

from rer_numba._version import __version__
from rer_numba.locks import is_litter, remove_file, temporary_name
from rer_numba.schema import FORMAT_MAJOR, FORMAT_MINOR
from rer_numba.user_cache import (
    OPEN_FLAGS,
    cache_folder,
    folder_problem,
    make_folder,
    open_own,
    renew_if_old,
    set_mode,
)

FOLDER: Final = "verified"
KEEP: Final = 256
"""How many files are remembered, those that were used last."""
CHECKS: Final = f"rer-numba {__version__} format {FORMAT_MAJOR}.{FORMAT_MINOR}"
"""Which checks a file has passed. Other checks, other file."""
_MOMENT_NS: Final = 2_000_000
_TICK_NS: Final = 50_000_000
_COARSE_TICK_NS: Final = 2_000_000_000
"""For dates without a fraction of a second: FAT counts in twos."""


class Identity(NamedTuple):
    """What tells an open file from every other one, and from itself after a change."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    def is_settled(self) -> bool:
        """Tell whether a change from now on would show."""
        latest = max(self.modified_ns, self.changed_ns)
        coarse = self.modified_ns % 1_000_000_000 == 0
        return time.time_ns() - latest > (_COARSE_TICK_NS if coarse else _TICK_NS)


class Origin:
    """A mapped file, and whether somebody has written over it since it was mapped.

    Whoever replaces a file gives its name to another one, and the mapping stays what it was. Some write into the file
    itself: ``cp``, ``rsync --inplace``, an editor. Then the mapping changes under those who read it.

    Parameters
    ----------
    path : str
    file : Identity
        Taken before anything was read.
    """

    def __init__(self, path: str, file: Identity) -> None:
        self.path = path
        self.identity = file
        self._looked = time.monotonic_ns()

    def is_overwritten(self) -> bool:
        """Tell whether the file was written in place. Takes 2 us. Another file under its name is no harm."""
        device, inode, size, modified_ns, changed_ns = self.identity
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        if now.st_mtime_ns != modified_ns or now.st_ctime_ns != changed_ns or now.st_size != size:
            return now.st_ino == inode and now.st_dev == device
        self._looked = time.monotonic_ns()
        return False

    def was_overwritten(self) -> bool:
        """The same before a solve; what was asked a moment ago, after the last one, is not asked again."""
        return time.monotonic_ns() - self._looked > _MOMENT_NS and self.is_overwritten()


def identity(handle: int) -> Identity:
    """Return the identity of an open file, given by its descriptor."""
    return identity_of(os.fstat(handle))


def identity_of(info: os.stat_result) -> Identity:
    """Return the identity of a file, from what the system says of it."""
    return Identity(info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def is_known(file: Identity, metadata_checksum: str) -> bool:
    """Tell whether this very file has passed `CHECKS` before."""
    folder = _folder()
    return folder is not None and _read(os.path.join(folder, _name(file))) == _record(file, metadata_checksum)


def remember(file: Identity, metadata_checksum: str) -> None:
    """Note that a file has passed `CHECKS`.

    Parameters
    ----------
    file : Identity
        Taken, and found settled, before the checks began.
    metadata_checksum : str
        As it stands in the file.
    """
    folder = _folder()
    if folder is None or make_folder(folder) or folder_problem(folder):
        return
    path = os.path.join(folder, _name(file))
    temporary = temporary_name(path)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o600)
        try:
            set_mode(handle, 0o600)
            os.write(handle, _record(file, metadata_checksum))
        finally:
            os.close(handle)
        os.replace(temporary, path)  # not flushed to the disk: half a record fits no file
    except OSError:
        remove_file(temporary)
    else:
        _tidy(folder)


def _folder() -> str | None:
    base = cache_folder()
    return None if base is None else os.path.join(base, FOLDER)


def _name(file: Identity) -> str:
    """The name of a file's record: by inode, since hosts that share a home have other names for what they mount."""
    return f"{file.device:x}-{file.inode:x}"


def _record(file: Identity, metadata_checksum: str) -> bytes:
    return f"{CHECKS}\n{' '.join(map(str, file))}\n{metadata_checksum}\n".encode("utf-8", "replace")


def _read(path: str) -> bytes | None:
    """A record; None if there is none, or if somebody else could have written it."""
    if folder_problem(os.path.dirname(path)):
        return None
    opened = open_own(path)
    if opened is None:
        return None
    handle, info = opened
    try:
        data = os.read(handle, 1000)
    except OSError:
        return None
    finally:
        os.close(handle)
    renew_if_old(path, info)
    return data


def _tidy(folder: str) -> None:
    """Remove what dead writers left, and the records beyond `KEEP` that were not used for the longest time."""
    try:
        names = os.listdir(folder)
        if len(names) <= KEEP:
            return
        dated = sorted(((os.lstat(os.path.join(folder, name)).st_mtime, name) for name in names), reverse=True)
    except OSError:  # another process tidies
        return
    for position, (date, name) in enumerate(dated):
        if position >= KEEP or (name.endswith(".tmp") and is_litter(name, date)):
            remove_file(os.path.join(folder, name))
