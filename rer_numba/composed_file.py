"""Tables that a process has composed, kept in the user's cache for the processes that follow.

They are not published and may be lost at any time: whoever finds none composes them again. A file holds the columns of
`rer_numba.schema` as they lie in memory, so that writing needs no Arrow and opening maps them. Only the user can have
written a file that is read here (`rer_numba.user_cache`), and its checksum tells whether it is whole; so its columns
are believed without the checks of a repository file.

Layout: eight bytes ``MAGIC``; the length of the header as eight bytes, little-endian; the header as JSON: the checksum
of everything behind it, the place of each column, and the caller's entries; the columns, each at a multiple of 64.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

from rer_numba._version import __version__
from rer_numba.hashing import blake2b
from rer_numba.locks import is_litter, remove_file, temporary_name
from rer_numba.schema import COLUMNS, FORMAT_MAJOR, FORMAT_MINOR
from rer_numba.user_cache import (
    OPEN_FLAGS,
    cache_folder,
    folder_problem,
    make_folder,
    open_own,
    renew_if_old,
    set_mode,
)
from rer_numba.views import Longest, Views, empty, typed

FOLDER: Final = "composed"
KEEP: Final = 64
"""How many files are kept, those that were used last."""
KEEP_BYTES: Final = 1 << 30
MAGIC: Final = b"RERCOMP1"
_ALIGNED: Final = 64
_LONGEST_HEADER: Final = 1 << 24


class ComposedFile(NamedTuple):
    """What `read` returns.

    Attributes
    ----------
    views : Views
        Of the mapped file, read-only.
    entries : dict
        The caller's.
    """

    views: Views
    entries: dict[str, Any]


def name_of(parts: Mapping[str, Any]) -> str:
    """Name a file by what its tables are composed of.

    Parameters
    ----------
    parts : mapping
        Anything that JSON can write. The version of this package and of the layout are added.
    """
    text = json.dumps([__version__, FORMAT_MAJOR, FORMAT_MINOR, parts], sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def read(name: str) -> ComposedFile | None:
    """Map a file; None if there is none, or none that can be believed."""
    folder = _folder()
    if folder is None or sys.byteorder != "little" or folder_problem(folder):
        return None
    path = os.path.join(folder, name)
    opened = open_own(path)
    if opened is None:
        return None
    handle, info = opened
    try:
        if info.st_size <= len(MAGIC) + 8:
            return None
        data = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
    except OSError:
        return None
    finally:
        os.close(handle)
    renew_if_old(path, info)
    return _parsed(data)


def _parsed(data: memoryview) -> ComposedFile | None:
    """The content of a file; None if it is damaged."""
    start = len(MAGIC) + 8
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    if bytes(data[: len(MAGIC)]) != MAGIC or length > min(_LONGEST_HEADER, len(data) - start):
        return None
    body = data[_aligned(start + length) :]
    try:
        header = json.loads(bytes(data[start : start + length]))
        if header["crc32"] != zlib.crc32(body):
            return None
        views = Views(*(_column(body, column.dtype, *header["columns"][column.name]) for column in COLUMNS))
        views.longest = Longest(*header["longest"])
    except (KeyError, TypeError, ValueError):
        return None
    return ComposedFile(views, header["entries"])


def _column(body: memoryview, dtype: str, start: int, length: int) -> memoryview[int]:
    size = length * memoryview(empty(dtype)).itemsize
    return typed(body[start : start + size], dtype) if length else empty(dtype)


def _aligned(place: int) -> int:
    return -(-place // _ALIGNED) * _ALIGNED


def write(name: str, views: Views, entries: Mapping[str, Any]) -> bool:
    """Write a file that replaces an older one in one step; return whether that was possible.

    Parameters
    ----------
    entries : mapping
        Anything that JSON can write, to be kept with the tables.
    """
    folder = _folder()
    if folder is None or sys.byteorder != "little" or make_folder(folder) or folder_problem(folder):
        return False
    path = os.path.join(folder, name)
    temporary = temporary_name(path)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o600)
        with open(handle, "wb") as file:
            set_mode(handle, 0o600)
            _fill(file, views, entries)
        os.replace(temporary, path)  # not flushed to the disk: half a file has another checksum
    except OSError:
        remove_file(temporary)
        return False
    _tidy(folder)
    return True


def _fill(file: BinaryIO, views: Views, entries: Mapping[str, Any]) -> None:
    places: dict[str, tuple[int, int]] = {}
    pieces: list[memoryview[int] | bytes] = []
    end = 0
    columns: list[memoryview[int]] = list(views)
    for column, view in zip(COLUMNS, columns, strict=True):
        places[column.name] = (end, len(view))
        pieces.append(view.cast("B") if len(view) else b"")
        pieces.append(bytes(_aligned(end + view.nbytes) - end - view.nbytes))
        end = _aligned(end + view.nbytes)
    checksum = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
    header = {"crc32": checksum, "columns": places, "longest": views.longest, "entries": dict(entries)}
    text = json.dumps(header).encode()
    start = len(MAGIC) + 8 + len(text)
    file.write(MAGIC + len(text).to_bytes(8, "little") + text + bytes(_aligned(start) - start))
    for piece in pieces:
        file.write(piece)


def _folder() -> str | None:
    base = cache_folder()
    return None if base is None else os.path.join(base, FOLDER)


def _tidy(folder: str) -> None:
    """Remove what dead writers left, and the files that were not used for the longest time."""
    kept = size = 0
    for date, length, name in sorted(_files(folder), reverse=True):
        if name.endswith(".tmp"):
            if is_litter(name, date):
                remove_file(os.path.join(folder, name))
            continue
        kept, size = kept + 1, size + length
        if kept > KEEP or (size > KEEP_BYTES and kept > 1):
            remove_file(os.path.join(folder, name))


def _files(folder: str) -> Iterator[tuple[float, int, str]]:
    """(date, size, name) of what lies in a folder."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                yield info.st_mtime, info.st_size, entry.name
    except OSError:  # another process tidies
        return
