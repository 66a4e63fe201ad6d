"""Facts to tables: everything gets its final number, and what a solve looks up is worked out.

What is linked depends on what the facts say, not on how they were numbered or in how many parts they came: families are
sorted by what they need (`rer_numba.family_order`), packages by version, requirements by family and text, ranges by
their cuts; what nobody uses is left out. So tables that were brought up to date are, byte for byte, those that
encoding everything anew would give.

No function here loops over packages, variants or their requirements in Python, only over distinct names, versions,
texts and requirements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from rer_numba import schema
from rer_numba.errors import RepositoryLimitError
from rer_numba.facts import (
    Facts,
    Requires,
    inverse,
    join,
    map_cuts,
    map_optional,
    offsets_of,
    rows_of,
)
from rer_numba.garbage import no_collection
from rer_numba.masks import set_bit_ranges, trimmed
from rer_numba.numbered import Numbered
from rer_numba.requires_columns import Numbers, requires_columns
from rer_numba.schema import CONFLICT, CUT_INF, CUT_SHIFT, EPHEMERAL, NONE, IntArray, Tables
from rer_numba.selection import select
from rer_numba.spelling import Spellings


class Sources(Protocol):
    """Where the packages came from, apart from what stands beside each package."""

    def columns(self) -> dict[str, object]:
        """The columns that are about locations, folders and watched paths, and their texts."""


def link(parts: Sequence[Facts], sources: Sources | None = None) -> Tables:
    """Make tables.

    Parameters
    ----------
    parts : sequence of Facts
        Of two packages with equal name and version the one with the lower `given` counts; of equal ones the first.
    sources : Sources, optional
        Of packages that were found in folders.

    Returns
    -------
    Tables
        Read-only arrays.

    Raises
    ------
    RepositoryLimitError
        A column would have to hold a number that it has no room for.
    """
    with no_collection():
        return _Linker(*select(join(parts))).tables(sources)


def _in_order_of_use(numbers: Iterable[IntArray]) -> list[int]:
    """The distinct numbers of some columns, NONE left out, as they come."""
    used, first = np.unique(np.concatenate([*numbers, np.empty(0, np.int64)]), return_index=True)
    in_order = used[np.argsort(first)]
    found: list[int] = in_order[in_order != NONE].astype(np.int64).tolist()
    return found


def _narrowed(column: schema.Column, values: object) -> IntArray:
    """Values in the type of their column; numbers that it has no room for must not wrap around."""
    wide = np.asarray(values)
    highest = np.iinfo(column.dtype).max
    if len(wide) and wide.dtype.itemsize > np.dtype(column.dtype).itemsize and wide.max() > highest:
        raise RepositoryLimitError(column.name, int(wide.max()), int(highest))
    return np.ascontiguousarray(wide, column.dtype)


def _new_numbers(n: int, used: Sequence[int] | IntArray) -> IntArray:
    """Old numbers to places in `used`."""
    numbers = np.full(n, NONE, np.int64)
    numbers[used] = np.arange(len(used))
    return numbers


class _Linker:
    """Numbers everything, then works out the columns. The facts hold what is kept, and more names and texts."""

    def __init__(self, facts: Facts, names: Sequence[str]) -> None:
        self.facts = facts
        self.texts: Numbered[str] = Numbered()
        places = {name: place for place, name in enumerate(names)}
        self._number_requirements(places)
        self._number_families(places)
        self._number_versions()
        self._number_ranges()
        self._place_variants()
        self._number_errors()

    def tables(self, sources: Sources | None) -> Tables:
        """All columns."""
        family_text = [self.texts.add(name) for name in self.names]
        columns = {
            "family_text": family_text,
            "family_rank": self.name_rank,
            "family_by_name": self.by_name,
            **self._version_columns(),
            **self._requirement_columns(),
            **self._package_columns(),
            **self._family_columns(),
            **self._requires_columns(self.facts.requires, ""),
            **self._building_columns(),
            **self._error_columns(),
            **self._source_columns(sources),
        }
        columns.update(self._text_columns())
        arrays = []
        for column in schema.COLUMNS:
            array = _narrowed(column, columns[column.name])
            array.flags.writeable = False
            arrays.append(array)
        return Tables(*arrays)

    # --- numbers

    def _number_requirements(self, places: dict[str, int]) -> None:
        """Those that a variant has, sorted by family and text."""
        facts = self.facts
        used = np.zeros(len(facts.requirement_text), bool)
        for requires in (facts.requires, facts.building):
            used[requires.values] = True
        family = np.array([places[name] for name in facts.names], np.int64)[facts.requirement_name].tolist()
        self.requirements = np.array(
            sorted(np.flatnonzero(used).tolist(), key=lambda row: (family[row], facts.requirement_text[row])), np.int64
        )
        self.new_requirement = _new_numbers(len(used), self.requirements)
        self.requirement_texts = [facts.requirement_text[row] for row in self.requirements.tolist()]

    def _number_families(self, places: dict[str, int]) -> None:
        """Those that have packages, an error, or a requirement on them, in order."""
        facts = self.facts
        used = set(facts.family_errors)
        for column in (facts.packages["name"], facts.requirement_name[self.requirements]):
            used.update(facts.names[row] for row in np.unique(column).tolist())
        self.names = sorted(used, key=places.__getitem__)
        self.by_name = np.array(sorted(range(len(self.names)), key=self.names.__getitem__), np.int64)
        self.name_rank = inverse(self.by_name)
        ids = {name: row for row, name in enumerate(self.names)}
        new_family = np.array([ids.get(name, NONE) for name in facts.names], np.int64)
        self.package_family = new_family[facts.packages["name"]]
        self.requirement_family = new_family[facts.requirement_name[self.requirements]]

    def _number_versions(self) -> None:
        """Those of packages and of bounds, and the empty one, sorted."""
        facts = self.facts
        starts = facts.requirement_cut_offsets[self.requirements]
        counts = facts.requirement_cut_offsets[self.requirements + 1] - starts
        cuts = facts.requirement_cut[rows_of(starts, counts)]
        bounds = cuts[cuts != CUT_INF] >> CUT_SHIFT
        used = np.union1d(facts.packages["version"], bounds).tolist()
        rows = {facts.version_keys[row]: row for row in used}
        self.keys = sorted({b"", *rows})
        self.spellings = [facts.version_texts[rows[key]] if key in rows else "" for key in self.keys]
        ranks = _new_numbers(len(facts.version_keys), [])
        ranks[[rows[key] for key in self.keys if key in rows]] = [n for n, key in enumerate(self.keys) if key in rows]
        self.package_rank = ranks[facts.packages["version"]]
        self.cut_offsets = offsets_of(counts)
        self.cuts = map_cuts(ranks, cuts)

    def _number_ranges(self) -> None:
        """The distinct ranges, in rez's order of ranges, which is that of their cuts."""
        cuts = self.cuts.tolist()
        of_requirement = [tuple(cuts[start:end]) for start, end in pairwise(self.cut_offsets.tolist())]
        self.ranges = sorted({found for found in of_requirement if found})
        ids = {found: row for row, found in enumerate(self.ranges)}
        self.requirement_range = np.array([ids.get(found, NONE) for found in of_requirement], np.int64)

    def _place_variants(self) -> None:
        """Where the packages and variants of each family and package stand."""
        n = np.arange(len(self.names) + 1)
        self.family_packages = np.searchsorted(self.package_family, n)
        self.package_variants = offsets_of(self.facts.packages["variants"])
        self.family_variants = self.package_variants[self.family_packages]
        self.variant_counts = np.diff(self.family_variants)
        self.word_counts = (self.variant_counts + 63) >> 6
        self.variant_family = np.repeat(n[:-1], self.variant_counts)

    def _number_errors(self) -> None:
        """All errors that somebody can meet, in the order of the columns."""
        facts = self.facts
        columns = [facts.packages["error"], facts.packages["timestamp_error"], facts.requires.error]
        columns += [facts.building.error]
        self.errors = Numbered(facts.family_errors[name] for name in self.names if name in facts.family_errors)
        used = _in_order_of_use(columns)
        self.new_error = _new_numbers(len(facts.errors), [])
        self.new_error[used] = [self.errors.add(facts.errors[row]) for row in used]

    # --- texts

    def _texts_of(self, column: IntArray) -> IntArray:
        """A column of texts in the numbers of the pool."""
        used = _in_order_of_use([column])
        numbers = _new_numbers(len(self.facts.texts), [])
        numbers[used] = [self.texts.add(self.facts.texts[row]) for row in used]
        return map_optional(numbers, column)

    def _text_columns(self) -> dict[str, object]:
        encoded = [text.encode("utf-8", "surrogatepass") for text in self.texts]  # names of files may be no text
        return {
            "text_offsets": offsets_of(map(len, encoded)),
            "text_bytes": np.frombuffer(b"".join(encoded), np.uint8),
        }

    def _error_columns(self) -> dict[str, object]:
        return {
            "error_type_text": [self.texts.add(kind) for kind, _ in self.errors],
            "error_value_text": [self.texts.add(value) for _, value in self.errors],
        }

    # --- versions, families, packages

    def _version_columns(self) -> dict[str, object]:
        return {
            "version_text": [self.texts.add(text) for text in self._spelled()],
            "version_key_offsets": offsets_of(map(len, self.keys)),
            "version_key": np.frombuffer(b"".join(self.keys), np.uint8),
        }

    def _spelled(self) -> list[str]:
        """One spelling of each version, from those that packages and requirements use."""
        spellings = Spellings(self.keys)
        n_texts = len(self.facts.texts)
        for pair in np.unique(self.package_rank * n_texts + self.facts.packages["version_text"]).tolist():
            rank, text = divmod(pair, n_texts)
            spellings.add(rank, self.facts.texts[text])
        families = self.requirement_family.tolist()
        is_odd = np.zeros(len(self.requirement_texts), bool)
        for row, text in enumerate(self.requirement_texts):
            versions = text.lstrip("!~")[len(self.names[families[row]]) + 1 :]
            if "-" in versions:  # the only other separator that the text of a range can have
                is_odd[row] = True
                cuts = self.ranges[self.requirement_range[row]]
                spellings.add_range((cut >> CUT_SHIFT for cut in cuts if cut != CUT_INF), versions)
        cuts_as_usual = self.cuts[np.repeat(~is_odd, np.diff(self.cut_offsets))]
        spellings.add_dotted(np.unique(cuts_as_usual[cuts_as_usual != CUT_INF] >> CUT_SHIFT).tolist())
        return [spellings.spelled(rank, text) for rank, text in enumerate(self.spellings)]

    def _package_columns(self) -> dict[str, object]:
        packages = self.facts.packages
        return {
            "package_version_rank": self.package_rank,
            "package_version_text": self._texts_of(packages["version_text"]),
            "package_given_rank": packages["given"],
            "package_indexed": packages["indexed"],
            "package_variant_offsets": self.package_variants,
            "package_uri_text": self._texts_of(packages["uri_text"]),
            "package_uri_tail_text": self._texts_of(packages["uri_tail_text"]),
            "package_timestamp": packages["timestamp"],
            "package_timestamp_error": map_optional(self.new_error, packages["timestamp_error"]),
            "package_error": map_optional(self.new_error, packages["error"]),
            "variant_package": np.repeat(np.arange(len(self.package_rank)), packages["variants"]),
        }

    def _family_columns(self) -> dict[str, object]:
        errors = [self.facts.family_errors.get(name) for name in self.names]
        flags = np.array([EPHEMERAL if name.startswith(".") else 0 for name in self.names], np.int64)
        flags[[error is not None for error in errors]] |= schema.BROKEN_FAMILY
        flags[self.package_family[self.facts.packages["error"] != NONE]] |= schema.HAS_BROKEN_PACKAGE
        for requires in (self.facts.requires, self.facts.building):
            flags[self.variant_family[requires.error != NONE]] |= schema.HAS_BROKEN_VARIANT
        return {
            "family_flags": flags,
            "family_error": [NONE if error is None else self.errors.add(error) for error in errors],
            "family_package_offsets": self.family_packages,
            "family_variant_offsets": self.family_variants,
        }

    def _source_columns(self, sources: Sources | None) -> dict[str, object]:
        if sources is None:
            return {column.name: [] for column in schema.COLUMNS if column.source}
        packages = {name: self.facts.packages[name] for name in ("location", "inode", "mtime", "size", "ctime")}
        return {
            **{f"package_{name}": column for name, column in packages.items()},
            **sources.columns(),
        }

    # --- requirements and ranges

    def _requirement_columns(self) -> dict[str, object]:
        first_word, mask_offsets, masks = self._requirement_masks()
        return {
            "range_offsets": offsets_of(map(len, self.ranges)),
            "range_cut": np.array([cut for cuts in self.ranges for cut in cuts], np.int64),
            "requirement_family": self.requirement_family,
            "requirement_range": self.requirement_range,
            "requirement_flags": self.facts.requirement_flags[self.requirements],
            "requirement_text": [self.texts.add(text) for text in self.requirement_texts],
            "requirement_first_word": first_word,
            "requirement_mask_offsets": mask_offsets,
            "requirement_mask": masks,
        }

    def _requirement_masks(self) -> tuple[IntArray, IntArray, IntArray]:
        """First words, offsets and words: for each requirement with a range, the variants that it allows."""
        requirement, lower, upper = self._allowed()
        family = self.requirement_family[requirement]
        # packages of a family descend: those with ranks from `oldest` up to `newest` stand side by side
        n_ranks = len(self.keys)
        oldest, newest = (np.minimum((cut + (1 << CUT_SHIFT) - 1) >> CUT_SHIFT, n_ranks) for cut in (lower, upper))
        place = self.package_family * (n_ranks + 1) + (n_ranks - self.package_rank)
        first = np.searchsorted(place, family * (n_ranks + 1) + (n_ranks - newest + 1))
        last = np.searchsorted(place, family * (n_ranks + 1) + (n_ranks - oldest), side="right")
        some = first < last
        base = self.family_variants[family[some]]
        low, high = self.package_variants[first[some]] - base, self.package_variants[last[some]] - base
        rows = requirement[some]
        first_word, offsets = trimmed(len(self.requirements), rows, low >> 6, (high + 63) >> 6)
        words = np.zeros(offsets[-1], np.uint64)
        set_bit_ranges(words, (offsets[:-1] - first_word)[rows], low, high)
        return first_word, offsets, words

    def _allowed(self) -> tuple[IntArray, IntArray, IntArray]:
        """Requirement, lower and upper cut of all intervals that are allowed: by a conflict those between its own."""
        n_cuts = np.diff(self.cut_offsets)
        refuses = (self.facts.requirement_flags[self.requirements] & CONFLICT != 0) & (n_cuts > 0)
        around = np.stack((self.cut_offsets[:-1][refuses], self.cut_offsets[1:][refuses]), 1).ravel()
        cuts = np.insert(self.cuts, around, np.tile([0, CUT_INF], len(around) >> 1))
        requirement = np.repeat(np.arange(len(n_cuts)), (n_cuts >> 1) + refuses)
        return requirement, cuts[::2], cuts[1::2]

    # --- what variants require

    def _building_columns(self) -> dict[str, object]:
        if self.facts.building is not self.facts.requires:
            return self._requires_columns(self.facts.building, schema.BUILDING)
        return {column.name: [] for column in schema.COLUMNS if column.name.startswith(schema.BUILDING)}

    def _requires_columns(self, requires: Requires, prefix: str) -> dict[str, object]:
        """The columns about requirements of variants, for one of their two lists."""
        numbers = Numbers(
            family_variants=self.family_variants,
            name_rank=self.name_rank,
            by_name=self.by_name,
            requirement_family=self.requirement_family,
            is_wanted=self.facts.requirement_flags[self.requirements] & CONFLICT == 0,
            has_range=self.requirement_range != NONE,
        )
        columns = requires_columns(requires, self.new_requirement, self.new_error, numbers)
        return {prefix + name: values for name, values in columns.items()}
