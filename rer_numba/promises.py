"""What the columns of sound tables promise each other, one function for each promise.

A function takes tables and returns what is wrong, as a sentence, or None. The first line of its docstring is the
promise; ``docs/layout.md`` lists them. The tables must have passed the checks of each column by itself, in
`rer_numba.checks`: types, lengths, offsets and bounds are right.

No function loops over rows in Python, apart from `_ascending`, for the few strings that agree in their first bytes.
Large gathers are written as ``take``, which is twice as fast as brackets (numpy 2.4).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rer_numba.schema import (
    BROKEN_FAMILY,
    CONFLICT,
    CUT_INF,
    CUT_SHIFT,
    EPHEMERAL,
    HAS_BROKEN_PACKAGE,
    HAS_BROKEN_VARIANT,
    NONE,
    WEAK,
    IntArray,
    Tables,
)

BoolArray = npt.NDArray[np.bool_]
Check = Callable[[Tables], str | None]

# tools


def _first(bad: BoolArray) -> int | None:
    """The first row that is bad."""
    at = int(bad.argmax()) if len(bad) else 0
    return at if len(bad) and bad[at] else None


def _sizes(offsets: IntArray) -> IntArray:
    """How many values each row has."""
    return offsets[1:] - offsets[:-1]


def _owners(offsets: IntArray) -> IntArray:
    """The row that each value belongs to: how many rows have ended before it (a tenth of the cost of `np.repeat`)."""
    offsets = offsets - offsets[0]
    ends = np.bincount(offsets[1:-1], minlength=offsets[-1] + 1)[: offsets[-1]]
    return np.cumsum(ends, dtype=np.int32)


def _blocks(offsets: IntArray) -> list[tuple[int, int]]:
    """Ranges of rows with about 32,768 values each: temporary arrays of that size stay in the cache.

    1.0 instead of 1.8 ms for 175,000 values, half of the difference being page faults (2.6 GHz Xeon, November 2026).
    """
    bounds = np.searchsorted(offsets, np.arange(1 << 15, offsets[-1], 1 << 15)).tolist()
    return list(pairwise([0, *bounds, len(offsets) - 1]))


def _variants_of_families(tables: Tables) -> IntArray:
    return _sizes(tables.family_variant_offsets)


def _words(n_variants: IntArray) -> IntArray:
    """How many words a mask takes, as int64."""
    return (n_variants.astype(np.int64) + 63) >> 6


def _rises(values: IntArray, offsets: IntArray) -> BoolArray:
    """For each value but the first: it is above the one before, or the first of its row."""
    rises: BoolArray = values[1:] > values[:-1]
    starts = offsets[1:-1]
    rises[starts[(starts > 0) & (starts < len(values))] - 1] = True
    return rises


def _bits_beyond(n_variants: IntArray) -> IntArray:
    """The bits at and above the number of variants, in the last word of a mask."""
    used = n_variants.astype(np.uint64) & np.uint64(63)
    beyond: IntArray = np.where(used == 0, np.uint64(0), ~((np.uint64(1) << used) - np.uint64(1)))
    return beyond


def _ascending(data: IntArray, starts: IntArray, ends: IntArray) -> int | None:
    """The first string that does not come after the one before it, or None.

    Compares eight bytes of all strings at a time, then only those of the pairs that are still equal. Few pairs, or
    pairs with more than 64 bytes in common, are left to Python.
    """
    padded = np.concatenate((data, np.zeros(8, np.uint8)))
    words: IntArray = np.ndarray((len(data) + 1,), ">u8", padded, strides=(1,))  # the eight bytes from each place on
    pairs = np.arange(1, len(starts))
    at = 0
    while len(pairs) > 50 and at < 64:
        before = _word_at(words, starts[pairs - 1] + at, ends[pairs - 1])
        here = _word_at(words, starts[pairs] + at, ends[pairs])
        wrong = _first(before > here)
        if wrong is not None:
            return int(pairs[wrong])
        pairs = pairs[before == here]
        at += 8
    raw = data.tobytes() if len(pairs) else b""
    for i in pairs.tolist():
        if raw[starts[i - 1] : ends[i - 1]] >= raw[starts[i] : ends[i]]:
            return int(i)
    return None


# the highest n of eight bytes
_HIGH_BYTES = np.array([(1 << 64) - (1 << 8 * (8 - n)) for n in range(9)], dtype=np.uint64)


def _word_at(words: IntArray, starts: IntArray, ends: IntArray) -> IntArray:
    """The next eight bytes of each string as one number that compares as they do; zeros behind the end."""
    loaded = words[np.minimum(starts, len(words) - 1)].astype(np.uint64)
    word: IntArray = loaded & _HIGH_BYTES[np.clip(ends - starts, 0, 8)]
    return word


# versions and ranges


def _check_version_keys(tables: Tables) -> str | None:
    """The versions are in strictly ascending order of their sort keys."""
    offsets = tables.version_key_offsets
    wrong = _ascending(tables.version_key, offsets[:-1], offsets[1:])
    return None if wrong is None else f"version {wrong} does not come after the one before it"


def _check_range_sizes(tables: Tables) -> str | None:
    """Each range has at least one interval: an even number of cuts, two or more."""
    sizes = _sizes(tables.range_offsets)
    wrong = _first((sizes < 2) | (sizes % 2 == 1))
    return None if wrong is None else f"range {wrong} has {sizes[wrong]} cuts"


def _check_range_order(tables: Tables) -> str | None:
    """The intervals of a range are not empty, do not overlap and ascend."""
    cuts = tables.range_cut
    bad = cuts[1:] < cuts[:-1]
    bad[::2] = cuts[1::2] <= cuts[:-1:2]  # from the lower to the upper cut of an interval
    starts = tables.range_offsets[1:-1]
    bad[starts[starts < len(cuts)] - 1] = False
    wrong = _first(bad)
    return None if wrong is None else f"cut {wrong + 1} of the ranges is not above the one before it"


def _check_cuts(tables: Tables) -> str | None:
    """A cut is CUT_INF, or lies just before or just after a known version."""
    cuts = tables.range_cut
    known = (cuts >= 0) & (cuts < len(tables.version_text) << CUT_SHIFT) & (cuts & ((1 << CUT_SHIFT) - 2) == 0)
    wrong = _first(~known & (cuts != CUT_INF))
    return None if wrong is None else f"cut {wrong} of the ranges is {cuts[wrong]}, which is beside no version"


# families, packages, variants


def _check_family_ranks(tables: Tables) -> str | None:
    """The ranks of the families, and the families by name, are each other's inverse."""
    ranks, by_name = tables.family_rank, tables.family_by_name
    wrong = _first(ranks.take(by_name) != np.arange(len(ranks)))
    return None if wrong is None else f"the family of rank {wrong} has another rank"


