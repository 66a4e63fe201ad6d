"""What tells that a file or a folder is still the same: integers, compared for equality.

Invariants
----------
- A state that was `settled` when it was taken differs from every later state of the path, if the content changed in
  between and the clocks run as they should. rez trusts inode and modification time alike; here the size and the time of
  change of the inode ("ctime") count too. A program can set back the time of modification, as ``rsync -t``, ``cp -p``
  and ``tar`` do, or give all files the same one, as Nix and Bazel do. It cannot set the ctime. Windows has no ctime
  (`os.stat` gives the time of creation there), so it is `UNKNOWN`.
- Only the earlier of two states is settled: two unsure ones would look equal. `unchanged` does it right.
- The inode fits int64; so do the times of a settled state.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import NamedTuple

UNSURE = -2
"""A modification time that nothing has: the file counts as changed at the next look."""

UNKNOWN = -1
"""A ctime that nobody has asked for, or that the system does not have; it fits every other one."""

_HAS_CTIME = os.name == "posix"
_INODE_MASK = (1 << 63) - 1
_SECOND = 1_000_000_000
_TICK = 50_000_000
"""Longer than the kernels' clock ticks (1 to 16 ms) by which file systems stamp their files."""
_COARSE_TICK = 2 * _SECOND
"""For file systems that keep whole seconds; FAT keeps every other one."""

_OLD_RELEASE_FILES = ("release.yaml", ".metadata", os.path.join(".metadata", "release_time.txt"))
_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class FileState(NamedTuple):
    """One look at a file or a folder.

    Attributes
    ----------
    inode : int
        Its lower 63 bits.
    mtime_ns : int
        Time of the last modification, or `UNSURE`.
    size : int
        In bytes; 0 for a folder, whose size says nothing.
    ctime_ns : int
        Time of the last change of the inode, or `UNKNOWN`.
    """

    inode: int
    mtime_ns: int
    size: int
    ctime_ns: int = UNKNOWN

    def is_still(self, now: FileState) -> bool:
        """Tell whether a later look gave the same."""
        return now == self or (self.ctime_ns == UNKNOWN and now[:3] == self[:3])


ABSENT = FileState(-1, -1, -1)
"""Nothing is there."""


def state_of(path: str) -> FileState:
    """Look at a path; links are followed, and one that leads nowhere counts as nothing.

    Raises
    ------
    OSError
        One cannot tell what is there: no permission, a failing disk or server.
    """
    try:
        return as_state(os.stat(path))
    except ValueError:  # no path at all: it holds a zero, or half a character
        return ABSENT
    except OSError as error:
        if nothing_there(error):
            return ABSENT
        raise


def state_to_watch(path: str) -> FileState:
    """Look at a path for `unchanged` to compare with: a settled state, and never an error.

    What cannot be looked at counts as changed each time.
    """
    now_ns = time.time_ns()
    try:
        return settled(state_of(path), now_ns)
    except OSError:
        return FileState(0, UNSURE, 0)


def unchanged(path: str, state: FileState) -> bool:
    """Tell whether a path is as it was when `state` was taken. What cannot be looked at counts as changed."""
    try:
        return state.is_still(state_of(path))
    except OSError:
        return False


def is_file_as_it_was(path: str, inode: int, mtime_ns: int, size: int, ctime_ns: int) -> bool:
    """`unchanged` for a file and the parts of its state, at half the cost."""
    try:
        now = os.stat(path)
    except (OSError, ValueError):
        return unchanged(path, FileState(inode, mtime_ns, size, ctime_ns))
    if ctime_ns not in (now.st_ctime_ns, UNKNOWN):
        return False
    if now.st_mtime_ns == mtime_ns and now.st_size == size and now.st_ino & _INODE_MASK == inode:
        return not stat.S_ISDIR(now.st_mode)
    return False


def nothing_there(error: OSError) -> bool:
    """Tell whether an error says that a path does not exist, instead of that one cannot look."""
    return error.errno in _NOTHING_THERE


def as_state(status: os.stat_result) -> FileState:
    """Make the state from a result of `os.stat`."""
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    ctime_ns = status.st_ctime_ns if _HAS_CTIME else UNKNOWN
    return FileState(status.st_ino & _INODE_MASK, status.st_mtime_ns, size, ctime_ns)


def settled(state: FileState, now_ns: int | None = None) -> FileState:
    """Mark a state as unsure if the next change might leave it as it is.

    Within one tick of the clock a file can change twice and have the same times after both. So what changed a moment
    ago is looked at once more next time: 50 ms, or 2 s where no time has a fraction of a second and the file system
    might keep none. A time in the future is never sure.

    Parameters
    ----------
    state : FileState
        Taken before the content is read.
    now_ns : int, optional
        Time of the look by this machine's clock, no later than `state` was taken. The default is now.

    Returns
    -------
    FileState
        `state`, or the same with `UNSURE` as its time.
    """
    if state == ABSENT:
        return state
    now = time.time_ns() if now_ns is None else now_ns
    is_coarse = state.mtime_ns % _SECOND == 0 and (state.ctime_ns == UNKNOWN or state.ctime_ns % _SECOND == 0)
    tick = _COARSE_TICK if is_coarse else _TICK
    return state if now - latest_time(state) >= tick else state._replace(mtime_ns=UNSURE)


def latest_time(state: FileState) -> int:
    """The later of the two times of a state, in nanoseconds."""
    return max(state.mtime_ns, state.ctime_ns)


def certainly_settled_before(now_ns: int) -> int:
    """Every state whose `latest_time` is earlier than this is settled at `now_ns`; saves a call for each file."""
    return now_ns - _COARSE_TICK


def old_release_files(folder: str) -> list[tuple[str, FileState]]:
    """Where older versions of rez kept release times, as far as it is there."""
    paths = [os.path.join(folder, name) for name in _OLD_RELEASE_FILES]
    found = [(path, state_to_watch(path)) for path in paths]
    return [(path, state) for path, state in found if state != ABSENT]
