"""Tables <-> one Arrow file.

The file
--------
An uncompressed Arrow IPC file with one record batch of one row. Each column of `rer_numba.schema` is a column of type
``large_list<item not null>``: the row's list is the array. Any Arrow library can read it. Reading maps the file, so
that processes share its pages, and pyarrow is imported only to write.

Metadata of the schema
----------------------
``rer.format``           ``MAJOR.MINOR`` of the layout. Another MAJOR is refused; columns of a later MINOR are ignored.
``rer.fingerprint``      `fingerprint` of the tables: what the repository is, whoever wrote it and when.
``rer.created``          When it was written, UTC.
``rer.encoder``          The rer-numba that wrote it.
``rer.crc32``            ``name=checksum`` for each column, since Arrow has no checksums.
``rer.longest``          Variants of the family and of the package that has the most.
``rer.metadata_crc32``   Checksum of all other entries.

The caller's own entries lie beside them.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

from rer_numba import verified
from rer_numba.arrow_file import ArrowFile, ArrowFileError
from rer_numba.errors import RepositoryCorruptError, RepositoryFileError, RepositoryVersionError
from rer_numba.hashing import blake2b
from rer_numba.plain_files import NotPlainFileError, open_plain
from rer_numba.schema import COLUMNS, FORMAT_MAJOR, FORMAT_MINOR, FORMATS, Tables
from rer_numba.views import Longest, Views, longest_of, tables_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "rer.format"
FINGERPRINT = "rer.fingerprint"
CREATED = "rer.created"
ENCODER = "rer.encoder"
COLUMN_CHECKSUMS = "rer.crc32"
LONGEST = "rer.longest"
METADATA_CHECKSUM = "rer.metadata_crc32"

_OWN_FORMAT = f"{FORMAT_MAJOR}.{FORMAT_MINOR}"
ENCODE_AGAIN = "encode the repository again with `rer-numba encode`"


class OpenedFile(NamedTuple):
    """What `read` returns.

    Attributes
    ----------
    views : Views
        Of the mapped file, read-only. Each of them keeps the mapping alive; there is nothing to close.
    metadata : dict of str to str
        The caller's entries and those of this module.
    fingerprint : str
        Of the tables, 32 hexadecimal digits.
    size : int
        Of the file, in bytes.
    """

    views: Views
    metadata: dict[str, str]
    fingerprint: str
    size: int

    @property
    def tables(self) -> Tables:
        """The views as numpy arrays."""
        return tables_of(self.views)


class Prepared(NamedTuple):
    """A repository file that is ready to be written.

    Attributes
    ----------
    fingerprint : str
        Of the tables.
    metadata : dict of str to str
        All entries: the caller's and those of this module.
    fill : callable
        Writes the content into an open file.
    """

    fingerprint: str
    metadata: dict[str, str]
    fill: Callable[[BinaryIO], None]


def write(tables: Tables, path: str | os.PathLike[str], metadata: Mapping[str, str]) -> str:
    """Write the tables to a file that replaces an older one in one step.

    A reader sees the old file or the new one, never a part of either, and who has the old one open keeps it. When
    anything fails the old file stays. A symbolic link is followed.

    Parameters
    ----------
    tables : Tables
        Must pass `check`.
    metadata : mapping of str to str
        Entries to keep with them; JSON where they have a structure. Those that this module makes itself are replaced,
        so that what `read` returned may be handed in again.

    Returns
    -------
    str
        The fingerprint of the tables.

    Raises
    ------
    ValueError
        The tables are not valid, or an entry of `metadata` cannot be written as UTF-8.
    OSError
        Writing failed; it names `path`. No space left is ``errno.ENOSPC``.
    RepositoryFileError
        The old file cannot be replaced. On Windows that is so while any process has it open; elsewhere it never is.
    """
    prepared = prepare(tables, metadata)
    from rer_numba.publish import replace_file

    replace_file(path, prepared.fill)
    return prepared.fingerprint


def prepare(tables: Tables, metadata: Mapping[str, str]) -> Prepared:
    """What `write` writes, for who finds a place for it by himself: see `rer_numba.generations.publish`.

    Raises
    ------
    ValueError
        The tables are not valid, or an entry of `metadata` cannot be written as UTF-8.
    """
    from rer_numba.checks import check

    problem = check(tables)
    if problem:
        raise ValueError(f"the tables are not valid: {problem}")
    arrays = _contiguous(tables)
    entries = {**metadata, **_own_metadata(arrays), LONGEST: _longest_text(longest_of(tables))}
    entries[METADATA_CHECKSUM] = _metadata_checksum(entries)

    def fill(file: BinaryIO) -> None:
        _write_arrow(file, arrays, entries)

    return Prepared(entries[FINGERPRINT], entries, fill)


def read(path: str | os.PathLike[str], *, verify: Literal["once", "always", "never"] = "once") -> OpenedFile:
    """Map a file that `write` made. Does not import pyarrow.

    Parameters
    ----------
    verify : {"once", "always", "never"}
        Compare checksums and the fingerprint, and `check` the tables: "always", or "once" for each file as long as it
        does not change, see `rer_numba.verified`. With "never" a damaged file may crash the process that uses it.

    Raises
    ------
    RepositoryCorruptError
        It is another kind of file, or damaged.
    RepositoryVersionError
        It has a layout that this version does not read.
    RepositoryFileError
        It is not a file at all, or this machine cannot read it.
    OSError
        It cannot be opened; `FileNotFoundError` when it does not exist.

    Notes
    -----
    For rez's benchmark repository (4.2 MB): 0.7 ms when it has been verified before, which does not grow with the file;
    7.6 ms more to verify it, 4.6 of them for the fingerprint (CPU time, Rocket Lake, November 2026). On a busy machine
    a process that verifies a file took 20 ms more than one that does not, and 120 while verifying needed numpy.
    """
    if verify not in ("once", "always", "never"):
        raise ValueError(f"verify must be 'once', 'always' or 'never', not {verify!r}")
    buffer, identity = _map(path)
    # before anything is read: what changes from here on must show
    settled = verify != "never" and identity.is_settled()
    try:
        file = ArrowFile(buffer)
        _require_format(path, file.metadata)
        views = _views(file)
        views.file = os.path.abspath(path)
        views.origin = verified.Origin(views.file, identity)
        checksum = file.metadata[METADATA_CHECKSUM]
        if verify == "always" or (verify == "once" and not (settled and verified.is_known(identity, checksum))):
            _verify(views, file.metadata)
            if settled:
                verified.remember(identity, checksum)
    except ArrowFileError as error:
        raise RepositoryCorruptError(path, str(error), ENCODE_AGAIN) from None
    return OpenedFile(views, file.metadata, file.metadata[FINGERPRINT], len(buffer))


def fingerprint(columns: Tables | Views) -> str:
    """What the packages say, as 32 hexadecimal digits: blake2b over name, type, length and bytes of each column.

    Without the columns that say where they came from: a touched file is no other content.
    """
    return _fingerprint(columns if isinstance(columns, Views) else _contiguous(columns))


# writing


def _contiguous(tables: Tables) -> list[Any]:
    import numpy as np

    return [np.ascontiguousarray(getattr(tables, column.name)) for column in COLUMNS]


def _fingerprint(arrays: Iterable[Any]) -> str:
    digest = blake2b(digest_size=16)
    for column, array in zip(COLUMNS, arrays, strict=True):
        if not column.source:
            digest.update(f"{column.name} {column.dtype} {len(array)}\n".encode())
            digest.update(memoryview(array))
    return digest.hexdigest()


def _own_metadata(arrays: Sequence[Any]) -> dict[str, str]:
    return {
        FORMAT: _OWN_FORMAT,
        FINGERPRINT: _fingerprint(arrays),
        CREATED: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        ENCODER: _encoder(),
        COLUMN_CHECKSUMS: " ".join(
            f"{column.name}={zlib.crc32(array):08x}" for column, array in zip(COLUMNS, arrays, strict=True)
        ),
    }


def _encoder() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"rer-numba {version('rer-numba')}"
    except PackageNotFoundError:  # run from a source tree
        return "rer-numba"


def _metadata_checksum(entries: Mapping[str, str]) -> str:
    text = "\n".join(f"{key}={entries[key]}" for key in sorted(entries) if key != METADATA_CHECKSUM)
    return f"{zlib.crc32(text.encode('utf-8')):08x}"


def _write_arrow(file: BinaryIO, arrays: Sequence[Any], entries: dict[str, str]) -> None:
    import pyarrow as pa
    from pyarrow import ipc

    columns = [_as_list(pa, array) for array in arrays]
    fields = [pa.field(column.name, array.type, nullable=False) for column, array in zip(COLUMNS, columns, strict=True)]
    schema = pa.schema(fields, metadata=entries)
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    with ipc.new_file(file, schema, options=ipc.IpcWriteOptions(allow_64bit=True)) as writer:
        writer.write_batch(batch)


def _as_list(pa: Any, array: Any) -> pa.LargeListArray:
    """A list array with one row, which is the whole array; no copy."""
    values = pa.array(array)
    offsets = pa.array([0, len(array)], pa.int64())
    kind = pa.large_list(pa.field("item", values.type, nullable=False))
    return pa.LargeListArray.from_arrays(offsets, values, type=kind)


# reading


def _map(path: str | os.PathLike[str]) -> tuple[bytes | mmap.mmap, verified.Identity]:
    """The content of a file, and which file it is."""
    if sys.byteorder != "little":
        raise RepositoryFileError(path, "cannot be read on a big-endian machine", "use a little-endian one")
    try:
        handle, info = open_plain(path)
    except NotPlainFileError as error:
        raise RepositoryFileError(path, str(error.strerror), "give the path of an encoded repository") from None
    try:
        identity = verified.identity_of(info)
        if identity.size == 0:
            return b"", identity  # cannot be mapped; the reader says what is wrong with it
        return mmap.mmap(handle, 0, access=mmap.ACCESS_READ), identity
    except (ValueError, OverflowError) as error:  # larger than what a process can map
        raise OSError(errno.EFBIG, str(error), os.fspath(path)) from None
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise
    finally:
        os.close(handle)


def _require_format(path: str | os.PathLike[str], metadata: dict[str, str]) -> None:
    """Raise unless the file is ours, undamaged so far and of a layout that can be read."""
    if FORMAT not in metadata:
        raise ArrowFileError("is an Arrow file, but not an encoded repository")
    # of every MAJOR, so that damage is not taken for another version
    if metadata.get(METADATA_CHECKSUM) != _metadata_checksum(metadata):
        raise ArrowFileError("is damaged: the checksum of its metadata is wrong")
    major, _, minor = metadata[FORMAT].partition(".")
    if not (major.isdecimal() and minor.isdecimal() and len(metadata[FORMAT]) < 20):
        raise ArrowFileError(f"has the format {metadata[FORMAT]!r}, which is no version")
    if int(major) > FORMAT_MAJOR:
        problem = f"was made by a newer rer-numba (format {metadata[FORMAT]}, this one reads {FORMAT_MAJOR})"
        raise RepositoryVersionError(path, problem, f"upgrade rer-numba, or {ENCODE_AGAIN}")
    if int(major) < FORMAT_MAJOR:
        problem = f"was made by an older rer-numba (format {metadata[FORMAT]}, this one reads {FORMAT_MAJOR})"
        raise RepositoryVersionError(path, problem, ENCODE_AGAIN)
    if FINGERPRINT not in metadata:
        raise ArrowFileError("is damaged: it has no fingerprint")


def _views(file: ArrowFile) -> Views:
    """The columns of `COLUMNS`, of the right types."""
    columns = file.columns()
    views = []
    for column in COLUMNS:
        if column.name not in columns:
            raise ArrowFileError(f"has no column {column.name}")
        view = columns[column.name]
        if view is None or view.format != FORMATS[column.dtype]:
            names = {short: name for name, short in FORMATS.items()}
            kind = "no list of integers" if view is None else f"a list of {names[view.format]}"
            raise ArrowFileError(f"has a column {column.name} that is {kind}, not a list of {column.dtype}")
        views.append(view)
    found = Views(*views)
    found.longest = _longest(file.metadata)
    return found


def _longest_text(longest: Longest) -> str:
    return " ".join(map(str, longest))


def _longest(metadata: Mapping[str, str]) -> Longest:
    numbers = metadata.get(LONGEST, "").split(" ")
    if len(numbers) != len(Longest._fields) or not all(text.isdecimal() and len(text) < 20 for text in numbers):
        raise ArrowFileError(f"is damaged: its entry {LONGEST} is {metadata.get(LONGEST)!r}")
    return Longest(*map(int, numbers))


def _minor(metadata: Mapping[str, str]) -> int:
    return int(metadata[FORMAT].partition(".")[2])


def is_of_later_version(metadata: Mapping[str, str]) -> bool:
    """Tell whether a file that can be read was written by a later version of rer-numba, with another MINOR."""
    return _minor(metadata) > FORMAT_MINOR


def _verify(views: Views, metadata: dict[str, str]) -> None:
    """Raise unless the tables are undamaged and sound."""
    from rer_numba.checks import check, longest_of_checked

    _verify_columns(views, metadata)
    # a later MINOR has columns that are not read here, and takes its fingerprint of them too
    if _minor(metadata) <= FORMAT_MINOR and metadata[FINGERPRINT] != fingerprint(views):
        raise ArrowFileError("is damaged: its fingerprint is of other tables")
    problem = check(views)
    if problem:
        raise ArrowFileError(f"is damaged: {problem}")
    _verify_locations(views)
    if longest_of_checked(views) != views.longest:
        raise ArrowFileError(f"is damaged: its entry {LONGEST} is {metadata[LONGEST]!r}")


def _verify_locations(views: Views) -> None:
    """Raise unless the locations are texts that a path may have here."""
    if not len(views.location_text):
        return
    from rer_numba.paths.freshness import source_texts

    text = source_texts(views)
    for row in views.location_text.tolist():
        try:
            path = os.fsencode(text(row))
        except UnicodeEncodeError:
            path = b"\0"
        if b"\0" in path:
            raise ArrowFileError(f"is damaged: {text(row)!r} is no path")


def _verify_columns(arrays: Sequence[Any], metadata: dict[str, str]) -> None:
    checksums = dict(item.partition("=")[::2] for item in metadata.get(COLUMN_CHECKSUMS, "").split(" "))
    for column, array in zip(COLUMNS, arrays, strict=True):
        if checksums.get(column.name) != f"{zlib.crc32(array):08x}":
            raise ArrowFileError(f"is damaged: the checksum of column {column.name} is wrong")