def _check_family_names(tables: Tables) -> str | None:
    """The families by name are in strictly ascending order of their names."""
    starts, ends = tables.text_offsets[:-1], tables.text_offsets[1:]
    text = tables.family_text.take(tables.family_by_name)
    wrong = _ascending(tables.text_bytes, starts[text], ends[text])
    return None if wrong is None else f"the family of rank {wrong} does not come after the one before it"


def _check_ephemeral(tables: Tables) -> str | None:
    """A family is flagged as ephemeral if and only if its name begins with a dot."""
    starts, ends = tables.text_offsets[tables.family_text], tables.text_offsets[tables.family_text + 1]
    first = np.concatenate((tables.text_bytes, np.zeros(1, np.uint8)))[starts]
    dotted = (first == ord(".")) & (ends > starts)
    wrong = _first(dotted != ((tables.family_flags & EPHEMERAL) != 0))
    return None if wrong is None else f"family {wrong} is flagged as ephemeral, or should be"


def _check_family_variants(tables: Tables) -> str | None:
    """The variants of a family are the variants of its packages."""
    wrong = _first(tables.family_variant_offsets != tables.package_variant_offsets[tables.family_package_offsets])
    return None if wrong is None else f"the variants before family {wrong} are not those of the packages before it"


def _check_package_variants(tables: Tables) -> str | None:
    """Each package has at least one variant."""
    wrong = _first(_sizes(tables.package_variant_offsets) == 0)
    return None if wrong is None else f"package {wrong} has no variant"


def _check_indexed(tables: Tables) -> str | None:
    """A package has either variants with an index, or exactly one without."""
    indexed = tables.package_indexed
    wrong = _first((indexed > 1) | (indexed == 0) & (_sizes(tables.package_variant_offsets) != 1))
    return None if wrong is None else f"package {wrong} has variants without an index"


def _check_variant_package(tables: Tables) -> str | None:
    """The variants of a package refer to it."""
    wrong = _first(tables.variant_package != _owners(tables.package_variant_offsets))
    return None if wrong is None else f"variant {wrong} does not refer to its package"


def _check_version_order(tables: Tables) -> str | None:
    """The packages of a family are in strictly descending order of their versions."""
    wrong = _first(~_rises(-tables.package_version_rank, tables.family_package_offsets))
    return None if wrong is None else f"package {wrong + 1} is not older than the one before it in its family"


def _check_given_rank(tables: Tables) -> str | None:
    """The given ranks of a family's packages are the numbers from 0, each once."""
    ranks, offsets = tables.package_given_rank, tables.family_package_offsets
    family = _owners(offsets)
    wrong = _first((ranks < 0) | (ranks >= _sizes(offsets)[family]))
    if wrong is None:
        seen = np.zeros(len(ranks), dtype=np.bool_)
        seen[offsets[family] + ranks] = True
        wrong = _first(~seen)
    return None if wrong is None else f"the given rank of package {wrong}, or of one beside it, is wrong"


