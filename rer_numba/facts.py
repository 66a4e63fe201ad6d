"""What packages say, parsed and merged, but numbered for themselves: the half-way point between packages and tables.

Facts can be made anywhere: from packages (`rer_numba.encode`), by several processes for a part of the packages each, or
from the tables of a repository that was encoded before. `join` makes one of many, and `rer_numba.link` the tables: they
depend on what the facts say and not on how they were numbered. So a repository in which one family changed is the facts
of the old tables without that family, joined with those of the family as it is now.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

import numpy as np

from rer_numba import schema
from rer_numba.schema import CUT_INF, CUT_SHIFT, NONE, IntArray, Tables

T = TypeVar("T", bound=Hashable)

Error = tuple[str, str]
"""Class name and text of what rez raises."""

PACKAGE_FACTS: dict[str, tuple[str, str]] = {
    # name: numpy type, what its values number ("" for plain numbers)
    "name": ("int32", "name"),
    "version": ("int32", "version"),
    "version_text": ("int32", "text"),
    "given": ("int64", ""),  # ascending in the order in which rez lists the packages of a family
    "indexed": ("uint8", ""),
    "variants": ("int32", ""),  # how many
    "uri_text": ("int32", "text"),
    "uri_tail_text": ("int32", "text"),
    "timestamp": ("int64", ""),
    "timestamp_error": ("int32", "error"),
    "error": ("int32", "error"),
    "location": ("int32", ""),
    "inode": ("int64", ""),
    "mtime": ("int64", ""),
    "size": ("int64", ""),
    "ctime": ("int64", ""),
}


class Numbered(Generic[T]):
    """Numbers for distinct things, counted from 0 as they come."""

    def __init__(self, things: Iterable[T] = ()) -> None:
        self.ids: dict[T, int] = {}
        for thing in things:
            self.add(thing)

    def add(self, thing: T) -> int:
        """The number of a thing."""
        return self.ids.setdefault(thing, len(self.ids))

    def __iter__(self) -> Iterator[T]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Requires:
    """What variants require: an error for each, or NONE, and a list of requirements for each.

    Attributes
    ----------
    error : array of int32, (variants,)
        Numbers of `Facts.errors`.
    offsets : array of int64, (variants + 1,)
    values : array of int32
        Numbers of requirements, in rez's order, at most one for each family.
    """

    error: IntArray
    offsets: IntArray
    values: IntArray

    def equals(self, other: Requires) -> bool:
        """True when they are the same numbers."""
        return (
            np.array_equal(self.error, other.error)
            and np.array_equal(self.offsets, other.offsets)
            and np.array_equal(self.values, other.values)
        )


@dataclass
class Facts:
    """See the head of this module.

    Attributes
    ----------
    names : list of str
        Families and ephemerals, each once.
    version_keys : list of bytes
        Sort keys of versions of packages and of bounds, each once.
    version_texts : list of str
        A spelling of each.
    texts : list of str
        The strings that packages have, each once.
    errors : list of (str, str)
    family_errors : dict
        Name to the error that listing the family raises.
    requirement_text : list of str
        Canonical, each once.
    requirement_name, requirement_flags : array of int32
    requirement_cut_offsets : array of int64
    requirement_cut : array of int64
        As in `rer_numba.schema`, with numbers of `version_keys` in the place of ranks. No cuts: no range.
    packages : dict of array
        The columns of `PACKAGE_FACTS`.
    requires, building : Requires
        One row for each variant of the packages, in order. One object when no package has build_requires.
    """

    names: list[str]
    version_keys: list[bytes]
    version_texts: list[str]
    texts: list[str]
    errors: list[Error]
    family_errors: dict[str, Error]
    requirement_text: list[str]
    requirement_name: IntArray
    requirement_flags: IntArray
    requirement_cut_offsets: IntArray
    requirement_cut: IntArray
    packages: dict[str, IntArray]
    requires: Requires
    building: Requires


def offsets_of(lengths: Iterable[int] | IntArray) -> IntArray:
    """Where each of consecutive rows starts, and where the last one ends."""
    if isinstance(lengths, np.ndarray):
        found = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=found[1:])
        return found
    return np.fromiter(accumulate(lengths, initial=0), np.int64)


def rows_of(starts: IntArray, lengths: IntArray) -> IntArray:
    """The numbers ``start, start + 1, ...`` of each row, one row behind the other."""
    offsets = offsets_of(lengths)
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])


def inverse(order: IntArray) -> IntArray:
    """The place of each row in an order."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def map_optional(mapping: IntArray, numbers: IntArray) -> IntArray:
    """Renumber, and leave NONE as it is."""
    return np.append(mapping, np.int64(NONE))[numbers]


