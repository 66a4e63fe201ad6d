"""Replaces a file in one step: readers see the old one or the new one, whatever happens in between.

Only files are replaced. A device, a pipe or a socket keeps its place: it is written into (`write_out`) or refused.

The new content goes into a temporary file in the same folder, reaches the disk, and only then takes the name. A process
that is killed in between leaves its temporary file behind. The next one that replaces the same file removes it: at once
when the dead process ran on the same host, else after an hour.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import time
from collections.abc import Callable
from typing import BinaryIO

from rer_numba.errors import RepositoryFileError
from rer_numba.locks import Lock, is_litter, target_of_temporary, temporary_name
from rer_numba.plain_files import kind_of

_PATIENCE = 2.0
"""Windows: seconds to wait for those who have the old file open just now."""


def write_out(path: str | os.PathLike[str], fill: Callable[[BinaryIO], None]) -> None:
    """Write where a user wants something: `replace_file`, or into what is there if that is a pipe or a device.

    What is written to a pipe is made in memory first, since `fill` may ask for its place in the file.

    Raises
    ------
    As `replace_file`. A pipe without a reader waits for one.
    """
    if not _is_stream(path):
        replace_file(path, fill)
        return
    content = io.BytesIO()
    fill(content)
    try:
        with open(_opened_before(path), "wb", buffering=0) as file:
            view = content.getbuffer()
            while view:
                view = view[file.write(view) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path leads to something that is written into: no file, or one that this process has open."""
    if os.path.abspath(path).startswith(("/dev/fd/", "/dev/std", "/proc/")):
        return os.path.exists(path)
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _opened_before(path: str | os.PathLike[str]) -> str | os.PathLike[str] | int:
    """Give a copy of the descriptor that a name stands for, or the name.

    Opening the name of one would empty a file that was opened to be added to (``-o /dev/stdout >> file``).
    """
    folder, name = os.path.split(os.path.abspath(path))
    number = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}.get(f"{folder}/{name}")
    if number is None and folder in ("/dev/fd", "/proc/self/fd") and name.isdecimal():
        number = int(name)
    return path if number is None else os.dup(number)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raise what can be known before there is anything to write. Raises as `write_out`."""
    if _is_stream(path):
        return
    require_replaceable(path)
    require_folder(path)


def require_folder(path: str | os.PathLike[str]) -> None:
    """Raise OSError if the folder of a file is not there, or may not be written to."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))


def require_replaceable(path: str | os.PathLike[str]) -> None:
    """Raise RepositoryFileError if something else than a file has the name; what is not there may come."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise RepositoryFileError(path, f"is {kind_of(mode)}, which is not replaced", "write to another name")


def replace_file(
    path: str | os.PathLike[str], fill: Callable[[BinaryIO], None], *, lock: Lock | None = None, mode: int | None = None
) -> None:
    """Write a file by `fill`, then give it the name `path`.

    Parameters
    ----------
    path : str or path
        The file to make or to replace. Of a symbolic link, the file it points to. The new file gets the permissions of
        the old one.
    fill : callable
        Writes the content into the open file it is given.
    lock : Lock, optional
        Under which it is written. Asked for right before the file gets its name: a process that was suspended for long
        has lost it, and what it would write is older than what is there.
    mode : int, optional
        Permissions of the new file where there is no old one; default: by the umask.

    Raises
    ------
    OSError
        With `path` as its file name. The old file is unchanged and nothing is left behind.
    RepositoryFileError
        The old file may not be replaced: it is none, but a device or a pipe; on Windows, since some process has it
        open.
    LockLostError
        The lock is held by another process.
    """
    require_replaceable(path)
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    sweep_temporary(folder, {name, f"{name}.lock"}.__contains__)
    temporary = temporary_name(target)
    try:
        try:
            _write_through(temporary, fill)
            _set_permissions(target, temporary, mode)
            if lock is not None:
                lock.require_held()
            _rename(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def sweep_temporary(folder: str, is_target: Callable[[str], bool]) -> None:
    """Remove the temporary files that dead writers left for the targets in question, given by their names."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            target = target_of_temporary(entry.name)
            if target is not None and is_target(target):
                with contextlib.suppress(OSError):
                    if is_litter(entry.name, entry.stat(follow_symlinks=False).st_mtime):
                        os.unlink(entry.path)


def _write_through(path: str, fill: Callable[[BinaryIO], None]) -> None:
    with open(path, "xb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())


def _set_permissions(old: str, new: str, mode: int | None) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(old).st_mode & 0o777
    if mode is not None:
        with contextlib.suppress(OSError):  # a file system that knows no permissions
            os.chmod(new, mode)


def _rename(temporary: str, target: str) -> None:
    deadline = time.monotonic() + (_PATIENCE if os.name == "nt" else 0.0)
    while True:
        try:
            return os.replace(temporary, target)
        except PermissionError as error:
            if time.monotonic() >= deadline:
                problem = f"cannot be replaced ({error.strerror}); on Windows, a process has it open"
                raise RepositoryFileError(target, problem, "end that process, or write to another name") from error
        time.sleep(0.02)


def _sync_folder(folder: str) -> None:
    """Make the new name last through a power cut, where the system has a way to (Windows has none)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