def _check_broken_flags(tables: Tables) -> str | None:
    """A family is flagged as broken, or as having broken packages or variants, if and only if there is an error."""
    flags = np.where(tables.family_error == NONE, 0, BROKEN_FAMILY)
    flags[_families_with(tables.family_package_offsets, tables.package_error)] |= HAS_BROKEN_PACKAGE
    for errors in (tables.variant_error, tables.building_variant_error):
        flags[_families_with(tables.family_variant_offsets, errors)] |= HAS_BROKEN_VARIANT
    broken = BROKEN_FAMILY | HAS_BROKEN_PACKAGE | HAS_BROKEN_VARIANT
    wrong = _first(flags != (tables.family_flags & broken))
    return None if wrong is None else f"family {wrong} is flagged as broken, or should be"


def _families_with(offsets: IntArray, errors: IntArray) -> IntArray:
    """The families of the rows that have an error."""
    families: IntArray = np.searchsorted(offsets, np.flatnonzero(errors != NONE), side="right") - 1
    return families


# requirements


def _check_requirement_range(tables: Tables) -> str | None:
    """Only a weak requirement has no range."""
    weak = CONFLICT | WEAK
    wrong = _first((tables.requirement_range == NONE) & (tables.requirement_flags & weak != weak))
    return None if wrong is None else f"requirement {wrong} has no range and is not weak"


def _check_requirement_mask(tables: Tables) -> str | None:
    """The mask of a requirement has bits of variants of its family, and none without a range."""
    n_variants = np.where(tables.requirement_range == NONE, 0, _variants_of_families(tables)[tables.requirement_family])
    return _check_trimmed(
        "requirement",
        n_variants,
        tables.requirement_first_word,
        tables.requirement_mask_offsets,
        tables.requirement_mask,
    )


def _check_variant_requirement(tables: Tables) -> str | None:
    """A variant has at most one requirement on a family."""
    n_families = len(tables.family_text)
    for first, last in _blocks(tables.variant_requirement_offsets):
        offsets = tables.variant_requirement_offsets[first : last + 1]
        small = (last - first) * n_families < 1 << 31  # sorts twice as fast
        key: IntArray = _owners(offsets).astype(np.int32 if small else np.int64, copy=False) * n_families
        key += tables.requirement_family.take(tables.variant_requirement[offsets[0] : offsets[-1]])
        key.sort()
        wrong = _first(key[1:] == key[:-1])
        if wrong is not None:
            return f"variant {first + key[wrong] // n_families} has two requirements on one family"
    return None


def _check_variant_extraction(tables: Tables) -> str | None:
    """What can be extracted from a variant is no conflict, and in alphabetical order of the families."""
    rank = np.where(tables.requirement_flags & CONFLICT, NONE, tables.family_rank.take(tables.requirement_family))
    rank = rank.take(tables.variant_extraction)
    wrong = _first(rank == NONE)
    if wrong is not None:
        return f"extraction {wrong} of the variants is a conflict"
    wrong = _first(~_rises(rank, tables.variant_extraction_offsets))
    return None if wrong is None else f"extraction {wrong + 1} of the variants is not in alphabetical order"


# mentions and links


def _check_mention_order(tables: Tables) -> str | None:
    """The mentions of a family are in alphabetical order, no family twice."""
    wrong = _first(~_rises(tables.family_rank.take(tables.mention_family), tables.family_mention_offsets))
    return None if wrong is None else f"mention {wrong + 1} is not in alphabetical order"


def _check_mention_mask(tables: Tables) -> str | None:
    """The mask of a mention has a bit for each variant of the mentioning family."""
    n_variants = _variants_of_families(tables)
    words, rows = _words(n_variants), _sizes(tables.family_mention_offsets)
    wrong = _first(_sizes(tables.family_mention_mask_offsets) != words * rows)
    if wrong is not None:
        return f"the mention masks of family {wrong} do not fit its variants"
    rows = np.where(words == 0, 0, rows)
    # there are no gaps, so a mask ends where the words of all masks so far end
    last_words = tables.mention_mask.take(np.cumsum(np.repeat(words, rows)) - 1)
    wrong = _first((last_words & np.repeat(_bits_beyond(n_variants), rows)) != 0)
    return None if wrong is None else f"mention mask {wrong} (of those with words) has bits beyond the variants"


def _check_link_requirement(tables: Tables) -> str | None:
    """The requirement of a link is about the mentioned family and has a range."""
    family = np.where(tables.requirement_range == NONE, NONE, tables.requirement_family)
    family = family.take(tables.link_requirement)
    wrong = _first(family != np.repeat(tables.mention_family, _sizes(tables.mention_link_offsets)))
    return None if wrong is None else f"the requirement of link {wrong} is about another family, or has no range"


