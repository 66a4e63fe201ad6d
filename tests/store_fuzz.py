"""Reads many damaged copies of a repository file. Runs as a process of its own, so that a crash is seen as one.

``python -m tests.store_fuzz KIND FILE SEED COUNT`` prints how often each outcome was seen. A copy must either be
refused with a `RepositoryFileError` or read as exactly the same repository; anything else ends the process with an
error.
"""

from __future__ import annotations

import collections
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from rer_numba import store
from rer_numba.errors import RepositoryCorruptError, RepositoryFileError

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


KINDS: dict[str, Callable[[bytes, random.Random, int], Iterator[bytes]]] = {
    kind.__name__: kind for kind in (truncated, cut_out, bit_flips, random_bytes, wild_numbers, noise)
}


def _footer_start(data: bytes) -> int:
    return len(data) - 10 - int.from_bytes(data[-10:-6], "little")


def outcome(path: Path, original: store.OpenedFile) -> str:
    """How a damaged copy was taken."""
    try:
        found = store.read(path)
    except RepositoryFileError as error:
        if str(path) not in str(error):
            raise AssertionError("an error does not name its file") from error
        return "damaged" if type(error) is RepositoryCorruptError else "version"
    same = found.metadata == original.metadata and found.fingerprint == original.fingerprint
    if not (same and all(map(np.array_equal, found.tables, original.tables))):
        raise AssertionError("a damaged file was read as another repository")
    return "same"


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
    _limit_memory()
    seen = collections.Counter[str]()
    for i, copy in enumerate(KINDS[kind](data, random.Random(int(seed)), int(count))):
        path.write_bytes(copy)
        try:
            seen[outcome(path, original)] += 1
        except BaseException:
            print(f"case {i} of {kind}, seed {seed}", file=sys.stderr)
            raise
        finally:
            path.unlink()  # to write over a file is ten times slower: ext4 waits for the disk
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
