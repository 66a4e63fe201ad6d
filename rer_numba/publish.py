"""Replaces a file in one step: readers see the old one or the new one, whatever happens in between.

The new content goes into a temporary file in the same folder, reaches the disk, and only then takes the name. A process
that is killed in between leaves its temporary file behind. The next one that replaces the same file removes it: at once
when the dead process ran on the same host, else after an hour.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import BinaryIO

from rer_numba.errors import RepositoryFileError
from rer_numba.locks import is_litter, target_of_temporary, temporary_name

_PATIENCE = 2.0
"""Windows: seconds to wait for those who have the old file open just now."""


def replace_file(path: str | os.PathLike[str], fill: Callable[[BinaryIO], None]) -> None:
    """Write a file by `fill`, then give it the name `path`.

    Parameters
    ----------
    path : str or path
        The file to make or to replace. Of a symbolic link, the file it points to. The new file gets the permissions of
        the old one.
    fill : callable
        Writes the content into the open file it is given.

    Raises
    ------
    OSError
        With `path` as its file name. The old file is unchanged and nothing is left behind.
    RepositoryFileError
        The old file may not be replaced; on Windows, since some process has it open.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    sweep_temporary(folder, {name, f"{name}.lock"}.__contains__)
    temporary = temporary_name(target)
    try:
        try:
            _write_through(temporary, fill)
            _keep_permissions(target, temporary)
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


def _keep_permissions(old: str, new: str) -> None:
    with contextlib.suppress(OSError):  # there is no old file, or its folder knows no permissions
        os.chmod(new, os.stat(old).st_mode & 0o777)


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