def _check_mention_conflicts(tables: Tables) -> str | None:
    """A mention is flagged if and only if one of its links is a conflict."""
    conflict = (tables.requirement_flags & CONFLICT != 0).take(tables.link_requirement)
    so_far = np.concatenate(([0], np.cumsum(conflict)))[tables.mention_link_offsets]
    wrong = _first((_sizes(so_far) > 0) != tables.mention_conflicts)
    return None if wrong is None else f"mention {wrong} is flagged as a conflict, or should be"


def _check_link_mask(tables: Tables) -> str | None:
    """The mask of a link has bits of variants of the mentioning family, one or more."""
    wrong = _first(_sizes(tables.link_mask_offsets) == 0)
    if wrong is not None:
        return f"link {wrong} has no mask"
    links = tables.mention_link_offsets[tables.family_mention_offsets]
    n_variants = np.repeat(_variants_of_families(tables), _sizes(links))
    return _check_trimmed("link", n_variants, tables.link_first_word, tables.link_mask_offsets, tables.link_mask)


def _check_trimmed(
    what: str, n_variants: IntArray, first_word: IntArray, offsets: IntArray, masks: IntArray
) -> str | None:
    """A mask over so many variants is kept from its first to its last word that is not empty; its first bits count."""
    sizes = _sizes(offsets)
    end = first_word.astype(np.int64) + sizes
    wrong = _first((first_word < 0) | (end > _words(n_variants)) | (sizes == 0) & (first_word > 0))
    if wrong is not None:
        return f"the mask of {what} {wrong} does not fit its family"
    kept = np.flatnonzero(sizes)
    last_words = masks.take(offsets[kept + 1] - 1)
    wrong = _first((last_words == 0) | (masks.take(offsets[kept]) == 0))
    if wrong is not None:
        return f"the mask of {what} {kept[wrong]} begins or ends with an empty word"
    beyond = np.where(end == _words(n_variants), _bits_beyond(n_variants), np.uint64(0))
    wrong = _first((last_words & beyond[kept]) != 0)
    return None if wrong is None else f"the mask of {what} {kept[wrong]} has bits beyond the variants"


def _check_texts(tables: Tables) -> str | None:
    """Each string is UTF-8, but may hold half characters (lone surrogates), as names of files do."""
    for pool in ("text", "source_text"):
        data, offsets = getattr(tables, f"{pool}_bytes"), getattr(tables, f"{pool}_offsets")
        try:
            data.tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            return f"{pool}_bytes is no UTF-8 at byte {error.start}"
        starts = offsets[1:-1]
        starts = starts[starts < len(data)]
        wrong = _first(data.take(starts) & 0xC0 == 0x80)
        if wrong is not None:
            return f"{pool} {wrong + 1} begins within a character"
    return None


def _check_uri_tails(tables: Tables) -> str | None:
    """The second part of a uri begins with the separator."""
    rows = tables.package_uri_tail_text
    rows = rows[rows != NONE]
    starts = tables.text_offsets.take(rows)
    is_empty = tables.text_offsets.take(rows + 1) == starts
    first = tables.text_bytes.take(np.where(is_empty, 0, starts)) if len(rows) else rows
    wrong = _first(is_empty | ~np.isin(first, (ord("/"), ord("\\"))))
    return None if wrong is None else f"a uri ends in text {rows[wrong]}, which begins with no separator"


def _check_location_folders(tables: Tables) -> str | None:
    """The first folders are the locations, in order."""
    n = len(tables.location_text)
    if len(tables.folder_location) < n:
        return f"there are {n} locations and {len(tables.folder_location)} folders"
    wrong = _first(tables.folder_location[:n] != np.arange(n))
    return None if wrong is None else f"folder {wrong} is not the location of that number"


FACT_CHECKS: tuple[Check, ...] = (
    _check_texts,
    _check_version_keys,
    _check_range_sizes,
    _check_range_order,
    _check_cuts,
    _check_family_ranks,
    _check_family_names,
    _check_ephemeral,
    _check_family_variants,
    _check_package_variants,
    _check_indexed,
    _check_variant_package,
    _check_version_order,
    _check_given_rank,
    _check_broken_flags,
    _check_requirement_range,
    _check_requirement_mask,
    _check_uri_tails,
    _check_location_folders,
)
# these also hold for the building set
REQUIRES_CHECKS: tuple[Check, ...] = (
    _check_variant_requirement,
    _check_variant_extraction,
    _check_mention_order,
    _check_mention_mask,
    _check_link_requirement,
    _check_mention_conflicts,
    _check_link_mask,
)
