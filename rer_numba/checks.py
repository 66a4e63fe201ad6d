"""Says whether tables are sound, so that a kernel may use them without looking.

`check` goes from the simple to the involved: types and lengths, offsets and the bounds of every index, and then what
columns promise each other (`rer_numba.promises`), which relies on all of the former.
"""

from __future__ import annotations

from rer_numba.promises import FACT_CHECKS, REQUIRES_CHECKS, Check
from rer_numba.schema import (
    BUILDING,
    COLUMN_BY_NAME,
    COLUMNS,
    NONE,
    Column,
    IntArray,
    Tables,
    count,
    expected_length,
)

# offsets into a table that has its own length: they must end with it
_PARTITIONS = {
    "family_package_offsets": "package",
    "family_variant_offsets": "variant",
    "package_variant_offsets": "variant",
    "family_mention_offsets": "mention",
    "mention_link_offsets": "link",
    "folder_watch_offsets": "watch",
}


def check(tables: Tables) -> str | None:
    """What is wrong with the tables, as a sentence, or None.

    Notes
    -----
    2.8 ms for rez's benchmark repository (4.1 MB; 2.6 GHz Xeon, November 2026): a few passes over the integers, and one
    sort of the variants' requirements, which is a third of it.
    """
    building_absent = len(tables.building_variant_requirement_offsets) == 0
    problem = _check_columns(tables, building_absent) or _first_problem(FACT_CHECKS + REQUIRES_CHECKS, tables)
    if problem or building_absent:
        return problem
    problem = _first_problem(REQUIRES_CHECKS, _building_as_plain(tables))
    return f"with build_requires, {problem}" if problem else None


def _first_problem(checks: tuple[Check, ...], tables: Tables) -> str | None:
    for one in checks:
        problem = one(tables)
        if problem:
            return problem
    return None


def _building_as_plain(tables: Tables) -> Tables:
    """The same tables with the building set in the place of the plain one."""
    names = [column.name for column in COLUMNS if column.requires and not column.name.startswith(BUILDING)]
    return tables._replace(**{name: getattr(tables, BUILDING + name) for name in names})


# each column by itself


def _check_columns(tables: Tables, building_absent: bool) -> str | None:
    for column in COLUMNS:
        array = getattr(tables, column.name)
        if array.dtype != column.dtype or array.ndim != 1:
            return f"column {column.name} is {array.dtype}[{array.ndim}d], not {column.dtype}"
    for column in COLUMNS:
        array = getattr(tables, column.name)
        if building_absent and column.name.startswith(BUILDING):
            problem = "is not empty although the building set is absent" if len(array) else None
        elif column.source and len(tables.location_text) == 0:
            problem = "is not empty although there are no locations" if len(array) else None
        else:
            problem = _check_values(tables, column, array)
        if problem:
            return f"column {column.name} {problem}"
    return None


def _check_values(tables: Tables, column: Column, array: IntArray) -> str | None:
    wanted = expected_length(tables, column)
    if len(array) != wanted:
        return f"has {len(array)} entries, not {wanted}"
    if column.is_offsets:
        return _check_offsets(tables, column, array)
    if not column.refers or len(array) == 0:
        return None
    limit = _rows(tables, column.refers)
    lowest = NONE if column.optional else 0
    if array.min() < lowest or array.max() >= limit:
        return f"points outside of its {limit} {column.refers} rows"
    return None


def _check_offsets(tables: Tables, column: Column, array: IntArray) -> str | None:
    # compared, not subtracted: a difference of wild numbers may overflow
    if array[0] != 0 or (array[1:] < array[:-1]).any():
        return "does not begin at 0 or falls"
    name = column.name.removeprefix(BUILDING)
    if name in _PARTITIONS:
        prefix = BUILDING if column.name != name and _PARTITIONS[name] in ("mention", "link") else ""
        rows = count(tables, prefix + _PARTITIONS[name])
        if array[-1] != rows:
            return f"ends at {array[-1]}, not at the {rows} {_PARTITIONS[name]} rows"
    return None


def _rows(tables: Tables, refers: str) -> int:
    if refers.startswith("@"):
        return expected_length(tables, COLUMN_BY_NAME[refers[1:]])
    return count(tables, refers)