def map_cuts(ranks: IntArray, cuts: IntArray) -> IntArray:
    """Renumber the versions that cuts lie beside."""
    at_end = cuts == CUT_INF
    versions = np.where(at_end, 0, cuts >> CUT_SHIFT)
    place: IntArray = (ranks[versions] << CUT_SHIFT) | (cuts & ((1 << CUT_SHIFT) - 1))
    return np.where(at_end, CUT_INF, place)


# ----------------------------------------------------------------------------------------------------------------- join
def join(parts: Sequence[Facts]) -> Facts:
    """Number the facts of several parts together. Nothing is left out, and packages keep their order."""
    if len(parts) < 2:
        return parts[0] if parts else _no_facts()
    names: Numbered[str] = Numbered()
    texts: Numbered[str] = Numbered()
    errors: Numbered[Error] = Numbered()
    versions: Numbered[bytes] = Numbered()
    requirements: Numbered[str] = Numbered()
    spellings: list[str] = []
    family_errors: dict[str, Error] = {}
    new_requirements: list[tuple[IntArray, IntArray, IntArray, IntArray]] = []
    packages: list[dict[str, IntArray]] = []
    plain: list[Requires] = []
    building: list[Requires] = []
    for part in parts:
        maps = {
            "name": _numbers(names, part.names),
            "text": _numbers(texts, part.texts),
            "error": _numbers(errors, part.errors),
            "version": _numbers(versions, part.version_keys),
        }
        spellings += _of_new(maps["version"], len(spellings), part.version_texts)
        known = len(requirements)
        maps["requirement"] = _numbers(requirements, part.requirement_text)
        new_requirements.append(_requirements_from(part, maps, known))
        for name, error in part.family_errors.items():
            family_errors.setdefault(name, error)
        packages.append(
            {
                fact: map_optional(maps[of], part.packages[fact]) if of else part.packages[fact]
                for fact, (_, of) in PACKAGE_FACTS.items()
            }
        )
        plain.append(_renumbered(part.requires, maps))
        building.append(plain[-1] if part.building is part.requires else _renumbered(part.building, maps))
    name_of, flags, cut_counts, cuts = (np.concatenate(columns) for columns in zip(*new_requirements, strict=True))
    joined = _join_requires(plain)
    one_set = all(a is b for a, b in zip(plain, building, strict=True))
    return Facts(
        list(names),
        list(versions),
        spellings,
        list(texts),
        list(errors),
        family_errors,
        list(requirements),
        name_of,
        flags,
        offsets_of(cut_counts),
        cuts,
        {fact: np.concatenate([part[fact] for part in packages]) for fact in PACKAGE_FACTS},
        joined,
        joined if one_set else _join_requires(building),
    )


def _no_facts() -> Facts:
    numbers = np.zeros(0, np.int64)
    packages = dict.fromkeys(PACKAGE_FACTS, numbers)
    requires = Requires(numbers, offsets_of(numbers), numbers)
    return Facts(
        [], [], [], [], [], {}, [], numbers, numbers, offsets_of(numbers), numbers, packages, requires, requires
    )


def _numbers(numbered: Numbered[T], things: Iterable[T]) -> IntArray:
    add, ids = numbered.ids.setdefault, numbered.ids  # calling `Numbered.add` costs as much again
    return np.array([add(thing, len(ids)) for thing in things], np.int64)


def _of_new(numbers: IntArray, known: int, values: list[str]) -> list[str]:
    """The values of those that have got new numbers, which are in order."""
    return [values[row] for row in np.flatnonzero(numbers >= known).tolist()]


