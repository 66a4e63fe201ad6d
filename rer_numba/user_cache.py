"""The user's cache folder: where it is, and whether what lies in it can be believed.

Two things are kept there: compiled kernels (`rer_numba.native`) and which repository files have been verified
(`rer_numba.verified`). Both would harm the user if somebody else could write them, so a folder or a file that others
can write counts as absent.
"""

import os
import stat
import sys
import time
from typing import Final

OPEN_FLAGS: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
"""For reading: a pipe planted under one of our names must not block us."""
TOUCH_AFTER: Final = 86_400.0
"""Seconds after which using a file renews its date, so that pruning removes what nobody used."""


def cache_folder() -> str | None:
    """Return the user's cache folder, which need not exist, or None if the environment names none.

    ``RER_NUMBA_CACHE_DIR`` wins; then the platform's own place for files that may be deleted at any time.
    """
    chosen = os.environ.get("RER_NUMBA_CACHE_DIR")
    if chosen:
        return os.path.abspath(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
        return os.path.join(base, "rer-numba", "Cache") if os.path.isabs(base) else None
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return os.path.join(base, "rer-numba")
    home = os.path.expanduser("~")
    # A home that is missing is not ours to make: root could. An empty HOME would mean the root folder.
    if os.environ.get("HOME") == "" or not os.path.isabs(home) or not os.path.isdir(home):
        return None
    return os.path.join(home, *(("Library", "Caches") if sys.platform == "darwin" else (".cache",)), "rer-numba")


def unsafe(info: os.stat_result) -> str | None:
    """Say why somebody else can have written a file or folder, or None if only the user or root can.

    Root is trusted, since root can replace this package as well; so an image may be built with a warm cache in it.
    Windows has no such bits: there the profile folder's access list is the guard.
    """
    if not hasattr(os, "geteuid"):
        return None
    if info.st_uid not in (os.geteuid(), 0):
        return "belongs to another user"
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written by others"
    return None


def folder_problem(folder: str) -> str | None:
    """Say why nothing may be read from a folder, or None. A folder that is absent has no problem yet."""
    try:
        info = os.stat(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    return unsafe(info) if stat.S_ISDIR(info.st_mode) else "is no folder"


def make_folder(folder: str, mode: int = 0o700) -> str | None:
    """Make a folder, and those above it, unless it is there; say why it cannot be made, or None.

    All that is made gets this mode, whatever the umask: with 002 others could write, and nothing in it would be
    believed; with 0777 nobody could.
    """
    try:
        _make_folders(folder, mode)
    except FileExistsError:
        return None if os.path.isdir(folder) else "cannot be made (a file is in its place)"
    except OSError as error:
        return f"cannot be made ({error.strerror})"
    return None


def _make_folders(folder: str, mode: int) -> None:
    above = os.path.dirname(folder)
    if above != folder and not os.path.lexists(above):
        try:
            _make_folders(above, mode)
        except FileExistsError:
            pass  # another process was faster
    os.mkdir(folder, mode)
    if os.name == "posix":
        os.chmod(folder, mode)


def set_mode(handle: int, mode: int) -> None:
    """Give an open file its permissions, whatever the umask. Windows has none, and some file systems keep none."""
    if os.name == "posix":
        try:
            os.fchmod(handle, mode)
        except OSError:
            pass


def open_own(path: str) -> tuple[int, os.stat_result] | None:
    """Open a file of the cache for reading: the descriptor, which the caller closes, and what the system says of it.

    None if there is none, or nothing that only the user can have written.
    """
    try:
        handle = os.open(path, os.O_RDONLY | OPEN_FLAGS | NO_WAIT)
    except OSError:
        return None
    try:
        info = os.fstat(handle)
        believed = stat.S_ISREG(info.st_mode) and not unsafe(info)
    except OSError:
        believed = False
    if not believed:
        os.close(handle)
        return None
    return handle, info


def renew_if_old(path: str, info: os.stat_result) -> None:
    """Renew the date of a file that was used, once in `TOUCH_AFTER`."""
    if time.time() - info.st_mtime > TOUCH_AFTER:
        renew_date(path)


def renew_date(path: str) -> None:
    """Give a file today's date, if we may."""
    try:
        os.utime(path)
    except OSError:
        pass  # a read-only cache is a good cache
