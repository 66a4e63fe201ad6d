"""Says whether tables are sound, so that a kernel may use them without looking.

`check` goes from the simple to the involved: types and lengths, offsets and the bounds of every index, and then what
columns promise each other (`rer_numba.promises`), which relies on all of the former. Kernels look at the values; what
they find becomes a sentence here. Nothing needs numpy, which would take longer to import than all of it to run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from rer_numba.check_room import Room
from rer_numba.checking import state
from rer_numba.promises import FACTS, REQUIRES, Sentences
from rer_numba.schema import (
    BUILDING,
    COLUMN_BY_NAME,
    COLUMNS,
    FORMATS,
    NONE,
    Column,
    Tables,
    count,
    expected_length,
)
from rer_numba.views import Longest, Views, typed

# offsets into a table that has its own length: they must end with it
_PARTITIONS = {
    "family_package_offsets": "package",
    "family_variant_offsets": "variant",
    "package_variant_offsets": "variant",
    "family_mention_offsets": "mention",
    "mention_link_offsets": "link",
    "folder_watch_offsets": "watch",
}
_DTYPES = {short: name for name, short in FORMATS.items()} | {
    # numpy calls one of its types by that of the compiler, which has 32 or 64 bits
    short: f"{name}{8 * array(short).itemsize}"
    for short, name in (("l", "int"), ("L", "uint"))
}


def check(tables: Tables | Views) -> str | None:
    """What is wrong with the tables, as a sentence, or None.

    Notes
    -----
    1.4 ms for rez's benchmark repository (4.2 MB; Rocket Lake, November 2026), half of it for the 215,000 requirements
    of its variants. With numpy it was 7.2, and 30 or more to import that.
    """
    problem = _check_types(tables)
    if problem:
        return problem
    room = Room(_in_one_piece(tables))
    problem = _check_columns(room) or _first_broken(room, FACTS, "") or _first_broken(room, REQUIRES, "")
    if problem or not room.head[state.HAS_BUILDING]:
        return problem
    problem = _first_broken(room, REQUIRES, BUILDING)
    return f"with build_requires, {problem}" if problem else None


def longest_of_checked(views: Views) -> Longest:
    """What `rer_numba.views.longest_of` says of columns that have passed `check`, without numpy."""
    room = Room(views)
    return Longest(
        room.look_at("family_variant_offsets", state.LONGEST), room.look_at("package_variant_offsets", state.LONGEST)
    )


def _first_broken(room: Room, promises: Sentences, prefix: str) -> str | None:
    for step in promises:
        row = room.take(step, prefix)
        if row != NONE:
            return promises[step][room.head[state.SENTENCE]].format(row=row, value=room.head[state.VALUE])
    return None


# types


def _check_types(tables: Tables | Views) -> str | None:
    columns: Iterable[Any] = tables
    for column, values in zip(COLUMNS, columns, strict=True):
        dtype = _DTYPES.get(values.format, values.format) if isinstance(values, memoryview) else str(values.dtype)
        if dtype != column.dtype or values.ndim != 1:
            return f"column {column.name} is {dtype}[{values.ndim}d], not {column.dtype}"
    return None


def _in_one_piece(tables: Tables | Views) -> Views:
    """The columns as the kernels read them. What comes from a file is so already."""
    columns: Iterable[Any] = tables
    views: list[memoryview[int]] = [memoryview(values) for values in columns]
    for place, (column, view) in enumerate(zip(COLUMNS, views, strict=True)):
        if not view.c_contiguous:
            views[place] = typed(memoryview(view.tobytes()), column.dtype)
    return Views(*views)


# each column by itself


def _check_columns(room: Room) -> str | None:
    views = room.views
    for column in COLUMNS:
        view = getattr(views, column.name)
        if not room.head[state.HAS_BUILDING] and column.name.startswith(BUILDING):
            problem = "is not empty although the building set is absent" if len(view) else None
        elif column.source and not room.head[state.N_LOCATIONS]:
            problem = "is not empty although there are no locations" if len(view) else None
        else:
            problem = _check_values(room, column)
        if problem:
            return f"column {column.name} {problem}"
    return None


def _check_values(room: Room, column: Column) -> str | None:
    view: memoryview[int] = getattr(room.views, column.name)
    wanted = expected_length(room.views, column)
    if len(view) != wanted:
        return f"has {len(view)} entries, not {wanted}"
    if column.is_offsets:
        return _check_offsets(room, column, view)
    if not column.refers or len(view) == 0:
        return None
    limit = _rows(room.views, column.refers)
    if room.look_at(column.name, state.INDEX, NONE if column.optional else 0, limit) != NONE:
        return f"points outside of its {limit} {column.refers} rows"
    return None


def _check_offsets(room: Room, column: Column, view: memoryview[int]) -> str | None:
    step = state.WIDE_OFFSETS if column.dtype == "int64" else state.NARROW_OFFSETS
    if room.look_at(column.name, step) != NONE:
        return "does not begin at 0 or falls"
    name = column.name.removeprefix(BUILDING)
    if name in _PARTITIONS:
        prefix = BUILDING if column.name != name and _PARTITIONS[name] in ("mention", "link") else ""
        rows = count(room.views, prefix + _PARTITIONS[name])
        if view[-1] != rows:
            return f"ends at {view[-1]}, not at the {rows} {_PARTITIONS[name]} rows"
    return None


def _rows(views: Views, refers: str) -> int:
    if refers.startswith("@"):
        return expected_length(views, COLUMN_BY_NAME[refers[1:]])
    return count(views, refers)
