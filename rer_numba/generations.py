"""A folder of generations: encoded repositories under names of their own, and a pointer to the current one.

The folder
----------
``<name>.rer``
    One generation, a repository file. The name is made of hexadecimal numbers that say what is in it, so equal content
    is written once.
``current``
    A text file. The first line is the file name of the current generation, each further line the name of a superseded
    one and when that happened (seconds since 1970, UTC). It may be edited by hand, to go back to a generation that is
    still there. This is the pointer of format 4; that of a later format has its number, as in ``current-5``. Each
    format has its own current and superseded generations, and leaves those of the others alone, so that one folder
    serves two versions of rer-numba while a studio goes from one to the other.
``current.lock``
    The lock of whoever makes the next generation.

Everything else in the folder is left alone.

Why generations are kept for a while
------------------------------------
A reader maps its file and reads pages of it for as long as it solves. On a local disk a deleted file lives on until the
last reader ends. On NFS that holds only for readers on the host that deletes. For all others the server forgets the
file, and the next page that has to be fetched ends the reader with SIGBUS; so it is when another file takes over the
name. So a generation has a name that nobody else takes, and stays for a day after it was superseded
(``RER_NUMBA_KEEP_SECONDS``). That is longer than readers run, and longer than NFS clients believe in a pointer that
they have read. A reader that runs for weeks opens the folder again once in a while.

Without a lock
--------------
Two writers should hold the lock, see `lock_target`, to save each other's work. If they do not, each one's generation is
whole, the pointer names one that exists, and the later pointer wins. A superseded generation is removed only if the
pointer says since when it has been one, and each writer adds those that the pointer does not know, with the time of the
day: what a killed or a simultaneous writer left is found, and nothing is removed too early.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, NamedTuple, TypeVar

from rer_numba.environment import seconds_setting
from rer_numba.errors import RepositoryCorruptError, RepositoryFileError, RepositoryVersionError
from rer_numba.locks import Lock, remove_file, writer_lock
from rer_numba.plain_files import NotPlainFileError, open_plain, read_handle, require_size
from rer_numba.publish import replace_file, require_replaceable, sweep_temporary
from rer_numba.schema import FORMAT_MAJOR
from rer_numba.user_cache import renew_date

_FIRST_FORMAT = 4
POINTER = "current" if FORMAT_MAJOR == _FIRST_FORMAT else f"current-{FORMAT_MAJOR}"
SUFFIX = ".rer"
BESIDE = ".rer"
"""The folder of generations beside the packages of a path, which is no family to rez."""
KEEP_SECONDS = 86_400.0
ENCODE = "make one with `rer-numba encode`"

_POINTER_NAME = re.compile(r"current(?:-([1-9]\d{0,3}))?")
_NAME = re.compile(r"[0-9a-f]{16,64}(?:[-_.][0-9a-f]{1,64})*")
_MAX_NAME = 150
_MAX_POINTER = 16 << 20
"""Bytes; a generation takes 75."""
_BEING_WRITTEN = 2.0
"""Seconds since its last change in which half a pointer may be one that is being copied."""
_TRIES = 20
_GONE = {errno.ENOENT, getattr(errno, "ESTALE", errno.ENOENT)}
"""What opening or reading a file says that another process has just removed; ESTALE on NFS."""

T = TypeVar("T")


class Pointer(NamedTuple):
    """What the file ``current`` says: the current generation, and since when others are superseded."""

    current: str
    superseded: dict[str, float]

    def text(self) -> str:
        """The content of the file."""
        lines = [self.current, *(f"{name} {int(since)}" for name, since in self.superseded.items())]
        return "".join(f"{line}\n" for line in lines)


def is_folder(target: str | os.PathLike[str]) -> bool:
    """Tell whether a target names a folder of generations: an existing folder, or a text that ends like one."""
    text = os.fspath(target)
    return text.endswith((os.sep, os.altsep or os.sep)) or os.path.isdir(text)


def lock_target(
    target: str | os.PathLike[str],
    *,
    wait_seconds: float = 600.0,
    on_wait: Callable[[str], None] | None = None,
) -> Lock:
    """`writer_lock` for a file, or for a folder of generations, which is made if there is none.

    Raises
    ------
    LockedError
        Another process still has the lock.
    OSError
        The folder cannot be made or takes no files.
    """
    path = os.fspath(target)
    if is_folder(path):
        os.makedirs(path, exist_ok=True)
        path = os.path.join(path, POINTER)
    return writer_lock(path, wait_seconds=wait_seconds, on_wait=on_wait)


# reading


def current_file(folder: str | os.PathLike[str]) -> str:
    """Return the path of the current generation. A writer may remove it at any time: see `open_current`.

    Raises
    ------
    FileNotFoundError
        There is no such folder, or no generation in it.
    RepositoryVersionError
        All generations in it are for other versions of rer-numba.
    RepositoryCorruptError
        The pointer cannot be understood.
    OSError
        The pointer cannot be read.
    """
    pointer = _read_pointer(folder)
    if pointer is None:
        others = _other_formats(folder)
        if others:
            raise _of_other_formats(folder, others)
        problem = "has no current generation" if os.path.isdir(folder) else "no such folder of generations"
        beside = os.path.join(folder, BESIDE)
        remedy = f"did you mean {beside}?" if _pointer_or_none(beside) else ENCODE
        raise FileNotFoundError(errno.ENOENT, f"{problem}: {remedy}", os.fspath(folder))
    return os.path.join(folder, pointer.current)


def open_current(folder: str | os.PathLike[str], opener: Callable[[str], T]) -> T:
    """Call `opener` with the path of the current generation; again if that vanishes meanwhile.

    Raises
    ------
    RepositoryCorruptError
        The pointer cannot be understood, or names a file that is not there.
    OSError
        As `current_file`, or what `opener` raises.
    """
    for _ in range(_TRIES):
        path = current_file(folder)
        try:
            return opener(path)
        except OSError as error:
            if error.errno not in _GONE or os.path.exists(path):
                raise
        time.sleep(0.01)
    raise _damaged(folder, f"names {os.path.basename(path)}, which is not there")


def _other_formats(folder: str | os.PathLike[str]) -> dict[int, str]:
    """The other formats that have a pointer in a folder, and its name."""
    try:
        found = [_POINTER_NAME.fullmatch(name) for name in os.listdir(folder)]
    except OSError:
        return {}
    return {int(one[1] or _FIRST_FORMAT): one[0] for one in found if one is not None and one[0] != POINTER}


def _of_other_formats(folder: str | os.PathLike[str], others: dict[int, str]) -> RepositoryVersionError:
    """The error for a folder that has generations for other versions of rer-numba only."""
    named = " and ".join(f"{major} ({name})" for major, name in sorted(others.items()))
    problem = f"has generations of format {named} only, this rer-numba reads {FORMAT_MAJOR}"
    encode = "encode it with this version too, into the same folder"
    is_older = max(others) > FORMAT_MAJOR
    return RepositoryVersionError(folder, problem, f"upgrade rer-numba, or {encode}" if is_older else encode)


def _read_pointer(folder: str | os.PathLike[str], name: str = POINTER) -> Pointer | None:
    """What the pointer says, or None if there is none."""
    for left in range(_TRIES - 1, -1, -1):
        try:
            return _parse(folder, *_read_file(os.path.join(folder, name)))
        except FileNotFoundError:
            return None
        except _HalfPointerError as error:
            if not left:
                raise error.damage from None
        except OSError as error:
            if isinstance(error, NotPlainFileError) or error.errno == errno.EFBIG:
                raise _damaged(folder, str(error.strerror), "remove it, and encode the repository again") from None
            # replaced while it is read; Windows has no better word for that
            passing = error.errno in _GONE or (os.name == "nt" and isinstance(error, PermissionError))
            if not passing or not left:
                raise
        time.sleep(0.01)
    raise AssertionError("the last try raises")


class _HalfPointerError(Exception):
    """A pointer that makes no sense, and was changed so shortly ago that somebody may be copying one over it."""

    def __init__(self, damage: RepositoryCorruptError) -> None:
        super().__init__(damage)
        self.damage = damage


def _read_file(path: str) -> tuple[bytes, float]:
    """The content of a pointer, and when it was written."""
    handle, info = open_plain(path)
    try:
        require_size(path, info.st_size, _MAX_POINTER)
        return read_handle(handle, path, _MAX_POINTER, info.st_size), info.st_mtime
    finally:
        os.close(handle)


def _parse(folder: str | os.PathLike[str], data: bytes, written: float) -> Pointer:
    current, *lines = data.decode("utf-8", "replace").splitlines() or [""]
    if not _is_generation(current.strip()):
        damage = _damaged(folder, f"names {current[:80]!r}, which is no generation")
        raise _HalfPointerError(damage) if abs(time.time() - written) < _BEING_WRITTEN else damage
    superseded = {}
    for line in lines:  # a line that cannot be read is made anew by the next writer
        name, _, since = line.strip().rpartition(" ")
        if _is_generation(name) and since.isdecimal() and len(since) < 15:
            superseded[name] = float(since)
    return Pointer(current.strip(), superseded)


_BY_HAND = "write the name of a generation that is there into its first line, or encode the repository again"


def _damaged(folder: str | os.PathLike[str], problem: str, remedy: str = _BY_HAND) -> RepositoryCorruptError:
    return RepositoryCorruptError(os.path.join(folder, POINTER), problem, remedy)


def _is_generation(name: str) -> bool:
    stem = name.removesuffix(SUFFIX)
    return len(name) <= _MAX_NAME and stem != name and _NAME.fullmatch(stem) is not None


# writing


def publish(
    folder: str | os.PathLike[str],
    name: str,
    fill: Callable[[BinaryIO], None],
    *,
    lock: Lock | None = None,
    keep_seconds: float | None = None,
) -> str:
    """Write a generation, make it the current one, and remove those that were superseded long ago.

    Parameters
    ----------
    folder : str or path
        Made if there is none.
    name : str
        Names the content, metadata included: 16 or more hexadecimal digits, and further groups of them behind ``-``,
        ``_`` or ``.``. A whole file of this name is not written again.
    fill : callable
        Writes the content into the open file it is given.
    lock : Lock, optional
        That of the folder. Who has lost it does not switch to an older generation.
    keep_seconds : float, optional
        As for `sweep`.

    Returns
    -------
    str
        The path of the generation.

    Raises
    ------
    ValueError
        The name is no such name.
    OSError
        Writing failed; what was current still is.
    RepositoryFileError
        The pointer cannot be replaced: it is no file; on Windows, since some process keeps it open.
    LockLostError
        The lock is held by another process; what was current still is.

    Notes
    -----
    A new generation may be read by those who may read the pointer, whatever the umask: it takes over its permissions.
    """
    file_name = f"{name}{SUFFIX}"
    if not _is_generation(file_name):
        raise ValueError(f"{name!r} cannot be the name of a generation: it must be made of hexadecimal digits")
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    path, pointer = os.path.join(folder, file_name), os.path.join(folder, POINTER)
    require_replaceable(pointer)
    mode = None
    with suppress(OSError):
        mode = os.stat(pointer).st_mode & 0o777
    for _ in range(_TRIES):
        if _is_whole(path):
            renew_date(path)  # a sweep without the lock lets it live
        else:
            replace_file(path, fill, mode=mode)
        _switch(folder, file_name, lock)
        if os.path.exists(path):  # else a sweep without the lock had looked just before
            break
    sweep(folder, keep_seconds=keep_seconds)
    return path


def _is_whole(path: str) -> bool:
    """Tell whether there is an undamaged repository file."""
    from rer_numba import store

    try:
        store.read(path, verify="always")
    except (OSError, RepositoryFileError):
        return False
    return True


def _switch(folder: str, file_name: str, lock: Lock | None) -> None:
    """Make the pointer name a generation, and all others superseded ones."""
    known: dict[str, float] = {}
    try:
        pointer = _read_pointer(folder)
        known = {} if pointer is None else pointer.superseded
    except RepositoryCorruptError:
        pass  # it is about to be written anew
    now = time.time()
    not_ours = _of_other_pointers(folder)
    present = {name for name in os.listdir(folder) if _is_generation(name) and name != file_name}
    others = sorted(present & set(known) if not_ours is None else present - not_ours)
    # a time in the future was written by a clock that was wrong
    text = Pointer(file_name, {name: min(known.get(name, now), now) for name in others}).text()
    replace_file(os.path.join(folder, POINTER), lambda file: _write_text(file, text), lock=lock)


def _of_other_pointers(folder: str | os.PathLike[str]) -> set[str] | None:
    """The generations of other formats; None if a pointer to them cannot be read."""
    found: set[str] = set()
    for name in _other_formats(folder).values():
        pointer = _pointer_or_none(folder, name)
        if pointer is None:
            return None
        found.update((pointer.current, *pointer.superseded))
    return found


def _write_text(file: BinaryIO, text: str) -> None:
    file.write(text.encode("ascii"))


def keep_seconds_setting() -> float:
    """How long superseded generations stay: ``RER_NUMBA_KEEP_SECONDS``, by default a day."""
    return seconds_setting("RER_NUMBA_KEEP_SECONDS", KEEP_SECONDS)


def sweep(folder: str | os.PathLike[str], *, keep_seconds: float | None = None) -> list[str]:
    """Remove generations that were superseded long ago, and what dead writers left.

    Parameters
    ----------
    folder : str or path
    keep_seconds : float, optional
        How long a generation stays after it was superseded; default: `keep_seconds_setting`.

    Returns
    -------
    list of str
        The names of the generations that were removed. What cannot be removed, as an open file on Windows, is left for
        the next time; so is everything while a pointer cannot be read.
    """
    sweep_temporary(os.fspath(folder), _is_ours)
    keep = keep_seconds_setting() if keep_seconds is None else keep_seconds
    pointer, not_ours = _pointer_or_none(folder), _of_other_pointers(folder)
    if pointer is None or not_ours is None:
        return []
    oldest = time.time() - keep
    old = [name for name, since in pointer.superseded.items() if since <= oldest and name not in not_ours]
    return [name for name in old if _remove(folder, name, oldest)]


def _is_ours(name: str) -> bool:
    return name in (POINTER, f"{POINTER}.lock") or _is_generation(name)


def _pointer_or_none(folder: str | os.PathLike[str], name: str = POINTER) -> Pointer | None:
    try:
        return _read_pointer(folder, name)
    except (OSError, RepositoryCorruptError):
        return None


def _remove(folder: str | os.PathLike[str], name: str, oldest: float) -> bool:
    """Remove a superseded generation unless it is about to become the current one again; tell whether it went."""
    path = os.path.join(folder, name)
    pointer = _pointer_or_none(folder)
    try:
        info = os.lstat(path)
    except OSError:
        return False
    may_go = stat.S_ISREG(info.st_mode) and info.st_mtime <= oldest and pointer is not None and pointer.current != name
    return may_go and remove_file(path)
