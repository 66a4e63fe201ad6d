"""Memory for `rer_numba.compose`, and the crossing into its kernels.

The kernels are loaded as machine code of their own (`rer_numba.native`), so that a process that only solves does not
load them. With ``RER_NUMBA_ENGINE=jit`` they run through Numba's ``@njit``, on bundles of arrays.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from operator import add, floordiv, mul
from typing import Any

from rer_numba.compose_parts import BASES, Ints, Part, place_parts
from rer_numba.composing import state
from rer_numba.composing.state import (
    OUT_DTYPES,
    OUT_FIELDS,
    OUT_SET_DTYPES,
    OUT_SET_FIELDS,
    PART_DTYPES,
    PART_FIELDS,
    SET_DTYPES,
    SET_FIELDS,
    WORK,
    WORK_DTYPES,
)
from rer_numba.environment import uses_jit
from rer_numba.needed import require
from rer_numba.schema import BUILDING, COLUMN_BY_NAME, COLUMNS, Column
from rer_numba.views import addresses, empty, typed, zeros

_ITEM_SIZES = {"uint8": 1, "int32": 4, "int64": 8, "uint64": 8}
FIRST_SLOTS = 1024
"""Of the tables of texts and errors: a power of two."""
_ALIGNED = 64
_LARGE_PAGE = 1 << 21
_WORTH_A_PAGE = 1 << 19


# --------------------------------------------------------------------------------------------------------------- memory
class _Block:
    """Arrays in one piece of memory, which is zero.

    Parameters
    ----------
    kinds : iterable of (str, int)
        Type and length of each.
    is_filled : bool
        All of it will be written, or nearly.
    """

    def __init__(self, kinds: Iterable[tuple[str, int]], *, is_filled: bool) -> None:
        self._kinds = list(kinds)
        sizes = [length * _ITEM_SIZES[dtype] for dtype, length in self._kinds]
        self._starts = list(accumulate((-(-size // _ALIGNED) * _ALIGNED for size in sizes), initial=0))
        self._memory = _in_large_pages(self._starts[-1]) if is_filled else zeros("uint8", self._starts[-1] or 1)
        (base,) = addresses([self._memory])
        self.addresses = [base + start for start in self._starts[:-1]]

    def view(self, place: int) -> memoryview[int]:
        """One of the arrays."""
        dtype, length = self._kinds[place]
        if not length:
            return empty(dtype)
        start = self._starts[place]
        return typed(self._memory[start : start + length * _ITEM_SIZES[dtype]], dtype)

    def views(self) -> list[memoryview[int]]:
        """All of them."""
        return list(map(self.view, range(len(self._kinds))))


def _in_large_pages(size: int) -> memoryview[int]:
    """Memory for bytes that will all be written, in pages of 2 MB where the system has them.

    Touching 6 MB for the first time costs 0.6 ms instead of 3.9, on a virtual machine (November 2026).
    """
    if size < _WORTH_A_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return zeros("uint8", size or 1)
    memory = zeros("uint8", size + _LARGE_PAGE)
    pages: Any = memory.obj
    try:
        pages.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        pass  # a kernel without them
    start = -addresses([memory])[0] % _LARGE_PAGE
    return memory[start : start + size]


def room_sizes(totals: dict[str, int], n_parts: int, n_locations: int, asked: tuple[int, int]) -> dict[str, int]:
    """What the lengths of the work arrays are expressions of: upper bounds, since untouched memory costs nothing."""
    n_asked, asked_bytes = asked
    # each version may be spelled anew, with dots
    text = totals["text"] + totals["source_text"] + n_asked + totals["version"] + 16
    name = totals["family"] + totals["folder"] + n_asked
    error = totals["error"] + n_asked
    return {
        "HEAD_SIZE": state.HEAD_SIZE,
        "asked": 0,
        "asked_byte": 0,
        "part": n_parts,
        "text": text,
        "text_slot": _slots(text),
        "text_byte": 3 * totals["text_byte"] + 2 * asked_bytes,
        "error": error,
        "error_slot": _slots(error),
        "name": name,
        "version_entry": totals["version"] + 1,
        "location": n_locations,
        "folder": totals["folder"] + n_locations,
        "row": max(
            name, totals["version"] + 1, totals["range"], totals["requirement"], totals["package"], totals["folder"]
        ),
        **{f"part_{table}": totals[table] for table in BASES},
        **{f"part_{table}": totals[table] for table in ("cut", "value")},
        **{table: totals[table] for table in ("package", "key_byte", "watch")},
    }


def _slots(count: int) -> int:
    """Room for a table that doubles when half of it is full."""
    return max(FIRST_SLOTS, 4 << count.bit_length())


def _length(text: str, sizes: Mapping[str, int]) -> int:
    """The length of a work array: a size, or two joined by a sign."""
    for sign, joined in _SIGNS.items():
        first, found, second = text.partition(sign)
        if found:
            return joined(_size(first, sizes), _size(second, sizes))
    return _size(text, sizes)


_SIGNS: dict[str, Callable[[int, int], int]] = {" + ": add, " * ": mul, " // ": floordiv}


def _size(word: str, sizes: Mapping[str, int]) -> int:
    return int(word) if word.isdigit() else sizes[word]


# ----------------------------------------------------------------------------------------------------------------- room
_WORK_PLACES = {field.name: place for place, field in enumerate(WORK)}
_N_PART = len(PART_FIELDS) + 2 * len(SET_FIELDS)
_N_SET = len(OUT_SET_FIELDS)
_FIRST_OUT = _N_PART + len(WORK)
_FIRST_SET = _FIRST_OUT + len(OUT_FIELDS)
_SETS = {"": _FIRST_SET, BUILDING: _FIRST_SET + _N_SET}


def _out_places() -> dict[str, int]:
    """Where the address of each column stands in the table."""
    places = {name: _FIRST_OUT + place for place, (name, _) in enumerate(OUT_FIELDS)}
    for prefix, first in _SETS.items():
        places |= {prefix + name: first + place for place, (name, _) in enumerate(OUT_SET_FIELDS)}
    return places


_OUT_PLACES = _out_places()


class Room:
    """Work arrays and columns, and the table of their addresses, where the kernels find them.

    Parameters
    ----------
    parts : sequence of Part
    n_locations : int
    asked : (int, int)
        How many texts will be asked for, and how many bytes they have.
    everything : bool
        All families of all parts are taken.

    Attributes
    ----------
    head : memoryview
        The scalars of `rer_numba.composing.state`.
    """

    def __init__(self, parts: Sequence[Part], n_locations: int, asked: tuple[int, int], *, everything: bool) -> None:
        sizes = room_sizes(place_parts(parts), len(parts), n_locations, asked)
        kinds = [(field.dtype, _length(field.length, sizes)) for field in WORK]
        self._parts = parts
        self._work = _Block(kinds, is_filled=everything)
        self._replaced: dict[str, Ints] = {}
        self._columns: dict[str, memoryview[int]] = {}
        self.head = self.work("head")
        self.head[state.N_PARTS] = len(parts)
        self.head[state.NAME_ROOM] = sizes["name"]
        self.head[state.N_LOCATIONS] = n_locations
        self.head[state.TEXT_SLOTS] = self.head[state.ERROR_SLOTS] = FIRST_SLOTS
        self._table = array("q", bytes(8 * (_FIRST_SET + 2 * _N_SET)))
        self._table[_N_PART:_FIRST_OUT] = array("q", self._work.addresses)
        self._places = [array("q", addresses([*part.columns, *part.plain, *part.building])) for part in parts]
        self._run = _jit_run(self) if uses_jit() else _native_run(self._table)

    def work(self, name: str) -> Ints:
        """A work array."""
        return self._replaced[name] if name in self._replaced else self._work.view(_WORK_PLACES[name])

    def step(self, step: int, part: int = 0) -> None:
        """Take a step, for a part if it is one of those."""
        self.head[state.STEP] = step
        self._table[:_N_PART] = self._places[part]
        status = self._run(part)
        if status:
            raise RuntimeError(f"step {step} of composing tables ended with {status}")

    def ask(self, texts: Iterable[str]) -> None:
        """Put texts where `state.INTERN` finds them."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self.replace("asked_offsets", array("q", accumulate(map(len, encoded), initial=0)))
        self.replace("asked_bytes", array("B", b"".join(encoded)))
        self.replace("asked_text", array("i", bytes(4 * len(encoded))))
        self.head[state.N_ASKED] = len(encoded)

    def replace(self, name: str, buffer: Ints) -> None:
        """Put an array in the place of a work array."""
        self._replaced[name] = buffer
        (self._table[_N_PART + _WORK_PLACES[name]],) = addresses([buffer])

    # --- columns

    def make(self, counts: Mapping[str, int]) -> None:
        """Make columns in one piece of memory.

        Parameters
        ----------
        counts : mapping
            How many rows tables have, or how long the values behind offsets are; see `schema.Column.length`.
        """
        lengths = {}
        for column in COLUMNS:
            word, _, more = column.length.partition(" + ")
            if word in counts and self._is_wanted(column):
                lengths[column.name] = counts[word] + int(more or 0)
        kinds = [(COLUMN_BY_NAME[name].dtype, length) for name, length in lengths.items()]
        block = _Block(kinds, is_filled=True)
        self._columns |= zip(lengths, block.views(), strict=True)
        for name, address in zip(lengths, block.addresses, strict=True):
            self._table[_OUT_PLACES[name]] = address

    def _is_wanted(self, column: Column) -> bool:
        if column.source:
            return bool(self.head[state.HAS_SOURCES])
        return not column.name.startswith(BUILDING) or bool(self.head[state.BUILDING_DIFFERS])

    def column(self, name: str) -> memoryview[int]:
        """A column that has been made; without rows if it is not wanted."""
        return self._columns[name]

    def columns(self) -> list[memoryview[int]]:
        """All columns, read-only."""
        columns = self._columns
        return [columns[one.name].toreadonly() if one.name in columns else empty(one.dtype) for one in COLUMNS]

    # --- what is needed of texts and keys

    def text(self, number: int) -> str:
        """A text by its number."""
        starts = self.work("text_start")
        return str(self.work("text_bytes")[starts[number] : starts[number + 1]], "utf-8", "surrogatepass")

    def key(self, rank: int) -> bytes:
        """The sort key of the version of a rank."""
        entry, starts = self.work("version_entry")[rank], self.work("version_start")
        return bytes(self.work("key_bytes")[starts[entry] : starts[entry + 1]])

    def spelling(self, rank: int) -> str:
        """Any spelling of the version of a rank."""
        return self.text(self.work("version_text")[self.work("version_entry")[rank]])


