"""What variants require, as columns: extractions, mentions and links with their masks.

Done for some families at a time, so that what is sorted and looked up stays in the processor's cache and temporary
arrays stay small: variants stand by family, so the columns of many families are those of a few after one another. All
at once, linking 20 times rez's benchmark took 1.5 times as long, and 100 times took 4.1 GB instead of 2.4 (2026-11).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rer_numba.facts import Requires, inverse, map_optional
from rer_numba.masks import FamilyMasks, trimmed
from rer_numba.schema import IntArray

BLOCK = 1 << 18
"""About so many requirements are worked on at a time."""


class Numbers(NamedTuple):
    """How families and requirements are numbered, and what is known of them.

    Attributes
    ----------
    family_variants : array of int64, (families + 1,)
    name_rank, by_name : array of int64, (families,)
        See `family_rank` and `family_by_name` of the tables.
    requirement_family : array of int64, (requirements,)
    is_wanted, has_range : array of bool, (requirements,)
        It is no conflict; it has a range.
    """

    family_variants: IntArray
    name_rank: IntArray
    by_name: IntArray
    requirement_family: IntArray
    is_wanted: IntArray
    has_range: IntArray


def requires_columns(
    requires: Requires, new_requirement: IntArray, new_error: IntArray, numbers: Numbers
) -> dict[str, IntArray]:
    """The columns about requirements of variants, for one of their two lists; their names without a prefix.

    Parameters
    ----------
    requires : Requires
        Of all variants, in the order of the tables.
    new_requirement, new_error : array of int64
        Their numbers to rows.
    numbers : Numbers
    """
    by_mentioned = np.argsort(numbers.name_rank[numbers.requirement_family], kind="stable")
    places = inverse(by_mentioned)
    blocks = []
    for first, last in _blocks(requires.offsets[numbers.family_variants]):
        start, end = numbers.family_variants[[first, last]]
        offsets = requires.offsets[start : end + 1]
        requirement = new_requirement[requires.values[offsets[0] : offsets[-1]]]
        block = _Block(numbers, first, last, np.diff(offsets), requirement)
        blocks.append({**block.extractions(), **block.mentions(places, by_mentioned)})
    return {
        "variant_error": map_optional(new_error, requires.error),
        "variant_requirement_offsets": requires.offsets,
        "variant_requirement": new_requirement[requires.values],
        **{name: _joined(name, [block[name] for block in blocks]) for name in blocks[0]},
    }


def _blocks(so_far: IntArray) -> list[tuple[int, int]]:
    """Ranges of families with about `BLOCK` requirements each; one without families if there are none.

    Parameters
    ----------
    so_far : array of int64, (families + 1,)
        The requirements of the families before each.
    """
    n_families = len(so_far) - 1
    inner = np.unique(np.searchsorted(so_far, np.arange(BLOCK, so_far[-1], BLOCK)))
    bounds = [0, *inner[(inner > 0) & (inner < n_families)].tolist(), n_families]
    return list(pairwise(bounds))


def _joined(name: str, parts: list[IntArray]) -> IntArray:
    """A column of all families: that of some after that of those before. Offsets go on counting."""
    if not name.endswith("_offsets"):
        return np.concatenate(parts)
    ends = np.cumsum([part[-1] for part in parts])
    return np.concatenate([parts[0], *(part[1:] + end for part, end in zip(parts[1:], ends, strict=False))])


class _Block:
    """Some families that stand side by side. Families and variants are counted from their first.

    Parameters
    ----------
    first, last : int
        The families, half-open.
    counts : array of int64, (variants,)
        How many requirements each variant has.
    requirement : array of int64
        All of them, as rows.
    """

    def __init__(self, numbers: Numbers, first: int, last: int, counts: IntArray, requirement: IntArray) -> None:
        self._numbers = numbers
        self._requirement = requirement
        self._n_families = last - first
        self._family_variants = numbers.family_variants[first : last + 1] - numbers.family_variants[first]
        self._n_variants = len(counts)
        self._variant = np.repeat(np.arange(len(counts)), counts)
        self._mentioned = numbers.name_rank[numbers.requirement_family[requirement]]
        self._is_wanted = numbers.is_wanted[requirement]

    def extractions(self) -> dict[str, IntArray]:
        """What can be extracted from each variant."""
        wanted = np.flatnonzero(self._is_wanted)
        variant = self._variant[wanted]
        # the variants ascend already: many short rows to sort, which is 6 times as fast as sorting by two keys
        order = np.argsort(variant * len(self._numbers.by_name) + self._mentioned[wanted], kind="stable")
        return {
            "variant_extraction_offsets": np.searchsorted(variant, np.arange(self._n_variants + 1)),
            "variant_extraction": self._requirement[wanted[order]],
        }

    def mentions(self, places: IntArray, by_mentioned: IntArray) -> dict[str, IntArray]:
        """Mentions and links with their masks.

        Parameters
        ----------
        places, by_mentioned : array of int64, (requirements,)
            The place of each requirement when they are sorted by the name of their family, and the reverse.
        """
        numbers = self._numbers
        counts = np.diff(self._family_variants)
        mentioning = np.repeat(np.arange(self._n_families), counts)[self._variant]
        bit = self._variant - self._family_variants[mentioning]
        words = (counts + 63) >> 6
        n_names, n_requirements = max(len(numbers.by_name), 1), max(len(places), 1)

        mention_key = mentioning * n_names + self._mentioned
        mentions = np.unique(mention_key)
        mention_of, mentioned = np.divmod(mentions, n_names)
        masks = FamilyMasks(mention_of, words)
        masks.set(np.searchsorted(mentions, mention_key[self._is_wanted]), bit[self._is_wanted])

        ranged = numbers.has_range[self._requirement]
        link_key = (mentioning * n_requirements + places[self._requirement])[ranged]
        links = np.unique(link_key)  # by mentioning family, then by the name of the mentioned one
        link_of, link_place = np.divmod(links, n_requirements)
        link_requirement = by_mentioned[link_place]
        first_word, mask_offsets, link_mask = _link_masks(len(links), np.searchsorted(links, link_key), bit[ranged])

        linked = numbers.name_rank[numbers.requirement_family[link_requirement]]
        mention_of_link = np.searchsorted(mentions, link_of * n_names + linked)
        conflicts = ~numbers.is_wanted[link_requirement]
        return {
            "family_mention_offsets": np.searchsorted(mention_of, np.arange(self._n_families + 1)),
            "mention_family": numbers.by_name[mentioned],
            "mention_conflicts": np.bincount(mention_of_link[conflicts], minlength=len(mentions)) > 0,
            "family_mention_mask_offsets": masks.family_offsets,
            "mention_mask": masks.words,
            "mention_link_offsets": np.searchsorted(mention_of_link, np.arange(len(mentions) + 1)),
            "link_requirement": link_requirement,
            "link_first_word": first_word,
            "link_mask_offsets": mask_offsets,
            "link_mask": link_mask,
        }


def _link_masks(n_links: int, links: IntArray, bits: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """First words, offsets and words of masks with a bit for each of these links, which may come again."""
    word = bits >> 6
    first_word, offsets = trimmed(n_links, links, word, word + 1)
    words = np.zeros(offsets[-1], np.uint64)
    places = (offsets[:-1] - first_word)[links] + word
    np.bitwise_or.at(words, places, np.uint64(1) << (bits & 63).astype(np.uint64))
    return first_word, offsets, words
