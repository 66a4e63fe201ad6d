"""Reads many damaged copies of a repository file. Runs as a process of its own, so that a crash is seen as one.

``python -m tests.store_fuzz KIND FILE SEED COUNT`` prints how often each outcome was seen. A copy must either be
refused with a `RepositoryFileError` or read as exactly the same repository; anything else ends the process with an
error. Of a copy whose checksums *and* fingerprint were made right again nobody can tell that it is damaged. It must be
refused, or be solved without a crash.
"""

from __future__ import annotations

import collections
import json
import os
import random
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from rer_numba import Repository, store
from rer_numba.arrow_file import ArrowFile
from rer_numba.errors import RepositoryCorruptError, RepositoryFileError
from rer_numba.schema import COLUMNS, Tables
from rer_numba.views import Views, addresses, tables_of

REQUESTS = [
    ["app"],
    ["lib"],
    ["python"],
    ["app-3", "lib"],
    ["app", "python-2", "~lib-3"],
    ["app-1|5", "gui"],
    [".feat-1", "app"],
]
"""Of `small_tables`."""
ROOM = 256 << 20  # bytes that a small file may make the process take, at most


def truncated(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """Every length from nothing up, whatever `count` is."""
    for size in range(len(data)):
        yield data[:size]


def cut_out(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """Whole at both ends, with a part missing or doubled in between."""
    for _ in range(count):
        first, last = sorted(rng.sample(range(len(data)), 2))
        yield rng.choice([data[:first] + data[last:], data[:last] + data[first:]])


def bit_flips(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """One bit, half of the time in the description at the end."""
    for _ in range(count):
        copy = bytearray(data)
        first = rng.choice([0, _footer_start(data)])
        copy[rng.randrange(first, len(data))] ^= 1 << rng.randrange(8)
        yield bytes(copy)


def random_bytes(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """A few bytes in a row, at any place or in the footer: noise, zeros, ones."""
    for _ in range(count):
        copy = bytearray(data)
        size = rng.choice([1, 2, 4, 8, 8, 64])
        at = rng.randrange(rng.choice([0, _footer_start(data)]), len(data))
        copy[at : at + size] = rng.choice([rng.randbytes(size), bytes(size), b"\xff" * size])
        yield bytes(copy)


def wild_numbers(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """A number that is an offset or a length somewhere in the footer or in the message is made another one."""
    for _ in range(count):
        copy = bytearray(data)
        size = rng.choice([2, 4, 4, 8])
        at = rng.randrange(_footer_start(data), len(data) - size) // size * size
        value = int.from_bytes(copy[at : at + size], "little")
        top = 1 << 8 * size
        other = rng.choice([0, 1, value + 1, value - 1, value * 2, len(data), top // 2, top - 1, top // 2 - 1, -8])
        copy[at : at + size] = (other % top).to_bytes(size, "little")
        yield bytes(copy)


def noise(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """Files of nothing but noise, most of them within Arrow's magic."""
    for _ in range(count):
        body = rng.randbytes(rng.randrange(400))
        if rng.random() < 0.8:
            length = rng.choice([len(body), rng.randrange(500), 1 << 31, -1]) % (1 << 32)
            body = b"ARROW1\0\0" + body + length.to_bytes(4, "little") + b"ARROW1"
        yield body


def repaired_columns(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """Other values in a column or two that the fingerprint covers; it is of the old ones, all checksums are right."""
    covered = [column.name for column in COLUMNS if not column.source]
    for _ in range(count):
        yield _repair(_with_other_values(data, rng, covered), fingerprint=False)


def repaired_metadata(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """Another character in the metadata; its checksum is right."""
    entries = ArrowFile(data).metadata
    keys = [key for key in entries if key != store.METADATA_CHECKSUM]
    for _ in range(count):
        key = rng.choice(keys)
        old = entries[key]
        at = rng.randrange(len(old))
        new = old[:at] + chr(rng.randrange(33, 127)) + old[at + 1 :]
        yield _patch(data, {**entries, key: new})


def forged(data: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """Other values in a column or two; checksums and fingerprint are right."""
    for _ in range(count):
        yield _repair(_with_other_values(data, rng, list(Tables._fields)), fingerprint=True)


KINDS: dict[str, Callable[[bytes, random.Random, int], Iterator[bytes]]] = {
    kind.__name__: kind
    for kind in (
        truncated,
        cut_out,
        bit_flips,
        random_bytes,
        wild_numbers,
        noise,
        repaired_columns,
        repaired_metadata,
        forged,
    )
}


def _with_other_values(data: bytes, rng: random.Random, names: list[str]) -> bytearray:
    """One value or more, of one of these columns or of two, made another one; most are values that might be right."""
    copy = bytearray(data)
    places = _column_places(data)
    for name in rng.sample(sorted(places.keys() & set(names)), rng.choice([1, 1, 2])):
        at, array = places[name]
        size = array.itemsize
        for _ in range(rng.choice([1, 1, 1, 3])):
            row = rng.randrange(len(array))
            old, other = array[row], rng.choice(array)
            limits = np.iinfo(array.format)
            near = [0, 1, -1, old + 1, old - 1, other, other, len(array), old ^ 1 << rng.randrange(8 * size)]
            new = rng.choice([*near, int(limits.max), int(limits.min)]) % (1 << 8 * size)
            copy[at + row * size : at + (row + 1) * size] = new.to_bytes(size, "little")
    return copy


def _column_places(data: bytes) -> dict[str, tuple[int, memoryview]]:
    """Where in the file each column begins that is not empty, and its values."""
    found = ArrowFile(data).columns()
    columns = {column.name: view for column in COLUMNS if (view := found[column.name])}
    start, *places = addresses([data, *columns.values()])
    return {name: (at - start, view) for at, (name, view) in zip(places, columns.items(), strict=True)}


def _repair(data: bytearray, *, fingerprint: bool) -> bytes:
    """Make the checksums of the columns and of the metadata right, and the fingerprint too if it is to be forged."""
    file = ArrowFile(bytes(data))
    columns = file.columns()
    arrays = [array for column in COLUMNS if (array := columns[column.name]) is not None]
    entries = dict(file.metadata)
    sums = (f"{column.name}={zlib.crc32(array):08x}" for column, array in zip(COLUMNS, arrays, strict=True))
    entries[store.COLUMN_CHECKSUMS] = " ".join(sums)
    if fingerprint:
        entries[store.FINGERPRINT] = store.fingerprint(tables_of(Views(*arrays)))
    return _patch(bytes(data), entries)


def _patch(data: bytes, entries: dict[str, str]) -> bytes:
    """Put other metadata of the same lengths in the place of the old, with the right checksum of itself."""
    old = ArrowFile(data).metadata
    entries = {**entries, store.METADATA_CHECKSUM: store._metadata_checksum(entries)}
    for key, value in entries.items():
        if value != old[key]:
            place = data.index(_as_string(old[key]), _footer_start(data))  # the footer is what is read
            data = data[:place] + _as_string(value) + data[place + len(_as_string(value)) :]
    assert ArrowFile(data).metadata == entries
    return data


def _footer_start(data: bytes) -> int:
    return len(data) - 10 - int.from_bytes(data[-10:-6], "little")


def _as_string(text: str) -> bytes:
    """A string as it stands in a flatbuffer."""
    return len(text.encode()).to_bytes(4, "little") + text.encode() + b"\0"


def outcome(path: Path, original: store.OpenedFile, kind: str, rng: random.Random) -> str:
    """How a damaged copy was taken."""
    try:
        found = store.read(path)
    except RepositoryFileError as error:
        if str(path) not in str(error):
            raise AssertionError("an error does not name its file") from error
        return "damaged" if type(error) is RepositoryCorruptError else "version"
    if kind == "forged":
        return solve_some(found.tables, rng.sample(REQUESTS, 3))
    same = kind == "repaired_metadata" or (
        found.metadata == original.metadata and found.fingerprint == original.fingerprint
    )
    if not (same and all(map(np.array_equal, found.tables, original.tables))):
        raise AssertionError("a damaged file was read as another repository")
    return "same"


def solve_some(tables: Tables, requests: list[list[str]]) -> str:
    """Solve requests. Each has an answer, or is refused since a text that was forged means nothing."""
    repository = Repository(tables)
    seen = "solved"
    for request in requests:
        for building in (False, True):
            try:
                result = repository.solve(request, building=building)
                str(result.failure_description)
                str(result.resolved_packages)
            except RepositoryCorruptError:
                seen = "text"
    return seen


def _limit_memory() -> None:
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # only where there is a way to
        return
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))


def main(kind: str, file: str, seed: str, count: str) -> None:
    original = store.read(file)
    data = Path(file).read_bytes()
    path = Path(f"{file}.{os.getpid()}")
    rng = random.Random(int(seed))
    if kind == "forged":
        solve_some(original.tables, REQUESTS[:1])  # compiling takes more memory than what follows may
    _limit_memory()
    seen = collections.Counter[str]()
    for i, copy in enumerate(KINDS[kind](data, rng, int(count))):
        path.write_bytes(copy)
        try:
            seen[outcome(path, original, kind, rng)] += 1
        except BaseException:
            print(f"case {i} of {kind}, seed {seed}", file=sys.stderr)
            raise
        finally:
            path.unlink()  # to write over a file is ten times slower: ext4 waits for the disk
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