# ------------------------------------------------------------------------------------------------------------- crossing
Run = Callable[[int], int]
"""Runs the kernels for a part, which stands in the table already."""


def _native_run(table: array[int]) -> Run:
    from rer_numba.native import load_native
    from rer_numba.native.key import COMPOSING

    function, place = load_native(kernels=COMPOSING), table.buffer_info()[0]
    return lambda _part: function(place)


def _jit_run(room: Room) -> Run:
    require("RER_NUMBA_ENGINE=jit", "numba", "numpy")
    import numpy as np

    from rer_numba.composing import kernels

    def copied(bundle: Any, buffers: Iterable[Ints], dtypes: Iterable[str]) -> Any:
        # what cannot be written is another type to Numba: copies keep one signature for each kernel
        return bundle(*[np.array(one, dtype) for one, dtype in zip(buffers, dtypes, strict=True)])

    def shared(bundle: Any, buffers: Iterable[Ints], dtypes: Iterable[str]) -> Any:
        pairs = zip(buffers, dtypes, strict=True)
        return bundle(*[np.ndarray(len(one), dtype, one) if len(one) else np.empty(0, dtype) for one, dtype in pairs])

    parts = [
        (
            copied(kernels.Part, part.columns, PART_DTYPES),
            copied(kernels.PartSet, part.plain, SET_DTYPES),
            copied(kernels.PartSet, part.building, SET_DTYPES),
        )
        for part in room._parts
    ]

    nothing = empty("int64")

    def run(part: int) -> int:
        columns = room._columns
        work = shared(kernels.Work, [room.work(field.name) for field in WORK], WORK_DTYPES)
        out = shared(kernels.Out, [columns.get(name, nothing) for name, _ in OUT_FIELDS], OUT_DTYPES)
        sets = [
            shared(kernels.OutSet, [columns.get(prefix + name, nothing) for name, _ in OUT_SET_FIELDS], OUT_SET_DTYPES)
            for prefix in _SETS
        ]
        return int(kernels.enter(*parts[part], work, out, *sets))

    return run