def _requirements_from(
    part: Facts, maps: dict[str, IntArray], known: int
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """(name, flags, number of cuts, cuts) of the requirements that no earlier part has."""
    rows = np.flatnonzero(maps["requirement"] >= known)
    starts = part.requirement_cut_offsets[rows]
    counts = part.requirement_cut_offsets[rows + 1] - starts
    cuts = map_cuts(maps["version"], part.requirement_cut[rows_of(starts, counts)])
    return maps["name"][part.requirement_name[rows]], part.requirement_flags[rows], counts, cuts


def _renumbered(requires: Requires, maps: dict[str, IntArray]) -> Requires:
    return Requires(map_optional(maps["error"], requires.error), requires.offsets, maps["requirement"][requires.values])


def _join_requires(parts: list[Requires]) -> Requires:
    return Requires(
        np.concatenate([part.error for part in parts]),
        offsets_of(np.concatenate([np.diff(part.offsets) for part in parts])),
        np.concatenate([part.values for part in parts]),
    )


# ---------------------------------------------------------------------------------------------------------- from tables
def facts_of_tables(tables: Tables, packages: IntArray, families: IntArray) -> Facts:
    """Take some packages of an encoded repository.

    Parameters
    ----------
    packages : array of int
        Rows of packages.
    families : array of int
        Rows of the families whose listing errors are taken too.
    """
    variant_counts = np.diff(tables.package_variant_offsets)[packages]
    variants = rows_of(tables.package_variant_offsets[packages], variant_counts)
    texts = _strings(tables.text_bytes, tables.text_offsets)
    errors = list(zip(_picked(texts, tables.error_type_text), _picked(texts, tables.error_value_text), strict=True))
    names = _picked(texts, tables.family_text)
    broken = families[tables.family_error[families] != NONE].tolist()
    cut_offsets, cuts = _requirement_cuts(tables)
    plain = _requires_of(tables, variants, "")
    has_building = len(tables.building_variant_requirement_offsets) > 0
    keys = bytes(tables.version_key)
    key_offsets = tables.version_key_offsets.tolist()
    return Facts(
        names,
        [keys[start:end] for start, end in pairwise(key_offsets)],
        _picked(texts, tables.version_text),
        texts,
        errors,
        {names[row]: errors[tables.family_error[row]] for row in broken},
        _picked(texts, tables.requirement_text),
        tables.requirement_family,
        tables.requirement_flags,
        cut_offsets,
        cuts,
        {**_package_columns(tables, packages), "variants": variant_counts},
        plain,
        _requires_of(tables, variants, schema.BUILDING) if has_building else plain,
    )


def _picked(texts: list[str], rows: IntArray) -> list[str]:
    return [texts[row] for row in rows.tolist()]


def _strings(data: IntArray, offsets: IntArray) -> list[str]:
    """All strings of a pool."""
    raw = bytes(data)
    return [raw[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(offsets.tolist())]


def _package_columns(tables: Tables, packages: IntArray) -> dict[str, IntArray]:
    families = np.repeat(np.arange(len(tables.family_text)), np.diff(tables.family_package_offsets))
    renamed = {"version": "version_rank", "given": "given_rank"}
    columns = {"name": families[packages]}
    for fact in PACKAGE_FACTS.keys() - {"name", "variants"}:
        column = getattr(tables, f"package_{renamed.get(fact, fact)}")
        columns[fact] = column[packages] if len(column) else np.full(len(packages), NONE)
    return columns


def _requirement_cuts(tables: Tables) -> tuple[IntArray, IntArray]:
    """The cuts of the range of each requirement; none for one without a range."""
    ranges = tables.requirement_range
    starts = tables.range_offsets[ranges].astype(np.int64)
    counts = np.where(ranges == NONE, 0, tables.range_offsets[ranges + 1] - starts)
    return offsets_of(counts), tables.range_cut[rows_of(starts, counts)]


def _requires_of(tables: Tables, variants: IntArray, prefix: str) -> Requires:
    offsets = getattr(tables, prefix + "variant_requirement_offsets")
    starts = offsets[variants].astype(np.int64)
    counts = offsets[variants + 1] - starts
    values = getattr(tables, prefix + "variant_requirement")[rows_of(starts, counts)]
    return Requires(getattr(tables, prefix + "variant_error")[variants], offsets_of(counts), values)
