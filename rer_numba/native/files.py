"""Writing files of the object cache: whole or not at all, and tidying up after writers that died."""

import os
import time
from collections.abc import Iterable
from typing import Final

from rer_numba import user_cache
from rer_numba.locks import LITTER_AFTER, is_litter, parse_writer, read_lock, remove_file, temporary_name
from rer_numba.native.cache import SUFFIX, Place, file_name, pack
from rer_numba.native.key import MACHINES, KernelSet, portable_key
from rer_numba.tell import warn_once
from rer_numba.user_cache import OPEN_FLAGS, folder_problem, set_mode

KEEP_OBJECTS: Final = 32
"""Files kept per folder. Hosts that share a home have three files for each CPU model, hence more than a few."""


def make_folder(place: Place) -> str | None:
    """Make a place's folder unless it is there; say what is wrong with it, or None."""
    problem = user_cache.make_folder(place.folder, 0o755 if place.shipped else 0o700)
    if problem:
        return problem
    return None if place.shipped else folder_problem(place.folder)


def keep(place: Place, code: bytes) -> bool:
    """Publish code at its place, in one step; return False and warn once if that cannot be done."""
    problem = make_folder(place)
    if problem is None:
        try:
            _publish(place.path, pack(place.key, code), 0o644 if place.shipped else 0o600)
        except OSError as error:
            problem = f"cannot be written ({error.strerror})"
    if problem:
        warn_once(
            f"compiled kernels are not kept, so every process compiles them: {place.folder} {problem}; "
            "RER_NUMBA_CACHE_DIR can name another folder",
            about=place.folder,
        )
        return False
    if not place.shipped:
        tidy(place.folder)
    return True


def _publish(path: str, data: bytes, mode: int) -> None:
    """Write a new file beside its place, flush it to the disk, move it into place."""
    temporary = temporary_name(path)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, mode)
        try:
            set_mode(handle, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise


def drop_outdated(folder: str, kernels: Iterable[KernelSet]) -> None:
    """Remove objects to be shipped that fit these kernels on no machine.

    Raises
    ------
    OSError
        The folder or a source cannot be read, or a file cannot be removed.
    """
    sets = tuple(kernels)
    for name in os.listdir(folder):
        cpu = name.removesuffix(SUFFIX).rpartition("-")[0]
        fitting = {file_name(cpu, portable_key(one, cpu, machine)) for one in sets for machine in MACHINES}
        if name.endswith(SUFFIX) and name not in fitting:
            os.remove(os.path.join(folder, name))


def tidy(folder: str) -> None:
    """Remove what dead writers left in a folder, and all but the `KEEP_OBJECTS` most recently used objects."""
    objects = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    date = entry.stat(follow_symlinks=False).st_mtime
                except OSError:
                    continue
                if entry.name.endswith(SUFFIX):
                    objects.append((date, entry.path))
                elif entry.name.endswith((".tmp", ".lock")) and _is_litter(entry.path, date):
                    remove_file(entry.path)
    except OSError:
        return
    for _, path in sorted(objects, reverse=True)[KEEP_OBJECTS:]:
        remove_file(path)


def _is_litter(path: str, date: float) -> bool:
    """Tell whether nobody is writing or holding a file any more."""
    if not path.endswith(".lock") or time.time() - date > LITTER_AFTER:
        return is_litter(path, date)
    text = read_lock(path)
    writer = parse_writer(text) if text else None
    return writer is not None and writer.is_dead()
