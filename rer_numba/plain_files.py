"""Opening files to read: plain ones only, without waiting for anybody, and no more of them than makes sense.

Anything can stand where a file is expected: a pipe, which waits for a writer; a device, which never ends; a file with a
hole of a terabyte. What has a name of ours, or lies in a package folder, is opened here. A file that the user names on
the command line may be a pipe (``<(...)`` of a shell), so there only the size is bounded.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

PLAIN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)
MAX_DEFINITION: Final = 8 << 20
"""Bytes of a package definition that are read. Python needs a hundred times as much to parse them."""
MAX_SETTINGS: Final = 8 << 20
"""Bytes of a file of settings."""
_AT_ONCE: Final = 1 << 20

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlainFileError(OSError):
    """Something else than a file has its name. An OSError, with EINVAL, since that is what reading it comes to."""

    @classmethod
    def of(cls, path: str | os.PathLike[str], mode: int) -> NotPlainFileError:
        """Make it from what `os.stat` says."""
        return cls(errno.EINVAL, f"is {kind_of(mode)}, not a file", os.fspath(path))


def kind_of(mode: int) -> str:
    """Say what something is that is no file, with its article."""
    return next((text for is_kind, text in _KINDS if is_kind(mode)), "something else")


def open_plain(path: str | os.PathLike[str]) -> tuple[int, os.stat_result]:
    """Open a file to read its bytes.

    Returns
    -------
    int
        Its descriptor, for the caller to close.
    os.stat_result

    Raises
    ------
    NotPlainFileError
        It is no file.
    OSError
        It cannot be opened.
    """
    handle = _open(path)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise NotPlainFileError.of(path, info.st_mode)
    except BaseException:
        os.close(handle)
        raise
    return handle, info


def _open(path: str | os.PathLike[str]) -> int:
    try:
        return os.open(path, PLAIN_FLAGS)
    except BlockingIOError:  # a lease (Samba): its holder gives it up for those who wait
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise
        return os.open(path, PLAIN_FLAGS & ~getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        info = _stat_or_none(path)  # Windows opens no folder, and nothing opens a socket
        if info is not None and not stat.S_ISREG(info.st_mode):
            raise NotPlainFileError.of(path, info.st_mode) from None
        raise error


def _stat_or_none(path: str | os.PathLike[str]) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def read_plain(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a whole file.

    Raises
    ------
    NotPlainFileError
        It is no file.
    OSError
        It cannot be read; EFBIG: it holds more than `limit` bytes.
    """
    handle, info = open_plain(path)
    try:
        require_size(path, info.st_size, limit)
        return read_handle(handle, path, limit, info.st_size)
    finally:
        os.close(handle)


def read_bounded(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read what a user has named, which may be a pipe. Raises OSError; EFBIG: there are more than `limit` bytes."""
    with open(path, "rb", buffering=0) as file:
        return read_handle(file.fileno(), path, limit)


def read_handle(handle: int, path: str | os.PathLike[str], limit: int, expected: int = _AT_ONCE) -> bytes:
    """Read an open file to its end. Raises OSError with EFBIG as soon as there are more than `limit` bytes."""
    pieces: list[bytes] = []
    left = limit + 1
    while left and (piece := os.read(handle, min(left, max(expected + 1, _AT_ONCE)))):
        pieces.append(piece)
        left -= len(piece)
    require_size(path, limit + 1 - left, limit)
    return b"".join(pieces)


def require_size(path: str | os.PathLike[str], size: int, limit: int) -> None:
    """Raise OSError with EFBIG if a file holds more than it may."""
    if size > limit:
        raise OSError(errno.EFBIG, too_large(limit), os.fspath(path))


def too_large(limit: int) -> str:
    """Say that a file is larger than what is read of its kind."""
    return f"is larger than the {limit >> 20} MiB that are read of such a file"
